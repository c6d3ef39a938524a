//! YAML text to a tree with positions, read as PyYAML reads it.
//!
//! libyaml's grammar is the reference, since Ansible uses it: its translation to Rust gives the events (`libyaml`), the
//! rest is ours: what a plain scalar means (`resolve`), tags, anchors, merge keys and limits (`compose`), and words
//! that help (`syntax`).

mod align;
mod compose;
mod integer;
mod json;
mod libyaml;
pub mod limits;
mod load;
mod mapping;
mod marks;
mod node;
mod resolve;
mod scalar;
mod syntax;
mod timestamp;

pub use load::{load, load_all, load_file};
pub use node::{Mapping, Node, NodeKind, TemplateSource};
