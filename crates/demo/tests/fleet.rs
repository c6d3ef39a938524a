//! A real fleet: what runs in a host stays in it, and nothing stays behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_demo::{Fleet, FleetOptions};
use russh::client;
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, load_secret_key};
use russh::{Channel, ChannelMsg};

const PROGRAM: &str = env!("CARGO_BIN_EXE_demo-fleet");

fn options() -> FleetOptions {
    FleetOptions {
        program: PathBuf::from(PROGRAM),
        ..FleetOptions::default()
    }
}

/// Takes any host key: keys are checked against the fleet's file by hand.
struct Client(Arc<std::sync::Mutex<Option<PublicKey>>>);

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        if let russh::keys::PublicKeyOrCertificate::PublicKey { key, .. } = key {
            *self.0.lock().unwrap() = Some(key.clone());
        }
        Ok(true)
    }
}

struct Host {
    session: client::Handle<Client>,
    key: String,
}

struct Ran {
    status: Option<u32>,
    stdout: String,
    stderr: String,
}

impl Host {
    async fn connect(address: SocketAddr, key: &Path) -> Self {
        let seen = Arc::default();
        let config = Arc::new(client::Config::default());
        let mut session = client::connect(config, address, Client(Arc::clone(&seen)))
            .await
            .unwrap();
        let key = Arc::new(load_secret_key(key, None).unwrap());
        let other = session
            .authenticate_publickey("nobody", PrivateKeyWithHashAlg::new(Arc::clone(&key), None));
        assert!(!other.await.unwrap().success(), "only root is let in");
        let root = session.authenticate_publickey("root", PrivateKeyWithHashAlg::new(key, None));
        assert!(root.await.unwrap().success());
        let key = seen.lock().unwrap().take().unwrap().to_openssh().unwrap();
        Host { session, key }
    }

    async fn start(&self, command: &str) -> Channel<client::Msg> {
        let channel = self.session.channel_open_session().await.unwrap();
        channel.exec(true, command).await.unwrap();
        channel
    }

    async fn run(&self, command: &str, input: &[u8]) -> Ran {
        let mut channel = self.start(command).await;
        channel.data(input).await.unwrap();
        channel.eof().await.unwrap();
        let (mut out, mut err, mut status) = (Vec::new(), Vec::new(), None);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => out.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, .. } => err.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        Ran {
            status,
            stdout: String::from_utf8(out).unwrap(),
            stderr: String::from_utf8(err).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_a_machine_of_its_own() {
    let motd_before = std::fs::read("/etc/motd").ok();
    let fleet = Fleet::up(2, &options()).await.unwrap();
    let directory = fleet.directory().to_owned();
    let host = Host::connect(fleet.hosts[0].address, &fleet.key_path()).await;
    let known = std::fs::read_to_string(fleet.known_hosts_path()).unwrap();
    let address = fleet.hosts[0].address;
    let line = format!("[{}]:{} {}", address.ip(), address.port(), host.key);
    assert!(
        known.lines().any(|known| known.trim() == line.trim()),
        "{known}{line}"
    );

    let ran = host.run("cat; echo err >&2; exit 7", b"in").await;
    assert_eq!(
        (ran.status, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(7), "in", "err\n")
    );
    let ran = host
        .run("id -u; hostname; pwd; echo $HOME; kill -9 $$", b"")
        .await;
    assert_eq!(
        ran.stdout,
        format!("0\n{}\n/root\n/root\n", fleet.hosts[0].name)
    );
    assert_eq!(ran.status, Some(137));

    let script = "set -e; echo mine > /etc/motd; cat /etc/motd; echo x > /etc/issue.net; mkdir /srv/a; touch /usr/local/bin/a";
    let ran = host.run(script, b"").await;
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (Some(0), "mine\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        std::fs::read("/etc/motd").ok(),
        motd_before,
        "the machine's own file"
    );
    assert!(!Path::new("/srv/a").exists());
    let other = Host::connect(fleet.hosts[1].address, &fleet.key_path()).await;
    assert_eq!(
        other.run("test -e /srv/a", b"").await.status,
        Some(1),
        "hosts share nothing"
    );

    for forbidden in [
        "touch /usr/x",
        "echo 1 > /proc/sys/vm/swappiness",
        "echo 0 > /sys/kernel/mm/ksm/run",
        "test -s /etc/ssh/ssh_host_ed25519_key",
        "grep -q '^root:[^*]' /etc/shadow",
    ] {
        assert_ne!(
            host.run(forbidden, b"").await.status,
            Some(0),
            "{forbidden}"
        );
    }
    let processes = host.run("ls -d /proc/[0-9]* | wc -l", b"").await.stdout;
    assert!(processes.trim().parse::<u32>().unwrap() < 10, "{processes}");
    fleet.down().await.unwrap();
    assert!(!directory.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_channel_closes_its_programs_streams_as_sshd_does() {
    let fleet = Fleet::up(1, &options()).await.unwrap();
    let host = Host::connect(fleet.hosts[0].address, &fleet.key_path()).await;
    let mut channel = host.start("echo up; cat; echo over > /srv/over").await;
    while !matches!(channel.wait().await, Some(ChannelMsg::Data { .. })) {}
    assert_eq!(host.run("test -e /srv/over", b"").await.status, Some(1));
    channel.close().await.unwrap();
    // Each question is a round trip: the program goes on within a few.
    let end = Instant::now() + Duration::from_secs(20);
    while host.run("test -e /srv/over", b"").await.status != Some(0) {
        assert!(Instant::now() < end, "it does not go on");
    }
    fleet.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn much_data_goes_through_while_others_run() {
    let fleet = Fleet::up(1, &options()).await.unwrap();
    let host = Host::connect(fleet.hosts[0].address, &fleet.key_path()).await;
    let megabytes = vec![b'x'; 8 << 20];
    let (ran, small) = tokio::join!(host.run("wc -c", &megabytes), host.run("echo hi", b""));
    assert_eq!(ran.stdout.trim(), "8388608");
    assert_eq!(small.stdout, "hi\n");
    let ran = host
        .run("head -c 8388608 /dev/zero | tr '\\0' y", b"")
        .await;
    assert_eq!((ran.status, ran.stdout.len()), (Some(0), 8 << 20));
    fleet.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hosts_each_with_its_name() {
    let fleet = Fleet::up(200, &options()).await.unwrap();
    let inventory = std::fs::read_to_string(fleet.inventory_path()).unwrap();
    assert_eq!(inventory.matches("ansible_port=").count(), 200);
    for host in [&fleet.hosts[0], &fleet.hosts[99], &fleet.hosts[199]] {
        let connected = Host::connect(host.address, &fleet.key_path()).await;
        assert_eq!(
            connected.run("hostname", b"").await.stdout.trim(),
            host.name
        );
    }
    let directory = fleet.directory().to_owned();
    fleet.down().await.unwrap();
    assert!(!directory.exists());
}

/// Root tests the ordinary user's way too; an ordinary user has tested it in the others.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_raises_a_fleet() {
    const NOBODY: u32 = 65534;
    let mut fleet = Command::new(PROGRAM);
    if rustix::process::geteuid().is_root() {
        fleet.uid(NOBODY).gid(NOBODY);
    }
    let mut fleet = fleet
        .arg("2")
        .env("TMPDIR", "/tmp")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(fleet.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let inventory = PathBuf::from(line.trim());
    let text = std::fs::read_to_string(&inventory).unwrap();
    let field = |name: &str| {
        let at = text.find(name).unwrap() + name.len();
        text[at..].split_whitespace().next().unwrap().to_owned()
    };
    let address = format!("{}:{}", field("ansible_host="), field("ansible_port="));
    let key = PathBuf::from(field("ansible_ssh_private_key_file="));
    let host = Host::connect(address.parse().unwrap(), &key).await;
    let ran = host
        .run("set -e; id -u; echo mine > /etc/motd; mkdir -p /etc/cron.d; touch /etc/cron.d/x; cat /etc/motd", b"")
        .await;
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (Some(0), "0\nmine\n"),
        "{}",
        ran.stderr
    );
    fleet.stdin.take().unwrap().flush().unwrap();
    assert!(fleet.wait().unwrap().success());
    assert!(!inventory.exists(), "everything is removed");
}
