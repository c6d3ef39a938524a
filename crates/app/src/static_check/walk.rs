//! A play followed over all its hosts, in the order of the run: who is still in it, what each task comes to, and which
//! handlers may be called.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use hostler_executor::{RunSettings, task_arguments};
use hostler_playbook::{Block, Context, Entry, Play, Task};
use hostler_template::Scope;
use hostler_value::Map;
use hostler_vars::PlayLayer;
use hostler_yaml::{Mapping, Node};

use super::findings::Findings;
use super::judge::Known;
use super::knowledge::Knowledge;
use super::outcome::{Certainty, Outcome, Problem};
use super::reads::ReadTree;
use super::scope::{Probe, StaticScope};
use super::task::{Shared, TaskCheck};

/// A host on its way through a play.
struct Host {
    name: String,
    /// It left the play.
    left: bool,
    /// It failed, since the playbook says so; a rescue may bring it back.
    failed: bool,
    /// It may have left.
    unsure: bool,
    /// Handlers that it may have notified, by their place in the play.
    notified: BTreeSet<usize>,
}

impl Host {
    fn takes_part(&self) -> bool {
        !self.left && !self.failed
    }
}

/// Where in a play a task stands.
#[derive(Clone, Copy)]
struct Place {
    /// How sure it is that the run comes here.
    certainty: Certainty,
    /// Does a rescue wait for failures?
    rescued: bool,
    /// Do the tags leave the task out? Whoever asks for it may give it variables, too.
    left_out: bool,
}

/// What the walk of one play needs.
pub(super) struct Walk<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) knowledge: &'a Arc<Knowledge>,
    pub(super) layer: &'a Arc<PlayLayer>,
    pub(super) play: &'a Play,
    /// Its number, counted over all playbooks.
    pub(super) number: usize,
    pub(super) settings: &'a RunSettings,
    /// Also look at tasks that the tags leave out, and tell what the run would tell itself.
    pub(super) thorough: bool,
    pub(super) findings: &'a mut Findings,
}

impl Walk<'_> {
    /// Follows the play over these hosts; gives those that are sure to fail because the playbook says so.
    pub(super) fn run(&mut self, hosts: &[String]) -> Vec<String> {
        self.routes(hosts);
        self.batches(hosts);
        let mut hosts: Vec<Host> = hosts
            .iter()
            .map(|name| Host {
                name: name.clone(),
                left: false,
                failed: false,
                unsure: false,
                notified: BTreeSet::new(),
            })
            .collect();
        let certainty = match self.settings.start_at_task {
            Some(_) => Certainty::Maybe,
            None => Certainty::Sure,
        };
        let place = Place {
            certainty,
            rescued: false,
            left_out: false,
        };
        let play = self.play;
        for section in [&play.pre_tasks, &play.tasks, &play.post_tasks] {
            self.entries(section, &mut hosts, place);
        }
        self.handlers(&mut hosts);
        let lost = hosts.into_iter().filter(|host| host.failed);
        lost.map(|host| host.name).collect()
    }

    fn entries(&mut self, entries: &[Entry], hosts: &mut [Host], place: Place) {
        for entry in entries {
            match entry {
                Entry::Task(task) => self.task(task, hosts, place),
                Entry::Block(block) => self.block(block, hosts, place),
            }
        }
    }

    fn block(&mut self, block: &Block, hosts: &mut [Host], place: Place) {
        let state = |hosts: &[Host]| -> Vec<(bool, bool, bool)> {
            let states = hosts.iter().map(|it| (it.left, it.failed, it.unsure));
            states.collect()
        };
        let restore = |hosts: &mut [Host], to: &[(bool, bool, bool)]| {
            for (host, state) in hosts.iter_mut().zip(to) {
                (host.left, host.failed, host.unsure) = *state;
            }
        };
        let before = state(hosts);
        let has_rescue = !block.rescue.is_empty();
        let rescued = place.rescued || has_rescue;
        self.entries(&block.block, hosts, Place { rescued, ..place });
        if !has_rescue && block.always.is_empty() {
            return;
        }
        let after = state(hosts);
        restore(hosts, &before);
        let certainty = place.certainty.min(Certainty::Likely);
        self.entries(&block.rescue, hosts, Place { certainty, ..place });
        restore(hosts, &before);
        self.entries(&block.always, hosts, place);
        let fails_again = block.rescue.iter().any(may_end);
        for (host, (left, failed, unsure)) in hosts.iter_mut().zip(after) {
            host.left |= left;
            host.failed |= failed && !has_rescue;
            host.unsure |= unsure || (failed && fails_again);
        }
    }

    fn task(&mut self, task: &Task, hosts: &mut [Host], place: Place) {
        let mut place = place;
        if !self.settings.selects(task) {
            if !self.thorough || !self.settings.tags.is_empty() {
                return;
            }
            place.left_out = true;
            place.certainty = Certainty::Maybe;
        }
        let levels = levels(&task.context);
        let mut known: ReadTree<Rc<Outcome>> = ReadTree::default();
        let arguments = task_arguments(task);
        let arguments = arguments
            .as_map()
            .map(|map| Arc::new(map.clone()))
            .unwrap_or_default();
        let all = hosts.len();
        let mut first = true;
        for host in hosts.iter_mut().filter(|host| host.takes_part()) {
            let probe = Arc::new(Probe::default());
            let scope = self.scope(&host.name, &levels, &probe);
            let remembered = known.find(|name| scope.print(name)).cloned();
            let outcome = remembered.unwrap_or_else(|| {
                let check = TaskCheck {
                    shared: self.shared,
                    task,
                    arguments: arguments.clone(),
                    probe: probe.clone(),
                };
                let scope: Arc<dyn Scope> = Arc::new(scope);
                let outcome = Rc::new(check.run(&scope));
                known.insert(probe.take_reads(), outcome.clone());
                outcome
            });
            let here = Place {
                certainty: if host.unsure {
                    Certainty::Maybe
                } else {
                    place.certainty
                },
                ..place
            };
            self.tell(task, &outcome, here, &host.name, all);
            self.follow(host, &outcome, here);
            if first && self.runs_once(task, &host.name, &levels) {
                break;
            }
            first = false;
        }
    }

    pub(super) fn scope(
        &self,
        host: &str,
        levels: &[Arc<Mapping>],
        probe: &Arc<Probe>,
    ) -> StaticScope {
        let base = self
            .knowledge
            .store
            .scope(host, self.layer, levels, Map::new());
        StaticScope::new(base, self.knowledge.clone(), probe.clone(), self.number)
    }

    fn runs_once(&self, task: &Task, host: &str, levels: &[Arc<Mapping>]) -> bool {
        let Some(node) = task.context.nearest(|it| it.run_once.as_ref()) else {
            return false;
        };
        let probe = Arc::new(Probe::default());
        let scope: Arc<dyn Scope> = Arc::new(self.scope(host, levels, &probe));
        let judge = super::judge::Judge {
            engine: self.shared.engine,
        };
        match judge.value(node, &scope) {
            Known::Yes(value) => value.is_some_and(|value| value.to_bool().unwrap_or(false)),
            Known::Unknown | Known::Wrong(_) => true,
        }
    }

    /// What becomes of the host.
    fn follow(&self, host: &mut Host, outcome: &Outcome, place: Place) {
        let sure = place.certainty == Certainty::Sure;
        match outcome.leaves {
            Some(Certainty::Sure) if sure => host.left = true,
            Some(_) => host.unsure = true,
            None => {}
        }
        // What only may fail is expected not to.
        host.failed |= sure && outcome.fails == Some(Certainty::Sure);
        if outcome.done.is_none() {
            return;
        }
        let handlers = &self.play.handlers;
        let dynamic = |task: &Arc<Task>| task.name.as_ref().is_some_and(Node::is_dynamic);
        let unclear = handlers.iter().any(dynamic);
        for notified in &outcome.notifies {
            let answers = |handler: &Task| match notified {
                Some(_) if unclear => true,
                None => true,
                Some(name) => {
                    handler.name.as_ref().and_then(|it| it.as_str()) == Some(name)
                        || handler.listen.contains(name)
                }
            };
            let found = handlers.iter().enumerate().filter(|(_, it)| answers(it));
            host.notified.extend(found.map(|(at, _)| at));
        }
    }

    /// Handlers, for the hosts that may have notified them; they may notify others.
    fn handlers(&mut self, hosts: &mut [Host]) {
        let play = self.play;
        let place = Place {
            certainty: Certainty::Likely,
            rescued: false,
            left_out: false,
        };
        // A handler that notifies an earlier one has it run in another round; each is looked at twice at most.
        for _ in 0..2 {
            for (index, handler) in play.handlers.iter().enumerate() {
                let mut called: Vec<Host> = Vec::new();
                for host in hosts.iter_mut().filter(|it| it.takes_part()) {
                    if host.notified.remove(&index) {
                        called.push(Host {
                            name: host.name.clone(),
                            left: false,
                            failed: false,
                            unsure: host.unsure,
                            notified: BTreeSet::new(),
                        });
                    }
                }
                if called.is_empty() {
                    continue;
                }
                self.task(handler, &mut called, place);
                for done in called {
                    if let Some(host) = hosts.iter_mut().find(|it| it.name == done.name) {
                        host.notified.extend(done.notified);
                    }
                }
            }
        }
    }

    /// Adds what is worth telling of a host's problems.
    fn tell(&mut self, task: &Task, outcome: &Outcome, place: Place, host: &str, all: usize) {
        for problem in &outcome.problems {
            if problem.known_to_run {
                // What is written is looked at with the structure.
                let written = problem.diagnostic.code == "condition-delimiters";
                let sure = !place.rescued && place.certainty == Certainty::Sure;
                if self.thorough && sure && !written {
                    self.findings.add(&problem.diagnostic, host, all);
                }
                continue;
            }
            let mut certainty = problem.certainty.min(place.certainty);
            if place.rescued {
                certainty = Certainty::Maybe;
            }
            let told = match certainty {
                Certainty::Sure => problem.diagnostic.clone(),
                Certainty::Likely => problem.diagnostic.clone().softened(),
                Certainty::Maybe if self.anyone_has(task, problem, place) => {
                    problem.diagnostic.clone().softened()
                }
                Certainty::Maybe => continue,
            };
            self.findings.add(&told, host, all);
        }
    }

    /// Does everybody have it who comes there? A variable that has no value for any host, and that no condition of the
    /// task asks about, is such a problem.
    fn anyone_has(&self, task: &Task, problem: &Problem, place: Place) -> bool {
        if problem.for_all {
            return true;
        }
        let Some(name) = problem.undefined.as_ref().filter(|_| !place.left_out) else {
            return false;
        };
        let asks = |node: &&Node| {
            let parts = node.as_list().unwrap_or(std::slice::from_ref(*node));
            parts
                .iter()
                .any(|part| part.as_str().is_some_and(|text| text.contains(name)))
        };
        self.knowledge.nowhere(name) && !task.context.conditions().iter().any(asks)
    }
}

/// Does a rescue end what it rescues?
fn may_end(entry: &Entry) -> bool {
    match entry {
        Entry::Task(task) => matches!(task.module.as_str(), "fail" | "assert" | "meta"),
        Entry::Block(block) => block.block.iter().any(may_end),
    }
}

/// `vars` of blocks and the task, outermost first; the play's are in its layer.
fn levels(context: &Context) -> Vec<Arc<Mapping>> {
    let mut levels = Vec::new();
    let mut level = Some(context);
    while let Some(now) = level {
        if now.outer.is_some() {
            levels.extend(now.keywords.vars.clone());
        }
        level = now.outer.as_deref();
    }
    levels.reverse();
    levels
}
