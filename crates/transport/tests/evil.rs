//! Servers that stall, cut and lie, in this process: each ends in its own reason within its deadline, and nothing is
//! left open.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hostler_transport::known_hosts::HostKeyPolicy;
use hostler_transport::ssh_config::{LocalUser, SshConfig};
use hostler_transport::{
    Connector, ConnectorSettings, Deadlines, GateLimits, Link, NoBlobs, Phase, Reason, Session,
    Target, Unreachable,
};
use hostler_value::Secret;
use russh::keys::PrivateKey;
use russh::server::{self, Auth, Response};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use support::keygen;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const SHORT: Duration = Duration::from_millis(300);

fn connector() -> Connector {
    Connector::new(ConnectorSettings {
        local: LocalUser {
            home: "/nonexistent".into(),
            name: "me".into(),
            maker: hostler_protocol::Maker::default(),
            hostname: "here".into(),
        },
        config: SshConfig::default(),
        host_key_policy: HostKeyPolicy::Off,
        deadlines: Deadlines {
            dns: SHORT,
            tcp: SHORT,
            proxy: SHORT,
            banner: SHORT,
            key_exchange: SHORT,
            authentication: SHORT,
            agent: SHORT,
        },
        gate: GateLimits::default(),
    })
}

fn target(port: u16) -> Target {
    let mut target = Target {
        host: "127.0.0.1".into(),
        port: Some(port),
        user: Some("root".into()),
        password: Some(Secret::new("hunter2")),
        ..Target::default()
    };
    target
        .options
        .apply_cli_options("-o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o IdentityAgent=none")
        .expect("options");
    target
}

async fn refusal(port: u16) -> Unreachable {
    connector()
        .connect(&target(port))
        .await
        .map(|_| ())
        .expect_err("no connection")
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    (listener, port)
}

/// Serves each connection with `serve`; what it returns is dropped when the client hangs up, which is reported.
async fn raw_server<F>(serve: fn(TcpStream) -> F) -> (u16, mpsc::UnboundedReceiver<()>)
where
    F: Future<Output = TcpStream> + Send + 'static,
{
    let (listener, port) = listener().await;
    let (hung_up, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let hung_up = hung_up.clone();
            tokio::spawn(async move {
                let mut stream = serve(stream).await;
                let mut bytes = [0; 1024];
                while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
                let _nobody_asks = hung_up.send(());
            });
        }
    });
    (port, receiver)
}

async fn with_bytes(mut stream: TcpStream, bytes: &[u8]) -> TcpStream {
    stream.write_all(bytes).await.expect("write");
    stream
}

#[tokio::test]
async fn a_stall_in_each_phase_is_named_and_leaves_no_socket() {
    let (port, mut hung_up) = raw_server(|stream| async { stream }).await;
    let failure = refusal(port).await;
    assert_eq!(failure.reason, Reason::Timeout(Phase::Banner), "{failure}");
    assert!(
        failure.detail.contains("SSH banner phase within 300 ms"),
        "{failure}"
    );
    hung_up.recv().await.expect("socket closed");

    let (port, mut hung_up) =
        raw_server(|stream| with_bytes(stream, b"Hello\r\nSSH-2.0-tarpit\r\n")).await;
    assert_eq!(
        refusal(port).await.reason,
        Reason::Timeout(Phase::KeyExchange)
    );
    hung_up.recv().await.expect("socket closed");

    // A listener whose queue is full does not answer at all.
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    socket
        .bind("127.0.0.1:0".parse().expect("address"))
        .expect("bind");
    let full = socket.listen(0).expect("listen");
    let port = full.local_addr().expect("address").port();
    let mut queued = Vec::new();
    for _ in 0..4 {
        let connecting = TcpStream::connect(("127.0.0.1", port));
        queued.push(tokio::time::timeout(Duration::from_millis(100), connecting).await);
    }
    assert_eq!(refusal(port).await.reason, Reason::Timeout(Phase::Tcp));
}

#[tokio::test]
async fn what_is_not_ssh_is_told_from_what_is_cut() {
    let (port, _) =
        raw_server(|stream| with_bytes(stream, b"SSH-2.0-x\r\n\0\0\0\x08\x02\x14aaaaaaaaaaaa"))
            .await;
    let failure = refusal(port).await;
    assert_eq!(failure.reason, Reason::Protocol, "{failure}");
    let (port, _) = raw_server(|stream| with_bytes(stream, &[b'x'; 5000])).await;
    assert_eq!(refusal(port).await.reason, Reason::Protocol);
    let endless = |stream| async move {
        let lines = b"line\r\n".repeat(10_000);
        with_bytes(stream, &lines).await
    };
    let (port, _) = raw_server(endless).await;
    assert_eq!(refusal(port).await.reason, Reason::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_cut_before_the_banner_is_tried_again_and_then_a_penalty() {
    let (listener, port) = listener().await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let _gone = stream.write_all(b"Exceeded MaxStartups\r\n").await;
        }
    });
    // Paused time runs ahead whenever everybody waits, so the deadlines of real sockets must be far away.
    let connector = Connector::new(ConnectorSettings {
        local: LocalUser {
            home: "/nonexistent".into(),
            name: "me".into(),
            maker: hostler_protocol::Maker::default(),
            hostname: "here".into(),
        },
        config: SshConfig::default(),
        host_key_policy: HostKeyPolicy::Off,
        deadlines: Deadlines {
            tcp: Duration::from_secs(1 << 30),
            banner: Duration::from_secs(1 << 30),
            ..Deadlines::default()
        },
        gate: GateLimits::default(),
    });
    let failure = connector
        .connect(&target(port))
        .await
        .map(|_| ())
        .expect_err("no connection");
    assert_eq!(failure.reason, Reason::Penalty, "{failure}");
    assert_eq!(accepted.load(Ordering::SeqCst), 6);
}

/// What the in-process SSH server does.
#[derive(Clone, Copy, PartialEq)]
enum Evil {
    /// Takes passwords but never answers.
    StallsInAuthentication,
    /// Refuses every password, after counting it.
    RefusesPasswords,
    /// Takes the password in a keyboard-interactive prompt only.
    Prompts,
    /// Lets everybody in and then does nothing with the command.
    IgnoresCommands,
    /// Lets everybody in and floods the command's output.
    Floods,
    /// Opens a channel of its own.
    OpensChannels,
    /// Cuts the connection when a command comes.
    CutsAtCommand,
}

#[derive(Clone)]
struct Server {
    evil: Evil,
    passwords: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
}

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        let methods = match self.evil {
            Evil::IgnoresCommands | Evil::Floods | Evil::OpensChannels | Evil::CutsAtCommand => {
                return Ok(Auth::Accept);
            }
            Evil::Prompts => MethodKind::KeyboardInteractive,
            Evil::StallsInAuthentication | Evil::RefusesPasswords => MethodKind::Password,
        };
        Ok(Auth::Reject {
            proceed_with_methods: Some(MethodSet::from(&[methods][..])),
            partial_success: false,
        })
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        assert_eq!(password, "hunter2");
        self.passwords.fetch_add(1, Ordering::SeqCst);
        if self.evil == Evil::StallsInAuthentication {
            std::future::pending::<()>().await;
        }
        Ok(Auth::reject())
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        match response.and_then(|mut answers| answers.next()) {
            None => Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            }),
            Some(answer) if &answer[..] == b"hunter2" => Ok(Auth::Accept),
            Some(_) => Ok(Auth::reject()),
        }
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        if self.evil == Evil::OpensChannels {
            let (handle, accepted) = (session.handle(), Arc::clone(&self.accepted));
            tokio::spawn(async move {
                for _ in 0..3 {
                    if handle
                        .channel_open_forwarded_tcpip("127.0.0.1", 22, "127.0.0.1", 22)
                        .await
                        .is_ok()
                    {
                        accepted.fetch_add(1, Ordering::SeqCst);
                    }
                    if handle.channel_open_agent().await.is_ok() {
                        accepted.fetch_add(1, Ordering::SeqCst);
                    }
                }
                accepted.fetch_add(100, Ordering::SeqCst);
            });
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        match self.evil {
            Evil::Floods => {
                let handle = session.handle();
                tokio::spawn(async move {
                    while handle.data(channel, vec![b'y'; 30_000]).await.is_ok() {}
                });
            }
            Evil::CutsAtCommand => {
                session.disconnect(russh::Disconnect::ByApplication, "evil\u{1b}[2J", "")?;
            }
            _ => {}
        }
        Ok(())
    }
}

async fn ssh_server(evil: Evil) -> (u16, Server) {
    let dir = tempfile::tempdir().expect("tempdir");
    keygen(&dir.path().join("hk"), "ed25519", "");
    let key = PrivateKey::read_openssh_file(dir.path().join("hk")).expect("key");
    let config = Arc::new(server::Config {
        keys: vec![key],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        ..server::Config::default()
    });
    let (listener, port) = listener().await;
    let server = Server {
        evil,
        passwords: Arc::default(),
        accepted: Arc::default(),
    };
    let serving = server.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (config, server) = (Arc::clone(&config), serving.clone());
            tokio::spawn(async move {
                if let Ok(session) = server::run_stream(config, stream, server).await {
                    let _ended = session.await;
                }
            });
        }
    });
    (port, server)
}

#[tokio::test]
async fn a_password_is_sent_once_and_a_stall_ends() {
    let (port, server) = ssh_server(Evil::RefusesPasswords).await;
    let failure = refusal(port).await;
    assert_eq!(failure.reason, Reason::Auth);
    assert!(
        failure.detail.contains("password refused") && !failure.detail.contains("hunter2"),
        "{failure}"
    );
    assert_eq!(server.passwords.load(Ordering::SeqCst), 1);

    let (port, server) = ssh_server(Evil::StallsInAuthentication).await;
    assert_eq!(
        refusal(port).await.reason,
        Reason::Timeout(Phase::Authentication)
    );
    assert_eq!(server.passwords.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_single_prompt_is_answered_with_the_password() {
    let (port, _server) = ssh_server(Evil::Prompts).await;
    connector().connect(&target(port)).await.expect("in");
    let mut wrong = target(port);
    wrong.password = Some(Secret::new("other"));
    let failure = connector()
        .connect(&wrong)
        .await
        .map(|_| ())
        .expect_err("refused");
    assert!(failure.detail.contains("keyboard-interactive"), "{failure}");
}

#[tokio::test]
async fn no_password_goes_to_a_host_whose_key_has_changed() {
    let (port, server) = ssh_server(Evil::RefusesPasswords).await;
    let dir = tempfile::tempdir().expect("tempdir");
    keygen(&dir.path().join("other"), "ed25519", "");
    let other = std::fs::read_to_string(dir.path().join("other.pub")).expect("key");
    std::fs::write(
        dir.path().join("known_hosts"),
        format!("[127.0.0.1]:{port} {other}"),
    )
    .expect("write");
    let mut target = target(port);
    target.options.user_known_hosts_files =
        Some(vec![dir.path().join("known_hosts").display().to_string()]);
    let failure = connector()
        .connect(&target)
        .await
        .map(|_| ())
        .expect_err("refused");
    assert_eq!(failure.reason, Reason::Auth);
    assert!(
        failure.detail.contains("the host key has changed"),
        "{failure}"
    );
    assert_eq!(server.passwords.load(Ordering::SeqCst), 0);
}

async fn agent_failure(evil: Evil) -> (Unreachable, Server) {
    let (port, server) = ssh_server(evil).await;
    let connection = connector().connect(&target(port)).await.expect("in");
    let link = Link::Ssh(Box::new(connection));
    let started = Session::start(
        link,
        support::image(),
        Arc::new(NoBlobs),
        connector().deadlines(),
    )
    .await;
    (started.map(|_| ()).expect_err("no agent"), server)
}

#[tokio::test]
async fn commands_that_are_ignored_flooded_or_cut() {
    let (failure, _) = agent_failure(Evil::IgnoresCommands).await;
    assert_eq!(failure.reason, Reason::Timeout(Phase::Agent), "{failure}");
    let (failure, _) = agent_failure(Evil::Floods).await;
    assert!(failure.detail.contains("64 KiB"), "{failure}");
    let (failure, _) = agent_failure(Evil::CutsAtCommand).await;
    assert_eq!(failure.reason, Reason::Lost, "{failure}");
    assert!(
        failure.detail.contains("evil") && !failure.detail.contains('\u{1b}'),
        "{failure}"
    );
}

#[tokio::test]
async fn channels_that_a_server_opens_are_refused() {
    let (_, server) = agent_failure(Evil::OpensChannels).await;
    while server.accepted.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        server.accepted.load(Ordering::SeqCst),
        100,
        "each was refused"
    );
}
