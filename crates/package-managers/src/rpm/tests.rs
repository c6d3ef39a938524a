use std::cmp::Ordering::{Equal, Greater, Less};

use hostler_module_api::fake::FakeHost;

use super::*;

#[test]
fn versions_have_rpms_order() {
    // From rpm's documentation, and asked of rpm 4.18 (`rpm --eval '%{lua:print(rpm.vercmp(a, b))}'`).
    let cases = [
        ("1.0-1", "1.0-1", Equal),
        ("1.0-1", "2.0-1", Less),
        ("2.0.1-1", "2.0.1a-1", Less),
        ("xyz10-1", "xyz10.1-1", Less),
        ("1.05-1", "1.5-1", Equal),
        ("10-1", "9-1", Greater),
        ("1a-1", "1.1-1", Less),
        ("1.0~rc1-1", "1.0-1", Less),
        ("1.0^git1-1", "1.0-1", Greater),
        ("1.0^git1-1", "1.0.1-1", Less),
        ("1.0~rc1^git1-1", "1.0~rc1-1", Greater),
        ("1:1.0-1", "2.0-1", Greater),
        ("0:1.0-1", "1.0-1", Equal),
        ("1.0-10.el9", "1.0-9.el9_4", Greater),
        ("1.0-1.el9", "1.0-1.el9_4", Less),
        ("", "", Equal),
    ];
    for (a, b, order) in cases {
        assert_eq!(compare(a, b), order, "{a} {b}");
        assert_eq!(compare(b, a), order.reverse(), "{b} {a}");
    }
}

fn name(name: &str, arch: &str) -> PackageName {
    key(name, arch)
}

const ALL: &str = "glibc\t0\t2.34\t100.el9\tx86_64\t6000\nglibc\t0\t2.34\t100.el9\ti686\t5000\nvim\t2\t8.2\t1.el9\tx86_64\t1\n\
kernel-core\t0\t5.14.0\t9.el9\tx86_64\t10\nkernel-core\t0\t5.14.0\t10.el9\tx86_64\t10\ngpg-pubkey\t0\tfd431d51\t4ae0493b\t(none)\t0\nnonsense\n";
const MULTI: &str = "kernel-core\t0\t5.14.0\t9.el9\tx86_64\t10\nno package provides kernel\n";

#[test]
fn kernels_have_their_versions_in_their_names() {
    let it = Installed::parse(ALL, MULTI);
    let names = it.by_name();
    assert_eq!(names.len(), 5);
    assert_eq!(names[&name("vim", "x86_64")], "2:8.2-1.el9");
    let newest = name("kernel-core-5.14.0-10.el9", "x86_64");
    assert_eq!(names[&newest], "5.14.0-10.el9");
    assert_eq!(
        it.newest("kernel-core", "x86_64").unwrap().evr,
        "5.14.0-10.el9"
    );
    assert_eq!(real_name(&newest, "5.14.0-10.el9"), "kernel-core");
    assert_eq!(
        spec(&newest, "5.14.0-10.el9"),
        "kernel-core-5.14.0-10.el9.x86_64"
    );
    assert!(it.duplicates().is_empty());
    let interrupted = Installed::parse(ALL, "");
    assert_eq!(interrupted.duplicates(), ["kernel-core.x86_64"]);
}

#[test]
fn names_for_rpm_are_words() {
    let vim = name("vim", "x86_64");
    assert_eq!(spec(&vim, "2:8.2-1"), "vim-2:8.2-1.x86_64");
    assert_eq!(file_name(&vim, "2:8.2-1"), "vim-8.2-1.x86_64.rpm");
    let hostile = name("--setopt=x", "../../*");
    assert_eq!(spec(&hostile, "1 2"), "_--setopt_x-1_2..._..__");
    assert_eq!(
        split_nevra("a-b-1:2.0-3.el9.x86_64"),
        Some(("a-b", "1:2.0-3.el9", "x86_64"))
    );
    assert_eq!(split_nevra("a-0:1-2.noarch"), Some(("a", "1-2", "noarch")));
    for hostile in ["", ".", "-", "a", "a.b", "a-1.b", "-1-2.x"] {
        assert_eq!(split_nevra(hostile), None, "{hostile}");
    }
}

#[test]
fn changed_configuration_files_have_owners() {
    let host = FakeHost::bare()
        .answers(
            "rpm -V --configfiles --nodeps --noscripts a b",
            1,
            "S.5....T.  c /etc/a b.conf\n.......T.  c /etc/b.conf\nmissing   c /etc/c.conf\n",
        )
        .answers("rpm -qf --qf '%{NAME}\\n' '/etc/a b.conf'", 0, "other\na\n");
    let found = changed_conffiles(&host, &BTreeSet::from(["a", "b"])).unwrap();
    let changed = Conffile {
        path: "/etc/a b.conf".into(),
        package: "a".into(),
    };
    assert_eq!(found, [changed]);
}
