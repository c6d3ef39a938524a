//! A preview as one page: no other file, no script, nothing from a network; it can be printed, and attached to a change
//! request. Everything that comes from hosts or files is escaped, with controls made visible.

use hostler_preview::{Fate, FoldedGroup, Outcome, Preview, TaskPreview, fold_hosts, fold_task};
use maud::{Markup, html};

use super::words;
use crate::diff::{self, Kind};
use crate::sanitize;
use crate::web::{self, names, plain};

/// Hosts up to which the table of all hosts stands open.
const OPEN_MAX: usize = 20;

/// What a page needs beside the preview: times in words, decided by the caller's time zone.
#[derive(Clone, Debug, Default)]
pub struct PageFacts {
    /// When the preview was made.
    pub made: String,
    /// Until when its plan holds, if it is one.
    pub expires: Option<String>,
}

/// The page.
pub fn page(preview: &Preview, facts: &PageFacts) -> String {
    let made = &preview.made;
    let title = format!(
        "Plan: {} on {} hosts",
        made.playbooks.join(", "),
        preview.hosts.len()
    );
    let body = html! {
        (who(preview, facts))
        (counts(preview))
        (sets(preview))
        (notes(preview))
        h2 { "Tasks" }
        @for task in &preview.tasks { (task_block(task, preview)) }
        (hosts_table(preview))
        (inputs(preview))
    };
    web::page(&title, "", &body)
}

fn who(preview: &Preview, facts: &PageFacts) -> Markup {
    let made = &preview.made;
    let mut rows = vec![
        (
            "Made",
            format!("{} by {} on {}", facts.made, made.user, made.controller),
        ),
        ("By", format!("hostler {}, run {}", made.version, made.run)),
        ("Inventory", made.inventory.join(", ")),
    ];
    rows.extend(facts.expires.clone().map(|it| ("Expires", it)));
    rows.extend(made.limit.clone().map(|it| ("Limit", it)));
    for (name, list) in [
        ("Tags", &made.tags),
        ("Without tags", &made.skip_tags),
        ("Extra variables", &made.extra_vars),
    ] {
        if !list.is_empty() {
            rows.push((name, list.join(", ")));
        }
    }
    html! {
        table.facts {
            @for (name, text) in &rows { tr { th { (name) } td { (plain(text)) } } }
        }
    }
}

fn counts(preview: &Preview) -> Markup {
    let all = preview.sum().by_fate();
    html! {
        p.counts {
            @for (count, fate) in all { span class=(class(fate)) { b { (count) } " " (fate.words()) } " " }
        }
    }
}

fn sets(preview: &Preview) -> Markup {
    let folded = fold_hosts(preview);
    html! {
        h2 { "Hosts with the same changes" }
        ul {
            @for set in &folded.groups {
                li {
                    b { (set.hosts.len()) @if set.hosts.len() == 1 { " host" } @else { " hosts" } }
                    ": " (names(&set.hosts)) " — " (set.would_change.len()) " changes"
                    @let lines = set.lines();
                    @if !lines.is_empty() {
                        details { summary { "how they differ from the first" } ul { @for line in &lines { li { (plain(line)) } } } }
                    }
                }
            }
        }
    }
}

/// Handlers, services, what is not known, what would fail, warnings.
fn notes(preview: &Preview) -> Markup {
    html! {
        @if !preview.handlers.is_empty() {
            h2 { "Handlers" }
            ul {
                @for it in &preview.handlers {
                    @for (on, verb) in [(&it.would_run, "would run"), (&it.may_run, "may run")] {
                        @if !on.is_empty() {
                            li { b { (plain(&it.name)) } " " (verb) " on " (on.len()) " hosts: " (names(on)) ", notified by " (plain(&it.notified_by.join(", "))) }
                        }
                    }
                }
            }
        }
        @if !preview.restarts.is_empty() {
            h2 { "Services" }
            ul { @for it in &preview.restarts { li { b { (plain(&it.unit)) } ": " (plain(&it.what)) " on " (it.hosts.len()) " hosts: " (names(&it.hosts)) } } }
        }
        @if !preview.unknown.is_empty() {
            h2 { "Decided at run time" }
            ul {
                @for it in &preview.unknown {
                    li.unknown {
                        b { (plain(&it.name)) } " on " (names(&it.hosts))
                        @for cause in &it.until { " — until " (plain(&cause.words())) }
                    }
                }
            }
        }
        @if !preview.warnings.is_empty() {
            h2 { "Warnings" }
            ul { @for it in &preview.warnings { li { (plain(it)) } } }
        }
    }
}

fn task_block(task: &TaskPreview, preview: &Preview) -> Markup {
    let groups = fold_task(task);
    let worst = groups
        .iter()
        .map(|it| it.outcome.fate)
        .max()
        .unwrap_or_default();
    let matters = groups.iter().any(|it| it.outcome.matters());
    let play = preview
        .plays
        .get(task.play as usize)
        .map_or("", |it| it.name.as_str());
    html! {
        details.task open[matters] {
            summary {
                span class=(class(worst)) { (worst.words()) } " "
                @if task.handler { "handler " }
                b { (plain(&task.name)) }
                small { " " (plain(&task.module)) ", " (plain(&task.place)) ", play " (plain(play)) }
            }
            @for group in &groups { (group_block(group)) }
        }
    }
}

fn group_block(group: &FoldedGroup<'_>) -> Markup {
    let outcome = group.outcome;
    let count = group.hosts.len();
    html! {
        div.group {
            p {
                span class=(class(outcome.fate)) { (outcome.fate.words()) }
                @if outcome.ignored { " (ignored)" }
                @if outcome.rescued { " (rescued)" }
                @if outcome.censored { " (hidden by no_log)" }
                @if outcome.incomplete { " (more may follow)" }
                @if let Some(host) = &outcome.delegated_to { " by " (plain(host)) }
                " on " @if count == 1 { "1 host: " } @else { (count) " hosts: " } (names(&group.hosts))
            }
            @if group.named && count > 1 { p.note { "Shown for " (plain(group.shown)) "; the others differ in their own names." } }
            @if let Some(message) = &outcome.message { pre.message { (sanitize::text(message)) } }
            @if let Some(hint) = &outcome.hint { p.note { "Hint: " (plain(hint)) } }
            @for cause in &outcome.unknown { p.unknown { "Unknown until " (plain(&cause.words())) } }
            (changes(outcome))
        }
    }
}

fn changes(outcome: &Outcome) -> Markup {
    let lines = words::lines(outcome.all_deltas());
    let texts: Vec<_> = outcome
        .all_deltas()
        .filter(|it| matches!(it.change, hostler_change::Change::Text { .. }))
        .cloned()
        .collect();
    let diffs = diff::for_people(&texts);
    html! {
        @if !lines.is_empty() {
            ul.changes { @for line in &lines { li { code { (line.subject) } ": " (line.what) } } }
        }
        @for item in outcome.items.iter().filter(|it| it.fate == Fate::WouldFail) {
            p class=(class(item.fate)) { (plain(&item.label)) ": " (plain(item.message.as_deref().unwrap_or_default())) }
        }
        @if !diffs.is_empty() {
            details.diff open[diffs.len() <= 60] {
                summary { "differences" }
                pre { @for line in &diffs { span class=(kind(line.kind)) { (line.text) "\n" } } }
            }
        }
    }
}

pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Header => "head",
        Kind::Hunk => "hunk",
        Kind::Add => "add",
        Kind::Remove => "del",
        Kind::Context | Kind::Note | Kind::Fact => "ctx",
    }
}

fn hosts_table(preview: &Preview) -> Markup {
    html! {
        h2 { "Hosts" }
        details open[preview.totals.len() <= OPEN_MAX] {
            summary { (preview.totals.len()) " hosts" }
            table.hosts {
                thead { tr { th { "host" } th { "would change" } th { "unknown" } th { "would fail" } th { "unreachable" } th { "no change" } th { "skipped" } } }
                tbody {
                    @for row in &preview.totals {
                        @let it = &row.totals;
                        tr {
                            td { (sanitize::name(&row.host)) }
                            @for count in [it.would_change, it.unknown, it.would_fail, it.unreachable, it.no_change, it.skipped] {
                                td.number { @if count > 0 { (count) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn inputs(preview: &Preview) -> Markup {
    let made = &preview.made;
    html! {
        h2 { "Inputs" }
        details {
            summary { (made.inputs.len()) " files, " (made.origins.len()) " variables" }
            table.hosts {
                @for it in &made.inputs { tr { td { (plain(&it.path)) } td { code { (plain(&it.sha256)) } } } }
            }
            table.hosts {
                @for it in &made.origins { tr { td { code { (plain(&it.variable)) } } td { (plain(&it.origin)) } td { (names(&it.hosts)) } } }
            }
        }
    }
}

fn class(fate: Fate) -> &'static str {
    match fate {
        Fate::WouldChange => "change",
        Fate::NoChange => "same",
        Fate::Unknown => "unknown",
        Fate::WouldFail | Fate::Unreachable => "fail",
        Fate::Skipped => "skip",
    }
}
