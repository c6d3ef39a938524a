//! Misspelt variables in parts that only the run decides to evaluate: behind a condition on a fact, in one branch of a
//! template. They are read as text: a name that has no value for any host, and that nobody asks about.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_executor::Preflight;
use hostler_playbook::{Play, Task};
use hostler_template::{Engine, Need, Wants};
use hostler_value::Map;

use super::findings::Findings;
use super::knowledge::{Found, Knowledge, each_entry};

/// What the check of names needs.
pub(super) struct Names<'a> {
    pub(super) engine: &'a Engine,
    pub(super) preflight: &'a Preflight,
    /// The playbook's directory.
    pub(super) directory: &'a Path,
}

/// What the tasks of the run want, in order.
#[derive(Default)]
pub(super) struct Collected {
    needs: Vec<(Need, Arc<[String]>)>,
    asks: HashSet<String>,
}

impl Names<'_> {
    /// Looks through a play's tasks and the templates that they render.
    pub(super) fn collect(&self, play: &Play, hosts: &[String], all: &mut Collected) {
        let hosts: Arc<[String]> = hosts.into();
        each_entry(play, &mut |found| {
            if let Found::Task(task) = found {
                let wants = self.wants(task);
                all.asks.extend(wants.asks);
                let needs = wants.needs.into_iter();
                if is_meant_to_run(task) {
                    all.needs.extend(needs.map(|need| (need, hosts.clone())));
                }
            }
        });
    }

    fn wants(&self, task: &Task) -> Wants {
        let engine = self.engine;
        let mut wants = Wants::default();
        for (name, _, node) in &task.args.entries {
            match (task.module.as_str(), name.as_str()) {
                ("assert", "that") => wants.extend(engine.condition_wants(node)),
                ("debug", "var") => {}
                _ => wants.extend(engine.wants(node)),
            }
        }
        let conditions = task.changed_when.iter().chain(&task.failed_when);
        for node in conditions
            .chain(&task.until)
            .chain(task.context.conditions())
        {
            wants.extend(engine.condition_wants(node));
        }
        if let Some(l) = &task.r#loop {
            wants.extend(engine.wants(&l.items));
        }
        if task.module == "template"
            && let Some(src) = task.args.get("src").filter(|src| !src.is_dynamic())
        {
            let args: Map = [("src", src.to_literal()), ("dest", "/".into())]
                .into_iter()
                .collect();
            if let Ok(file) = self.preflight.template(&args, self.directory) {
                wants.extend(self.preflight.wants(&file, engine));
            }
        }
        wants
    }
}

impl Collected {
    /// Tells of names that have no value for any host, and that nobody in the run asks about.
    pub(super) fn tell(self, knowledge: &Knowledge, findings: &mut Findings) {
        let asks = self.asks;
        let nobody = |name: &str| knowledge.nowhere(name) && !asks.contains(name);
        for (need, hosts) in self.needs.iter().filter(|(need, _)| nobody(&need.name)) {
            let message = format!("'{}' is undefined", need.name);
            let warning = Diagnostic::warning("undefined-variable", message)
                .at(need.span)
                .hint("no host has a variable of this name, and no task sets it");
            for host in hosts.iter() {
                findings.add(&warning, host, hosts.len());
            }
        }
    }
}

/// Tasks that are switched off or may fail can hold anything.
fn is_meant_to_run(task: &Task) -> bool {
    let conditions = task.context.conditions();
    let off = conditions
        .iter()
        .any(|node| node.to_literal().as_bool() == Some(false));
    let never = task.context.tags().any(|tag| tag == "never");
    let may_fail = task.context.nearest(|it| it.ignore_errors.as_ref());
    !off && !never && may_fail.is_none()
}
