//! From a [`Target`] to an authenticated SSH connection, with a deadline and a typed failure for every step.
//!
//! ```text
//!   resolve -> gate -> dns -> tcp | jump host | proxy command -> banner -> key exchange + host key -> authentication
//! ```
//!
//! A connection that sshd drops before its banner (`MaxStartups`, `PerSourcePenalties`) is tried again with growing,
//! random pauses; nothing else is, because a second try would only make a lock-out or an overload worse.

mod algorithms;
mod authenticate;
mod connection;
mod host_key;
mod keys;
mod pace;
mod stream;
mod target;
mod trials;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client;
use tokio::sync::oneshot;
use tokio::time::timeout;

use authenticate::Authentication;
use host_key::{Callbacks, HostKeyCheck, SharedNotes};
use keys::KeyCache;
use stream::{ProxyProcess, ProxyWords, Stream, Watched};
use target::{Resolved, Route, Sources};
use trials::{REFUSALS, Trials};

pub use connection::Connection;
pub(crate) use pace::SharedPace;
pub use stream::WireCounters;
pub use target::{Deadlines, Target};

use crate::failure::{Phase, Reason, Unreachable, printable};
use crate::gate::{Gate, GateLimits};
use crate::known_hosts::{HostKeyPolicy, KnownHostsStore};
use crate::ssh_config::{ConfigFileChoice, ConfigProblem, LocalUser, Proxy, SshConfig};

/// Tries when sshd drops the connection before its banner; with the pauses below, 10 to 20 s in all.
const PENALTY_ATTEMPTS_MAX: u32 = 6;
/// The first pause; each next one is twice as long, and each is scaled by a random factor between 0.5 and 1.5.
const PENALTY_PAUSE: Duration = Duration::from_millis(300);
/// Hosts on the way to a host. More is a loop in the configuration.
const HOPS_MAX: usize = 8;

/// Settings of a [`Connector`].
#[derive(Debug)]
pub struct ConnectorSettings {
    /// Who runs this.
    pub local: LocalUser,
    /// The `ssh_config` files, read.
    pub config: SshConfig,
    /// The policy where neither options nor files set `StrictHostKeyChecking`.
    pub host_key_policy: HostKeyPolicy,
    /// Deadlines of the steps.
    pub deadlines: Deadlines,
    /// How many connect at once.
    pub gate: GateLimits,
    /// So many hosts must refuse a password, and none accept it, for it to be tried on no other; 0 tries it on all.
    pub password_trials: u32,
}

impl ConnectorSettings {
    /// [`ConnectorSettings::password_trials`] where nobody says otherwise.
    pub const PASSWORD_TRIALS: u32 = REFUSALS;

    /// The settings of the user who runs this: `~/.ssh/config` and `/etc/ssh/ssh_config` (or `config_file`, as
    /// `ssh -F`), strict host keys, the usual deadlines and limits. The problems are those of the files; the sound
    /// lines count all the same.
    pub fn for_user(config_file: Option<&Path>) -> (Self, Vec<ConfigProblem>) {
        let local = LocalUser::from_env();
        let (config, problems) = match config_file {
            Some(path) => SshConfig::load(path, &local),
            None => SshConfig::load_default(&local),
        };
        let settings = Self {
            local,
            config,
            host_key_policy: HostKeyPolicy::Strict,
            deadlines: Deadlines::default(),
            gate: GateLimits::default(),
            password_trials: REFUSALS,
        };
        (settings, problems)
    }
}

/// Makes connections; one per run, so that files, keys and limits are shared by all hosts.
#[derive(Debug)]
pub struct Connector {
    settings: ConnectorSettings,
    known_hosts: Arc<KnownHostsStore>,
    keys: KeyCache,
    gate: Gate,
    trials: Trials,
    /// Files named with `-F`.
    other_configs: Mutex<HashMap<PathBuf, SshConfig>>,
}

/// An open stream to a server, before SSH begins.
struct Opened {
    stream: Box<dyn Stream>,
    via: Option<Box<Connection>>,
    words: Option<ProxyWords>,
}

impl Connector {
    /// A connector with these settings.
    pub fn new(settings: ConnectorSettings) -> Self {
        Self {
            gate: Gate::new(settings.gate),
            trials: Trials::new(settings.password_trials),
            settings,
            known_hosts: Arc::new(KnownHostsStore::default()),
            keys: KeyCache::default(),
            other_configs: Mutex::new(HashMap::new()),
        }
    }

    /// The deadlines in force.
    pub fn deadlines(&self) -> Deadlines {
        self.settings.deadlines
    }

    /// Connects and authenticates.
    pub async fn connect(&self, target: &Target) -> Result<Connection, Unreachable> {
        Box::pin(self.connect_hop(target, 0)).await
    }

    async fn connect_hop(&self, target: &Target, hop: usize) -> Result<Connection, Unreachable> {
        if hop > HOPS_MAX {
            return Err(Unreachable::new(
                Reason::Config,
                format!("more than {HOPS_MAX} jump hosts: a ProxyJump loop?"),
            ));
        }
        let resolved = self.resolve(target)?;
        let attempts = resolved
            .options
            .connection_attempts
            .unwrap_or(1)
            .clamp(1, 10);
        let mut penalties = 0;
        let mut tries = 0;
        loop {
            let failure = match Box::pin(self.attempt(&resolved, hop)).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => failure,
            };
            match failure.reason {
                Reason::Penalty if penalties + 1 < PENALTY_ATTEMPTS_MAX => {
                    tokio::time::sleep(jittered(PENALTY_PAUSE * 2_u32.pow(penalties))).await;
                    penalties += 1;
                }
                Reason::Refused | Reason::NoRoute | Reason::Timeout(Phase::Tcp)
                    if tries + 1 < attempts =>
                {
                    // `ssh_config(5)`, ConnectionAttempts: one try a second.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    tries += 1;
                }
                _ => return Err(failure),
            }
        }
    }

    fn resolve(&self, target: &Target) -> Result<Resolved, Unreachable> {
        let config = match &target.options.config_file {
            None => self.settings.config.clone(),
            Some(ConfigFileChoice::None) => SshConfig::default(),
            Some(ConfigFileChoice::File(path)) => self.other_config(path)?,
        };
        let sources = Sources {
            config: &config,
            local: &self.settings.local,
            default_policy: self.settings.host_key_policy,
            deadlines: self.settings.deadlines,
        };
        target::resolve(target, &sources)
    }

    fn other_config(&self, path: &Path) -> Result<SshConfig, Unreachable> {
        let mut configs = self
            .other_configs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(path) {
            return Ok(config.clone());
        }
        let (config, problems) = SshConfig::load(path, &self.settings.local);
        if let Some(problem) = problems
            .iter()
            .find(|p| p.severity == crate::ssh_config::Severity::Error)
        {
            return Err(Unreachable::new(Reason::Config, problem.to_string()));
        }
        configs.insert(path.to_owned(), config.clone());
        Ok(config)
    }

    /// One try of one hop, under the gate.
    async fn attempt(&self, resolved: &Resolved, hop: usize) -> Result<Connection, Unreachable> {
        // The jump host first: it has its own place in the gate, which must be free again before this hop asks.
        let via = match &resolved.route {
            Route::Jump(hops) => Some(Box::new(self.connect_jump(hops, hop).await?)),
            Route::Direct | Route::Command { .. } => None,
        };
        let mut permit = self.gate.enter(&resolved.bottleneck()).await;
        let connecting = async {
            let opened = self.open(resolved, via).await?;
            self.handshake(resolved, opened).await
        };
        let result = permit.hold(Box::pin(connecting)).await;
        if matches!(&result, Err(failure) if failure.reason == Reason::Penalty) {
            permit.penalised();
        }
        result
    }

    async fn connect_jump(
        &self,
        hops: &[crate::ssh_config::JumpHost],
        hop: usize,
    ) -> Result<Connection, Unreachable> {
        let Some((last, before)) = hops.split_last() else {
            return Err(Unreachable::new(
                Reason::Config,
                "the ProxyJump list is empty",
            ));
        };
        // As `ssh -J`: a jump host gets its options from the configuration files, not from the host behind it.
        let mut target = Target {
            host: last.host.clone(),
            port: last.port,
            user: last.user.clone(),
            ..Target::default()
        };
        if !before.is_empty() {
            target.options.proxy = Some(Proxy::Jump(before.to_vec()));
        }
        let connected = Box::pin(self.connect_hop(&target, hop + 1)).await;
        connected.map_err(|failure| Unreachable {
            detail: format!("jump host {}: {}", last.host, failure.detail),
            // Our own configuration and the identity of the jump host keep their own status.
            reason: match failure.reason {
                reason @ (Reason::Config
                | Reason::HostKeyUnknown
                | Reason::HostKeyChanged
                | Reason::HostKeyRevoked) => reason,
                _ => Reason::Proxy,
            },
        })
    }

    /// Opens the stream that SSH will run over.
    async fn open(
        &self,
        resolved: &Resolved,
        via: Option<Box<Connection>>,
    ) -> Result<Opened, Unreachable> {
        let Resolved {
            host,
            port,
            deadlines,
            ..
        } = resolved;
        if let Some(via) = via {
            let opening = via.handle.channel_open_direct_tcpip(
                host.clone(),
                u32::from(*port),
                "127.0.0.1",
                0,
            );
            let channel = timeout(deadlines.proxy, opening)
                .await
                .map_err(|_| Unreachable::timeout(Phase::Proxy, deadlines.proxy, host))?
                .map_err(|error| {
                    let detail = format!(
                        "the jump host {} does not open a way to {host}:{port}: {error}",
                        via.peer
                    );
                    Unreachable::new(Reason::Proxy, detail)
                })?;
            return Ok(Opened {
                stream: Box::new(channel.into_stream()),
                via: Some(via),
                words: None,
            });
        }
        if let Route::Command { command, .. } = &resolved.route {
            let (process, words) = ProxyProcess::start(command)?;
            return Ok(Opened {
                stream: Box::new(process),
                via: None,
                words: Some(words),
            });
        }
        let addresses =
            stream::resolve_name(host, *port, resolved.address_family(), deadlines.dns).await?;
        let tcp = stream::connect_tcp(&addresses, resolved.bind, deadlines.tcp).await?;
        Ok(Opened {
            stream: Box::new(tcp),
            via: None,
            words: None,
        })
    }

    async fn handshake(
        &self,
        resolved: &Resolved,
        opened: Opened,
    ) -> Result<Connection, Unreachable> {
        let peer = format!("{}:{}", resolved.host, resolved.port);
        let notes = SharedNotes::default();
        notes.with(|notes| {
            notes
                .warnings
                .extend(resolved.options.warnings.iter().cloned());
        });
        let check = self.host_key_check(resolved).await;
        let config = Arc::new(client_config(resolved, &check)?);
        let (watched, cut, banner, counters) = Watched::new(opened.stream, stall_limit(resolved));
        let pace = SharedPace::default();
        let callbacks = Callbacks {
            check,
            notes: notes.clone(),
            pace: SharedPace::clone(&pace),
        };
        let exchanged = exchange_keys(resolved, &peer, config, (watched, banner), callbacks).await;
        let mut handle = match (exchanged, opened.words) {
            (Ok(handle), _) => handle,
            (Err(mut failure), Some(words)) if failure.reason == Reason::Proxy => {
                failure.detail.push_str(&words.collect().await);
                return Err(failure);
            }
            (Err(failure), _) => return Err(failure),
        };
        let limit = resolved.deadlines.authentication;
        Authentication::new(&mut handle, resolved, &self.keys, &notes, &self.trials)
            .run(limit, &peer)
            .await?;
        Ok(Connection {
            handle,
            notes,
            counters,
            pace,
            peer,
            _cut: cut,
            _via: opened.via,
        })
    }

    async fn host_key_check(&self, resolved: &Resolved) -> HostKeyCheck {
        let store = Arc::clone(&self.known_hosts);
        let name = resolved.known_hosts_name.clone();
        let files: Vec<PathBuf> = resolved.known_hosts_files().map(PathBuf::from).collect();
        let lookup = {
            let (store, name) = (Arc::clone(&store), name.clone());
            move || store.lookup(files.iter().map(PathBuf::as_path), &name)
        };
        // Reading files blocks. If that thread dies, nothing is known, which the strict policy refuses.
        let records = tokio::task::spawn_blocking(lookup)
            .await
            .unwrap_or_else(|_| KnownHostsStore::default().lookup(std::iter::empty(), &name));
        HostKeyCheck {
            records,
            policy: resolved.policy,
            store,
            record_in: resolved.user_known_hosts.first().cloned(),
            hashed: resolved.options.hash_known_hosts == Some(true),
        }
    }
}

/// How often a silent server is asked for a sign of life, and how often in vain until it counts as dead: within 45 s
/// together, since one interval more passes before the last question counts.
const ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const ALIVE_COUNT_MAX: usize = 3;

/// How often a silent server is asked, and how often in vain; `None` if the user wants that it is not.
fn alive_limits(resolved: &Resolved) -> (Option<Duration>, usize) {
    let options = &resolved.options;
    let interval = options.server_alive_interval.unwrap_or(ALIVE_INTERVAL);
    let count = options.server_alive_count_max;
    let count = count.map_or(ALIVE_COUNT_MAX, |count| count as usize);
    ((!interval.is_zero()).then_some(interval), count)
}

/// How long a server may take no byte of what is sent to it. The questions above go the same way, and the library looks
/// at nothing else while it writes.
fn stall_limit(resolved: &Resolved) -> Option<Duration> {
    let (interval, count) = alive_limits(resolved);
    let times = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    interval
        .filter(|_| count > 0)
        .map(|it| it.saturating_mul(times))
}

fn client_config(resolved: &Resolved, check: &HostKeyCheck) -> Result<client::Config, Unreachable> {
    let (keepalive_interval, keepalive_max) = alive_limits(resolved);
    Ok(client::Config {
        preferred: algorithms::preferred(&resolved.options, &check.records)?,
        nodelay: true,
        keepalive_interval,
        keepalive_max,
        // Two MiB on the way cover 100 ms at 20 MiB/s, and bound what one host can make us hold.
        window_size: 2 << 20,
        maximum_packet_size: 32 << 10,
        ..client::Config::default()
    })
}

/// Banner and key exchange, each under its own deadline.
async fn exchange_keys(
    resolved: &Resolved,
    peer: &str,
    config: Arc<client::Config>,
    (watched, mut banner): (Watched, oneshot::Receiver<()>),
    callbacks: Callbacks,
) -> Result<client::Handle<Callbacks>, Unreachable> {
    let notes = callbacks.notes.clone();
    let connecting = client::connect_stream(config, watched, callbacks);
    tokio::pin!(connecting);
    let limit = resolved.deadlines.banner;
    let mut banner_seen = false;
    let early = timeout(limit, async {
        tokio::select! {
            result = &mut connecting => Some(result),
            seen = &mut banner => {
                banner_seen = seen.is_ok();
                None
            }
        }
    })
    .await
    .map_err(|_| Unreachable::timeout(Phase::Banner, limit, peer))?;
    let limit = resolved.deadlines.key_exchange;
    let result = match early {
        Some(result) => result,
        None => timeout(limit, connecting)
            .await
            .map_err(|_| Unreachable::timeout(Phase::KeyExchange, limit, peer))?,
    };
    result.map_err(|error| {
        banner_seen |= banner.try_recv().is_ok();
        let refusal = notes.with(|notes| notes.refusal.take());
        refusal.unwrap_or_else(|| handshake_failure(resolved, peer, banner_seen, &error))
    })
}

fn handshake_failure(
    resolved: &Resolved,
    peer: &str,
    banner_seen: bool,
    error: &russh::Error,
) -> Unreachable {
    let cut_off = matches!(
        error,
        russh::Error::Disconnect
            | russh::Error::HUP
            | russh::Error::IO(_)
            | russh::Error::SendError
    );
    match (banner_seen, cut_off) {
        (false, true) if matches!(resolved.route, Route::Command { .. }) => Unreachable::new(
            Reason::Proxy,
            format!("the proxy command to {peer} ended before the server's banner"),
        ),
        (false, true) => Unreachable::new(
            Reason::Penalty,
            format!(
                "{peer} closed the connection before its SSH banner (MaxStartups or a penalty of its sshd?)"
            ),
        ),
        (true, true) => Unreachable::new(
            Reason::Reset,
            format!("{peer} closed the connection in the key exchange"),
        ),
        (_, false) => Unreachable::new(
            Reason::Protocol,
            format!("{peer}: {}", printable(error.to_string().as_bytes(), 500)),
        ),
    }
}

/// A pause scaled by a random factor between 0.5 and 1.5, so that hosts that were dropped together do not return
/// together.
fn jittered(pause: Duration) -> Duration {
    // The standard library seeds each `RandomState` differently; that is random enough to spread a herd.
    let random = RandomState::new().hash_one(0_u8) % 1000;
    #[expect(clippy::cast_precision_loss, reason = "below 1000")]
    let factor = 0.5 + random as f64 / 1000.0;
    pause.mul_f64(factor)
}
