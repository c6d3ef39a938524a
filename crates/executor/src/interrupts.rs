//! How a user stops a run or a part of it: first gently, then firmly.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// How firmly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    #[default]
    None,
    /// Running tasks finish, no new ones start, the recap is printed.
    Drain,
    /// Running tasks are cancelled on their hosts.
    Cancel,
}

/// The user's wishes while a run goes on, as everything in it sees them. Clones share them.
#[derive(Clone, Debug)]
pub struct Interrupts(Arc<Wishes>);

#[derive(Debug)]
struct Wishes {
    level: watch::Sender<Level>,
    /// Hosts that were given up, with the reason for people.
    dropped: watch::Sender<BTreeMap<String, String>>,
    /// Output of running tasks is wanted.
    watching: watch::Sender<bool>,
}

impl Default for Interrupts {
    fn default() -> Self {
        Interrupts(Arc::new(Wishes {
            level: watch::Sender::new(Level::None),
            dropped: watch::Sender::default(),
            watching: watch::Sender::new(false),
        }))
    }
}

impl Interrupts {
    /// The next, firmer level. Gives the level that is in force now.
    pub fn raise(&self) -> Level {
        self.0.level.send_modify(|level| {
            *level = if *level == Level::None {
                Level::Drain
            } else {
                Level::Cancel
            };
        });
        self.level()
    }

    /// The level in force.
    pub fn level(&self) -> Level {
        *self.0.level.borrow()
    }

    /// Should no new task start?
    pub fn draining(&self) -> bool {
        self.level() >= Level::Drain
    }

    /// Waits until the level is reached.
    pub async fn reached(&self, level: Level) {
        let mut receiver = self.0.level.subscribe();
        // The sender lives as long as `self`, so this ends only when the level is reached.
        let _sender_gone = receiver.wait_for(|now| *now >= level).await;
    }

    /// Gives a host up: its task is cancelled, and no more start there. The run goes on.
    pub fn drop_host(&self, host: &str, reason: &str) {
        self.0.dropped.send_modify(|hosts| {
            let reason = reason.to_owned();
            hosts.entry(host.to_owned()).or_insert(reason);
        });
    }

    /// Why a host was given up, if it was.
    pub fn dropped(&self, host: &str) -> Option<String> {
        self.0.dropped.borrow().get(host).cloned()
    }

    /// Waits until a host is given up; gives the reason.
    pub async fn dropping(&self, host: &str) -> String {
        let mut receiver = self.0.dropped.subscribe();
        let given_up = receiver.wait_for(|hosts| hosts.contains_key(host)).await;
        let reason = given_up.ok().and_then(|hosts| hosts.get(host).cloned());
        reason.unwrap_or_default()
    }

    /// Asks for the output of tasks while they run, or no longer.
    pub fn watch_output(&self, on: bool) {
        self.0.watching.send_replace(on);
    }

    /// Is the output of running tasks wanted?
    pub fn watches_output(&self) -> bool {
        *self.0.watching.borrow()
    }

    /// To learn of changes of [`Interrupts::watches_output`].
    pub(crate) fn watching(&self) -> watch::Receiver<bool> {
        self.0.watching.subscribe()
    }
}
