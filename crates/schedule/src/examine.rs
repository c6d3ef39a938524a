//! Windows that can never be used: named before anything starts.

use crate::freeze::Freeze;
use crate::interval::{Interval, Occurrence, intersect};
use crate::window::{DAY_US, HORIZON_DAYS, Window, occurrences};

/// What is wrong with a window, or with two together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It does not start within 400 days (`UNTIL` is over, the 31st of February, a date that is past).
    NeverStarts,
    /// It starts only later than in 400 days: its first start.
    StartsLate(Occurrence),
    /// Freezes cover all that there is of it within 400 days: the freezes of the first one.
    Frozen(Vec<String>),
}

/// What is wrong with the window, seen from the instant.
pub fn examine(window: &Window, freezes: &[Freeze], now_us: i64) -> Option<Finding> {
    let until_us = now_us.saturating_add(HORIZON_DAYS * DAY_US);
    let all = occurrences("", window, freezes, now_us, until_us);
    let Some(first) = all.first() else {
        let later = occurrences("", window, freezes, now_us, i64::MAX);
        return Some(match later.into_iter().next() {
            Some(first) => Finding::StartsLate(first),
            None => Finding::NeverStarts,
        });
    };
    let frozen = all.iter().all(|it| it.open.is_empty());
    frozen.then(|| Finding::Frozen(first.remarks.clone()))
}

/// When two windows are next open together, within 400 days. `None`: a host that has both is never patched.
pub fn first_meeting(
    left: &Window,
    right: &Window,
    freezes: &[Freeze],
    now_us: i64,
) -> Option<Interval> {
    let until_us = now_us.saturating_add(HORIZON_DAYS * DAY_US);
    let open = |window: &Window| -> Vec<Interval> {
        let all = occurrences("", window, freezes, now_us, until_us);
        all.into_iter().flat_map(|it| it.open).collect()
    };
    let both = intersect(&open(left), &open(right));
    both.into_iter().find(|it| it.end_us > now_us)
}
