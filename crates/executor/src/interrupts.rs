//! How a user stops a run: first gently, then firmly.

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

/// The user's wish to stop, as everything in a run sees it. Clones share it.
#[derive(Clone, Debug)]
pub struct Interrupts {
    sender: std::sync::Arc<watch::Sender<Level>>,
}

impl Default for Interrupts {
    fn default() -> Self {
        Interrupts {
            sender: std::sync::Arc::new(watch::Sender::new(Level::None)),
        }
    }
}

impl Interrupts {
    /// The next, firmer level. Gives the level that is in force now.
    pub fn raise(&self) -> Level {
        self.sender.send_modify(|level| {
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
        *self.sender.borrow()
    }

    /// Should no new task start?
    pub fn draining(&self) -> bool {
        self.level() >= Level::Drain
    }

    /// Waits until the level is reached.
    pub async fn reached(&self, level: Level) {
        let mut receiver = self.sender.subscribe();
        // The sender lives as long as `self`, so this ends only when the level is reached.
        let _sender_gone = receiver.wait_for(|now| *now >= level).await;
    }
}
