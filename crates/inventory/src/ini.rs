//! INI inventories: `[group]`, `[group:children]`, `[group:vars]`, and host lines with variables.

use hostler_diag::{Diagnostic, SourceId, Span, did_you_mean};
use hostler_yaml::TemplateSource;

use crate::builder::Builder;
use crate::model::UNGROUPED;
use crate::{literal, shell};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Vars,
}

/// A group that was used before it was declared.
struct Pending {
    span: Span,
    kind: Section,
    /// The group that names it as its child.
    parent: usize,
}

/// Reads a registered text into the builder.
pub(crate) fn read(builder: &mut Builder<'_>, id: SourceId) {
    let text = builder.sources.get(id).text.clone();
    let mut reader = Ini {
        builder,
        id,
        group: UNGROUPED,
        section: Section::Hosts,
        pending: Vec::new(),
    };
    let mut start = 0;
    for line in text.split('\n') {
        let trimmed = line.trim();
        let lead = line.len() - line.trim_start().len();
        if !trimmed.is_empty() && !trimmed.starts_with(['#', ';']) {
            reader.line(trimmed, start + lead);
        }
        start += line.len() + 1;
    }
    reader.report_undeclared();
}

struct Ini<'a, 'b> {
    builder: &'a mut Builder<'b>,
    id: SourceId,
    group: usize,
    section: Section,
    pending: Vec<(String, Pending)>,
}

impl Ini<'_, '_> {
    fn span(&self, start: usize, end: usize) -> Span {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span::new(self.id, narrow(start), narrow(end))
    }

    fn line(&mut self, line: &str, start: usize) {
        if line.starts_with('[') {
            if let Some((name, kind)) = section(line) {
                self.open(
                    name,
                    kind,
                    self.span(start + 1, start + 1 + name.len()),
                    line,
                    start,
                );
                return;
            }
            if !line.contains(']') {
                let span = self.span(start, start + line.len());
                let message = "the section header is not closed: `]` is missing";
                return self.builder.error("ini-section", message, span);
            }
            let header = line.split('#').next().unwrap_or(line).trim_end();
            if header.ends_with(']') && !header[1..].contains('[') {
                self.builder.diagnostics.push(
                    Diagnostic::error("ini-section", "this is not a section header")
                        .at(self.span(start, start + line.len()))
                        .hint(
                            "write `[group]`, `[group:children]` or `[group:vars]`, without spaces",
                        ),
                );
                return;
            }
        }
        match self.section {
            Section::Hosts => self.hosts(line, start),
            Section::Vars => self.variable(line, start),
            Section::Children => self.child(line, start),
        }
    }

    fn open(&mut self, name: &str, kind: Option<&str>, span: Span, line: &str, start: usize) {
        self.section = match kind {
            None | Some("hosts") => Section::Hosts,
            Some("children") => Section::Children,
            Some("vars") => Section::Vars,
            Some(other) => {
                let at = start + line.find(other).unwrap_or(0);
                let diagnostic = Diagnostic::error(
                    "ini-section",
                    format!("a section of kind `{other}` is unknown"),
                );
                self.builder.diagnostics.push(
                    diagnostic
                        .at(self.span(at, at + other.len()))
                        .suggest(other, ["hosts", "children", "vars"]),
                );
                Section::Hosts
            }
        };
        let known = self.builder.inventory.groups.contains_key(name);
        self.group = self.builder.group(name, span);
        if self.section != Section::Vars {
            self.declare(name);
        } else if !known {
            self.wait(name, span, Section::Vars, UNGROUPED);
        }
    }

    /// A group that others waited for is there: it becomes their child now, since that decides the order of hosts.
    fn declare(&mut self, name: &str) {
        let waiting = std::mem::take(&mut self.pending);
        for (waits_for, pending) in waiting {
            if waits_for != name {
                self.pending.push((waits_for, pending));
            } else if pending.kind == Section::Children {
                self.builder.child(pending.parent, self.group, pending.span);
            }
        }
    }

    fn wait(&mut self, name: &str, span: Span, kind: Section, parent: usize) {
        let pending = Pending { span, kind, parent };
        self.pending.push((name.to_owned(), pending));
    }

    fn hosts(&mut self, line: &str, start: usize) {
        let whole = self.span(start, start + line.len());
        let words = match shell::split(line) {
            Ok(words) => words,
            Err(problem) => return self.builder.error("ini-host", problem, whole),
        };
        let Some((name, assignments)) = words.split_first() else {
            return;
        };
        let span = self.span(start + name.range.start, start + name.range.end);
        if name.text == "---" {
            self.builder.diagnostics.push(
                Diagnostic::error("ini-host", "`---` is not a host name")
                    .at(span)
                    .hint("this looks like YAML: give the file the extension `.yml`"),
            );
            return;
        }
        if name.text.ends_with(':') {
            let message = format!("`{}` ends in a colon without a port", name.text);
            let hint = "if this is a YAML inventory, give the file the extension `.yml`";
            self.builder
                .diagnostics
                .push(Diagnostic::error("ini-host", message).at(span).hint(hint));
            return;
        }
        let line_source = TemplateSource::part(self.builder.sources, whole);
        let mut vars = Vec::new();
        for word in assignments {
            let Some(at) = word.text.find('=') else {
                let message = format!("`key=value` is expected, not `{}`", word.text);
                let span = self.span(start + word.range.start, start + word.range.end);
                self.builder.error("ini-variable", message, span);
                continue;
            };
            let (key, value) = (&word.text[..at], &word.text[at + 1..]);
            let key_start = start + word.range.start;
            let key_span = self.span(key_start, key_start + key.len());
            self.builder.check_variable(key, key_span);
            let range = word.tail(at + 1);
            let source = line_source.excerpt(range.start, range.end, Some(value.to_owned()));
            vars.push((key.to_owned(), literal::value(source)));
        }
        for host in self.builder.hosts(&name.text, self.group, span) {
            for (key, value) in &vars {
                self.builder.host_var(host, key, value.clone());
            }
        }
    }

    fn variable(&mut self, line: &str, start: usize) {
        let Some((key, value)) = line.split_once('=') else {
            let span = self.span(start, start + line.len());
            let message = format!("`key=value` is expected, not `{line}`");
            return self.builder.error("ini-variable", message, span);
        };
        let lead = value.len() - value.trim_start().len();
        let from = start + key.len() + 1 + lead;
        let span = self.span(from, from + value.trim().len());
        let source = TemplateSource::part(self.builder.sources, span);
        let node = literal::value(source);
        let key_span = self.span(start, start + key.trim_end().len());
        self.builder.check_variable(key.trim_end(), key_span);
        self.builder.group_var(self.group, key.trim_end(), node);
    }

    fn child(&mut self, line: &str, start: usize) {
        let name = line.split('#').next().unwrap_or("").trim_end();
        let span = self.span(start, start + name.len().max(1));
        if name.is_empty() || name.contains([':', ']']) || name.contains(char::is_whitespace) {
            let message = format!("the name of a group is expected, not `{line}`");
            return self.builder.error("ini-children", message, span);
        }
        if !self.builder.inventory.groups.contains_key(name) {
            self.wait(name, span, Section::Children, self.group);
            return;
        }
        let child = self.builder.group(name, span);
        self.builder.child(self.group, child, span);
    }

    /// Reports groups that were used and never came.
    fn report_undeclared(&mut self) {
        let mut reported: Vec<String> = Vec::new();
        for (name, Pending { span, kind, parent }) in std::mem::take(&mut self.pending) {
            if reported.contains(&name) {
                continue;
            }
            reported.push(name.clone());
            let parent = &self.builder.inventory.groups[parent].name;
            let message = match kind {
                Section::Vars => {
                    format!("`[{name}:vars]` sets variables of a group that is not defined")
                }
                _ => {
                    format!("`[{parent}:children]` names the group `{name}`, which is not defined")
                }
            };
            let groups = self.builder.inventory.groups.keys();
            let known = groups.map(|it| &**it).filter(|it| *it != name);
            let guess = did_you_mean(&name, known).map(|it| format!("did you mean `{it}`?"));
            let mut error = Diagnostic::error("unknown-group", message).at(span);
            error.hints.extend(guess);
            self.builder.diagnostics.push(error);
        }
    }
}

/// Name and kind of a section header; none if the line is not one.
fn section(line: &str) -> Option<(&str, Option<&str>)> {
    let (inside, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim_start();
    if !(rest.is_empty() || rest.starts_with('#')) {
        return None;
    }
    let (name, kind) = match inside.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (inside, None),
    };
    let is_word =
        |text: &str| !text.is_empty() && text.chars().all(|ch| ch == '_' || ch.is_alphanumeric());
    (!name.is_empty() && !name.contains(char::is_whitespace) && kind.is_none_or(is_word))
        .then_some((name, kind))
}
