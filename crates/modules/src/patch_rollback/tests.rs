use hostler_change::CommandOutput;
use hostler_module_api::fake::{FakeHost, check_fails, check_module};
use hostler_module_api::{Mode, execute};

use super::*;
use crate::patching::fake::{action, host, set};

const DIR: &str = "/var/lib/hostler/patch/runs/r1";
const START: &str = "start /var/lib/hostler/patch/runs/r1/rollback.sh";

fn args(actions: &[Action]) -> Map {
    let mut args: Map = [("run", "r1")].into_iter().collect();
    args.insert("actions", value_of(&actions));
    args
}

/// `a` and `b` were upgraded, `new` was installed, `gone` was removed.
fn done() -> Vec<Action> {
    vec![
        action("a", Some("1"), Some("2")),
        action("b", Some("1"), Some("2")),
        action("new", None, Some("1")),
        action("gone", Some("1"), None),
    ]
}

/// A host after that, with the old files of `a` and `gone`.
fn patched() -> FakeHost {
    let mut host = host();
    for dir in [
        "/var/lib/hostler",
        "/var/lib/hostler/patch",
        "/var/lib/hostler/patch/packages",
        "/var/lib/hostler/patch/runs",
        DIR,
    ] {
        host = host.dir(dir, 0o700);
    }
    for name in ["a", "gone"] {
        host = host.file(
            &format!("/var/lib/hostler/patch/packages/{name}_1_amd64.deb"),
            name,
        );
    }
    host.file("/tin", "a:amd64 2\nb:amd64 2\nnew:amd64 1\n")
        .file(&format!("{DIR}/install.rc"), "0 3\n")
        .file(&format!("{DIR}/install.sh"), "")
        .on(START, |_| CommandOutput::default())
}

fn goes_back(host: &mut FakeHost) -> CommandOutput {
    set(host, "a", Some("1"));
    set(host, "new", None);
    set(host, "gone", Some("1"));
    host.set_text(&format!("{DIR}/rollback.rc"), "0 3\n");
    CommandOutput::default()
}

fn got(outcome: &hostler_change::Outcome) -> RolledBack {
    let value = outcome.fields.get("rolled_back").unwrap();
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[test]
fn what_was_kept_comes_back_and_the_rest_is_told() {
    let it = check_module::<This>(args(&done()), patched().on("rollback", goes_back));
    assert!(it.first.changed && !it.second.changed);
    assert_eq!(it.host.ran, [START, "rollback"]);
    let back = got(&it.first);
    let shown: Vec<String> = back
        .actions
        .iter()
        .map(|it| format!("{} {:?}", it.package, it.kind))
        .collect();
    assert_eq!(
        shown,
        [
            "a:amd64 Downgrade",
            "gone:amd64 Install",
            "new:amd64 Remove"
        ]
    );
    assert_eq!(back.left[0].0.to_string(), "b:amd64");
    assert_eq!(back.left[0].1, "the file of 1 was not kept");
    let script = it.host.text(&format!("{DIR}/rollback.sh")).unwrap();
    assert!(
        script.contains("'a:amd64=1' 'new:amd64=-' 'gone:amd64=1'"),
        "{script}"
    );
    // The run may be installed again.
    assert!(it.host.at(&format!("{DIR}/install.rc")).is_none());
    assert!(it.first.warnings.is_empty(), "{:?}", it.first.warnings);
}

#[test]
fn some_are_never_downgraded_and_what_others_did_is_let_be() {
    let mut wanted = args(&done()[..2]);
    wanted.insert("never_downgrade", Value::list(["a*".into()]));
    let mut host = patched();
    set(&mut host, "b", Some("3"));
    let it = check_module::<This>(wanted, host);
    assert!(!it.first.changed && it.host.ran.is_empty());
    let left: Vec<String> = got(&it.first).left.into_iter().map(|it| it.1).collect();
    assert_eq!(
        left,
        [
            "is never downgraded (`a*`)",
            "3 is installed, which this run did not bring"
        ]
    );
}

#[test]
fn what_was_installed_in_part_is_repaired_as_far_as_it_goes() {
    // `a` is neither here nor there.
    let mut host = patched()
        .file("/interrupted", "a is half configured")
        .on("rollback", |host| {
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
            set(host, "a", Some("1"));
            CommandOutput::default()
        });
    set(&mut host, "a", None);
    let outcome = execute::<This>(&args(&done()[..1]).into(), Mode::default(), &mut host);
    assert_eq!(outcome.failed, None);
    let script = host.text(&format!("{DIR}/rollback.sh")).unwrap();
    assert!(script.contains("env 'tin' 'repair' || true\n"), "{script}");
    assert!(script.contains("'tin' 'install-older'"), "{script}");
}

#[test]
fn nothing_else_may_go() {
    let host = patched()
        .file("/archive", "a:amd64 1\n")
        .file("/needs", "other:amd64 gone\n");
    assert_eq!(
        check_fails::<This>(args(&done()[..1]), host),
        "the rollback would also remove other:amd64"
    );
}

#[test]
fn an_installation_that_runs_is_waited_for() {
    let host = patched()
        .file(&format!("{DIR}/install.pid"), "7\n")
        .file("/proc/7/cmdline", format!("sh\0{DIR}/install.sh\0"))
        .on("install", |host| {
            host.set_text("/proc/7/cmdline", "");
            CommandOutput {
                rc: 100,
                ..CommandOutput::default()
            }
        })
        .on("rollback", goes_back);
    let it = check_module::<This>(args(&done()), host);
    assert_eq!(it.host.ran, ["install", START, "rollback"]);
}

#[test]
fn where_nothing_was_done_nothing_is_undone() {
    let it = check_module::<This>(args(&done()[..2]), host());
    assert!(!it.first.changed && got(&it.first).left.is_empty());
}

#[test]
fn a_merge_of_a_volume_is_asked_for_once() {
    let snapshot = Snapshot {
        provider: hostler_updates::SnapshotProvider::Lvm,
        name: "vg0/hostler-r1".into(),
        how_back: String::new(),
    };
    let mut wanted = args(&[]);
    wanted.insert("snapshot", value_of(&snapshot));
    let state = "lvs --noheadings --separator : -o origin,lv_merging,lv_snapshot_invalid vg0/hostler-r1";
    let host = FakeHost::bare()
        .file("/usr/sbin/lvs", "")
        .attrs("/usr/sbin/lvs", 0, 0, 0o755);
    let there = host
        .clone()
        .answers(state, 0, "  root::\n")
        .on("lvconvert --yes --merge vg0/hostler-r1", move |host| {
            host.answer(state, 0, "  root:merging:\n");
            CommandOutput::default()
        });
    let it = check_module::<This>(wanted.clone(), there);
    assert!(it.first.changed && !it.second.changed && got(&it.first).needs_reboot);
    let lost = host.clone().answers(state, 0, "  root::snapshot invalid\n");
    assert!(check_fails::<This>(wanted.clone(), lost).starts_with("vg0/hostler-r1 is lost"));
    let gone = host.answers(state, 5, "");
    assert!(
        check_fails::<This>(wanted.clone(), gone.clone())
            .starts_with("there is no snapshot vg0/hostler-r1")
    );
    wanted.insert("run", "r2");
    assert_eq!(
        check_fails::<This>(wanted, gone),
        "this is no snapshot of this run"
    );
}

#[test]
fn installing_and_going_back_once_more_is_a_new_piece_of_work() {
    let wanted = || args(&done()[..1]);
    let upgrade = |host: &mut FakeHost| {
        set(host, "a", Some("2"));
        host.set_text(&format!("{DIR}/install.rc"), "0 1\n");
        CommandOutput::default()
    };
    let mut it = check_module::<This>(args(&done()), patched().on("rollback", goes_back));
    it.host.ran.clear();
    let new = "/var/lib/hostler/patch/packages/a_2_amd64.deb";
    let host = it.host.file(new, "a").on("install", upgrade);
    let host = host.on("start /var/lib/hostler/patch/runs/r1/install.sh", |_| {
        CommandOutput::default()
    });
    let mut it = check_module::<crate::patch_install::This>(wanted(), host);
    assert!(
        it.first.changed
            && it
                .host
                .text(&format!("{DIR}/before.txt"))
                .unwrap()
                .contains("a:amd64 1")
    );
    it.host.ran.clear();
    let it = check_module::<This>(wanted(), it.host.on("rollback", goes_back));
    let back: Vec<String> = got(&it.first)
        .actions
        .iter()
        .map(|it| it.package.to_string())
        .collect();
    assert_eq!(back, ["a:amd64"]);
}

/// A host whose root is a subvolume, with the snapshot of the run.
fn on_btrfs(subvolume: &str) -> FakeHost {
    FakeHost::bare()
        .file("/usr/bin/btrfs", "")
        .attrs("/usr/bin/btrfs", 0, 0, 0o755)
        .dir("/.hostler-snapshots/r1", 0o755)
        .file(
            "/proc/self/mountinfo",
            format!(
                "30 1 0:30 {subvolume} / rw - btrfs /dev/sda2 rw,subvolid=256,subvol={subvolume}\n"
            ),
        )
}

fn to_subvolume() -> Map {
    let snapshot = Snapshot {
        provider: hostler_updates::SnapshotProvider::Btrfs,
        name: "/.hostler-snapshots/r1".into(),
        how_back: String::new(),
    };
    let mut wanted = args(&[]);
    wanted.insert("snapshot", value_of(&snapshot));
    wanted
}

#[test]
fn a_root_that_is_mounted_by_name_is_exchanged() {
    let exchange = "exchange subvolume @ for @/.hostler-snapshots/r1";
    for (file, text) in [
        ("/etc/fstab", "# x\nUUID=1 / btrfs noatime,subvol=@ 0 0\n"),
        ("/proc/cmdline", "root=UUID=1 rootflags=subvol=@ quiet\n"),
    ] {
        let host = on_btrfs("/@").file(file, text).on(exchange, |host| {
            host.set_text(
                "/proc/self/mountinfo",
                "30 1 0:30 /@.before-r1 / rw - btrfs /dev/sda2 rw\n",
            );
            CommandOutput::default()
        });
        let it = check_module::<This>(to_subvolume(), host);
        assert_eq!(it.host.ran, [exchange]);
        assert!(!it.second.changed && got(&it.second).needs_reboot);
    }
}

#[test]
fn another_root_gets_a_new_default() {
    let get = "btrfs subvolume get-default /";
    let set_default = "btrfs subvolume set-default 300 /";
    let host = on_btrfs("/@")
        .answers(
            "btrfs subvolume show /.hostler-snapshots/r1",
            0,
            "@/.hostler-snapshots/r1\n\tName: \t\t\tr1\n\tSubvolume ID: \t\t300\n",
        )
        .answers(get, 0, "ID 256 gen 8 top level 5 path @\n")
        .on(set_default, move |host| {
            host.answer(
                get,
                0,
                "ID 300 gen 9 top level 256 path @/.hostler-snapshots/r1\n",
            );
            CommandOutput::default()
        });
    let it = check_module::<This>(to_subvolume(), host.clone());
    assert_eq!(it.host.ran, [set_default]);
    assert!(!it.second.changed);
    let silent = host.answers(get, 1, "");
    assert!(check_fails::<This>(to_subvolume(), silent).contains("does not say what it should"));
}
