//! Recorded: Debian has no apk to try against. The formats are those of apk 2.14 and 3.0.

use hostler_module_api::fake::FakeHost;

use super::*;

const INSTALLED: &str = "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:383304\nI:622592\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nR:libc.musl-x86_64.so.1\n\nP:tool\nV:1.0-r0\nA:noarch\nI:100\nF:etc\nR:tool.conf\n\nP:kept\nV:1-r0\nA:x86_64\nI:1\n\n";
const UPGRADE: &str = "(1/4) Upgrading musl (1.2.4-r2 -> 1.2.4-r3)\n(2/4) Installing newdep@edge (1-r0)\n(3/4) Upgrading tool (1.0-r0 -> 1.2-r0)\n(4/4) Reinstalling kept (1-r0)\nOK: 10 MiB in 4 packages\n";
const ASK: &str = "apk --no-progress --wait 60 --cache-dir /m --no-network";

fn host() -> FakeHost {
    FakeHost::bare()
        .file("/lib/apk/db/installed", INSTALLED)
        .file("/etc/apk/arch", "x86_64\n")
        .file("/etc/apk/world", "tool\nkept=1-r0\n!bad\n")
        .file("/etc/apk/repositories", "# mirrors\nhttps://user:secret@dl.example.org/alpine/v3.22/main\n@edge https://dl.example.org/alpine/edge/main\n")
        .dir("/m", 0o755)
        .file("/m/APKINDEX.066df28d.tar.gz", "index")
        .answers("mkdir -p /m", 0, "")
        .answers("apk --no-progress --wait 60 --cache-dir /m update", 0, "fetch https://dl.example.org/alpine/v3.22/main/x86_64/APKINDEX.tar.gz\nv3.22.1-10-gabc [https://dl.example.org/alpine/v3.22/main]\nOK: 24000 distinct packages available\n")
        .answers(&format!("{ASK} upgrade --simulate --no-self-upgrade"), 0, UPGRADE)
        .answers(&format!("{ASK} version -l '<'"), 0, "Installed:                Available:\nmusl-1.2.4-r2           < 1.2.4-r3\ntool-1.0-r0             < 1.2-r0\nkept-1-r0               < 2-r0 @edge\n")
        .answers("apk audit", 0, "A etc/hostname\nU etc/tool.conf\nU etc/motd\n")
        .answers("apk info --who-owns /etc/tool.conf", 0, "/etc/tool.conf is owned by tool-1.0-r0\n")
        .answers("apk info --who-owns /etc/motd", 0, "/etc/motd is owned by alpine-baselayout-data-3.4.3-r2\n")
}

fn name(name: &str) -> PackageName {
    PackageName {
        name: name.into(),
        arch: "x86_64".into(),
    }
}

#[test]
fn a_survey_says_that_nothing_is_classified() {
    let host = host();
    assert!(
        Apk.is_here(
            &host
                .clone()
                .file("/sbin/apk", "")
                .attrs("/sbin/apk", 0, 0, 0o755)
        )
    );
    let survey = Apk.survey(&host, Path::new("/m"), true).unwrap();
    let update = |index: usize| {
        let it: &Update = &survey.updates[index];
        (
            it.package.name.as_str(),
            it.from.as_deref(),
            it.to.as_str(),
            it.kept_back.as_deref(),
        )
    };
    assert_eq!(survey.updates.len(), 4);
    assert_eq!(
        update(0),
        (
            "kept",
            Some("1-r0"),
            "2-r0",
            Some("held by kept=1-r0 in /etc/apk/world")
        )
    );
    assert_eq!(update(1), ("musl", Some("1.2.4-r2"), "1.2.4-r3", None));
    assert_eq!(update(2), ("newdep", None, "1-r0", None));
    assert!(survey.updates.iter().all(|it| it.class == Class::Unknown));
    assert!(
        survey
            .findings
            .iter()
            .any(|it| it.code == "no-classification")
    );
    assert_eq!(
        survey.repositories[0].name,
        "https://dl.example.org/alpine/v3.22/main"
    );
    assert_eq!(
        survey.repositories[1].name,
        "https://dl.example.org/alpine/edge/main"
    );
    assert_eq!(survey.repositories[0].sha256.len(), 64);
    assert_eq!(survey.conffiles.len(), 1);
    assert!(!Apk.pins_versions());
}

#[test]
fn only_the_newest_can_be_had() {
    let wanted = |name: &str, version: &str| Wanted {
        package: self::name(name),
        version: Some(version.into()),
    };
    let host = host().answers(
        &format!("{ASK} upgrade --simulate --no-self-upgrade -- musl tool"),
        0,
        UPGRADE,
    );
    let all = [
        wanted("musl", "1.2.4-r3"),
        wanted("tool", "1.1-r0"),
        wanted("newdep", "1-r0"),
        wanted("kept", "2-r0"),
        wanted("strange", "1-r0"),
    ];
    let it = Apk.resolve(&host, Path::new("/m"), &all).unwrap();
    let why: Vec<&str> = it.impossible.iter().map(|it| it.1.as_str()).collect();
    assert_eq!(
        why,
        [
            "it is held: kept=1-r0 in /etc/apk/world",
            "this version is in no source any more; 1.2-r0 is",
            "this version is in no source any more"
        ]
    );
    let actions: Vec<(&str, ActionKind)> = it
        .actions
        .iter()
        .map(|it| (it.package.name.as_str(), it.kind))
        .collect();
    assert_eq!(
        actions,
        [
            ("musl", ActionKind::Upgrade),
            ("newdep", ActionKind::Install)
        ]
    );
    assert_eq!(it.reboot_reasons.len(), 1, "every process runs musl");
    assert_eq!(it.way_back.missing, [name("musl")]);
}

#[test]
fn what_was_interrupted_is_seen() {
    assert_eq!(Apk.database(&host()).unwrap(), DatabaseState::Whole);
    let torn = host().file("/lib/apk/db/installed", "P:tool\nV:1.0-r0\nf:s\n\n");
    assert!(
        matches!(Apk.database(&torn).unwrap(), DatabaseState::Interrupted(it) if it.contains("tool"))
    );
}

#[test]
fn hostile_lines_are_no_steps() {
    for hostile in [
        "",
        "(",
        "(1/1) ",
        "(1/1) Upgrading",
        "(1/1) Upgrading x (",
        "(1/1) Upgrading x (1)",
        "(1/1) Installing x (1 -> 2)",
        "(1/1) Replacing x (1 -> 1)",
    ] {
        assert_eq!(steps(hostile), [], "{hostile}");
    }
    assert_eq!(newer("a < \n< 1\n-1-r0 <\n"), []);
    let lower = steps("(1/1) Downgrading x (2-r0 -> 1-r0)");
    assert!(lower[0].downgrade);
    assert_eq!(without_password("https://u:p@h/x@y"), "https://h/x@y");
    assert_eq!(without_password("/media/cdrom/apks"), "/media/cdrom/apks");
}

#[test]
fn world_is_not_written() {
    let action = Action {
        package: name("tool"),
        kind: ActionKind::Upgrade,
        from: Some("1.0-r0".into()),
        to: Some("1.2-r0".into()),
        suites: Vec::new(),
        class: Class::Unknown,
        download_bytes: 0,
        sha256: None,
        dependency: false,
    };
    let programs = Apk.install(&[action], Path::new("/p"), Conffiles::KeepOld, 9);
    let argv = &programs[0].argv;
    assert_eq!(argv[4..], ["/p", "9", "", "tool-1.2-r0.apk"]);
    assert!(!argv[2].contains("apk add"));
}
