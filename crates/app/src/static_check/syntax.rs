//! Templates of a play: syntax, filters and tests, before the first connection.

use hostler_diag::Diagnostic;
use hostler_playbook::{Block, Context, Entry, Keywords, Play, Task};
use hostler_template::Engine;
use hostler_yaml::Node;

/// Checks every template and condition of a play.
pub(crate) fn syntax(play: &Play, engine: &Engine, problems: &mut Vec<Diagnostic>) {
    let mut checker = Checker { engine, problems };
    checker.keywords(&play.context.keywords);
    checker.nodes([&play.hosts]);
    checker.nodes(
        play.name
            .iter()
            .chain(&play.serial)
            .chain(&play.gather_facts),
    );
    checker.nodes(&play.vars_files);
    for entries in [&play.pre_tasks, &play.tasks, &play.post_tasks] {
        checker.entries(entries);
    }
    for handler in &play.handlers {
        checker.task(handler);
    }
}

struct Checker<'a> {
    engine: &'a Engine,
    problems: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn nodes<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) {
        for node in nodes {
            self.problems.extend(self.engine.check(node));
        }
    }

    fn conditions<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) {
        for node in nodes {
            for part in node.as_list().unwrap_or(std::slice::from_ref(node)) {
                self.problems.extend(self.engine.check_condition(part));
            }
        }
    }

    fn entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            match entry {
                Entry::Task(task) => self.task(task),
                Entry::Block(block) => self.block(block),
            }
        }
    }

    fn block(&mut self, block: &Block) {
        self.context(&block.context);
        for entries in [&block.block, &block.rescue, &block.always] {
            self.entries(entries);
        }
    }

    fn context(&mut self, context: &Context) {
        self.keywords(&context.keywords);
    }

    fn keywords(&mut self, keywords: &Keywords) {
        self.conditions(&keywords.when);
        for (_, value) in keywords.vars.iter().flat_map(|vars| vars.entries.iter()) {
            self.nodes([value]);
        }
        let nodes = [
            &keywords.r#become,
            &keywords.become_user,
            &keywords.become_method,
            &keywords.environment,
            &keywords.remote_user,
            &keywords.ignore_errors,
            &keywords.no_log,
            &keywords.check_mode,
            &keywords.delegate_to,
            &keywords.run_once,
            &keywords.module_defaults,
        ];
        self.nodes(nodes.into_iter().flatten());
    }

    fn task(&mut self, task: &Task) {
        self.context(&task.context);
        self.nodes(&task.name);
        for (name, _, value) in &task.args.entries {
            if task.module == "assert" && name == "that" {
                self.conditions([value]);
            } else {
                self.nodes([value]);
            }
        }
        self.conditions(
            task.until
                .iter()
                .chain(&task.changed_when)
                .chain(&task.failed_when),
        );
        self.nodes(task.retries.iter().chain(&task.delay));
        self.nodes(task.notify.iter().map(|notify| &notify.name));
        if let Some(l) = &task.r#loop {
            self.nodes([&l.items]);
            self.nodes(l.control.label.iter().chain(&l.control.pause));
            self.conditions(&l.control.break_when);
        }
    }
}
