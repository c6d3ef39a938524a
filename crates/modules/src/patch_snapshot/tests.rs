use hostler_change::CommandOutput;
use hostler_module_api::fake::{FakeHost, check_fails, check_module};
use hostler_updates::Snapshot;

use super::*;

const LVS: &str = "lvs --noheadings --nosuffix --units b --separator : -o vg_name,lv_name,lv_size,pool_lv,vg_free /dev/mapper/vg0-root";
const FIND: &str = "lvs --noheadings --separator : -o origin,lv_merging,lv_snapshot_invalid vg0/hostler-r1";

fn args(state: &str) -> Map {
    [("run", "r1"), ("state", state)].into_iter().collect()
}

fn host(mounts: &str) -> FakeHost {
    let mut host = FakeHost::bare().file("/proc/mounts", mounts);
    for tool in ["/usr/sbin/lvs", "/usr/bin/btrfs"] {
        host = host.file(tool, "").attrs(tool, 0, 0, 0o755);
    }
    host
}

fn lvm(volume: &str) -> FakeHost {
    host("/dev/mapper/vg0-root / ext4 rw 0 0\n")
        .answers(LVS, 0, volume)
        .answers(FIND, 5, "")
}

fn got(outcome: &hostler_change::Outcome) -> Snapshot {
    let value = outcome.fields.get("snapshot").unwrap();
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

fn made(host: &mut FakeHost) -> CommandOutput {
    host.answer(FIND, 0, "  root::\n");
    CommandOutput::default()
}

#[test]
fn a_volume_with_room_in_its_group() {
    let create = "lvcreate --yes --snapshot --name hostler-r1 --size 2048m vg0/root";
    let host = lvm("  vg0:root:10737418240::5368709120\n").on(create, made);
    let done = check_module::<This>(args("present"), host);
    assert_eq!(done.host.ran, [create]);
    assert!(!done.second.changed);
    for outcome in [&done.check, &done.first, &done.second] {
        let it = got(outcome);
        assert_eq!(
            (it.provider, it.name.as_str()),
            (SnapshotProvider::Lvm, "vg0/hostler-r1")
        );
        assert!(it.how_back.contains("lvconvert --merge vg0/hostler-r1"));
    }
    let mut host = done.host;
    host.ran.clear();
    let remove = host.on("lvremove --yes vg0/hostler-r1", |host| {
        host.answer(FIND, 5, "");
        CommandOutput::default()
    });
    let done = check_module::<This>(args("absent"), remove);
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(got(&done.first).name, "vg0/hostler-r1");
}

#[test]
fn room_is_looked_for_first() {
    let full = lvm("  vg0:root:10737418240::104857600\n");
    assert!(check_fails::<This>(args("present"), full).contains("needs a twentieth"));
    let pool = "lvs --noheadings --separator : -o data_percent,metadata_percent vg0/pool";
    let thin = lvm("  vg0:root:10737418240:pool:0\n");
    let filled = thin.clone().answers(pool, 0, "  12.50:91.00\n");
    assert!(check_fails::<This>(args("present"), filled).contains("and is 91"));
    let create = "lvcreate --yes --snapshot --name hostler-r1 --setactivationskip n vg0/root";
    let roomy = thin.answers(pool, 0, "  12.50:1.00\n").on(create, made);
    assert!(check_module::<This>(args("present"), roomy).first.changed);
}

#[test]
fn one_that_is_there_may_be_of_no_use() {
    let volume = "  vg0:root:10737418240::5368709120\n";
    for (state, why) in [
        ("  root::snapshot invalid\n", "vg0/hostler-r1 is lost"),
        ("  root:merging:\n", "is being gone back to"),
        ("  var::\n", "is a snapshot of `var`, so there can be none of root"),
    ] {
        let host = lvm(volume).answers(FIND, 0, state);
        let msg = check_fails::<This>(args("present"), host);
        assert!(msg.contains(why), "{msg}");
    }
    let merging = lvm(volume).answers(FIND, 0, "  root:merging:\n");
    assert!(!check_module::<This>(args("absent"), merging).first.changed);
    let remove = "lvremove --yes vg0/hostler-r1";
    let lost = lvm(volume).answers(FIND, 0, "  root::snapshot invalid\n");
    let lost = lost.on(remove, |host| {
        host.answer(FIND, 5, "");
        CommandOutput::default()
    });
    assert_eq!(check_module::<This>(args("absent"), lost).host.ran, [remove]);
}

#[test]
fn a_subvolume() {
    let create = "btrfs subvolume snapshot / /.hostler-snapshots/r1";
    let host = host("/dev/sda2 / btrfs rw,subvol=/@ 0 0\n/dev/sda1 /boot ext4 rw 0 0\n").on(
        create,
        |host| {
            *host = std::mem::take(host).dir("/.hostler-snapshots/r1", 0o755);
            CommandOutput::default()
        },
    );
    let done = check_module::<This>(args("present"), host);
    assert_eq!(done.host.ran, [create]);
    assert_eq!(done.host.at("/.hostler-snapshots").unwrap().mode, 0o700);
    let it = got(&done.first);
    assert_eq!(it.name, "/.hostler-snapshots/r1");
    assert!(it.how_back.contains("/boot"));
}

#[test]
fn where_nothing_can() {
    let msg = check_fails::<This>(args("present"), host("/dev/sda2 / ext4 rw 0 0\n"));
    assert_eq!(
        msg,
        "nothing on this host can make a snapshot of / (ext4 on /dev/sda2)"
    );
    let mut wanted = args("present");
    wanted.insert("provider", "lvm");
    let msg = check_fails::<This>(wanted, host("/dev/sda2 / btrfs rw 0 0\n"));
    assert!(msg.starts_with("nothing on this host can"));
    assert!(check_fails::<This>(args("present"), host("")).starts_with("no file system"));
}
