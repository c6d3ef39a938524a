//! Events in, bytes out: terminal, plain lines, JSON lines.
