//! The same outcome on many hosts, told once.

use hostler_change::Delta;
use hostler_events::Status;
use hostler_preview::delta_without_host;
pub(crate) use hostler_preview::without_host;

/// Different outcomes of one task that are kept apart; further ones are told by status alone.
const GROUPS_MAX: usize = 64;

/// What must be equal for two hosts to be told in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub status: Status,
    pub ignored: bool,
    pub rescued: bool,
    pub incomplete: bool,
    /// Message or result, harmless, with the host's own name as `{host}`.
    pub text: String,
    /// What changed, where differences are shown, with the host's own name as `{host}`.
    pub deltas: Vec<Delta>,
}

/// An outcome and its hosts.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub outcome: Outcome,
    pub hosts: Vec<String>,
    /// Its hosts had different outcomes, of which only the status is told.
    pub mixed: bool,
    /// How many of its hosts were told already.
    pub told: usize,
    /// Its first host.
    pub first: String,
    /// What changed on the first host.
    pub deltas: Vec<Delta>,
}

/// The outcomes of one task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
}

impl Groups {
    /// Adds a host's outcome and gives back its group. The outcome's deltas may name the host.
    pub(crate) fn add(&mut self, host: &str, mut outcome: Outcome) -> &mut Group {
        let named = outcome.deltas;
        outcome.deltas = named
            .iter()
            .map(|delta| delta_without_host(delta, host))
            .collect();
        let full = self.groups.len() >= GROUPS_MAX;
        let found = self
            .groups
            .iter()
            .position(|group| !group.mixed && group.outcome == outcome)
            .or_else(|| {
                self.groups
                    .iter()
                    .position(|group| group.mixed && same_kind(&group.outcome, &outcome))
            });
        let index = found.unwrap_or_else(|| {
            let outcome = if full {
                Outcome {
                    text: String::new(),
                    deltas: Vec::new(),
                    ..outcome
                }
            } else {
                outcome
            };
            self.groups.push(Group {
                outcome,
                hosts: Vec::new(),
                mixed: full,
                told: 0,
                first: host.to_owned(),
                deltas: if full { Vec::new() } else { named },
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[index];
        group.hosts.push(host.to_owned());
        group
    }

    /// Worst first, then those with most hosts; hosts in order of their names.
    pub(crate) fn sorted(mut self) -> Vec<Group> {
        for group in &mut self.groups {
            // The first `told` hosts keep their place: they were told by name.
            group.hosts[group.told..].sort_unstable();
        }
        self.groups.sort_by_key(|group| {
            (
                std::cmp::Reverse(group.outcome.status),
                std::cmp::Reverse(group.hosts.len()),
            )
        });
        self.groups
    }
}

fn same_kind(a: &Outcome, b: &Outcome) -> bool {
    (a.status, a.ignored, a.rescued) == (b.status, b.ignored, b.rescued)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Status, text: &str) -> Outcome {
        Outcome {
            status,
            ignored: false,
            rescued: false,
            incomplete: false,
            text: text.to_owned(),
            deltas: Vec::new(),
        }
    }

    #[test]
    fn equal_outcomes_are_one_group_and_the_number_of_groups_is_bounded() {
        let mut groups = Groups::default();
        for n in 0..1000 {
            let text = without_host(
                &format!("host{n:04} is odd: {}", n % 100),
                &format!("host{n:04}"),
            );
            groups.add(&format!("host{n:04}"), outcome(Status::Failed, &text));
        }
        groups.add("x", outcome(Status::Ok, ""));
        let sorted = groups.sorted();
        assert_eq!(sorted.len(), GROUPS_MAX + 2);
        assert_eq!(sorted.iter().map(|it| it.hosts.len()).sum::<usize>(), 1001);
        assert!(sorted[0].mixed, "the rest has most hosts");
        assert_eq!(sorted[1].hosts.len(), 10);
        assert_eq!(
            sorted[1].outcome.text.split(':').next(),
            Some("{host} is odd")
        );
        assert_eq!(sorted.last().unwrap().outcome.status, Status::Ok);
    }

    #[test]
    fn differences_by_name_alone_are_one_group_that_shows_the_first() {
        let mut groups = Groups::default();
        for host in ["web001", "web002", "db"] {
            let text = format!("this is {host}\n");
            let deltas = vec![Delta::content("/etc/motd", None, Some(text.as_bytes()))];
            let outcome = Outcome {
                deltas,
                ..outcome(Status::Changed, "")
            };
            groups.add(host, outcome);
        }
        let sorted = groups.sorted();
        assert_eq!(sorted.len(), 2, "`db` may be a word");
        assert_eq!(sorted[0].hosts, ["web001", "web002"]);
        assert!(format!("{:?}", sorted[0].deltas).contains("this is web001"));
    }
}
