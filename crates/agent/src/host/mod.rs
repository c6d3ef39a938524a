//! The host that a task works on: looking at it, and (by [`crate::apply`]) changing it.

pub(crate) mod accounts;
mod inspect;

pub(crate) mod resolve;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use hostler_change::{Allowed, Content};
use hostler_module_api::Identity;

pub(crate) use inspect::{open, plain, temporary_beside};

use crate::apply::Replacements;
use crate::blobs::Blobs;
use crate::kept::Kept;
use crate::outbox::Outbox;
use crate::overlay::Overlay;
use crate::task::Task;

/// What all tasks of an agent share.
pub(crate) struct Shared {
    /// To the controller.
    pub(crate) outbox: Arc<Outbox>,
    /// Content from the controller.
    pub(crate) blobs: Blobs,
    /// As whom the agent runs.
    pub(crate) identity: Identity,
    /// What the tasks of a preview would have done so far.
    pub(crate) overlay: Overlay,
    /// What is kept on the host for a later connection.
    pub(crate) kept: Kept,
}

/// The host as one task sees it.
pub(crate) struct Host {
    pub(crate) shared: Arc<Shared>,
    pub(crate) task: Arc<Task>,
    pub(crate) identity: Identity,
    payload: Option<Content>,
    /// The only edits that the task may make, in a run that is bound by a plan.
    pub(crate) allowed: Option<Allowed>,
    /// Directories whose entries changed and are not on the disk for certain yet.
    pub(crate) unsynced: BTreeSet<PathBuf>,
    /// May the present item have changed something?
    pub(crate) changed: bool,
    /// What the present item replaced, if that is asked for.
    pub(crate) replaced: Option<Replacements>,
}

impl Host {
    /// For a task with its `environment`.
    pub(crate) fn new(
        shared: Arc<Shared>,
        task: Arc<Task>,
        environment: &[(String, String)],
    ) -> Self {
        let mut identity = shared.identity.clone();
        for (key, value) in environment {
            identity.env.retain(|(name, _)| name != key);
            identity.env.push((key.clone(), value.clone()));
        }
        Host {
            shared,
            task,
            identity,
            payload: None,
            allowed: None,
            unsynced: BTreeSet::new(),
            changed: false,
            replaced: None,
        }
    }

    /// The next item begins; `payload` is what the controller sent along with it.
    pub(crate) fn next_item(&mut self, payload: Option<Content>, keeps_replaced: bool) {
        self.payload = payload;
        self.changed = false;
        self.replaced = keeps_replaced.then(Replacements::default);
    }

    /// Makes renames and removals durable, once for each directory.
    pub(crate) fn make_durable(&mut self) {
        for dir in std::mem::take(&mut self.unsynced) {
            if let Ok(dir) = std::fs::File::open(dir) {
                let _ = dir.sync_all();
            }
        }
    }
}
