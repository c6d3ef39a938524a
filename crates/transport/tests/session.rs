//! Sessions with an agent: over a real sshd and on the controller itself.

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hostler_change::Content;
use hostler_protocol::{Become, BecomeMethod, Item, LaneErrorKind};
use hostler_transport::{
    AgentImage, BlobSource, Deadlines, Lane, LaneOpenError, Link, LocalEnvironment, NoBlobs,
    Reason, RunningTask, Session, SessionError, TaskMessage, TaskRequest, Unreachable,
};
use hostler_value::{Map, Value};
use sha2::{Digest as _, Sha256};
use support::{Sshd, image};

fn request(module: &str, items: u32) -> TaskRequest {
    let item = |index| Item {
        index,
        args: Value::from(Map::default()),
        payload: None,
    };
    TaskRequest {
        module: module.into(),
        items: (0..items).map(item).collect(),
        check: false,
        preview: None,
        allowed: None,
        diff: false,
        environment: vec![],
        stop_on_failure: false,
        key: None,
        keep_replaced: false,
        watch: false,
    }
}

fn r#become(user: &str) -> Become {
    Become {
        method: BecomeMethod::Sudo,
        user: user.into(),
        password: None,
        flags: vec![],
        exe: None,
        timeout_s: 5,
    }
}

async fn answers(mut task: RunningTask) -> Result<Vec<String>, SessionError> {
    let mut said = Vec::new();
    while let Some(message) = task.next().await {
        match message? {
            TaskMessage::Done { outcome, .. } => {
                said.push(
                    outcome
                        .fields
                        .get("said")
                        .map(|v| format!("{v:?}"))
                        .unwrap_or_default(),
                );
            }
            TaskMessage::Output { .. } | TaskMessage::Progress(_) | TaskMessage::Unresolved(_) => {}
            TaskMessage::End => return Ok(said),
        }
    }
    panic!("no end");
}

async fn link(sshd: &Sshd) -> Link {
    sshd.trust("ed25519");
    Link::Ssh(Box::new(
        sshd.connector()
            .connect(&sshd.target())
            .await
            .expect("connected"),
    ))
}

fn local(home: &tempfile::TempDir) -> Link {
    Link::LocalWith(LocalEnvironment(vec![(
        "HOME".into(),
        home.path().display().to_string(),
    )]))
}

async fn start_with(link: Link, image: AgentImage) -> Result<Session, Unreachable> {
    Session::start(link, image, Arc::new(NoBlobs), Deadlines::default()).await
}

fn cached_agent(sshd: &Sshd) -> PathBuf {
    let hash = image()
        .sha256
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    sshd.path(&format!("home/.cache/hostler/agent-{hash}"))
}

#[tokio::test]
async fn the_agent_is_sent_once_and_repaired_if_damaged() {
    let sshd = Sshd::start(&["ed25519"], "");
    let session = start_with(link(&sshd).await, image()).await.expect("first");
    assert!(session.uploaded());
    assert_eq!(session.counters().round_trips, 2);
    let cached = cached_agent(&sshd);
    assert_eq!(
        fs::metadata(&cached).expect("cached").permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(
        fs::metadata(cached.parent().expect("dir"))
            .expect("dir")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    assert_eq!(
        answers(
            session
                .run(Lane::FIRST, request("ping", 3))
                .await
                .expect("sent")
        )
        .await
        .expect("answers")
        .len(),
        3
    );
    session.close().await;

    let session = start_with(link(&sshd).await, image())
        .await
        .expect("second");
    assert!(!session.uploaded());
    assert_eq!(session.counters().round_trips, 1);
    session.ping(Duration::from_secs(5)).await.expect("pong");
    session.close().await;

    for damage in [
        &b"#!/bin/sh\nexit 3\n"[..],
        b"#!/bin/sh\necho noise\nexec sleep 0\n",
        b"\x7fELF",
    ] {
        // Another file, not the one that an agent may still run from.
        fs::remove_file(&cached).expect("remove");
        fs::write(&cached, damage).expect("damage");
        fs::set_permissions(&cached, fs::Permissions::from_mode(0o700)).expect("mode");
        let session = start_with(link(&sshd).await, image())
            .await
            .expect("repaired");
        assert!(session.uploaded());
        assert!(fs::read(&cached).expect("read") == image().bytes);
    }
    let leftovers = fs::read_dir(cached.parent().expect("dir"))
        .expect("dir")
        .count();
    assert_eq!(leftovers, 1);
}

#[tokio::test]
async fn noise_of_login_scripts_is_skipped_within_bounds() {
    for (bytes, works) in [(20_000, true), (200_000, false)] {
        let force = format!(
            "ForceCommand export HOME=@HOME@; head -c {bytes} /dev/zero | tr '\\0' x; printf 'hostler-boot nonsense\\nWelcome'; exec sh -c \"$SSH_ORIGINAL_COMMAND\""
        );
        let sshd = Sshd::start(&["ed25519"], &force);
        match start_with(link(&sshd).await, image()).await {
            Ok(session) => {
                assert!(works);
                session.ping(Duration::from_secs(5)).await.expect("pong");
            }
            Err(failure) => {
                assert!(!works, "{failure}");
                assert_eq!(failure.reason, Reason::Agent);
                assert!(failure.detail.contains("64 KiB"), "{failure}");
            }
        }
    }
}

#[tokio::test]
async fn what_the_login_shell_says_instead_is_told() {
    let sshd = Sshd::start(
        &["ed25519"],
        "ForceCommand echo 'This account is locked.' >&2; exit 1",
    );
    let failure = start_with(link(&sshd).await, image())
        .await
        .expect_err("no agent");
    assert_eq!(failure.reason, Reason::Agent);
    assert!(
        failure.detail.contains("status 1") && failure.detail.contains("account is locked"),
        "{failure}"
    );
}

#[tokio::test]
async fn another_architecture_is_named() {
    let sshd = Sshd::start(&["ed25519"], "");
    let image = AgentImage {
        machine: "sparc64",
        ..image()
    };
    let failure = start_with(link(&sshd).await, image)
        .await
        .expect_err("no agent");
    assert_eq!(failure.reason, Reason::Architecture);
    assert!(
        failure.detail.contains(std::env::consts::ARCH) && failure.detail.contains("sparc64"),
        "{failure}"
    );
}

/// A host whose places for the agent are as `mounts` says, in a mount namespace of each session.
fn host_with(mounts: &str) -> Sshd {
    let dir = tempfile::tempdir().expect("tempdir").keep();
    let script = dir.join("force");
    let text = format!(
        "cd /; mount --bind $HOME /mnt; export HOME=/mnt; {mounts}\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\n"
    );
    fs::write(&script, text).expect("script");
    Sshd::start(
        &["ed25519"],
        &format!(
            "ForceCommand exec env HOME=@HOME@ unshare -m sh {}",
            script.display()
        ),
    )
}

#[tokio::test]
async fn places_that_do_not_work_are_passed_over() {
    let noexec = "mount -t tmpfs -o noexec none /mnt; mount -t tmpfs -o noexec none /tmp; mount -t tmpfs -o noexec none /var/tmp;";
    let sshd = host_with(&format!("{noexec} mount -t tmpfs none /dev/shm;"));
    let session = start_with(link(&sshd).await, image())
        .await
        .expect("in /dev/shm");
    session.ping(Duration::from_secs(5)).await.expect("pong");

    let small =
        "mount -t tmpfs -o size=64k none /dev/shm; mount -t tmpfs none /run/user 2>/dev/null;";
    let sshd = host_with(&format!("{noexec} {small} mkdir -p /run/user/0;"));
    let session = start_with(link(&sshd).await, image())
        .await
        .expect("in /run/user");
    assert!(session.uploaded());

    let sshd = host_with(&format!(
        "{noexec} {small} mkdir -p /run/user/0 && mount -t tmpfs -o ro none /run/user/0;"
    ));
    let failure = start_with(link(&sshd).await, image())
        .await
        .expect_err("nowhere");
    assert_eq!(failure.reason, Reason::Agent);
    for words in [
        "/mnt/.cache/hostler: mounted noexec",
        "/var/tmp/.hostler-0: mounted noexec",
        "/tmp/.hostler-0",
        "/dev/shm/.hostler-UID: the agent could not be written",
        "/run/user/0/hostler: mkdir",
    ] {
        assert!(failure.detail.contains(words), "{words} in: {failure}");
    }
}

#[tokio::test]
async fn directories_of_others_and_links_are_not_trusted() {
    let others = "for d in /var/tmp /dev/shm; do mount -t tmpfs none $d; mkdir -m 777 $d/.hostler-0; chown 12345 $d/.hostler-0; done; \
                  mount -t tmpfs none /tmp; mkdir /tmp/real; ln -s /tmp/real /tmp/.hostler-0; mkdir -p /run/user; mount -t tmpfs -o ro none /run/user;";
    let sshd = host_with(others);
    fs::create_dir_all(sshd.path("home/.cache")).expect("mkdir");
    fs::create_dir_all(sshd.path("home/real")).expect("mkdir");
    symlink("../real", sshd.path("home/.cache/hostler")).expect("link");
    let failure = start_with(link(&sshd).await, image())
        .await
        .expect_err("nowhere");
    for words in [
        "/mnt/.cache/hostler: is a symbolic link",
        "/var/tmp/.hostler-0: belongs to another user",
        "/tmp/.hostler-0: is a symbolic link",
        "/dev/shm/.hostler-0: belongs to another user",
    ] {
        assert!(failure.detail.contains(words), "{words} in: {failure}");
    }
    assert_eq!(
        fs::read_dir(sshd.path("home/real")).expect("dir").count(),
        0
    );
}

#[tokio::test]
async fn a_host_that_breaks_the_protocol_fails_alone() {
    let sshd = Sshd::start(&["ed25519"], "");
    let good = start_with(link(&sshd).await, image()).await.expect("good");
    let parallel = good
        .run(Lane::FIRST, request("wait", 1))
        .await
        .expect("sent");
    for (module, reason) in [
        ("garbage", Reason::AgentProtocol),
        ("nonsense", Reason::AgentProtocol),
        ("twice", Reason::AgentProtocol),
        ("exit", Reason::Lost),
    ] {
        let bad = start_with(link(&sshd).await, image()).await.expect("bad");
        let waiting = bad
            .run(Lane::FIRST, request("wait", 1))
            .await
            .expect("sent");
        let error = answers(
            bad.run(Lane::FIRST, request(module, 1))
                .await
                .expect("sent"),
        )
        .await
        .expect_err(module);
        let SessionError::Lost(lost) = error else {
            panic!("{module}: {error}")
        };
        assert_eq!(lost.reason, reason, "{lost}");
        assert!(!lost.detail.contains('\u{1b}'));
        assert_eq!(
            answers(waiting).await,
            Err(SessionError::Lost(lost.clone())),
            "{module}: others on the host too"
        );
        assert_eq!(bad.ended(), Some(lost.clone()));
        assert_eq!(
            bad.run(Lane::FIRST, request("ping", 1)).await.map(|_| ()),
            Err(SessionError::Lost(lost))
        );
        assert!(bad.ping(Duration::from_secs(1)).await.is_err());
    }
    parallel.cancel().await;
    assert_eq!(answers(parallel).await.expect("answers").len(), 1);
    good.ping(Duration::from_secs(5)).await.expect("pong");
}

#[tokio::test]
async fn lanes_open_refuse_and_close() {
    let home = tempfile::tempdir().expect("tempdir");
    let session = start_with(local(&home), image()).await.expect("local");
    let (lane, hello) = session.open_lane(r#become("postgres")).await.expect("lane");
    assert_eq!(hello.user, "postgres");
    assert_eq!(
        answers(session.run(lane, request("ping", 1)).await.expect("sent"))
            .await
            .expect("answers")
            .len(),
        1
    );
    let refused = session
        .open_lane(r#become("refused"))
        .await
        .expect_err("refused");
    let LaneOpenError::Refused(error) = &refused else {
        panic!("{refused}")
    };
    assert_eq!(
        (error.kind, error.message.as_str()),
        (LaneErrorKind::PasswordWrong, "sorry [31m")
    );

    let first = session
        .run(Lane::FIRST, request("wait", 1))
        .await
        .expect("sent");
    let closed = answers(
        session
            .run(lane, request("close-lane", 1))
            .await
            .expect("sent"),
    )
    .await
    .expect_err("closed");
    assert!(
        matches!(&closed, SessionError::LaneClosed { reason, .. } if reason == "sudo was killed"),
        "{closed}"
    );
    assert!(session.run(lane, request("ping", 1)).await.is_err());
    first.cancel().await;
    answers(first).await.expect("the first lane goes on");
}

struct Zeros(u64);

impl BlobSource for Zeros {
    fn open(&self, sha256: &[u8; 32]) -> Result<Box<dyn Read + Send>, String> {
        if *sha256 == self.sha256() {
            Ok(Box::new(std::io::repeat(0).take(self.0)))
        } else {
            Err("no such content".into())
        }
    }
}

impl Zeros {
    fn sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        std::io::copy(
            &mut std::io::repeat(0).take(self.0),
            &mut HashWriter(&mut hash),
        )
        .expect("hash");
        hash.finalize().into()
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn content_is_streamed_on_demand() {
    let sshd = Sshd::start(&["ed25519"], "");
    for size in [0, 1, 256 << 10, 3_000_001] {
        let source = Zeros(size);
        let sha256 = source.sha256();
        let session = Session::start(
            link(&sshd).await,
            image(),
            Arc::new(source),
            Deadlines::default(),
        )
        .await
        .expect("start");
        let mut with_blob = request("blob", 1);
        with_blob.items[0].payload = Some(Content::Blob { sha256, size });
        let said = answers(
            session
                .run(Lane::FIRST, with_blob.clone())
                .await
                .expect("sent"),
        )
        .await
        .expect("answers");
        assert!(
            said[0].contains(&format!("{size} bytes, right: true")),
            "{said:?}"
        );
        with_blob.items[0].payload = Some(Content::Blob {
            sha256: [7; 32],
            size,
        });
        let said = answers(session.run(Lane::FIRST, with_blob).await.expect("sent"))
            .await
            .expect("answers");
        assert!(said[0].contains("no such content"), "{said:?}");
    }
}

#[tokio::test]
async fn a_loop_of_a_thousand_items_is_one_round_trip() {
    let sshd = Sshd::start(&["ed25519"], "");
    let session = start_with(link(&sshd).await, image()).await.expect("start");
    let before = session.counters();
    let said = answers(
        session
            .run(Lane::FIRST, request("file", 1000))
            .await
            .expect("sent"),
    )
    .await
    .expect("answers");
    let after = session.counters();
    assert_eq!(said.len(), 1000);
    assert_eq!(
        (
            after.round_trips - before.round_trips,
            after.frames_sent - before.frames_sent
        ),
        (1, 1)
    );
    assert_eq!(after.frames_received - before.frames_received, 1001);
    assert!(after.wire_received > before.wire_received);
}

#[tokio::test]
async fn a_local_session_is_the_same() {
    let home = tempfile::tempdir().expect("tempdir");
    let session = start_with(local(&home), image()).await.expect("local");
    assert_eq!(
        answers(
            session
                .run(Lane::FIRST, request("ping", 2))
                .await
                .expect("sent")
        )
        .await
        .expect("answers")
        .len(),
        2
    );
    let output = session
        .link()
        .raw_exec("cat; exit 4", b"x", 10)
        .await
        .expect("raw");
    assert_eq!(
        (output.stdout.as_slice(), output.exit),
        (&b"x"[..], hostler_transport::Exit::Status(4))
    );
    session.close().await;
}
