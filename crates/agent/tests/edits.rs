//! The real binary and real files.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use hostler_change::{Content, Outcome};
use hostler_value::Value;
use support::{Session, item_with};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn put(session: &mut Session, content: &str, args: &[(&str, Value)]) -> Outcome {
    let payload = Content::Bytes(content.as_bytes().to_vec());
    let run = session.task("copy", vec![item_with(payload, args)]);
    session.run_task(0, run).pop().unwrap()
}

fn text(path: &Path) -> Value {
    path.display().to_string().into()
}

fn msg(outcome: &Outcome) -> &str {
    outcome
        .failed
        .as_ref()
        .map_or("(it did not fail)", |it| &it.msg)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn replaces_a_file_and_keeps_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "old\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let mut session = Session::greeted();
    let done = put(
        &mut session,
        "new\n",
        &[("dest", text(&path)), ("backup", true.into())],
    );
    assert!(done.changed, "{done:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
    assert_eq!(mode(&path), 0o640);
    assert_ne!(fs::metadata(&path).unwrap().ino(), inode);
    let backup = done
        .fields
        .get("backup_file")
        .and_then(Value::as_str)
        .unwrap();
    assert_eq!(fs::read_to_string(backup).unwrap(), "old\n");
    assert_eq!(mode(Path::new(backup)), 0o640);
    // PATH.PID.YYYY-MM-DD@HH:MM:SS~
    let tail = backup
        .strip_prefix(&format!("{}.{}.", path.display(), session.child.id()))
        .unwrap();
    assert!(
        tail.len() == 20 && tail.ends_with('~') && tail.as_bytes()[10] == b'@',
        "{tail}"
    );
    assert!(!put(&mut session, "new\n", &[("dest", text(&path))]).changed);
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn new_files_have_what_the_umask_gives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let mut session = Session::greeted();
    put(&mut session, "x", &[("dest", text(&path))]);
    let made = dir.path().join("other");
    fs::write(&made, "").unwrap();
    assert_eq!(mode(&path), mode(&made));
    put(
        &mut session,
        "x",
        &[
            ("dest", text(&dir.path().join("g"))),
            ("mode", "4711".into()),
        ],
    );
    assert_eq!(mode(&dir.path().join("g")), 0o4711);
}

#[test]
fn user_attributes_survive() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "old").unwrap();
    let file = fs::File::open(&path).unwrap();
    let set = rustix::fs::fsetxattr(&file, "user.hostler", b"v", rustix::fs::XattrFlags::empty());
    if set == Err(rustix::io::Errno::OPNOTSUPP) {
        // The file system of the target directory has no such attributes.
        return;
    }
    set.unwrap();
    put(&mut Session::greeted(), "new", &[("dest", text(&path))]);
    let mut value = [0; 8];
    let len = rustix::fs::getxattr(&path, "user.hostler", &mut value).unwrap();
    assert_eq!(&value[..len], b"v");
}

#[test]
fn validation_decides_before_anything_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.conf");
    fs::write(&path, "old").unwrap();
    let mut session = Session::greeted();
    let validate = |line: &str| {
        [
            ("dest", text(&path)),
            ("validate", line.into()),
            ("mode", "0600".into()),
        ]
    };
    let refused = put(&mut session, "bad", &validate("grep -q good %s"));
    assert_eq!(msg(&refused), "failed to validate");
    assert_eq!(refused.fields.get("exit_status"), Some(&1.into()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(dir.path()), ["f.conf"]);
    let taken = put(
        &mut session,
        "good",
        &validate("sh -c 'grep -q good \"$0\"' %s"),
    );
    assert!(taken.changed, "{taken:?}");
}

#[test]
fn a_full_disk_leaves_the_old_file_and_no_other() {
    if !Path::new("/dev/full").exists() || !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small");
    fs::create_dir(&small).unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
        .arg(&small)
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        // A container without the right to mount.
        return;
    }
    let path = small.join("f");
    fs::write(&path, "old").unwrap();
    let outcome = put(
        &mut Session::greeted(),
        &"x".repeat(100_000),
        &[("dest", text(&path))],
    );
    let (left, kept) = (names(&small), fs::read_to_string(&path).unwrap());
    assert!(
        std::process::Command::new("umount")
            .arg(&small)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        msg(&outcome),
        format!("cannot write {}: No space left on device", path.display())
    );
    assert_eq!((left, kept.as_str()), (vec!["f".to_owned()], "old"));
}

#[test]
fn a_mounted_file_is_written_in_place_only_if_asked() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (path, below) = (dir.path().join("f"), dir.path().join("below"));
    fs::write(&path, "").unwrap();
    fs::write(&below, "old").unwrap();
    let mount = std::process::Command::new("mount")
        .arg("--bind")
        .arg(&below)
        .arg(&path)
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        return;
    }
    let mut session = Session::greeted();
    let refused = put(&mut session, "new", &[("dest", text(&path))]);
    let after_refusal = fs::read_to_string(&path).unwrap();
    let done = put(
        &mut session,
        "new",
        &[("dest", text(&path)), ("unsafe_writes", true.into())],
    );
    let after = fs::read_to_string(&below).unwrap();
    assert!(
        std::process::Command::new("umount")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    assert!(
        msg(&refused).contains("Device or resource busy"),
        "{refused:?}"
    );
    assert!(
        refused
            .failed
            .unwrap()
            .hint
            .unwrap()
            .contains("unsafe_writes")
    );
    assert_eq!(after_refusal, "old");
    assert!(done.changed && after == "new", "{done:?}");
    assert_eq!(names(dir.path()), ["below", "f"]);
}

#[test]
fn directories_links_and_removal() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut session = Session::greeted();
    let mut file = |pairs: &[(&str, Value)]| session.run("file", pairs);
    let made = file(&[
        ("path", text(&at("a/b"))),
        ("state", "directory".into()),
        ("mode", "0711".into()),
    ]);
    assert!(made.changed, "{made:?}");
    assert_eq!((mode(&at("a")), mode(&at("a/b"))), (0o711, 0o711));
    fs::write(at("a/f"), "x").unwrap();
    assert!(
        file(&[
            ("src", "a/f".into()),
            ("dest", text(&at("l"))),
            ("state", "link".into())
        ])
        .changed
    );
    assert_eq!(fs::read_to_string(at("l")).unwrap(), "x");
    let again = file(&[
        ("src", "a/f".into()),
        ("dest", text(&at("l"))),
        ("state", "link".into()),
    ]);
    assert!(!again.changed, "{again:?}");
    let hard = [
        ("src", text(&at("a/f"))),
        ("dest", text(&at("h"))),
        ("state", "hard".into()),
    ];
    assert!(file(&hard).changed);
    assert_eq!(
        fs::metadata(at("h")).unwrap().ino(),
        fs::metadata(at("a/f")).unwrap().ino()
    );
    assert!(!file(&hard).changed);
    let modes = file(&[
        ("path", text(&at("a"))),
        ("recurse", true.into()),
        ("mode", "u=rwX,go=".into()),
    ]);
    assert!(modes.changed);
    assert_eq!(
        (mode(&at("a")), mode(&at("a/b")), mode(&at("a/f"))),
        (0o700, 0o700, 0o600)
    );
    symlink("/etc", at("a/etc")).unwrap();
    assert!(file(&[("path", text(&at("a"))), ("state", "absent".into())]).changed);
    assert!(!at("a").exists() && Path::new("/etc/passwd").exists());
    assert_eq!(names(dir.path()), ["h", "l"]);
}

#[test]
fn touch_makes_and_renews() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let mut session = Session::greeted();
    let touch = [("path", text(&path)), ("state", "touch".into())];
    assert!(session.run("file", &touch).changed);
    let old = [
        ("path", text(&path)),
        ("modification_time", "200001010000.00".into()),
        ("state", "touch".into()),
        ("access_time", "preserve".into()),
    ];
    assert!(session.run("file", &old).changed);
    assert!(fs::metadata(&path).unwrap().mtime() < 946_800_000);
    assert!(!session.run("file", &old).changed);
    assert!(session.run("file", &touch).changed);
    assert!(fs::metadata(&path).unwrap().mtime() > 1_700_000_000);
}

#[test]
fn check_mode_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let mut session = Session::greeted();
    let payload = Content::Bytes(b"x".to_vec());
    let mut run = session.task("copy", vec![item_with(payload, &[("dest", text(&path))])]);
    run.check = true;
    let outcome = session.run_task(0, run).pop().unwrap();
    assert!(outcome.changed && !path.exists());
}

#[test]
fn looks_at_real_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "hi\n").unwrap();
    let mut session = Session::greeted();
    let outcome = session.run("stat", &[("path", text(&path))]);
    let stat = outcome.fields.get("stat").unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(stat.get("inode"), Some(&meta.ino().into()));
    assert_eq!(
        stat.get("checksum"),
        Some(&"55ca6286e3e4f4fba5d0448333fa99fc5a404a73".into())
    );
    assert_eq!(stat.get("readable"), Some(&true.into()));
    let slurped = session.run("slurp", &[("src", text(&path))]);
    assert_eq!(slurped.fields.get("content"), Some(&"aGkK".into()));
}

#[test]
fn programs_that_cannot_be_started_are_failures() {
    let mut session = Session::greeted();
    let outcome = session.run(
        "command",
        &[("_raw_params", "no-such-program-here x".into())],
    );
    assert!(
        msg(&outcome).starts_with("Error executing command"),
        "{outcome:?}"
    );
    assert_eq!(outcome.fields.get("rc"), Some(&2.into()));
    let outcome = session.run("command", &[("_raw_params", "sh -c 'exit 3'".into())]);
    assert_eq!(msg(&outcome), "non-zero return code");
    assert_eq!(outcome.fields.get("rc"), Some(&3.into()));
}

#[test]
fn other_names_of_a_replaced_file_are_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("f"), dir.path().join("other"));
    fs::write(&path, "old\n").unwrap();
    fs::hard_link(&path, &other).unwrap();
    let mut session = Session::greeted();
    let args = [("dest", text(&path))];
    let payload = Content::Bytes(b"new\n".to_vec());
    let mut look = session.task("copy", vec![item_with(payload, &args)]);
    look.check = true;
    let foreseen = session.run_task(0, look).pop().unwrap();
    let line = [("path", text(&path)), ("line", "x".into())];
    let edited = session.run("lineinfile", &line);
    for outcome in [foreseen, edited] {
        let warned = outcome.warnings.concat();
        assert!(
            warned.contains("1 other name") && warned.contains("hard link"),
            "{outcome:?}"
        );
    }
    assert_eq!(fs::read_to_string(&other).unwrap(), "old\n");
    assert_eq!(put(&mut session, "new\n", &args).warnings, [""; 0]);
}

#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let made = |program: &str, args: &[&str]| {
        let mut command = std::process::Command::new(program);
        command
            .args(args)
            .current_dir(dir.path())
            .status()
            .unwrap()
            .success()
    };
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    assert!(made("mkfifo", &["fifo"]));
    fs::create_dir(path("directory")).unwrap();
    let mut kinds = vec!["socket", "fifo", "directory"];
    // Whether devices can be made depends on where the test runs.
    kinds.extend(made("mknod", &["device", "c", "1", "3"]).then_some("device"));
    let mut session = Session::greeted();
    for kind in kinds {
        let before = fs::symlink_metadata(path(kind)).unwrap();
        let copied = put(&mut session, "new\n", &[("dest", text(&path(kind)))]);
        assert!(copied.failed.is_some(), "{kind}: {copied:?}");
        let line = [("path", text(&path(kind))), ("line", "x".into())];
        let edited = session.run("lineinfile", &line);
        assert!(edited.failed.is_some(), "{kind}: {edited:?}");
        let after = fs::symlink_metadata(path(kind)).unwrap();
        assert_eq!(
            (before.ino(), before.mode()),
            (after.ino(), after.mode()),
            "{kind}"
        );
    }
}
