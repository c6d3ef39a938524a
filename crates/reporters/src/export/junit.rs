//! `JUnit` XML: a suite for each host, a case for each of its tasks.
//!
//! The form is that which Jenkins, GitLab and GitHub's reporters read (there is no standard; the XSD of Jenkins' xUnit
//! plugin is what is nearest to one). A suite for each host, since that is what is broken or not; the class name of a
//! case is the host, too, since GitLab shows no suites. Names are made unique within a host: readers merge equal ones.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use hostler_events::Status;
use hostler_record::{Record, ResultRecord, TaskRecord};

use super::{full_message, seconds, utc};
use crate::preview::words::lines;
use crate::sanitize;

/// Longest text (bytes) of one element or attribute.
const TEXT_MAX: usize = 64 * 1024;

/// The XML document.
pub fn junit(record: &Record) -> String {
    let mut hosts: BTreeMap<&str, Vec<Case<'_>>> = BTreeMap::new();
    for host in &record.hosts {
        hosts.entry(&host.host).or_default();
    }
    for task in &record.tasks {
        for result in &task.results {
            let case = Case {
                task,
                result: Some(result),
            };
            hosts.entry(&result.host).or_default().push(case);
        }
        for host in &task.unfinished {
            hosts
                .entry(host)
                .or_default()
                .push(Case { task, result: None });
        }
    }
    let mut all = Counts::default();
    let mut suites = String::new();
    for (host, cases) in &hosts {
        all.add(&suite(&mut suites, record, host, cases));
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let name = format!("hostler {}", record.playbooks.join(" "));
    let _ = writeln!(
        out,
        "<testsuites name=\"{}\" {} time=\"{}\">",
        attribute(&name),
        all.attributes(),
        seconds(record.elapsed_us)
    );
    out.push_str(&suites);
    out.push_str("</testsuites>\n");
    out
}

/// A task on a host; without a result if it did not end there.
struct Case<'a> {
    task: &'a TaskRecord,
    result: Option<&'a ResultRecord>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Error,
    Skipped,
}

impl Case<'_> {
    fn verdict(&self, check: bool) -> Verdict {
        let Some(result) = self.result else {
            return Verdict::Error;
        };
        match result.status {
            _ if result.ignored || result.rescued => Verdict::Passed,
            Status::Ok | Status::Changed => Verdict::Passed,
            Status::Skipped => Verdict::Skipped,
            Status::Unknown if check => Verdict::Skipped,
            Status::Failed => Verdict::Failed,
            Status::Unreachable | Status::Unknown => Verdict::Error,
        }
    }
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn count(&mut self, verdict: Verdict) {
        self.tests += 1;
        match verdict {
            Verdict::Passed => {}
            Verdict::Failed => self.failures += 1,
            Verdict::Error => self.errors += 1,
            Verdict::Skipped => self.skipped += 1,
        }
    }

    fn add(&mut self, other: &Counts) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
    }

    fn attributes(&self) -> String {
        format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
            self.tests, self.failures, self.errors, self.skipped
        )
    }
}

fn suite(out: &mut String, record: &Record, host: &str, cases: &[Case<'_>]) -> Counts {
    let mut counts = Counts::default();
    for case in cases {
        counts.count(case.verdict(record.check));
    }
    let took = cases
        .iter()
        .filter_map(|case| case.result)
        .map(|it| it.duration_us);
    let _ = writeln!(
        out,
        "  <testsuite name=\"{0}\" hostname=\"{0}\" timestamp=\"{1}\" {2} time=\"{3}\">",
        attribute(host),
        utc(record.started_us),
        counts.attributes(),
        seconds(took.sum())
    );
    let mut properties = vec![("run", record.run.as_str()), ("by", &record.by)];
    if record.check {
        properties.push(("check", "true"));
    }
    out.push_str("    <properties>\n");
    for (name, value) in properties.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(
            out,
            "      <property name=\"{name}\" value=\"{}\"/>",
            attribute(value)
        );
    }
    out.push_str("    </properties>\n");
    let mut seen: HashMap<String, usize> = HashMap::new();
    for case in cases {
        let play = record.play_of(case.task);
        let mut name = if play.is_empty() {
            case.task.name.clone()
        } else {
            format!("{play}: {}", case.task.name)
        };
        let nth = seen.entry(name.clone()).or_default();
        *nth += 1;
        if *nth > 1 {
            let _ = write!(name, " ({nth})");
        }
        push_case(out, case, host, &name, record.check);
    }
    out.push_str("  </testsuite>\n");
    counts
}

fn push_case(out: &mut String, case: &Case<'_>, host: &str, name: &str, check: bool) {
    let took = case.result.map_or(0, |it| it.duration_us);
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
        attribute(host),
        attribute(name),
        seconds(took)
    );
    if let Some(place) = &case.task.place {
        let (file, line) = file_and_line(place);
        let _ = write!(out, " file=\"{}\"", attribute(file));
        if let Some(line) = line {
            let _ = write!(out, " line=\"{line}\"");
        }
    }
    let inside = inside(case, check);
    if inside.is_empty() {
        out.push_str("/>\n");
    } else {
        let _ = write!(out, ">\n{inside}    </testcase>\n");
    }
}

/// `file:line:column`.
fn file_and_line(place: &str) -> (&str, Option<u32>) {
    let mut parts = place.rsplitn(3, ':');
    let (_column, line, file) = (parts.next(), parts.next(), parts.next());
    match (file, line.and_then(|it| it.parse().ok())) {
        (Some(file), Some(line)) => (file, Some(line)),
        _ => (place, None),
    }
}

fn inside(case: &Case<'_>, check: bool) -> String {
    let mut out = String::new();
    let Some(result) = case.result else {
        out.push_str("      <error type=\"unfinished\" message=\"it began and did not end\"/>\n");
        return out;
    };
    let mut message = full_message(result);
    let first = sanitize::line(message.lines().next().unwrap_or_default(), 300);
    if let Some(hint) = &result.hint {
        message.push_str("\nhint: ");
        message.push_str(&sanitize::text(hint));
    }
    let kind = match result.status {
        Status::Unreachable => result.unreachable.as_deref().unwrap_or("unreachable"),
        Status::Unknown => "unknown",
        _ => "failed",
    };
    let element = match case.verdict(check) {
        Verdict::Passed => "",
        Verdict::Failed => "failure",
        Verdict::Error => "error",
        Verdict::Skipped => "skipped",
    };
    match element {
        "" => {}
        "skipped" => {
            let _ = writeln!(out, "      <skipped message=\"{}\"/>", attribute(&first));
        }
        _ => {
            let _ = writeln!(
                out,
                "      <{element} type=\"{}\" message=\"{}\">{}</{element}>",
                attribute(kind),
                attribute(&first),
                text(&message)
            );
        }
    }
    let mut told: Vec<String> = Vec::new();
    if result.ignored || result.rescued {
        let word = if result.ignored { "ignored" } else { "rescued" };
        told.push(format!("failed, and {word}: {message}"));
    }
    if matches!(result.status, Status::Changed) {
        let changed = lines(result.all_deltas());
        told.push(if check { "would change" } else { "changed" }.to_owned());
        told.extend(
            changed
                .iter()
                .map(|it| format!("{}: {}", it.subject, it.what)),
        );
    }
    if !told.is_empty() {
        let _ = writeln!(
            out,
            "      <system-out>{}</system-out>",
            text(&told.join("\n"))
        );
    }
    out
}

/// Character data of XML 1.0: what may not be in it is made visible or replaced, the rest escaped.
pub(crate) fn text(raw: &str) -> String {
    escape(raw, false)
}

/// The value of an attribute, for double quotes.
pub(crate) fn attribute(raw: &str) -> String {
    escape(raw, true)
}

fn escape(raw: &str, attribute: bool) -> String {
    let clean = sanitize::text(raw);
    let mut out = String::with_capacity(clean.len());
    for char in clean.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            // Not characters (XML 1.0, production 2); every other control was made visible above.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char => out.push(char),
        }
        if out.len() > TEXT_MAX {
            out.push_str("[... cut off]");
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_characters_of_xml_are_left() {
        assert_eq!(
            text("]]> <script>&\u{0}\x1b\u{ffff}\u{fffe}\u{85}"),
            "]]&gt; &lt;script&gt;&amp;\\x00\\x1b\u{fffd}\u{fffd}\\x85"
        );
        assert_eq!(attribute("a\"\n\tb"), "a&quot;&#10;&#9;b");
        assert!(text(&"<".repeat(1 << 20)).len() < TEXT_MAX + 100);
    }

    #[test]
    fn places_are_split() {
        assert_eq!(file_and_line("a:b.yml:3:7"), ("a:b.yml", Some(3)));
        assert_eq!(file_and_line("odd"), ("odd", None));
    }
}
