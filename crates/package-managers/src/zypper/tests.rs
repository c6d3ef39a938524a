use hostler_updates::{Class, Severity};

use super::*;

/// What zypper 1.14 printed, shortened.
const DRY_RUN: &str = r#"<?xml version='1.0'?>
<stream>
<message type="info">Loading repository data...</message>
<install-summary download-size="24649" space-usage-diff="17" packages-to-change="5">
<to-upgrade>
<solvable type="package" name="tool" edition="1.2-1" arch="noarch" edition-old="1.0-1" arch-old="noarch" summary="made &lt;b&gt;"/>
</to-upgrade>
<to-install>
<solvable type="package" name="kernel-core" edition="5.2-1" arch="noarch" summary="made"><description>Made</description></solvable>
<solvable type="patch" name="SEC-1" edition="1" arch="noarch" summary="made"/>
</to-install>
<to-remove>
<solvable type="package" name="old" edition="1-1" arch="noarch" summary="made"/>
</to-remove>
</install-summary>
<prompt id="0"><text>Continue?</text></prompt>
</stream>
"#;

#[test]
fn a_dry_run() {
    let it = summary(DRY_RUN);
    assert!(it.is_whole);
    assert_eq!((it.download_bytes, it.disk_bytes), (24649, 17));
    let rows: Vec<String> = it
        .rows
        .iter()
        .map(|it| format!("{:?} {}", it.section, it.spec()))
        .collect();
    assert_eq!(
        rows,
        [
            "Upgrade tool-1.2-1.noarch",
            "Install kernel-core-5.2-1.noarch",
            "Remove old-1-1.noarch"
        ]
    );
    let question = "<stream><prompt id=\"1\"><description>Problem: nothing provides 'x'</description></prompt></stream>";
    assert!(!summary(question).is_whole);
    assert!(!summary("").is_whole);
    assert!(
        summary(
            "<install-summary download-size=\"0\" space-usage-diff=\"-9\">\n</install-summary>"
        )
        .is_whole
    );
}

#[test]
fn candidates_have_their_repositories() {
    let list = r#"<update-list><update kind="package" name="tool" edition="1.2-1" arch="noarch" edition-old="1.0-1"><summary>s</summary><license/><source url="http://x/updates" alias="updates"/></update>
<update kind="patch" name="SEC-1" edition="1" arch="noarch"><source url="http://x/updates" alias="updates"/></update></update-list>"#;
    let offers = candidates(list);
    assert_eq!(offers.len(), 1);
    let key = ("tool".to_owned(), "noarch".to_owned(), "1.2-1".to_owned());
    assert_eq!(offers[&key].repository, "updates");
}

#[test]
fn patches_name_versions() {
    let list = r#"<update kind="patch" name="SEC-2026:1" edition="1" arch="noarch" status="needed" category="security" severity="important" pkgmanager="false">
<issue type="cve" id="CVE-2026-0001">
<issue type="bugzilla" id="12345">
<update kind="patch" name="BUG-2026:2" edition="1" arch="noarch" status="needed" category="recommended" severity="low" pkgmanager="false">
</update-list>"#;
    let info = "Name        : SEC-2026:1\n    not a < conflict-here\nConflicts   : [3]\n    tool.x86_64 < 1.1-1\n    srcpackage:tool < 1.1-1\n    libtool.so < 2:3-4\nName        : BUG-2026:2\nConflicts   : tool < 1.2-1\nName        : OTHER\nConflicts   : tool < 9-1\n";
    let advisories = super::patches::tests_parse(list, info);
    let told = advisories.of("tool", "x86_64", Some("1.0-1"), "1.2-1");
    assert_eq!(
        (told.class, told.severity),
        (Class::Security, Some(Severity::Important))
    );
    assert_eq!(told.advisories, ["BUG-2026:2", "SEC-2026:1"]);
    assert_eq!(told.cves, ["CVE-2026-0001"]);
    assert_eq!(told.security_version.as_deref(), Some("1.1-1"));
    let other = advisories.of("tool", "i586", Some("1.0-1"), "1.2-1");
    assert_eq!(
        other.class,
        Class::Bugfix,
        "the security patch names another architecture"
    );
    assert_eq!(
        advisories
            .of("libtool.so", "x86_64", Some("1-1"), "2:3-4")
            .class,
        Class::Security
    );
    assert_eq!(
        advisories.of("not", "x86_64", Some("1-1"), "2-1").class,
        Class::Unknown
    );
}

#[test]
fn locks_are_named() {
    let locks = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: kept*\n";
    let host = hostler_module_api::fake::FakeHost::bare().file("/etc/zypp/locks", locks);
    let holds = holds(&host);
    assert_eq!((holds.len(), holds[0].package.as_str()), (1, "kept*"));
}
