use hostler_change::CommandOutput;
use hostler_module_api::fake::{FakeHost, check_fails, check_module};
use hostler_module_api::{Mode, execute};

use super::*;
use crate::patching::fake::{action, host, set};

const DIR: &str = "/var/lib/hostler/patch/runs/r1";
const START: &str = "start /var/lib/hostler/patch/runs/r1/install.sh";

fn args(actions: &[Action]) -> Map {
    let mut args: Map = [("run", "r1")].into_iter().collect();
    args.insert("actions", value_of(&actions));
    args
}

fn both() -> Map {
    args(&[
        action("a", Some("1"), Some("2")),
        action("b", Some("1"), Some("2")),
    ])
}

/// A host with the files of `a` and `b` at 2.
fn ready() -> FakeHost {
    let mut host = host();
    for dir in [
        "/var/lib/hostler",
        "/var/lib/hostler/patch",
        "/var/lib/hostler/patch/packages",
    ] {
        host = host.dir(dir, 0o700);
    }
    for name in ["a", "b"] {
        host = host.file(
            &format!("/var/lib/hostler/patch/packages/{name}_2_amd64.deb"),
            name,
        );
    }
    host.on(START, |_| CommandOutput::default())
}

/// Both are installed while it waits.
fn installs(host: &mut FakeHost) -> CommandOutput {
    set(host, "a", Some("2"));
    set(host, "b", Some("2"));
    host.set_text(&format!("{DIR}/install.rc"), "0 12\n");
    host.set_text("/left", "/etc/old.dpkg-dist\n/etc/a.dpkg-dist\n");
    CommandOutput::default()
}

fn got(outcome: &hostler_change::Outcome) -> Installed {
    let value = outcome.fields.get("installed").unwrap();
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[test]
fn what_was_planned_is_installed_and_kept_in_mind() {
    let host = ready()
        .file("/left", "/etc/old.dpkg-dist\n")
        .on("install", installs);
    let done = check_module::<This>(both(), host);
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(done.host.ran, [START, "install"]);
    let it = got(&done.first);
    assert_eq!(
        (it.actions.len(), it.seconds, it.kept_in.as_str()),
        (2, 12, DIR)
    );
    assert_eq!(it.conffiles_left, ["/etc/a.dpkg-dist"]);
    assert_eq!(got(&done.second).actions, it.actions);
    for (name, text) in [
        ("before", "a:amd64 1\nb:amd64 1\n"),
        ("after", "a:amd64 2\nb:amd64 2\n"),
    ] {
        let file = format!("{DIR}/{name}.txt");
        assert_eq!(done.host.text(&file).unwrap(), text);
        assert_eq!(done.host.at(&file).unwrap().mode, 0o600);
    }
    let script = done.host.text(&format!("{DIR}/install.sh")).unwrap();
    assert!(script.contains("'a:amd64=2' 'b:amd64=2'"), "{script}");
}

#[test]
fn anything_beyond_the_plan_stops_it_before_it_begins() {
    let extra = ready().file("/needs", "c:amd64 5\n");
    let msg = check_fails::<This>(both(), extra);
    assert_eq!(msg, "plan_mismatch: c:amd64 nothing -> 5 is not planned");
    let gone = ready().file("/archive", "a:amd64 2\nb:amd64 3\n");
    assert!(check_fails::<This>(both(), gone).starts_with("plan_mismatch: b:amd64 cannot be had"));
    let mut other = ready();
    set(&mut other, "a", Some("1.5"));
    assert_eq!(
        check_fails::<This>(both(), other),
        "plan_mismatch: a:amd64 1.5 -> 2, planned is a:amd64 1 -> 2"
    );
}

#[test]
fn removals_must_be_planned_and_allowed() {
    let remove = args(&[action("b", Some("1"), None)]);
    let msg = check_fails::<This>(remove.clone(), ready());
    assert!(msg.contains("not among the removals"), "{msg}");
    let mut allowed = remove;
    allowed.insert("allow_remove", Value::list(["b".into()]));
    let host = ready().on("install", |host| {
        set(host, "b", None);
        CommandOutput::default()
    });
    assert!(check_module::<This>(allowed, host).first.changed);
}

#[test]
fn files_are_verified_again() {
    let mut wanted = action("a", Some("1"), Some("2"));
    wanted.sha256 = Some("00".repeat(32));
    assert!(check_fails::<This>(args(&[wanted]), ready()).contains("the file has SHA-256"));
    let missing = args(&[action("c", None, Some("1"))]);
    let host = ready().file("/archive", "c:amd64 1\n");
    assert_eq!(
        check_fails::<This>(missing, host),
        "c:amd64 1 is not downloaded"
    );
}

#[test]
fn who_holds_the_lock_is_named_after_the_wait() {
    let mut wanted = both();
    wanted.insert("locks_wait_s", 60);
    let msg = check_fails::<This>(wanted, ready().file("/locked", "apt-get (pid 77)"));
    assert_eq!(
        msg,
        "/locked is held by apt-get (pid 77), and was for 60 seconds"
    );
}

#[test]
fn work_that_runs_is_waited_for_and_not_begun_again() {
    let host = ready()
        .dir("/var/lib/hostler/patch/runs", 0o700)
        .dir(DIR, 0o700)
        .file(&format!("{DIR}/before.txt"), "a:amd64 1\nb:amd64 1\n")
        .file(&format!("{DIR}/install.sh"), "")
        .file(&format!("{DIR}/install.pid"), "77\n")
        .file("/proc/77/cmdline", format!("sh\0{DIR}/install.sh\0"))
        .file("/locked", "dpkg (pid 78)")
        .on("install", |host| {
            host.set_text("/proc/77/cmdline", "");
            installs(host)
        });
    let done = check_module::<This>(both(), host);
    assert_eq!(done.host.ran, ["install"]);
    assert_eq!(got(&done.first).actions.len(), 2);
}

#[test]
fn our_own_interrupted_work_is_repaired_and_completed() {
    let mut host = ready()
        .dir("/var/lib/hostler/patch/runs", 0o700)
        .dir(DIR, 0o700)
        .file(&format!("{DIR}/before.txt"), "a:amd64 1\nb:amd64 1\n")
        .file(&format!("{DIR}/install.sh"), "")
        .file(&format!("{DIR}/install.rc"), "100 3\n")
        .file("/interrupted", "dpkg was interrupted")
        .on("start /var/lib/hostler/patch/runs/r1/repair.sh", |_| {
            CommandOutput::default()
        })
        .on("repair", |host| {
            *host = std::mem::take(host);
            host.set_text("/gone", "");
            CommandOutput::default()
        })
        .on("install", installs);
    set(&mut host, "a", Some("2"));
    // The fake host cannot forget a file: repairing fails to help, and that is said.
    let mut hopeless = host.clone();
    let outcome = execute::<This>(&both().into(), Mode::default(), &mut hopeless);
    assert!(outcome.failed.unwrap().msg.contains("repair"));
    let mut host = host.on("repair", |host| {
        use hostler_change::{Planned, Remove};
        use hostler_module_api::Applier as _;
        let edit = Edit::Remove(Remove {
            path: "/interrupted".into(),
            recursive: false,
        });
        host.apply(&Planned {
            edit,
            deltas: Vec::new(),
        })
        .unwrap();
        CommandOutput::default()
    });
    let outcome = execute::<This>(&both().into(), Mode::default(), &mut host);
    assert_eq!(outcome.failed, None);
    // Only what was left to do.
    let script = host.text(&format!("{DIR}/install.sh")).unwrap();
    assert!(script.contains("'b:amd64=2'") && !script.contains("'a:amd64=2'"));
    assert_eq!(got(&outcome).actions.len(), 2);
}

#[test]
fn what_others_interrupted_is_not_touched() {
    let host = ready().file("/interrupted", "half installed");
    assert_eq!(
        check_fails::<This>(both(), host),
        "the package database is not whole: half installed"
    );
}

#[test]
fn success_that_is_none_is_a_failure() {
    let host = ready().on("install", |host| {
        set(host, "a", Some("2"));
        host.set_text(&format!("{DIR}/install.rc"), "0 1\n");
        CommandOutput::default()
    });
    let outcome = execute::<This>(&both().into(), Mode::default(), &mut { host });
    assert_eq!(
        outcome.failed.unwrap().msg,
        "the installation ended well, but b:amd64 is 1, not 2"
    );
}

#[test]
fn a_failure_says_where_its_log_is_and_the_next_call_tries_again() {
    let mut host = ready().on("install", |host| {
        host.set_text(&format!("{DIR}/install.rc"), "100 1\n");
        CommandOutput {
            rc: 100,
            ..CommandOutput::default()
        }
    });
    let outcome = execute::<This>(&both().into(), Mode::default(), &mut host);
    assert!(outcome.failed.is_some());
    assert_eq!(outcome.fields.get("kept_in"), Some(&Value::from(DIR)));
    let done = check_module::<This>(both(), {
        host.ran.clear();
        host.on("install", installs)
    });
    assert_eq!(done.host.ran, [START, "install"]);
}

#[test]
fn what_is_installed_already_needs_nothing() {
    let mut host = ready().file("/archive", "").file("/locked", "x");
    set(&mut host, "a", Some("2"));
    set(&mut host, "b", Some("2"));
    let done = check_module::<This>(both(), host);
    assert!(!done.first.changed && done.host.ran.is_empty());
}

#[test]
fn changed_configuration_can_stop_it() {
    let mut wanted = both();
    wanted.insert("conffiles", "fail");
    let host = ready().file("/changed", "/etc/a.conf\n");
    assert_eq!(
        check_fails::<This>(wanted, host),
        "/etc/a.conf of a was changed by hand, and the new version brings another"
    );
}
