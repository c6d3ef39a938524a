use hostler_module_api::fake::FakeHost;
use hostler_updates::{Action, ActionKind, Class, Conffiles, PackageName, Severity};

use super::manager::refusal;
use super::table::Table;
use super::*;
use crate::PackageManager;
use crate::rpm::{Advisories, unclassified};

/// What dnf 4.14 printed for the repositories of the real-host test.
const FOUR: &str = "Last metadata expiration check: 0:00:30 ago on Sat Nov 21 09:21:33 2026.
Dependencies resolved.

 Problem: cannot install the best update candidate for package broken-1-1.noarch
  - nothing provides nothing-has-this needed by broken-2-1.noarch
===================================================================================================================
 Package                                              Arch    Version                               Repo       Size
===================================================================================================================
Installing:
 kernel-core                                          noarch  5.2-1                                 fx-main   6.0 k
 replacement                                          noarch  3-1                                   fx-main   6.0 k
     replacing  old.noarch 1-1
Upgrading:
 library                                              noarch  1:2.0-2.el9                           fx-main   6.2 k
 tool                                                 noarch  1.2-1                                 fx-main   6.1 k
Installing dependencies:
 newdep                                               noarch  1-1                                   fx-main   5.9 k
Skipping packages with conflicts:
(add '--best --allowerasing' to command line to force their upgrade):
 clash                                                noarch  2-1                                   fx-main   6.0 k
Skipping packages with broken dependencies:
 broken                                               noarch  2-1                                   fx-main   6.0 k

Transaction Summary
===================================================================================================================
Install  3 Packages
";

/// What dnf5 5.4.6 printed for the same.
const FIVE: &str = "Updating and loading repositories:
Repositories loaded.
Problem: cannot install the best update candidate for package broken-1-1.noarch
  - nothing provides nothing-has-this needed by broken-2-1.noarch from fx-main

Package                Arch   Version       Repository      Size
Upgrading:
 library               noarch 1:2.0-2.el9   fx-main     55.0   B
   replacing library   noarch 1:2.0-1       <unknown>   55.0   B
 tool                  noarch 0:1.2-1       fx-main     18.0   B
   replacing tool      noarch 0:1.0-1       <unknown>   18.0   B
Installing:
 replacement           noarch 0:3-1         fx-main     14.0   B
   replacing old       noarch 0:1-1         <unknown>    6.0   B
Installing:
 kernel-core           noarch 0:5.2-1       fx-main     16.0   B
Installing dependencies:
 newdep                noarch 0:1-1         fx-main      9.0   B
Skipping packages with conflicts:
 clash                 noarch 2-1           fx-main      9.0   B
Skipping packages with broken dependencies:
 broken                noarch 2-1           fx-main      9.0   B

Transaction Summary:
 Installing:         3 packages
 Upgrading:          2 packages
";

fn in_words(table: &Table) -> Vec<String> {
    let mut all: Vec<String> = table
        .rows
        .iter()
        .map(|row| {
            let replaced = row.replaces.iter().filter(|it| it.0 != row.name);
            let replaced: Vec<String> = replaced
                .map(|it| format!(" for {} {}", it.0, it.2))
                .collect();
            format!(
                "{:?} {} {}{}",
                row.section,
                row.spec(),
                row.repository,
                replaced.concat()
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn both_tables_say_the_same() {
    let (four, five) = (Table::parse(FOUR), Table::parse(FIVE));
    assert_eq!(in_words(&four), in_words(&five));
    assert_eq!(
        in_words(&four),
        [
            "Dependency newdep-1-1.noarch fx-main",
            "Install kernel-core-5.2-1.noarch fx-main",
            "Install replacement-3-1.noarch fx-main for old 1-1",
            "Skip broken-2-1.noarch fx-main",
            "Skip clash-2-1.noarch fx-main",
            "Upgrade library-1:2.0-2.el9.noarch fx-main",
            "Upgrade tool-1.2-1.noarch fx-main",
        ]
    );
    assert!(four.is_whole && five.is_whole);
}

#[test]
fn lines_that_are_broken_in_two_are_one_row() {
    let table = Table::parse(
        "Upgrading:\n NetworkManager-config-server\n                noarch 1:1.40.0-1.el8\n                              baseos  1.8 M\n acl            x86_64 2.2-2.el8  baseos   81 k\n\nTransaction Summary\n",
    );
    assert_eq!(
        in_words(&table),
        [
            "Upgrade NetworkManager-config-server-1:1.40.0-1.el8.noarch baseos",
            "Upgrade acl-2.2-2.el8.x86_64 baseos"
        ]
    );
    assert!(Table::parse("Dependencies resolved.\nNothing to do.\nComplete!\n").is_whole);
    assert!(!Table::parse("Error: \n Problem: conflicting requests\n").is_whole);
    for hostile in [
        "",
        " ",
        "\n \n",
        "Upgrading:\n a",
        "replacing ",
        "Removing:\n   replacing x.y z",
        "Upgrading:\n \u{1F980} b c d",
    ] {
        let _ = Table::parse(hostile);
    }
}

#[test]
fn advisories_of_both() {
    let four = (
        "SEC-2026:1 Critical/Sec. tool-1.1-1.noarch\nBUG-2026:2 bugfix         tool-1.2-1.noarch\nENH-1 enhancement vim-2:9-1.x86_64\nSEC-2 Unknown/Sec. other-1-1.noarch\n",
        "CVE-2026-0001 Critical/Sec. tool-1.1-1.noarch\n",
    );
    let five = (
        "Name Type Severity Package Issued\nSEC-2026:1 security Critical tool-1.1-1.noarch 2026-01-03 03:04:05\nBUG-2026:2 bugfix None tool-1.2-1.noarch 2026-01-03 03:04:05\nENH-1 enhancement None vim-2:9-1.x86_64 2026-01-03 03:04:05\nSEC-2 security other-1-1.noarch 2026-01-03 03:04:05\n",
        "CVE Type Severity Package Issued\nCVE-2026-0001 security Critical tool-1.1-1.noarch 2026-01-03 03:04:05\n",
    );
    for (list, cves) in [four, five] {
        let it = Advisories::parse(list, cves);
        let told = it.of("tool", "noarch", Some("1.0-1"), "1.2-1");
        assert_eq!(
            (told.class, told.severity),
            (Class::Security, Some(Severity::Critical))
        );
        assert_eq!(told.advisories, ["BUG-2026:2", "SEC-2026:1"]);
        assert_eq!(told.cves, ["CVE-2026-0001"]);
        assert_eq!(told.security_version.as_deref(), Some("1.1-1"));
        // What came before what is installed does not count.
        let told = it.of("tool", "noarch", Some("1.1-1"), "1.2-1");
        assert_eq!((told.class, told.security_version), (Class::Bugfix, None));
        let told = it.of("tool", "noarch", Some("1.0-1"), "1.1-1");
        assert_eq!((told.class, told.security_version), (Class::Security, None));
        assert_eq!(
            it.of("vim", "x86_64", Some("2:8-1"), "2:9-1").class,
            Class::Bugfix
        );
        assert_eq!(
            it.of("vim", "i686", Some("2:8-1"), "2:9-1").class,
            Class::Unknown
        );
        assert_eq!(
            it.of("other", "noarch", Some("0-1"), "1-1").class,
            Class::Security
        );
        assert_eq!(
            it.of("nobody", "noarch", Some("0-1"), "1-1").class,
            Class::Unknown
        );
    }
}

#[test]
fn hashes_as_python_writes_them() {
    let bytes = r"(3, b'7w\x84\xb1\x97x\xa4\xa5\xa0\x0e\x0c\x81+\x98\x0e\xfc@|\xf5\xde\x07L\xfb\xa7\xe2\xa8\xed\x17\'\n#p')";
    let hex = "377784b19778a4a5a00e0c812b980efc407cf5de074cfba7e2a8ed17270a2370";
    assert_eq!(sha256(bytes).as_deref(), Some(hex));
    for other in [
        "",
        "(2, b'abc')",
        "(3, b'\\x",
        "(3, b\"",
        ", b\u{e9}\u{e9}",
        "(3, b'\\xzz')",
    ] {
        assert_eq!(sha256(other), None, "{other}");
    }
}

#[test]
fn refusals_of_both() {
    let four = "No match for argument: gone-1-1.noarch\nAll matches were filtered out by exclude filtering for argument: kept-2-1.noarch\nError: Unable to find a match: gone-1-1.noarch kept-2-1.noarch\n";
    let five = "Failed to resolve the transaction:\nNo match for argument: gone-1-1.noarch\nArgument 'kept-2-1.noarch' matches only packages excluded by versionlock.\n";
    for said in [four, five] {
        assert!(
            refusal(said, "gone-1-1.noarch")
                .unwrap()
                .contains("no source")
        );
        assert!(refusal(said, "kept-2-1.noarch").unwrap().contains("held"));
        assert_eq!(refusal(said, "one-1-1.noarch"), None);
    }
    let problem = "Error: \n Problem: conflicting requests\n  - nothing provides x needed by broken-2-1.noarch\n";
    let why = refusal(problem, "broken-2-1.noarch").unwrap();
    assert_eq!(why, "nothing provides x needed by broken-2-1.noarch");
}

#[test]
fn what_is_held() {
    let host = FakeHost::bare()
        .file(
            "/etc/dnf/plugins/versionlock.list",
            "# comment\nkept-0:1-1.*\n!bad-0:2-1.*\n",
        )
        .file(
            "/etc/dnf/versionlock.toml",
            "version = \"1.0\"\n[[packages]]\nname = \"five\"\n",
        )
        .file(
            "/etc/dnf/dnf.conf",
            "[main]\nexcludepkgs=kernel*, glibc\ngpgcheck=1\n",
        )
        .dir("/etc/yum.repos.d", 0o755)
        .file("/etc/yum.repos.d/x.repo", "[x]\nexclude = php-*\n");
    let holds = holds(&host);
    let by = |name: &str| held_by(&holds, name).map(|it| it.by.as_str());
    assert_eq!(by("kept"), Some("versionlock"));
    assert_eq!(by("five"), Some("versionlock"));
    assert_eq!(by("kernel-core"), Some("excludepkgs in /etc/dnf/dnf.conf"));
    assert_eq!(by("php-cli"), Some("exclude in /etc/yum.repos.d/x.repo"));
    assert_eq!(by("glib"), None);
}

#[test]
fn no_classification_is_said_loudly() {
    let repository = |name: &str, classifies| Repository {
        name: name.into(),
        classifies,
        ..Repository::default()
    };
    let said = unclassified(&[repository("baseos", false)], &[]);
    assert!(said[0].code == "no-classification" && said[0].text.starts_with("NO repository"));
    let both = [repository("baseos", true), repository("own", false)];
    assert!(unclassified(&both, &[]).is_empty(), "nothing comes from it");
    assert!(unclassified(&[repository("baseos", true)], &[]).is_empty());
}

#[test]
fn which_dnf() {
    let host = |files: &[&str], link: Option<&str>| {
        let host = files
            .iter()
            .fold(FakeHost::bare(), |host, it| host.file(it, ""));
        link.map_or(host.clone(), |to| host.link("/usr/bin/dnf", to))
    };
    let which = |host: &FakeHost| (DNF4.is_here(host), DNF5.is_here(host));
    assert_eq!(
        which(&host(&["/usr/bin/dnf-3"], Some("dnf-3"))),
        (true, false)
    );
    assert_eq!(
        which(&host(&["/usr/bin/dnf5"], Some("dnf5"))),
        (false, true)
    );
    assert_eq!(
        which(&host(&["/usr/bin/dnf5", "/usr/bin/dnf-3"], Some("dnf-3"))),
        (true, false)
    );
    assert_eq!(which(&host(&["/usr/bin/dnf5"], None)), (false, true));
    assert_eq!(which(&FakeHost::bare()), (false, false));
}

#[test]
fn transactions_need_neither_network_nor_answers() {
    let action = |name: &str, kind, from: Option<&str>, to: Option<&str>| Action {
        package: PackageName {
            name: name.into(),
            arch: "noarch".into(),
        },
        kind,
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        suites: Vec::new(),
        class: Class::Unknown,
        download_bytes: 0,
        sha256: None,
        dependency: false,
    };
    let actions = [
        action(
            "tool",
            ActionKind::Upgrade,
            Some("1:1.0-1"),
            Some("1:1.2-1"),
        ),
        action(
            "kernel-core-5.2-1",
            ActionKind::Install,
            None,
            Some("5.2-1"),
        ),
    ];
    let lines = |programs: Vec<Program>| -> Vec<String> {
        programs.iter().map(|it| it.shown().to_string()).collect()
    };
    let to = Path::new("/p");
    assert_eq!(
        lines(DNF4.install(&actions, to, Conffiles::KeepOld, 9))[1..],
        [
            "dnf -C -y '--disablerepo=*' --setopt=best=0 install /p/tool-1.2-1.noarch.rpm /p/kernel-core-5.2-1.noarch.rpm"
        ]
    );
    assert_eq!(
        lines(DNF4.download(&actions, Path::new("/m"), to))[0],
        "dnf --setopt=cachedir=/m --setopt=logdir=/m -y '--setopt=*.metadata_expire=-1' --setopt=best=0 install --downloadonly --downloaddir=/p tool-1:1.2-1.noarch kernel-core-5.2-1.noarch"
    );
    assert_eq!(
        lines(DNF5.download(&actions, Path::new("/m"), to))[0],
        "dnf5 --setopt=system_cachedir=/m -y '--setopt=*.metadata_expire=-1' --setopt=best=0 --setopt=keepcache=1 --setopt=tsflags=test install tool-1:1.2-1.noarch kernel-core-5.2-1.noarch"
    );
    let back = [
        action(
            "tool",
            ActionKind::Downgrade,
            Some("1:1.2-1"),
            Some("1:1.0-1"),
        ),
        action("kernel-core-5.2-1", ActionKind::Remove, Some("5.2-1"), None),
    ];
    assert_eq!(
        lines(DNF5.install(&back, to, Conffiles::KeepOld, 9))[1..],
        [
            "dnf5 -C -y '--disablerepo=*' --setopt=best=0 downgrade /p/tool-1.0-1.noarch.rpm",
            "rpm -e kernel-core-5.2-1.noarch"
        ]
    );
}
