//! Plays, blocks, tasks and handlers: parser and static check.
//!
//! [`parse`] turns a YAML tree into [`Play`]s and reports every problem that it finds, not only the first. Keywords
//! that blocks and plays pass on to tasks are not copied: each task has a [`Context`] that links to that of its block
//! and its play. Nothing is evaluated here.

mod ast;
mod context;
mod keywords;
mod parse;
mod short_form;

pub use ast::{
    Args, Block, Entry, Loop, LoopControl, LoopKind, Notify, Play, Playbook, Section, Task,
};
pub use context::{Context, Keywords};
pub use parse::parse;
pub use short_form::{ShortForm, split_short_form};
