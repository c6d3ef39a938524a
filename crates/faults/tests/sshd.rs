//! Servers that stall, cut, flood and lie in every phase: each ends in its own reason within its deadline, and nothing is
//! left open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hostler_faults::{End, Evil, EvilSshd, Lie, Plan, Shim, Way};
use hostler_transport::known_hosts::HostKeyPolicy;
use hostler_transport::ssh_config::{LocalUser, SshConfig};
use hostler_transport::{
    AgentImage, Connector, ConnectorSettings, Deadlines, GateLimits, Link, NoBlobs, Phase, Reason,
    Session, Target, Unreachable,
};
use hostler_value::Secret;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// A program that no host ever runs: evil agents know only its hash.
const IMAGE: AgentImage = AgentImage {
    bytes: &[b'x'; 1 << 20],
    sha256: [0x5a; 32],
    machine: std::env::consts::ARCH,
};
const SHORT: Duration = Duration::from_millis(300);
/// Long enough for everything that is not meant to take long.
const LONG: Duration = Duration::from_secs(60);

fn deadlines(all: Duration) -> Deadlines {
    Deadlines {
        dns: all,
        tcp: all,
        proxy: all,
        banner: all,
        key_exchange: all,
        authentication: all,
        agent: all,
        silence: all,
    }
}

fn connector(deadlines: Deadlines) -> Connector {
    Connector::new(ConnectorSettings {
        local: LocalUser {
            home: "/nonexistent".into(),
            name: "me".into(),
            uid: 0,
            hostname: "here".into(),
        },
        config: SshConfig::default(),
        host_key_policy: HostKeyPolicy::Off,
        deadlines,
        gate: GateLimits::default(),
        password_trials: ConnectorSettings::PASSWORD_TRIALS,
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

/// Connects and starts an agent; gives why that failed.
async fn failure_at(port: u16, deadlines: Deadlines) -> Option<Unreachable> {
    let connector = connector(deadlines);
    let connection = match connector.connect(&target(port)).await {
        Ok(connection) => connection,
        Err(failure) => return Some(failure),
    };
    let link = Link::Ssh(Box::new(connection));
    match Session::start(link, IMAGE, Arc::new(NoBlobs), deadlines).await {
        Ok(session) => {
            session.close().await;
            None
        }
        Err(failure) => Some(failure),
    }
}

/// The failure of a server of this kind. Where it stalls, the phase in which it does has a short deadline.
async fn failure(evil: Evil, deadlines: Deadlines) -> (Unreachable, EvilSshd) {
    let server = EvilSshd::start(evil).await.expect("server");
    let failing = failure_at(server.address.port(), deadlines);
    let failure = tokio::time::timeout(LONG, failing)
        .await
        .unwrap_or_else(|_| panic!("{evil:?} keeps the controller waiting for ever"))
        .unwrap_or_else(|| panic!("{evil:?} is taken for a good host"));
    tokio::time::timeout(LONG, server.all_closed())
        .await
        .unwrap_or_else(|_| panic!("{evil:?} leaves a connection open"));
    (failure, server)
}

#[tokio::test]
async fn a_stall_in_each_phase_is_named_and_leaves_no_socket() {
    let short = |phase| {
        let mut all = deadlines(LONG);
        match phase {
            Phase::Banner => all.banner = SHORT,
            Phase::KeyExchange => all.key_exchange = SHORT,
            Phase::Authentication => all.authentication = SHORT,
            _ => all.agent = SHORT,
        }
        all
    };
    for (evil, phase) in [
        (Evil::BeforeBanner(End::Stall), Phase::Banner),
        (Evil::AfterBanner(End::Stall), Phase::KeyExchange),
        (Evil::InKeyExchange(End::Stall), Phase::KeyExchange),
        (Evil::Authentication(End::Stall), Phase::Authentication),
        (Evil::IgnoresChannels, Phase::Agent),
        (Evil::IgnoresCommands, Phase::Agent),
        (Evil::AtMagic(End::Stall), Phase::Agent),
        (Evil::NeverReads, Phase::Agent),
    ] {
        let (failure, server) = failure(evil, short(phase)).await;
        assert_eq!(
            failure.reason,
            Reason::Timeout(phase),
            "{evil:?}: {failure}"
        );
        assert!(
            failure.detail.contains("within 300 ms"),
            "{evil:?}: {failure}"
        );
        assert_eq!(server.connections(), 1, "{evil:?}: tried again");
    }
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
    let failure = failure_at(port, deadlines(SHORT)).await.expect("no answer");
    assert_eq!(failure.reason, Reason::Timeout(Phase::Tcp));
}

#[tokio::test]
async fn a_cut_in_each_phase_is_named() {
    for (evil, reason) in [
        (Evil::AfterBanner(End::Close), Reason::Reset),
        (Evil::AfterBanner(End::Reset), Reason::Reset),
        (Evil::InKeyExchange(End::Close), Reason::Reset),
        (Evil::InKeyExchange(End::Reset), Reason::Reset),
        (Evil::Authentication(End::Close), Reason::Reset),
        (Evil::Authentication(End::Reset), Reason::Reset),
        (Evil::RefusesChannels, Reason::Lost),
        (Evil::CutsAtChannel, Reason::Lost),
        (Evil::RefusesCommands, Reason::Agent),
        (Evil::ClosesCommands, Reason::Lost),
        (Evil::CutsAtCommand, Reason::Lost),
        (Evil::AtMagic(End::Close), Reason::Agent),
        (Evil::AtMagic(End::Reset), Reason::Lost),
    ] {
        let (failure, _) = failure(evil, deadlines(LONG)).await;
        assert_eq!(failure.reason, reason, "{evil:?}: {failure}");
        assert!(!failure.detail.contains('\u{1b}'), "{evil:?}: {failure}");
        assert!(!failure.detail.contains("hunter2"), "{evil:?}: {failure}");
    }
}

#[tokio::test]
async fn floods_and_what_is_not_ssh_are_refused_within_bounds() {
    for (evil, reason) in [
        (Evil::EndlessBanner, Reason::Protocol),
        (Evil::EndlessLine, Reason::Protocol),
        (Evil::GarbageInKeyExchange, Reason::Protocol),
        (Evil::FloodsOutput, Reason::Agent),
    ] {
        let (failure, _) = failure(evil, deadlines(LONG)).await;
        assert_eq!(failure.reason, reason, "{evil:?}: {failure}");
    }
    let (flooded, _) = failure(Evil::FloodsOutput, deadlines(LONG)).await;
    assert!(flooded.detail.contains("64 KiB"), "{flooded}");
    // Standard error is read and all but its end thrown away: only the deadline ends it.
    let mut short = deadlines(LONG);
    short.agent = SHORT;
    let (flooded, _) = failure(Evil::FloodsErrors, short).await;
    assert_eq!(flooded.reason, Reason::Timeout(Phase::Agent), "{flooded}");
}

#[tokio::test(start_paused = true)]
async fn a_cut_before_the_banner_is_tried_again_and_then_a_penalty() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let _gone = stream.write_all(b"Exceeded MaxStartups\r\n").await;
        }
    });
    // Paused time runs ahead whenever everybody waits, so the deadlines of real sockets must be far away.
    let failure = failure_at(port, deadlines(Duration::from_secs(1 << 30)))
        .await
        .expect("no connection");
    assert_eq!(failure.reason, Reason::Penalty, "{failure}");
    assert_eq!(accepted.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_password_is_tried_once() {
    let (failure, server) = failure(Evil::RefusesEverybody, deadlines(LONG)).await;
    assert_eq!(failure.reason, Reason::Auth);
    assert!(
        failure.detail.contains("password refused") && !failure.detail.contains("hunter2"),
        "{failure}"
    );
    assert_eq!((server.passwords(), server.connections()), (1, 1));
    for end in [End::Stall, End::Close, End::Reset] {
        let server = EvilSshd::start(Evil::Authentication(end))
            .await
            .expect("server");
        let mut short = deadlines(LONG);
        short.authentication = SHORT;
        let failure = failure_at(server.address.port(), short).await;
        assert!(failure.is_some(), "{end:?}");
        assert_eq!(
            (server.passwords(), server.connections()),
            (1, 1),
            "{end:?}"
        );
    }
}

async fn servers(count: usize, evil: Evil) -> Vec<EvilSshd> {
    let mut servers = Vec::new();
    for _ in 0..count {
        servers.push(EvilSshd::start(evil).await.expect("server"));
    }
    servers
}

/// Connects to all of them at the same time, with this password; gives the failures.
async fn failures_of(
    connector: &Arc<Connector>,
    servers: &[EvilSshd],
    password: &str,
) -> Vec<Unreachable> {
    let mut connecting = tokio::task::JoinSet::new();
    for server in servers {
        let connector = Arc::clone(connector);
        let mut target = target(server.address.port());
        target.password = Some(Secret::new(password));
        connecting.spawn(async move { connector.connect(&target).await.err() });
    }
    let came = connecting.join_all().await;
    came.into_iter().flatten().collect()
}

fn tried(servers: &[EvilSshd]) -> usize {
    servers.iter().map(EvilSshd::passwords).sum()
}

#[tokio::test]
async fn a_password_that_three_hosts_refuse_goes_to_no_other() {
    for evil in [Evil::RefusesEverybody, Evil::Prompts] {
        let servers = servers(20, evil).await;
        let connector = Arc::new(connector(deadlines(LONG)));
        let failures = failures_of(&connector, &servers, "wrong").await;
        assert_eq!((failures.len(), tried(&servers)), (20, 3), "{evil:?}");
        let spared = failures
            .iter()
            .filter(|it| it.detail.contains("password not tried: "));
        assert_eq!(spared.clone().count(), 17);
        for failure in spared {
            assert_eq!(failure.reason, Reason::Auth);
            let named = servers.iter().filter(|it| {
                let name = format!("127.0.0.1:{}", it.address.port());
                it.passwords() == 1 && failure.detail.contains(&name)
            });
            assert_eq!(named.count(), 3, "{failure}");
            assert!(failure.detail.contains("--password-trials"), "{failure}");
            assert!(!failure.detail.contains("wrong"), "{failure}");
        }
        // Later hosts are spared too; another password is tried.
        let later = EvilSshd::start(evil).await.expect("server");
        let later = [later];
        assert_eq!(failures_of(&connector, &later, "wrong").await.len(), 1);
        assert_eq!(tried(&later), 0);
        failures_of(&connector, &later, "other").await;
        assert_eq!(tried(&later), 1);
    }
}

#[tokio::test]
async fn a_password_that_one_host_accepts_is_tried_on_all() {
    let good = EvilSshd::start(Evil::Prompts).await.expect("server");
    let servers = servers(20, Evil::RefusesEverybody).await;
    let connector = Arc::new(connector(deadlines(LONG)));
    connector
        .connect(&target(good.address.port()))
        .await
        .expect("in");
    let failures = failures_of(&connector, &servers, "hunter2").await;
    assert_eq!((failures.len(), tried(&servers)), (20, 20));
}

#[tokio::test]
async fn three_hosts_are_tried_whatever_they_say() {
    let servers = servers(3, Evil::RefusesEverybody).await;
    let connector = Arc::new(connector(deadlines(LONG)));
    let failures = failures_of(&connector, &servers, "wrong").await;
    assert_eq!((failures.len(), tried(&servers)), (3, 3));
    assert!(
        failures
            .iter()
            .all(|it| it.detail.contains("password refused"))
    );
}

#[tokio::test]
async fn a_single_prompt_is_answered_with_the_password() {
    let server = EvilSshd::start(Evil::Prompts).await.expect("server");
    let port = server.address.port();
    let connector = connector(deadlines(LONG));
    connector.connect(&target(port)).await.expect("in");
    let mut wrong = target(port);
    wrong.password = Some(Secret::new("other"));
    let failure = connector
        .connect(&wrong)
        .await
        .map(|_| ())
        .expect_err("refused");
    assert!(failure.detail.contains("keyboard-interactive"), "{failure}");
    assert_eq!(server.passwords(), 2);
}

#[tokio::test]
async fn no_password_goes_to_a_host_whose_key_has_changed() {
    let server = EvilSshd::start(Evil::RefusesEverybody)
        .await
        .expect("server");
    let dir = tempfile::tempdir().expect("tempdir");
    let known_hosts = dir.path().join("known_hosts");
    std::fs::write(&known_hosts, server.wrong_known_host().await.expect("key")).expect("write");
    let mut target = target(server.address.port());
    target.options.user_known_hosts_files = Some(vec![known_hosts.display().to_string()]);
    let failure = connector(deadlines(LONG))
        .connect(&target)
        .await
        .map(|_| ())
        .expect_err("refused");
    assert_eq!(failure.reason, Reason::Auth);
    assert!(
        failure.detail.contains("the host key has changed"),
        "{failure}"
    );
    assert_eq!(server.passwords(), 0);
}

#[tokio::test]
async fn channels_that_a_server_opens_are_refused() {
    let mut short = deadlines(LONG);
    short.agent = SHORT;
    let (_, server) = failure(Evil::OpensChannels, short).await;
    assert_eq!(server.channels_taken().await, 0);
}

/// Whatever byte of the handshake is the last one that arrives, a deadline ends it.
#[tokio::test]
async fn silence_after_any_byte_of_the_handshake_ends_in_time() {
    let server = EvilSshd::start(Evil::Agent(Lie::None))
        .await
        .expect("server");
    let shim = Shim::start(server.address, |_| Plan::PASS)
        .await
        .expect("shim");
    assert_eq!(failure_at(shim.address.port(), deadlines(LONG)).await, None);
    // The last bytes are the goodbye, which nobody waits for.
    let whole = shim.transferred()[0].down - 200;
    let offsets: Vec<u64> = (0..whole).step_by(97).collect();
    for some in offsets.chunks(8) {
        let mut waiting = tokio::task::JoinSet::new();
        for &byte in some {
            let shim = Shim::start(server.address, move |_| Plan::down(Way::Blackhole(byte)))
                .await
                .expect("shim");
            waiting.spawn(async move {
                let port = shim.address.port();
                let failing = failure_at(port, deadlines(Duration::from_secs(1)));
                let failure = tokio::time::timeout(LONG, failing).await;
                drop(shim);
                (byte, failure.expect("for ever"))
            });
        }
        while let Some(ended) = waiting.join_next().await {
            let (byte, failure) = ended.expect("no panic");
            let failure = failure.unwrap_or_else(|| panic!("{byte} of {whole} are enough"));
            assert!(
                matches!(failure.reason, Reason::Timeout(_)),
                "byte {byte} of {whole}: {failure}"
            );
        }
    }
}

/// A cut or reset after any byte, either way, is a failure with a reason at once: never a wait for a deadline.
#[tokio::test]
async fn a_cut_after_any_byte_of_the_handshake_is_seen_at_once() {
    let server = EvilSshd::start(Evil::Agent(Lie::None))
        .await
        .expect("server");
    let shim = Shim::start(server.address, |_| Plan::PASS)
        .await
        .expect("shim");
    let port = shim.address.port();
    assert_eq!(failure_at(port, deadlines(LONG)).await, None);
    let whole = shim.transferred()[0];
    let never = deadlines(Duration::from_secs(3600));
    let plans = [Plan::up as fn(Way) -> Plan, Plan::down];
    for (plan, bytes) in plans.into_iter().zip([whole.up, whole.down]) {
        // A cut before the banner is tried again for seconds, which has its own test.
        for byte in (60..bytes - 600).step_by(307) {
            for way in [Way::Cut(byte), Way::Reset(byte), Way::HalfClose(byte)] {
                shim.replan(move |_| plan(way));
                let failure = tokio::time::timeout(LONG, failure_at(port, never))
                    .await
                    .unwrap_or_else(|_| panic!("{way:?} of {bytes} is not seen"))
                    .unwrap_or_else(|| panic!("{way:?} of {bytes} is not noticed"));
                assert!(
                    matches!(
                        failure.reason,
                        Reason::Reset | Reason::Lost | Reason::Protocol | Reason::Penalty
                    ),
                    "{way:?} of {bytes}: {failure}"
                );
            }
        }
    }
}
