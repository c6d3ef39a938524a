//! dnf and zypper, with packages and repositories made by rpmbuild and createrepo.

use hostler_package_managers::{DNF4, DNF5, Zypper};
use hostler_updates::{Class, Conffiles, DatabaseState, Manager, Severity};

use super::*;

const LONG: &str = "library-with-a-name-that-is-longer-than-any-column";
const LONG_EVR: &str = "1:2.0-2.el9_4.a.very.long.release.too";

/// Makes repositories, a server for them on port `port`, and installs the first versions.
fn prepare(view: &View, port: u16) {
    let made = include_str!("make-rpms.sh");
    view.shell("kill $(cat /srv/pid 2>/dev/null) 2>/dev/null || true; rm -rf /srv/* /var/lib/hostler; mkdir -p /var/lib/hostler/patch");
    // Debian's rpm keeps its database in root's home; others look where it is elsewhere.
    view.shell("mkdir -p /etc/rpm; echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros.made");
    view.shell(made);
    serve(view, port);
    view.shell("rpm -qa --qf '%{NAME}\\n' | xargs -r rpm -e --allmatches 2>/dev/null || true; rm -f /etc/tool.conf*; rpm -i /srv/first/*.rpm 2>&1");
}

const WANTED: &str = "[{name: tool, arch: noarch, version: 1.2-1}, {name: kernel-core-5.2-1, arch: noarch, version: 5.2-1}]";
/// The kernel, the tool, and what that needs.
const SAYS: &[&str] = &[
    "installed 3 left ['/etc/tool.conf.rpmnew']",
    "back 3 left 0",
];

/// The text of a `.repo` file.
fn repository(name: &str, port: u16, enabled: u8) -> String {
    format!(
        "[{name}]\nname=made {name}\nbaseurl=http://127.0.0.1:{port}/{name}\nenabled={enabled}\nautorefresh=1\ngpgcheck=0\n"
    )
}

const LOCK_FOUR: &str = "echo 'kept-0:1-1.*' >/etc/dnf/plugins/versionlock.list";
const LOCK_FIVE: &str = "dnf5 -q versionlock add kept";

fn dnf(five: bool, view: &View) {
    prepare(view, 8311);
    view.shell(&format!(
        "mkdir -p /etc/yum.repos.d /etc/dnf/plugins
        rm -rf /etc/yum.repos.d/* /etc/dnf/versionlock.toml; : >/etc/dnf/plugins/versionlock.list
        printf '%b' '{}{}' >/etc/yum.repos.d/made.repo
        printf '%b' '{}' >/etc/yum.repos.d/plain.repo",
        repository("updates", 8311, 1),
        repository("off", 8311, 0),
        repository("plain", 8311, 1),
    ));
    let lock = if five { LOCK_FIVE } else { LOCK_FOUR };
    let manager = if five { &DNF5 } else { &DNF4 };
    scenario(manager, view, lock, "held by versionlock");
}

fn zypper(view: &View) {
    prepare(view, 8312);
    view.shell(&format!(
        "mkdir -p /etc/zypp/repos.d; rm -rf /etc/zypp/repos.d/* /etc/zypp/locks
        printf '[main]\nmultiversion = provides:multiversion(kernel)\n' >/etc/zypp/zypp.conf
        printf '%b' '{}' >/etc/zypp/repos.d/updates.repo
        printf '%b' '{}' >/etc/zypp/repos.d/off.repo
        printf '%b' '{}' >/etc/zypp/repos.d/plain.repo",
        repository("updates", 8312, 1),
        repository("off", 8312, 0),
        repository("plain", 8312, 1),
    ));
    let lock = "zypper --non-interactive addlock kept";
    scenario(&Zypper, view, lock, "held by zypper addlock");
}

/// What has to come out the same, whichever solver is asked.
fn scenario(manager: &dyn PackageManager, view: &View, lock: &str, held: &str) {
    let is_dnf = manager.kind() == Manager::Dnf;
    let metadata = Path::new(METADATA);
    let before = manager.installed(view).unwrap();
    assert_eq!(before[&package(LONG, "noarch")], "1:2.0-1");
    assert_eq!(before[&package("kernel-core-5.1-1", "noarch")], "5.1-1");

    // The survey: classes, severities, advisories, what is held and why.
    let survey = manager.survey(view, metadata, true).unwrap();
    let names: Vec<&str> = survey
        .repositories
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["plain", "updates"], "{survey:#?}");
    assert!(
        survey
            .repositories
            .iter()
            .all(|it| it.sha256.len() == 64 && it.date_s.is_some())
    );
    let tool = update(&survey.updates, "tool");
    assert_eq!(
        (tool.from.as_deref(), tool.to.as_str()),
        (Some("1.0-1"), "1.2-1")
    );
    assert_eq!(
        (tool.class, tool.severity),
        (Class::Security, Some(Severity::Critical))
    );
    assert_eq!(tool.security_version.as_deref(), Some("1.1-1"));
    assert_eq!(tool.advisories, ["BUG-2026:2", "SEC-2026:1"]);
    assert_eq!(tool.cves, ["CVE-2026-0001"]);
    assert!(tool.kept_back.is_none());
    // zypper says what a whole transaction takes, not each package.
    assert!(tool.download_bytes > 1000 || !is_dnf);
    let long = update(&survey.updates, LONG);
    assert_eq!((long.to.as_str(), long.class), (LONG_EVR, Class::Security));
    assert_eq!(update(&survey.updates, "plain").class, Class::Unknown);
    let kernel = update(&survey.updates, "kernel-core-5.2-1");
    assert_eq!(
        (kernel.from.as_deref(), kernel.class),
        (Some("5.1-1"), Class::Security)
    );
    let broken = update(&survey.updates, "broken");
    assert!(broken.kept_back.is_some(), "{broken:?}");
    assert!(
        survey
            .findings
            .iter()
            .any(|it| it.code == "no-classification" && it.text.contains("plain"))
    );
    let is_unclassified = |it: &Survey| {
        it.findings
            .iter()
            .any(|it| it.code == "no-classification" && it.text.starts_with("NO "))
    };
    assert!(!is_unclassified(&survey));

    // A lock on a version.
    view.shell(lock);
    let survey = manager.survey(view, metadata, false).unwrap();
    assert_eq!(survey.holds.len(), 1, "{:?}", survey.holds);
    let kept = update(&survey.updates, "kept");
    assert_eq!(kept.kept_back.as_deref(), Some(held));

    // What cannot be had is told, with the reason, and the rest is simulated without it.
    let some = [
        (package("tool", "noarch"), "1.2-1"),
        (package("tool", "noarch"), "9-9"),
        (package("kept", "noarch"), "2-1"),
        (package("broken", "noarch"), "2-1"),
    ];
    let resolution = manager.resolve(view, metadata, &wanted(&some)).unwrap();
    let why = |name: &str| {
        let mut all = resolution.impossible.iter();
        all.find(|it| it.0.name == name)
            .map_or("", |it| it.1.as_str())
    };
    assert!(why("tool").contains("no source"), "{resolution:#?}");
    assert!(why("kept").contains("held"), "{resolution:#?}");
    assert!(
        why("broken").contains("nothing-has-this"),
        "{resolution:#?}"
    );
    assert_eq!(
        in_words(&resolution.actions),
        ["install newdep - 1-1", "upgrade tool 1.0-1 1.2-1"]
    );

    // Exactly a version that is not the newest, downloaded, and installed without the network.
    let minimal = [(package("tool", "noarch"), "1.1-1")];
    let resolution = resolve(manager, view, &wanted(&minimal));
    assert_eq!(in_words(&resolution.actions), ["upgrade tool 1.0-1 1.1-1"]);
    let full = [
        (package("tool", "noarch"), "1.2-1"),
        (package(LONG, "noarch"), LONG_EVR),
        (package("plain", "noarch"), "2-1"),
        (package("replacement", "noarch"), "3-1"),
        (package("kernel-core-5.2-1", "noarch"), "5.2-1"),
    ];
    view.shell("echo changed >>/etc/tool.conf");
    let resolution = resolve(manager, view, &wanted(&full));
    assert_eq!(
        in_words(&resolution.actions),
        [
            "install kernel-core-5.2-1 - 5.2-1".to_owned(),
            format!("upgrade {LONG} 1:2.0-1 {LONG_EVR}"),
            "install newdep - 1-1".to_owned(),
            "remove old 1-1 -".to_owned(),
            "upgrade plain 1-1 2-1".to_owned(),
            "install replacement - 3-1".to_owned(),
            "upgrade tool 1.0-1 1.2-1".to_owned(),
        ]
    );
    let newdep = resolution
        .actions
        .iter()
        .find(|it| it.package.name == "newdep")
        .unwrap();
    assert!(newdep.dependency);
    assert!(resolution.download_bytes > 10_000);
    assert_eq!(resolution.conffiles.len(), 1, "{:?}", resolution.conffiles);
    assert_eq!(
        (resolution.way_back.of, resolution.way_back.packages),
        (4, 1)
    );
    let actions = &resolution.actions;
    view.run(&manager.download(actions, metadata, Path::new(NEW)))
        .unwrap();
    let files = view.shell(&format!("ls {NEW} | wc -l"));
    assert_eq!(files, "6");
    if let Some(sha256) = &newdep.sha256 {
        assert!(
            view.shell(&format!("sha256sum {NEW}/newdep-1-1.noarch.rpm"))
                .starts_with(sha256)
        );
    }
    let mut kept = Vec::new();
    for (name, program) in manager.download_old(actions, metadata, Path::new(OLD)) {
        if view.run(&[program]).is_ok() {
            kept.push(name.name);
        }
    }
    assert_eq!(
        kept,
        ["tool"],
        "only the old version of this one is in a repository"
    );
    view.shell(&format!("cp /srv/first/*.rpm {OLD}"));
    stop(view);

    assert_eq!(manager.lock_holder(view), None);
    view.run(&manager.install(actions, Path::new(NEW), Conffiles::KeepOld, 5))
        .unwrap();
    assert_eq!(manager.installed(view).unwrap(), after(&before, actions));
    assert_eq!(manager.database(view).unwrap(), DatabaseState::Whole);
    assert_eq!(
        manager.conffiles_left(view).unwrap(),
        ["/etc/tool.conf.rpmnew"]
    );
    assert_eq!(view.shell("tail -n 1 /etc/tool.conf"), "changed");
    // Done again, there is nothing to do.
    view.run(&manager.install(actions, Path::new(NEW), Conffiles::KeepOld, 5))
        .unwrap();
    assert_eq!(manager.installed(view).unwrap(), after(&before, actions));

    // And back, exactly.
    let back = reversed(actions);
    view.run(&manager.install(&back, Path::new(OLD), Conffiles::KeepOld, 5))
        .unwrap();
    assert_eq!(manager.installed(view).unwrap(), before);

    // The new configuration file, if that is wished.
    view.shell("rm /etc/tool.conf.rpmnew");
    view.run(&manager.install(actions, Path::new(NEW), Conffiles::KeepNew, 5))
        .unwrap();
    assert_eq!(view.shell("cat /etc/tool.conf"), "tool-1.2");
    assert_eq!(
        manager.conffiles_left(view).unwrap(),
        ["/etc/tool.conf.rpmsave"]
    );

    // A lock that somebody holds is waited for, and then it is said who holds it.
    locked(manager, view, actions);

    // Two versions of one package, as an interrupted update leaves them.
    view.shell("rpm -e plain; rpm -i --nodeps --force --oldpackage /srv/first/plain-1-1.noarch.rpm; rpm -i --nodeps --force /srv/plain/plain-2-1.noarch.rpm");
    let state = manager.database(view).unwrap();
    assert!(
        matches!(&state, DatabaseState::Interrupted(why) if why.contains("plain.noarch")),
        "{state:?}"
    );
    view.run(&manager.repair()).unwrap();
    assert_eq!(manager.database(view).unwrap(), DatabaseState::Whole);
}

fn locked(manager: &dyn PackageManager, view: &View, actions: &[Action]) {
    let lock =
        view.shell("ls /var/lib/rpm/.rpm.lock /root/.rpmdb/.rpm.lock 2>/dev/null | head -n 1");
    let hold = "import fcntl, os, sys, time; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); open('/srv/held', 'w').close(); time.sleep(60)";
    view.shell(&format!(
        "rm -f /srv/held; python3 -c \"{hold}\" {lock} >/dev/null 2>&1 & echo $! >/srv/locker
        until [ -e /srv/held ]; do sleep 0.1; done"
    ));
    let holder = manager.lock_holder(view).expect("somebody holds it");
    assert!(
        holder.path == lock && holder.holder.contains("python3 (pid "),
        "{holder:?}"
    );
    let refused = view
        .run(&manager.install(actions, Path::new(NEW), Conffiles::KeepOld, 1))
        .unwrap_err();
    assert!(
        refused.contains(": 75") && refused.contains("python3"),
        "{refused}"
    );
    view.shell("kill $(cat /srv/locker)");
}

#[test]
fn dnf_does_exactly_what_was_planned() {
    let Some(stage) = stage("dnf", "dnf", "dnf dnf-plugins-core rpm createrepo-c") else {
        return;
    };
    let view = &stage.view;
    // Debian's dnf comes with a repository of its own that is not there.
    view.shell(
        "rm -f /etc/dnf/plugins/local.conf /etc/dnf/libdnf5-plugins/local.conf /usr/lib/python3/dist-packages/dnf-plugins/local.py",
    );
    dnf(view.shell("command -v dnf5 || true") != "", view);
    prepare(view, 8311);
    by_modules(&stage, WANTED, SAYS);
}

#[test]
fn zypper_does_exactly_what_was_planned() {
    let Some(stage) = stage("zypper", "zypper", "zypper rpm createrepo-c") else {
        return;
    };
    zypper(&stage.view);
    prepare(&stage.view, 8312);
    by_modules(&stage, WANTED, SAYS);
}
