//! User authentication: keys in a stated order, then one password attempt.
//!
//! The order is: certificates, keys that were named, other keys of the agent (unless `IdentitiesOnly`), password,
//! keyboard-interactive. sshd counts every offered key against `MaxAuthTries` (6 by default), so at most five are
//! tried, which leaves one for the password. A password is sent exactly once: a wrong one must not lock an account. For the
//! same reason it is not sent at all once other hosts have refused it, see [`super::trials`].

use std::sync::Arc;
use std::time::Duration;

use hostler_value::Secret;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::time::{Instant, timeout};

use super::host_key::{Callbacks, SharedNotes};
use super::keys::{KeyCache, KeyFile, LoadedKey};
use super::target::Resolved;
use super::trials::{GivenUp, Trials};
use crate::failure::{Phase, Reason, Unreachable};

/// One less than sshd's default `MaxAuthTries`.
const KEY_ATTEMPTS_MAX: usize = 5;
/// A server that keeps asking is playing with us.
const PROMPT_ROUNDS_MAX: usize = 4;

type Agent = AgentClient<Box<dyn AgentStream + Send + Unpin>>;

/// Something to offer.
enum Offer {
    Key(Arc<PrivateKey>),
    KeyCertificate(Arc<PrivateKey>, Box<Certificate>),
    AgentKey(Box<PublicKey>),
    AgentCertificate(Box<Certificate>),
}

/// How far it comes without a password.
enum Before {
    Authenticated,
    /// This is to be sent now.
    Password(Secret),
    /// There is no more to try.
    Nothing,
}

/// State of the authentication of one connection.
pub(crate) struct Authentication<'a> {
    pub(crate) handle: &'a mut Handle<Callbacks>,
    pub(crate) host: &'a Resolved,
    pub(crate) keys: &'a KeyCache,
    pub(crate) notes: &'a SharedNotes,
    trials: &'a Trials,
    /// The host's answer to the password, once it was sent.
    password_taken: Option<bool>,
    /// What was tried or found unusable, for the message.
    log: Vec<String>,
    /// What the server still accepts, once it has said so.
    remaining: Option<MethodSet>,
    /// The hash for RSA signatures, once the server was asked.
    rsa_hash: Option<HashAlg>,
}

impl<'a> Authentication<'a> {
    pub(crate) fn new(
        handle: &'a mut Handle<Callbacks>,
        host: &'a Resolved,
        keys: &'a KeyCache,
        notes: &'a SharedNotes,
        trials: &'a Trials,
    ) -> Self {
        Self {
            handle,
            host,
            keys,
            notes,
            trials,
            password_taken: None,
            log: Vec::new(),
            remaining: None,
            rsa_hash: None,
        }
    }

    /// Runs the whole exchange within a limit of time. Waiting for what other hosts say of the password does not count.
    pub(crate) async fn run(mut self, limit: Duration, peer: &str) -> Result<(), Unreachable> {
        let late = |_| Unreachable::timeout(Phase::Authentication, limit, peer);
        let begun = Instant::now();
        let before = timeout(limit, self.before_password())
            .await
            .map_err(late)??;
        let password = match before {
            Before::Authenticated => return Ok(()),
            Before::Nothing => return Err(self.failure()),
            Before::Password(password) => password,
        };
        let left = limit.saturating_sub(begun.elapsed());
        let entered = self.trials.enter(&self.host.user, &password, peer).await;
        let attempt = match entered {
            Ok(attempt) => attempt,
            Err(given_up) => {
                self.log.push(not_tried(&given_up));
                return Err(self.failure());
            }
        };
        self.still_connected()?;
        let sent = timeout(left, self.try_password(password.reveal())).await;
        let result = sent.map_err(late).and_then(|it| it);
        let dismissed = matches!(&result, Err(lost) if lost.reason == Reason::Auth);
        match self.password_taken {
            Some(true) => attempt.accepted(),
            Some(false) => attempt.refused(),
            None if dismissed => attempt.refused(),
            None => drop(attempt),
        }
        if result? { Ok(()) } else { Err(self.failure()) }
    }

    /// Everything that comes before the password is sent.
    async fn before_password(&mut self) -> Result<Before, Unreachable> {
        let options = &self.host.options;
        if self.wants("publickey")
            && options.pubkey_authentication != Some(false)
            && self.try_keys().await?
        {
            return Ok(Before::Authenticated);
        }
        let Some(password) = self.host.password.clone() else {
            return Ok(Before::Nothing);
        };
        if self.notes.with(|notes| notes.identity_doubtful) {
            self.log
                .push("password not sent, because the host key has changed".to_owned());
            return Ok(Before::Nothing);
        }
        if self.remaining.is_none() {
            // Learn what the server takes first, so that the one attempt goes to a method that exists.
            match self.handle.authenticate_none(self.host.user.clone()).await {
                Ok(AuthResult::Success) => return Ok(Before::Authenticated),
                Ok(AuthResult::Failure {
                    remaining_methods, ..
                }) => self.note_remaining(remaining_methods)?,
                Err(error) => return Err(self.lost(&error.to_string())),
            }
        }
        if !self.takes_password() && !self.takes_prompts() {
            self.log.push(
                "password not sent, because the server or the options do not take passwords"
                    .to_owned(),
            );
            return Ok(Before::Nothing);
        }
        Ok(Before::Password(password))
    }

    /// Is a method among those that the user prefers?
    fn wants(&self, method: &str) -> bool {
        let order = self.host.options.preferred_authentications.as_ref();
        order.is_none_or(|list| list.iter().any(|m| m == method))
    }

    fn takes_password(&self) -> bool {
        let allowed = self.host.options.password_authentication != Some(false);
        self.wants("password") && allowed && self.may(MethodKind::Password)
    }

    fn takes_prompts(&self) -> bool {
        let allowed = self.host.options.kbd_interactive_authentication != Some(false);
        self.wants("keyboard-interactive") && allowed && self.may(MethodKind::KeyboardInteractive)
    }

    fn failure(&self) -> Unreachable {
        let tried = if self.log.is_empty() {
            "there is no key and no password to try".to_owned()
        } else {
            self.log.join("; ")
        };
        let accepts = match &self.remaining {
            Some(methods) if !methods.is_empty() => {
                let names: Vec<String> = methods.iter().map(String::from).collect();
                format!(" (the server accepts {})", names.join(", "))
            }
            _ => String::new(),
        };
        Unreachable::new(
            Reason::Auth,
            format!(
                "authentication as `{}` failed{accepts}: {tried}",
                self.host.user
            ),
        )
    }

    /// Whether the server may still accept `method`.
    fn may(&self, method: MethodKind) -> bool {
        self.remaining
            .as_ref()
            .is_none_or(|methods| methods.contains(&method))
    }

    async fn try_keys(&mut self) -> Result<bool, Unreachable> {
        let mut agent = self.connect_agent().await;
        let offers = self.offers(agent.as_mut()).await;
        let total = offers.len();
        for (number, offer) in offers.into_iter().enumerate() {
            if number == KEY_ATTEMPTS_MAX {
                self.log
                    .push(format!("{} more keys not tried", total - number));
                break;
            }
            if !self.may(MethodKind::PublicKey) {
                break;
            }
            if self.offer(offer, agent.as_mut()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn connect_agent(&mut self) -> Option<Agent> {
        let path = self.host.agent_socket.as_ref()?;
        match AgentClient::connect_uds(path).await {
            Ok(agent) => Some(agent.dynamic()),
            Err(error) => {
                self.log
                    .push(format!("no ssh-agent at {}: {error}", path.display()));
                None
            }
        }
    }

    /// All that can be offered, in order, without repeats.
    async fn offers(&mut self, agent: Option<&mut Agent>) -> Vec<Offer> {
        let mut held = match agent {
            Some(agent) => agent.request_identities().await.unwrap_or_else(|error| {
                self.log
                    .push(format!("the ssh-agent does not answer: {error}"));
                Vec::new()
            }),
            None => Vec::new(),
        };
        let mut certificates = Vec::new();
        let mut keys = Vec::new();
        for path in &self.host.identities {
            let loaded = self.keys.key(path, self.host.key_passphrase.as_ref()).await;
            let unusable = |why: &str| format!("key {} {why}", path.display());
            match &loaded.file {
                KeyFile::Private(key) => {
                    take_key(&mut held, key.public_key());
                    let matching = self.certificates_for(&loaded, key.public_key().key_data());
                    if key.algorithm().is_rsa() && matching.len() > 0 {
                        // The library would sign it with SHA-1; through an agent it takes SHA-2.
                        self.log.push(unusable(
                            "has an RSA certificate, which works through an ssh-agent only",
                        ));
                    } else {
                        certificates
                            .extend(matching.map(|c| Offer::KeyCertificate(Arc::clone(key), c)));
                    }
                    keys.push(Offer::Key(Arc::clone(key)));
                }
                KeyFile::Public { key, .. } if take_key(&mut held, key) => {
                    let matching = self.certificates_for(&loaded, key.key_data());
                    certificates.extend(matching.map(Offer::AgentCertificate));
                    keys.push(Offer::AgentKey(key.clone()));
                }
                KeyFile::Public { why, .. } | KeyFile::Bad(why) => {
                    self.log.push(unusable(&format!("not usable: {why}")));
                }
                KeyFile::Missing if self.host.identities_named => {
                    self.log.push(unusable("does not exist"));
                }
                KeyFile::Missing => {}
            }
        }
        if self.host.options.identities_only != Some(true) {
            for identity in held {
                match identity {
                    AgentIdentity::Certificate { certificate, .. } => {
                        certificates.push(Offer::AgentCertificate(Box::new(certificate)));
                    }
                    AgentIdentity::PublicKey { key, .. } => {
                        keys.push(Offer::AgentKey(Box::new(key)));
                    }
                }
            }
        }
        certificates.extend(keys);
        certificates
    }

    /// Certificates for a key: those that `CertificateFile` names, then the one beside the key's file.
    fn certificates_for(
        &self,
        loaded: &LoadedKey,
        key: &KeyData,
    ) -> std::vec::IntoIter<Box<Certificate>> {
        let named = self
            .host
            .certificates
            .iter()
            .filter_map(|path| self.keys.certificate(path));
        let beside = loaded.certificate.iter().cloned().map(Arc::new);
        let matching: Vec<_> = named
            .chain(beside)
            .filter(|certificate| certificate.public_key() == key)
            .map(|certificate| Box::new(Certificate::clone(&certificate)))
            .collect();
        matching.into_iter()
    }

    async fn offer(
        &mut self,
        offer: Offer,
        agent: Option<&mut Agent>,
    ) -> Result<bool, Unreachable> {
        let user = self.host.user.clone();
        let (result, shown) = match offer {
            Offer::Key(key) => {
                let hash = self.hash_for(key.public_key().key_data()).await?;
                let shown = format!(
                    "{} key {}",
                    key.algorithm(),
                    key.fingerprint(HashAlg::Sha256)
                );
                let signing = PrivateKeyWithHashAlg::new(key, hash);
                (
                    self.handle
                        .authenticate_publickey(user, signing)
                        .await
                        .map_err(|e| e.to_string()),
                    shown,
                )
            }
            Offer::KeyCertificate(key, certificate) => {
                let shown = format!("certificate `{}`", certificate.key_id().escape_debug());
                let sent = self
                    .handle
                    .authenticate_openssh_cert(user, key, *certificate)
                    .await;
                (sent.map_err(|e| e.to_string()), shown)
            }
            Offer::AgentKey(key) => {
                let Some(agent) = agent else { return Ok(false) };
                let hash = self.hash_for(key.key_data()).await?;
                let shown = format!(
                    "agent's {} key {}",
                    key.algorithm(),
                    key.fingerprint(HashAlg::Sha256)
                );
                let sent = self
                    .handle
                    .authenticate_publickey_with(user, *key, hash, agent)
                    .await;
                (sent.map_err(|e| e.to_string()), shown)
            }
            Offer::AgentCertificate(certificate) => {
                let Some(agent) = agent else { return Ok(false) };
                let hash = self.hash_for(certificate.public_key()).await?;
                let shown = format!(
                    "agent's certificate `{}`",
                    certificate.key_id().escape_debug()
                );
                let sent = self
                    .handle
                    .authenticate_certificate_with(user, *certificate, hash, agent)
                    .await;
                (sent.map_err(|e| e.to_string()), shown)
            }
        };
        match result {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
                self.note_remaining(remaining_methods)?;
                let word = if partial_success {
                    "accepted, but the server wants more"
                } else {
                    "refused"
                };
                self.log.push(format!("{shown} {word}"));
                Ok(false)
            }
            Err(error) => {
                self.log.push(format!("{shown}: {error}"));
                self.still_connected()?;
                Ok(false)
            }
        }
    }

    /// The signature hash for an RSA key: never SHA-1.
    async fn hash_for(&mut self, key: &KeyData) -> Result<Option<HashAlg>, Unreachable> {
        if !key.is_rsa() {
            return Ok(None);
        }
        if self.rsa_hash.is_none() {
            let best = self
                .handle
                .best_supported_rsa_hash()
                .await
                .map_err(|e| self.lost(&e.to_string()))?;
            // A server that says nothing understands SHA-512 if it is younger than 2016; one that lists only SHA-1
            // will refuse it, and then so do we.
            self.rsa_hash = best.flatten().or(Some(HashAlg::Sha512));
        }
        Ok(self.rsa_hash)
    }

    async fn try_password(&mut self, password: &str) -> Result<bool, Unreachable> {
        if !self.takes_password() {
            return self.answer_prompts(password).await;
        }
        let sent = self
            .handle
            .authenticate_password(self.host.user.clone(), password)
            .await;
        match sent.map_err(|e| self.lost(&e.to_string()))? {
            AuthResult::Success => {
                self.password_taken = Some(true);
                Ok(true)
            }
            AuthResult::Failure {
                remaining_methods,
                partial_success,
            } => {
                self.note_remaining(remaining_methods)?;
                self.password_taken = Some(partial_success);
                let word = if partial_success {
                    "accepted, but the server wants more"
                } else {
                    "refused"
                };
                self.log.push(format!("password {word}"));
                Ok(false)
            }
        }
    }

    /// Keyboard-interactive: the password for one hidden prompt, nothing for anything else.
    async fn answer_prompts(&mut self, password: &str) -> Result<bool, Unreachable> {
        let started = self
            .handle
            .authenticate_keyboard_interactive_start(self.host.user.clone(), None)
            .await;
        let mut response = started.map_err(|e| self.lost(&e.to_string()))?;
        let mut sent = false;
        for _ in 0..PROMPT_ROUNDS_MAX {
            let answers = match response {
                KeyboardInteractiveAuthResponse::Success => {
                    self.password_taken = sent.then_some(true);
                    return Ok(true);
                }
                KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods, ..
                } => {
                    self.log
                        .push("password (keyboard-interactive) refused".to_owned());
                    self.note_remaining(remaining_methods)?;
                    self.password_taken = sent.then_some(false);
                    return Ok(false);
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    match prompts.as_slice() {
                        [] => Vec::new(),
                        [Prompt { echo: false, .. }] if !sent => {
                            sent = true;
                            vec![password.to_owned()]
                        }
                        _ => {
                            self.log
                                .push("the server asks for more than a password".to_owned());
                            return Ok(false);
                        }
                    }
                }
            };
            let next = self
                .handle
                .authenticate_keyboard_interactive_respond(answers)
                .await;
            response = next.map_err(|e| self.lost(&e.to_string()))?;
        }
        self.log.push("the server keeps asking".to_owned());
        Ok(false)
    }

    /// An empty list means that the connection is gone: the library reports both alike.
    fn note_remaining(&mut self, methods: MethodSet) -> Result<(), Unreachable> {
        self.still_connected()?;
        self.remaining = Some(methods);
        Ok(())
    }

    fn still_connected(&self) -> Result<(), Unreachable> {
        if self.handle.is_closed() {
            Err(self.lost("the connection was closed"))
        } else {
            Ok(())
        }
    }

    /// The connection ended in the authentication. "Too many authentication failures" is an answer; a line that is cut
    /// is none, and says nothing about the credentials.
    fn lost(&self, fallback: &str) -> Unreachable {
        let (words, dismissed) = self
            .notes
            .with(|notes| (notes.ended.clone(), notes.dismissed));
        let words = words.unwrap_or_else(|| fallback.to_owned());
        let tried = if self.log.is_empty() {
            String::new()
        } else {
            format!(": {}", self.log.join("; "))
        };
        let user = &self.host.user;
        if dismissed {
            Unreachable::new(
                Reason::Auth,
                format!("the server ended the authentication as `{user}` ({words}){tried}"),
            )
        } else {
            Unreachable::new(
                Reason::Reset,
                format!(
                    "the connection was cut in the authentication as `{user}` ({words}){tried}"
                ),
            )
        }
    }
}

fn not_tried(given_up: &GivenUp) -> String {
    let hosts = &given_up.refused_by;
    format!(
        "password not tried: {} have refused it and no host has accepted it (--password-trials 0 tries it on every host)",
        hosts.join(", ")
    )
}

/// Removes a key from the agent's list, so that it is not offered twice; whether it was there.
fn take_key(held: &mut Vec<AgentIdentity>, key: &PublicKey) -> bool {
    let before = held.len();
    held.retain(|identity| match identity {
        AgentIdentity::PublicKey { key: other, .. } => other.key_data() != key.key_data(),
        AgentIdentity::Certificate { .. } => true,
    });
    held.len() != before
}
