//! Windows of a plan: which occurrences there are, and whether a host fits into one.

use std::collections::{BTreeMap, BTreeSet};

use hostler_schedule::{
    Admission, Interval, Occurrence, admits, duration_text, intersect, intersect_all,
    next_occurrences,
};

use super::Input;
use crate::plan::{LeftOut, LeftOutCode};
use crate::policy::Step;

/// How far ahead a plan looks for the first occurrence of a window, seconds: a month has at most 31 days, a freeze may take one.
const AHEAD_S: u64 = 62 * 86_400;

/// Times of a plan.
pub(super) struct Times {
    /// Until then the plan may be used.
    pub(super) valid_until_us: i64,
    /// Occurrences of the windows of waves.
    pub(super) windows: BTreeMap<String, Vec<Occurrence>>,
    /// What is open of each window, limits for hosts among them.
    open: BTreeMap<String, Vec<Interval>>,
}

fn seconds_us(seconds: u64) -> i64 {
    i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000)
}

impl Times {
    /// The plan may be used for as long as the input says, and at least until the end of the next occurrence of each window.
    pub(super) fn of(input: &Input<'_>) -> Self {
        let policy = &input.file.policy;
        let used: BTreeSet<&str> = policy
            .waves
            .iter()
            .filter_map(|it| policy.window_of(it))
            .collect();
        let now_us = input.now_us;
        let horizon_us = now_us.saturating_add(seconds_us(AHEAD_S));
        let mut valid_until_us = now_us.saturating_add(seconds_us(input.valid_for_s));
        for name in &used {
            let Some(part) = input.schedule.windows.get(*name) else {
                continue;
            };
            let next = next_occurrences(
                &policy.name,
                &part.window,
                &input.schedule.freezes,
                now_us,
                50,
            );
            let first_end = next
                .iter()
                .filter_map(|it| it.open.last())
                .map(|it| it.end_us)
                .find(|end_us| *end_us > now_us && *end_us <= horizon_us);
            valid_until_us = valid_until_us.max(first_end.unwrap_or(valid_until_us));
        }
        let windows = used
            .iter()
            .map(|name| {
                let all = input
                    .schedule
                    .occurrences(&policy.name, name, now_us, valid_until_us);
                ((*name).to_owned(), all)
            })
            .collect();
        let open = input
            .schedule
            .windows
            .keys()
            .map(|name| {
                (
                    name.clone(),
                    input.schedule.open(name, now_us, valid_until_us),
                )
            })
            .collect();
        Times {
            valid_until_us,
            windows,
            open,
        }
    }

    /// What the limits of a host leave; `None` if it has none.
    pub(super) fn own(&self, input: &Input<'_>, host: &str) -> Option<Vec<Interval>> {
        let limits = input.members.windows.iter();
        let limits = limits.filter(|(_, hosts)| hosts.contains(host));
        intersect_all(limits.map(|(name, _)| self.open.get(name).map_or(&[][..], Vec::as_slice)))
    }

    /// Why a host fits into no occurrence of its wave's window; `None`: it does.
    pub(super) fn misfit(
        &self,
        input: &Input<'_>,
        host: &str,
        wave: usize,
        p95_s: u32,
    ) -> Option<LeftOut> {
        let policy = &input.file.policy;
        let name = policy.waves.get(wave).and_then(|it| policy.window_of(it));
        let own = self.own(input, host);
        let reserve_s = name
            .and_then(|it| input.schedule.windows.get(it))
            .map_or(0, |it| it.reserve_s);
        let open = match (name.and_then(|it| self.open.get(it)), own) {
            (None, None) => return None,
            (Some(window), None) => window.clone(),
            (None, Some(own)) => own,
            (Some(window), Some(own)) => intersect(window, &own),
        };
        if admits(&open, input.now_us, p95_s.into(), reserve_s.into()) != Admission::Never {
            return None;
        }
        Some(self.misfit_reason(input, name, &open, p95_s, reserve_s))
    }

    fn misfit_reason(
        &self,
        input: &Input<'_>,
        name: Option<&str>,
        open: &[Interval],
        p95_s: u32,
        reserve_s: u32,
    ) -> LeftOut {
        let shown = name.map_or("its own window".into(), crate::text::window_name);
        let path = match name {
            Some("window") => vec![Step::Key("window")],
            Some(name) => vec![Step::Key("windows"), Step::Key(name)],
            None => vec![Step::Key("windows")],
        };
        let rule = input.file.rule(&path);
        let all: &[Occurrence] = name
            .and_then(|it| self.windows.get(it))
            .map_or(&[], Vec::as_slice);
        let frozen = all.iter().find(|it| it.open.is_empty());
        if let Some(frozen) = frozen.filter(|_| open.is_empty()) {
            let why = frozen.remarks.last().cloned().unwrap_or_default();
            return LeftOut {
                code: LeftOutCode::Frozen,
                reason: format!("{shown} is {why}"),
                rule,
            };
        }
        let longest_us = open
            .iter()
            .map(|it| it.end_us - it.start_us.max(input.now_us))
            .max()
            .unwrap_or(0);
        let longest_s = u64::try_from(longest_us / 1_000_000).unwrap_or(0);
        let reason = if longest_s == 0 {
            format!("{shown} leaves it no time while the plan is valid")
        } else {
            format!(
                "it may take {} with {} in reserve, {shown} leaves {}",
                duration_text(p95_s.into()),
                duration_text(reserve_s.into()),
                duration_text(longest_s)
            )
        };
        LeftOut {
            code: LeftOutCode::DoesNotFit,
            reason,
            rule,
        }
    }
}
