//! Typed read-only observers of a host, with pure parsers.
//!
//! Each file is one thing to look at: types, a parser of text (tested on recorded text), and a function that asks a
//! [`hostler_module_api::Inspect`] for that text. What is absent is `None` or empty, not an error: hosts differ.

mod shadow;
mod text;

pub use shadow::{Shadow, shadow};
pub use text::{exists, names, program, text, word};
