//! The byte stream under an SSH connection: a TCP socket, a channel of a jump host or a proxy command, wrapped so that
//! it can be watched, counted and cut.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Sleep, sleep, timeout};

use crate::failure::{Phase, Reason, Unreachable, printable};
use crate::ssh_config::AddressFamily;

/// RFC 8305 §5: how long one address is tried alone before the next one joins in.
const STAGGER: Duration = Duration::from_millis(250);

/// How much of a proxy command's standard error is kept.
const PROXY_WORDS_MAX: u64 = 4 << 10;

/// Anything that SSH can run over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Bytes on the wire of one connection, encryption included.
#[derive(Debug, Default)]
pub struct WireCounters {
    received: AtomicU64,
    sent: AtomicU64,
}

impl WireCounters {
    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Cuts the stream when dropped. The SSH library runs each connection in a task of its own that outlives a
/// cancelled handshake; without this a server that stalls would keep its socket and task for ever.
#[derive(Debug)]
pub(crate) struct Cut {
    _sender: oneshot::Sender<()>,
}

/// The watched stream that the SSH library gets.
pub(crate) struct Watched {
    inner: Box<dyn Stream>,
    counters: Arc<WireCounters>,
    cut: oneshot::Receiver<()>,
    banner: Option<oneshot::Sender<()>>,
    line: BannerScan,
    stall_limit: Option<Duration>,
    /// Fires if the other side takes nothing for too long; only while something waits to be written.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// Finds the first line that starts with `SSH-` in the bytes that pass by.
#[derive(Default)]
struct BannerScan {
    prefix: Vec<u8>,
    in_other_line: bool,
}

impl BannerScan {
    fn feed(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if byte == b'\n' {
                self.prefix.clear();
                self.in_other_line = false;
            } else if !self.in_other_line {
                self.prefix.push(byte);
                if self.prefix == b"SSH-" {
                    return true;
                }
                self.in_other_line = !b"SSH-".starts_with(&self.prefix);
            }
        }
        false
    }
}

impl Watched {
    /// Wraps a stream; the receiver fires when the server's identification line begins. Where the other side takes no
    /// byte within `stall_limit`, writing fails.
    pub(crate) fn new(
        inner: Box<dyn Stream>,
        stall_limit: Option<Duration>,
    ) -> (Self, Cut, oneshot::Receiver<()>, Arc<WireCounters>) {
        let (sender, cut) = oneshot::channel();
        let (banner, seen) = oneshot::channel();
        let counters = Arc::new(WireCounters::default());
        let watched = Self {
            inner,
            counters: Arc::clone(&counters),
            cut,
            banner: Some(banner),
            line: BannerScan::default(),
            stall_limit,
            stalled: None,
        };
        (watched, Cut { _sender: sender }, seen, counters)
    }

    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.cut).poll(cx).is_ready()
    }

    /// Turns a write that makes no progress for too long into an error.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(limit) = self.stall_limit else {
            return result;
        };
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "nothing that is sent arrives, for {} s now",
                    limit.as_secs()
                ),
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn cut_error() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the connection was given up",
    )
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(cut_error()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if matches!(result, Poll::Ready(Ok(()))) {
            let this = &mut *self;
            let fresh = buf.filled().get(before..).unwrap_or_default();
            this.counters
                .received
                .fetch_add(fresh.len() as u64, Ordering::Relaxed);
            if this.banner.is_some()
                && this.line.feed(fresh)
                && let Some(banner) = this.banner.take()
            {
                let _nobody_waits_any_more = banner.send(());
            }
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(cut_error()));
        }
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &result {
            self.counters
                .sent
                .fetch_add(*written as u64, Ordering::Relaxed);
        }
        self.in_time(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.in_time(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The addresses of a host name, in the resolver's order. Literal addresses ask nobody.
pub(crate) async fn resolve_name(
    host: &str,
    port: u16,
    family: AddressFamily,
    limit: Duration,
) -> Result<Vec<SocketAddr>, Unreachable> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let looked_up = timeout(limit, tokio::net::lookup_host((host, port))).await;
    let found = looked_up
        .map_err(|_| Unreachable::timeout(Phase::Dns, limit, host))?
        .map_err(|error| {
            Unreachable::new(
                Reason::Dns,
                format!("the name `{host}` does not resolve: {error}"),
            )
        })?;
    let addresses: Vec<SocketAddr> = found
        .filter(|address| match family {
            AddressFamily::Any => true,
            AddressFamily::Inet => address.is_ipv4(),
            AddressFamily::Inet6 => address.is_ipv6(),
        })
        .collect();
    if addresses.is_empty() {
        return Err(Unreachable::new(
            Reason::Dns,
            format!("the name `{host}` has no address of the wanted family"),
        ));
    }
    Ok(addresses)
}

/// Connects to the first address that answers, each next one starting a quarter of a second after the one before.
pub(crate) async fn connect_tcp(
    addresses: &[SocketAddr],
    bind: Option<IpAddr>,
    limit: Duration,
) -> Result<TcpStream, Unreachable> {
    let what = addresses
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    match timeout(limit, race(addresses, bind)).await {
        Ok(Ok(stream)) => {
            // Requests are small and each waits for its answer: Nagle's algorithm would only add latency.
            let _best_effort = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(Unreachable::new(
            connect_reason(&error),
            format!("cannot connect to {what}: {error}"),
        )),
        Err(_) => Err(Unreachable::timeout(Phase::Tcp, limit, &what)),
    }
}

fn connect_reason(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::Refused,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => Reason::NoRoute,
        io::ErrorKind::TimedOut => Reason::Timeout(Phase::Tcp),
        _ => Reason::Reset,
    }
}

async fn race(addresses: &[SocketAddr], bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.iter().copied();
    let mut last_error = None;
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(connect_one(address, bind));
        }
        let more = waiting.len() > 0;
        tokio::select! {
            finished = attempts.join_next() => match finished {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => last_error = Some(error),
                Some(Err(error)) => last_error = Some(io::Error::other(error)),
                None if more => {}
                None => return Err(last_error.unwrap_or_else(|| io::Error::other("no address to connect to"))),
            },
            () = tokio::time::sleep(STAGGER), if more => {}
        }
    }
}

async fn connect_one(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(bind) = bind {
        socket.bind(SocketAddr::new(bind, 0))?;
    }
    socket.connect(address).await
}

/// A running `ProxyCommand`; it is killed when the stream goes.
pub(crate) struct ProxyProcess {
    _child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

/// What a proxy command says on standard error.
pub(crate) struct ProxyWords(JoinHandle<Vec<u8>>);

impl ProxyWords {
    fn of(stderr: Option<ChildStderr>) -> Self {
        Self(tokio::spawn(async move {
            let mut words = Vec::new();
            if let Some(mut stderr) = stderr {
                let _what_came_counts = (&mut stderr)
                    .take(PROXY_WORDS_MAX)
                    .read_to_end(&mut words)
                    .await;
                // The rest is read as well: a command that talks much must not block on it.
                let _ended = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
            words
        }))
    }

    /// The words of a command that has ended, as part of a message.
    pub(crate) async fn collect(self) -> String {
        let words = timeout(Duration::from_secs(1), self.0).await;
        let words = printable(&words.ok().and_then(Result::ok).unwrap_or_default(), 300);
        if words.is_empty() {
            words
        } else {
            format!(": {words}")
        }
    }
}

impl ProxyProcess {
    /// Starts `command` with the user's shell rules, its standard streams being the connection.
    pub(crate) fn start(command: &str) -> Result<(Self, ProxyWords), Unreachable> {
        let failed = |error: io::Error| {
            Unreachable::new(
                Reason::Proxy,
                format!("the proxy command `{command}` cannot be started: {error}"),
            )
        };
        let mut child = Command::new("/bin/sh")
            // `exec`, as OpenSSH does, so that killing the child kills the command and not only its shell.
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::Error::other("no pipes")));
        };
        let words = ProxyWords::of(child.stderr.take());
        let process = Self {
            _child: child,
            stdin,
            stdout,
        };
        Ok((process, words))
    }
}

impl AsyncRead for ProxyProcess {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for ProxyProcess {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_ends_in_time() {
        use tokio::io::AsyncWriteExt as _;
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let limit = Duration::from_secs(40);
        let (mut watched, _cut, ..) = Watched::new(Box::new(ours), Some(limit));
        let start = tokio::time::Instant::now();
        let reads_once = async {
            sleep(Duration::from_secs(30)).await;
            let mut buffer = [0; 100];
            theirs.read_exact(&mut buffer).await
        };
        let bytes = [0; 5000];
        let (written, read) = tokio::join!(watched.write_all(&bytes), reads_once);
        assert!(read.is_ok());
        assert_eq!(
            written.map_err(|error| error.kind()),
            Err(io::ErrorKind::TimedOut)
        );
        assert_eq!(start.elapsed().as_secs(), 70);
    }

    #[test]
    fn the_banner_is_found_behind_other_lines_and_in_pieces() {
        let mut scan = BannerScan::default();
        assert!(!scan.feed(b"Welcome to SSH-2.0\r\nS"));
        assert!(!scan.feed(b"SH"));
        assert!(scan.feed(b"-2.0-x\r\n"));
        assert!(BannerScan::default().feed(b"SSH-2.0-x"));
        assert!(!BannerScan::default().feed(b"Exceeded MaxStartups\r\n"));
    }
}
