//! Connections: one per host for the whole run, with agents as other users on lanes of their own.
//!
//! A host connects when its first task needs it. A connection that was lost is made anew by the next task that asks;
//! a host that could not be reached is tried again only then, too (the engine asks no more for hosts that it lost).

mod become_user;
mod blobs;
mod preview_log;
mod target;
mod turns;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_protocol::{Become, Hello, Lease, Maker, TaskKey};
use hostler_transport::{
    AgentImage, Connector, Lane, LaneOpenError, Link, RawOutput, Reason, Session, Unreachable,
};
use tokio::sync::Mutex as AsyncMutex;

pub(crate) use become_user::{BecomeKeywords, BecomeRequest, become_request};
pub(crate) use blobs::{HostBlobs, Origin as BlobOrigin};
pub(crate) use preview_log::{AgentId, PreviewLog};
pub(crate) use target::{ConnectKeywords, Route, route_of};
pub(crate) use turns::{Turn, Turns};

use crate::failure::Failure;
use crate::recording::Recording;
use preview_log::Contents;

/// How to reach hosts and whom to become, where neither inventory nor playbook says: the command line.
#[derive(Clone, Debug, Default)]
pub struct ConnectDefaults {
    /// `-u`.
    pub user: Option<String>,
    /// `-k`.
    pub password: Option<hostler_value::Secret>,
    /// `--private-key`.
    pub private_key: Option<std::path::PathBuf>,
    /// Passphrase of private keys.
    pub key_passphrase: Option<hostler_value::Secret>,
    /// `-c`.
    pub connection: Option<String>,
    /// `--ssh-common-args` and `--ssh-extra-args`, in this order.
    pub ssh_args: Vec<String>,
    /// `-b`.
    pub r#become: bool,
    /// `--become-method`.
    pub become_method: Option<String>,
    /// `--become-user`.
    pub become_user: Option<String>,
    /// `-K`.
    pub become_password: Option<hostler_value::Secret>,
}

/// All connections of a run.
pub struct Fleet {
    connector: Connector,
    image: AgentImage,
    hosts: Mutex<HashMap<Route, Arc<HostLink>>>,
    lost: Traffic,
    /// By inventory name of the host that the work is done on.
    previews: Mutex<HashMap<String, Arc<PreviewLog>>>,
    contents: Contents,
    sessions: AtomicU64,
}

/// What connections cost.
#[derive(Debug, Default)]
struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
    round_trips: AtomicU64,
}

/// The way to one host.
pub(crate) struct HostLink {
    route: Route,
    blobs: Arc<HostBlobs>,
    stage: AsyncMutex<Stage>,
    /// Boot id of the host when its agent answered last; `None` if none has in this run.
    boot_id: Mutex<Option<String>>,
}

enum Stage {
    /// Not connected.
    Apart,
    /// Connected, no agent: only `raw` was used.
    Bare(Box<Link>),
    /// With an agent.
    Ready(Arc<HostSession>),
}

/// A host with its agent.
pub(crate) struct HostSession {
    pub(crate) session: Session,
    /// Unlike that of any other session of the run.
    number: u64,
    lanes: AsyncMutex<HashMap<BecomeRequest, Lane>>,
    /// What the agents of the lanes said first.
    hellos: Mutex<HashMap<Lane, Hello>>,
    /// Messages that were answered and that the host still keeps, by lane.
    answered: Mutex<HashMap<Lane, Vec<TaskKey>>>,
    /// Lanes whose user's lock is ours.
    leased: AsyncMutex<HashSet<Lane>>,
}

impl Fleet {
    /// No connection yet; `image` is what is sent to hosts.
    pub fn new(connector: Connector, image: AgentImage) -> Self {
        Fleet {
            connector,
            image,
            hosts: Mutex::default(),
            lost: Traffic::default(),
            previews: Mutex::default(),
            contents: Contents::default(),
            sessions: AtomicU64::new(0),
        }
    }

    /// The way to a host; the same one for the same route.
    pub(crate) fn link(&self, route: &Route) -> Arc<HostLink> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || HostLink {
            route: route.clone(),
            blobs: Arc::default(),
            stage: AsyncMutex::new(Stage::Apart),
            boot_id: Mutex::default(),
        };
        hosts
            .entry(route.clone())
            .or_insert_with(|| Arc::new(make()))
            .clone()
    }

    /// What the preview would have done to a host of the inventory.
    pub(crate) fn preview_log(&self, host: &str) -> Arc<PreviewLog> {
        let mut logs = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        logs.entry(host.to_owned()).or_default().clone()
    }

    /// Contents of edits that previews keep.
    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }

    async fn connect(&self, route: &Route) -> Result<Link, Unreachable> {
        match route.target() {
            Some(target) => Ok(Link::Ssh(Box::new(self.connector.connect(target).await?))),
            None => Ok(Link::Local),
        }
    }

    /// The host's agent; connects and starts it if need be.
    pub(crate) async fn session(&self, host: &HostLink) -> Result<Arc<HostSession>, Unreachable> {
        let mut stage = host.stage.lock().await;
        let link = match std::mem::replace(&mut *stage, Stage::Apart) {
            Stage::Ready(ready) if ready.session.ended().is_none() => {
                *stage = Stage::Ready(ready.clone());
                return Ok(ready);
            }
            Stage::Ready(over) => {
                self.count(&over);
                self.connect(&host.route).await?
            }
            Stage::Bare(link) => *link,
            Stage::Apart => self.connect(&host.route).await?,
        };
        let deadlines = self.connector.deadlines();
        let session = Session::start(link, self.image, host.blobs.clone(), deadlines).await?;
        let hellos = HashMap::from([(Lane::FIRST, session.hello().clone())]);
        let ready = Arc::new(HostSession {
            session,
            number: self.sessions.fetch_add(1, Ordering::Relaxed),
            lanes: AsyncMutex::default(),
            hellos: Mutex::new(hellos),
            answered: Mutex::default(),
            leased: AsyncMutex::default(),
        });
        *stage = Stage::Ready(ready.clone());
        Ok(ready)
    }

    /// Runs a command without an agent, through the login shell.
    pub(crate) async fn raw(
        &self,
        host: &HostLink,
        command: &str,
        input: &[u8],
        bytes_max: usize,
    ) -> Result<RawOutput, Unreachable> {
        let mut stage = host.stage.lock().await;
        match &*stage {
            Stage::Ready(ready) if ready.session.ended().is_none() => {
                let ready = ready.clone();
                drop(stage);
                return ready
                    .session
                    .link()
                    .raw_exec(command, input, bytes_max)
                    .await;
            }
            Stage::Bare(_) => {}
            Stage::Ready(_) | Stage::Apart => {
                *stage = Stage::Bare(Box::new(self.connect(&host.route).await?));
            }
        }
        let Stage::Bare(link) = &*stage else {
            return Err(Unreachable::new(Reason::Lost, "the connection is in use"));
        };
        let output = link.raw_exec(command, input, bytes_max).await;
        if output.is_err() {
            *stage = Stage::Apart;
        }
        output
    }

    /// Forgets a host's connection, so that the next task makes a new one.
    pub(crate) async fn reset(&self, host: &HostLink) {
        let before = std::mem::replace(&mut *host.stage.lock().await, Stage::Apart);
        if let Stage::Ready(session) = before {
            self.count(&session);
        }
    }

    fn count(&self, over: &HostSession) {
        let counters = over.session.counters();
        self.lost
            .sent
            .fetch_add(counters.wire_sent, Ordering::Relaxed);
        self.lost
            .received
            .fetch_add(counters.wire_received, Ordering::Relaxed);
        self.lost
            .round_trips
            .fetch_add(counters.round_trips, Ordering::Relaxed);
    }

    /// Ends all connections, side by side, and gives what they cost: bytes sent, bytes received, round trips. `written`:
    /// all answers are on the disk, so that the hosts may forget them.
    pub(crate) async fn close(&self, written: bool) -> (u64, u64, u64) {
        let hosts: Vec<_> = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            hosts.drain().map(|(_, host)| host).collect()
        };
        let mut closing = tokio::task::JoinSet::new();
        for host in hosts {
            // A host that is still busy (cancelled, hanging) is not waited for: dropping it cuts its connection.
            let Ok(mut stage) = host.stage.try_lock() else {
                continue;
            };
            if let Stage::Ready(ready) = std::mem::replace(&mut *stage, Stage::Apart) {
                self.count(&ready);
                if let Some(ready) = Arc::into_inner(ready) {
                    closing.spawn(async move {
                        if written {
                            ready.forget_all().await;
                        }
                        ready.session.close().await;
                    });
                }
            }
        }
        let all = async { while closing.join_next().await.is_some() {} };
        let _slow_ones_are_dropped = tokio::time::timeout(Duration::from_secs(3), all).await;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (
            read(&self.lost.sent),
            read(&self.lost.received),
            read(&self.lost.round_trips),
        )
    }
}

impl HostLink {
    /// Is an agent there that can be asked at once? A link that is in use counts as connected.
    pub(crate) fn is_ready(&self) -> bool {
        self.stage.try_lock().map_or(true, |stage| match &*stage {
            Stage::Ready(ready) => ready.session.ended().is_none(),
            Stage::Apart | Stage::Bare(_) => false,
        })
    }

    /// Was the host there before, in this run?
    pub(crate) fn was_connected(&self) -> bool {
        self.lock_boot_id().is_some()
    }

    /// Takes the boot id that an agent told. Has the host been rebooted since it was there before?
    pub(crate) fn has_rebooted(&self, boot_id: &str) -> bool {
        let before = self.lock_boot_id().replace(boot_id.to_owned());
        before.is_some_and(|before| !before.is_empty() && before != boot_id)
    }

    fn lock_boot_id(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.boot_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Content that this host's tasks may ask for.
    pub(crate) fn blobs(&self) -> &HostBlobs {
        &self.blobs
    }
}

impl HostSession {
    /// The lane of a user; started on first use.
    pub(crate) async fn lane(&self, request: Option<&BecomeRequest>) -> Result<Lane, Failure> {
        let Some(request) = request.filter(|request| !self.is_already(request)) else {
            return Ok(Lane::FIRST);
        };
        let mut lanes = self.lanes.lock().await;
        if let Some(lane) = lanes.get(request) {
            return Ok(*lane);
        }
        match self.session.open_lane(Become::from(request)).await {
            Ok((lane, hello)) => {
                lanes.insert(request.clone(), lane);
                let mut hellos = self.hellos.lock().unwrap_or_else(PoisonError::into_inner);
                hellos.insert(lane, hello);
                Ok(lane)
            }
            Err(LaneOpenError::Refused(refused)) => {
                let said = format!(
                    "cannot become `{}` by {}: {}",
                    request.user,
                    request.program(),
                    refused.message
                );
                Err(Failure::new(said).hint(become_user::hint(refused.kind, request)))
            }
            Err(LaneOpenError::Lost(lost)) => Err(Failure::Unreachable(lost)),
        }
    }

    /// Who works on a lane: the agent, and as whom.
    pub(crate) fn agent(&self, lane: Lane) -> (AgentId, Maker) {
        let session = self.number;
        let hellos = self.hellos.lock().unwrap_or_else(PoisonError::into_inner);
        let maker = hellos.get(&lane).map(|it| it.maker).unwrap_or_default();
        (AgentId { session, lane }, maker)
    }

    /// Does the agent of a lane keep results on the host, so that "never began" is the truth?
    pub(crate) fn keeps_results(&self, lane: Lane) -> bool {
        let hellos = self.hellos.lock().unwrap_or_else(PoisonError::into_inner);
        hellos.get(&lane).is_some_and(|it| it.keeps_results)
    }

    /// Takes the lock of the lane's user on this host for the run, if it is not ours already. Gives who has it.
    pub(crate) async fn lease(
        &self,
        lane: Lane,
        recording: &Recording,
    ) -> Result<Option<Lease>, Failure> {
        let mut leased = self.leased.lock().await;
        if leased.contains(&lane) {
            return Ok(None);
        }
        let (lease, breaks) = (recording.lease.clone(), recording.breaks.clone());
        let held_by = self.session.lease(lane, lease, breaks).await?;
        if held_by.is_none() {
            leased.insert(lane);
        }
        Ok(held_by)
    }

    /// A message was answered, and the answer noted.
    pub(crate) fn answered(&self, lane: Lane, key: TaskKey) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.entry(lane).or_default().push(key);
    }

    /// The messages that were answered so far, for [`HostSession::forget`] when that is on the disk.
    pub(crate) fn take_answered(&self, lane: Lane) -> Vec<TaskKey> {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.remove(&lane).unwrap_or_default()
    }

    /// The host need not keep these answers any longer.
    pub(crate) async fn forget(&self, lane: Lane, keys: Vec<TaskKey>) {
        if !keys.is_empty() {
            // What cannot be told is forgotten in time.
            let _session_may_be_over = self.session.forget(lane, keys).await;
        }
    }

    async fn forget_all(&self) {
        let mut answered =
            std::mem::take(&mut *self.answered.lock().unwrap_or_else(PoisonError::into_inner));
        for (lane, keys) in answered.drain() {
            self.forget(lane, keys).await;
        }
    }

    /// Forgets the lane of a user whose agent ended.
    pub(crate) async fn forget_lane(&self, lane: Lane) {
        self.lanes.lock().await.retain(|_, known| *known != lane);
        self.leased.lock().await.remove(&lane);
    }

    /// Root who becomes root needs no program for it.
    fn is_already(&self, request: &BecomeRequest) -> bool {
        self.session.hello().maker.uid == 0 && matches!(request.user.as_str(), "root" | "0")
    }
}

#[cfg(test)]
mod tests {
    /// A host must not redirect its own connection, nor turn off the look at its key: no variable that is read here can come
    /// from its facts.
    #[test]
    fn no_variable_of_a_connection_can_be_a_fact() {
        let files = [include_str!("target.rs"), include_str!("become_user.rs")];
        let mut names = Vec::new();
        for file in files {
            let parts = file.split("\"ansible_").skip(1);
            names.extend(parts.filter_map(|it| it.split('"').next()));
        }
        assert!(names.len() > 20, "{names:?}");
        names.extend(["sudo_pass", "su_pass", "doas_pass"]);
        for name in names.iter().filter(|it| !it.contains('{')) {
            let name = format!("ansible_{name}");
            assert!(!hostler_vars::can_be_fact(&name), "{name}");
        }
    }
}
