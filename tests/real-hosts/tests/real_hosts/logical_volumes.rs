//! Snapshots of logical volumes in an emulated machine, whose kernel has device-mapper whatever this one has: of data
//! volumes on loop devices, and of the root, which comes back with a real reboot.

use real_hosts::engine::Engine;
use real_hosts::{machine, may_raise};
use xtask::fleet::{Guard, Machine};

/// The volume group `$G` on a loop device, with the volume `data` made by `$@` and mounted at `$M`.
const VOLUME: &str = r#"
volume() {
    G=$1 M=/srv/$1
    shift
    mkdir -p "$M"
    truncate -s 300M "/srv/$G.image"
    D=$(losetup -f --show "/srv/$G.image")
    pvcreate -q "$D"
    vgcreate -q "$G" "$D"
    "$@"
    mkfs.ext4 -q "/dev/$G/data"
    mount "/dev/$G/data" "$M"
    echo old >"$M/version"
}
again() {
    umount "/srv/$1"
    vgchange -q -an "$1"
    vgchange -q -ay "$1"
    mount "/dev/$1/data" "/srv/$1"
}
thick() { lvcreate -q --yes -n data -L 100m "$G"; }
thin() {
    lvcreate -q --yes --type thin-pool -n pool -L 150m "$G"
    lvcreate -q --yes --thin -V 100m -n data "$G/pool"
}
cramped() { lvcreate -q --yes -n data -l 100%FREE "$G"; }
"#;

/// A machine, and what is run against it.
struct Scene {
    engine: Engine,
    // It ends before its fleet's directory goes.
    machine: Machine,
    fleet: Guard,
}

impl Scene {
    fn shell(&self, script: &str) -> String {
        let said = self.machine.shell(&format!("{VOLUME}{script}"));
        said.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Applies tasks, and returns what they said: `debug` messages among it.
    fn play(&self, tasks: &str) -> String {
        let text = format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
        let ran = self
            .engine
            .apply_text(&self.fleet, &text, &["--timeout", "120"]);
        ran.expect_code(0);
        ran.output
    }
}

/// Fails unless all of `words` are said, in this order.
#[track_caller]
fn in_order(said: &str, words: &[&str]) {
    let mut rest = said;
    for word in words {
        let Some((_, after)) = rest.split_once(word) else {
            panic!("`{word}` is not said, or not in this order:\n{said}");
        };
        rest = after;
    }
}

fn present(run: &str, path: &str) -> String {
    format!(
        "    - patch_snapshot: {{run: {run}, state: present, path: {path}}}
      register: made
    - debug: {{msg: \"{path} made {{{{ made.changed }}}} {{{{ made.snapshot.provider }}}} {{{{ made.snapshot.name }}}}\"}}
"
    )
}

fn absent(run: &str, path: &str) -> String {
    format!(
        "    - patch_snapshot: {{run: {run}, state: absent, path: {path}}}
      register: gone
    - debug: {{msg: \"{path} gone {{{{ gone.changed }}}}\"}}
"
    )
}

fn back(run: &str) -> String {
    format!(
        "    - patch_rollback: {{run: {run}, snapshot: \"{{{{ made.snapshot }}}}\"}}
      register: back
    - debug: {{msg: \"back {{{{ back.changed }}}} {{{{ back.rolled_back.needs_reboot }}}}\"}}
"
    )
}

/// The task fails, and says why.
fn refused(task: &str, why: &str) -> String {
    format!(
        "    - {task}
      register: refused
      failed_when: \"'{why}' not in refused.msg\"
    - debug: {{msg: \"refused: {{{{ refused.msg }}}}\"}}
"
    )
}

#[test]
fn a_logical_volume_comes_back_when_it_is_activated_again() {
    let engine = Engine::under_test();
    if !may_raise("lvm") || !engine.is_hostler() {
        return;
    }
    let Some((fleet, machine)) = machine("lvm") else {
        return;
    };
    let mut scene = Scene {
        engine,
        machine,
        fleet,
    };
    data_volumes_come_back(&scene);
    without_room_there_is_none(&scene);
    the_root_comes_back(&mut scene);
}

fn data_volumes_come_back(scene: &Scene) {
    scene.shell("volume thick thick; volume thin thin");
    for kind in ["thick", "thin"] {
        let path = format!("/srv/{kind}");
        let (make, go) = (present("s1", &path), back("s1"));
        let write = format!(
            "    - copy: {{content: \"new\\n\", dest: {path}/version}}
    - copy: {{content: \"x\", dest: {path}/added}}
"
        );
        let tidy = present("s0", &path) + &absent("s0", &path) + &absent("s0", &path);
        let merging = format!("patch_snapshot: {{run: s1, state: present, path: {path}}}");
        let merging = refused(&merging, "is being gone back to");
        let said = scene.play(&format!("{tidy}{make}{make}{write}{go}{go}{merging}"));
        in_order(
            &said,
            &[
                &format!("{path} made True lvm {kind}/hostler-s0"),
                "gone True",
                "gone False",
                "made True lvm",
                "made False lvm",
                "back True True",
                "back False True",
                "refused:",
            ],
        );
        let seen = scene.shell(&format!(
            "cat {path}/version; again {kind}; echo then; cat {path}/version; ls {path}; \
             while lvs --noheadings {kind}/hostler-s1 >/dev/null 2>&1; do sleep 1; done; lvs --noheadings -o lv_name {kind}"
        ));
        in_order(&seen, &["new\n", "then\nold\n", "lost+found\nversion\n"]);
        assert!(!seen.contains("hostler-s1"), "{seen}");
    }
}

fn without_room_there_is_none(scene: &Scene) {
    let fill = "dd if=/dev/urandom of=/srv/$it/much bs=1M count=65 conv=notrunc,fsync status=none";
    scene.shell(&format!(
        "volume cramped cramped; for it in thick thin; do {fill}; done"
    ));
    let task = |path: &str| format!("patch_snapshot: {{run: s2, state: present, path: {path}}}");
    let cramped = refused(&task("/srv/cramped"), "needs a twentieth of its size");
    // The same blocks once more: a snapshot of 20 MiB overflows, and a pool of 152 MiB is nearly full.
    let made = present("s2", "/srv/thick");
    let wrote = format!("    - shell: for it in thick thin; do {fill}; done\n");
    let lost = refused(&task("/srv/thick"), "is lost: more has changed");
    let go = "patch_rollback: {run: s2, snapshot: \"{{ made.snapshot }}\"}";
    let go = refused(go, "is lost: more has changed");
    let tidy = absent("s2", "/srv/thick");
    let thin = present("s3", "/srv/thin");
    let full = refused(&task("/srv/thin"), "must not be more than 80 percent full");
    let said = scene.play(&format!(
        "{cramped}{thin}{made}{wrote}{lost}{go}{tidy}{full}"
    ));
    let words = [
        "refused: a snapshot of cramped/data",
        "/srv/thin made True",
        "/srv/thick made True",
        "refused: thick/hostler-s2 is lost",
        "refused: thick/hostler-s2 is lost",
        "/srv/thick gone True",
        "refused: the pool thin/pool",
    ];
    in_order(&said, &words);
}

/// A night on a host whose root is a logical volume, and the morning after.
fn the_root_comes_back(scene: &mut Scene) {
    scene.shell("echo old >/etc/version; echo old >/etc/removed");
    let resolve = "    - patch_resolve: {wanted: [{name: logrotate, arch: amd64, version: null}]}
      register: resolved
    - debug: {msg: \"way back: {{ resolved.resolution.way_back.snapshot }}\"}
";
    let install =
        "    - patch_install: {actions: \"{{ resolved.resolution.actions }}\", allow_remove: [logrotate], run: night}
      register: done
    - debug: {msg: \"installed {{ done.installed.actions | length }}\"}
    - copy: {content: \"new\\n\", dest: /etc/version}
    - file: {path: /etc/removed, state: absent}
    - copy: {content: \"#!/bin/sh\\n\", dest: /usr/bin/hostler-added, mode: \"755\"}
";
    let (make, go) = (present("night", "/"), back("night"));
    let said = scene.play(&format!("{resolve}{make}{install}{go}{go}"));
    let words = [
        "way back: lvm",
        "/ made True lvm hostler/hostler-night",
        "installed 1",
        "back True True",
        "back False True",
    ];
    in_order(&said, &words);
    let look = "cat /etc/version; cat /etc/removed /usr/bin/hostler-added 2>/dev/null || true; \
                dpkg-query -W -f '${db:Status-Status}\\n' logrotate 2>&1 || true; ls /usr/sbin/logrotate 2>&1 || true";
    let now = scene.shell(look);
    assert!(now.starts_with("new\n#!/bin/sh\n"), "{now}");
    assert!(!now.contains("installed\n/usr/sbin/logrotate"), "{now}");
    let rebooted = scene.machine.reboot();
    rebooted.unwrap_or_else(|failure| panic!("{failure}"));
    let then = scene.shell(look);
    assert_eq!(then, "old\nold\ninstalled\n/usr/sbin/logrotate\n");
    // Blocks are still copied back, which is none of the module's business; then the next night can have a snapshot.
    let merged = "    - shell: while lvs hostler/hostler-night; do sleep 1; done\n";
    let said = scene.play(&(absent("night", "/") + merged + &present("night", "/")));
    in_order(&said, &["/ gone False", "/ made True"]);
}
