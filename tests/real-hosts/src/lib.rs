//! What the real-host tests are made of: raising hosts, running an engine on them, and looking at what it left.
//!
//! The tests run `hostler` from this checkout. With `HOSTLER_TEST_ENGINE=ansible` they run ansible-core instead: a
//! scenario that ansible-core does not pass is a wrong scenario.

pub mod engine;
pub mod snapshot;
pub mod view;

use xtask::fleet::{Fleet, Guard, Host, Init, Machine, Set};
use xtask::process::is_root;

/// The environment variable with which CI says that skipping these tests is a failure.
pub const REQUIRE: &str = "HOSTLER_REQUIRE_FLEET";

/// Raises `count` fresh hosts of set a for the test called `name`, or returns `None` without root, after saying so.
///
/// # Panics
/// When hosts cannot be raised, and without root when [`REQUIRE`] is set to 1.
pub fn fleet(name: &str, count: usize, init: Init) -> Option<(Guard, Vec<Host>)> {
    if !may_raise(name) {
        return None;
    }
    let fleet = Fleet::named(&format!("test-{name}")).unwrap_or_else(|failure| panic!("{failure}"));
    let guard = Guard(fleet);
    // What an earlier run of this test that was killed has left.
    guard.down().unwrap_or_else(|failure| panic!("{failure}"));
    let hosts = raise(&guard, Set::A, count, init);
    Some((guard, hosts))
}

/// Starts an emulated machine for the test called `name`, or returns `None` without what that needs, after saying so. The
/// fleet has the machine as its only host.
///
/// # Panics
/// When it does not start, and when programs are missing and [`REQUIRE`] is set to 1.
pub fn machine(name: &str) -> Option<(Guard, Machine)> {
    if !may_raise(name) {
        return None;
    }
    let missing = Machine::missing_packages().join(" ");
    if !missing.is_empty() {
        let why = format!("{name} emulates a machine: apt-get install {missing}");
        assert!(
            std::env::var(REQUIRE).as_deref() != Ok("1"),
            "{REQUIRE}=1, but {why}"
        );
        say(&format!("SKIPPED, NOT TESTED: {why}"));
        return None;
    }
    let fleet = Fleet::named(&format!("test-{name}")).unwrap_or_else(|failure| panic!("{failure}"));
    let guard = Guard(fleet);
    guard.down().unwrap_or_else(|failure| panic!("{failure}"));
    let machine = Machine::start(&guard).unwrap_or_else(|failure| panic!("{failure}"));
    Some((guard, machine))
}

/// Whether the test called `name` can raise hosts: as root. Says so if it cannot.
///
/// # Panics
/// Without root when [`REQUIRE`] is set to 1.
pub fn may_raise(name: &str) -> bool {
    if is_root() {
        return true;
    }
    assert!(
        std::env::var(REQUIRE).as_deref() != Ok("1"),
        "{REQUIRE}=1, but this is not root"
    );
    say(&format!(
        "SKIPPED, NOT TESTED: {name} raises real hosts and needs root"
    ));
    false
}

/// Raises `count` hosts of `set` in a fleet that is there.
///
/// # Panics
/// When that fails.
pub fn raise(fleet: &Fleet, set: Set, count: usize, init: Init) -> Vec<Host> {
    fleet
        .up(set, count, init)
        .unwrap_or_else(|failure| panic!("{failure}"))
}

/// Runs a shell script in the host, as root and past its sshd, and returns what it printed.
///
/// # Panics
/// When the script fails.
pub fn shell(host: &Host, script: &str) -> String {
    host.shell(script)
        .unwrap_or_else(|failure| panic!("{}: {failure}", host.name))
        .trim_end()
        .to_owned()
}

#[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
fn say(message: &str) {
    eprintln!("{message}");
}
