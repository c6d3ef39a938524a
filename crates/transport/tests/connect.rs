//! Connections to a real sshd.

mod support;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hostler_transport::known_hosts::HostKeyPolicy;
use hostler_transport::ssh_config::SshConfig;
use hostler_transport::{Connection, Connector, Exit, Link, Reason, Target, Unreachable};
use hostler_value::Secret;
use support::{Sshd, keygen};

async fn run(connection: Connection, command: &str) -> String {
    let link = Link::Ssh(Box::new(connection));
    let output = link.raw_exec(command, b"", 1 << 20).await.expect("command");
    assert_eq!(output.exit, Exit::Status(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    link.close().await;
    text
}

async fn refusal(connector: &Connector, target: &Target) -> Unreachable {
    match connector.connect(target).await {
        Ok(_) => panic!("connected"),
        Err(refusal) => refusal,
    }
}

#[tokio::test]
async fn every_key_type_logs_in_and_each_file_is_decrypted_once() {
    let sshd = Sshd::start(&["ed25519"], "");
    sshd.trust("ed25519");
    let connector = sshd.connector();
    for (kind, passphrase) in [
        ("ed25519", ""),
        ("ecdsa", ""),
        ("rsa", ""),
        ("ed25519", "secret"),
    ] {
        let key = sshd.path(&format!("k_{kind}{passphrase}"));
        keygen(&key, kind, passphrase);
        fs::copy(key.with_extension("pub"), sshd.path("authorized")).expect("authorize");
        let mut target = sshd.target();
        target.private_key_file = Some(key);
        target.key_passphrase = (!passphrase.is_empty()).then(|| Secret::new(passphrase));
        let connection = connector.connect(&target).await.expect(kind);
        assert_eq!(run(connection, "echo $((6*7))").await, "42\n");
    }
}

#[tokio::test]
async fn refused_credentials_say_what_was_tried() {
    let sshd = Sshd::start(&["ed25519"], "");
    sshd.trust("ed25519");
    keygen(&sshd.path("other"), "ed25519", "");
    let mut target = sshd.target();
    target.private_key_file = Some(sshd.path("other"));
    let failure = refusal(&sshd.connector(), &target).await;
    assert_eq!(failure.reason, Reason::Auth);
    assert!(
        failure.detail.contains("SHA256:") && failure.detail.contains("publickey"),
        "{failure}"
    );

    keygen(&sshd.path("locked"), "ed25519", "secret");
    target.private_key_file = Some(sshd.path("locked"));
    let failure = refusal(&sshd.connector(), &target).await;
    assert!(
        failure.detail.contains("encrypted and no passphrase"),
        "{failure}"
    );
    target.key_passphrase = Some(Secret::new("wrong"));
    let failure = refusal(&sshd.connector(), &target).await;
    assert!(failure.detail.contains("passphrase is wrong"), "{failure}");
    assert!(!failure.detail.contains("`wrong`"));

    target.private_key_file = Some(sshd.path("missing"));
    let failure = refusal(&sshd.connector(), &target).await;
    assert!(failure.detail.contains("does not exist"), "{failure}");
}

#[tokio::test]
async fn host_keys_known_unknown_changed_revoked() {
    let sshd = Sshd::start(&["ed25519"], "");
    let known_hosts = sshd.path("known_hosts");
    let failure = refusal(&sshd.connector(), &sshd.target()).await;
    assert_eq!(failure.reason, Reason::HostKeyUnknown, "{failure}");

    let other = sshd.public_key("uk_ed25519");
    let real = sshd.public_key("hk_ed25519");
    let name = sshd.known_name();
    fs::write(&known_hosts, format!("# a comment\n{name} {other}\n")).expect("write");
    let failure = refusal(&sshd.connector(), &sshd.target()).await;
    assert_eq!(failure.reason, Reason::HostKeyChanged, "{failure}");
    assert!(failure.detail.contains("known_hosts:2"), "{failure}");

    fs::write(&known_hosts, format!("@revoked * {real}\n{name} {real}\n")).expect("write");
    for policy in [
        HostKeyPolicy::Strict,
        HostKeyPolicy::AcceptNew,
        HostKeyPolicy::Off,
    ] {
        let mut target = sshd.target();
        target.options.host_key_policy = Some(policy);
        assert_eq!(
            refusal(&sshd.connector(), &target).await.reason,
            Reason::HostKeyRevoked
        );
    }

    fs::write(
        &known_hosts,
        format!("{name} {other}\n{name}\t {real} comment\n"),
    )
    .expect("write");
    sshd.connector()
        .connect(&sshd.target())
        .await
        .expect("any listed key");
}

#[tokio::test]
async fn a_host_known_by_its_rsa_key_presents_that_one() {
    let sshd = Sshd::start(&["ed25519", "ecdsa", "rsa"], "");
    for kind in ["rsa", "ecdsa", "ed25519"] {
        sshd.trust(kind);
        sshd.connector().connect(&sshd.target()).await.expect(kind);
    }
}

#[tokio::test]
async fn accept_new_records_once_and_then_insists() {
    let sshd = Sshd::start(&["ed25519"], "MaxStartups 100");
    let mut target = sshd.target();
    target.options.host_key_policy = Some(HostKeyPolicy::AcceptNew);
    let connector = Arc::new(sshd.connector());
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (connector, target) = (Arc::clone(&connector), target.clone());
            tokio::spawn(async move { connector.connect(&target).await.map(|_| ()) })
        })
        .collect();
    for task in tasks {
        task.await.expect("task").expect("connected");
    }
    assert_eq!(
        sshd.read("known_hosts"),
        format!("{} {}\n", sshd.known_name(), sshd.public_key("hk_ed25519"))
    );
    sshd.connector()
        .connect(&sshd.target())
        .await
        .expect("strict now");
    let other = sshd.public_key("uk_ed25519");
    fs::write(
        sshd.path("known_hosts"),
        format!("{} {other}\n", sshd.known_name()),
    )
    .expect("write");
    assert_eq!(
        refusal(&sshd.connector(), &target).await.reason,
        Reason::HostKeyChanged
    );

    target.options.host_key_policy = Some(HostKeyPolicy::Off);
    let connection = sshd
        .connector()
        .connect(&target)
        .await
        .expect("off accepts");
    assert!(
        connection.warnings().iter().any(|w| w.contains("CHANGED")),
        "{:?}",
        connection.warnings()
    );
}

#[tokio::test]
async fn host_certificates_prove_hosts_that_an_authority_covers() {
    let sshd = Sshd::start(&["ed25519"], "");
    keygen(&sshd.path("ca"), "ed25519", "");
    let sign = |principal: &str, validity: &str| {
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(sshd.path("ca"))
            .args(["-I", "host", "-h", "-n", principal, "-V", validity])
            .arg(sshd.path("hk_ed25519.pub"))
            .status();
        assert!(signed.expect("ssh-keygen").success());
    };
    let certified = |line: &str| {
        fs::write(sshd.path("known_hosts"), line).expect("write");
    };
    sign("127.0.0.1", "-1d:+1d");
    // A second sshd with the certificate, on the same keys.
    let ca = sshd.public_key("ca");
    let with_certificate = |sshd: &Sshd| {
        let line = format!(
            "HostCertificate {}",
            sshd.path("hk_ed25519-cert.pub").display()
        );
        second_sshd(sshd, &line)
    };
    let second = with_certificate(&sshd);
    let mut target = sshd.target();
    target.port = Some(second.port);
    certified(&format!("@cert-authority 127.0.0.*,[127.0.0.1]:* {ca}\n"));
    sshd.connector().connect(&target).await.expect("certified");
    certified(&format!("@cert-authority other.example {ca}\n"));
    assert_eq!(
        refusal(&sshd.connector(), &target).await.reason,
        Reason::HostKeyUnknown
    );
    certified(&format!("@cert-authority * {ca}\n@revoked * {ca}\n"));
    assert_eq!(
        refusal(&sshd.connector(), &target).await.reason,
        Reason::HostKeyRevoked
    );
    drop(second);

    for (principal, validity, words) in [
        ("other.example", "-1d:+1d", "does not name"),
        ("127.0.0.1", "-2d:-1d", "not valid at this time"),
    ] {
        sign(principal, validity);
        let second = with_certificate(&sshd);
        target.port = Some(second.port);
        certified(&format!("@cert-authority * {ca}\n"));
        let failure = refusal(&sshd.connector(), &target).await;
        assert_eq!(failure.reason, Reason::HostKeyUnknown);
        assert!(failure.detail.contains(words), "{failure}");
    }
}

/// Another sshd over the host key and the authorized keys of `first`.
fn second_sshd(first: &Sshd, extra: &str) -> Sshd {
    let second = Sshd::start(
        &[],
        &format!("HostKey {}\n{extra}", first.path("hk_ed25519").display()),
    );
    fs::copy(first.path("authorized"), second.path("authorized")).expect("authorize");
    second
}

#[tokio::test]
async fn user_certificates_and_agents() {
    let sshd = Sshd::start(&["ed25519"], "");
    sshd.trust("ed25519");
    keygen(&sshd.path("held"), "ed25519", "");
    fs::copy(sshd.path("held.pub"), sshd.path("authorized")).expect("authorize");
    let socket = sshd.path("agent.sock");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("ssh-agent");
    while !socket.exists() {
        std::thread::yield_now();
    }
    let added = Command::new("ssh-add")
        .arg("-q")
        .arg(sshd.path("held"))
        .env("SSH_AUTH_SOCK", &socket)
        .status();
    assert!(added.expect("ssh-add").success());

    let mut target = sshd.target();
    target.options.identity_agent = Some(socket.display().to_string());
    sshd.connector()
        .connect(&target)
        .await
        .expect("a key of the agent");
    target.options.identities_only = Some(true);
    assert_eq!(
        refusal(&sshd.connector(), &target).await.reason,
        Reason::Auth
    );
    fs::remove_file(sshd.path("held")).expect("remove");
    target.private_key_file = Some(sshd.path("held"));
    sshd.connector()
        .connect(&target)
        .await
        .expect("the agent holds what only the public half names");
    agent.kill().expect("kill");
    agent.wait().expect("wait");
    let failure = refusal(&sshd.connector(), &target).await;
    assert!(failure.detail.contains("no ssh-agent at"), "{failure}");

    keygen(&sshd.path("ca"), "ed25519", "");
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(sshd.path("ca"))
        .args(["-I", "me", "-n", "root"])
        .arg(sshd.path("uk_ed25519.pub"))
        .status();
    assert!(signed.expect("ssh-keygen").success());
    fs::write(
        sshd.path("authorized"),
        format!("cert-authority {}\n", sshd.public_key("ca")),
    )
    .expect("write");
    sshd.connector()
        .connect(&sshd.target())
        .await
        .expect("the certificate beside the key");
}

#[tokio::test]
async fn through_a_jump_host_and_a_proxy_command() {
    let bastion = Sshd::start(&["ed25519"], "");
    let sshd = Sshd::start(&["ed25519"], "");
    let lines =
        [&bastion, &sshd].map(|s| format!("{} {}\n", s.known_name(), s.public_key("hk_ed25519")));
    fs::write(sshd.path("known_hosts"), lines.concat()).expect("write");
    let config = format!(
        "Host bastion\n HostName 127.0.0.1\n Port {}\n User root\n IdentityFile {}\nHost *\n UserKnownHostsFile {}\n IdentityAgent none\n",
        bastion.port,
        bastion.path("uk_ed25519").display(),
        sshd.path("known_hosts").display(),
    );
    fs::write(sshd.path("config"), config).expect("write");
    let mut settings = sshd.settings();
    let (config, problems) = SshConfig::load(&sshd.path("config"), &settings.local);
    assert_eq!(problems, []);
    settings.config = config;
    let connector = Connector::new(settings);

    let mut target = sshd.target();
    target
        .options
        .apply_cli_options("-J bastion")
        .expect("options");
    let connection = connector.connect(&target).await.expect("jump");
    let client = run(connection, "echo $SSH_CONNECTION").await;
    assert!(client.ends_with(&format!("{}\n", sshd.port)), "{client}");
    assert!(
        bastion.log().contains("Accepted publickey"),
        "{}",
        bastion.log()
    );

    let mut target = sshd.target();
    target
        .options
        .apply_cli_options("-J bastion,bastion")
        .expect("options");
    run(connector.connect(&target).await.expect("two jumps"), "true").await;

    let mut target = sshd.target();
    target
        .options
        .apply_cli_options("-J no-such-user@bastion")
        .expect("options");
    let failure = refusal(&connector, &target).await;
    assert_eq!(failure.reason, Reason::Proxy);
    assert!(
        failure
            .detail
            .starts_with("jump host bastion: authentication as `no-such-user`"),
        "{failure}"
    );

    let mut target = sshd.target();
    target
        .options
        .apply_cli_options(
            r#"-o ProxyCommand="bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'""#,
        )
        .expect("options");
    assert_eq!(
        run(connector.connect(&target).await.expect("command"), "echo x").await,
        "x\n"
    );

    let mut target = sshd.target();
    target
        .options
        .apply_cli_options(r#"-o ProxyCommand="sh -c 'echo no way to %h >&2'""#)
        .expect("options");
    let failure = refusal(&connector, &target).await;
    assert_eq!(failure.reason, Reason::Proxy);
    assert!(
        failure.detail.ends_with(": no way to 127.0.0.1"),
        "{failure}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once_get_past_a_narrow_max_startups() {
    let sshd = Sshd::start(&["ed25519"], "MaxStartups 2:100:3");
    sshd.trust("ed25519");
    let connector = Arc::new(sshd.connector());
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (connector, target) = (Arc::clone(&connector), sshd.target());
            tokio::spawn(async move { connector.connect(&target).await })
        })
        .collect();
    let mut connections = Vec::new();
    for task in tasks {
        connections.push(task.await.expect("task").expect("connected"));
    }
    assert_eq!(connections.len(), 20);
}

#[tokio::test]
async fn a_tarpit_does_not_keep_the_place_that_others_wait_for() {
    let sshd = Sshd::start(&["ed25519"], "");
    sshd.trust("ed25519");
    let tarpit = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut stuck = sshd.target();
    stuck.port = Some(tarpit.local_addr().expect("address").port());
    let mut settings = sshd.settings();
    settings.gate.connecting = 1;
    settings.deadlines.banner = Duration::from_secs(600);
    let connector = Arc::new(Connector::new(settings));
    let waiting = {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move { connector.connect(&stuck).await })
    };
    // The tarpit has the only place once its listener sees it.
    let hold = move || {
        let held = tarpit.accept();
        (tarpit, held)
    };
    let _held = tokio::task::spawn_blocking(hold).await.expect("accept");
    connector
        .connect(&sshd.target())
        .await
        .expect("the good host");
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn nobody_listens_or_the_name_does_not_exist() {
    let sshd = Sshd::start(&["ed25519"], "");
    let connector = sshd.connector();
    let mut target = sshd.target();
    target.port = Some({
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        free.local_addr().expect("address").port()
    });
    assert_eq!(refusal(&connector, &target).await.reason, Reason::Refused);
    target.host = "does-not-exist.invalid".into();
    assert_eq!(refusal(&connector, &target).await.reason, Reason::Dns);
    target.host = "-oProxyCommand=touch".into();
    assert_eq!(refusal(&connector, &target).await.reason, Reason::Config);
    target.host = "a;b".into();
    assert_eq!(refusal(&connector, &target).await.reason, Reason::Config);
}

#[tokio::test]
async fn raw_commands_are_bounded_and_report_how_they_ended() {
    let sshd = Sshd::start(&["ed25519"], "");
    sshd.trust("ed25519");
    let link = Link::Ssh(Box::new(
        sshd.connector()
            .connect(&sshd.target())
            .await
            .expect("connected"),
    ));
    let output = link
        .raw_exec(
            "cat; head -c 5000000 /dev/zero; echo e >&2; exit 7",
            b"in",
            1000,
        )
        .await
        .expect("ran");
    assert_eq!(
        (output.exit, output.stdout.len(), output.truncated),
        (Exit::Status(7), 1000, true)
    );
    assert_eq!(
        (&output.stdout[..3], output.stderr.as_slice()),
        (&b"in\0"[..], &b"e\n"[..])
    );
    let output = link.raw_exec("kill -TERM $$", b"", 10).await.expect("ran");
    assert_eq!(output.exit, Exit::Signal("TERM".into()));
    let (received, sent) = link.wire_bytes();
    assert!(received > 5_000_000 && sent > 1000, "{received} {sent}");
}
