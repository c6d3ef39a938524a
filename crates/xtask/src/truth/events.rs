//! What a run says it did, or would do: one JSON object a line, hostler's (`--output json`) or that of
//! `callback.py`, which makes ansible-core speak in the same way.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::process::{Context, Result};

/// One task (or handler) on one host, so that a preview and a real run can be laid side by side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Number of the play.
    pub(super) play: u64,
    /// Line of the task in the playbook.
    pub(super) line: u64,
    /// The host that it is about.
    pub(super) host: String,
    /// A handler?
    pub(super) handler: bool,
    /// How often this task has run on this host before.
    pub(super) nth: usize,
}

/// What is said of a task, or of one item of its loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: it is as it should be, or the task is skipped.
    Nothing,
    /// A handler ran and changed nothing.
    Ran,
    /// A change.
    Change,
    /// A failure.
    Failure,
    /// That it cannot be known.
    Unknown,
}

/// One difference that a task names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delta {
    /// A path, or `user alice`.
    pub(super) subject: String,
    /// A file's whole text afterwards, where it is shown and there is one.
    pub(super) text: Option<String>,
    /// Everything that is said about it, to compare with what a real run says.
    pub(super) said: Value,
}

/// What was said about a task on a host.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The task's name.
    pub(super) name: String,
    /// The module's short name.
    pub(super) module: String,
    /// Of the task as a whole.
    pub(super) said: Said,
    /// Of each item of its loop.
    pub(super) items: BTreeMap<u64, Said>,
    /// What it changes, items together.
    pub(super) deltas: Vec<Delta>,
    /// The host that is changed, if another one.
    pub(super) delegated_to: Option<String>,
    /// `no_log` hides what it changes.
    pub(super) censored: bool,
    /// Part of what it changes is not known: the texts that it shows have holes.
    pub(super) holes: bool,
    /// Its message.
    pub(super) message: String,
    /// Place in the order of events.
    pub(super) order: usize,
}

/// Everything that a run said.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    /// By task and host.
    pub(super) entries: BTreeMap<Key, Entry>,
    /// Whether it ended well.
    pub(super) success: bool,
}

/// A task that has started.
struct Started {
    play: u64,
    line: u64,
    name: String,
    module: String,
    handler: bool,
    facts: bool,
}

/// Items of a loop that have ended while its task has not.
type OpenItems = HashMap<(u64, String), (BTreeMap<u64, Said>, Vec<Delta>, bool)>;

/// Reads the events of a run.
pub(super) fn read(lines: &str) -> Result<Run> {
    let mut run = Run::default();
    let mut play = 0;
    let mut tasks: HashMap<u64, Started> = HashMap::new();
    let mut open = OpenItems::new();
    let mut times: HashMap<(u64, u64, String, bool), usize> = HashMap::new();
    let lines = lines.lines().filter(|line| line.starts_with('{'));
    for (order, line) in lines.enumerate() {
        let event: Value = serde_json::from_str(line).context("read an event")?;
        let task = event["task"].as_u64().unwrap_or_default();
        let host = text(&event["host"]);
        match event["event"].as_str().unwrap_or_default() {
            "play_started" => play = event["number"].as_u64().unwrap_or_default(),
            "task_started" => {
                let started = Started {
                    play,
                    line: event["location"]["line"].as_u64().unwrap_or_default(),
                    name: text(&event["name"]),
                    module: text(&event["module"]),
                    handler: event["kind"] == "handler",
                    facts: event["kind"] == "gather_facts",
                };
                tasks.insert(event["id"].as_u64().unwrap_or_default(), started);
            }
            "item_finished" => {
                let item = &event["item"];
                let (items, deltas, holes) = open.entry((task, host)).or_default();
                *holes |= has_holes(item);
                let index = item["index"].as_u64().unwrap_or_default();
                items.insert(index, said(item, false));
                deltas.extend(read_deltas(item));
            }
            "task_finished" => {
                let started = tasks.get(&task).context("a task ends that did not start")?;
                let result = &event["result"];
                let whole = said(result, started.handler);
                if started.facts && whole != Said::Failure {
                    continue;
                }
                let same = (started.play, started.line, host.clone(), started.handler);
                let nth = times.entry(same).or_default();
                let key = Key {
                    play: started.play,
                    line: started.line,
                    host: host.clone(),
                    handler: started.handler,
                    nth: *nth,
                };
                *nth += 1;
                let (items, mut deltas, holes) = open.remove(&(task, host)).unwrap_or_default();
                deltas.extend(read_deltas(result));
                let entry = Entry {
                    name: started.name.clone(),
                    module: started.module.clone(),
                    said: whole,
                    items,
                    deltas,
                    delegated_to: result["delegated_to"].as_str().map(str::to_owned),
                    holes: holes || has_holes(result),
                    censored: result["censored"] == true,
                    message: text(&result["message"]),
                    order,
                };
                run.entries.insert(key, entry);
            }
            "run_finished" => run.success = event["exit_code"] == 0,
            _ => {}
        }
    }
    Ok(run)
}

fn has_holes(result: &Value) -> bool {
    result["unknown"]
        .as_array()
        .is_some_and(|causes| !causes.is_empty())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a result comes to. "Would have run if not in check mode" is an honest "unknown", whoever says it, and so is
/// "not changed so far, and more may follow".
fn said(result: &Value, handler: bool) -> Said {
    let message = result["message"].as_str().unwrap_or_default();
    let admits = [
        "would have run if not in check mode",
        "does not support check mode",
    ];
    match result["status"].as_str().unwrap_or_default() {
        "changed" => Said::Change,
        "failed" | "unreachable" => Said::Failure,
        "unknown" => Said::Unknown,
        "skipped" if admits.iter().any(|words| message.contains(words)) => Said::Unknown,
        "ok" if result["incomplete"] == true => Said::Unknown,
        "ok" if handler => Said::Ran,
        _ => Said::Nothing,
    }
}

fn read_deltas(result: &Value) -> Vec<Delta> {
    let empty = Vec::new();
    let list = result["deltas"].as_array().unwrap_or(&empty);
    list.iter()
        .map(|delta| {
            let change = &delta["change"];
            Delta {
                subject: text(&delta["subject"]),
                text: change["text"]["after"].as_str().map(str::to_owned),
                said: change.clone(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Said, read};

    const EVENTS: &str = r#"
{"event":"play_started","number":1}
{"event":"task_started","id":1,"name":"Gathering Facts","module":"setup","kind":"gather_facts","location":{"line":1}}
{"event":"task_finished","task":1,"host":"a001","result":{"status":"ok"}}
{"event":"task_started","id":2,"name":"x","module":"copy","kind":"task","location":{"line":3}}
{"event":"item_finished","task":2,"host":"a001","item":{"index":0,"status":"changed","deltas":[{"subject":"/x","change":{"text":{"before":null,"after":"hi"}}}]}}
{"event":"item_finished","task":2,"host":"a001","item":{"index":1,"status":"ok","deltas":[]}}
{"event":"task_finished","task":2,"host":"a001","result":{"status":"changed","delegated_to":"a002","deltas":[]}}
{"event":"task_started","id":3,"name":"c","module":"command","kind":"task","location":{"line":5}}
{"event":"task_finished","task":3,"host":"a001","result":{"status":"skipped","message":"Command would have run if not in check mode","deltas":[]}}
{"event":"task_started","id":4,"name":"h","module":"debug","kind":"handler","location":{"line":9}}
{"event":"task_finished","task":4,"host":"a001","result":{"status":"ok"}}
{"event":"task_started","id":5,"name":"h","module":"debug","kind":"handler","location":{"line":9}}
{"event":"task_finished","task":5,"host":"a001","result":{"status":"unknown"}}
{"event":"run_finished","exit_code":0}
"#;

    #[test]
    fn events_become_entries() {
        let run = read(EVENTS).unwrap();
        assert!(run.success);
        let entries: Vec<_> = run.entries.iter().collect();
        assert_eq!(entries.len(), 4, "facts are left out");
        let (key, copy) = entries[0];
        assert_eq!((key.play, key.line, key.nth), (1, 3, 0));
        assert_eq!(copy.items[&0], Said::Change);
        assert_eq!(copy.items[&1], Said::Nothing);
        assert_eq!(copy.deltas[0].text.as_deref(), Some("hi"));
        assert_eq!(copy.delegated_to.as_deref(), Some("a002"));
        assert_eq!(entries[1].1.said, Said::Unknown);
        assert_eq!((entries[2].0.nth, entries[2].1.said), (0, Said::Ran));
        assert_eq!((entries[3].0.nth, entries[3].1.said), (1, Said::Unknown));
    }
}
