//! How two runs differ, as text.

use hostler_events::Status;
use hostler_record::{Comparison, Difference, Record};
use serde::Serialize;

use super::{clip, who};
use crate::preview::words::lines;
use crate::style::Paint;
use crate::{Options, diff, sanitize, words};

/// Lines about one difference; `-v` shows all.
const LINES_MAX: usize = 12;

/// What the second run did otherwise than the first.
pub fn comparison_text(a: &Record, b: &Record, found: &Comparison, options: &Options) -> String {
    let paint = Paint::new(options.color);
    let mut out = Vec::new();
    for (word, record) in [("from", a), ("to  ", b)] {
        out.push(format!(
            "{word} run {}  {}  {}",
            paint.bold(&sanitize::name(&record.run)),
            record.state.word(),
            sanitize::line(&record.playbooks.join(" "), 200),
        ));
    }
    out.extend(found.general.iter().map(|it| sanitize::line(it, 1000)));
    if found.is_same() {
        out.push("Both runs did the same on the same hosts.".to_owned());
    }
    let mut task = None;
    for it in &found.tasks {
        if task != Some((&it.play, &it.task)) {
            task = Some((&it.play, &it.task));
            out.push(String::new());
            let name = paint.bold(&sanitize::line(&it.task, 100));
            let play = paint.dim(&sanitize::line(&it.play, 60));
            out.push(format!("{} {name}  {play}", paint.dim("TASK")));
        }
        difference(it, b, paint, options, &mut out);
    }
    if !found.slower.is_empty() {
        out.push(String::new());
        out.push(paint.bold("Much slower"));
        for it in &found.slower {
            let more = match it.hosts {
                1 => String::new(),
                hosts => format!(" and {} more", hosts - 1),
            };
            out.push(format!(
                "  {}: {} -> {} on {}{more}",
                sanitize::line(&it.task, 80),
                words::duration(it.before_us),
                words::duration(it.after_us),
                sanitize::name(&it.host),
            ));
        }
    }
    let lines: Vec<String> = out.iter().map(|it| clip(it, options)).collect();
    lines.join("\n") + "\n"
}

/// One JSON object: `{"event":"comparison",...}`.
pub fn comparison_json(a: &Record, b: &Record, found: &Comparison) -> String {
    #[derive(Serialize)]
    struct Compared<'a> {
        from: &'a str,
        to: &'a str,
        same: bool,
        #[serde(flatten)]
        found: &'a Comparison,
    }
    let compared = Compared {
        from: &a.run,
        to: &b.run,
        same: found.is_same(),
        found,
    };
    super::log::json_lines("comparison", &[compared])
}

fn difference(
    it: &Difference,
    second: &Record,
    paint: Paint,
    options: &Options,
    out: &mut Vec<String>,
) {
    let word = |status: Option<Status>| match status {
        Some(status) => paint.status(status, words::status(status, second.check)),
        None => "not run".to_owned(),
    };
    let what = if it.other_content {
        paint.status(Status::Changed, "other changes")
    } else {
        format!("{} -> {}", word(it.before), word(it.after))
    };
    out.push(format!("  {what}  {}", who(&it.hosts, usize::MAX)));
    let most = if options.verbosity > 0 {
        usize::MAX
    } else {
        LINES_MAX
    };
    let mut under: Vec<String> = Vec::new();
    let failed = matches!(it.after, Some(Status::Failed | Status::Unreachable));
    if let Some(message) = it.message.as_ref().filter(|_| failed) {
        under.extend(sanitize::text(message).lines().map(sanitize::expand_tabs));
    }
    if options.diff {
        under.extend(
            diff::for_people(&it.deltas)
                .iter()
                .map(|line| line.painted(paint)),
        );
    } else {
        let lines = lines(&it.deltas);
        under.extend(
            lines
                .iter()
                .map(|line| format!("{}: {}", line.subject, line.what)),
        );
    }
    let count = under.len();
    out.extend(
        under
            .into_iter()
            .take(most)
            .map(|line| format!("      {line}")),
    );
    if count > most {
        out.push(format!(
            "      [... {} more lines; -v shows all]",
            count - most
        ));
    }
}
