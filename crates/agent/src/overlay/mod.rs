//! The host as earlier tasks of a preview would have left it.
//!
//! ```text
//! module ─ looks ─→ OverlayHost ─┬→ Pending   what the preview's edits would have made: inodes, names, accounts,
//!        └ plan ──→ Preview ─────┤            what programs have declared, packages that are not there yet
//!                                └→ Inspect   the host itself, for all else
//! ```
//!
//! An [`Overlay`] belongs to an agent. Each user that tasks become has an agent of its own: what others have kept comes
//! with the next task ([`PreviewTask::earlier`]). It changes only by [`Preview`], which the driver hands the edits of each
//! plan. Looking works on a snapshot: no lock is held while the host is looked at. See
//! `docs/design/0005-overlay.md`.

mod basis;
mod effects;
mod files;
mod fog;
mod inspect;
mod people;
mod record;
mod reveal;
#[cfg(test)]
mod tests;
mod views;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hostler_change::{Applied, Basis, Content, Edit, Effect, Outcome, Planned, Run};
use hostler_module_api::{Applier, Declared, Follow, Inspect, ModuleError};
use hostler_protocol::{Maker, PreviewTask};
use hostler_value::{Cause, Value};

use files::{Files, Found};
use fog::Fog;
use people::People;
use record::Recorder;

/// What the tasks of a preview would have done so far.
#[derive(Default)]
pub(crate) struct Overlay {
    pending: Mutex<Arc<Pending>>,
    touched: basis::Touched,
    /// Names made up so far.
    names: AtomicU32,
}

/// All that differs from the host.
#[derive(Clone, Default)]
struct Pending {
    files: Files,
    people: People,
    declared: Vec<Declared>,
    /// Paths that edits were kept for, and by whom.
    touched: Vec<(PathBuf, Cause)>,
    fog: Fog,
    /// Tasks that would run what the user wrote.
    unforeseen: Vec<Cause>,
}

impl Pending {
    /// Is the host's answer about a path the right one?
    fn changes_no_files(&self) -> bool {
        let certain = self.fog.causes().is_empty() && self.unforeseen.is_empty();
        certain && self.files.is_empty() && self.people.is_empty()
    }

    /// The tasks that may make what is not there, by programs of the user's.
    fn may_be_made(&self, found: &Found) -> Vec<Cause> {
        match found {
            Found::Free(_) | Found::Nowhere(..) => self.unforeseen.clone(),
            Found::Node(..) | Found::Real(..) => Vec::new(),
        }
    }

    /// The tasks that install packages which may bring what is not there.
    fn may_come(&self, found: &Found) -> Vec<Cause> {
        let (missing, whole) = match found {
            Found::Free(place) => (place, place),
            Found::Nowhere(missing, whole) => (missing, whole),
            Found::Node(..) | Found::Real(..) => return Vec::new(),
        };
        if self.files.is_decided(missing) {
            return Vec::new();
        }
        self.fog.over(missing, whole)
    }
}

impl Overlay {
    fn snapshot(&self) -> Arc<Pending> {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All or nothing. Changes are made to a copy.
    fn change<T, E>(&self, change: impl FnOnce(&mut Pending) -> Result<T, E>) -> Result<T, E> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut copy = Pending::clone(&pending);
        let done = change(&mut copy)?;
        *pending = Arc::new(copy);
        Ok(done)
    }

    /// Keeps what tasks of other agents on this host would have done. What this one cannot see is left out.
    pub(crate) fn catch_up(&self, real: &dyn Inspect, task: &PreviewTask) {
        if task.earlier.is_empty() {
            return;
        }
        let kept: Result<(), std::convert::Infallible> = self.change(|pending| {
            let mut dpkg = None;
            for earlier in &task.earlier {
                let mut recorder = Recorder {
                    pending,
                    real,
                    by: &earlier.by,
                    maker: earlier.maker,
                    checks: false,
                    supposing: true,
                    dpkg: dpkg.take(),
                };
                self.touched.note(&earlier.edit);
                let _left_out = recorder.edit(&earlier.edit);
                dpkg = recorder.dpkg;
            }
            Ok(())
        });
        let Ok(()) = kept;
    }

    /// A copy that goes its own way.
    fn branch(&self) -> Overlay {
        Overlay {
            pending: Mutex::new(self.snapshot()),
            touched: self.touched.clone(),
            names: AtomicU32::new(self.names.load(Ordering::Relaxed)),
        }
    }
}

/// A host seen through an overlay.
pub(crate) struct OverlayHost<'a> {
    real: &'a dyn Inspect,
    overlay: &'a Overlay,
    /// The task that looks.
    task: u32,
    /// Who decides what the module was told is not known, or was told is not there although a package may bring it.
    missed: RefCell<Vec<Cause>>,
    /// What packages may bring counts as not there: see [`Applier::suppose`]. Of the path that is asked for first, the
    /// directories on the way count as there.
    supposing: Option<RefCell<Option<PathBuf>>>,
}

/// What a task of a preview gets instead of an applier: it keeps edits in mind and carries out none.
pub(crate) struct Preview<'a> {
    host: OverlayHost<'a>,
    task: &'a PreviewTask,
    /// What it would do cannot be known.
    unpredictable: bool,
    /// The content that is among the arguments.
    content: Option<Vec<u8>>,
}

/// What a preview of one item works on: the agent's overlay, or a copy if later tasks are not to see what it would do.
pub(crate) enum Ground<'a> {
    Shared(&'a Overlay),
    Own(Overlay),
}

impl<'a> Ground<'a> {
    pub(crate) fn new(overlay: &'a Overlay, task: &PreviewTask) -> Self {
        if task.keep {
            Ground::Shared(overlay)
        } else {
            Ground::Own(overlay.branch())
        }
    }

    pub(crate) fn overlay(&self) -> &Overlay {
        match self {
            Ground::Shared(overlay) => overlay,
            Ground::Own(overlay) => overlay,
        }
    }
}

impl<'a> Preview<'a> {
    pub(crate) fn new(real: &'a dyn Inspect, overlay: &'a Overlay, task: &'a PreviewTask) -> Self {
        Preview {
            host: OverlayHost {
                task: task.task,
                ..OverlayHost::new(real, overlay)
            },
            task,
            unpredictable: false,
            content: None,
        }
    }

    /// The item's arguments: a whole content may be among them.
    pub(crate) fn gives(&mut self, args: &Value) {
        let content = args.get("content").filter(|it| it.to_scalar_text().is_ok());
        self.content = content.map(|it| it.to_text().into_bytes());
    }

    /// Puts "unknown" in place of what was made up, and of a failure that may come only of what is not known.
    pub(crate) fn finish(&self, outcome: &mut Outcome) {
        let unpredictable = self.unpredictable;
        let pending = self.host.overlay.snapshot();
        reveal::reveal(&pending, outcome);
        if self.host.supposing.is_some() && outcome.changed {
            reveal::hide_before(&pending.fog.causes(), outcome);
        }
        let mut missed = self.host.missed.borrow().clone();
        hostler_value::order::sort(&mut missed);
        missed.dedup();
        if let (Some(failure), false) = (&outcome.failed, missed.is_empty()) {
            outcome.fields.insert("msg", failure.msg.as_str());
            outcome.failed = None;
            outcome.unknown = missed;
        }
        if unpredictable || !outcome.unknown.is_empty() {
            self.keep_unforeseen(outcome);
        }
    }

    /// What the task does is not known: later tasks, also of other agents, are not to draw conclusions from what is not
    /// there.
    fn keep_unforeseen(&self, outcome: &mut Outcome) {
        let edit = Planned {
            edit: Edit::Run(Run::unforeseen()),
            deltas: Vec::new(),
        };
        let kept = self.keep(std::slice::from_ref(&edit));
        if kept.is_ok() && self.task.keep {
            outcome.forecast.get_or_insert_default().edits.push(edit);
        }
    }

    /// The task, as a reason.
    fn by(&self) -> Cause {
        Cause {
            task: self.task.task,
            ..Cause::default()
        }
    }

    fn keep(&self, edits: &[Planned]) -> Result<(), ModuleError> {
        let real = self.host.real;
        let by = self.by();
        let me = real.identity();
        self.host.overlay.change(|pending| {
            let mut recorder = Recorder {
                pending,
                real,
                by: &by,
                maker: Maker {
                    uid: me.uid,
                    gid: me.gid,
                    umask: me.umask,
                },
                checks: true,
                supposing: self.host.supposing.is_some(),
                dpkg: None,
            };
            edits.iter().try_for_each(|it| recorder.edit(&it.edit))
        })
    }

    /// With nothing known of what is there, only what replaces it as a whole is right, and a link to what the preview
    /// itself would have made.
    fn is_certain(&self, edits: &[Planned]) -> bool {
        let whole = self.host.real.payload();
        let ours = |target: &std::path::Path, link: &std::path::Path| {
            let target = link.parent().unwrap_or(link).join(target);
            let pending = self.host.overlay.snapshot();
            matches!(
                pending.files.find(self.host.real, &target, Follow::Yes),
                Ok(Found::Node(..))
            )
        };
        let certain = |edit: &Planned| match &edit.edit {
            Edit::WriteFile(write) => {
                let given = matches!(&write.content, Content::Bytes(it) if Some(it) == self.content.as_ref());
                given || whole == Some(&write.content)
            }
            Edit::Link(link) => ours(&link.target, &link.path),
            // A restart.
            Edit::Run(run) => {
                run.always && run.effects.iter().all(|it| matches!(it, Effect::Unit(_)))
            }
            _ => false,
        };
        !edits.is_empty() && edits.iter().all(certain)
    }
}

impl Applier for Preview<'_> {
    fn apply(&mut self, _: &Planned) -> Result<Applied, ModuleError> {
        Err(ModuleError::new("a preview changes nothing"))
    }

    fn preview(&mut self, edits: &[Planned]) -> Result<bool, ModuleError> {
        let supposing = self.host.supposing.is_some();
        if supposing && !self.is_certain(edits) {
            return Err(ModuleError::new("what is there decides"));
        }
        let env = &self.host.real.identity().env;
        let missing = edits.iter().find_map(|it| match &it.edit {
            Edit::Fetch(fetch) => crate::apply::fetch::is_missing(env, fetch),
            _ => None,
        });
        if let Some(words) = missing {
            return Err(ModuleError::unknown(words, vec![self.by()]));
        }
        self.keep(edits)?;
        Ok(true)
    }

    fn unforeseen(&mut self) {
        self.unpredictable = true;
    }

    fn suppose(&mut self) -> bool {
        self.host.supposing = Some(RefCell::default());
        true
    }

    fn basis(&mut self, edits: &[Planned]) -> Vec<Basis> {
        self.host.overlay.touched.basis(self.host.real, edits)
    }

    fn host(&self) -> &dyn Inspect {
        &self.host
    }
}
