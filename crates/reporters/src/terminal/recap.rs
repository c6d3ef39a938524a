//! The end of a run: what matters first, equal hosts in one line.

use std::collections::BTreeMap;

use hostler_events::{Counts, Recap, Status, TaskInfo, TaskResult};

use super::failure;
use super::task::Context;
use crate::fold::without_host;
use crate::owed::Owed;
use crate::{hosts, sanitize, words};

/// Up to this many hosts each have a line.
const SINGLE_MAX: usize = 20;
/// Most lines of groups for hosts that are well.
const GROUPS_MAX: usize = 20;
/// Most hosts named in the `--limit` that is suggested.
const LIMIT_MAX: usize = 8;

/// Why a host dropped out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    task: String,
    /// The first line of the message, with the host's own name as `{host}`.
    message: String,
}

impl Trouble {
    pub(super) fn of(task: &TaskInfo, host: &str, result: &TaskResult) -> Self {
        let message = match (&result.status, &result.unreachable) {
            (Status::Unreachable, Some(why)) => why.reason.clone(),
            (Status::Unknown, _) => words::unknown(result.message.as_deref(), false).to_owned(),
            _ => failure::message(result),
        };
        let first = message.lines().next().unwrap_or_default();
        Trouble {
            task: sanitize::line(&task.name, 60),
            message: without_host(&sanitize::line(first, 300), host),
        }
    }
}

/// What the recap is made of.
pub(super) struct Summary<'a> {
    pub recap: &'a Recap,
    pub troubles: &'a BTreeMap<String, Trouble>,
    pub exit_code: u8,
    pub elapsed_us: u64,
    pub bytes: (u64, u64),
    pub round_trips: u64,
    pub owed: &'a Owed,
    pub run: &'a str,
    pub resumable: bool,
}

/// How a host came out, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Fate {
    Failed,
    Unreachable,
    /// What a task did there is not known. In a preview that is no trouble, and no fate.
    Unknown,
    Rescued,
    Changed,
    Ok,
}

impl Fate {
    fn of(counts: &Counts, check: bool) -> Self {
        if counts.failed > 0 {
            Fate::Failed
        } else if counts.unreachable > 0 {
            Fate::Unreachable
        } else if counts.unknown > 0 && !check {
            Fate::Unknown
        } else if counts.rescued + counts.ignored > 0 {
            Fate::Rescued
        } else if counts.changed > 0 {
            Fate::Changed
        } else {
            Fate::Ok
        }
    }

    fn status(self) -> Status {
        match self {
            Fate::Failed => Status::Failed,
            Fate::Unreachable => Status::Unreachable,
            Fate::Unknown => Status::Unknown,
            Fate::Rescued | Fate::Changed => Status::Changed,
            Fate::Ok => Status::Ok,
        }
    }

    fn word(self, check: bool) -> &'static str {
        match self {
            Fate::Rescued => "with failures",
            other => words::status(other.status(), check),
        }
    }
}

struct Row<'a> {
    fate: Fate,
    counts: Option<Counts>,
    trouble: Option<&'a Trouble>,
    hosts: Vec<String>,
}

pub(super) fn lines(summary: &Summary<'_>, context: &Context) -> Vec<String> {
    let paint = context.paint;
    let mut lines = vec![String::new()];
    let total = summary.recap.hosts.len();
    let rows = rows(summary, total > SINGLE_MAX, context.check);
    let counts_width = rows
        .iter()
        .filter_map(|row| row.counts.as_ref())
        .map(|counts| words::counts(counts, context.check).len())
        .max()
        .unwrap_or(0);
    lines.push(paint.cyan("RECAP"));
    let names_width = rows
        .iter()
        .map(|row| sanitize::name(&row.hosts[0]).chars().count())
        .max()
        .unwrap_or(0)
        .min(40);
    for row in &rows {
        let well = row.fate > Fate::Unknown;
        if context.options.quiet && well {
            continue;
        }
        let counts = row
            .counts
            .as_ref()
            .map(|counts| words::counts(counts, context.check))
            .unwrap_or_default();
        let word = row.fate.word(context.check);
        let lead = paint.status(row.fate.status(), &format!("  {word:<13} "));
        let names: Vec<String> = row.hosts.iter().map(|host| sanitize::name(host)).collect();
        if total > SINGLE_MAX {
            let many = words::hosts(names.len());
            let used = 16 + 11 + counts_width + 2;
            let room = context.options.width.saturating_sub(used);
            let names = if names.len() == total {
                String::new()
            } else {
                hosts::fold_line(&names, room.max(20))
            };
            let line = format!("{lead}{many:>9}  {counts:<counts_width$}  {names}");
            lines.push(line.trim_end().to_owned());
        } else {
            let line = format!("{lead}{:<names_width$}  {counts}", names[0]);
            lines.push(line.trim_end().to_owned());
        }
        if let Some(trouble) = row.trouble {
            let message = match row.hosts.as_slice() {
                [host] => trouble.message.replace("{host}", &sanitize::name(host)),
                _ => trouble.message.clone(),
            };
            let text = format!("{}: {message}", trouble.task);
            let room = context.options.width.saturating_sub(16);
            lines.push(format!(
                "                {}",
                paint.dim(&sanitize::clip(&text, room))
            ));
        }
    }
    lines.push(String::new());
    lines.extend(footer(summary, context));
    lines
}

/// Hosts in order of what matters; with `folded`, those with equal counts and trouble in one row.
fn rows<'a>(summary: &'a Summary<'_>, folded: bool, check: bool) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for (host, counts) in &summary.recap.hosts {
        let fate = Fate::of(counts, check);
        let trouble = summary.troubles.get(host).filter(|_| fate <= Fate::Unknown);
        let same = rows
            .iter_mut()
            .filter(|_| folded)
            .find(|row| row.fate == fate && row.trouble == trouble && row.counts == Some(*counts));
        match same {
            Some(row) => row.hosts.push(host.clone()),
            None => rows.push(Row {
                fate,
                counts: Some(*counts),
                trouble,
                hosts: vec![host.clone()],
            }),
        }
    }
    rows.sort_by_key(|row| (row.fate, std::cmp::Reverse(row.hosts.len())));
    if folded { merge_small(rows) } else { rows }
}

/// Keeps the recap short: of each fate the largest groups stay, and the rest is one row without counts.
fn merge_small(rows: Vec<Row<'_>>) -> Vec<Row<'_>> {
    let mut kept: Vec<Row<'_>> = Vec::new();
    for row in rows {
        let of_fate = kept.iter().filter(|it| it.fate == row.fate).count();
        if of_fate < GROUPS_MAX {
            kept.push(row);
            continue;
        }
        if let Some(last) = kept.iter_mut().rfind(|it| it.fate == row.fate) {
            if of_fate == GROUPS_MAX && last.counts.is_some() {
                let Row { fate, hosts, .. } = row;
                kept.push(Row {
                    fate,
                    counts: None,
                    trouble: None,
                    hosts,
                });
            } else {
                last.hosts.extend(row.hosts);
            }
        }
    }
    kept
}

fn footer(summary: &Summary<'_>, context: &Context) -> Vec<String> {
    let paint = context.paint;
    let mut totals: BTreeMap<Fate, usize> = BTreeMap::new();
    for counts in summary.recap.hosts.values() {
        *totals.entry(Fate::of(counts, context.check)).or_default() += 1;
    }
    let parts: Vec<String> = totals
        .iter()
        .map(|(fate, count)| {
            let text = format!("{count} {}", fate.word(context.check));
            paint.status(fate.status(), &text)
        })
        .collect();
    let head = format!(
        "{} in {}",
        words::hosts(summary.recap.hosts.len()),
        words::duration(summary.elapsed_us)
    );
    let mut first = paint.bold(&head);
    if !parts.is_empty() {
        first.push_str(": ");
        first.push_str(&parts.join(", "));
    }
    if summary.exit_code == 99 {
        first.push_str(&paint.yellow("  (interrupted)"));
    }
    let mut lines = vec![first];
    lines.extend(left_over(summary, context));
    if context.options.verbosity >= 1 {
        lines.push(paint.dim(&format!(
            "{} sent, {} received, {} round trips",
            bytes(summary.bytes.0),
            bytes(summary.bytes.1),
            summary.round_trips
        )));
    }
    lines.extend(
        next_steps(summary, context)
            .iter()
            .map(|line| paint.dim(line)),
    );
    lines
}

/// Handlers that did not run, and how to go on.
fn left_over(summary: &Summary<'_>, context: &Context) -> Vec<String> {
    let paint = context.paint;
    let columns = context.options.width.saturating_sub(6);
    let owed = summary.owed.lines(summary.run, columns).into_iter();
    let mut lines: Vec<String> = owed
        .map(|line| format!("{} {line}", paint.yellow("owed:")))
        .collect();
    if summary.resumable {
        lines.push(paint.bold(&words::resume_with(summary.run)));
    }
    lines
}

/// How to see more, and how to try again where it went wrong.
fn next_steps(summary: &Summary<'_>, context: &Context) -> Vec<String> {
    let options = &context.options;
    let bad: Vec<String> = summary
        .recap
        .hosts
        .iter()
        .filter(|(_, counts)| Fate::of(counts, context.check) <= Fate::Unknown)
        .map(|(host, _)| sanitize::name(host))
        .collect();
    let changed = summary
        .recap
        .hosts
        .values()
        .any(|counts| counts.changed > 0);
    let mut lines = Vec::new();
    let again = format!("only those again: --limit {}", bad.join(","));
    if !bad.is_empty() && bad.len() <= LIMIT_MAX && again.len() < options.width {
        lines.push(again);
    } else if !bad.is_empty() {
        lines.push("only those again: --limit @failed".to_owned());
    }
    let mut more = Vec::new();
    if changed && !options.diff {
        more.push("-D shows the differences");
    }
    if options.verbosity == 0 && !options.quiet {
        more.push("-v shows every task and its hosts");
    }
    if !more.is_empty() {
        lines.push(more.join(", "));
    }
    lines
}

fn bytes(count: u64) -> String {
    const KIB: u64 = 1024;
    match count {
        0..KIB => format!("{count} B"),
        KIB..1_048_576 => format!("{} KiB", count / KIB),
        _ => format!(
            "{}.{} MiB",
            count / 1_048_576,
            count % 1_048_576 * 10 / 1_048_576
        ),
    }
}
