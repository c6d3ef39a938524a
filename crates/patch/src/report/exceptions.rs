//! Exceptions: who answers for what, until when.

use std::collections::BTreeSet;

use super::material::Exception;
use super::model::ExceptionRow;
use super::{DAY, text};

/// Expired ones first, then those that expire next, then those that never do.
pub fn rows(exceptions: &[Exception], hosts: &BTreeSet<&str>, now_us: i64) -> Vec<ExceptionRow> {
    let mut rows: Vec<ExceptionRow> = exceptions
        .iter()
        .map(|it| {
            let covered: BTreeSet<&str> = it.hosts.iter().map(String::as_str).collect();
            let left = it.expires_us.map(|at| at.saturating_sub(now_us));
            ExceptionRow {
                owner: text(&it.owner),
                reason: text(&it.reason),
                ticket: it.ticket.as_deref().map(text),
                hosts: covered
                    .intersection(hosts)
                    .map(|&it| it.to_owned())
                    .collect(),
                packages: it.packages.iter().map(|it| text(it)).collect(),
                expires_us: it.expires_us,
                expired: left.is_some_and(|it| it <= 0),
                days_left: left.map(|it| it.div_euclid(DAY)),
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        let key = |it: &ExceptionRow| (it.expires_us.unwrap_or(i64::MAX), it.owner.clone());
        key(a).cmp(&key(b))
    });
    rows
}
