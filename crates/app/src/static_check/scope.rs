//! What a host's templates see before the run: variables as they are written, and unknown values for all that only the
//! run decides (facts, results, `set_fact`).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hostler_template::{Scope, Var};
use hostler_value::{Map, Unknown, Value};
use hostler_vars::{HostScope, Level, can_be_fact};

use super::knowledge::{Knowledge, is_fact};
use super::reads::{Print, Reads};

/// Magic variables that are other ones in `plan` than in `apply`, or change while a play runs.
const CHANGING: [&str; 11] = [
    "ansible_check_mode",
    "ansible_diff_mode",
    "ansible_forks",
    "ansible_limit",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "play_hosts",
    "vars",
];

/// What one check of one task on one host looked at.
#[derive(Default)]
pub(super) struct Probe {
    reads: Mutex<Reads>,
    /// A fact was asked for that nobody gathers.
    met_no_facts: AtomicBool,
}

impl Probe {
    /// Every variable that was asked for, with what it was.
    pub(super) fn take_reads(&self) -> Vec<(String, Print)> {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *reads).order
    }

    /// Was a fact asked for that nobody gathers?
    pub(super) fn missed_facts(&self) -> bool {
        self.met_no_facts.load(Ordering::Relaxed)
    }
}

/// The value of what only the run decides. No task is named as its cause: it may not even be defined.
pub(super) fn unknown() -> Value {
    Value::Unknown(Arc::new(Unknown::default()))
}

/// A host's variables at one point.
#[derive(Clone)]
pub(super) struct StaticScope {
    base: Arc<HostScope>,
    knowledge: Arc<Knowledge>,
    probe: Arc<Probe>,
    /// The play's number, counted over all playbooks.
    play: usize,
    /// Another host's variables through `hostvars` are the same for all hosts that ask.
    nested: bool,
}

/// What is known of a name.
enum Answer {
    Missing,
    /// The mapping of facts, which is empty.
    NoFacts,
    Unknown,
    Known(Var),
}

impl StaticScope {
    pub(super) fn new(
        base: Arc<HostScope>,
        knowledge: Arc<Knowledge>,
        probe: Arc<Probe>,
        play: usize,
    ) -> Self {
        StaticScope {
            base,
            knowledge,
            probe,
            play,
            nested: false,
        }
    }

    /// What a read of the name would give, to compare hosts.
    pub(super) fn print(&self, name: &str) -> Print {
        self.answer(name).print()
    }

    fn answer(&self, name: &str) -> Answer {
        if CHANGING.contains(&name) {
            return Answer::Unknown;
        }
        if name == "hostvars" {
            return Answer::Known(Var::Nested(Arc::new(OtherHosts(self.clone()))));
        }
        let found = self.base.explain(name).into_iter().next();
        let level = found.as_ref().map(|found| found.level);
        let decided = level.is_some_and(|level| level >= Level::ExtraVars);
        let by_run = || self.knowledge.learns(self.base.host(), name);
        if !decided && by_run() {
            return Answer::Unknown;
        }
        let above_facts = level.is_some_and(|level| level > Level::Facts);
        if !above_facts && is_fact(name) && !self.knowledge.has_facts(self.base.host(), self.play) {
            self.probe.met_no_facts.store(true, Ordering::Relaxed);
            return match name {
                "ansible_facts" => Answer::NoFacts,
                _ => found.map_or(Answer::Missing, |found| Answer::Known(found.var)),
            };
        }
        let other_ansible = found.is_none() && name.starts_with("ansible_");
        if !above_facts && (can_be_fact(name) || other_ansible) {
            return Answer::Unknown;
        }
        found.map_or(Answer::Missing, |found| Answer::Known(found.var))
    }
}

impl Answer {
    fn print(&self) -> Print {
        match self {
            Answer::Missing => Print::Missing,
            Answer::NoFacts => Print::NoFacts,
            Answer::Unknown => Print::Unknown,
            Answer::Known(var) => Print::of(var),
        }
    }
}

impl Scope for StaticScope {
    fn get(&self, name: &str) -> Option<Var> {
        let answer = self.answer(name);
        if !self.nested {
            let mut reads = self
                .probe
                .reads
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            reads.note(name, || answer.print());
        }
        match answer {
            Answer::Missing => None,
            Answer::NoFacts => Some(Var::Data(Map::new().into())),
            Answer::Unknown => Some(Var::Data(unknown())),
            Answer::Known(var) => Some(var),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.base.names();
        let own: HashSet<&str> = names.iter().map(String::as_str).collect();
        let learned = self.knowledge.learned(self.base.host());
        let more: Vec<String> = learned
            .filter(|name| !own.contains(name))
            .map(str::to_owned)
            .collect();
        names.extend(more);
        names
    }
}

/// `hostvars`.
struct OtherHosts(StaticScope);

impl Scope for OtherHosts {
    fn get(&self, name: &str) -> Option<Var> {
        let store = &self.0.knowledge.store;
        let known = store.inventory().host(name).is_some() || hostler_inventory::is_localhost(name);
        known.then(|| {
            Var::Nested(Arc::new(StaticScope {
                base: store.host_scope(name),
                nested: true,
                ..self.0.clone()
            }))
        })
    }

    fn names(&self) -> Vec<String> {
        let inventory = self.0.knowledge.store.inventory();
        inventory
            .hosts()
            .map(|host| host.name.to_string())
            .collect()
    }
}

/// Variables of the moment on top of others: a loop's item, a task's result.
pub(super) struct Locals {
    base: Arc<dyn Scope>,
    own: Vec<(String, Value)>,
}

impl Locals {
    pub(super) fn over(base: &Arc<dyn Scope>, own: Vec<(String, Value)>) -> Arc<dyn Scope> {
        Arc::new(Locals {
            base: base.clone(),
            own,
        })
    }
}

impl Scope for Locals {
    fn get(&self, name: &str) -> Option<Var> {
        match self.own.iter().find(|(known, _)| known == name) {
            Some((_, value)) => Some(Var::Data(value.clone())),
            None => self.base.get(name),
        }
    }

    fn names(&self) -> Vec<String> {
        let own = self.own.iter().map(|(name, _)| name.clone());
        own.chain(self.base.names()).collect()
    }
}
