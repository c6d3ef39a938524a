//! The messages.

use hostler_change::{Allowed, Content, Edit, Outcome};
use hostler_value::{Cause, Value};
use serde::{Deserialize, Serialize};

/// Controller to agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToAgent {
    /// Run a module, once for each item, in order.
    Run(RunTask),
    /// A piece of content that the agent asked for.
    Blob(Blob),
    /// The content that the agent asked for cannot be had.
    NoBlob {
        /// Its hash.
        sha256: [u8; 32],
        /// Why.
        reason: String,
    },
    /// Start the same binary as another user and give it a lane. Only to lane 0.
    OpenLane {
        /// Number that the controller chose; it is not in use.
        lane: u16,
        /// As whom and how.
        r#become: Become,
    },
    /// End a running task: its programs' process groups are killed. It answers with failed items.
    Cancel {
        /// Which.
        task: u32,
    },
    /// What came of the task of this key, which was sent before, perhaps to another agent process on this host? Answered as
    /// [`ToAgent::Run`] is, or by [`FromAgent::Unresolved`]; a task that still runs is waited for. Nothing is run.
    Resolve {
        /// Names the question in answers, as [`RunTask::task`] does.
        task: u32,
        /// Which.
        key: TaskKey,
    },
    /// The controller has the results of these tasks on disk: the host need not keep them any longer.
    Forget(Vec<TaskKey>),
    /// The agent of this lane holds its user's lock for a run from now on, until it ends. Answered by
    /// [`FromAgent::Leased`]. Sent before the first task that may change the host.
    Lease {
        /// Who wants it.
        lease: Lease,
        /// Id of a lock that may be broken: its holder is killed if it is that one.
        breaks: Option<String>,
    },
    /// Send what a task's programs write while they write it, or stop that.
    Watch {
        /// Which.
        task: u32,
        /// Start or stop?
        on: bool,
    },
    /// Are you there?
    Ping(u64),
}

/// What a cancelled item fails with: it was not done, or not to its end.
pub const CANCELLED: &str = "the task was cancelled";

/// Names one message with work for one host, unlike every other of every run. By it a host that was cut off hands over
/// a result at most once, and runs nothing twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskKey(pub [u8; 16]);

impl std::fmt::Display for TaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for TaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TaskKey({self})")
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Names the lock, for `--break-lock`.
    pub id: String,
    /// The run. An agent of the same run on the same host does not stand in the way.
    pub run: String,
    /// `user@controller`.
    pub who: String,
    /// Microseconds since the epoch, by the controller's clock.
    pub since_us: i64,
}

/// A module to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunTask {
    /// Names the task in answers; the controller does not use a number twice on a lane.
    pub task: u32,
    /// Module's short name.
    pub module: String,
    /// Arguments of each item: one for a task without a loop, all of a loop's else.
    pub items: Vec<Item>,
    /// Check mode.
    pub check: bool,
    /// The whole run is in check mode: the task sees what earlier ones would have done. A single task with
    /// `check_mode: true` sees the host as it is and has none.
    pub preview: Option<PreviewTask>,
    /// The run is bound by a plan: the only edits that the task may make. `None`: any.
    pub allowed: Option<Allowed>,
    /// Diff mode.
    pub diff: bool,
    /// The task's `environment`.
    pub environment: Vec<(String, String)>,
    /// Stop at the first item that fails.
    pub stop_on_failure: bool,
    /// Names it for ever. The agent notes on the host that it began and what came of each item, and finishes it even if
    /// the connection ends. `None` (a preview, a task that only looks): it ends with the connection.
    pub key: Option<TaskKey>,
    /// Tell what was in the files that it replaces: [`hostler_change::Outcome::replaced`].
    pub keep_replaced: bool,
    /// As [`ToAgent::Watch`] from the start.
    pub watch: bool,
}

/// A task's part in a preview.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewTask {
    /// The task's number in the run: what it leaves undecided is unknown until this one.
    pub task: u32,
    /// Will later tasks see what it would do? False if it may not run at all.
    pub keep: bool,
    /// What tasks of other agents on this host would have done since this agent's last task, in order: it has not
    /// seen that.
    pub earlier: Vec<PendingEdit>,
}

/// An edit that a preview keeps in mind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEdit {
    /// The task that would make it.
    pub by: Cause,
    /// As whom.
    pub maker: Maker,
    /// The edit.
    pub edit: Edit,
}

/// What new files of a user have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// File mode mask.
    pub umask: u32,
}

/// One set of arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Place in the loop; answers repeat it.
    pub index: u32,
    /// The arguments, a mapping.
    pub args: Value,
    /// Content that goes with them: a rendered template, a file of the controller. Small ones as bytes, others as a
    /// blob that the agent asks for if it needs it.
    pub payload: Option<Content>,
}

/// A piece of content.
#[derive(Clone, Serialize, Deserialize)]
pub struct Blob {
    /// SHA-256 of the whole.
    pub sha256: [u8; 32],
    /// Where the piece starts.
    pub offset: u64,
    /// The piece, at most [`Blob::PIECE_MAX`] bytes.
    pub bytes: Vec<u8>,
    /// Is it the last piece?
    pub last: bool,
}

impl Blob {
    /// Largest piece.
    pub const PIECE_MAX: usize = 256 << 10;
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes at {})", self.bytes.len(), self.offset)
    }
}

/// How to become another user.
#[derive(Clone, Serialize, Deserialize)]
pub struct Become {
    /// By which program.
    pub method: BecomeMethod,
    /// Whom.
    pub user: String,
    /// Password for that program, written to it and nowhere else.
    pub password: Option<String>,
    /// More arguments for it (`become_flags`), already split into words.
    pub flags: Vec<String>,
    /// The program's path, if not the method's usual one (`become_exe`).
    pub exe: Option<String>,
    /// Seconds until it is given up.
    pub timeout_s: u32,
}

impl std::fmt::Debug for Become {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Become({:?} {})", self.method, self.user)
    }
}

/// Programs that change the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BecomeMethod {
    /// `sudo`.
    Sudo,
    /// `su`.
    Su,
    /// `doas`.
    Doas,
}

/// Agent to controller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromAgent {
    /// The first message of an agent on its lane.
    Hello(Hello),
    /// One item is done.
    Done {
        /// Task.
        task: u32,
        /// The item's index.
        index: u32,
        /// What came of it.
        outcome: Box<Outcome>,
    },
    /// All items that will be done are done.
    End {
        /// Task.
        task: u32,
    },
    /// A task needs content; it waits for [`ToAgent::Blob`]s.
    NeedBlob {
        /// SHA-256 of it.
        sha256: [u8; 32],
    },
    /// The answer to [`ToAgent::Resolve`] if the host cannot tell all: after the items that are known.
    Unresolved {
        /// The question.
        task: u32,
        /// Why.
        why: Unresolved,
    },
    /// The answer to [`ToAgent::Lease`].
    Leased {
        /// Somebody else holds it. `None`: it is ours.
        held_by: Option<Lease>,
    },
    /// What a program of a watched task wrote.
    Output {
        /// Task.
        task: u32,
        /// Standard error?
        is_stderr: bool,
        /// What.
        bytes: Vec<u8>,
    },
    /// What a task that takes long is doing; every few seconds while it runs.
    Progress {
        /// Task.
        task: u32,
        /// Such as `apt-get: waits for the lock held by unattended-upgr (pid 812)`.
        doing: String,
    },
    /// A lane could not be opened. (An opened one announces itself with its own hello.)
    LaneFailed(LaneError),
    /// A lane's process ended after it was opened.
    LaneClosed {
        /// Which lane.
        lane: u16,
        /// How it ended, with the end of what it wrote to standard error.
        reason: String,
    },
    /// Answer to a ping.
    Pong(u64),
}

/// Why a host cannot tell what came of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unresolved {
    /// It knows nothing of it: it never began here, or the host rebooted meanwhile.
    NeverBegan,
    /// It began, and its agent ended before the task did: what came of the first item without an answer is not known;
    /// those behind it did not begin.
    AgentDied,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// SHA-256 of the agent's own binary; the controller refuses any but the one that it carries.
    pub sha256: [u8; 32],
    /// Effective user and group, and mask.
    pub maker: Maker,
    /// The user's name.
    pub user: String,
    /// The user's home directory.
    pub home: String,
    /// `uname -n`.
    pub hostname: String,
    /// `/proc/sys/kernel/random/boot_id`, empty if unreadable.
    pub boot_id: String,
    /// The host's clock, microseconds since the epoch.
    pub clock_us: i64,
    /// Process number.
    pub pid: u32,
    /// Can it keep results on the host? If not, [`Unresolved::NeverBegan`] says nothing.
    pub keeps_results: bool,
}

/// Why a lane could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneError {
    /// Which lane.
    pub lane: u16,
    /// What kind.
    pub kind: LaneErrorKind,
    /// One line, with what the program said (never the password).
    pub message: String,
}

/// Kinds of failure to become another user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LaneErrorKind {
    /// The program is not installed.
    NoProgram,
    /// It wants a password and none was given.
    PasswordNeeded,
    /// It refused the password.
    PasswordWrong,
    /// It refuses this user.
    Denied,
    /// It did not come to an end in time.
    Timeout,
    /// It, or the agent under it, ended otherwise.
    Failed,
}
