//! Stretches of time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stretch of time: from its start on, up to its end and not including it. Microseconds since the epoch.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Interval {
    /// Where it starts.
    pub start_us: i64,
    /// Where it ends, after its start.
    pub end_us: i64,
}

/// One time that a window opens, with what freezes leave of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Occurrence {
    /// Names it for ever: policy, window and the floating local date (`prod-linux/saturday-night/2026-12-12`).
    pub id: String,
    /// The window.
    pub window: String,
    /// All of it, before freezes.
    pub whole: Interval,
    /// What is left of it, in order, without overlaps; empty if it is frozen from start to end.
    pub open: Vec<Interval>,
    /// Why parts of it are not open, and what is special about it (daylight saving), a line each.
    pub remarks: Vec<String>,
}

impl Interval {
    /// Is the instant in it?
    pub fn holds(&self, at_us: i64) -> bool {
        self.start_us <= at_us && at_us < self.end_us
    }

    /// Its length in microseconds.
    pub fn length_us(&self) -> i64 {
        self.end_us - self.start_us
    }
}

/// What is in both lists. Both are in order and without overlaps; so is the result.
pub fn intersect(left: &[Interval], right: &[Interval]) -> Vec<Interval> {
    let mut all: Vec<Interval> = left
        .iter()
        .flat_map(|a| {
            right.iter().filter_map(|b| {
                let both = Interval {
                    start_us: a.start_us.max(b.start_us),
                    end_us: a.end_us.min(b.end_us),
                };
                (both.start_us < both.end_us).then_some(both)
            })
        })
        .collect();
    all.sort();
    all
}

/// What is in the first list and not in the second. The first is in order and without overlaps; so is the result.
pub fn subtract(from: &[Interval], what: &[Interval]) -> Vec<Interval> {
    let mut left = from.to_vec();
    for cut in what {
        left = left
            .into_iter()
            .flat_map(|it| {
                let before = Interval {
                    start_us: it.start_us,
                    end_us: it.end_us.min(cut.start_us),
                };
                let after = Interval {
                    start_us: it.start_us.max(cut.end_us),
                    end_us: it.end_us,
                };
                [before, after]
            })
            .filter(|it| it.start_us < it.end_us)
            .collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: &[(i64, i64)]) -> Vec<Interval> {
        let make = |&(start_us, end_us)| Interval { start_us, end_us };
        list.iter().map(make).collect()
    }

    #[test]
    fn what_is_cut_out_is_out() {
        let window = all(&[(0, 100)]);
        assert_eq!(
            subtract(&window, &all(&[(10, 20), (90, 200)])),
            all(&[(0, 10), (20, 90)])
        );
        assert_eq!(subtract(&window, &all(&[(-5, 100)])), []);
        assert_eq!(subtract(&window, &all(&[(100, 200)])), window);
        assert_eq!(
            intersect(&window, &all(&[(-5, 5), (50, 150)])),
            all(&[(0, 5), (50, 100)])
        );
        assert_eq!(intersect(&window, &all(&[(100, 150)])), []);
    }
}
