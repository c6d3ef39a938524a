//! A run as it is stored.

use hostler_events::{Counts, Recap, RunId};
use serde_json::Value as Json;

use crate::{Held, Keep};

/// What a run is begun with.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id.
    pub run: RunId,
    /// When it began, in microseconds since the epoch.
    pub started_us: i64,
    /// `user@controller`.
    pub who: String,
    /// Version of hostler.
    pub version: String,
    /// What is needed to run it again, in a form of the caller's own. Stored sealed.
    pub request: Json,
    /// Playbooks, absolute paths.
    pub playbooks: Vec<String>,
    /// Inventory sources, as given.
    pub inventory: Vec<String>,
    /// Check mode? Such a run is not resumed.
    pub check: bool,
    /// Files that it was read from.
    pub inputs: Vec<Input>,
    /// Inventory names of its hosts, as far as they are known.
    pub hosts: Vec<String>,
    /// What it may do and what it was told to do besides the request, in a form of the caller's own: for [`Store::mandate`],
    /// sealed, until nothing is left to resume.
    ///
    /// [`Store::mandate`]: crate::Store::mandate
    pub mandate: Option<Vec<u8>>,
    /// A run without which this one cannot be resumed: it is kept as long as this one may be.
    pub needs: Option<RunId>,
}

/// A file of the user that a run was read from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// Absolute path.
    pub path: String,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It is going on, as far as is known: see [`RunSummary::held`].
    Running,
    /// It came to its end, and nothing failed.
    Finished,
    /// It came to its end, and hosts failed or were unreachable.
    Failed,
    /// It was stopped, or its process is gone.
    Interrupted,
    /// Its journal could not be written any more.
    JournalBroken,
}

impl RunState {
    /// One word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Finished => "finished",
            RunState::Failed => "failed",
            RunState::Interrupted => "interrupted",
            RunState::JournalBroken => "journal-broken",
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            RunState::Running => 0,
            RunState::Finished => 1,
            RunState::Failed => 2,
            RunState::Interrupted => 3,
            RunState::JournalBroken => 4,
        }
    }

    pub(crate) fn from_number(number: i64) -> Self {
        match number {
            0 => RunState::Running,
            1 => RunState::Finished,
            2 => RunState::Failed,
            4 => RunState::JournalBroken,
            _ => RunState::Interrupted,
        }
    }
}

impl std::str::FromStr for RunState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [
            RunState::Running,
            RunState::Finished,
            RunState::Failed,
            RunState::Interrupted,
            RunState::JournalBroken,
        ];
        all.into_iter().find(|it| it.word() == word).ok_or_else(|| {
            let words: Vec<_> = all.iter().map(|it| it.word()).collect();
            format!("{word} is none of {}", words.join(", "))
        })
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// Anything but [`RunState::Running`]. If the journal is broken, [`RunState::JournalBroken`] is stored whatever this
    /// says.
    pub state: RunState,
    /// Exit status of the program.
    pub exit_code: u8,
    /// Wall time in microseconds.
    pub elapsed_us: u64,
    /// Counts of each host.
    pub recap: Recap,
    /// Is there something to resume? If not, what was only kept for that is dropped.
    pub resumable: bool,
    /// How much of the history is kept.
    pub keep: Keep,
}

/// What a list of runs shows of one.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// When it began, in microseconds since the epoch.
    pub started_us: i64,
    /// `user@controller`.
    pub who: String,
    /// Version of hostler that began it.
    pub version: String,
    /// Playbooks, absolute paths.
    pub playbooks: Vec<String>,
    /// Inventory sources, as given.
    pub inventory: Vec<String>,
    /// Check mode?
    pub check: bool,
    /// What became of it. One whose process is provably gone is [`RunState::Interrupted`].
    pub state: RunState,
    /// Is there something to resume?
    pub resumable: bool,
    /// How often it was begun: 1, and 1 for each time it was resumed.
    pub attempts: u32,
    /// When it ended (last), in microseconds since the epoch.
    pub ended_us: Option<i64>,
    /// Wall time (of its last part) in microseconds.
    pub elapsed_us: Option<u64>,
    /// Exit status of the program.
    pub exit_code: Option<u8>,
    /// Why its journal broke.
    pub reason: Option<String>,
    /// Events that could not be stored.
    pub lost_events: u64,
    /// Number of its hosts.
    pub hosts: u32,
    /// Sums of the counts of its hosts; zeros before it ended.
    pub totals: Counts,
    /// The process that has it, gone or not.
    pub held: Option<Held>,
}

/// Everything about a run but its events.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// What a list shows.
    pub summary: RunSummary,
    /// What it was begun with ([`NewRun::request`]).
    pub request: Json,
    /// Files that it was read from, as they were.
    pub inputs: Vec<Input>,
    /// Its hosts by name, with their counts once it ended.
    pub hosts: Vec<(String, Option<Counts>)>,
}
