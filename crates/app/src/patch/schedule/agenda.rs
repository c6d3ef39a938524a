//! What a scheduler reads of a policy: when it works. The inventory is not asked, so it may be read often.

use std::path::Path;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_inventory::{FsLoader, Loader};
use hostler_patch::policy::{Approve, PolicyFile, Schedule};
use hostler_schedule::{Freeze, MissedRule, Occurrence, Window, occurrences};

use crate::patch::policy::BesidePolicy;

/// When a policy works.
#[derive(Clone, Debug)]
pub(crate) struct Agenda {
    /// The policy's name.
    pub(crate) policy: String,
    /// What becomes of occurrences that nobody opened.
    pub(crate) missed: MissedRule,
    /// Windows of its waves, in their order: the first one opens runs.
    pub(crate) windows: Vec<Window>,
    /// Freezes.
    pub(crate) freezes: Vec<Freeze>,
    /// Names of waves that somebody must approve.
    pub(crate) approvals: Vec<String>,
}

impl Agenda {
    /// Reads a policy.
    ///
    /// # Errors
    /// What is wrong with it; it has no window.
    pub(crate) fn load(path: &Path, sources: &SourceMap) -> Result<Self, Vec<Diagnostic>> {
        let text = FsLoader.read(path).map_err(|error| {
            let message = format!("cannot read the policy {}: {error}", path.display());
            vec![Diagnostic::error("unreadable-file", message)]
        })?;
        let (file, problems) = PolicyFile::load(sources, path, &text);
        let file = file.ok_or(problems)?;
        let (schedule, problems) = Schedule::of(&file, &BesidePolicy::new(path));
        let schedule = schedule.ok_or(problems)?;
        let policy = &file.policy;
        let mut windows: Vec<Window> = Vec::new();
        for name in policy.waves.iter().filter_map(|it| policy.window_of(it)) {
            let part = schedule.windows.get(name);
            let new = windows.iter().all(|it| it.name() != name);
            windows.extend(part.filter(|_| new).map(|it| it.window.clone()));
        }
        if windows.is_empty() {
            let message = format!(
                "the policy `{}` has no window: there is nothing to open",
                policy.name
            );
            let hint = "`hostler patch plan` and `hostler patch apply` work at any time";
            return Err(vec![Diagnostic::error("no-window", message).hint(hint)]);
        }
        let count = policy.waves.len();
        let waves = policy.waves.iter().enumerate();
        let manual = waves.filter(|(_, it)| it.approve == Approve::Manual);
        Ok(Agenda {
            policy: policy.name.clone(),
            missed: policy.missed,
            windows,
            freezes: schedule.freezes,
            approvals: manual
                .map(|(index, it)| it.shown_name(index, count))
                .collect(),
        })
    }

    /// The window that opens runs.
    pub(crate) fn first(&self) -> &Window {
        &self.windows[0]
    }

    /// What must change for the window that opens runs to be another one.
    pub(crate) fn fingerprint(&self) -> String {
        let freezes: Vec<String> = self.freezes.iter().map(Freeze::fingerprint).collect();
        format!(
            "{}; freezes: {}",
            self.first().fingerprint(),
            freezes.join(", ")
        )
    }

    /// Occurrences of the window that opens runs.
    pub(crate) fn starts(&self, from_us: i64, until_us: i64) -> Vec<Occurrence> {
        occurrences(&self.policy, self.first(), &self.freezes, from_us, until_us)
    }

    /// Occurrences of all windows, by their start.
    pub(crate) fn all(&self, from_us: i64, until_us: i64) -> Vec<Occurrence> {
        let each = self.windows.iter();
        let mut all: Vec<Occurrence> = each
            .flat_map(|it| occurrences(&self.policy, it, &self.freezes, from_us, until_us))
            .collect();
        all.sort_by_key(|it| it.whole);
        all
    }

    /// Is any of its windows open?
    pub(crate) fn is_open(&self, now_us: i64) -> bool {
        let all = self.all(now_us, now_us + 1);
        all.iter()
            .flat_map(|it| &it.open)
            .any(|it| it.holds(now_us))
    }
}
