//! Plays.

use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_yaml::{Mapping, Node};

use super::Parser;
use crate::ast::{Entry, Play, Section, Task};
use crate::context::{Context, Keywords};
use crate::keywords::{INNER, PLAY, SHARED};

impl Parser<'_> {
    /// Reads one play; `None` if it has no hosts or is no play at all.
    pub(super) fn play(&mut self, node: &Node) -> Option<Play> {
        let map = self.mapping(node, "a play")?;
        let context = self.play_context(map);
        let Some(hosts) = map.get("hosts").filter(|hosts| !hosts.is_null()) else {
            let said = map
                .get("import_playbook")
                .or_else(|| map.get("ansible.builtin.import_playbook"));
            if said.is_none() {
                let problem = Diagnostic::error("play-without-hosts", "a play needs `hosts`");
                self.push(problem.at(node.span));
            }
            return None;
        };
        self.strategy(map);
        let get = |name: &str| map.get(name).filter(|value| !value.is_null()).cloned();
        let vars_files = match get("vars_files") {
            Some(files) => files
                .as_list()
                .map_or_else(|| vec![files.clone()], <[Node]>::to_vec),
            None => Vec::new(),
        };
        let play = Play {
            name: get("name"),
            span: node.span,
            hosts: hosts.clone(),
            vars_files,
            gather_facts: get("gather_facts"),
            gather_subset: get("gather_subset"),
            gather_timeout: get("gather_timeout"),
            fact_path: get("fact_path"),
            serial: get("serial"),
            max_fail_percentage: get("max_fail_percentage"),
            force_handlers: get("force_handlers"),
            order: get("order"),
            pre_tasks: self.section(map, "pre_tasks", Section::PreTasks, &context),
            tasks: self.section(map, "tasks", Section::Tasks, &context),
            post_tasks: self.section(map, "post_tasks", Section::PostTasks, &context),
            handlers: flatten(self.section(map, "handlers", Section::Handlers, &context)),
            context,
        };
        self.notified_handlers_exist(&play);
        Some(play)
    }

    fn play_context(&mut self, map: &Mapping) -> Arc<Context> {
        let mut keywords = Keywords::default();
        for (key, value) in &map.entries {
            let name = key.as_str().unwrap_or_default();
            let known = PLAY.contains(&name) || (SHARED.contains(&name) && !INNER.contains(&name));
            if !known {
                self.unknown_keyword(key, "play", &[PLAY, SHARED]);
            } else if !PLAY.contains(&name) {
                self.shared_keyword(name, value, &mut keywords);
            }
        }
        Arc::new(Context {
            keywords,
            outer: None,
        })
    }

    fn strategy(&mut self, map: &Mapping) {
        let Some(node) = map.get("strategy") else {
            return;
        };
        let name = node.as_str().unwrap_or_default();
        if !matches!(name, "linear" | "ansible.builtin.linear") {
            let problem = format!("strategy `{name}` is not available in this version");
            self.push(
                Diagnostic::error("not-available", problem)
                    .at(node.span)
                    .hint("remove it: hosts never wait for each other longer than a task takes"),
            );
        }
    }

    fn section(
        &mut self,
        map: &Mapping,
        name: &str,
        section: Section,
        context: &Arc<Context>,
    ) -> Vec<Entry> {
        match map.get(name) {
            Some(node) if !node.is_null() => self.entries(node, section, context),
            _ => Vec::new(),
        }
    }

    /// A literal name in `notify` must be a handler's name or a topic that one listens to.
    fn notified_handlers_exist(&mut self, play: &Play) {
        let mut known: Vec<&str> = Vec::new();
        let mut dynamic = false;
        for handler in &play.handlers {
            known.extend(handler.listen.iter().map(String::as_str));
            match &handler.name {
                Some(name) if name.is_dynamic() => dynamic = true,
                Some(name) => known.extend(name.as_str()),
                None => {}
            }
        }
        let mut missing = Vec::new();
        each_task(&play.pre_tasks, &mut |task| {
            missing.extend(unknown_notify(task, &known));
        });
        each_task(&play.tasks, &mut |task| {
            missing.extend(unknown_notify(task, &known));
        });
        each_task(&play.post_tasks, &mut |task| {
            missing.extend(unknown_notify(task, &known));
        });
        for handler in &play.handlers {
            missing.extend(unknown_notify(handler, &known));
        }
        if !dynamic {
            self.diagnostics.extend(missing);
        }
    }
}

fn unknown_notify(task: &Task, known: &[&str]) -> Vec<Diagnostic> {
    let literal = task.notify.iter().filter(|it| !it.name.is_dynamic());
    let missing = literal.filter(|it| it.name.as_str().is_none_or(|name| !known.contains(&name)));
    missing
        .map(|it| {
            let name = it.name.as_str().unwrap_or_default();
            let message = format!("no handler is named `{name}` or listens to it");
            Diagnostic::error("unknown-handler", message)
                .at(it.name.span)
                .suggest(name, known.iter().copied())
        })
        .collect()
}

fn each_task(entries: &[Entry], visit: &mut impl FnMut(&Task)) {
    for entry in entries {
        match entry {
            Entry::Task(task) => visit(task),
            Entry::Block(block) => {
                each_task(&block.block, visit);
                each_task(&block.rescue, visit);
                each_task(&block.always, visit);
            }
        }
    }
}

fn flatten(entries: Vec<Entry>) -> Vec<Arc<Task>> {
    entries
        .into_iter()
        .flat_map(|entry| match entry {
            Entry::Task(task) => vec![task],
            Entry::Block(block) => flatten(block.block.clone()),
        })
        .collect()
}
