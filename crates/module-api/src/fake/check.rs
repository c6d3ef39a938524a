//! What every module test gets for free.

use hostler_change::Outcome;
use hostler_value::Value;

use super::host::FakeHost;
use crate::{Mode, Module, execute};

/// What a module did on a fake host.
pub struct Checked {
    /// The host afterwards.
    pub host: FakeHost,
    /// Outcome in check mode, before anything was done.
    pub check: Outcome,
    /// Outcome of doing it.
    pub first: Outcome,
    /// Outcome of doing it again.
    pub second: Outcome,
}

const DIFF: Mode = Mode {
    check: false,
    diff: true,
    forecast: false,
};
const CHECK: Mode = Mode {
    check: true,
    diff: true,
    forecast: false,
};

/// Runs a module in check mode, for real, and again, and asserts what holds for every module:
/// check mode changes nothing; it predicts `changed` and the same differences (unless the module says that it cannot
/// know); nothing fails. The caller asserts the rest, also that `second` changed nothing where that is so.
///
/// # Panics
/// If one of these does not hold.
pub fn check_module<M: Module>(args: impl Into<Value>, mut host: FakeHost) -> Checked {
    let args = args.into();
    let before = host.snapshot().clone();
    let check = execute::<M>(&args, CHECK, &mut host);
    assert_eq!(
        &before,
        host.snapshot(),
        "check mode of `{}` changed the host",
        M::NAME
    );
    assert!(
        host.ran.is_empty(),
        "check mode of `{}` ran a program",
        M::NAME
    );
    let first = execute::<M>(&args, DIFF, &mut host);
    assert_eq!(
        first.failed,
        None,
        "`{}` failed: {:?}",
        M::NAME,
        first.fields
    );
    assert_eq!(
        check.failed,
        None,
        "`{}` failed in check mode: {:?}",
        M::NAME,
        check.fields
    );
    if !check.skipped && !check.incomplete {
        assert_eq!(
            check.changed,
            first.changed,
            "check mode of `{}` predicted otherwise",
            M::NAME
        );
        assert_eq!(
            check.deltas,
            first.deltas,
            "check mode of `{}` predicted otherwise",
            M::NAME
        );
    }
    let second = execute::<M>(&args, DIFF, &mut host);
    assert_eq!(
        second.failed,
        None,
        "the second run of `{}` failed: {:?}",
        M::NAME,
        second.fields
    );
    Checked {
        host,
        check,
        first,
        second,
    }
}

/// Runs a module that must fail, and gives its message. The host must be as it was.
///
/// # Panics
/// If it does not fail, or changes the host.
pub fn check_fails<M: Module>(args: impl Into<Value>, mut host: FakeHost) -> String {
    let before = host.snapshot().clone();
    let outcome = execute::<M>(&args.into(), DIFF, &mut host);
    assert_eq!(
        &before,
        host.snapshot(),
        "`{}` failed and changed the host",
        M::NAME
    );
    outcome.failed.expect("the module should fail").msg
}
