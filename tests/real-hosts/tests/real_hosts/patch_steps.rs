//! The steps of patching a host: real apt and dpkg, real services, with what goes wrong in between.

use std::fs;
use std::path::Path;
use std::time::Duration;

use real_hosts::engine::{Engine, Outcome};
use real_hosts::{fleet, shell};
use xtask::fleet::{Fleet, Guard, Host, Init};
use xtask::process::wait_for;

/// Makes packages and an archive on the host. `mk NAME VERSION DEPENDS POSTINST`, `publish FILE...`.
const MAKE: &str = r#"set -e
mkdir -p /srv/repo
mk() {
    d=$(mktemp -d)
    mkdir -p "$d/DEBIAN" "$d/usr/share/$1" "$d/etc"
    echo "$1 $2" >"$d/usr/share/$1/version"
    echo "conf of $2" >"$d/etc/$1.conf"
    echo "/etc/$1.conf" >"$d/DEBIAN/conffiles"
    {
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: x <x@x>\n' "$1" "$2"
        [ -z "$3" ] || printf 'Depends: %s\n' "$3"
        printf 'Description: made\n'
    } >"$d/DEBIAN/control"
    printf '#!/bin/sh\n%s\n' "$4" >"$d/DEBIAN/postinst"
    chmod 755 "$d/DEBIAN/postinst" "$d"
    dpkg-deb -Zgzip --root-owner-group -b "$d" "/srv/repo/$1_${2}_all.deb" >/dev/null
    rm -r "$d"
}
publish() {
    cd /srv/repo
    for file in "$@"; do
        dpkg-deb -f "$file"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
    done >Packages
    apt-get -qq update
}
rm -f /etc/apt/sources.list
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list.d/made.list
export DEBIAN_FRONTEND=noninteractive
"#;

/// Two packages at 1.0; 2.0 of the second needs the first and a new one. The first one's installation waits while
/// there is a file `/srv/wait`.
const TWO: &str = r#"
mk one 1.0 "" ""
mk one 2.0 "" 'touch /srv/begun; while [ -e /srv/wait ]; do sleep 0.2; done'
mk two 1.0 "" ""
mk two 2.0 "one (>= 2.0), new" ""
mk new 1.0 "" ""
mk bad 1.0 "" ""
mk bad 2.0 "" "echo cannot work >&2; exit 3"
publish one_1.0_all.deb two_1.0_all.deb bad_1.0_all.deb
apt-get -qq -y install one two bad >/dev/null
publish *.deb
"#;

/// Resolves, downloads and installs what is wanted; then shows what came of it.
const PLAY: &str = r#"
- hosts: all
  gather_facts: false
  vars: {run: r1}
  tasks:
    - patch_scan:
    - patch_resolve: {wanted: WANTED}
      register: resolved
    - patch_download: {actions: "{{ resolved.resolution.actions }}", run: "{{ run }}"}
      register: downloaded
"#;

const INSTALL: &str = r#"
    - patch_install: {actions: "{{ resolved.resolution.actions }}", run: "{{ run }}"}
      register: done
    - debug: {msg: "installed {{ done.installed.actions | length }} left {{ done.installed.conffiles_left }}"}
"#;

const BOTH: &str =
    "[{name: one, arch: all, version: '2.0'}, {name: two, arch: all, version: '2.0'}]";
const BAD: &str = "[{name: bad, arch: all, version: '2.0'}]";

const BACK: &str = r#"
    - patch_rollback: {actions: "{{ resolved.resolution.actions }}", run: "{{ run }}"}
      register: back
    - debug: {msg: "back {{ back.rolled_back.actions | length }} left {{ back.rolled_back.left | length }}"}
"#;

fn raise(name: &str, init: Init) -> Option<(Guard, Host, Engine)> {
    let (fleet, mut hosts) = fleet(name, 1, init)?;
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return None;
    }
    let host = hosts.remove(0);
    shell(&host, &format!("{MAKE}{TWO}"));
    Some((fleet, host, engine))
}

fn play(wanted: &str, steps: &[&str]) -> String {
    PLAY.replace("WANTED", wanted) + &steps.concat()
}

fn versions(host: &Host) -> String {
    let shown = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n' one two new bad 2>/dev/null || true";
    shell(host, shown)
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join(", ")
}

const BEFORE: &str = "bad 1.0 ii, one 1.0 ii, two 1.0 ii";
const AFTER: &str = "bad 1.0 ii, new 1.0 ii, one 2.0 ii, two 2.0 ii";

fn survives(name: &str, init: Init) {
    let Some((fleet, host, engine)) = raise(name, init) else {
        return;
    };
    shell(&host, "touch /srv/wait; echo changed >>/etc/one.conf");
    let file = fleet.directory().join("play.yml");
    fs::write(&file, play(BOTH, &[INSTALL])).expect("write the playbook");
    let inventory = fleet.inventory_file(None);
    let words = ["apply", path(&file), "-i", path(&inventory)];
    let running = engine.start(&fleet, "home", &words);
    let begun = wait_for(Duration::from_secs(120), || {
        shell(&host, "test ! -e /srv/begun || echo yes")
            .eq("yes")
            .then_some(())
    });
    assert!(begun.is_some(), "{}", running.said());
    // The agent, whoever started it, and (with systemd) all that sshd ever started.
    shell(
        &host,
        "pkill -9 -f '/hostler/[a]gent-' || true; systemctl kill -s KILL --kill-who=all ssh.service 2>/dev/null || true; rm /srv/wait",
    );
    let ran = running.finish();
    ran.expect_code(0);
    ran.says(&["installed 3 left ['/etc/one.conf.dpkg-dist']"]);
    assert_eq!(versions(&host), AFTER);
    let log = "grep -c '^== .*apt-get' /var/lib/hostler/patch/runs/r1/install.log";
    assert_eq!(shell(&host, log), "1", "it was begun once");
    let kept = "cd /var/lib/hostler/patch/runs/r1 && stat -c '%a %n' . before.txt after.txt install.log && grep -h one before.txt after.txt";
    assert_eq!(
        shell(&host, kept),
        "700 .\n600 before.txt\n600 after.txt\n600 install.log\none:all 1.0\none:all 2.0"
    );
    assert_eq!(shell(&host, "cat /etc/one.conf"), "conf of 1.0\nchanged");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of a test is text")
}

#[test]
fn an_installation_outlives_the_agent_and_sshd() {
    survives("steps-survive", Init::Systemd);
}

#[test]
fn an_installation_outlives_the_agent_without_systemd() {
    survives("steps-session", Init::Sshd);
}

fn apply(fleet: &Fleet, engine: &Engine, text: &str) -> Outcome {
    engine.apply_text(fleet, text, &[])
}

#[test]
fn nothing_beyond_the_plan_is_installed() {
    let Some((fleet, host, engine)) = raise("steps-plan", Init::Systemd) else {
        return;
    };
    // Between the plan and the installation the new version begins to need more.
    let moved = r#"
    - shell: |
        {{ make }}
        cd /srv/repo
        mk more 1.0 "" ""
        rm two_2.0_all.deb
        mk two 2.0 "one (>= 2.0), new, more" ""
        publish *.deb
    - patch_scan:
"#;
    let moved = moved.replace("{{ make }}", MAKE.replace('\n', "\n        ").trim_end());
    let ran = apply(&fleet, &engine, &play(BOTH, &[&moved, INSTALL]));
    ran.expect_code(2);
    ran.says(&["plan_mismatch: more:all nothing -> 1.0 is not planned"]);
    assert_eq!(versions(&host), BEFORE);
    // A file that is not what was planned is not installed either.
    shell(&host, "rm -r /var/lib/hostler/patch/runs");
    let damaged = r"
    - shell: cp /srv/repo/bad_1.0_all.deb /var/lib/hostler/patch/packages/bad_2.0_all.deb
";
    let ran = apply(&fleet, &engine, &play(BAD, &[damaged, INSTALL]));
    ran.expect_code(2);
    ran.says(&["bad:all 2.0: the file has SHA-256"]);
    assert_eq!(versions(&host), BEFORE);
}

#[test]
fn what_fails_is_put_back() {
    let Some((fleet, host, engine)) = raise("steps-back", Init::Systemd) else {
        return;
    };
    let ran = apply(&fleet, &engine, &play(BAD, &[INSTALL]));
    ran.expect_code(2);
    ran.says(&["`install` failed with exit status 100: dpkg: error processing package bad"]);
    assert!(
        versions(&host).starts_with("bad 2.0 iF"),
        "{}",
        versions(&host)
    );
    let text = play(BAD, &[BACK]).replace("    - patch_scan:\n", "").replace(
        "    - patch_resolve: {wanted: [{name: bad, arch: all, version: '2.0'}]}\n      register: resolved\n",
        "    - set_fact: {resolved: {resolution: {actions: [{package: {name: bad, arch: all}, kind: upgrade, from: '1.0', to: '2.0', suites: [], class: unknown, download_bytes: 0, sha256: null, dependency: false}]}}}\n",
    );
    let ran = apply(&fleet, &engine, &text);
    ran.expect_code(0);
    ran.says(&["back 1 left 0"]);
    assert_eq!(versions(&host), BEFORE);
    assert_eq!(shell(&host, "dpkg --audit"), "");

    let ran = apply(&fleet, &engine, &play(BOTH, &[INSTALL, BACK]));
    ran.expect_code(0);
    ran.says(&["installed 3", "back 3 left 0"]);
    let there = versions(&host);
    assert!(
        there.starts_with("bad 1.0 ii,") && there.ends_with("one 1.0 ii, two 1.0 ii"),
        "{there}"
    );
    assert!(!there.contains("new 1.0 ii"), "{there}");
    assert_eq!(shell(&host, "cat /usr/share/two/version"), "two 1.0");
}

const SERVICES: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - patch_baseline:
      register: before
    - patch_competitors: {state: masked, run: r1}
      register: still
    - command: systemctl is-active apt-daily.timer
      register: timer
      failed_when: timer.stdout != "inactive"
    - shell: for f in /usr/sbin/sshd /usr/sbin/cron /usr/bin/dbus-daemon; do cp -p $f $f.new && mv $f.new $f; done
    - patch_restart:
      register: restarted
    - debug: {msg: "restarted {{ restarted.restarted.units }} left {{ restarted.restarted.left | map('first') | list }} need {{ restarted.restarted.reboot.need }}"}
    - patch_competitors: {state: released, run: r1}
    - command: systemctl is-active apt-daily.timer apt-daily-upgrade.timer
    - patch_verify: {baseline: "{{ before.baseline }}"}
      register: seen
    - debug: {msg: "problems {{ seen.problems }} differences {{ seen.differences }}"}
    - command: systemctl stop cron
    - patch_verify: {baseline: "{{ before.baseline }}", rebooted: true, expected_kernel: other}
      register: seen
    - debug: {msg: "lost {{ seen.differences | map(attribute='which') | list }} problems {{ seen.problems | length }}"}
"#;

#[test]
fn services_are_restarted_and_compared_and_updaters_kept_still() {
    let Some((fleet, _hosts)) = fleet("steps-services", 1, Init::Systemd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    let ran = apply(&fleet, &engine, SERVICES);
    ran.expect_code(0);
    ran.says(&[
        "restarted ['cron.service', 'ssh.service'] left ['dbus.service', 'ssh.service'] need yes",
        "problems [] differences []",
        "lost ['cron.service'] problems 2",
    ]);
}

const REBOOT: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - patch_reboot: {boot_id: "BOOT", message: back soon}
      register: first
    - patch_reboot: {boot_id: "BOOT"}
      register: second
    - debug: {msg: "{{ first.changed }} {{ second.changed }} {{ first.rebooting }} {{ second.rebooting }}"}
"#;

const LOOK: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - patch_verify: {baseline: BEFORE, rebooted: true}
      register: seen
    - debug: {msg: "settling {{ seen.settling }} problems {{ seen.problems }} differences {{ seen.differences }}"}
    - patch_reboot: {boot_id: "BOOT"}
      register: again
    - debug: {msg: "again {{ again.rebooting }}"}
"#;

#[test]
fn a_reboot_happens_once_and_everything_is_back() {
    let Some((fleet, hosts)) = fleet("steps-reboot", 1, Init::Systemd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    let kept = fleet.directory().join("before.json");
    let look = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - patch_baseline:\n      register: before\n    - copy: {{content: \"{{{{ before.baseline | to_json }}}}\", dest: {}}}\n      delegate_to: localhost\n      connection: local\n",
        kept.display()
    );
    apply(&fleet, &engine, &look).expect_code(0);
    let before = fs::read_to_string(&kept).expect("the baseline was kept");
    let boot = shell(&hosts[0], "cat /proc/sys/kernel/random/boot_id");
    let ran = apply(&fleet, &engine, &REBOOT.replace("BOOT", &boot));
    ran.expect_code(0);
    ran.says(&["True False True True"]);
    let text = LOOK.replace("BEFORE", &before).replace("BOOT", &boot);
    // Until it is up again; while it is not, it is unreachable or still the old one.
    let back = wait_for(Duration::from_secs(120), || {
        let ran = apply(&fleet, &engine, &text);
        let is_back = ran.code == Some(0) && ran.output.contains("settling False problems []");
        is_back.then_some(ran)
    });
    let ran = back.expect("the host comes back as it was");
    ran.says(&["differences []", "again False"]);
}
