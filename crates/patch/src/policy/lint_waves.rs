//! What is wrong with the waves of a policy.

use std::collections::{BTreeMap, BTreeSet};

use super::lint::Lint;
use super::members::Members;
use super::waves::{WaveHosts, WaveRule};
use super::{Amount, Step};

pub(super) fn check(lint: &mut Lint<'_>, members: &Members) {
    let policy = &lint.file.policy;
    let waves: Vec<WaveRule> = policy.waves.clone();
    let path = [Step::Key("waves")];
    if members.targets.is_empty() {
        let message = "the policy has no hosts: percentages of them are nothing".to_owned();
        let hint = "`targets` is an inventory pattern: a group, a host, `web*`".to_owned();
        lint.error("policy-hosts", &[Step::Key("targets")], message, Some(hint));
        return;
    }
    if waves.is_empty() {
        let hint = "`waves: [1, 10%, rest]`".to_owned();
        lint.error(
            "policy-waves",
            &path,
            "there are no waves".into(),
            Some(hint),
        );
        return;
    }
    for (at, wave) in waves.iter().enumerate() {
        one(lint, members, at, wave, waves.len());
    }
    names(lint, &waves);
    windows(lint, &waves);
    overlaps(lint, members);
    left_over(lint, members, &waves);
    if waves.len() == 1 && members.targets.len() > 1 {
        let message = format!(
            "all {} hosts are in one wave: nothing is proven before it",
            members.targets.len()
        );
        let hint = "`waves: [1, 10%, rest]`".to_owned();
        lint.warning("policy-waves", &path, message, Some(hint));
    }
}

fn one(lint: &mut Lint<'_>, members: &Members, at: usize, wave: &WaveRule, of: usize) {
    let path = [Step::Key("waves"), Step::Item(at)];
    match &wave.hosts {
        WaveHosts::Amount(Amount::Count(0) | Amount::Percent(0)) => {
            let message = "this wave takes no hosts".to_owned();
            lint.error("policy-waves", &path, message, None);
        }
        WaveHosts::Rest if at + 1 < of => {
            let message =
                "`rest` takes all that is left: the waves after it have no hosts".to_owned();
            lint.error(
                "policy-waves",
                &path,
                message,
                Some("`rest` is the last wave".into()),
            );
        }
        WaveHosts::Pattern(pattern) => {
            let hosts = members.waves.get(at).and_then(Option::as_ref);
            if hosts.is_none_or(|it| it.is_disjoint(&members.targets)) {
                let message = format!(
                    "`{}` matches no host of the policy",
                    super::reader::short(pattern)
                );
                lint.error(
                    "policy-waves",
                    &path,
                    message,
                    Some("its hosts must be among `targets`".into()),
                );
            }
        }
        WaveHosts::Auto(auto) => {
            if auto.per.is_empty() {
                let message = "`per` names nothing that tells classes of hosts apart".to_owned();
                lint.error(
                    "policy-waves",
                    &path,
                    message,
                    Some("os, arch, boot_class, role".into()),
                );
            }
            let plus = members.waves.get(at).and_then(Option::as_ref);
            if plus.is_some_and(|it| it.is_disjoint(&members.targets)) {
                let message = "`plus` matches no host of the policy".to_owned();
                lint.error("policy-waves", &path, message, None);
            }
        }
        WaveHosts::Amount(_) | WaveHosts::Rest => {}
    }
    if wave.parallel.hosts(1) == 0 || wave.parallel == Amount::Count(0) {
        let path = [path[0], path[1], Step::Key("parallel")];
        lint.error(
            "policy-waves",
            &path,
            "no host could ever be started".into(),
            Some("`parallel: 10`".into()),
        );
    }
}

fn names(lint: &mut Lint<'_>, waves: &[WaveRule]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (at, wave) in waves.iter().enumerate() {
        let name = wave.shown_name(at, waves.len());
        if seen.insert(name.clone(), at).is_some() {
            let path = [Step::Key("waves"), Step::Item(at)];
            let message = format!("two waves have the name `{name}`");
            lint.error("policy-waves", &path, message, Some("`name: ...`".into()));
        }
    }
}

/// A wave must have a window, or none must have one.
fn windows(lint: &mut Lint<'_>, waves: &[WaveRule]) {
    let policy = &lint.file.policy;
    let usable: Vec<String> = policy
        .all_windows()
        .filter(|(_, rule)| rule.hosts.is_none())
        .map(|(name, _)| name.to_owned())
        .collect();
    if usable.is_empty() {
        let message = "the policy has no window: it may be carried out at any time".to_owned();
        let hint =
            "`window: {zone: Europe/Berlin, weekly: sat, at: \"22:00\", duration: 4h}`".to_owned();
        lint.warning("policy-window", &[], message, Some(hint));
        return;
    }
    for (at, wave) in waves.iter().enumerate() {
        let path = [Step::Key("waves"), Step::Item(at)];
        match &wave.window {
            None if usable.len() > 1 => {
                let message = "the policy has several windows: this wave must say which is its own"
                    .to_owned();
                let hint = format!("`window: {}`", usable.join("` or `window: "));
                lint.error("policy-window", &path, message, Some(hint));
            }
            Some(name) => {
                let policy = &lint.file.policy;
                let limit = policy
                    .all_windows()
                    .any(|(it, rule)| it == name && rule.hosts.is_some());
                if limit {
                    let path = [path[0], path[1], Step::Key("window")];
                    let message = format!(
                        "the window `{name}` is a limit for certain hosts, not a time for waves"
                    );
                    lint.error(
                        "policy-window",
                        &path,
                        message,
                        Some(format!("one of: {}", usable.join(", "))),
                    );
                }
            }
            None => {}
        }
    }
    let used = |name: &String| waves.iter().any(|it| it.window.as_ref() == Some(name));
    if usable.len() > 1 {
        for name in usable.iter().filter(|it| !used(it)) {
            let path = [Step::Key("windows"), Step::Key(name)];
            let message = format!("no wave has the window `{name}`");
            lint.warning("policy-window", &path, message, None);
        }
    }
}

/// Each host belongs to one wave.
fn overlaps(lint: &mut Lint<'_>, members: &Members) {
    for (second, of_second) in members.waves.iter().enumerate() {
        let Some(of_second) = of_second else { continue };
        for (first, of_first) in members.waves.iter().enumerate().take(second) {
            let Some(of_first) = of_first else { continue };
            let both: BTreeSet<&str> = of_second
                .intersection(of_first)
                .filter(|it| members.targets.contains(*it))
                .map(String::as_str)
                .collect();
            if both.is_empty() {
                continue;
            }
            let path = [Step::Key("waves"), Step::Item(second)];
            let message = format!(
                "in wave {} as well ({}): {}",
                first + 1,
                both.len(),
                crate::planner::few(both.into_iter())
            );
            lint.error(
                "policy-waves",
                &path,
                message,
                Some("take them out with `!`: `web,!web1`".into()),
            );
        }
    }
}

/// Hosts that are in no wave for certain.
fn left_over(lint: &mut Lint<'_>, members: &Members, waves: &[WaveRule]) {
    if waves.iter().any(|it| it.hosts == WaveHosts::Rest) {
        return;
    }
    let of = u32::try_from(members.targets.len()).unwrap_or(u32::MAX);
    let claimed: BTreeSet<&String> = members
        .waves
        .iter()
        .flatten()
        .flatten()
        .filter(|it| members.targets.contains(*it))
        .collect();
    // `auto` may take any number: nothing can be said before hosts were scanned, so `rest` is wanted then, too.
    let taken: u32 = waves
        .iter()
        .map(|it| match it.hosts {
            WaveHosts::Amount(amount) => amount.hosts(of),
            _ => 0,
        })
        .fold(0, u32::saturating_add);
    let left = of
        .saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX))
        .saturating_sub(taken);
    if left > 0 {
        let message = format!("{left} of the {of} hosts are in no wave");
        lint.error(
            "policy-waves",
            &[Step::Key("waves")],
            message,
            Some("`rest` as the last wave takes them".into()),
        );
    }
}
