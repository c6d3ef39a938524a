//! One task on all its hosts: failures as they happen, the rest folded when it ends.

use std::collections::HashMap;

use hostler_diag::SourceMap;
use hostler_events::{ItemResult, Status, TaskInfo, TaskKind, TaskResult};

use super::failure::{self, Failure, INDENT};
use super::live::Waiting;
use crate::diff::{self, Kind};
use crate::dump::{dump, dump_debug};
use crate::fold::{Group, Groups, Outcome, without_host};
use crate::style::Paint;
use crate::{Options, hosts, sanitize, words};

/// Different failures of one task that are shown in full; further ones get a line each.
const FULL_MAX: usize = 5;
/// Failures of one task that get a line of their own at once; further ones wait for the end of the task.
const SINGLE_MAX: usize = 20;
/// Different outcomes of one status that are shown at the end of a task.
const SHOWN_MAX: usize = 12;
/// The same where each comes with a diff.
const DIFFS_MAX: usize = 4;
/// Lines of one diff; `-v` shows all.
const DIFF_LINES_MAX: usize = 60;
/// Failed items of a host that are remembered.
const ITEMS_MAX: usize = 50;

/// What every line needs to know.
#[derive(Clone)]
pub(super) struct Context {
    pub options: Options,
    pub paint: Paint,
    pub sources: SourceMap,
    pub check: bool,
}

/// A task that runs.
pub(super) struct Task {
    pub info: TaskInfo,
    pub waiting: HashMap<String, Waiting>,
    pub done: u64,
    pub by_status: HashMap<Status, u64>,
    groups: Groups,
    items: HashMap<String, Items>,
    titled: bool,
    failures: usize,
}

/// What the items of a loop said on one host.
#[derive(Default)]
struct Items {
    failed: Vec<(String, String)>,
    deltas: Vec<hostler_change::Delta>,
    changed: usize,
}

impl Task {
    pub(super) fn new(info: TaskInfo) -> Self {
        Task {
            info,
            waiting: HashMap::new(),
            done: 0,
            by_status: HashMap::new(),
            groups: Groups::default(),
            items: HashMap::new(),
            titled: false,
            failures: 0,
        }
    }

    /// An item of a loop ended on a host.
    pub(super) fn item(&mut self, host: &str, item: &ItemResult, context: &Context) {
        let items = self.items.entry(host.to_owned()).or_default();
        if item.status == Status::Failed && items.failed.len() < ITEMS_MAX {
            let message = item.message.clone().unwrap_or_default();
            items.failed.push((item.label.clone(), message));
        }
        if matches!(item.status, Status::Changed | Status::Unknown) {
            items.changed += usize::from(item.status == Status::Changed);
            if context.options.diff {
                items.deltas.extend(item.deltas.iter().cloned());
            }
        }
    }

    /// The task ended on a host. Gives the lines that cannot wait.
    pub(super) fn result(
        &mut self,
        host: &str,
        result: &TaskResult,
        context: &Context,
    ) -> Vec<String> {
        self.waiting.remove(host);
        self.done += 1;
        *self.by_status.entry(result.status).or_default() += 1;
        let items = self.items.remove(host).unwrap_or_default();
        let outcome = self.outcome(host, result, &items, context);
        let failed = matches!(result.status, Status::Failed | Status::Unreachable);
        let group = self.groups.add(host, outcome);
        if !failed || (context.options.quiet && (result.ignored || result.rescued)) {
            return Vec::new();
        }
        let known = group.hosts.len() > 1;
        if known || self.failures >= SINGLE_MAX {
            return Vec::new();
        }
        group.told = 1;
        self.failures += 1;
        let mut lines = self.title(context);
        let full = failure::lines(
            &Failure {
                host,
                task: &self.info,
                result,
                items: &items.failed,
            },
            &context.sources,
            &context.options,
            context.paint,
        );
        let shown = if self.failures > FULL_MAX {
            1
        } else {
            full.len()
        };
        lines.extend(full.into_iter().take(shown));
        lines
    }

    fn outcome(
        &self,
        host: &str,
        result: &TaskResult,
        items: &Items,
        context: &Context,
    ) -> Outcome {
        let failed = matches!(result.status, Status::Failed | Status::Unreachable);
        let text = match result.status {
            _ if result.censored && !failed => String::new(),
            Status::Unreachable => result
                .unreachable
                .as_ref()
                .map_or_else(|| failure::message(result), |why| why.reason.clone()),
            Status::Failed => failure::message(result),
            Status::Ok if self.info.module == "debug" => debug_text(result),
            _ if context.options.verbosity >= 2 => dump(&result.value, result.message.as_deref()),
            Status::Unknown => words::unknown(result.message.as_deref(), context.check).to_owned(),
            Status::Skipped => result.message.clone().unwrap_or_default(),
            Status::Changed if !result.unknown.is_empty() => words::partly(&result.unknown),
            _ => String::new(),
        };
        let has_diff = matches!(result.status, Status::Changed | Status::Unknown);
        let show_diff = context.options.diff && has_diff && !result.censored;
        let deltas = match (show_diff, result.deltas.is_empty()) {
            (false, _) => Vec::new(),
            (true, false) => result.deltas.clone(),
            (true, true) => items.deltas.clone(),
        };
        Outcome {
            status: result.status,
            ignored: result.ignored,
            rescued: result.rescued,
            incomplete: result.incomplete,
            text: without_host(&sanitize::text(&text), host),
            deltas,
        }
    }

    /// The task's name, once, before the first line about it.
    pub(super) fn title(&mut self, context: &Context) -> Vec<String> {
        if std::mem::replace(&mut self.titled, true) {
            return Vec::new();
        }
        let word = match self.info.kind {
            TaskKind::Handler => "HANDLER",
            TaskKind::Task | TaskKind::GatherFacts => "TASK",
        };
        let room = context.options.width.saturating_sub(word.len() + 2);
        let name = context.paint.bold(&sanitize::line(&self.info.name, room));
        vec![String::new(), format!("{} {name}", context.paint.dim(word))]
    }

    /// The task ended on all hosts: what was not told yet, folded.
    pub(super) fn end(mut self, context: &Context) -> Vec<String> {
        let groups = std::mem::take(&mut self.groups).sorted();
        let mut lines = Vec::new();
        let mut shown: HashMap<Status, usize> = HashMap::new();
        let mut left: HashMap<Status, (usize, usize)> = HashMap::new();
        for group in &groups {
            if !self.is_shown(group, context) {
                continue;
            }
            let count = shown.entry(group.outcome.status).or_default();
            *count += 1;
            let most = if group.deltas.is_empty() {
                SHOWN_MAX
            } else {
                DIFFS_MAX
            };
            if *count > most && context.options.verbosity == 0 {
                let (outcomes, hosts) = left.entry(group.outcome.status).or_default();
                *outcomes += 1;
                *hosts += group.hosts.len() - group.told;
                continue;
            }
            lines.extend(self.group_lines(group, context));
        }
        for (status, (outcomes, hosts)) in left {
            let text = format!(
                "+{outcomes} other outcomes on {}; -v shows all",
                words::hosts(hosts)
            );
            lines.push(status_lead(words::status(status, context.check), status, context) + &text);
        }
        if lines.is_empty() {
            return lines;
        }
        let mut all = self.title(context);
        all.extend(lines);
        all
    }

    fn is_shown(&self, group: &Group, context: &Context) -> bool {
        let options = &context.options;
        match group.outcome.status {
            Status::Failed | Status::Unreachable => {
                group.hosts.len() > group.told
                    && !(options.quiet && (group.outcome.ignored || group.outcome.rescued))
            }
            Status::Unknown if !context.check => true,
            _ if options.quiet => false,
            Status::Changed | Status::Unknown => true,
            Status::Ok => options.verbosity >= 1 || self.info.module == "debug",
            Status::Skipped => options.verbosity >= 1,
        }
    }

    fn group_lines(&self, group: &Group, context: &Context) -> Vec<String> {
        let outcome = &group.outcome;
        let failed = matches!(outcome.status, Status::Failed | Status::Unreachable);
        let word = match (outcome.ignored, outcome.rescued) {
            (true, _) => "ignored",
            (_, true) => "rescued",
            _ => words::status(outcome.status, context.check),
        };
        let lead = status_lead(word, outcome.status, context);
        let rest: Vec<String> = group.hosts[group.told..]
            .iter()
            .map(|host| sanitize::name(host))
            .collect();
        let who = who(&rest, group, self.info.hosts as usize);
        let more = if outcome.incomplete {
            "  (more may follow)"
        } else {
            ""
        };
        let room = context
            .options
            .width
            .saturating_sub(INDENT + who.len() + 2 + more.len());
        let clear = group.told == 0 && (rest.len() == 1 || rest.len() == self.info.hosts as usize);
        let names = if clear {
            String::new()
        } else {
            hosts::fold_line(&rest, room)
        };
        let mut lines = vec![format!("{lead}{who}  {names}").trim_end().to_owned() + more];
        let under = |text: &str| format!("{}{text}", " ".repeat(INDENT));
        let room = context.options.width.saturating_sub(INDENT);
        if group.mixed {
            lines.push(under(&context.paint.dim("with different outcomes")));
        } else if !outcome.text.is_empty() && group.told == 0 {
            let text = match (failed, rest.as_slice()) {
                (_, [host]) => outcome.text.replace("{host}", host),
                _ => outcome.text.clone(),
            };
            let lines_max = if failed { 3 } else { 200 };
            lines.extend(
                failure::wrap(&text, room, lines_max)
                    .iter()
                    .map(|line| under(line)),
            );
        }
        let differences = diff_lines(group, context);
        if outcome.status == Status::Unknown && !differences.is_empty() {
            lines.push(under(&context.paint.dim(words::PERHAPS)));
        }
        lines.extend(differences);
        lines
    }
}

fn diff_lines(group: &Group, context: &Context) -> Vec<String> {
    let mut lines = diff::for_people(&group.deltas);
    let by_name = group.hosts.len() > 1 && group.deltas != group.outcome.deltas;
    let total = lines.len();
    if context.options.verbosity == 0 && total > DIFF_LINES_MAX {
        lines.truncate(DIFF_LINES_MAX);
    }
    let hidden = total - lines.len();
    let mut shown: Vec<String> = lines
        .iter()
        .map(|line| {
            let indent = match line.kind {
                Kind::Header | Kind::Fact => 4,
                _ => 6,
            };
            format!("{}{}", " ".repeat(indent), line.painted(context.paint))
        })
        .collect();
    if hidden > 0 {
        let text = format!("      [... {hidden} more lines; -v shows all]");
        shown.push(context.paint.dim(&text));
    }
    if by_name {
        let first = sanitize::name(&group.first);
        let text = format!("      (as on {first}; the others differ by their own name)");
        shown.push(context.paint.dim(&text));
    }
    shown
}

fn status_lead(word: &str, status: Status, context: &Context) -> String {
    context.paint.status(status, &format!("  {word:<12} "))
}

/// `web001`, `198 hosts`, `99 more hosts`, `all 200 hosts`.
fn who(rest: &[String], group: &Group, total: usize) -> String {
    match rest {
        [one] if group.told == 0 => one.clone(),
        _ if group.told > 0 => {
            let first = sanitize::name(&group.hosts[0]);
            format!("{} more like {first}", rest.len())
        }
        _ if rest.len() == total && total > 2 => format!("all {}", words::hosts(total)),
        _ => words::hosts(rest.len()),
    }
}

/// What `debug` has to say: its message alone if it is text.
fn debug_text(result: &TaskResult) -> String {
    let text = result
        .value
        .get("msg")
        .and_then(hostler_value::Value::as_str);
    text.map_or_else(
        || dump_debug(&result.value, result.message.as_deref()),
        ToOwned::to_owned,
    )
}
