//! What came of a plan, and of a module as a whole.

use hostler_value::{Cause, Map};
use serde::{Deserialize, Serialize};

use crate::{CommandOutput, Delta, Forecast};

/// What came of one edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// Done.
    Done,
    /// A file was written; its backup, if one was asked for and there was something to keep.
    Wrote {
        /// Path of the copy of what was there before.
        backup_file: Option<String>,
    },
    /// A program ran.
    Ran(CommandOutput),
    /// A download ended.
    Fetched {
        /// HTTP status; 200 for other schemes.
        status: u16,
        /// What the server said to it.
        message: String,
        /// Size in bytes.
        size: u64,
        /// False if the server said that it is unchanged, or the content equals what was there.
        changed: bool,
        /// Path of the copy of what was there before.
        backup_file: Option<String>,
    },
}

/// Why a module failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFailure {
    /// One line.
    pub msg: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}

/// What a module that cannot be foreseen reports when it is carried out and does not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unforeseen {
    /// A change, always: `command`.
    Change,
    /// No change, ever: `wait_for`.
    NoChange,
}

/// What one module did with one set of arguments: the answer of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Did it change the host, or would it in check mode?
    pub changed: bool,
    /// It was not carried out (check mode of an unpredictable module, `creates` that is there): the reason is in
    /// `fields.msg`.
    pub skipped: bool,
    /// It failed.
    pub failed: Option<ModuleFailure>,
    /// The module's own return values, as ansible-core names them.
    pub fields: Map,
    /// Facts to set, without the `ansible_` prefix.
    pub facts: Option<Map>,
    /// What differed. Filled in check mode and diff mode, and always for fields (texts only in diff mode).
    pub deltas: Vec<Delta>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// More may follow (see [`crate::Plan::incomplete`]).
    pub incomplete: bool,
    /// Check mode: it was not carried out, since what it does and returns cannot be known without. The other values
    /// then tell nothing about it, but for the deltas.
    pub unforeseen: Option<Unforeseen>,
    /// Preview: what it would do is decided by these earlier tasks; never with `failed`.
    pub unknown: Vec<Cause>,
    /// Preview: the edits, if they were asked for.
    pub forecast: Option<Box<Forecast>>,
    /// What its programs brought about and had not declared, or the other way round: faults of the module, each a
    /// sentence. The host is as the edits left it.
    pub faults: Vec<String>,
    /// Files that were made, replaced or removed, or whose owner or mode was set, as they were before, if that was asked
    /// for; a file is in it once.
    pub replaced: Vec<Replaced>,
}

/// A file before and after the edits of one module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its path.
    pub path: String,
    /// What was there; `None` is nothing.
    pub before: Option<Before>,
    /// SHA-256 of what is there now; `None` if the file is gone.
    pub after: Option<[u8; 32]>,
}

impl Replaced {
    /// Largest content (bytes) that is kept of one file.
    pub const CONTENT_MAX: u64 = 1 << 20;
    /// Most content (bytes) that is kept in one outcome.
    pub const ALL_CONTENT_MAX: u64 = 4 << 20;
}

/// A regular file as it was.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Owner, a number.
    pub uid: u32,
    /// Group, a number.
    pub gid: u32,
    /// Permission bits, the lowest twelve.
    pub mode: u32,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// The content; `None` if it is too large or did not change.
    pub content: Option<Vec<u8>>,
}

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = self.content.as_ref().map(Vec::len);
        write!(f, "Before({:04o}, content of {size:?} bytes)", self.mode)
    }
}

/// Most warnings, and most faults, of one outcome.
const WORDS_MAX: usize = 50;
/// Longest of them, in bytes.
const WORD_BYTES_MAX: usize = 4 << 10;

impl Outcome {
    /// Cuts what a host wants people told to what people can read: a host must not bury the others' results, or the
    /// journal, under its warnings.
    pub fn bound_words(&mut self) {
        for words in [&mut self.warnings, &mut self.faults] {
            let left_out = words.len().saturating_sub(WORDS_MAX);
            words.truncate(WORDS_MAX);
            for word in words.iter_mut() {
                if word.len() > WORD_BYTES_MAX {
                    let mut end = WORD_BYTES_MAX;
                    while !word.is_char_boundary(end) {
                        end -= 1;
                    }
                    word.truncate(end);
                    word.push_str(" ...");
                }
            }
            if left_out > 0 {
                words.push(format!("... and {left_out} more"));
            }
        }
    }

    /// A failure with a message.
    pub fn failure(msg: impl Into<String>) -> Self {
        let failed = Some(ModuleFailure {
            msg: msg.into(),
            hint: None,
        });
        Outcome {
            failed,
            ..Outcome::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_say_without_end() {
        let mut outcome = Outcome {
            warnings: vec!["é".repeat(WORD_BYTES_MAX); 100_000],
            ..Outcome::default()
        };
        outcome.bound_words();
        assert_eq!(outcome.warnings.len(), WORDS_MAX + 1);
        assert_eq!(outcome.warnings[WORDS_MAX], "... and 99950 more");
        assert!(
            outcome
                .warnings
                .iter()
                .all(|it| it.len() <= WORD_BYTES_MAX + 4)
        );
        let before = outcome.clone();
        outcome.warnings.pop();
        let mut again = outcome.clone();
        again.warnings.truncate(3);
        again.bound_words();
        assert_eq!(again.warnings, before.warnings[..3]);
    }
}
