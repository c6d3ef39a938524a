//! What a preview found, as data for people and programs. The JSON form has a schema (`docs/schema/preview.json`).

use std::collections::BTreeMap;

use hostler_change::Delta;
use hostler_events::Status;
use hostler_value::Cause;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that a preview found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// Version of this form.
    pub format: u32,
    /// Who made it, when and of what.
    pub made: Made,
    /// Hosts that took part, sorted.
    pub hosts: Vec<String>,
    /// Plays in order; a batch of a play is one.
    pub plays: Vec<PlayPreview>,
    /// Tasks and handlers in the order in which they started.
    pub tasks: Vec<TaskPreview>,
    /// Handlers that would run or may run.
    pub handlers: Vec<HandlerPreview>,
    /// Services that would be started, stopped, restarted or reloaded.
    pub restarts: Vec<RestartPreview>,
    /// What is not known before some task has run.
    pub unknown: Vec<UnknownPreview>,
    /// Hosts with the same changes; the largest group first.
    pub groups: Vec<HostGroup>,
    /// Counts of each host.
    pub totals: Vec<HostTotals>,
    /// Warnings, without repetition.
    pub warnings: Vec<String>,
}

/// Who made a preview, when and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Identifies the run.
    pub run: String,
    /// Version of hostler.
    pub version: String,
    /// When it began, microseconds since the epoch by the controller's clock.
    pub at_us: i64,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
    /// Login name of who ran it.
    pub user: String,
    /// Name of the machine that it was run on.
    pub controller: String,
    /// Playbooks, as given.
    pub playbooks: Vec<String>,
    /// Inventory sources, as given.
    pub inventory: Vec<String>,
    /// `--limit`.
    pub limit: Option<String>,
    /// `--tags`.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// Names of extra variables. Values are not kept.
    pub extra_vars: Vec<String>,
    /// Files that were read, with hashes.
    pub inputs: Vec<InputFile>,
    /// Where the variables that tasks name come from.
    pub origins: Vec<Origin>,
    /// The run ended before its end: the user stopped it.
    pub interrupted: bool,
}

/// A file that was read.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct InputFile {
    /// Its path, as given or found.
    pub path: String,
    /// SHA-256 of its content, lower-case hex digits.
    pub sha256: String,
}

/// Where a variable comes from.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Origin {
    /// The variable's name.
    pub variable: String,
    /// The layer that wins (`inventory, group web`), with the place in its file if there is one.
    pub origin: String,
    /// Hosts for which that is so.
    pub hosts: Vec<String>,
}

/// A play, or a batch of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlayPreview {
    /// Its name.
    pub name: String,
    /// Number of the play in the run, from 1.
    pub number: u32,
    /// Batch number from 1 and number of batches, for `serial`.
    pub batch: Option<(u32, u32)>,
    /// Its hosts.
    pub hosts: Vec<String>,
}

/// What a task would come to.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Not done: its condition is false.
    Skipped,
    /// Done, and nothing would change.
    #[default]
    NoChange,
    /// Something would change.
    WouldChange,
    /// Decided by tasks that a preview does not run.
    Unknown,
    /// It would fail.
    WouldFail,
    /// The host could not be reached.
    Unreachable,
}

impl From<Status> for Fate {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Fate::NoChange,
            Status::Changed => Fate::WouldChange,
            Status::Skipped => Fate::Skipped,
            Status::Failed => Fate::WouldFail,
            Status::Unreachable => Fate::Unreachable,
            Status::Unknown => Fate::Unknown,
        }
    }
}

impl Fate {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Fate::Skipped => "skipped",
            Fate::NoChange => "no change",
            Fate::WouldChange => "would change",
            Fate::Unknown => "unknown",
            Fate::WouldFail => "would fail",
            Fate::Unreachable => "unreachable",
        }
    }
}

/// A task, and what it would come to on its hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskPreview {
    /// Number in the run, from 1; what [`Cause::task`] refers to.
    pub number: u32,
    /// Place in [`Preview::plays`], from 0.
    pub play: u32,
    /// Its name.
    pub name: String,
    /// The module's short name.
    pub module: String,
    /// Is it a handler?
    pub handler: bool,
    /// Where it stands: `file:line:column`.
    pub place: String,
    /// Hosts with equal outcomes, worst first.
    pub groups: Vec<TaskGroup>,
}

/// Hosts with equal outcomes of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskGroup {
    /// Hosts, sorted.
    pub hosts: Vec<String>,
    /// What the task would come to.
    pub outcome: Outcome,
}

/// What a task would come to on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// In one word.
    pub fate: Fate,
    /// A failure that is ignored.
    pub ignored: bool,
    /// A failure that a `rescue` takes care of.
    pub rescued: bool,
    /// `no_log` hides its contents.
    pub censored: bool,
    /// More may follow that cannot be foreseen.
    pub incomplete: bool,
    /// Why it is skipped, fails, or is unknown.
    pub message: Option<String>,
    /// What to do about a failure.
    pub hint: Option<String>,
    /// What would change.
    pub deltas: Vec<Delta>,
    /// Items of its loop that would change something, are unknown or fail.
    pub items: Vec<ItemOutcome>,
    /// The tasks that decide what is not known.
    pub unknown: Vec<Cause>,
    /// Host that would do the work, if another one.
    pub delegated_to: Option<String>,
}

impl Outcome {
    /// All differences: the task's own, else those of its items.
    pub fn all_deltas(&self) -> impl Iterator<Item = &Delta> {
        let items = self.items.iter().flat_map(|item| item.deltas.iter());
        let own = !self.deltas.is_empty();
        self.deltas.iter().chain(items.filter(move |_| !own))
    }

    /// Does the task deserve a place in a list of what would happen?
    pub fn matters(&self) -> bool {
        !matches!(self.fate, Fate::NoChange | Fate::Skipped) || !self.unknown.is_empty()
    }
}

/// An item of a loop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ItemOutcome {
    /// The item, as text.
    pub label: String,
    /// In one word.
    pub fate: Fate,
    /// Why it fails.
    pub message: Option<String>,
    /// What would change.
    pub deltas: Vec<Delta>,
    /// The tasks that decide what is not known.
    pub unknown: Vec<Cause>,
}

/// A handler that would run, or may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandlerPreview {
    /// Its name.
    pub name: String,
    /// Hosts on which it would run.
    pub would_run: Vec<String>,
    /// Hosts on which it may run: only tasks of unknown outcome notify it.
    pub may_run: Vec<String>,
    /// Names of the tasks that notify it first.
    pub notified_by: Vec<String>,
}

/// A service that would be started, stopped, restarted or reloaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartPreview {
    /// The unit or service.
    pub unit: String,
    /// What would happen to it: `restarted`, `state stopped -> started`.
    pub what: String,
    /// On which hosts.
    pub hosts: Vec<String>,
}

/// Something that is decided at run time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnknownPreview {
    /// Number of the task that is not known.
    pub task: u32,
    /// Its name.
    pub name: String,
    /// The tasks that decide it.
    pub until: Vec<Cause>,
    /// On which hosts.
    pub hosts: Vec<String>,
}

/// Hosts with the same changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostGroup {
    /// Hosts, sorted.
    pub hosts: Vec<String>,
    /// Numbers of the tasks that would change something on them.
    pub would_change: Vec<u32>,
    /// What these hosts have beyond the largest group, and what they lack: a line for each.
    pub differs: Vec<String>,
}

/// Counts of tasks by what they would come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Would change something.
    pub would_change: u32,
    /// Would change nothing.
    pub no_change: u32,
    /// Not known.
    pub unknown: u32,
    /// Would fail, and nothing takes care of it.
    pub would_fail: u32,
    /// Skipped.
    pub skipped: u32,
    /// The host could not be reached.
    pub unreachable: u32,
}

/// Counts of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostTotals {
    /// Host.
    pub host: String,
    /// Its tasks.
    pub totals: Totals,
}

impl Totals {
    /// Each count with what it counts, in the order in which people are told.
    pub fn by_fate(&self) -> [(u32, Fate); 6] {
        [
            (self.would_change, Fate::WouldChange),
            (self.unknown, Fate::Unknown),
            (self.would_fail, Fate::WouldFail),
            (self.unreachable, Fate::Unreachable),
            (self.no_change, Fate::NoChange),
            (self.skipped, Fate::Skipped),
        ]
    }

    /// Counts one outcome.
    pub fn count(&mut self, outcome: &Outcome) {
        let field = match outcome.fate {
            Fate::WouldChange => &mut self.would_change,
            Fate::NoChange => &mut self.no_change,
            Fate::Unknown => &mut self.unknown,
            Fate::WouldFail if outcome.ignored || outcome.rescued => &mut self.no_change,
            Fate::WouldFail => &mut self.would_fail,
            Fate::Skipped => &mut self.skipped,
            Fate::Unreachable => &mut self.unreachable,
        };
        *field += 1;
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Totals) {
        self.would_change += other.would_change;
        self.no_change += other.no_change;
        self.unknown += other.unknown;
        self.would_fail += other.would_fail;
        self.skipped += other.skipped;
        self.unreachable += other.unreachable;
    }
}

impl Preview {
    /// Version of the form that this program writes.
    pub const FORMAT: u32 = 1;

    /// Counts of all hosts.
    pub fn sum(&self) -> Totals {
        let mut sum = Totals::default();
        self.totals.iter().for_each(|it| sum.add(&it.totals));
        sum
    }

    /// What a task would come to on a host.
    pub fn outcomes_of<'a>(
        &'a self,
        host: &'a str,
    ) -> impl Iterator<Item = (&'a TaskPreview, &'a Outcome)> {
        self.tasks.iter().flat_map(move |task| {
            let groups = task.groups.iter();
            groups
                .filter(move |group| {
                    group
                        .hosts
                        .binary_search_by(|it| it.as_str().cmp(host))
                        .is_ok()
                })
                .map(move |group| (task, &group.outcome))
        })
    }

    /// Outcomes of all hosts, in order of tasks, by host.
    pub fn by_host(&self) -> BTreeMap<&str, Vec<(&TaskPreview, &Outcome)>> {
        let mut all: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for host in &self.hosts {
            all.entry(host).or_default();
        }
        for task in &self.tasks {
            for group in &task.groups {
                for host in &group.hosts {
                    all.entry(host).or_default().push((task, &group.outcome));
                }
            }
        }
        all
    }
}

/// The JSON schema of [`Preview`].
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Preview).to_value()
}
