//! What came of hosts, like ends together: two hundred hosts that wait for the same thing are one line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Outcome;

/// Hosts that are named in a line, and lines that are shown.
const NAMED: usize = 3;
const LINES: usize = 20;

/// How many hosts there are of each outcome: `200 hosts: 198 done, 2 unreachable`; what is worst comes first.
pub fn tally<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> String {
    let mut counts: BTreeMap<(u8, &str), usize> = BTreeMap::new();
    for it in outcomes {
        *counts.entry((rank(it), it.word())).or_default() += 1;
    }
    let hosts: usize = counts.values().sum();
    let words = counts
        .iter()
        .map(|((_, word), count)| format!("{count} {}", word.replace('_', " ")));
    let words = words.collect::<Vec<_>>().join(", ");
    match hosts {
        0 => "no host was touched".to_owned(),
        1 => format!("1 host: {words}"),
        _ => format!("{hosts} hosts: {words}"),
    }
}

/// Every end that is not [`Outcome::Done`], a line each, indented, with the hosts that came to it; what is worst comes
/// first. Empty if all is done.
pub fn ends<'a>(outcomes: impl IntoIterator<Item = (&'a String, &'a Outcome)>) -> String {
    let mut like: BTreeMap<(u8, String), Vec<&str>> = BTreeMap::new();
    for (host, outcome) in outcomes {
        if *outcome == Outcome::Done {
            continue;
        }
        let reason = outcome.reason();
        let mut words = outcome.word().replace('_', " ");
        if let Some(first) = reason.lines().next().filter(|it| !it.is_empty()) {
            let _ = write!(words, ": {first}");
        }
        like.entry((rank(outcome), words)).or_default().push(host);
    }
    let mut text = String::new();
    for ((_, words), hosts) in like.iter().take(LINES) {
        let named = hosts[..hosts.len().min(NAMED)].join(", ");
        let _ = match hosts.len().saturating_sub(NAMED) {
            0 => writeln!(text, "  {named}: {words}"),
            more => writeln!(text, "  {named} and {more} more: {words}"),
        };
    }
    let rest: usize = like.values().skip(LINES).map(Vec::len).sum();
    if rest > 0 {
        let _ = writeln!(text, "  and {rest} more");
    }
    text
}

/// The worst is 0.
fn rank(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Failed { .. } => 0,
        Outcome::Unreachable { .. } => 1,
        Outcome::RolledBack { .. } => 2,
        Outcome::PlanMismatch { .. } => 3,
        Outcome::Held { .. } => 4,
        Outcome::Deferred { .. } => 5,
        Outcome::InstalledPendingReboot { .. } => 6,
        Outcome::Done => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_ends_are_one_line_and_the_worst_is_first() {
        let pending = |reason: &str| Outcome::InstalledPendingReboot {
            reason: reason.to_owned(),
        };
        let mut all: BTreeMap<String, Outcome> = (1..=197)
            .map(|n| (format!("a{n:03}"), pending("the policy reboots no host")))
            .collect();
        all.insert("a198".into(), Outcome::Done);
        let lost = Outcome::Unreachable {
            reason: "refused\nat port 22".into(),
            changed: false,
            counts: true,
        };
        all.insert("a199".into(), lost);
        assert_eq!(
            ends(&all),
            "  a199: unreachable: refused\n  a001, a002, a003 and 194 more: installed pending reboot: the policy reboots no host\n"
        );
        assert_eq!(
            tally(all.values()),
            "199 hosts: 1 unreachable, 197 installed pending reboot, 1 done"
        );
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let all: BTreeMap<String, Outcome> = (0..50)
            .map(|n| {
                let reason = format!("reason {n:02}");
                (format!("h{n:02}"), Outcome::Held { reason })
            })
            .collect();
        let text = ends(&all);
        assert_eq!(text.lines().count(), LINES + 1);
        assert!(text.ends_with("  and 30 more\n"), "{text}");
        assert_eq!(tally([]), "no host was touched");
    }
}
