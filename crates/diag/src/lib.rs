//! Source positions and diagnostics: what is wrong in which file, line and column.
