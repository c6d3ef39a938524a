//! Versions are ordered as the package managers' own tools order them.
//!
//! `tests/versions/deb.txt`, `rpm.txt` and `pacman.txt` are what the tools said (`dpkg --compare-versions` 1.21.22,
//! `rpm.vercmp` of rpm 4.18.0, `alpm_pkg_vercmp` of libalpm 13.0.2) of versions as archives have them and of random changes to
//! those; `apk.txt` follows the rules of apk-package(5).

use std::cmp::Ordering;
use std::process::Command;

use hostler_updates::{Scheme, compare};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

fn table(text: &str) -> impl Iterator<Item = (&str, Ordering, &str)> {
    text.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let order = match words[1] {
            "<" => Ordering::Less,
            "=" => Ordering::Equal,
            ">" => Ordering::Greater,
            other => panic!("{other}"),
        };
        (words[0], order, words[2])
    })
}

fn agree(scheme: Scheme, text: &str, at_least: usize) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (a, order, b) in table(text) {
        count += 1;
        if compare(scheme, a, b) != order || compare(scheme, b, a) != order.reverse() {
            wrong.push(format!(
                "{a} {order:?} {b}, not {:?}",
                compare(scheme, a, b)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= at_least, "{count}");
}

#[test]
fn as_dpkg_orders_them() {
    agree(Scheme::Deb, include_str!("versions/deb.txt"), 400);
}

#[test]
fn as_rpm_orders_them() {
    agree(Scheme::Rpm, include_str!("versions/rpm.txt"), 400);
}

#[test]
fn as_pacman_orders_them() {
    agree(Scheme::Pacman, include_str!("versions/pacman.txt"), 400);
}

#[test]
fn as_apk_orders_them() {
    agree(Scheme::Apk, include_str!("versions/apk.txt"), 50);
}

/// Where dpkg is at hand, it is asked about versions that nobody has thought of.
#[test]
fn as_dpkg_here_orders_random_ones() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        return;
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let version = "[0-9][0-9a-c.+~]{0,5}(-[0-9a-c.+~]{1,4})?";
    for _ in 0..150 {
        let mut next = || {
            let tree = proptest::string::string_regex(version)
                .unwrap()
                .new_tree(&mut runner);
            tree.unwrap().current()
        };
        let (a, b): (String, String) = (next(), next());
        let word: &str = match compare(Scheme::Deb, &a, &b) {
            Ordering::Less => "lt",
            Ordering::Equal => "eq",
            Ordering::Greater => "gt",
        };
        let status = Command::new("dpkg")
            .args(["--compare-versions", &a, word, &b])
            .status();
        assert!(status.unwrap().success(), "{a} {word} {b}");
    }
}

/// Anything that looks a little like a version, and anything at all.
fn any_version() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "([0-9]:)?[0-9a-c.~^_+]{0,8}(-[0-9r.~^]{0,4})?",
        2 => "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}[a-b]?(_(alpha|rc|p|git)[0-9]?){0,2}(-r[0-9])?",
        1 => ".{0,12}",
    ]
}

proptest! {
    /// Sorting by it cannot go wrong. (pacman's own rules contradict themselves for odd versions; they are kept as they
    /// are, and only compared in pairs.)
    #[test]
    fn the_order_is_total(a in any_version(), b in any_version(), c in any_version()) {
        for scheme in [Scheme::Deb, Scheme::Rpm, Scheme::Apk] {
            let (ab, bc, ac) = (compare(scheme, &a, &b), compare(scheme, &b, &c), compare(scheme, &a, &c));
            prop_assert_eq!(ab, compare(scheme, &b, &a).reverse());
            prop_assert_eq!(compare(scheme, &a, &a), Ordering::Equal);
            if ab == bc {
                prop_assert_eq!(ac, ab, "{:?} {} {} {}", scheme, &a, &b, &c);
            }
            if ab == Ordering::Equal {
                prop_assert_eq!(ac, bc, "{:?} {} {} {}", scheme, &a, &b, &c);
            }
        }
    }

    #[test]
    fn pairs_of_pacman_agree_with_themselves(a in any_version(), b in any_version()) {
        prop_assert_eq!(compare(Scheme::Pacman, &a, &b), compare(Scheme::Pacman, &b, &a).reverse());
        prop_assert_eq!(compare(Scheme::Pacman, &a, &a), Ordering::Equal);
    }
}
