//! May a host be started now?

use crate::interval::{Interval, intersect};

/// The answer to "may a host be started now".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes: it will be done in time.
    Now,
    /// Not now, but at this instant (microseconds since the epoch).
    Later(i64),
    /// It does not fit into any of the intervals that are left.
    Never,
}

const SECOND_US: i64 = 1_000_000;

/// Is there time for a host that is expected to take `needed_s`, with `reserve_s` left over at the end? The intervals are in
/// order and without overlaps: the window without freezes, cut with the host's own windows.
pub fn admits(open: &[Interval], now_us: i64, needed_s: u64, reserve_s: u64) -> Admission {
    let seconds = i64::try_from(needed_s.saturating_add(reserve_s)).unwrap_or(i64::MAX);
    let needed_us = seconds.saturating_mul(SECOND_US);
    let fits = |from_us: i64, it: &Interval| from_us.saturating_add(needed_us) <= it.end_us;
    for it in open.iter().filter(|it| now_us < it.end_us) {
        if it.holds(now_us) {
            if fits(now_us, it) {
                return Admission::Now;
            }
        } else if fits(it.start_us, it) {
            return Admission::Later(it.start_us);
        }
    }
    Admission::Never
}

/// What all of these windows leave: a host may have several (the policy's, its own, its group's).
pub fn intersect_all<'a>(lists: impl IntoIterator<Item = &'a [Interval]>) -> Option<Vec<Interval>> {
    let mut lists = lists.into_iter();
    let first = lists.next()?.to_vec();
    Some(lists.fold(first, |left, right| intersect(&left, right)))
}

/// The union: in order, without overlaps; what touches becomes one.
pub fn merge(mut all: Vec<Interval>) -> Vec<Interval> {
    all.retain(|it| it.start_us < it.end_us);
    all.sort();
    let mut merged: Vec<Interval> = Vec::new();
    for it in all {
        match merged.last_mut() {
            Some(last) if it.start_us <= last.end_us => last.end_us = last.end_us.max(it.end_us),
            _ => merged.push(it),
        }
    }
    merged
}
