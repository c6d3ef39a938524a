//! What is wrong with a playbook whoever its hosts are: parts that cannot be reached, conditions that say nothing, words
//! that nobody uses.

use std::collections::HashSet;

use hostler_diag::{Diagnostic, SourceMap, Span};
use hostler_playbook::{Block, Context, Entry, Play, Task};
use hostler_template::Engine;
use hostler_value::Value;
use hostler_yaml::{Node, NodeKind};

use super::knowledge::{Found, each_entry};

/// Words that differ from run to run though no variable is in them.
const CHANGING: [&str; 4] = ["now(", "random", "lookup(", "undef("];

/// Looks at one play.
pub(super) fn structure(
    play: &Play,
    engine: &Engine,
    sources: &SourceMap,
    problems: &mut Vec<Diagnostic>,
) {
    let mut look = Structure {
        engine,
        sources,
        problems,
        seen: HashSet::new(),
    };
    look.handlers(play);
    for section in [&play.pre_tasks, &play.tasks, &play.post_tasks] {
        look.entries(section);
    }
    look.conditions(&play.context);
    each_entry(play, &mut |part| match part {
        Found::Task(task) => look.task(task),
        Found::Context(context) => look.conditions(context),
    });
}

/// Tags that the command line asks for and no task has.
pub(super) fn unknown_tags<'a>(
    asked: impl IntoIterator<Item = &'a String>,
    plays: &[&Play],
    problems: &mut Vec<Diagnostic>,
) {
    let mut known: HashSet<String> = HashSet::new();
    for play in plays {
        each_entry(play, &mut |part| {
            if let Found::Task(task) = part {
                known.extend(task.context.tags().map(str::to_owned));
            }
        });
    }
    for tag in asked {
        let special = ["all", "always", "never", "tagged", "untagged"].contains(&tag.as_str());
        if !special && !known.contains(tag) {
            let message = format!("no task has the tag `{tag}`");
            let warning = Diagnostic::warning("unknown-tag", message);
            problems.push(warning.suggest(tag, known.iter().map(String::as_str)));
        }
    }
}

struct Structure<'a> {
    engine: &'a Engine,
    sources: &'a SourceMap,
    problems: &'a mut Vec<Diagnostic>,
    seen: HashSet<Span>,
}

impl Structure<'_> {
    fn warn(&mut self, code: &str, message: impl Into<String>, span: Span, hint: &str) {
        let warning = Diagnostic::warning(code, message).at(span);
        self.problems.push(warning.hint(hint));
    }

    fn handlers(&mut self, play: &Play) {
        let mut notified: HashSet<String> = HashSet::new();
        let mut unclear = false;
        each_entry(play, &mut |part| {
            if let Found::Task(task) = part {
                for notify in &task.notify {
                    unclear |= notify.name.is_dynamic();
                    notified.extend(notify.name.as_str().map(str::to_owned));
                }
            }
        });
        let mut named: HashSet<&str> = HashSet::new();
        for handler in play.handlers.iter().rev() {
            let name = handler
                .name
                .as_ref()
                .filter(|it| !it.is_dynamic())
                .and_then(Node::as_str);
            let twice = name.is_some_and(|name| !named.insert(name));
            if twice && handler.listen.is_empty() {
                self.warn(
                    "hidden-handler",
                    format!(
                        "a later handler has the same name, so this one never runs: `{}`",
                        name.unwrap_or_default()
                    ),
                    handler.span_of_name(),
                    "give it another name, or let both listen to one topic",
                );
                continue;
            }
            let dynamic = handler.name.is_some() && name.is_none();
            let called = name.is_some_and(|name| notified.contains(name))
                || handler.listen.iter().any(|topic| notified.contains(topic));
            if !called && !unclear && !dynamic {
                self.warn(
                    "unused-handler",
                    "no task of the play notifies this handler",
                    handler.span_of_name(),
                    "notify it by its name or by what it listens to, or remove it",
                );
            }
        }
    }

    fn entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Entry::Block(block) = entry {
                self.block(block);
                for part in [&block.block, &block.rescue, &block.always] {
                    self.entries(part);
                }
            }
        }
    }

    fn block(&mut self, block: &Block) {
        if block.block.is_empty() {
            let rest = !block.rescue.is_empty() || !block.always.is_empty();
            let message = if rest {
                "this block has no tasks, so its `rescue` never runs"
            } else {
                "this block has no tasks"
            };
            self.warn(
                "empty-block",
                message,
                block.span,
                "add tasks, or remove it",
            );
        } else if !block.rescue.is_empty() && block.block.iter().all(cannot_fail) {
            self.warn(
                "unreachable-rescue",
                "no task of this block can fail, so its `rescue` never runs",
                block.span,
                "a failure that `ignore_errors` or `failed_when: false` hides does not lead to `rescue`",
            );
        }
    }

    fn task(&mut self, task: &Task) {
        self.conditions(&task.context);
        for node in task
            .until
            .iter()
            .chain(&task.changed_when)
            .chain(&task.failed_when)
        {
            self.delimiters(node);
        }
        if task.args.get("mode").is_some() {
            let entries = task.args.entries.iter();
            for (_, _, value) in entries.filter(|(name, _, _)| name.ends_with("mode")) {
                self.mode(value);
            }
        }
    }

    /// `mode: 644` is the number 644, not the permissions 0644.
    fn mode(&mut self, node: &Node) {
        let NodeKind::Data(Value::Int(number)) = &node.kind else {
            return;
        };
        let written = self.sources.slice(node.span);
        let octal = !written.is_empty() && written.bytes().all(|it| (b'0'..=b'7').contains(&it));
        if octal && !written.starts_with('0') {
            let message =
                format!("`mode: {written}` is a decimal number: the permissions become {number:o}");
            let hint = format!("write it as text: '0{written}'");
            self.warn("decimal-mode", message, node.span, &hint);
        }
    }

    fn conditions(&mut self, context: &Context) {
        let Some(when) = &context.keywords.when else {
            return;
        };
        if !self.seen.insert(when.span) {
            return;
        }
        self.delimiters(when);
        for part in when.as_list().unwrap_or(std::slice::from_ref(when)) {
            self.constant(part);
        }
    }

    /// A condition without variables. Plain `true` and `false` are how people switch tasks off.
    fn constant(&mut self, part: &Node) {
        let Some(source) = part.as_source() else {
            return;
        };
        let text = source.text().trim();
        let plain = ["true", "false", "yes", "no", "1", "0"];
        if text.is_empty()
            || source.has_markup()
            || plain.contains(&text.to_ascii_lowercase().as_str())
            || CHANGING.iter().any(|word| text.contains(word))
            || !self.engine.check_condition(part).is_empty()
        {
            return;
        }
        if self.engine.condition_variables(part).is_empty() {
            self.warn(
                "constant-condition",
                "this condition is the same for every host: it has no variable in it",
                part.span,
                "names of variables stand without quotes",
            );
        }
    }

    fn delimiters(&mut self, node: &Node) {
        for part in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            if let Some(source) = part.as_source()
                && (source.text().contains("{{") || source.text().contains("{%"))
            {
                self.warn(
                    "condition-delimiters",
                    "a condition is an expression already: `{{ }}` in it is not needed",
                    part.span,
                    "write the variable without `{{ }}`",
                );
            }
        }
    }
}

/// Is it certain that the entry does not fail?
fn cannot_fail(entry: &Entry) -> bool {
    let says = |node: Option<&Node>, wanted: bool| {
        node.is_some_and(|node| node.to_literal().as_bool() == Some(wanted))
    };
    match entry {
        Entry::Task(task) => {
            let ignores = task.context.nearest(|it| it.ignore_errors.as_ref());
            let quiet = matches!(task.module.as_str(), "debug" | "set_fact" | "meta")
                && task
                    .args
                    .entries
                    .iter()
                    .all(|(_, _, node)| !node.is_dynamic());
            let off = says(task.context.keywords.when.as_ref(), false);
            let plain = quiet && task.r#loop.is_none() && task.context.conditions().is_empty();
            says(ignores, true) || says(task.failed_when.as_ref(), false) || plain || off
        }
        Entry::Block(block) => {
            let parts = if block.rescue.is_empty() {
                &block.block
            } else {
                &block.rescue
            };
            parts.iter().all(cannot_fail) && block.always.iter().all(cannot_fail)
        }
    }
}

/// Where a task is named.
trait NamedAt {
    fn span_of_name(&self) -> Span;
}

impl NamedAt for Task {
    fn span_of_name(&self) -> Span {
        self.name
            .as_ref()
            .map_or(self.module_span, |name| name.span)
    }
}
