//! YAML text to a tree with positions, read as PyYAML reads it.
