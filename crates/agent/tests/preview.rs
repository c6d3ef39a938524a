//! Tasks of a preview see what earlier ones would have done; the host stays as it is.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::path::Path;

use hostler_change::{Content, Outcome};
use hostler_protocol::{Item, PreviewTask};
use hostler_value::Value;
use support::{Session, item, item_with};

fn preview(session: &mut Session, module: &str, item: Item) -> Outcome {
    let mut run = session.task(module, vec![item]);
    run.check = true;
    run.preview = Some(PreviewTask {
        keep: true,
        ..PreviewTask::default()
    });
    let outcome = session.run_task(0, run).pop().unwrap();
    assert_eq!(outcome.failed, None, "{module}: {outcome:?}");
    outcome
}

fn text(path: &Path) -> Value {
    path.display().to_string().into()
}

fn stat_of(outcome: &Outcome, name: &str) -> Value {
    let stat = outcome.fields.get("stat").and_then(Value::as_map).unwrap();
    stat.get(name).cloned().unwrap_or_default()
}

#[test]
fn later_tasks_see_what_earlier_ones_would_do() {
    let root = tempfile::tempdir().unwrap();
    let (dir, path) = (root.path().join("app"), root.path().join("app/conf"));
    let mut session = Session::greeted();
    let make = || {
        let state = ("state", "directory".into());
        item(0, &[("path", text(&dir)), state, ("mode", "0750".into())])
    };
    assert!(preview(&mut session, "file", make()).changed);
    assert!(!preview(&mut session, "file", make()).changed);
    let put = || {
        let content = Content::Bytes(b"port = 1\n".to_vec());
        let validate = ("validate", "/bin/false %s".into());
        item_with(content, &[("dest", text(&path)), validate])
    };
    assert!(preview(&mut session, "copy", put()).changed);
    assert!(!preview(&mut session, "copy", put()).changed);
    let line = || {
        let line = ("line", "host = here".into());
        item(0, &[("path", text(&path)), line])
    };
    assert!(preview(&mut session, "lineinfile", line()).changed);
    assert!(!preview(&mut session, "lineinfile", line()).changed);
    let seen = preview(&mut session, "stat", item(0, &[("path", text(&path))]));
    assert_eq!(stat_of(&seen, "exists"), Value::Bool(true));
    assert_eq!(stat_of(&seen, "size"), Value::Int(21));
    let sum = hostler_module_api::digest(b"port = 1\nhost = here\n", "sha1").unwrap();
    assert_eq!(stat_of(&seen, "checksum"), Value::from(sum));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    // Neither a real task nor a single one with `check_mode: true` sees any of it.
    for check in [false, true] {
        let mut run = session.task("stat", vec![item(0, &[("path", text(&path))])]);
        run.check = check;
        let seen = session.run_task(0, run).pop().unwrap();
        assert_eq!(stat_of(&seen, "exists"), Value::Bool(false), "{check}");
    }
    let mut single = session.task("copy", vec![put()]);
    single.check = true;
    let failed = session.run_task(0, single).pop().unwrap().failed;
    assert!(failed.is_some(), "its directory is not there");
}

#[test]
fn a_user_that_is_not_there_yet_owns_files() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    let mut session = Session::greeted();
    let name = ("name", Value::from("hostler-no-such-user"));
    let user = || item(0, &[name.clone(), ("home", text(&home))]);
    assert!(preview(&mut session, "user", user()).changed);
    assert!(!preview(&mut session, "user", user()).changed);
    let owner = [("owner", name.1.clone()), ("group", name.1.clone())];
    let keys = home.join("keys");
    let state = ("state", "directory".into());
    let mut args = vec![("path", text(&keys)), state];
    args.extend(owner);
    assert!(preview(&mut session, "file", item(0, &args)).changed);
    let seen = preview(&mut session, "stat", item(0, &[("path", text(&keys))]));
    assert_eq!(stat_of(&seen, "pw_name"), name.1);
    let gone = item(
        0,
        &[
            name.clone(),
            ("state", "absent".into()),
            ("remove", true.into()),
        ],
    );
    assert!(preview(&mut session, "user", gone).changed);
    let seen = preview(&mut session, "stat", item(0, &[("path", text(&keys))]));
    assert_eq!(stat_of(&seen, "exists"), Value::Bool(false));
    assert!(!home.exists());
}

fn failure(session: &mut Session, module: &str, item: Item) -> Outcome {
    let mut run = session.task(module, vec![item]);
    run.check = true;
    run.preview = Some(PreviewTask {
        task: 9,
        keep: true,
        ..PreviewTask::default()
    });
    session.run_task(0, run).pop().unwrap()
}

#[test]
fn numbers_that_a_tool_will_pick_are_unknown() {
    let mut session = Session::greeted();
    let name = ("name", Value::from("hostler-no-such-group"));
    let made = failure(&mut session, "group", item(0, &[name]));
    assert!(made.changed && made.failed.is_none(), "{made:?}");
    let gid = made.fields.get("gid").and_then(Value::unknown_part);
    assert_eq!(gid.unwrap().until[0].task, 9);
    let edits = made.forecast.unwrap().edits;
    assert_eq!(edits.len(), 1, "what it keeps is told");
}

#[test]
fn what_would_fail_fails() {
    let root = tempfile::tempdir().unwrap();
    let mut session = Session::greeted();
    let path = text(&root.path().join("x"));
    let touch = [
        ("path", path.clone()),
        ("state", "touch".into()),
        ("owner", "hostler-nobody".into()),
    ];
    let outcome = failure(&mut session, "file", item(0, &touch));
    let failed = outcome.failed.unwrap().msg;
    assert!(
        failed.contains("failed to look up user hostler-nobody"),
        "{failed}"
    );
    // Nothing of it is kept.
    let seen = preview(&mut session, "stat", item(0, &[("path", path.clone())]));
    assert_eq!(stat_of(&seen, "exists"), Value::Bool(false));
    // A command that is not run may make the user.
    let command = ("_raw_params", Value::from("useradd hostler-nobody"));
    assert!(failure(&mut session, "command", item(0, &[command])).skipped);
    let outcome = failure(&mut session, "file", item(0, &touch));
    assert_eq!(outcome.failed, None);
    assert_eq!(outcome.unknown[0].task, 9);
}

#[test]
fn a_download_is_there_and_its_content_is_unknown() {
    let root = tempfile::tempdir().unwrap();
    let mut session = Session::greeted();
    let dest = ("dest", text(&root.path().join("archive")));
    let url = ("url", Value::from("http://127.0.0.1:9/archive"));
    let fetched = failure(&mut session, "get_url", item(0, &[url, dest.clone()]));
    assert!(fetched.changed, "{fetched:?}");
    let path = ("path", dest.1.clone());
    let seen = preview(&mut session, "stat", item(0, std::slice::from_ref(&path)));
    assert_eq!(stat_of(&seen, "exists"), Value::Bool(true));
    assert!(
        stat_of(&seen, "checksum").unknown_part().is_some(),
        "{seen:?}"
    );
    assert!(stat_of(&seen, "size").unknown_part().is_some());
    let line = ("line", "x".into());
    let edited = failure(&mut session, "lineinfile", item(0, &[path, line]));
    assert_eq!((edited.failed, edited.unknown.len()), (None, 1));
}

#[test]
fn a_crontab_holds_what_an_earlier_task_would_put_there() {
    let mut session = Session::greeted();
    let job = |name: &str| {
        let pairs = [
            ("name", name.into()),
            ("job", "true".into()),
            ("minute", "1".into()),
        ];
        item(0, &pairs)
    };
    let first = failure(&mut session, "cron", job("a"));
    if first.failed.is_some() {
        // No `crontab` on this machine.
        return;
    }
    assert!(first.changed);
    assert!(!failure(&mut session, "cron", job("a")).changed);
    assert!(failure(&mut session, "cron", job("b")).changed);
    let gone = item(0, &[("name", "a".into()), ("state", "absent".into())]);
    assert!(failure(&mut session, "cron", gone).changed);
}
