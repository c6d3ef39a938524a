//! Many hosts told once: equal outcomes of a task, and hosts with the same set of changes.

use std::collections::{BTreeMap, HashMap, HashSet};

use hostler_change::{Change, Delta};
use hostler_module_api::describe;
use hostler_value::Value;

use crate::document::{Fate, HostGroup, Outcome, Preview, TaskPreview};

/// Hosts whose outcomes of a task are the same but for their own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldedGroup<'a> {
    /// Hosts, sorted.
    pub hosts: Vec<&'a str>,
    /// The outcome of the host in `shown`.
    pub outcome: &'a Outcome,
    /// Whose outcome it is.
    pub shown: &'a str,
    /// Did the hosts' own names have to be left out of the comparison?
    pub named: bool,
    /// Different outcomes among them: 1 unless folded by [`Likeness::Shape`].
    pub variants: usize,
}

/// When outcomes of different hosts count as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// All is equal but the hosts' own names.
    Exact,
    /// Texts need have the same numbers of lines only: what a template says of each host's own address is no reason to
    /// tell of 200 hosts one by one.
    Shape,
}

/// Hosts by their sets of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoldedHosts<'a> {
    /// Groups; the largest first, then by size.
    pub groups: Vec<Difference<'a>>,
}

/// Hosts with one set of changes, told against the largest group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Hosts, sorted.
    pub hosts: Vec<&'a str>,
    /// Numbers of the tasks that matter on them.
    pub tasks: Vec<u32>,
    /// Tasks that would change something.
    pub would_change: Vec<u32>,
    /// Tasks that the largest group has not: name and what they come to.
    pub also: Vec<(&'a str, String)>,
    /// Tasks that come to something else than in the largest group.
    pub differs: Vec<(&'a str, String)>,
    /// Tasks that the largest group has and these hosts have not.
    pub lacks: Vec<&'a str>,
}

/// The text with a host's own name replaced, so that texts of different hosts compare equal.
pub fn without_host(text: &str, host: &str) -> String {
    if host.len() < 2 {
        text.to_owned()
    } else {
        text.replace(host, "{host}")
    }
}

/// Only names that are hardly words: `web` in a text is no host.
fn is_distinctive(host: &str) -> bool {
    host.len() >= 4 && host.contains(|char: char| char.is_ascii_digit() || char == '.')
}

/// A difference without the host's own name.
pub fn delta_without_host(delta: &Delta, host: &str) -> Delta {
    let mut delta = delta.clone();
    if !is_distinctive(host) {
        return delta;
    }
    let forget = |text: &mut String| {
        if text.contains(host) {
            *text = without_host(text, host);
        }
    };
    forget(&mut delta.subject);
    match &mut delta.change {
        Change::Text { before, after } | Change::Opaque { before, after } => {
            [before, after].into_iter().flatten().for_each(forget);
        }
        Change::Field { before, after, .. } => {
            for value in [before, after] {
                if let Value::Str(text) = value
                    && text.contains(host)
                {
                    *value = Value::from(without_host(text, host));
                }
            }
        }
        Change::Action(what) => forget(what),
    }
    delta
}

fn outcome_without_host(outcome: &Outcome, host: &str) -> Outcome {
    let mut outcome = outcome.clone();
    let deltas = |deltas: &mut Vec<Delta>| {
        for delta in deltas {
            *delta = delta_without_host(delta, host);
        }
    };
    deltas(&mut outcome.deltas);
    for item in &mut outcome.items {
        deltas(&mut item.deltas);
        item.message = item.message.as_ref().map(|it| without_host(it, host));
        item.label = without_host(&item.label, host);
    }
    outcome.message = outcome.message.map(|it| without_host(&it, host));
    outcome
}

/// In place of texts, how many lines they have.
fn shape_of(mut outcome: Outcome) -> Outcome {
    let count = |text: &mut Option<String>| {
        if let Some(text) = text {
            *text = text.lines().count().to_string();
        }
    };
    let own = outcome.deltas.iter_mut();
    let of_items = outcome.items.iter_mut().flat_map(|it| &mut it.deltas);
    for delta in own.chain(of_items) {
        if let Change::Text { before, after } = &mut delta.change {
            count(before);
            count(after);
        }
    }
    outcome
}

/// The groups of a task that differ in the hosts' own names alone.
pub fn fold_task(task: &TaskPreview) -> Vec<FoldedGroup<'_>> {
    fold_task_by(task, Likeness::Exact)
}

/// The groups of a task, with those that are alike made one.
pub fn fold_task_by(task: &TaskPreview, likeness: Likeness) -> Vec<FoldedGroup<'_>> {
    let mut folded: Vec<FoldedGroup<'_>> = Vec::new();
    let mut known: HashMap<Outcome, usize> = HashMap::new();
    let mut seen: HashSet<Outcome> = HashSet::new();
    for group in &task.groups {
        let Some(first) = group.hosts.first() else {
            continue;
        };
        let hosts = group.hosts.iter().map(String::as_str);
        // Hosts with literally the same outcome are folded already.
        let bare = match group.hosts.as_slice() {
            [host] => outcome_without_host(&group.outcome, host),
            _ => group.outcome.clone(),
        };
        let exact = bare.clone();
        let bare = match likeness {
            Likeness::Exact => bare,
            Likeness::Shape => shape_of(bare),
        };
        let is_new = seen.insert(exact);
        if let Some(index) = known.get(&bare) {
            folded[*index].hosts.extend(hosts);
            folded[*index].named = true;
            folded[*index].variants += usize::from(is_new);
            continue;
        }
        known.insert(bare, folded.len());
        folded.push(FoldedGroup {
            hosts: hosts.collect(),
            outcome: &group.outcome,
            shown: first,
            named: false,
            variants: 1,
        });
    }
    for group in &mut folded {
        group.hosts.sort_unstable();
    }
    folded.sort_by_key(|it| std::cmp::Reverse((it.outcome.fate, it.hosts.len())));
    folded
}

/// Hosts by their sets of changes.
pub fn fold_hosts(preview: &Preview) -> FoldedHosts<'_> {
    let folded: Vec<(&TaskPreview, Vec<FoldedGroup<'_>>)> = preview
        .tasks
        .iter()
        .map(|it| (it, fold_task_by(it, Likeness::Shape)))
        .collect();
    // Of each host: the tasks that matter, with the number of their group.
    let mut of_host: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for host in &preview.hosts {
        of_host.entry(host).or_default();
    }
    for (at, (_, groups)) in folded.iter().enumerate() {
        for (index, group) in groups.iter().enumerate() {
            if group.outcome.matters() {
                for host in &group.hosts {
                    of_host.entry(host).or_default().push((at, index));
                }
            }
        }
    }
    let mut sets: HashMap<Vec<(usize, usize)>, Vec<&str>> = HashMap::new();
    for (host, set) in of_host {
        sets.entry(set).or_default().push(host);
    }
    let mut sets: Vec<_> = sets.into_iter().collect();
    sets.sort_by(|(_, a), (_, b)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    let base: BTreeMap<usize, usize> = sets
        .first()
        .map(|(set, _)| set.iter().copied().collect())
        .unwrap_or_default();
    let groups = sets
        .into_iter()
        .map(|(set, hosts)| difference(&folded, &base, &set, hosts));
    FoldedHosts {
        groups: groups.collect(),
    }
}

fn difference<'a>(
    folded: &[(&'a TaskPreview, Vec<FoldedGroup<'a>>)],
    base: &BTreeMap<usize, usize>,
    set: &[(usize, usize)],
    hosts: Vec<&'a str>,
) -> Difference<'a> {
    let mut difference = Difference {
        hosts,
        ..Difference::default()
    };
    for (at, index) in set {
        let (task, groups) = &folded[*at];
        let outcome = groups[*index].outcome;
        difference.tasks.push(task.number);
        if outcome.fate == Fate::WouldChange {
            difference.would_change.push(task.number);
        }
        match base.get(at) {
            Some(same) if same == index => {}
            Some(_) => difference.differs.push((&task.name, words(outcome))),
            None => difference.also.push((&task.name, words(outcome))),
        }
    }
    let lacking = base
        .keys()
        .filter(|at| !set.iter().any(|(own, _)| own == *at));
    difference.lacks = lacking.map(|at| folded[*at].0.name.as_str()).collect();
    difference
}

/// An outcome in a few words.
fn words(outcome: &Outcome) -> String {
    const SHOWN: usize = 3;
    if outcome.fate != Fate::WouldChange {
        let why = outcome.message.as_deref().and_then(|it| it.lines().next());
        return match why.filter(|_| !outcome.censored) {
            Some(why) => format!("{}: {why}", outcome.fate.words()),
            None => outcome.fate.words().to_owned(),
        };
    }
    let all: Vec<String> = outcome.all_deltas().map(describe).collect();
    let mut text = all
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > SHOWN {
        text = format!("{text}, +{} more", all.len() - SHOWN);
    }
    if text.is_empty() {
        Fate::WouldChange.words().to_owned()
    } else {
        text
    }
}

impl FoldedHosts<'_> {
    /// For the document.
    pub(crate) fn document(&self) -> Vec<HostGroup> {
        let group = |it: &Difference<'_>| HostGroup {
            hosts: it.hosts.iter().map(ToString::to_string).collect(),
            would_change: it.would_change.clone(),
            differs: it.lines(),
        };
        self.groups.iter().map(group).collect()
    }
}

impl Difference<'_> {
    /// What the hosts have beyond the largest group and what they lack, a line for each.
    pub fn lines(&self) -> Vec<String> {
        let also = self
            .also
            .iter()
            .map(|(task, what)| format!("also {task}: {what}"));
        let differs = self
            .differs
            .iter()
            .map(|(task, what)| format!("{task} differs: {what}"));
        let lacks = self.lacks.iter().map(|task| format!("not {task}"));
        also.chain(differs).chain(lacks).collect()
    }
}
