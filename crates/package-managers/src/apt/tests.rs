//! A host with recorded answers of apt's programs.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_module_api::fake::FakeHost;
use hostler_updates::{ActionKind, Class, DatabaseState, PackageName, Update};

use super::*;

const DIR: &str = "/m";

fn line(name: &str, rest: &str) -> String {
    let words = [name, "-c", "/m/apt.conf"]
        .into_iter()
        .chain(rest.split(' '));
    Program::new(words).shown().to_string()
}

const TARGETS: &str = "apt-get -c /m/apt.conf indextargets 'Created-By: Packages'";
const INSTALLED: &str = "base-files current docker-ce dpkg libssl3 libssl3:i386 needs-more nginx phased-tool swaps tzdata victim vim";
const CANDIDATES: &str = "show base-files=12.4+deb12u12 docker-ce=5:27.0.2-1~debian.12~bookworm libssl3=3.0.17-1~deb12u3 libssl3:i386=3.0.17-1~deb12u2 needs-more=2.0 nginx=1.22.1-9+deb12u3 phased-tool=1.1 swaps=2.0 tzdata=2025b-0+deb12u2 vim=2:9.0.1378-2+deb12u2 libnew1=1.5-1";

fn release(suite: &str) -> String {
    format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nSuite: {suite}\nDate: Sat, 11 Jan 2025 10:05:14 UTC\nValid-Until: Sat, 18 Jan 2025 10:05:14 UTC\nSHA256:\n x: y\n"
    )
}

fn host() -> FakeHost {
    let lists = "/m/lists/deb.debian.org_debian";
    let full = "-q -y --simulate dist-upgrade";
    let gentle = "-q -y --simulate upgrade --with-new-pkgs";
    FakeHost::bare()
        .file("/var/lib/dpkg/status", include_str!("corpus/status.txt"))
        .file("/etc/vim/vimrc", "set nocompatible\n")
        .file(
            &format!("{lists}_dists_bookworm_InRelease"),
            release("oldstable"),
        )
        .file(
            &format!("{lists}_dists_bookworm-updates_InRelease"),
            release("oldstable-updates"),
        )
        .file(
            &format!("{lists}-security_dists_bookworm-security_InRelease"),
            release("oldstable-security"),
        )
        .file(
            "/m/lists/download.docker.com_linux_debian_dists_bookworm_InRelease",
            "Origin: Docker\n",
        )
        .answers("prepare private lists of apt", 0, "")
        .answers(TARGETS, 0, include_str!("corpus/indextargets.txt"))
        .answers(
            &line("apt-cache", &format!("policy {INSTALLED}")),
            0,
            include_str!("corpus/installed.txt"),
        )
        .answers(
            &line("apt-cache", "policy libnew1"),
            0,
            include_str!("corpus/new.txt"),
        )
        .answers(
            &line("apt-get", full),
            0,
            include_str!("corpus/dist-upgrade.txt"),
        )
        .answers(
            &line("apt-get", gentle),
            0,
            include_str!("corpus/upgrade.txt"),
        )
        .answers(
            &line("apt-get", "-q -y --no-remove --simulate install needs-more"),
            100,
            include_str!("corpus/needs-more.txt"),
        )
        .answers(
            &line("apt-cache", CANDIDATES),
            0,
            include_str!("corpus/show.txt"),
        )
}

fn by_name(updates: Vec<Update>) -> BTreeMap<String, Update> {
    updates
        .into_iter()
        .map(|it| (it.package.to_string(), it))
        .collect()
}

#[test]
fn a_survey() {
    let survey = Apt.survey(&host(), Path::new(DIR), false).unwrap();
    let updates = by_name(survey.updates);
    assert_eq!(updates.len(), 11, "{:?}", updates.keys());

    let ssl = &updates["libssl3:amd64"];
    assert_eq!(
        (ssl.from.as_deref(), ssl.to.as_str()),
        (Some("3.0.15-1~deb12u1"), "3.0.17-1~deb12u3")
    );
    assert_eq!(
        ssl.class,
        Class::Security,
        "the security build hides behind a newer one"
    );
    assert_eq!(ssl.security_version.as_deref(), Some("3.0.17-1~deb12u2"));
    assert_eq!(ssl.suites, ["Debian:12-updates/oldstable-updates"]);
    assert_eq!(ssl.download_bytes, 2_000_000);

    let foreign = &updates["libssl3:i386"];
    assert_eq!(
        (foreign.class, foreign.download_bytes),
        (Class::Security, 2_100_000)
    );
    assert_eq!(foreign.security_version, None);
    let source = |it: &Update| {
        let source = it.source.clone().unwrap();
        (source.name, source.from, source.to)
    };
    let (built_of, fixed) = ("openssl".to_owned(), "3.0.17-1~deb12u3".to_owned());
    let from = Some("3.0.15-1~deb12u0".to_owned());
    assert_eq!(source(ssl), (built_of.clone(), from, fixed));
    assert_eq!(
        source(foreign),
        (built_of, None, "3.0.17-1~deb12u2".to_owned()),
        "the installed one was built of something else"
    );

    let vim = &updates["vim:amd64"];
    assert_eq!(
        vim.suites,
        [
            "Debian:12.12/oldstable",
            "Debian-Security:12/oldstable-security"
        ]
    );
    assert_eq!(
        (vim.class, vim.from.as_deref()),
        (Class::Security, Some("2:9.0.1378-2"))
    );

    assert_eq!(vim.source.as_ref().unwrap().name, "vim");
    assert_eq!(updates["base-files:amd64"].class, Class::Bugfix);
    assert_eq!(updates["docker-ce:amd64"].class, Class::Unknown);
    assert_eq!(updates["docker-ce:amd64"].suites, ["Docker CE:bookworm"]);
    assert_eq!(updates["phased-tool:amd64"].phased_percent, Some(10));
    assert_eq!(updates["phased-tool:amd64"].kept_back, None);
    let new = &updates["libnew1:amd64"];
    assert_eq!(
        (new.from.as_deref(), new.to.as_str(), new.class),
        (None, "1.5-1", Class::Bugfix)
    );
}

#[test]
fn what_is_kept_back_and_why() {
    let survey = Apt.survey(&host(), Path::new(DIR), false).unwrap();
    let updates = by_name(survey.updates);
    let why = |name: &str| updates[name].kept_back.as_deref();
    assert_eq!(why("nginx:amd64"), Some("held (apt-mark hold)"));
    assert_eq!(why("tzdata:all"), Some("pinned to another version"));
    assert_eq!(updates["tzdata:all"].to, "2025b-0+deb12u2");
    assert_eq!(why("swaps:amd64"), Some("needs the removal of victim"));
    assert_eq!(
        why("needs-more:amd64"),
        Some(
            "Depends: libmissing2 (>= 2.0) but it is not installable; Depends: other but it is not going to be installed"
        )
    );
    assert_eq!(why("vim:amd64"), None);
    assert_eq!(survey.holds.len(), 1);
    let conffiles: Vec<&str> = survey.conffiles.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(conffiles, ["/etc/vim/vimrc"]);
}

#[test]
fn where_updates_come_from() {
    let survey = Apt.survey(&host(), Path::new(DIR), false).unwrap();
    let shown: Vec<(&str, bool)> = survey
        .repositories
        .iter()
        .map(|it| (it.name.as_str(), it.classifies))
        .collect();
    assert_eq!(
        shown,
        [
            ("http://deb.debian.org/debian bookworm-updates", true),
            ("http://deb.debian.org/debian bookworm", true),
            (
                "http://deb.debian.org/debian-security bookworm-security",
                true
            ),
            ("https://download.docker.com/linux/debian bookworm", false),
        ]
    );
    assert_eq!(survey.repositories[0].date_s, Some(1_736_589_914));
    assert_eq!(survey.repositories[0].sha256.len(), 64);
    let codes: Vec<&str> = survey.findings.iter().map(|it| it.code.as_str()).collect();
    assert!(codes.contains(&"removal") && codes.contains(&"no-advisories"));
    let stale = survey.findings.iter().filter(|it| it.code == "stale-index");
    assert!(stale.clone().all(|it| {
        it.text
            .ends_with("was valid until Sat, 18 Jan 2025 10:05:14 UTC")
    }));
    assert_eq!(stale.count(), 3);
    let unclassified: Vec<&str> = survey
        .findings
        .iter()
        .filter(|it| it.code == "no-classification")
        .map(|it| it.text.as_str())
        .collect();
    assert_eq!(unclassified.len(), 1);
    assert!(
        unclassified[0]
            .starts_with("https://download.docker.com/linux/debian bookworm does not say")
    );
}

#[test]
fn without_a_usable_source_there_is_no_survey() {
    let none = host().answers(TARGETS, 0, "").answers(
        "refresh private lists of apt",
        100,
        "W: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Could not resolve\nE: Some index files failed to download. They have been ignored, or old ones used instead.\n",
    );
    let error = Apt.survey(&none, Path::new(DIR), true).unwrap_err();
    assert!(
        error
            .msg
            .starts_with("no source of packages is usable: Failed to fetch http://deb.debian.org"),
        "{error}"
    );
}

fn wanted(name: &str, arch: &str, version: Option<&str>) -> Wanted {
    Wanted {
        package: PackageName {
            name: name.into(),
            arch: arch.into(),
        },
        version: version.map(str::to_owned),
    }
}

/// apt refuses `needs-more`, and does the rest.
fn resolving() -> FakeHost {
    let start = "-q -y --simulate install";
    let wanted = "libssl3:amd64=3.0.17-1~deb12u3 vim:amd64=2:9.0.1378-2+deb12u2";
    host()
        .answers(
            &line("apt-cache", "policy libssl3 vim nginx needs-more nosuch"),
            0,
            include_str!("corpus/installed.txt"),
        )
        .answers(
            &line("apt-get", &format!("{start} {wanted} needs-more:amd64=2.0")),
            100,
            include_str!("corpus/needs-more.txt"),
        )
        .answers(
            &line("apt-get", &format!("{start} {wanted}")),
            0,
            "Inst libssl3:i386 [3.0.15-1~deb12u1] (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [i386]) [libssl3:amd64 ]\nInst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u3 Debian:12-updates/oldstable-updates [amd64]) []\nInst vim [2:9.0.1378-2] (2:9.0.1378-2+deb12u2 Debian:12.12/oldstable [amd64])\nRemv victim [1.0]\n",
        )
        .answers(&line("apt-cache", "policy libssl3:i386 victim"), 0, include_str!("corpus/installed.txt"))
        .answers(
            &line(
                "apt-cache",
                "show libssl3:i386=3.0.17-1~deb12u2 libssl3=3.0.17-1~deb12u3 vim=2:9.0.1378-2+deb12u2",
            ),
            0,
            include_str!("corpus/show.txt"),
        )
        .file("/var/lib/dpkg/info/vim.list", "/boot/vim.efi\n")
        .file("/var/lib/dpkg/info/libssl3:amd64.list", "/usr/lib/x86_64-linux-gnu/libssl.so.3\n")
        .dir("/proc", 0o555)
        .dir("/proc/9", 0o555)
        .file("/proc/9/comm", "sshd\n")
        .file("/proc/9/cgroup", "0::/system.slice/ssh.service\n")
        .file("/proc/9/maps", "1-2 r-xp 0 08:01 1 /lib/x86_64-linux-gnu/libssl.so.3\n")
}

fn all_wanted() -> Vec<Wanted> {
    vec![
        wanted("libssl3", "amd64", Some("3.0.17-1~deb12u3")),
        wanted("vim", "amd64", Some("2:9.0.1378-2+deb12u2")),
        wanted("nginx", "amd64", Some("1.22.1-9+deb12u3")),
        wanted("needs-more", "amd64", Some("2.0")),
        wanted("nosuch", "amd64", Some("9")),
        wanted("-o", "amd64", Some("9")),
    ]
}

#[test]
fn a_resolution() {
    let it = Apt
        .resolve(&resolving(), Path::new(DIR), &all_wanted())
        .unwrap();
    let actions: Vec<String> = it
        .actions
        .iter()
        .map(|it| {
            format!(
                "{:?} {} {} {}",
                it.kind,
                it.package,
                it.to.as_deref().unwrap_or("-"),
                it.dependency
            )
        })
        .collect();
    assert_eq!(
        actions,
        [
            "Upgrade libssl3:amd64 3.0.17-1~deb12u3 false",
            "Upgrade libssl3:i386 3.0.17-1~deb12u2 false",
            "Remove victim:amd64 - true",
            "Upgrade vim:amd64 2:9.0.1378-2+deb12u2 false",
        ]
    );
    assert_eq!(
        it.actions[0].sha256.as_deref(),
        Some("b".repeat(64).as_str())
    );
    assert_eq!(it.actions[0].class, Class::Security);
    assert_eq!(it.actions[2].kind, ActionKind::Remove);
    assert_eq!(it.download_bytes, 5_600_000);
    assert_eq!(it.disk_bytes, (100 + 100 + 800) << 10);
    assert_eq!(it.restarts, ["ssh.service"]);
    assert_eq!(
        it.reboot_reasons,
        ["vim 2:9.0.1378-2+deb12u2: what it has in /boot takes effect at boot"]
    );
    let conffiles: Vec<&str> = it.conffiles.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(conffiles, ["/etc/vim/vimrc"]);
    // Of the four, only libssl3:amd64 is still in the archive as it is installed.
    assert_eq!((it.way_back.packages, it.way_back.of), (1, 4));
}

#[test]
fn what_cannot_be_had_has_a_reason() {
    let it = Apt
        .resolve(&resolving(), Path::new(DIR), &all_wanted())
        .unwrap();
    let reasons: BTreeMap<&str, &str> = it
        .impossible
        .iter()
        .map(|(name, why)| (name.name.as_str(), why.as_str()))
        .collect();
    assert_eq!(reasons.len(), 4);
    assert_eq!(reasons["nginx"], "it is held (apt-mark hold)");
    assert_eq!(reasons["nosuch"], "no source has version 9, or any other");
    assert_eq!(reasons["-o"], "this is no name of a package");
    assert!(reasons["needs-more"].starts_with("Depends: libmissing2"));
}

#[test]
fn who_is_the_matter_is_found_out_by_trying_alone() {
    let start = "-q -y --simulate install";
    let (ssl, vim) = (
        "libssl3:amd64=3.0.17-1~deb12u3",
        "vim:amd64=2:9.0.1378-2+deb12u2",
    );
    let held = "The following held packages will be changed:\n  nginx\nE: Held packages were changed and -y was used without --allow-change-held-packages.\n";
    let host = resolving()
        .answers(&line("apt-cache", "policy libssl3 vim"), 0, include_str!("corpus/installed.txt"))
        .answers(&line("apt-get", &format!("{start} {ssl} {vim}")), 100, held)
        .answers(&line("apt-get", &format!("{start} {ssl}")), 0, "Inst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u3 Debian:12-updates/oldstable-updates [amd64])\n")
        .answers(&line("apt-get", &format!("{start} {vim}")), 100, held)
        .answers(&line("apt-cache", "show libssl3=3.0.17-1~deb12u3"), 0, include_str!("corpus/show.txt"));
    let it = Apt
        .resolve(&host, Path::new(DIR), &all_wanted()[..2])
        .unwrap();
    assert_eq!(it.actions.len(), 1);
    assert_eq!(it.impossible.len(), 1);
    assert!(it.impossible[0].1.starts_with("Held packages were changed"));
}

#[test]
fn a_version_that_is_gone_comes_from_a_file() {
    let file = "/var/lib/hostler/patch/packages/vim_2%3a9.0.1378-2+deb12u1_amd64.deb";
    let want = [wanted("vim", "amd64", Some("2:9.0.1378-2+deb12u1"))];
    let host = host().answers(
        &line("apt-cache", "policy vim"),
        0,
        include_str!("corpus/installed.txt"),
    );
    let gone = Apt.resolve(&host, Path::new(DIR), &want).unwrap();
    assert_eq!(
        gone.impossible[0].1,
        "no source has version 2:9.0.1378-2+deb12u1; the newest there is 2:9.0.1378-2+deb12u2"
    );
    let host = host
        .file(file, "deb")
        .answers(
            &line("apt-get", &format!("-q -y --simulate install {file}")),
            0,
            "Inst vim [2:9.0.1378-2] (2:9.0.1378-2+deb12u1 local-deb [amd64])\n",
        )
        .answers(&line("apt-cache", "show vim=2:9.0.1378-2+deb12u1"), 100, "");
    let it = Apt.resolve(&host, Path::new(DIR), &want).unwrap();
    assert!(it.impossible.is_empty());
    assert_eq!(it.actions[0].to.as_deref(), Some("2:9.0.1378-2+deb12u1"));
    assert_eq!((it.actions[0].download_bytes, it.download_bytes), (3, 0));
    assert_eq!(it.actions[0].sha256.as_ref().map(String::len), Some(64));
}

#[test]
fn a_refresh_tells_of_single_sources() {
    let said = "Hit:1 http://a\nW: Failed to fetch http://b/dists/x/InRelease  Could not resolve\n";
    let host = host().answers("refresh private lists of apt", 100, said);
    let found = Apt.refresh(&host, Path::new(DIR)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "source-failed");
}

#[test]
fn nothing_wanted_is_nothing_done() {
    let done = [wanted("current", "amd64", Some("1.0"))];
    let host = host().answers(&line("apt-cache", "policy current"), 0, "");
    let it = Apt.resolve(&host, Path::new(DIR), &done).unwrap();
    assert!(it.actions.is_empty() && it.impossible.is_empty());
}

#[test]
fn the_state_of_the_database() {
    let whole = host().answers("dpkg --audit", 0, "");
    assert_eq!(Apt.database(&whole).unwrap(), DatabaseState::Whole);
    let half = host().answers(
        "dpkg --audit",
        1,
        "The following packages are only half configured\n vim\n",
    );
    assert!(
        matches!(Apt.database(&half).unwrap(), DatabaseState::Interrupted(it) if it.ends_with("vim"))
    );
    let journal = host()
        .dir("/var/lib/dpkg/updates", 0o755)
        .file("/var/lib/dpkg/updates/0001", "");
    assert!(matches!(
        Apt.database(&journal).unwrap(),
        DatabaseState::Interrupted(_)
    ));
}

#[test]
fn programs_that_install_know_of_no_source() {
    let mut action = hostler_updates::Action {
        package: PackageName {
            name: "vim".into(),
            arch: "amd64".into(),
        },
        kind: ActionKind::Upgrade,
        from: Some("1".into()),
        to: Some("2:2".into()),
        suites: Vec::new(),
        class: Class::Unknown,
        download_bytes: 0,
        sha256: None,
        dependency: false,
    };
    let shown = |actions: &[Action], conffiles| {
        Apt.install(actions, Path::new("/p"), conffiles, 30)[0]
            .shown()
            .to_string()
    };
    let line = shown(&[action.clone()], Conffiles::KeepOld);
    assert!(
        line.contains("Dir::Etc::SourceList=/dev/null") && line.contains("DPkg::Lock::Timeout=30")
    );
    assert!(
        line.ends_with("--no-remove install /p/vim_2%3a2_amd64.deb"),
        "{line}"
    );
    assert!(
        line.contains("--force-confold")
            && !shown(&[action.clone()], Conffiles::KeepNew).contains("confdef")
    );
    (action.kind, action.to) = (ActionKind::Remove, None);
    assert!(shown(&[action], Conffiles::KeepOld).ends_with("install vim:amd64-"));
}
