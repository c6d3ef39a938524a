//! YAML text to a tree with positions, read as PyYAML reads it.

mod node;

pub use node::{Mapping, Node, NodeKind, TemplateSource};
