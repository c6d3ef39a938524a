//! The tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Measured;
use super::compare::{Counts, Finding};
use super::paths;

const HEAD: &str = "\
# How true a preview is

Written by `cargo xtask preview-truth --with-ansible --out docs/preview-truth.md` (root needed); not edited by hand.

For each playbook of `tests/preview` fresh Debian hosts are raised and prepared as its head says. Every path of their file
systems is looked at (kind, mode, owner, size, content, link target, time of writing); the playbook is previewed; every path is
looked at again, and none may have changed; the playbook is applied; every path is looked at once more. The same is done with
`ansible-playbook --check` and `ansible-playbook` of ansible-core 2.19 on twin hosts, where it has the modules.

**Tasks** are compared one by one, for each host and each item of a loop. *Real* is what the real run had: changes, failures,
handlers that ran. *Right*: predicted, and so it was. *False*: predicted, and it did not happen. *Failed instead*: a change was
predicted and the task failed. *Missed*: it happened, and the preview said nothing of it. *Unknown*: the preview said that it
cannot know; \"would have run if not in check mode\" counts as that, whoever says it. Tasks that a failed real run did not come to
are left out. Recall is the share of what really happened that was predicted or declared unknown; precision is the share of
predictions that were right. A rescued or expected failure is a prediction like any other.

**Paths** that really changed are *named* if the preview named them (or a parent is made for a named one, or they go with a named
directory, or are its backup); *programs'* if a predicted task runs a program whose files they are (accounts, crontabs, units and
state of services, packages: these do not account for /home, /root, /srv, /opt, /usr/local and /tmp), or if a predicted command may have written
them or `no_log` hides the names of a predicted task; *unknown*
if only a task that was declared unknown can have done it; else *missed*. *False* are paths that were named and did not change.
*Texts* are files whose whole text the preview showed, *right* if the file then held it to the byte. The paths that are not
looked at (logins, logs of logins, /proc and the like) are listed with their reasons in `crates/xtask/src/truth/snapshot.rs`.

## In all

";

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    measured: Vec<Measured>,
    errors: Vec<String>,
}

impl Measured {
    /// One line for the person who waits.
    pub(super) fn in_short(&self) -> String {
        let mut words = format!(
            "{} of {} right, {} false, {} failed instead, {} missed, {} unknown; {} paths, {} missed",
            self.tasks.right,
            self.tasks.real,
            self.tasks.false_alarms,
            self.tasks.failed_instead,
            self.tasks.missed,
            self.tasks.unknown,
            self.paths.changed,
            self.paths.missed,
        );
        if !self.touched.is_empty() {
            let _ = write!(words, "; THE PREVIEW TOUCHED {} PATHS", self.touched.len());
        }
        for what in &self.unexpected {
            let _ = write!(words, "; UNEXPECTED: {what}");
        }
        words
    }
}

impl Report {
    pub(super) fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    pub(super) fn could_not(&mut self, error: String) {
        self.errors.push(error);
    }

    /// Whether hostler's previews are what they must be: they touch nothing and miss nothing, at least 99 % of what they
    /// predict comes true, at most 5 % outside programs is unknown, and every playbook could be measured.
    pub fn holds(&self) -> bool {
        let (tasks, paths) = self.total(true);
        self.errors.is_empty()
            && self
                .of(true)
                .all(|one| one.touched.is_empty() && one.unexpected.is_empty())
            && tasks.missed == 0
            && paths.missed == 0
            && tasks.precision().is_none_or(|share| share >= 0.99)
            && tasks.unknown_share().is_none_or(|share| share <= 0.05)
    }

    fn of(&self, hostler: bool) -> impl Iterator<Item = &Measured> {
        self.measured
            .iter()
            .filter(move |one| one.engine.is_hostler() == hostler)
    }

    fn total(&self, hostler: bool) -> (Counts, paths::Counts) {
        let mut tasks = Counts::default();
        let mut paths = paths::Counts::default();
        for one in self.of(hostler) {
            tasks += one.tasks;
            paths += one.paths;
        }
        (tasks, paths)
    }

    /// The whole page: what is measured and how, the tables and the findings, as markdown.
    pub fn markdown(&self) -> String {
        let mut text = HEAD.to_owned();
        let engines: Vec<bool> = [true, false]
            .into_iter()
            .filter(|hostler| self.of(*hostler).next().is_some())
            .collect();
        text += "| | playbooks | tasks | real | recall | precision | unknown outside programs | \
                 untouched by the preview |\n|---|--:|--:|--:|--:|--:|--:|--:|\n";
        for hostler in &engines {
            let (tasks, _) = self.total(*hostler);
            let all = self.of(*hostler).count();
            let untouched = self
                .of(*hostler)
                .filter(|one| one.touched.is_empty())
                .count();
            let _ = writeln!(
                text,
                "| {} | {all} | {} | {} | {} | {} | {} | {untouched} of {all} |",
                name(*hostler),
                tasks.units,
                tasks.real,
                percent(tasks.recall()),
                percent(tasks.precision()),
                percent(tasks.unknown_share()),
            );
        }
        for hostler in &engines {
            self.table(*hostler, &mut text);
        }
        if !self.errors.is_empty() {
            text += "\n## Could not be measured\n\n";
            for error in &self.errors {
                let _ = writeln!(text, "- {}", error.replace('\n', " "));
            }
        }
        text
    }

    fn table(&self, hostler: bool, text: &mut String) {
        let _ = write!(
            text,
            "\n## {}\n\n| playbook | hosts | tasks | real | right | false | failed instead | missed | unknown | \
             outside programs | paths | named | programs' | unknown | missed | false | texts right | wrong |\n\
             |---|{}\n",
            name(hostler),
            "--:|".repeat(17)
        );
        let (tasks, paths) = self.total(hostler);
        for one in self.of(hostler) {
            row(text, &one.case.name, one.hosts, &one.tasks, &one.paths);
        }
        let hosts = self.of(hostler).map(|one| one.hosts).sum();
        row(text, "**all**", hosts, &tasks, &paths);
        if hostler {
            self.every_finding(text);
        } else {
            self.findings_by_module(text);
        }
    }

    /// Hostler's, one by one: each is a defect, or a limit to be known.
    fn every_finding(&self, text: &mut String) {
        let mut lines = Vec::new();
        for one in self.of(true) {
            let name = &one.case.name;
            let line = |what: &str, words: &str| {
                format!("- `{name}`: {what}{}", words.replace('|', "\\|"))
            };
            lines.extend(one.unexpected.iter().map(|what| line("", what)));
            lines.extend(
                one.touched
                    .iter()
                    .map(|path| line("touched by the preview: ", path)),
            );
            lines.extend(one.findings.iter().map(|finding| {
                let Finding {
                    kind,
                    module,
                    words,
                } = finding;
                line(&format!("{kind}, {module}: "), words)
            }));
            lines.extend(one.path_findings.iter().map(|path| line("path ", path)));
        }
        if !lines.is_empty() {
            let _ = write!(
                text,
                "\nWhat was not as predicted, and what was unknown outside programs:\n\n{}\n",
                lines.join("\n")
            );
        }
    }

    /// Another engine's, counted.
    fn findings_by_module(&self, text: &mut String) {
        let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for finding in self.of(false).flat_map(|one| &one.findings) {
            let modules = counts.entry(finding.kind).or_default();
            *modules.entry(&finding.module).or_default() += 1;
        }
        for (kind, modules) in counts {
            let words: Vec<String> = modules
                .iter()
                .map(|(module, count)| format!("{module} {count}"))
                .collect();
            let _ = writeln!(text, "\n{kind}: {}", words.join(", "));
        }
        let touched: Vec<&str> = self
            .of(false)
            .filter(|one| !one.touched.is_empty())
            .map(|one| one.case.name.as_str())
            .collect();
        if !touched.is_empty() {
            let _ = writeln!(
                text,
                "\ntouched by the preview: hosts of {}",
                touched.join(", ")
            );
        }
    }
}

fn row(text: &mut String, name: &str, hosts: usize, tasks: &Counts, paths: &paths::Counts) {
    let numbers = [
        hosts,
        tasks.units,
        tasks.real,
        tasks.right,
        tasks.false_alarms,
        tasks.failed_instead,
        tasks.missed,
        tasks.unknown,
        tasks.unknown_foreseeable,
        paths.changed,
        paths.named,
        paths.program,
        paths.unknown,
        paths.missed,
        paths.false_alarms,
        paths.texts,
        paths.wrong_texts,
    ];
    let cells: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn name(hostler: bool) -> &'static str {
    if hostler { "hostler" } else { "ansible-core" }
}
