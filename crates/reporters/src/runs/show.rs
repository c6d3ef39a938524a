//! One run: what changed where, what failed, what is left open.

use hostler_events::Status;
use hostler_record::{HostRecord, Kind, Record, ResultRecord, State, TaskRecord};

use super::{clip, painted_state, tally, who};
use crate::export::{TaskGroup, When, full_message, groups, word};
use crate::preview::words::lines;
use crate::style::Paint;
use crate::{Options, diff, sanitize, words};

/// Hosts up to which each gets a line of counts; `-v` shows all.
const HOSTS_MAX: usize = 20;
/// Outcomes of one task that are shown; `-v` shows all.
const GROUPS_MAX: usize = 8;
/// Lines of a message; `-v` shows all.
const MESSAGE_LINES: usize = 12;
/// Lines of one diff; `-v` shows all.
const DIFF_LINES_MAX: usize = 60;
/// Where text under a task begins.
const INDENT: &str = "    ";

/// The run for people. `all` tells of tasks that changed nothing, too.
pub fn run_text(record: &Record, all: bool, options: &Options, when: When<'_>) -> String {
    let page = Page {
        record,
        options,
        paint: Paint::new(options.color),
        all: all || options.verbosity > 0,
    };
    let mut out = page.head(when);
    out.extend(page.tasks());
    out.extend(page.open_ends());
    out.extend(page.warnings());
    out.extend(page.hosts());
    out.extend(page.next_steps());
    out.join("\n") + "\n"
}

struct Page<'a> {
    record: &'a Record,
    options: &'a Options,
    paint: Paint,
    all: bool,
}

impl Page<'_> {
    fn most(&self, most: usize) -> usize {
        if self.options.verbosity > 0 {
            usize::MAX
        } else {
            most
        }
    }

    fn clip(&self, text: &str) -> String {
        clip(text, self.options)
    }

    fn head(&self, when: When<'_>) -> Vec<String> {
        let record = self.record;
        let mut state = record.state.word().to_owned();
        if let Some(code) = record.exit_code.filter(|code| *code != 0) {
            state = format!("{state} (exit status {code})");
        }
        if record.check {
            state.push_str(", check mode: nothing was changed");
        }
        let run = self
            .paint
            .bold(&format!("Run {}", sanitize::name(&record.run)));
        let mut rows = vec![format!(
            "{run}  {}",
            painted_state(self.paint, record.state, &state)
        )];
        rows.push(format!(
            "  {}",
            sanitize::line(&record.playbooks.join(" "), 500)
        ));
        let resumed = match record.resumed {
            0 => String::new(),
            1 => ", resumed once".to_owned(),
            times => format!(", resumed {times} times"),
        };
        let by = if record.by.is_empty() {
            String::new()
        } else {
            format!(" by {}", sanitize::name(&record.by))
        };
        rows.push(format!(
            "  {}{by}, took {}{resumed}",
            when(record.started_us),
            words::duration(record.elapsed_us),
        ));
        if !record.hosts.is_empty() {
            let tally = tally(record.hosts.iter(), record.check);
            rows.push(format!("  {}: {tally}", words::hosts(record.hosts.len())));
        }
        for reason in &record.stopped {
            rows.push(format!("  stopped: {}", sanitize::line(reason, 500)));
        }
        rows.iter().map(|row| self.clip(row)).collect()
    }

    fn tasks(&self) -> Vec<String> {
        let mut out = Vec::new();
        let mut play = None;
        for task in &self.record.tasks {
            let groups = groups(task, self.options.diff);
            let shown: Vec<_> = groups
                .iter()
                .filter(|it| self.is_shown(it.result))
                .collect();
            if shown.is_empty() && task.unfinished.is_empty() {
                continue;
            }
            if play != Some(task.play) {
                play = Some(task.play);
                let name = sanitize::name(self.record.play_of(task));
                out.push(String::new());
                out.push(self.clip(&format!(
                    "{} {}",
                    self.paint.dim("PLAY"),
                    self.paint.bold(&name)
                )));
            }
            out.push(String::new());
            out.push(self.title(task));
            let most = self.most(GROUPS_MAX);
            for group in shown.iter().take(most) {
                self.group(group, task, &mut out);
            }
            if shown.len() > most {
                let hosts: usize = shown[most..].iter().map(|it| it.hosts.len()).sum();
                let text = format!(
                    "  +{} other outcomes on {}; -v shows all",
                    shown.len() - most,
                    words::hosts(hosts)
                );
                out.push(self.paint.dim(&text));
            }
            if !task.unfinished.is_empty() {
                let word = self.unfinished_word();
                let text = format!("  {word:<12} {}", who(&task.unfinished, usize::MAX));
                out.push(self.paint.yellow(&self.clip(&text)));
            }
        }
        if out.is_empty() {
            out.push(String::new());
            out.push("Nothing changed and nothing failed; -v shows all tasks.".to_owned());
        }
        out
    }

    fn unfinished_word(&self) -> &'static str {
        if self.record.state == State::Running {
            "running"
        } else {
            "interrupted"
        }
    }

    fn is_shown(&self, result: &ResultRecord) -> bool {
        self.all
            || matches!(result.status, Status::Changed | Status::Unknown)
            || (matches!(result.status, Status::Failed | Status::Unreachable) && !result.rescued)
    }

    fn title(&self, task: &TaskRecord) -> String {
        let kind = match task.kind {
            Kind::Handler => "HANDLER",
            Kind::Task | Kind::GatherFacts => "TASK",
        };
        let name = self.paint.bold(&sanitize::line(&task.name, 100));
        let place = task.place.as_deref().unwrap_or_default();
        let place = format!("{} {}", sanitize::name(&task.module), sanitize::name(place));
        self.clip(&format!(
            "{} {name}  {}",
            self.paint.dim(kind),
            self.paint.dim(place.trim())
        ))
    }

    fn group(&self, group: &TaskGroup<'_>, task: &TaskRecord, out: &mut Vec<String>) {
        let result = group.result;
        let word = word(result, self.record.check);
        let status = self.paint.status(result.status, &format!("{word:<12}"));
        let mut line = format!("  {status} {}", who(&group.hosts, task.results.len()));
        if let Some(host) = &result.delegated_to {
            line = format!("{line}  by {}", sanitize::name(host));
        }
        if self.all {
            line = format!("{line}  {}", words::duration(result.duration_us));
        }
        if group.mixed {
            out.push(self.clip(&line));
            return;
        }
        let named = |it: &hostler_change::Delta| it.subject.contains(&result.host);
        if group.hosts.len() > 1 && result.all_deltas().any(named) {
            line = format!("{line}  (shown: {})", sanitize::name(&result.host));
        }
        out.push(self.clip(&line));
        let telling = !matches!(result.status, Status::Ok | Status::Changed);
        if telling || self.options.verbosity > 0 {
            let text = full_message(result);
            let most = self.most(MESSAGE_LINES);
            for line in text.lines().take(most) {
                out.push(self.clip(&format!("{INDENT}{}", sanitize::expand_tabs(line))));
            }
            if text.lines().count() > most {
                out.push(format!("{INDENT}[... -v shows all]"));
            }
        }
        if let Some(hint) = &result.hint {
            out.push(self.clip(&format!("{INDENT}hint: {}", sanitize::line(hint, 1000))));
        }
        self.changes(result, out);
    }

    fn changes(&self, result: &ResultRecord, out: &mut Vec<String>) {
        let deltas: Vec<_> = result.all_deltas().cloned().collect();
        if !self.options.diff {
            for line in lines(&deltas) {
                out.push(self.clip(&format!("{INDENT}{}: {}", line.subject, line.what)));
            }
            return;
        }
        let diff = diff::for_people(&deltas);
        let most = self.most(DIFF_LINES_MAX);
        for line in diff.iter().take(most) {
            out.push(self.clip(&format!("{INDENT}{}", line.painted(self.paint))));
        }
        if diff.len() > most {
            out.push(format!(
                "{INDENT}[... {} more lines; -v shows all]",
                diff.len() - most
            ));
        }
    }

    fn open_ends(&self) -> Vec<String> {
        let mut out = Vec::new();
        let owed = &self.record.owed;
        if !owed.is_empty() {
            out.push(String::new());
            out.push(
                self.paint
                    .bold("Handlers that were notified and have not run"),
            );
            for group in owed.chunk_by(|a, b| a.handler == b.handler) {
                let hosts: Vec<&str> = group.iter().map(|it| it.host.as_str()).collect();
                let name = sanitize::line(&group[0].handler, 60);
                out.push(self.clip(&format!("  {name}: {}", who(&hosts, usize::MAX))));
            }
        }
        let unknown: Vec<_> = self
            .record
            .results()
            .filter(|(_, it)| it.status == Status::Unknown && !self.record.check)
            .collect();
        if !unknown.is_empty() {
            out.push(String::new());
            out.push(self.paint.bold("What came of these is not known"));
            for (task, result) in unknown.iter().take(self.most(HOSTS_MAX)) {
                let name = sanitize::line(&task.name, 60);
                out.push(self.clip(&format!("  {}: {name}", sanitize::name(&result.host))));
            }
        }
        for host in self.record.hosts.iter().filter(|it| it.dropped.is_some()) {
            let reason = sanitize::line(host.dropped.as_deref().unwrap_or_default(), 300);
            let text = format!("  {} was given up: {reason}", sanitize::name(&host.host));
            out.push(self.clip(&text));
        }
        out
    }

    fn warnings(&self) -> Vec<String> {
        let warnings = &self.record.warnings;
        if warnings.is_empty() {
            return Vec::new();
        }
        let mut out = vec![String::new(), self.paint.bold("Warnings")];
        for it in warnings.iter().take(self.most(HOSTS_MAX)) {
            let host = it.host.as_ref().map(|host| format!("[{host}] "));
            let place = it.place.as_ref().map(|place| format!("{place}: "));
            let text = format!(
                "{}{}{}",
                place.unwrap_or_default(),
                host.unwrap_or_default(),
                it.text
            );
            out.push(self.clip(&format!("  {}", sanitize::line(&text, 1000))));
        }
        if warnings.len() > self.most(HOSTS_MAX) {
            out.push(format!(
                "  +{} more; -v shows all",
                warnings.len() - HOSTS_MAX
            ));
        }
        out
    }

    fn hosts(&self) -> Vec<String> {
        let hosts = &self.record.hosts;
        if hosts.is_empty() {
            return Vec::new();
        }
        let mut out = vec![String::new(), self.paint.bold("Hosts")];
        if hosts.len() > self.most(HOSTS_MAX) {
            let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
            for host in hosts {
                let counts = self.counts(host);
                match groups.iter_mut().find(|(known, _)| *known == counts) {
                    Some((_, names)) => names.push(&host.host),
                    None => groups.push((counts, vec![&host.host])),
                }
            }
            groups.sort_by_key(|(_, names)| names.len());
            for (counts, names) in groups.iter().take(HOSTS_MAX) {
                let text = format!("  {counts}   {}", who(names, hosts.len()));
                out.push(self.clip(&text));
            }
            if groups.len() > HOSTS_MAX {
                let rest: usize = groups[HOSTS_MAX..].iter().map(|it| it.1.len()).sum();
                out.push(format!("  +{rest} more hosts; -v shows all"));
            }
            return out;
        }
        let width = hosts
            .iter()
            .map(|it| console::measure_text_width(&sanitize::name(&it.host)))
            .max()
            .unwrap_or(0);
        for host in hosts {
            let name = sanitize::name(&host.host);
            let pad = " ".repeat(width.saturating_sub(console::measure_text_width(&name)));
            out.push(self.clip(&format!("  {name}{pad}  {}", self.counts(host))));
        }
        out
    }

    fn counts(&self, host: &HostRecord) -> String {
        let changed = if self.record.check {
            "would change"
        } else {
            "changed"
        };
        let all = [
            ("ok", host.ok, Status::Ok),
            (changed, host.changed, Status::Changed),
            ("failed", host.failed, Status::Failed),
            ("unreachable", host.unreachable, Status::Unreachable),
            ("unknown", host.unknown, Status::Unknown),
            ("skipped", host.skipped, Status::Skipped),
            ("rescued", host.rescued, Status::Ok),
            ("ignored", host.ignored, Status::Changed),
        ];
        let parts: Vec<String> = all
            .iter()
            .filter(|(word, count, _)| *count > 0 || *word == "ok")
            .map(|(word, count, status)| {
                let text = format!("{word} {count}");
                if *count > 0 {
                    self.paint.status(*status, &text)
                } else {
                    text
                }
            })
            .collect();
        parts.join("  ")
    }

    fn next_steps(&self) -> Vec<String> {
        let record = self.record;
        let mut lines = Vec::new();
        if record.resumable {
            lines.push(format!("hostler resume {} goes on with it", record.run));
        }
        let changed = record.results().any(|(_, it)| it.status == Status::Changed);
        if changed && !self.options.diff {
            lines.push("--diff shows the differences".to_owned());
        }
        if lines.is_empty() {
            return lines;
        }
        let mut out = vec![String::new()];
        out.extend(lines.iter().map(|it| self.paint.dim(&self.clip(it))));
        out
    }
}
