//! The dynamic value that playbooks compute with, its coercions, and secrets that cannot print themselves.
