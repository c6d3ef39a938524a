//! A preview as lines: a block for each task that matters, then what the fleet has in common, handlers, services, what
//! is not known, what would fail, and counts.

use std::collections::BTreeMap;

use hostler_events::Status;
use hostler_preview::{
    Fate, FoldedGroup, Likeness, Preview, TaskPreview, fold_hosts, fold_task, fold_task_by,
};

use super::words;
use crate::style::Paint;
use crate::{Options, diff, hosts, sanitize};

/// Groups of one task that are shown; `-v` shows all.
const GROUPS_MAX: usize = 6;
/// Lines about one group without diffs; `-v` shows all.
const LINES_MAX: usize = 8;
/// Lines of one group's diffs; `-v` shows all.
const DIFF_LINES_MAX: usize = 60;
/// Sets of changes that are told one by one.
const SETS_MAX: usize = 12;

/// The whole preview.
pub fn preview_text(preview: &Preview, options: &Options) -> String {
    let page = Page::new(preview, options);
    let mut lines = page.tasks();
    lines.extend(page.summary());
    lines.splice(0..0, page.warnings());
    finish(&lines)
}

/// Without the tasks, for where they were told already.
pub fn preview_summary(preview: &Preview, options: &Options) -> String {
    finish(&Page::new(preview, options).summary())
}

fn finish(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

struct Page<'a> {
    preview: &'a Preview,
    options: &'a Options,
    paint: Paint,
}

impl<'a> Page<'a> {
    fn new(preview: &'a Preview, options: &'a Options) -> Self {
        Page {
            preview,
            options,
            paint: Paint::new(options.color),
        }
    }

    fn all(&self) -> bool {
        self.options.verbosity > 0
    }

    fn clip(&self, text: &str) -> String {
        sanitize::clip(text, self.options.width)
    }

    /// `200 hosts`, or the names where they are few.
    fn who<S: AsRef<str>>(&self, names: &[S]) -> String {
        let all = names.len() == self.preview.hosts.len();
        if all && names.len() > 1 {
            return format!("all {} hosts", names.len());
        }
        let folded = names_line(names, 40);
        if names.len() > 3 {
            format!("{} hosts ({folded})", names.len())
        } else {
            folded
        }
    }

    fn tasks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut play = None;
        for task in &self.preview.tasks {
            let likeness = if self.options.diff {
                Likeness::Exact
            } else {
                Likeness::Shape
            };
            let groups = fold_task_by(task, likeness);
            let shown: Vec<&FoldedGroup<'_>> = groups
                .iter()
                .filter(|it| it.outcome.matters() && self.speaks(it))
                .collect();
            if shown.is_empty() {
                continue;
            }
            if play != Some(task.play) {
                play = Some(task.play);
                lines.extend(self.play(task.play));
            }
            self.task(task, &shown, &mut lines);
        }
        lines
    }

    /// `-q`: only what would fail.
    fn speaks(&self, group: &FoldedGroup<'_>) -> bool {
        !self.options.quiet || matches!(group.outcome.fate, Fate::WouldFail | Fate::Unreachable)
    }

    fn play(&self, index: u32) -> Vec<String> {
        let Some(play) = self.preview.plays.get(index as usize) else {
            return Vec::new();
        };
        let batch = play
            .batch
            .map(|(number, of)| format!(", batch {number} of {of}"));
        let head = format!(
            "PLAY {}{}",
            sanitize::name(&play.name),
            batch.unwrap_or_default()
        );
        vec![String::new(), self.paint.bold(&self.clip(&head))]
    }

    fn task(&self, task: &TaskPreview, groups: &[&FoldedGroup<'_>], lines: &mut Vec<String>) {
        let most = if self.all() { usize::MAX } else { GROUPS_MAX };
        let kind = if task.handler { "handler " } else { "" };
        let name = format!("{kind}{}", sanitize::line(&task.name, 60));
        for (at, group) in groups.iter().take(most).enumerate() {
            let title = if at == 0 { name.as_str() } else { "" };
            self.group(title, name.chars().count(), group, lines);
        }
        if groups.len() > most {
            let rest: usize = groups[most..].iter().map(|it| it.hosts.len()).sum();
            let text = format!(
                "    +{} other outcomes on {rest} hosts; -v shows all",
                groups.len() - most
            );
            lines.push(self.paint.dim(&text));
        }
    }

    /// One line where it fits, else a line for each thing below.
    fn group(&self, title: &str, width: usize, group: &FoldedGroup<'_>, lines: &mut Vec<String>) {
        let outcome = group.outcome;
        let who = self.who(&group.hosts);
        let mark = self.mark(outcome.fate);
        let mut parts = vec![who];
        if outcome.fate != Fate::WouldChange {
            parts.push(self.painted(outcome.fate, outcome.fate.words()));
        }
        parts.extend(outcome.ignored.then(|| "ignored".to_owned()));
        parts.extend(outcome.rescued.then(|| "rescued".to_owned()));
        parts.extend(outcome.censored.then(|| "hidden by no_log".to_owned()));
        parts.extend(outcome.incomplete.then(|| "more may follow".to_owned()));
        if group.variants > 1 {
            parts.push(format!("{} different texts", group.variants));
        }
        if let Some(host) = &outcome.delegated_to {
            parts.push(format!("by {}", sanitize::name(host)));
        }
        let column = 34.max(width.min(46));
        let head = format!("{mark} {title:<column$}  {}", parts.join(", "));
        let details = self.details(group);
        let one = format!("{}  {}", head, details.first().map_or("", String::as_str));
        let fits = console::measure_text_width(&one) <= self.options.width;
        if details.len() == 1 && fits && !self.options.diff {
            lines.push(one);
            return;
        }
        lines.push(head.trim_end().to_owned());
        lines.extend(details.iter().map(|it| self.clip(&format!("      {it}"))));
    }

    fn details(&self, group: &FoldedGroup<'_>) -> Vec<String> {
        let outcome = group.outcome;
        let mut details: Vec<String> = Vec::new();
        if let Some(message) = &outcome.message {
            details.extend(message.lines().take(3).map(|it| sanitize::line(it, 400)));
        }
        details.extend(
            outcome
                .hint
                .iter()
                .map(|it| format!("hint: {}", sanitize::line(it, 300))),
        );
        let mut until: Vec<String> = outcome
            .unknown
            .iter()
            .map(|it| sanitize::line(&it.words(), 100))
            .collect();
        until.extend(
            outcome
                .items
                .iter()
                .flat_map(|it| it.unknown.iter().map(|it| sanitize::line(&it.words(), 100))),
        );
        until.dedup();
        let said = outcome.message.as_deref().unwrap_or_default();
        if !until.is_empty() && !said.contains("unknown until") {
            details.push(format!("unknown until {}", until.join(" and ")));
        }
        for item in outcome.items.iter().filter(|it| it.fate == Fate::WouldFail) {
            let message = item.message.as_deref().unwrap_or_default();
            details.push(format!(
                "{}: {}",
                sanitize::line(&item.label, 60),
                sanitize::line(message, 300)
            ));
        }
        if self.options.diff {
            details.extend(self.diffs(group));
        } else {
            let most = if self.all() { usize::MAX } else { LINES_MAX };
            let all = words::lines(outcome.all_deltas());
            let more = all.len().saturating_sub(most);
            details.extend(
                all.into_iter()
                    .take(most)
                    .map(|it| format!("{}: {}", it.subject, it.what)),
            );
            if more > 0 {
                details.push(self.paint.dim(&format!("+{more} more; -v shows all")));
            }
        }
        details
    }

    fn diffs(&self, group: &FoldedGroup<'_>) -> Vec<String> {
        let deltas: Vec<_> = group.outcome.all_deltas().cloned().collect();
        let all = diff::for_people(&deltas);
        let most = if self.all() {
            usize::MAX
        } else {
            DIFF_LINES_MAX
        };
        let more = all.len().saturating_sub(most);
        let mut lines: Vec<String> = Vec::new();
        if group.named && group.hosts.len() > 1 {
            let shown = sanitize::name(group.shown);
            lines.push(self.paint.dim(&format!(
                "shown for {shown}; the others differ in their own names"
            )));
        }
        lines.extend(all.iter().take(most).map(|it| it.painted(self.paint)));
        if more > 0 {
            lines.push(self.paint.dim(&format!("+{more} more lines; -v shows all")));
        }
        lines
    }

    fn mark(&self, fate: Fate) -> String {
        let mark = match fate {
            Fate::WouldChange => "~",
            Fate::Unknown => "?",
            Fate::WouldFail => "!",
            Fate::Unreachable => "x",
            Fate::NoChange | Fate::Skipped => " ",
        };
        self.painted(fate, mark)
    }

    fn painted(&self, fate: Fate, text: &str) -> String {
        self.paint.status(status(fate), text)
    }

    fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.sets(&mut lines);
        self.handlers(&mut lines);
        self.restarts(&mut lines);
        self.unknown(&mut lines);
        self.failures(&mut lines);
        lines.push(String::new());
        lines.push(self.counts());
        lines
    }

    /// What was told while it ran has scrolled by, or was not shown at all.
    fn warnings(&self) -> Vec<String> {
        let most = if self.all() { usize::MAX } else { LINES_MAX };
        let all = &self.preview.warnings;
        let shown = all.iter().take(most).map(|it| {
            let text = format!("warning: {}", sanitize::line(it, 400));
            self.paint.yellow(&self.clip(&text))
        });
        let mut lines: Vec<String> = shown.collect();
        if all.len() > most {
            lines.push(self.paint.dim(&format!(
                "+{} more warnings; -v shows all",
                all.len() - most
            )));
        }
        lines
    }

    /// What hosts have in common, and those that differ.
    fn sets(&self, lines: &mut Vec<String>) {
        let folded = fold_hosts(self.preview);
        if self.preview.hosts.len() < 2 {
            return;
        }
        let Some((base, others)) = folded.groups.split_first() else {
            return;
        };
        lines.push(String::new());
        let same = if base.hosts.len() == 1 || base.would_change.is_empty() {
            ""
        } else {
            "the same "
        };
        let text = format!(
            "{}: {same}{}",
            self.who(&base.hosts),
            counted(base.would_change.len(), "change")
        );
        lines.push(self.paint.bold(&text));
        let most = if self.all() { usize::MAX } else { SETS_MAX };
        for set in others.iter().take(most) {
            let told = set.lines();
            let who = self.who(&set.hosts);
            let same = base.would_change.len() - set.lacks.len().min(base.would_change.len());
            if told.len() == 1 {
                lines.push(self.clip(&format!("  {who}: {}", sanitize::line(&told[0], 400))));
                continue;
            }
            if told.len() > base.would_change.len() && set.would_change.is_empty() {
                lines.push(format!("  {who}: no changes"));
                continue;
            }
            lines.push(self.clip(&format!("  {who}: {same} of the same")));
            let shown = if self.all() { usize::MAX } else { LINES_MAX };
            lines.extend(
                told.iter()
                    .take(shown)
                    .map(|it| self.clip(&format!("    {}", sanitize::line(it, 400)))),
            );
            if told.len() > shown {
                lines.push(
                    self.paint
                        .dim(&format!("    +{} more; -v shows all", told.len() - shown)),
                );
            }
        }
        if others.len() > most {
            let rest: usize = others[most..].iter().map(|it| it.hosts.len()).sum();
            lines.push(self.paint.dim(&format!(
                "  +{} other sets of changes on {rest} hosts; -v shows all",
                others.len() - most
            )));
        }
    }

    fn handlers(&self, lines: &mut Vec<String>) {
        for (at, handler) in self.preview.handlers.iter().enumerate() {
            if at == 0 {
                lines.push(String::new());
                lines.push(self.paint.bold("Handlers"));
            }
            let by: Vec<String> = handler
                .notified_by
                .iter()
                .map(|it| sanitize::line(it, 60))
                .collect();
            let by = format!("notified by {}", by.join(", "));
            for (hosts, verb) in [
                (&handler.would_run, "would run"),
                (&handler.may_run, "may run"),
            ] {
                if !hosts.is_empty() {
                    let name = sanitize::line(&handler.name, 60);
                    lines
                        .push(self.clip(&format!("  {name}: {verb} on {}, {by}", self.who(hosts))));
                }
            }
        }
    }

    fn restarts(&self, lines: &mut Vec<String>) {
        for (at, restart) in self.preview.restarts.iter().enumerate() {
            if at == 0 {
                lines.push(String::new());
                lines.push(self.paint.bold("Services"));
            }
            let (unit, what) = (
                sanitize::line(&restart.unit, 80),
                sanitize::line(&restart.what, 80),
            );
            lines.push(self.clip(&format!("  {unit}: {what} on {}", self.who(&restart.hosts))));
        }
    }

    fn unknown(&self, lines: &mut Vec<String>) {
        for (at, unknown) in self.preview.unknown.iter().enumerate() {
            if at == 0 {
                lines.push(String::new());
                lines.push(self.paint.bold("Decided at run time"));
            }
            let until: Vec<String> = unknown
                .until
                .iter()
                .map(|it| sanitize::line(&it.words(), 60))
                .collect();
            let until = if until.is_empty() {
                String::new()
            } else {
                format!(", until {}", until.join(" and "))
            };
            let name = sanitize::line(&unknown.name, 60);
            lines.push(self.clip(&format!("  {name}: on {}{until}", self.who(&unknown.hosts))));
        }
    }

    fn failures(&self, lines: &mut Vec<String>) {
        let mut found: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
        for task in &self.preview.tasks {
            for group in fold_task(task) {
                let bad = matches!(group.outcome.fate, Fate::WouldFail | Fate::Unreachable);
                if bad && !group.outcome.ignored && !group.outcome.rescued {
                    let why = group
                        .outcome
                        .message
                        .as_deref()
                        .and_then(|it| it.lines().next());
                    let why = format!(
                        "{}: {}",
                        group.outcome.fate.words(),
                        why.unwrap_or("(hidden)")
                    );
                    found
                        .entry((&task.name, why))
                        .or_default()
                        .extend(&group.hosts);
                }
            }
        }
        if found.is_empty() {
            return;
        }
        lines.push(String::new());
        lines.push(self.paint.red("Would fail"));
        for ((task, why), hosts) in found {
            let task = sanitize::line(task, 60);
            lines.push(self.clip(&format!(
                "  {task} on {}: {}",
                self.who(&hosts),
                sanitize::line(&why, 300)
            )));
        }
    }

    fn counts(&self) -> String {
        let all = self.preview.sum().by_fate();
        let parts: Vec<String> = all
            .iter()
            .filter(|(count, fate)| *count > 0 || *fate == Fate::WouldChange)
            .map(|(count, fate)| self.painted(*fate, &format!("{count} {}", fate.words())))
            .collect();
        let head = format!(
            "Preview of {} in {}",
            counted(self.preview.hosts.len(), "host"),
            crate::words::duration(self.preview.made.elapsed_us)
        );
        format!(
            "{}: {}. Nothing was changed.",
            self.paint.bold(&head),
            parts.join(", ")
        )
    }
}

/// `web[001-198]`, in so many columns.
fn names_line<S: AsRef<str>>(names: &[S], columns: usize) -> String {
    let names: Vec<String> = names.iter().map(|it| sanitize::name(it.as_ref())).collect();
    hosts::fold_line(&names, columns.max(20))
}

fn counted(count: usize, word: &str) -> String {
    match count {
        0 => format!("no {word}s"),
        1 => format!("1 {word}"),
        many => format!("{many} {word}s"),
    }
}

/// For colours.
fn status(fate: Fate) -> Status {
    match fate {
        Fate::WouldChange => Status::Changed,
        Fate::NoChange => Status::Ok,
        Fate::Unknown => Status::Unknown,
        Fate::WouldFail => Status::Failed,
        Fate::Skipped => Status::Skipped,
        Fate::Unreachable => Status::Unreachable,
    }
}
