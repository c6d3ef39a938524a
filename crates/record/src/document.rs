//! A run as data for people and programs.

use hostler_change::Delta;
use hostler_events::{Counts, Status, TaskKind};
use hostler_value::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that is known of a run. Secrets are masked, as in all that a run shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Version of this form.
    pub format: u32,
    /// Identifies the run.
    pub run: String,
    /// Version of hostler that ran it.
    pub version: String,
    /// `user@controller` that started it.
    pub by: String,
    /// Playbooks, as given.
    pub playbooks: Vec<String>,
    /// Check mode: nothing was changed, `changed` means "would change".
    pub check: bool,
    /// How it stands.
    pub state: State,
    /// `hostler resume` has something to go on with.
    pub resumable: bool,
    /// How many times it was gone on with.
    pub resumed: u32,
    /// When it began, microseconds since the epoch by the controller's clock.
    pub started_us: i64,
    /// When its last event was, likewise.
    pub ended_us: i64,
    /// How long it took, all attempts together, in microseconds.
    pub elapsed_us: u64,
    /// Exit status of the program; null while it runs, or if it was killed.
    pub exit_code: Option<u8>,
    /// Why no more tasks were started, if something stopped it.
    pub stopped: Vec<String>,
    /// Plays in order; a batch of a play is one.
    pub plays: Vec<PlayRecord>,
    /// Tasks and handlers in the order in which they started.
    pub tasks: Vec<TaskRecord>,
    /// Counts of each host, sorted by name.
    pub hosts: Vec<HostRecord>,
    /// Handlers that were notified and have not run.
    pub owed: Vec<OwedRecord>,
    /// Warnings, without repetition.
    pub warnings: Vec<WarningRecord>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not ended.
    #[default]
    Running,
    /// It ended, and no host failed.
    Finished,
    /// It ended, and a host failed or could not be reached.
    Failed,
    /// The user stopped it, or the controller died.
    Interrupted,
    /// Its journal could not be written any more.
    JournalBroken,
}

impl State {
    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Finished => "finished",
            State::Failed => "failed",
            State::Interrupted => "interrupted",
            State::JournalBroken => "journal-broken",
        }
    }
}

/// A play, or a batch of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlayRecord {
    /// Its name.
    pub name: String,
    /// Number of the play in the run, from 1; 0 for one that matched no host.
    pub number: u32,
    /// Batch number from 1 and number of batches, for `serial`.
    pub batch: Option<(u32, u32)>,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// Why it was skipped, if it was.
    pub skipped: Option<String>,
}

/// What kind of task it is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A task that the playbook lists.
    #[default]
    Task,
    /// A handler that was notified.
    Handler,
    /// The facts at the start of a play.
    GatherFacts,
}

impl From<TaskKind> for Kind {
    fn from(kind: TaskKind) -> Self {
        match kind {
            TaskKind::Task => Kind::Task,
            TaskKind::Handler => Kind::Handler,
            TaskKind::GatherFacts => Kind::GatherFacts,
        }
    }
}

/// A task and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRecord {
    /// Number of this execution in the run, from 1.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Module's short name.
    pub module: String,
    /// Task, handler or fact gathering.
    pub kind: Kind,
    /// Where it stands, `file:line:column`.
    pub place: Option<String>,
    /// Index of its play in [`Record::plays`].
    pub play: usize,
    /// When it began.
    pub started_us: i64,
    /// When it ended on its last host, as far as it did.
    pub ended_us: i64,
    /// Results in the order in which hosts ended.
    pub results: Vec<ResultRecord>,
    /// Hosts that began and of which no end is known.
    pub unfinished: Vec<String>,
}

/// What came of a task on a host. If it was tried again in a resumed run, the last time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultRecord {
    /// The host.
    pub host: String,
    /// How it ended. `unknown` in a run that was no preview: the connection was lost for good while it ran.
    #[schemars(with = "StatusWord")]
    pub status: Status,
    /// It failed, and the playbook says to go on as if it had not.
    pub ignored: bool,
    /// It failed, and a `rescue` took over.
    pub rescued: bool,
    /// `no_log` hides its contents.
    pub censored: bool,
    /// When it ended, microseconds since the epoch by the controller's clock.
    pub ended_us: i64,
    /// Wall time in microseconds.
    pub duration_us: u64,
    /// Failure, skip reason or other message.
    pub message: Option<String>,
    /// What to do about a failure.
    pub hint: Option<String>,
    /// Short stable word for why the host could not be reached.
    pub unreachable: Option<String>,
    /// Host that did the work, if another one.
    pub delegated_to: Option<String>,
    /// Attempts, for `until`.
    pub attempts: u32,
    /// What changed, or would.
    pub deltas: Vec<Delta>,
    /// Warnings from the module.
    pub warnings: Vec<String>,
    /// What a `register` holds.
    pub value: Value,
    /// Items of its loop.
    pub items: Vec<ItemRecord>,
}

impl ResultRecord {
    /// Did it fail, or could the host not be reached, and did nothing take care of that?
    pub fn is_failure(&self) -> bool {
        let bad = matches!(self.status, Status::Failed | Status::Unreachable);
        bad && !self.ignored && !self.rescued
    }

    /// What changed, or would: its own differences, or those of its items.
    pub fn all_deltas(&self) -> impl Iterator<Item = &Delta> {
        let of_items = self.items.iter().filter(|_| self.deltas.is_empty());
        self.deltas
            .iter()
            .chain(of_items.flat_map(|item| &item.deltas))
    }
}

/// What came of one item of a loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemRecord {
    /// Place in the loop, from 0.
    pub index: u32,
    /// The item, as text.
    pub label: String,
    /// How it ended.
    #[schemars(with = "StatusWord")]
    pub status: Status,
    /// It failed and is ignored.
    pub ignored: bool,
    /// Failure, skip reason or other message.
    pub message: Option<String>,
    /// What changed, or would.
    pub deltas: Vec<Delta>,
}

/// How a task ended on a host.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "the schema of hostler_events::Status")]
enum StatusWord {
    /// Done, nothing changed.
    Ok,
    /// Done, something changed (in check mode: would change).
    Changed,
    /// Not done.
    Skipped,
    /// It failed.
    Failed,
    /// The host could not be reached.
    Unreachable,
    /// What came of it is not known.
    Unknown,
}

/// Counts of a host, as ansible-core counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostRecord {
    /// The host.
    pub host: String,
    /// Tasks that ended well, changed ones included.
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// Tasks that found the host unreachable.
    pub unreachable: u32,
    /// Tasks that failed and were neither rescued nor ignored.
    pub failed: u32,
    /// Tasks that were skipped.
    pub skipped: u32,
    /// Failures that a `rescue` took care of.
    pub rescued: u32,
    /// Failures that were ignored.
    pub ignored: u32,
    /// Tasks of which is not known what came of them.
    pub unknown: u32,
    /// Why the user gave it up, if so.
    pub dropped: Option<String>,
}

impl HostRecord {
    /// From its counts.
    pub fn new(host: &str, counts: &Counts) -> Self {
        HostRecord {
            host: host.to_owned(),
            ok: counts.ok,
            changed: counts.changed,
            unreachable: counts.unreachable,
            failed: counts.failed,
            skipped: counts.skipped,
            rescued: counts.rescued,
            ignored: counts.ignored,
            unknown: counts.unknown,
            dropped: None,
        }
    }
}

/// A handler that was notified and has not run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct OwedRecord {
    /// Name of the handler.
    pub handler: String,
    /// The host.
    pub host: String,
    /// Run in which it was notified.
    pub run: String,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct WarningRecord {
    /// What is wrong.
    pub text: String,
    /// Where, `file:line:column`.
    pub place: Option<String>,
    /// The host that it concerns.
    pub host: Option<String>,
}

impl Record {
    /// Version of the form that this program writes.
    pub const FORMAT: u32 = 1;

    /// All results with their tasks, in order.
    pub fn results(&self) -> impl Iterator<Item = (&TaskRecord, &ResultRecord)> {
        self.tasks
            .iter()
            .flat_map(|task| task.results.iter().map(move |result| (task, result)))
    }

    /// Name of a task's play; empty if it belongs to none.
    pub fn play_of(&self, task: &TaskRecord) -> &str {
        self.plays.get(task.play).map_or("", |play| &play.name)
    }
}

/// The JSON schema of [`Record`].
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Record)
}
