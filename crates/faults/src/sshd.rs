//! An SSH server that misbehaves in a phase of its choice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{
    self, Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::agent::{self, Spoken};
use crate::lie::Lie;

/// The one password that is right where one is wanted.
const PASSWORD: &str = "hunter2";

/// How a server ends its part, where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing more ever comes, and the connection stays.
    Stall,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

/// What a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evil {
    /// Accepts the connection and says nothing.
    BeforeBanner(End),
    /// Lines before the banner, without end.
    EndlessBanner,
    /// A first line without end.
    EndlessLine,
    /// Says that there are too many connections, and closes.
    TooManyConnections,
    /// Says its banner, and then this.
    AfterBanner(End),
    /// After the banner comes a packet that makes no sense.
    GarbageInKeyExchange,
    /// Says its banner and begins the key exchange; after the client's first packet this.
    InKeyExchange(End),
    /// Takes a password (or key), and then this.
    Authentication(End),
    /// Refuses every password and key.
    RefusesEverybody,
    /// Takes the password in a keyboard-interactive prompt only.
    Prompts,
    /// Refuses to open channels.
    RefusesChannels,
    /// Never answers the opening of a channel.
    IgnoresChannels,
    /// Cuts when a channel is opened.
    CutsAtChannel,
    /// Refuses to run commands.
    RefusesCommands,
    /// Accepts a command and does nothing with it.
    IgnoresCommands,
    /// Closes the channel of a command without a word.
    ClosesCommands,
    /// Cuts when a command comes, with a message of its own.
    CutsAtCommand,
    /// Floods the command's output.
    FloodsOutput,
    /// Floods the command's standard error.
    FloodsErrors,
    /// Asks for the agent's program and never reads it.
    NeverReads,
    /// Says that the agent is there, and then this.
    AtMagic(End),
    /// Opens channels of its own.
    OpensChannels,
    /// Its agent lies.
    Agent(Lie),
}

/// What has been seen of the clients.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    connections: AtomicUsize,
    passwords: AtomicUsize,
    keys: AtomicUsize,
    commands: AtomicUsize,
    tasks: AtomicUsize,
    /// Of its own channels: those that a client took, and 100 when all have been tried.
    channels: AtomicUsize,
}

/// A server that misbehaves. Dropping it closes everything.
pub struct EvilSshd {
    /// Where it listens.
    pub address: SocketAddr,
    key: PrivateKey,
    seen: Arc<Seen>,
    open: watch::Receiver<usize>,
    ends: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Drop for EvilSshd {
    fn drop(&mut self) {
        self.accepting.abort();
        self.ends.send_replace(true);
    }
}

impl EvilSshd {
    /// Listens on a port of loopback.
    ///
    /// # Errors
    /// If there is no free port, or no randomness for a host key.
    pub async fn start(evil: Evil) -> std::io::Result<EvilSshd> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let key = new_key().await?;
        let config = Arc::new(config(evil, key.clone()));
        let seen: Arc<Seen> = Arc::default();
        let (count, open) = watch::channel(0);
        let (ends, end) = watch::channel(false);
        let accepting = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    count.send_modify(|open| *open += 1);
                    let connection = Connection::new(evil, Arc::clone(&seen));
                    let (config, count, mut end) =
                        (Arc::clone(&config), count.clone(), end.clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = serve(evil, stream, config, connection) => {}
                            _ = end.wait_for(|over| *over) => {}
                        }
                        count.send_modify(|open| *open -= 1);
                    });
                }
            }
        });
        Ok(EvilSshd {
            address,
            key,
            seen,
            open,
            ends,
            accepting,
        })
    }

    /// Its line in `known_hosts`.
    ///
    /// # Panics
    /// Never: a key that was just made has a text.
    pub fn known_host(&self) -> String {
        let public = self.key.public_key().to_openssh().unwrap_or_default();
        format!("[{}]:{} {public}\n", self.address.ip(), self.address.port())
    }

    /// A `known_hosts` line with a key that is not its own.
    ///
    /// # Errors
    /// If there is no randomness.
    pub async fn wrong_known_host(&self) -> std::io::Result<String> {
        let other = new_key().await?;
        let public = other.public_key().to_openssh().unwrap_or_default();
        Ok(format!(
            "[{}]:{} {public}\n",
            self.address.ip(),
            self.address.port()
        ))
    }

    /// Connections that have come.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Passwords (and answers to prompts) that have been tried.
    pub fn passwords(&self) -> usize {
        self.seen.passwords.load(Ordering::SeqCst)
    }

    /// Keys that have been tried.
    pub fn keys(&self) -> usize {
        self.seen.keys.load(Ordering::SeqCst)
    }

    /// Commands that have been asked for.
    pub fn commands(&self) -> usize {
        self.seen.commands.load(Ordering::SeqCst)
    }

    /// Messages with work that its agents have been given.
    pub fn tasks(&self) -> usize {
        self.seen.tasks.load(Ordering::SeqCst)
    }

    /// Of the channels that [`Evil::OpensChannels`] opened: how many the client took, when all have been tried.
    pub async fn channels_taken(&self) -> usize {
        while self.seen.channels.load(Ordering::SeqCst) < 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.seen.channels.load(Ordering::SeqCst) - 100
    }

    /// Waits until every connection is closed.
    pub async fn all_closed(&self) {
        let mut open = self.open.clone();
        // Only this value could end the counting, and it is here.
        let _ = open.wait_for(|open| *open == 0).await;
    }
}

async fn new_key() -> std::io::Result<PrivateKey> {
    let mut seed = [0; 32];
    let mut random = tokio::fs::File::open("/dev/urandom").await?;
    random.read_exact(&mut seed).await?;
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
}

fn config(evil: Evil, key: PrivateKey) -> Config {
    Config {
        keys: vec![key],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        window_size: if evil == Evil::NeverReads {
            0
        } else {
            Config::default().window_size
        },
        nodelay: true,
        ..Config::default()
    }
}

async fn serve(evil: Evil, mut stream: TcpStream, config: Arc<Config>, connection: Connection) {
    let banner: &[u8] = b"SSH-2.0-evil\r\n";
    let said = match evil {
        Evil::BeforeBanner(end) => return finish(stream, end).await,
        Evil::TooManyConnections => {
            // Whether the client reads it or not, that is all.
            let _ = stream.write_all(b"Exceeded MaxStartups\r\n").await;
            return;
        }
        Evil::EndlessBanner => return pour(stream, &b"tarpit\r\n".repeat(512)).await,
        Evil::EndlessLine => return pour(stream, &[b'x'; 4096]).await,
        Evil::AfterBanner(end) => Some((banner.to_vec(), end)),
        Evil::GarbageInKeyExchange => Some((
            [banner, b"\0\0\0\x08\x02\x14aaaaaaaaaaaa"].concat(),
            End::Stall,
        )),
        Evil::InKeyExchange(end) => Some(([banner, &key_exchange_init()].concat(), end)),
        _ => None,
    };
    if let Some((bytes, end)) = said {
        if stream.write_all(&bytes).await.is_ok() {
            // The client's own banner, so that it has not to be written when the end comes.
            let mut buffer = [0; 256];
            let _ = stream.read(&mut buffer).await;
            finish(stream, end).await;
        }
        return;
    }
    let reset = connection.reset.clone();
    // The library runs a connection in a task of its own; what it talks to is a pipe that is ours to break.
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let served = tokio::spawn(async move {
        if let Ok(session) = server::run_stream(config, theirs, connection).await {
            // A connection that breaks is what is wanted.
            let _ = session.await;
        }
    });
    let (mut from_server, mut to_server) = tokio::io::split(ours);
    let (mut from_client, mut to_client) = stream.split();
    tokio::select! {
        // Either side may end it, in any way.
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
        () = reset.wait() => {
            let end = match evil {
                Evil::Authentication(end) | Evil::AtMagic(end) => end,
                _ => End::Close,
            };
            finish(stream, end).await;
        }
    }
    served.abort();
}

/// A key exchange packet (RFC 4253 §7.1) of algorithms that are all ours, so that the client answers it.
fn key_exchange_init() -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    for names in [
        "curve25519-sha256",
        "ssh-ed25519",
        "chacha20-poly1305@openssh.com",
        "chacha20-poly1305@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ] {
        payload.extend(u32::try_from(names.len()).unwrap_or_default().to_be_bytes());
        payload.extend(names.as_bytes());
    }
    payload.extend([0; 5]);
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + 1 + padding).unwrap_or_default();
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap_or_default());
    packet.extend(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// Writes the same again and again, until the client has enough.
async fn pour(mut stream: TcpStream, bytes: &[u8]) {
    while stream.write_all(bytes).await.is_ok() {}
}

async fn finish(mut stream: TcpStream, end: End) {
    match end {
        End::Stall => {
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).await.is_ok_and(|got| got > 0) {}
        }
        End::Close => {}
        End::Reset => {
            // Where it cannot, it says FIN.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Ends a connection from within one of its handlers.
#[derive(Clone)]
struct ResetSwitch(watch::Sender<bool>);

impl ResetSwitch {
    fn pull(&self) {
        self.0.send_replace(true);
    }

    async fn wait(&self) {
        let mut pulled = self.0.subscribe();
        // The sender is in `self`.
        let _ = pulled.wait_for(|pulled| *pulled).await;
    }
}

struct Connection {
    evil: Evil,
    seen: Arc<Seen>,
    reset: ResetSwitch,
    channels: Vec<Channel<Msg>>,
    /// Openings that are never answered.
    unanswered: Arc<Mutex<Vec<ChannelOpenHandle>>>,
}

impl Connection {
    fn new(evil: Evil, seen: Arc<Seen>) -> Self {
        Connection {
            evil,
            seen,
            reset: ResetSwitch(watch::Sender::new(false)),
            channels: Vec::new(),
            unanswered: Arc::default(),
        }
    }

    async fn credential(&self) -> Auth {
        match self.evil {
            Evil::RefusesEverybody | Evil::Prompts => Auth::reject(),
            Evil::Authentication(End::Stall) => std::future::pending().await,
            Evil::Authentication(End::Close | End::Reset) => {
                self.reset.pull();
                std::future::pending().await
            }
            _ => Auth::Accept,
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        let methods = match self.evil {
            Evil::Prompts => vec![MethodKind::KeyboardInteractive],
            Evil::RefusesEverybody | Evil::Authentication(_) => {
                vec![MethodKind::PublicKey, MethodKind::Password]
            }
            _ => return Ok(Auth::Accept),
        };
        Ok(Auth::Reject {
            proceed_with_methods: Some(MethodSet::from(&methods[..])),
            partial_success: false,
        })
    }

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<Auth, Self::Error> {
        self.seen.passwords.fetch_add(1, Ordering::SeqCst);
        Ok(self.credential().await)
    }

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        self.seen.keys.fetch_add(1, Ordering::SeqCst);
        Ok(self.credential().await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let answer = response.and_then(|mut answers| answers.next());
        Ok(match answer {
            None => Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            },
            Some(answer) => {
                self.seen.passwords.fetch_add(1, Ordering::SeqCst);
                if answer[..] == *PASSWORD.as_bytes() {
                    Auth::Accept
                } else {
                    Auth::reject()
                }
            }
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.evil {
            Evil::RefusesChannels => {
                reply.reject(ChannelOpenFailure::ResourceShortage).await;
                return Ok(());
            }
            Evil::IgnoresChannels => {
                let mut unanswered = self
                    .unanswered
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                unanswered.push(reply);
                return Ok(());
            }
            Evil::CutsAtChannel => {
                self.reset.pull();
                return Ok(());
            }
            Evil::OpensChannels => {
                tokio::spawn(open_channels(session.handle(), Arc::clone(&self.seen)));
            }
            _ => {}
        }
        self.channels.push(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.seen.commands.fetch_add(1, Ordering::SeqCst);
        if self.evil == Evil::RefusesCommands {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        let Some(at) = self.channels.iter().position(|it| it.id() == channel) else {
            return Ok(());
        };
        let open = self.channels.swap_remove(at);
        match self.evil {
            Evil::ClosesCommands => session.close(channel)?,
            Evil::CutsAtCommand => {
                session.disconnect(russh::Disconnect::ByApplication, "evil\u{1b}[2J", "")?;
            }
            Evil::FloodsOutput => drop(tokio::spawn(flood(open, false))),
            Evil::FloodsErrors => drop(tokio::spawn(flood(open, true))),
            Evil::NeverReads => drop(tokio::spawn(speak(
                open,
                b"hostler-boot at 1\nhostler-boot need\n".to_vec(),
            ))),
            Evil::AtMagic(end) => {
                let magic = hostler_protocol::MAGIC.to_vec();
                let reset = self.reset.clone();
                tokio::spawn(async move {
                    speak_and(open, magic, end, reset).await;
                });
            }
            Evil::Agent(lie) => {
                let spoken = Spoken::to(command, self.seen.connections.load(Ordering::SeqCst));
                let (seen, reset) = (Arc::clone(&self.seen), self.reset.clone());
                tokio::spawn(async move {
                    let ended = agent::speak(open, spoken, lie, &seen.tasks).await;
                    if ended == agent::Ended::CutTheLine {
                        reset.pull();
                    }
                });
            }
            _ => self.channels.push(open),
        }
        Ok(())
    }
}

async fn flood(channel: Channel<Msg>, errors: bool) {
    let bytes = vec![b'y'; 30_000];
    loop {
        let sent = if errors {
            channel.extended_data(1, &bytes[..]).await
        } else {
            channel.data(&bytes[..]).await
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Says something and then nothing more, with the channel open and unread.
async fn speak(channel: Channel<Msg>, words: Vec<u8>) {
    if channel.data(&words[..]).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

async fn speak_and(channel: Channel<Msg>, words: Vec<u8>, end: End, reset: ResetSwitch) {
    if channel.data(&words[..]).await.is_err() {
        return;
    }
    match end {
        End::Stall => std::future::pending::<()>().await,
        // The client has gone, or sees it.
        End::Close => drop(channel.close().await),
        End::Reset => reset.pull(),
    }
}

async fn open_channels(handle: server::Handle, seen: Arc<Seen>) {
    for _ in 0..3 {
        let forwarded = handle.channel_open_forwarded_tcpip("127.0.0.1", 22, "127.0.0.1", 22);
        if forwarded.await.is_ok() {
            seen.channels.fetch_add(1, Ordering::SeqCst);
        }
        if handle.channel_open_agent().await.is_ok() {
            seen.channels.fetch_add(1, Ordering::SeqCst);
        }
    }
    seen.channels.fetch_add(100, Ordering::SeqCst);
}
