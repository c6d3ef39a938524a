//! The host as earlier tasks of a preview would have left it.
//!
//! ```text
//! module ─ looks ─→ OverlayHost ─┬→ Pending   what the preview's edits would have made: inodes, names, accounts
//!        └ plan ──→ Preview ─────┘→ Inspect   the host itself, for all else
//! ```
//!
//! An [`Overlay`] belongs to an agent, so that it lasts as long as the connection and each user that tasks become has
//! one. It changes only by [`Preview`], which the driver hands the edits of each plan. Looking works on a snapshot:
//! no lock is held while the host is looked at. See `docs/design/0005-overlay.md`.

mod basis;
mod files;
mod inspect;
mod people;
mod record;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use hostler_change::{Applied, Basis, Planned};
use hostler_module_api::{Applier, Declared, Inspect, ModuleError};
use hostler_protocol::PreviewTask;
use hostler_value::Cause;

use files::Files;
use people::People;

/// What the tasks of a preview would have done so far.
#[derive(Default)]
pub(crate) struct Overlay {
    pending: Mutex<Arc<Pending>>,
    touched: basis::Touched,
}

/// All that differs from the host.
#[derive(Clone, Default)]
struct Pending {
    files: Files,
    people: People,
    declared: Vec<Declared>,
}

impl Overlay {
    fn snapshot(&self) -> Arc<Pending> {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes are made to a copy if somebody looks at a snapshot just now.
    fn change(&self, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut pending));
    }
}

/// A host seen through an overlay.
pub(crate) struct OverlayHost<'a> {
    real: &'a dyn Inspect,
    overlay: &'a Overlay,
}

/// What a task of a preview gets instead of an applier: it keeps edits in mind and carries out none.
pub(crate) struct Preview<'a> {
    host: OverlayHost<'a>,
    task: &'a PreviewTask,
}

impl<'a> Preview<'a> {
    pub(crate) fn new(real: &'a dyn Inspect, overlay: &'a Overlay, task: &'a PreviewTask) -> Self {
        Preview {
            host: OverlayHost { real, overlay },
            task,
        }
    }
}

impl Applier for Preview<'_> {
    fn apply(&mut self, _: &Planned) -> Result<Applied, ModuleError> {
        Err(ModuleError::new("a preview changes nothing"))
    }

    fn preview(&mut self, planned: &Planned) {
        if !self.task.keep {
            return;
        }
        let real = self.host.real;
        let by = Cause {
            task: self.task.task,
            ..Cause::default()
        };
        self.host
            .overlay
            .change(|pending| record::record(pending, real, &by, &planned.edit));
    }

    fn basis(&mut self, edits: &[Planned]) -> Vec<Basis> {
        let touched = &self.host.overlay.touched;
        touched.basis(self.host.real, &self.task.earlier, edits, self.task.keep)
    }

    fn host(&self) -> &dyn Inspect {
        &self.host
    }
}
