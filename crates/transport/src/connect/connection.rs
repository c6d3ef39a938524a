//! An authenticated SSH connection.

use std::sync::Arc;
use std::time::Duration;

use russh::client;
use tokio::time::timeout;

use super::host_key::{Callbacks, SharedNotes};
use super::pace::SharedPace;
use super::stream::{Cut, WireCounters};
use crate::failure::{Reason, Unreachable};

/// An authenticated connection. Dropping it closes the socket and ends the library's task.
pub struct Connection {
    pub(super) handle: client::Handle<Callbacks>,
    pub(super) notes: SharedNotes,
    pub(super) counters: Arc<WireCounters>,
    pub(super) pace: SharedPace,
    pub(super) peer: String,
    pub(super) _cut: Cut,
    /// The connection that this one runs through; dropped after it.
    pub(super) _via: Option<Box<Connection>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Host and port as connected to, for messages.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Bytes on the wire.
    pub fn counters(&self) -> &WireCounters {
        &self.counters
    }

    /// How fast large things may be sent.
    pub(crate) fn pace(&self) -> SharedPace {
        SharedPace::clone(&self.pace)
    }

    /// What the user should hear although the connection stands, such as a changed key under `StrictHostKeyChecking=no`.
    pub fn warnings(&self) -> Vec<String> {
        self.notes.with(|notes| notes.warnings.clone())
    }

    /// Why the connection ended, if it did.
    pub fn ended(&self) -> Option<String> {
        self.notes.with(|notes| notes.ended.clone())
    }

    /// Opens a session channel.
    pub(crate) async fn open_session(&self) -> Result<russh::Channel<client::Msg>, Unreachable> {
        self.handle.channel_open_session().await.map_err(|error| {
            let words = self.ended().unwrap_or_else(|| error.to_string());
            Unreachable::new(
                Reason::Lost,
                format!("{}: no session channel: {words}", self.peer),
            )
        })
    }

    /// Says goodbye; the peer may be gone already.
    pub(crate) async fn say_goodbye(&self) {
        let goodbye = self
            .handle
            .disconnect(russh::Disconnect::ByApplication, "", "");
        let _peer_may_be_gone = timeout(Duration::from_secs(1), goodbye).await;
    }

    /// Says goodbye and closes. Returns at once if the peer is gone; dropping does the same without the goodbye.
    pub async fn close(self) {
        self.say_goodbye().await;
    }
}
