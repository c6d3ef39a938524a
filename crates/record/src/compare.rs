//! How two runs of the same playbook differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hostler_change::Delta;
use hostler_events::Status;
use hostler_preview::{delta_without_host, without_host};
use serde::Serialize;

use crate::{Kind, Record, ResultRecord};

/// A task is slower if it took so many times as long ...
const SLOWER_TIMES: u64 = 2;
/// ... and at least so many microseconds more.
const SLOWER_US: u64 = 2_000_000;

/// How two runs differ; empty lists if they do not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// What differs of the runs as such, in words.
    pub general: Vec<String>,
    /// Tasks that came out otherwise, in the order of the second run, then those that only the first has.
    pub tasks: Vec<Difference>,
    /// Tasks that took much longer in the second run.
    pub slower: Vec<Slower>,
}

/// How a task came out on some hosts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Name of the play.
    pub play: String,
    /// Name of the task.
    pub task: String,
    /// The hosts for which it is so.
    pub hosts: Vec<String>,
    /// How it ended in the first run; `None` if it did not run there.
    pub before: Option<Status>,
    /// How it ended in the second run.
    pub after: Option<Status>,
    /// It changed something in both, and not the same.
    pub other_content: bool,
    /// What it changed in the second run on the first of the hosts.
    pub deltas: Vec<Delta>,
    /// What it said in the second run (or in the first, if only that has it), with `{host}` for the host's name.
    pub message: Option<String>,
}

/// A task that took much longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slower {
    /// Name of the play.
    pub play: String,
    /// Name of the task.
    pub task: String,
    /// The host on which it took longest in the second run.
    pub host: String,
    /// On how many hosts it is so.
    pub hosts: usize,
    /// How long it took there in the first run, in microseconds.
    pub before_us: u64,
    /// And in the second.
    pub after_us: u64,
}

/// Names a task in both runs: play, kind, name, and the how-many-eth task with that name it is.
type Key<'a> = (&'a str, Kind, &'a str, usize);

/// What the second run did otherwise than the first.
pub fn compare(a: &Record, b: &Record) -> Comparison {
    let (first, second) = (index(a), index(b));
    let mut keys: Vec<Key<'_>> = second.order.clone();
    keys.extend(
        first
            .order
            .iter()
            .filter(|key| !second.by_key.contains_key(*key)),
    );
    let none = BTreeMap::new();
    let mut tasks = Vec::new();
    let mut slower = Vec::new();
    for key in keys {
        let before = first.by_key.get(&key).unwrap_or(&none);
        let after = second.by_key.get(&key).unwrap_or(&none);
        tasks.extend(differences(key, before, after));
        slower.extend(slowed(key, before, after));
    }
    Comparison {
        general: general(a, b),
        tasks,
        slower,
    }
}

impl Comparison {
    /// Did both runs do the same?
    pub fn is_same(&self) -> bool {
        self.general.is_empty() && self.tasks.is_empty()
    }
}

type ByHost<'a> = BTreeMap<&'a str, &'a ResultRecord>;

struct Index<'a> {
    order: Vec<Key<'a>>,
    by_key: HashMap<Key<'a>, ByHost<'a>>,
}

fn index(record: &Record) -> Index<'_> {
    let mut seen: HashMap<(&str, Kind, &str), usize> = HashMap::new();
    let mut index = Index {
        order: Vec::new(),
        by_key: HashMap::new(),
    };
    for task in &record.tasks {
        let play = record.play_of(task);
        let nth = seen.entry((play, task.kind, &task.name)).or_default();
        let key = (play, task.kind, task.name.as_str(), *nth);
        *nth += 1;
        index.order.push(key);
        let results = task.results.iter().map(|it| (it.host.as_str(), it));
        index.by_key.insert(key, results.collect());
    }
    index
}

fn general(a: &Record, b: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    if a.playbooks != b.playbooks {
        lines.push(format!(
            "the first run is of {}, the second of {}",
            a.playbooks.join(", "),
            b.playbooks.join(", ")
        ));
    }
    if a.check != b.check {
        let which = if a.check { "first" } else { "second" };
        lines.push(format!("the {which} run was in check mode"));
    }
    let hosts = |record: &Record| -> BTreeSet<String> {
        record.hosts.iter().map(|it| it.host.clone()).collect()
    };
    let (before, after) = (hosts(a), hosts(b));
    for (word, some, others) in [("first", &before, &after), ("second", &after, &before)] {
        let only: Vec<&str> = some.difference(others).map(String::as_str).collect();
        if !only.is_empty() {
            lines.push(format!("only in the {word} run: {}", only.join(", ")));
        }
    }
    lines
}

/// Hosts of a task with the same difference are told together.
fn differences(key: Key<'_>, before: &ByHost<'_>, after: &ByHost<'_>) -> Vec<Difference> {
    let hosts: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    // Each with what it changed, without the host's own name.
    let mut found: Vec<(Difference, Vec<Delta>)> = Vec::new();
    for host in hosts {
        let (old, new) = (before.get(host).copied(), after.get(host).copied());
        let status = |it: Option<&ResultRecord>| it.map(|it| it.status);
        let same_status = status(old) == status(new);
        let (was, is) = (changes(old, host), changes(new, host));
        let other_content = same_status && status(new) == Some(Status::Changed) && was != is;
        if same_status && !other_content {
            continue;
        }
        let shown = new.or(old);
        let message = shown.and_then(|it| it.message.as_ref());
        let message = message.map(|it| without_host(it, host));
        let same = found.iter_mut().find(|(it, deltas)| {
            (it.before, it.after, it.other_content) == (status(old), status(new), other_content)
                && it.message == message
                && *deltas == is
        });
        if let Some((same, _)) = same {
            same.hosts.push(host.to_owned());
            continue;
        }
        let difference = Difference {
            play: key.0.to_owned(),
            task: key.2.to_owned(),
            hosts: vec![host.to_owned()],
            before: status(old),
            after: status(new),
            other_content,
            deltas: new.map_or_else(Vec::new, |it| it.all_deltas().cloned().collect()),
            message,
        };
        found.push((difference, is));
    }
    found.into_iter().map(|(it, _)| it).collect()
}

/// What changed, without the host's own name.
fn changes(result: Option<&ResultRecord>, host: &str) -> Vec<Delta> {
    let deltas = result.into_iter().flat_map(ResultRecord::all_deltas);
    deltas.map(|it| delta_without_host(it, host)).collect()
}

fn slowed(key: Key<'_>, before: &ByHost<'_>, after: &ByHost<'_>) -> Option<Slower> {
    let grown: Vec<(&str, u64, u64)> = after
        .iter()
        .filter_map(|(host, new)| {
            let old = before.get(host)?.duration_us;
            let much = new.duration_us >= old.saturating_mul(SLOWER_TIMES)
                && new.duration_us >= old.saturating_add(SLOWER_US);
            much.then_some((*host, old, new.duration_us))
        })
        .collect();
    let worst = grown.iter().max_by_key(|(_, _, new)| *new)?;
    Some(Slower {
        play: key.0.to_owned(),
        task: key.2.to_owned(),
        host: worst.0.to_owned(),
        hosts: grown.len(),
        before_us: worst.1,
        after_us: worst.2,
    })
}
