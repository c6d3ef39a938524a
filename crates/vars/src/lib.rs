//! The precedence stack: which value a variable has for a host, and where it came from.
