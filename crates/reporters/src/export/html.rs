//! A run as one page: no other file, no script, nothing from a network; failures first. Everything that comes from
//! hosts or files is escaped, with controls made visible.

use hostler_change::Change;
use hostler_events::Status;
use hostler_record::{Kind, Record, ResultRecord, State, TaskRecord};
use maud::{Markup, html};

use super::{TaskGroup, When, full_message, groups, word};
use crate::preview::html::kind;
use crate::preview::words::lines;
use crate::web::{self, names, plain};
use crate::{diff, sanitize, words};

/// Hosts up to which the table of all hosts stands open.
const OPEN_MAX: usize = 20;
/// Tasks up to which those that changed something stand open.
const TASKS_OPEN_MAX: usize = 40;
/// Lines of differences that stand open.
const DIFF_OPEN_MAX: usize = 60;

/// The page.
pub fn run_page(record: &Record, when: When<'_>) -> String {
    let title = format!(
        "Run {}: {} on {}",
        record.run,
        record.playbooks.join(", "),
        words::hosts(record.hosts.len())
    );
    let body = html! {
        (facts(record, when))
        (counts(record))
        (failures(record))
        (open_ends(record))
        (warnings(record))
        h2 { "Tasks" }
        (timeline(record))
        @for task in &record.tasks { (task_block(task, record)) }
        (hosts_table(record))
    };
    web::page(&title, MORE_STYLE, &body)
}

fn facts(record: &Record, when: When<'_>) -> Markup {
    let mut state = record.state.word().to_owned();
    if record.resumable {
        state.push_str(", can be resumed");
    }
    if let Some(code) = record.exit_code {
        state = format!("{state} (exit status {code})");
    }
    let mut rows = vec![
        ("State", state),
        ("Started", when(record.started_us)),
        ("Took", words::duration(record.elapsed_us)),
        ("By", record.by.clone()),
        ("Version", format!("hostler {}", record.version)),
    ];
    if record.check {
        rows.push(("Mode", "check mode: nothing was changed".to_owned()));
    }
    if record.resumed > 0 {
        rows.push(("Resumed", format!("{} times", record.resumed)));
    }
    rows.extend(record.stopped.iter().map(|it| ("Stopped", it.clone())));
    html! {
        table.facts {
            @for (name, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
                tr { th { (name) } td { (plain(text)) } }
            }
        }
    }
}

fn counts(record: &Record) -> Markup {
    let is = |wanted: fn(&hostler_record::HostRecord) -> bool| {
        record.hosts.iter().filter(|it| wanted(it)).count()
    };
    let changed = if record.check {
        "would change"
    } else {
        "changed"
    };
    let all = [
        (is(|it| it.failed > 0), "failed", "fail"),
        (is(|it| it.unreachable > 0), "unreachable", "fail"),
        (is(|it| it.unknown > 0), "with unknown outcome", "unknown"),
        (is(|it| it.changed > 0), changed, "change"),
        (
            is(|it| it.failed + it.unreachable + it.unknown + it.changed == 0),
            "unchanged",
            "same",
        ),
    ];
    html! {
        p.counts {
            @for (count, word, class) in all.iter().filter(|it| it.0 > 0) {
                span class=(class) { b { (count) } @if *count == 1 { " host " } @else { " hosts " } (word) } " "
            }
        }
    }
}

/// Failures that nothing took care of.
fn failures(record: &Record) -> Markup {
    let failed: Vec<_> = record
        .tasks
        .iter()
        .flat_map(|task| groups(task, false).into_iter().map(move |it| (task, it)))
        .filter(|(_, group)| group.result.is_failure())
        .collect();
    html! {
        @if !failed.is_empty() {
            h2 { "Failures" }
            @for (task, group) in &failed {
                div.failure {
                    p {
                        span.fail { (word(group.result, record.check)) } " "
                        b { (plain(&task.name)) } " on " (on(group))
                        @if let Some(place) = &task.place { " " small { (plain(place)) } }
                    }
                    (message(group.result))
                }
            }
        }
    }
}

fn on(group: &TaskGroup<'_>) -> String {
    let count = group.hosts.len();
    if count == 1 {
        names(&group.hosts)
    } else {
        format!("{count} hosts: {}", names(&group.hosts))
    }
}

fn message(result: &ResultRecord) -> Markup {
    let text = full_message(result);
    html! {
        @if !text.is_empty() { pre.message { (text) } }
        @if let Some(hint) = &result.hint { p.note { "Hint: " (plain(hint)) } }
    }
}

/// What was interrupted where, what is not known, and which handlers are owed.
fn open_ends(record: &Record) -> Markup {
    let unfinished: Vec<&TaskRecord> = record
        .tasks
        .iter()
        .filter(|it| !it.unfinished.is_empty())
        .collect();
    let title = if record.state == State::Running {
        "Running"
    } else {
        "Interrupted"
    };
    html! {
        @if !unfinished.is_empty() {
            h2 { (title) }
            ul {
                @for task in &unfinished {
                    li.unknown { b { (plain(&task.name)) } " on " (names(&task.unfinished)) ": began, no end is known" }
                }
            }
        }
        @if !record.owed.is_empty() {
            h2 { "Handlers that have not run" }
            ul {
                @for group in record.owed.chunk_by(|a, b| (&a.handler, &a.run) == (&b.handler, &b.run)) {
                    @let on: Vec<&str> = group.iter().map(|it| it.host.as_str()).collect();
                    li.unknown { b { (plain(&group[0].handler)) } " on " (names(&on)) }
                }
            }
        }
        @let dropped: Vec<_> = record.hosts.iter().filter(|it| it.dropped.is_some()).collect();
        @if !dropped.is_empty() {
            h2 { "Hosts that were given up" }
            ul { @for it in &dropped { li { (plain(&it.host)) ": " (plain(it.dropped.as_deref().unwrap_or_default())) } } }
        }
    }
}

fn warnings(record: &Record) -> Markup {
    html! {
        @if !record.warnings.is_empty() {
            h2 { "Warnings" }
            ul {
                @for it in &record.warnings {
                    li {
                        @if let Some(place) = &it.place { small { (plain(place)) } ": " }
                        @if let Some(host) = &it.host { "[" (plain(host)) "] " }
                        (plain(&it.text))
                    }
                }
            }
        }
    }
}

/// A bar for each task: when it began and how long it took of the whole run.
fn timeline(record: &Record) -> Markup {
    let whole = record.ended_us.saturating_sub(record.started_us).max(1);
    let part = |us: i64| {
        let thousandths = i128::from(us.clamp(0, whole)) * 1000 / i128::from(whole);
        format!("{}.{}%", thousandths / 10, thousandths % 10)
    };
    html! {
        table.timeline {
            @for task in &record.tasks {
                @let took = task.ended_us.saturating_sub(task.started_us).max(0);
                tr {
                    td { (sanitize::line(&task.name, 60)) }
                    td.number { (words::duration(u64::try_from(took).unwrap_or(0))) }
                    td.track {
                        div.bar.(class(worst(task)))
                            style={ "margin-left:" (part(task.started_us.saturating_sub(record.started_us))) ";width:" (part(took)) } {}
                    }
                }
            }
        }
    }
}

fn worst(task: &TaskRecord) -> Status {
    let shown = |it: &ResultRecord| {
        if it.ignored || it.rescued {
            Status::Ok
        } else {
            it.status
        }
    };
    // Whether a host is fine is not known before its task has ended.
    let open = task.unfinished.iter().map(|_| Status::Unknown);
    let all = task.results.iter().map(shown).chain(open);
    let rank = |it: &Status| match it {
        Status::Skipped => 0,
        Status::Ok => 1,
        Status::Changed => 2,
        Status::Unknown => 3,
        Status::Unreachable => 4,
        Status::Failed => 5,
    };
    all.max_by_key(rank).unwrap_or(Status::Ok)
}

fn class(status: Status) -> &'static str {
    match status {
        Status::Ok => "same",
        Status::Changed => "change",
        Status::Skipped => "skip",
        Status::Failed | Status::Unreachable => "fail",
        Status::Unknown => "unknown",
    }
}

fn task_block(task: &TaskRecord, record: &Record) -> Markup {
    let status = worst(task);
    let groups = groups(task, true);
    let matters = !matches!(status, Status::Ok | Status::Skipped);
    let few = record.tasks.len() <= TASKS_OPEN_MAX;
    html! {
        details.task open[matters && few] {
            summary {
                span class=(class(status)) { (tally(task, record.check)) } " "
                @if task.kind == Kind::Handler { "handler " }
                b { (plain(&task.name)) }
                small { " " (plain(&task.module)) @if let Some(place) = &task.place { ", " (plain(place)) } ", play " (plain(record.play_of(task))) }
            }
            @for group in &groups { (group_block(group, record.check)) }
            @if !task.unfinished.is_empty() {
                p.unknown { "began on " (names(&task.unfinished)) ", no end is known" }
            }
        }
    }
}

/// `3 failed, 197 ok`.
fn tally(task: &TaskRecord, check: bool) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let mut results: Vec<&ResultRecord> = task.results.iter().collect();
    results.sort_by_key(|it| std::cmp::Reverse(it.status));
    for result in results {
        let word = word(result, check);
        match counts.iter_mut().find(|it| it.0 == word) {
            Some(it) => it.1 += 1,
            None => counts.push((word, 1)),
        }
    }
    if !task.unfinished.is_empty() {
        counts.push(("unfinished", task.unfinished.len()));
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    parts.join(", ")
}

fn group_block(group: &TaskGroup<'_>, check: bool) -> Markup {
    let result = group.result;
    html! {
        div.group {
            p {
                span class=(class(result.status)) { (word(result, check)) }
                @if result.censored { " (hidden by no_log)" }
                @if let Some(host) = &result.delegated_to { " by " (plain(host)) }
                @if result.attempts > 1 { " after " (result.attempts) " attempts" }
                " on " (on(group)) " "
                small { (words::duration(result.duration_us)) }
            }
            @if group.mixed { p.note { "They differ; only the status is told." } } @else {
                @if group.hosts.len() > 1 && result.all_deltas().next().is_some() {
                    p.note { "Shown for " (plain(&result.host)) "; the others differ in their own names at most." }
                }
                (message(result))
                (changes(result))
            }
        }
    }
}

fn changes(result: &ResultRecord) -> Markup {
    let lines = lines(result.all_deltas());
    let texts: Vec<_> = result
        .all_deltas()
        .filter(|it| matches!(it.change, Change::Text { .. }))
        .cloned()
        .collect();
    let diffs = diff::for_people(&texts);
    html! {
        @if !lines.is_empty() {
            ul.changes { @for line in &lines { li { code { (line.subject) } ": " (line.what) } } }
        }
        @if !diffs.is_empty() {
            details.diff open[diffs.len() <= DIFF_OPEN_MAX] {
                summary { "differences" }
                pre { @for line in &diffs { span class=(kind(line.kind)) { (line.text) "\n" } } }
            }
        }
    }
}

fn hosts_table(record: &Record) -> Markup {
    let mut rows: Vec<_> = record.hosts.iter().collect();
    rows.sort_by_key(|it| std::cmp::Reverse((it.failed, it.unreachable, it.unknown)));
    html! {
        h2 { "Hosts" }
        details open[rows.len() <= OPEN_MAX] {
            summary { (words::hosts(rows.len())) }
            table.hosts {
                thead { tr { @for head in ["host", "ok", "changed", "failed", "unreachable", "unknown", "skipped", "rescued", "ignored"] { th { (head) } } } }
                tbody {
                    @for it in &rows {
                        tr {
                            td { (sanitize::name(&it.host)) }
                            @for (count, class) in [
                                (it.ok, "same"), (it.changed, "change"), (it.failed, "fail"), (it.unreachable, "fail"),
                                (it.unknown, "unknown"), (it.skipped, "skip"), (it.rescued, "same"), (it.ignored, "same"),
                            ] {
                                td.number.(class) { @if count > 0 { (count) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

const MORE_STYLE: &str = "
.failure{border-left:.25rem solid #b3141d;padding:.1rem .8rem;margin:.5rem 0}.failure p{margin:.2rem 0}
.timeline{width:100%;table-layout:auto}.track{width:50%;padding:0}.track .bar{height:.7rem;min-width:2px;background:currentColor;border-radius:.15rem}
.timeline td{white-space:nowrap;padding-top:0;padding-bottom:0}
";
