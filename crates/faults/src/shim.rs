//! A TCP line between a controller and a host that goes wrong at a given byte.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Nothing: they pass.
    #[default]
    Pass,
    /// Each piece waits before it passes.
    Delay(Duration),
    /// So many bytes pass in a second.
    Rate(u32),
    /// After so many bytes both directions are closed.
    Cut(u64),
    /// After so many bytes both directions are reset (RST).
    Reset(u64),
    /// After so many bytes this direction ends (FIN); the other one goes on.
    HalfClose(u64),
    /// After so many bytes nothing arrives any more, and nobody is told.
    Blackhole(u64),
}

impl Way {
    /// How many bytes pass before it goes wrong.
    fn limit(self) -> u64 {
        match self {
            Way::Pass | Way::Delay(_) | Way::Rate(_) => u64::MAX,
            Way::Cut(bytes) | Way::Reset(bytes) | Way::HalfClose(bytes) | Way::Blackhole(bytes) => {
                bytes
            }
        }
    }
}

/// What happens to one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// From the controller to the host.
    pub up: Way,
    /// From the host to the controller.
    pub down: Way,
}

impl Plan {
    /// All passes.
    pub const PASS: Plan = Plan {
        up: Way::Pass,
        down: Way::Pass,
    };

    /// Goes wrong on the way to the host.
    pub fn up(way: Way) -> Self {
        Plan {
            up: way,
            ..Plan::PASS
        }
    }

    /// Goes wrong on the way from the host.
    pub fn down(way: Way) -> Self {
        Plan {
            down: way,
            ..Plan::PASS
        }
    }
}

/// What one connection has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes that reached the host.
    pub up: u64,
    /// Bytes that reached the controller.
    pub down: u64,
}

/// The plan of each connection, by its number from 0.
type Plans = Arc<dyn Fn(usize) -> Plan + Send + Sync>;

#[derive(Default)]
struct Counts {
    up: AtomicU64,
    down: AtomicU64,
    /// The controller has closed its end, or has been closed upon.
    over: AtomicBool,
}

/// A listening line to one host. Dropping it closes everything.
pub struct Shim {
    /// Where the controller connects to.
    pub address: SocketAddr,
    plans: Arc<Mutex<Plans>>,
    connections: Arc<Mutex<Vec<Arc<Counts>>>>,
    accepting: JoinHandle<()>,
    /// Changes when the connections that there are shall end.
    ends: watch::Sender<u64>,
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.accepting.abort();
        self.ends.send_modify(|number| *number += 1);
    }
}

impl Shim {
    /// Listens on a port of loopback for connections to `host`; `plan` is asked what happens to each, by its number.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(
        host: SocketAddr,
        plan: impl Fn(usize) -> Plan + Send + Sync + 'static,
    ) -> std::io::Result<Shim> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let plans: Arc<Mutex<Plans>> = Arc::new(Mutex::new(Arc::new(plan)));
        let connections: Arc<Mutex<Vec<Arc<Counts>>>> = Arc::default();
        let (ends, end) = watch::channel(0_u64);
        let accepting = tokio::spawn({
            let (plans, connections) = (Arc::clone(&plans), Arc::clone(&connections));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let counts = Arc::new(Counts::default());
                    let number = {
                        let mut all = lock(&connections);
                        all.push(Arc::clone(&counts));
                        all.len() - 1
                    };
                    let plan = Arc::clone(&*lock(&plans))(number);
                    let mut end = end.clone();
                    end.mark_unchanged();
                    tokio::spawn(async move {
                        tokio::select! {
                            () = carry(stream, host, plan, &counts) => {}
                            _ = end.changed() => {}
                        }
                        counts.over.store(true, Ordering::SeqCst);
                    });
                }
            }
        });
        Ok(Shim {
            address,
            plans,
            connections,
            accepting,
            ends,
        })
    }

    /// Another plan for connections that come from now on, numbered anew from 0. Those that there are end: what a
    /// blackhole has kept half-open is given up by its host at last.
    pub fn replan(&self, plan: impl Fn(usize) -> Plan + Send + Sync + 'static) {
        self.ends.send_modify(|number| *number += 1);
        let mut connections = lock(&self.connections);
        connections.clear();
        *lock(&self.plans) = Arc::new(plan);
    }

    /// What each connection has carried so far.
    pub fn transferred(&self) -> Vec<Transferred> {
        lock(&self.connections)
            .iter()
            .map(|counts| Transferred {
                up: counts.up.load(Ordering::SeqCst),
                down: counts.down.load(Ordering::SeqCst),
            })
            .collect()
    }

    /// Connections whose controller's end is open.
    pub fn open(&self) -> usize {
        lock(&self.connections)
            .iter()
            .filter(|counts| !counts.over.load(Ordering::SeqCst))
            .count()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How one direction came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Its sender closed it, and that was passed on (or it was half-closed on purpose).
    Finished,
    /// Both directions must end.
    Cut,
    /// Both directions must end with RST.
    Reset,
}

async fn carry(mut controller: TcpStream, host: SocketAddr, plan: Plan, counts: &Counts) {
    let Ok(mut host) = TcpStream::connect(host).await else {
        // The controller sees what it would see without us, but for a connection that opens and closes.
        return;
    };
    // Small answers must not wait for each other, or every test takes seconds.
    let _ = (controller.set_nodelay(true), host.set_nodelay(true));
    if both_ways(&mut controller, &mut host, plan, counts).await == Over::Reset {
        // Where it cannot, they say FIN, and the test that counts on RST notices.
        let _ = (controller.set_zero_linger(), host.set_zero_linger());
    }
}

async fn both_ways(
    controller: &mut TcpStream,
    host: &mut TcpStream,
    plan: Plan,
    counts: &Counts,
) -> Over {
    let (from_controller, to_controller) = controller.split();
    let (from_host, to_host) = host.split();
    let up = pump(
        from_controller,
        to_host,
        plan.up,
        &counts.up,
        Some(&counts.over),
    );
    let down = pump(from_host, to_controller, plan.down, &counts.down, None);
    tokio::pin!(up, down);
    let (mut up_ended, mut down_ended) = (false, false);
    while !(up_ended && down_ended) {
        let over = tokio::select! {
            over = &mut up, if !up_ended => {
                up_ended = true;
                over
            }
            over = &mut down, if !down_ended => {
                down_ended = true;
                over
            }
        };
        let nobody_is_left = up_ended && matches!(plan.down, Way::Blackhole(_));
        if over != Over::Finished || nobody_is_left {
            return over;
        }
    }
    Over::Finished
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    count: &AtomicU64,
    over: Option<&AtomicBool>,
) -> Over {
    let mut buffer = vec![0; 16 << 10];
    let limit = way.limit();
    loop {
        if count.load(Ordering::SeqCst) >= limit {
            match way {
                Way::Cut(_) => return Over::Cut,
                Way::Reset(_) => return Over::Reset,
                Way::HalfClose(_) => {
                    // Gone already is as good.
                    let _ = to.shutdown().await;
                    swallow(&mut from, &mut buffer).await;
                    return Over::Finished;
                }
                Way::Blackhole(_) => {
                    swallow(&mut from, &mut buffer).await;
                    // Its end is not told either: only the other direction can end the connection.
                    if let Some(over) = over {
                        over.store(true, Ordering::SeqCst);
                    }
                    std::future::pending::<()>().await;
                }
                Way::Pass | Way::Delay(_) | Way::Rate(_) => {}
            }
        }
        let room = usize::try_from(limit - count.load(Ordering::SeqCst)).unwrap_or(usize::MAX);
        let room = room.min(buffer.len());
        let room = match way {
            Way::Rate(bytes) => room.min((bytes as usize / 20).max(1)),
            _ => room,
        };
        let Ok(got) = from.read(&mut buffer[..room]).await else {
            return Over::Reset;
        };
        if got == 0 {
            let _ = to.shutdown().await;
            return Over::Finished;
        }
        match way {
            Way::Delay(time) => tokio::time::sleep(time).await,
            Way::Rate(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => {}
        }
        if to.write_all(&buffer[..got]).await.is_err() {
            return Over::Reset;
        }
        count.fetch_add(got as u64, Ordering::SeqCst);
    }
}

/// Takes what comes and passes nothing on.
async fn swallow(from: &mut ReadHalf<'_>, buffer: &mut [u8]) {
    while from.read(buffer).await.is_ok_and(|got| got > 0) {}
}
