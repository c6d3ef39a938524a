//! The SSH library's callbacks: judging the host key, refusing channels that a server opens, and remembering why the
//! connection ended.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::client::{self, DisconnectReason, Msg, Session};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelId};

use super::pace::SharedPace;
use crate::failure::{Reason, Unreachable, printable};
use crate::known_hosts::{HostKeyPolicy, HostRecords, KnownHostsStore, StoreError, Verdict};

/// What the callbacks leave behind for the connection.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Why the host key was refused.
    pub(crate) refusal: Option<Unreachable>,
    /// Things to tell the user although the connection goes on.
    pub(crate) warnings: Vec<String>,
    /// Set when the server's identity is not established (a changed key under the policy `Off`): no password goes
    /// there.
    pub(crate) identity_doubtful: bool,
    /// The server's or the library's words when the connection ended.
    pub(crate) ended: Option<String>,
    /// The server said goodbye, rather than being cut off.
    pub(crate) dismissed: bool,
}

/// The callbacks' shared memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedNotes(Arc<Mutex<Notes>>);

impl SharedNotes {
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Notes) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How the key of one host is judged.
#[derive(Debug)]
pub(crate) struct HostKeyCheck {
    pub(crate) records: HostRecords,
    pub(crate) policy: HostKeyPolicy,
    pub(crate) store: Arc<KnownHostsStore>,
    /// Where a new key is recorded.
    pub(crate) record_in: Option<PathBuf>,
    pub(crate) hashed: bool,
}

impl HostKeyCheck {
    async fn accepts(
        &self,
        presented: &PublicKeyOrCertificate,
        notes: &SharedNotes,
    ) -> Result<(), Unreachable> {
        let verdict = match presented {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.records.check_key(key),
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |d| d.as_secs());
                self.records.check_certificate(certificate, now)
            }
        };
        let key = presented.public_key();
        let name = self.records.name().as_str();
        let shown = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        match verdict {
            Verdict::Known | Verdict::CertAuthority => Ok(()),
            Verdict::Revoked { file, line } => Err(Unreachable::new(
                Reason::HostKeyRevoked,
                format!(
                    "the host key of {name} ({shown}) is revoked by {}:{line}",
                    file.display()
                ),
            )),
            Verdict::Changed { file, line } => {
                let message = format!(
                    "the host key of {name} has CHANGED: it presents {shown}, but {}:{line} lists another key",
                    file.display()
                );
                if self.policy != HostKeyPolicy::Off {
                    return Err(Unreachable::new(Reason::HostKeyChanged, message));
                }
                notes.with(|notes| {
                    notes.identity_doubtful = true;
                    notes.warnings.push(message);
                });
                Ok(())
            }
            Verdict::Unknown { note } => {
                if self.policy == HostKeyPolicy::Strict {
                    let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
                    return Err(Unreachable::new(
                        Reason::HostKeyUnknown,
                        format!("the host key of {name} is not known: it presents {shown}{note}"),
                    ));
                }
                self.record(key, notes).await
            }
        }
    }

    async fn record(
        &self,
        key: russh::keys::PublicKey,
        notes: &SharedNotes,
    ) -> Result<(), Unreachable> {
        let Some(path) = self.record_in.clone() else {
            return Ok(());
        };
        let (store, name, hashed) = (
            Arc::clone(&self.store),
            self.records.name().clone(),
            self.hashed,
        );
        let written =
            tokio::task::spawn_blocking(move || store.append(&path, &name, &key, hashed)).await;
        let error = match written {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(error) => {
                notes.with(|notes| {
                    notes
                        .warnings
                        .push(format!("recording the host key failed: {error}"));
                });
                return Ok(());
            }
        };
        match &error {
            StoreError::Raced { .. } if self.policy != HostKeyPolicy::Off => {
                Err(Unreachable::new(Reason::HostKeyChanged, error.to_string()))
            }
            // As OpenSSH: the connection is as good as it was; only the next one will ask again.
            StoreError::Raced { .. } | StoreError::Encoding => {
                notes.with(|notes| notes.warnings.push(error.to_string()));
                Ok(())
            }
            StoreError::Io { source, .. } => {
                notes.with(|notes| notes.warnings.push(format!("{error}: {source}")));
                Ok(())
            }
        }
    }
}

/// The callbacks of one connection.
pub(crate) struct Callbacks {
    pub(crate) check: HostKeyCheck,
    pub(crate) notes: SharedNotes,
    pub(crate) pace: SharedPace,
}

impl client::Handler for Callbacks {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        match self.check.accepts(presented, &self.notes).await {
            Ok(()) => Ok(true),
            Err(refusal) => {
                self.notes.with(|notes| notes.refusal = Some(refusal));
                Ok(false)
            }
        }
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let (words, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (printable(info.message.as_bytes(), 200), Ok(()))
            }
            DisconnectReason::Error(error) => (error.to_string(), Err(error)),
        };
        self.notes.with(|notes| {
            notes.ended = Some(words);
            notes.dismissed = result.is_ok();
        });
        result
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _max_packet_size: u32,
        window_size: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.pace
            .opened(id.into(), window_size, session.remote_sshid());
        Ok(())
    }

    async fn window_adjusted(
        &mut self,
        id: ChannelId,
        new_size: u32,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.pace.adjusted(id.into(), new_size);
        Ok(())
    }

    // A server has no business opening channels to us. Dropping the reply refuses them; the defaults would accept.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _reply: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _reply: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _reply: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn should_accept_unknown_server_channel(&mut self, _: ChannelId, _: &str) -> bool {
        false
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _reply: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _reply: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _reply: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _reply: client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}
