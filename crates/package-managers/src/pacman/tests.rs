use std::collections::BTreeSet;

use hostler_module_api::fake::FakeHost;

use super::*;

fn host() -> FakeHost {
    let desc = |name: &str, version: &str| {
        format!(
            "%NAME%\n{name}\n\n%VERSION%\n{version}\n\n%DESC%\n%NAME%\n\n%ARCH%\nany\n\n%SIZE%\n12\n"
        )
    };
    let local = local::LOCAL;
    FakeHost::bare()
        .dir(local, 0o755)
        .file(&format!("{local}/ALPM_DB_VERSION"), "9\n")
        .dir(&format!("{local}/old-1:2.0-1"), 0o755)
        .file(&format!("{local}/old-1:2.0-1/desc"), desc("old", "1:2.0-1"))
        .file(&format!("{local}/old-1:2.0-1/files"), "%FILES%\netc/\netc/old.conf\n\n%BACKUP%\netc/old.conf\t8ed225e72d73c808ceb27112713def8e\n")
        .file("/etc/old.conf", "changed\n")
}

#[test]
fn the_database_is_read_from_its_files() {
    let local = Local::read(&host()).unwrap();
    let old = name("old", "any");
    assert_eq!(local.by_name()[&old], "1:2.0-1");
    let names = BTreeSet::from(["old", "none"]);
    assert_eq!(
        local.files(&host(), &names),
        BTreeSet::from(["/etc/old.conf".to_owned()])
    );
    assert_eq!(local.changed(&host(), &names)[0].path, "/etc/old.conf");
    let torn = host().dir(&format!("{}/torn-1-1", local::LOCAL), 0o755);
    assert_eq!(Local::read(&torn).unwrap().broken, ["torn-1-1"]);
}

#[test]
fn relations_are_met_by_what_is_installed() {
    let local = Local::read(&host()).unwrap();
    for met in [
        "old",
        "old<1:3",
        "old=1:2.0",
        "old>=1:2.0-1",
        "old<=1:2.0-1",
    ] {
        assert_eq!(is_met(met, &local).as_deref(), Some("old"), "{met}");
    }
    for unmet in ["other", "old<1:2.0", "old>1:2.0-1", "old=1:3", "", "=", "<"] {
        assert_eq!(is_met(unmet, &local), None, "{unmet}");
    }
}

#[test]
fn lines_of_a_transaction() {
    let hash = "a".repeat(64);
    let said =
        format!("extra\ttool\t1.2-1\t740\t{hash}\nextra\told\t1:2.0-2\t655\t%h\nwarning: x\n");
    let rows = rows(&said);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].download_bytes, rows[0].sha256.as_deref()),
        (740, Some(hash.as_str()))
    );
    assert_eq!(rows[1].sha256, None, "pacman 6.0 does not know it");
    assert_eq!(bytes("12.50 KiB"), Some(12800));
    assert_eq!(
        bytes("nonsense").or(bytes("x MiB")).or(bytes("1 PiB")),
        None
    );
}

#[test]
fn words_of_files_are_words() {
    let hostile = PackageName {
        name: "../x; rm".into(),
        arch: "any".into(),
    };
    assert_eq!(file_stem(&hostile, "1:2-1"), "_.._x__rm-1:2-1-any");
}
