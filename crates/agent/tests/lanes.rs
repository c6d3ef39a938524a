//! Becoming other users, by the host's real sudo and su.
//!
//! Users, passwords and rules are made up: each test runs in a mount namespace of its own with other files in the
//! place of `/etc/passwd`, `/etc/shadow`, `/etc/group` and `/etc/sudoers`. That needs root; without it, or where a
//! program is missing, a test has nothing to run on and ends.

#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a test fails by the one, and reads better with the other"
)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_protocol::{Become, BecomeMethod, FromAgent, LaneErrorKind, RunTask, TaskKey, ToAgent};
use hostler_value::Value;
use support::{Session, item};

const PASSWORD: &str = "right horse";
/// `openssl passwd -6 -salt hostler 'right horse'`
const HASH: &str = "$6$hostler$EBd.oKyeApBbSWJ9Lsa1gDR7wBPCjz.AaTCsC80SnIAkfVvCpMZHA7ghke7v62mtG07h0AU638cmz5W36DVYT0";
const SUDOERS: &str = "\
Defaults secure_path=/usr/sbin:/usr/bin:/sbin:/bin
Defaults:hostler-tty requiretty
root ALL=(ALL) ALL
hostler-free ALL=(ALL) NOPASSWD: ALL
hostler-tty ALL=(ALL) NOPASSWD: ALL
hostler-asked ALL=(ALL) ALL
";
const USERS: &[(&str, u32)] = &[
    ("hostler-free", 64_001),
    ("hostler-asked", 64_002),
    ("hostler-tty", 64_003),
    ("hostler-barred", 64_004),
    ("hostler-other", 64_005),
];

/// A made-up host; `None` if it cannot be made here.
struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn set(programs: &[&str]) -> Option<Self> {
        let is_root = fs::metadata("/proc/self").ok()?.uid() == 0;
        let there = |name: &&str| Path::new("/usr/bin").join(name).exists();
        if !is_root || !programs.iter().chain(&["unshare", "setpriv"]).all(there) {
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("hostler-lanes-")
            .tempdir_in("/tmp")
            .unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let write = |name: &str, text: String, mode| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let (mut passwd, mut group, mut shadow) = (
            fs::read_to_string("/etc/passwd").unwrap(),
            fs::read_to_string("/etc/group").unwrap(),
            fs::read_to_string("/etc/shadow").unwrap(),
        );
        for (name, id) in USERS {
            passwd += &format!("{name}:x:{id}:{id}::/tmp:/bin/sh\n");
            group += &format!("{name}:x:{id}:\n");
            shadow += &format!("{name}:{HASH}:20000:0:99999:7:::\n");
        }
        write("passwd", passwd, 0o644);
        write("group", group, 0o644);
        write("shadow", shadow, 0o640);
        write("sudoers", SUDOERS.into(), 0o440);
        for (name, mode) in [("run", 0o755), ("shared", 0o777)] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let agent = dir.path().join("agent");
        fs::copy(env!("CARGO_BIN_EXE_hostler-agent"), &agent).unwrap();
        let stage = Stage { dir };
        let probe = stage.command("true").status();
        probe.is_ok_and(|status| status.success()).then_some(stage)
    }

    /// A command line of `sh` on the stage.
    fn command(&self, line: &str) -> Command {
        let dir = self.dir.path().display();
        // Results that are kept stay on the stage, and sessions of one stage share them.
        let mut script = format!("mount --bind {dir}/run /run && ");
        for name in ["passwd", "group", "shadow", "sudoers"] {
            let there = Path::new("/etc").join(name).exists();
            if there {
                script += &format!("mount --bind {dir}/{name} /etc/{name} && ");
            }
        }
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &(script + line)]);
        command
    }

    fn session(&self, user: &str) -> Session {
        let agent = self.dir.path().join("agent");
        let id = USERS
            .iter()
            .find(|(name, _)| *name == user)
            .map_or(0, |(_, id)| *id);
        let ids = format!("--reuid {id} --regid {id} --clear-groups");
        let line = format!("exec setpriv {ids} {}", agent.display());
        let mut session = Session::spawn(&mut self.command(&line));
        assert_eq!(session.hello(0).maker.uid, id);
        session
    }
}

fn r#become(method: BecomeMethod, user: &str, password: Option<&str>) -> Become {
    Become {
        method,
        user: user.into(),
        password: password.map(str::to_owned),
        flags: Vec::new(),
        exe: None,
        timeout_s: 60,
    }
}

fn open(session: &mut Session, lane: u16, r#become: Become) {
    session.send(0, &ToAgent::OpenLane { lane, r#become });
}

/// Opens a lane and runs `id -un` on it.
fn name_on_lane(session: &mut Session, lane: u16, how: Become) -> (u32, String) {
    open(session, lane, how);
    let hello = session.hello(lane);
    let run = session.task(
        "command",
        vec![item(0, &[("_raw_params", "id -un".into())])],
    );
    let outcome = session.run_task(lane, run).pop().unwrap();
    let name = outcome.fields.get("stdout").and_then(Value::as_str);
    (hello.maker.uid, name.unwrap_or_default().to_owned())
}

fn refusal(session: &mut Session, how: Become) -> (LaneErrorKind, String) {
    open(session, 5, how);
    match session.receive() {
        (0, FromAgent::LaneFailed(error)) if error.lane == 5 => (error.kind, error.message),
        other => panic!("not refused but {other:?}"),
    }
}

#[test]
fn sudo_without_a_password() {
    let Some(stage) = Stage::set(&["sudo"]) else {
        return;
    };
    let mut session = stage.session("hostler-free");
    let root = r#become(BecomeMethod::Sudo, "root", None);
    assert_eq!(name_on_lane(&mut session, 1, root), (0, "root".into()));
    let other = r#become(BecomeMethod::Sudo, "hostler-other", None);
    assert_eq!(
        name_on_lane(&mut session, 2, other),
        (64_005, "hostler-other".into())
    );
    // Both lanes and the first agent work side by side.
    for lane in [0, 1, 2] {
        session.send(lane, &ToAgent::Ping(lane.into()));
        assert!(matches!(session.receive(), (from, FromAgent::Pong(_)) if from == lane));
    }
    assert!(session.end().success());
}

#[test]
fn sudo_with_a_password() {
    let Some(stage) = Stage::set(&["sudo"]) else {
        return;
    };
    let mut session = stage.session("hostler-asked");
    let with = |password| r#become(BecomeMethod::Sudo, "root", password);
    assert_eq!(
        refusal(&mut session, with(None)).0,
        LaneErrorKind::PasswordNeeded
    );
    let (kind, message) = refusal(&mut session, with(Some("wrong horse")));
    assert_eq!(kind, LaneErrorKind::PasswordWrong, "{message}");
    assert!(!message.contains("horse"));
    assert_eq!(
        name_on_lane(&mut session, 1, with(Some(PASSWORD))),
        (0, "root".into())
    );
}

#[test]
fn sudo_refuses() {
    let Some(stage) = Stage::set(&["sudo"]) else {
        return;
    };
    let mut session = stage.session("hostler-barred");
    let root = r#become(BecomeMethod::Sudo, "root", Some(PASSWORD));
    assert_eq!(refusal(&mut session, root).0, LaneErrorKind::Denied);
    let mut missing = r#become(BecomeMethod::Sudo, "root", None);
    missing.exe = Some("/no/such/sudo".into());
    let (kind, message) = refusal(&mut session, missing);
    assert_eq!(kind, LaneErrorKind::NoProgram);
    assert!(message.contains("/no/such/sudo is not installed"));
    let mut session = stage.session("hostler-free");
    let nobody = r#become(BecomeMethod::Sudo, "no-such-user", None);
    let (kind, message) = refusal(&mut session, nobody);
    assert_eq!(kind, LaneErrorKind::Failed);
    assert!(message.contains("no-such-user"), "{message}");
}

#[test]
fn sudo_that_wants_a_terminal() {
    let Some(stage) = Stage::set(&["sudo"]) else {
        return;
    };
    let mut session = stage.session("hostler-tty");
    let root = r#become(BecomeMethod::Sudo, "root", None);
    assert_eq!(name_on_lane(&mut session, 1, root), (0, "root".into()));
}

#[test]
fn su_with_a_password() {
    let Some(stage) = Stage::set(&["su"]) else {
        return;
    };
    let mut session = stage.session("hostler-barred");
    let with = |password| r#become(BecomeMethod::Su, "hostler-other", password);
    let (kind, message) = refusal(&mut session, with(Some("wrong horse")));
    assert_eq!(kind, LaneErrorKind::PasswordWrong, "{message}");
    assert_eq!(
        refusal(&mut session, with(None)).0,
        LaneErrorKind::PasswordNeeded
    );
    let other = name_on_lane(&mut session, 1, with(Some(PASSWORD)));
    assert_eq!(other, (64_005, "hostler-other".into()));
    // Bytes that mean something to a terminal go through as they are.
    let text: String = (0..=127_u8)
        .map(char::from)
        .filter(|ch| *ch != '\0')
        .collect();
    let args = [
        ("_raw_params", "cat".into()),
        ("stdin", Value::from(text.repeat(1000))),
        ("strip_empty_ends", false.into()),
    ];
    let run = session.task("command", vec![item(0, &args)]);
    let outcome = session.run_task(1, run).pop().unwrap();
    assert_eq!(
        outcome.fields.get("stdout"),
        Some(&Value::from(text.repeat(1000) + "\n"))
    );
}

#[test]
fn root_needs_no_password_for_su() {
    let Some(stage) = Stage::set(&["su"]) else {
        return;
    };
    let mut session = stage.session("root");
    let other = r#become(BecomeMethod::Su, "hostler-other", None);
    assert_eq!(name_on_lane(&mut session, 1, other).0, 64_005);
}

#[test]
fn the_end_of_a_lane_is_told_and_costs_only_the_lane() {
    let Some(stage) = Stage::set(&["su"]) else {
        return;
    };
    let mut session = stage.session("root");
    open(
        &mut session,
        1,
        r#become(BecomeMethod::Su, "hostler-other", None),
    );
    let pid = session.hello(1).pid;
    let run = session.task(
        "command",
        vec![item(0, &[("_raw_params", format!("kill -9 {pid}").into())])],
    );
    session.begin(0, run);
    let mut closed = None;
    let mut ended = false;
    while closed.is_none() || !ended {
        match session.receive() {
            (0, FromAgent::LaneClosed { lane: 1, reason }) => closed = Some(reason),
            (0, FromAgent::End { .. }) => ended = true,
            (0, FromAgent::Done { .. }) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(closed.unwrap().contains("ended"));
    assert!(session.run("ping", &[]).failed.is_none());
}

#[test]
fn a_forged_public_copy_is_not_used() {
    let Some(stage) = Stage::set(&["su"]) else {
        return;
    };
    let public = PathBuf::from("/var/tmp/.hostler-pub-64001");
    let elsewhere = stage.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let _ = fs::remove_dir_all(&public);
    symlink(&elsewhere, &public).unwrap();
    let mut session = stage.session("hostler-free");
    let how = r#become(BecomeMethod::Su, "hostler-other", Some(PASSWORD));
    assert_eq!(name_on_lane(&mut session, 1, how).0, 64_005);
    fs::remove_file(&public).unwrap();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    let _ = fs::remove_dir_all("/tmp/.hostler-pub-64001");
}

/// A task with a key goes on when the connection ends, and with it the agent that the lane runs through.
fn outlives_its_connection(stage: &Stage, user: &str, how: &Become, key: u8) {
    let at = |name: &str| {
        stage
            .dir
            .path()
            .join("shared")
            .join(format!("{name}-{key}"))
    };
    let until = |path: &Path| format!("while ! test -e {}; do sleep 0.01; done", path.display());
    let line = format!(
        "touch {}; {}; id -un",
        at("began").display(),
        until(&at("go"))
    );
    let mut session = stage.session(user);
    open(&mut session, 1, how.clone());
    session.hello(1);
    let key = TaskKey([key; 16]);
    let run = RunTask {
        key: Some(key),
        ..session.task("shell", vec![item(0, &[("cmd", line.into())])])
    };
    session.begin(1, run);
    let wait = session.task(
        "shell",
        vec![item(0, &[("cmd", until(&at("began")).into())])],
    );
    assert!(session.run_task(0, wait)[0].failed.is_none());
    let mut child = session.cut();
    let mut session = stage.session(user);
    open(&mut session, 1, how.clone());
    session.hello(1);
    session.send(1, &ToAgent::Resolve { task: 77, key });
    fs::write(at("go"), "").unwrap();
    let outcome = session.outcomes(1, 77).pop().unwrap();
    assert_eq!(
        outcome.fields.get("stdout"),
        Some(&how.user.as_str().into())
    );
    session.send(1, &ToAgent::Forget(vec![key]));
    assert!(session.end().success());
    // The first agent waits for its lanes, and no longer.
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_task_on_a_lane_outlives_its_connection() {
    let Some(stage) = Stage::set(&["sudo", "su"]) else {
        return;
    };
    let sudo = r#become(BecomeMethod::Sudo, "root", None);
    outlives_its_connection(&stage, "hostler-free", &sudo, 1);
    // On a terminal, which is hung up when the agent ends that made it.
    outlives_its_connection(&stage, "hostler-tty", &sudo, 2);
    let su = r#become(BecomeMethod::Su, "hostler-other", Some(PASSWORD));
    outlives_its_connection(&stage, "hostler-free", &su, 3);
    fs::remove_dir_all("/var/tmp/hostler-64005").unwrap();
}
