//! Plain lines for logs and pipes, in `ansible-playbook`'s own form: scripts read them.
//!
//! The shapes (banners of 79 columns, `ok: [host]`, `fatal: [host]: FAILED! => {...}`, the recap's columns) are those
//! that ansible-core's default output has.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use hostler_diag::{Diagnostic, Location};
use hostler_events::{
    Counts, HostState, ItemResult, Recap, Reporter, RunEvent, RunId, Stamped, Status, TaskId,
    TaskInfo, TaskKind, TaskResult,
};

use crate::diagnostics::hosts_of;
use crate::diff;
use crate::dump::{dump, dump_debug, dump_unreachable};
use crate::owed::Owed;
use crate::sanitize;
use crate::streams::Streams;
use crate::style::Paint;
use crate::{Options, words};

/// Columns of a banner's text and stars, without the space between them.
const BANNER: usize = 79;
/// What a task does is told again after so long, in microseconds.
const PROGRESS_EVERY_US: i64 = 60_000_000;
/// Columns of a line of output of a running task.
const OUTPUT_COLUMNS: usize = 500;

/// Writes plain lines.
pub struct Plain<W> {
    out: W,
    options: Options,
    paint: Paint,
    check: bool,
    run: String,
    tasks: HashMap<TaskId, Task>,
    warned: HashSet<String>,
    streams: Streams,
    owed: Owed,
}

struct Task {
    info: TaskInfo,
    /// The banner is out. With `-q` it waits for something to say.
    titled: bool,
    /// Hosts that had an item printed.
    looped: HashSet<String>,
    /// When it was last told what a host is doing.
    progress: HashMap<String, i64>,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W, options: Options) -> Self {
        Plain {
            out,
            options,
            paint: Paint::new(options.color),
            check: false,
            run: String::new(),
            tasks: HashMap::new(),
            warned: HashSet::new(),
            streams: Streams::default(),
            owed: Owed::default(),
        }
    }

    /// A closed pipe is no failure of the run: errors are dropped.
    fn put(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
    }

    fn banner(&mut self, text: &str) {
        let width = console::measure_text_width(text);
        let stars = "*".repeat(BANNER.saturating_sub(width).max(3));
        self.put(&format!("\n{text} {stars}"));
    }

    fn task_banner(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id).filter(|task| !task.titled) else {
            return;
        };
        task.titled = true;
        let word = match task.info.kind {
            TaskKind::Handler => "RUNNING HANDLER",
            TaskKind::Task | TaskKind::GatherFacts => "TASK",
        };
        let text = format!("{word} [{}]", sanitize::name(&task.info.name));
        let path = task.info.location.as_ref().map(ToString::to_string);
        self.banner(&text);
        if let Some(path) = path.filter(|_| self.options.verbosity >= 2) {
            self.put(&format!("task path: {}", sanitize::name(&path)));
        }
    }

    fn warned(&mut self, diagnostic: &Diagnostic, place: Option<&Location>, host: Option<&str>) {
        let place = place.map(|at| format!("{at}: ")).unwrap_or_default();
        let hosts = host
            .map(ToOwned::to_owned)
            .or_else(|| hosts_of(diagnostic, 100));
        let hosts = hosts.map(|hosts| format!("[{hosts}] ")).unwrap_or_default();
        self.warning(&format!("{place}{hosts}{}", diagnostic.message));
    }

    fn warning(&mut self, text: &str) {
        let text = sanitize::line(text, 2000);
        if self.warned.insert(text.clone()) {
            let line = self.paint.yellow(&format!("[WARNING]: {text}"));
            self.put(&line);
        }
    }

    fn quiet_about(&self, status: Status, ignored: bool) -> bool {
        let failed = matches!(status, Status::Failed | Status::Unreachable);
        let lost = status == Status::Unknown && !self.check;
        self.options.quiet && (ignored || !(failed || lost))
    }

    fn item(&mut self, id: TaskId, host: &str, item: &ItemResult) {
        let mut debug = false;
        if let Some(task) = self.tasks.get_mut(&id) {
            task.looped.insert(host.to_owned());
            debug = task.info.module == "debug";
        }
        if self.quiet_about(item.status, item.ignored) {
            return;
        }
        self.task_banner(id);
        self.diff(&item.deltas, item.status);
        let host = sanitize::name(host);
        let label = sanitize::line(&item.label, 500);
        let result = dump(&item.value, item.message.as_deref());
        let line = match item.status {
            Status::Ok | Status::Changed => {
                let word = words::status(item.status, false);
                let shown = if debug {
                    format!(" => {}", dump_debug(&item.value, item.message.as_deref()))
                } else {
                    self.if_verbose(&result)
                };
                format!("{word}: [{host}] => (item={label}){shown}")
            }
            Status::Skipped => {
                let shown = self.if_verbose(&result);
                format!("skipping: [{host}] => (item={label}) {shown}")
            }
            Status::Failed => format!("failed: [{host}] (item={label}) => {result}"),
            Status::Unknown => {
                let why = sanitize::line(item.message.as_deref().unwrap_or_default(), 500);
                format!("unknown: [{host}] => (item={label}) {why}")
            }
            Status::Unreachable => {
                format!("fatal: [{host}]: UNREACHABLE! (item={label}) => {result}")
            }
        };
        let line = self.paint.status(item.status, line.trim_end());
        self.put(&line);
    }

    fn if_verbose(&self, result: &str) -> String {
        if self.options.verbosity > 0 {
            format!(" => {result}")
        } else {
            String::new()
        }
    }

    fn diff(&mut self, deltas: &[hostler_change::Delta], status: Status) {
        if !self.options.diff || !matches!(status, Status::Changed | Status::Unknown) {
            return;
        }
        let lines = diff::as_unified(deltas);
        if status == Status::Unknown && !lines.is_empty() {
            self.put(words::PERHAPS);
        }
        for line in lines {
            let painted = match line.as_bytes().first() {
                Some(b'+') => self.paint.green(&line),
                Some(b'-') => self.paint.red(&line),
                Some(b'@') => self.paint.cyan(&line),
                _ => line,
            };
            self.put(&painted);
        }
    }

    fn result(&mut self, id: TaskId, host: &str, result: &TaskResult) {
        if self.quiet_about(result.status, result.ignored) {
            return;
        }
        self.task_banner(id);
        for warning in &result.warnings {
            self.warning(warning);
        }
        let task = self.tasks.get(&id);
        let looped = task.is_some_and(|task| task.looped.contains(host));
        let debug = task.is_some_and(|task| task.info.module == "debug");
        let label = match &result.delegated_to {
            Some(other) => format!("{} -> {}", sanitize::name(host), sanitize::name(other)),
            None => sanitize::name(host),
        };
        if !looped && !result.censored {
            self.diff(&result.deltas, result.status);
        }
        if let Some(line) = self.result_line(&label, result, looped, debug) {
            let line = self.paint.status(result.status, &line);
            self.put(&line);
        }
        if let (Status::Failed, Some(hint)) = (result.status, &result.hint) {
            self.put(&format!("hint: {}", sanitize::line(hint, 1000)));
        }
        if result.ignored {
            let line = self.paint.cyan("...ignoring");
            self.put(&line);
        }
    }

    /// The line of a result; none for a loop whose items were printed, as ansible-playbook has it.
    fn result_line(
        &self,
        label: &str,
        result: &TaskResult,
        looped: bool,
        debug: bool,
    ) -> Option<String> {
        let message = result.message.as_deref();
        match result.status {
            Status::Skipped => {
                let shown = self.if_verbose(&dump(&result.value, message));
                Some(format!("skipping: [{label}]{shown}"))
            }
            _ if looped => None,
            Status::Unknown => {
                let why = sanitize::line(words::unknown(message, self.check), 500);
                Some(format!("unknown: [{label}] {why}"))
            }
            Status::Ok | Status::Changed if debug => Some(format!(
                "{}: [{label}] => {}",
                words::status(result.status, false),
                dump_debug(&result.value, message)
            )),
            Status::Ok | Status::Changed => {
                let word = words::status(result.status, false);
                let shown = self.if_verbose(&dump(&result.value, message));
                Some(format!("{word}: [{label}]{shown}"))
            }
            Status::Failed => Some(format!(
                "fatal: [{label}]: FAILED! => {}",
                dump(&result.value, message)
            )),
            Status::Unreachable => Some(format!(
                "fatal: [{label}]: UNREACHABLE! => {}",
                dump_unreachable(result)
            )),
        }
    }

    /// What a host of a task that takes long is doing: a log is no live view, so only now and then.
    fn progress(&mut self, id: TaskId, host: &str, doing: &str, at_us: i64) {
        let Some(task) = self.tasks.get_mut(&id).filter(|_| !self.options.quiet) else {
            return;
        };
        let last = task.progress.get(host);
        if last.is_some_and(|last| at_us - last < PROGRESS_EVERY_US) {
            return;
        }
        task.progress.insert(host.to_owned(), at_us);
        self.put(&format!(
            "waiting: [{}]: {}",
            sanitize::name(host),
            sanitize::line(doing, 500)
        ));
    }

    fn output(&mut self, id: TaskId, host: &str, is_stderr: bool, text: &str) {
        if self.options.quiet {
            return;
        }
        let lines = self.streams.take(id, host, is_stderr, text, OUTPUT_COLUMNS);
        for line in lines {
            self.put(&line);
        }
    }

    fn output_ends(&mut self, id: TaskId, host: &str) {
        for line in self.streams.end(id, host, OUTPUT_COLUMNS) {
            self.put(&line);
        }
    }

    fn owed(&mut self, host: &str, handler: &str, run: &RunId, runs_now: bool) {
        if !runs_now {
            self.owed.add(host, handler, run);
            return;
        }
        self.owed.remove(host, handler, run);
        if !self.options.quiet {
            self.put(&format!(
                "owed: {} on {} (since run {}): runs now",
                sanitize::line(handler, 200),
                sanitize::name(host),
                sanitize::name(&run.0)
            ));
        }
    }

    /// What is left to do, below the recap.
    fn rest(&mut self, resumable: bool) {
        for line in self.owed.lines(&self.run, 500) {
            self.put(&format!("owed: {line}"));
        }
        if resumable {
            let line = words::resume_with(&self.run);
            self.put(&line);
        }
        if resumable || !self.owed.is_empty() {
            self.put("");
        }
        // A closed pipe is no failure of the run.
        let _ = self.out.flush();
    }

    /// What ansible-core has no line for.
    fn aside(&mut self, event: &RunEvent, at_us: i64) {
        match event {
            RunEvent::HandlerOwed {
                host,
                handler,
                run,
                runs_now,
            } => self.owed(host, handler, run, *runs_now),
            RunEvent::TaskProgress { task, host, doing } => {
                self.progress(*task, host, doing, at_us);
            }
            RunEvent::TaskOutput {
                task,
                host,
                is_stderr,
                text,
            } => self.output(*task, host, *is_stderr, text),
            RunEvent::HostDropped { host, reason } => self.put(&format!(
                "dropped: [{}]: {}",
                sanitize::name(host),
                sanitize::line(reason, 500)
            )),
            RunEvent::HostChanged {
                host,
                state: HostState::Reconnecting,
            } if !self.options.quiet => self.put(&format!(
                "reconnecting: [{}]: the connection was lost while a task ran",
                sanitize::name(host)
            )),
            _ => {}
        }
    }

    fn recap(&mut self, recap: &Recap) {
        self.banner("PLAY RECAP");
        for (host, counts) in &recap.hosts {
            let line = recap_line(host, counts, self.paint);
            self.put(&line);
        }
        self.put("");
        let _ = self.out.flush();
    }
}

/// `host                       : ok=21   changed=0    ...`, with ansible-playbook's columns.
fn recap_line(host: &str, counts: &Counts, paint: Paint) -> String {
    let name = format!("{:<26}", sanitize::name(host));
    let bad = counts.failed > 0 || counts.unreachable > 0;
    let status = match (bad, counts.changed > 0) {
        (true, _) => Status::Failed,
        (_, true) => Status::Changed,
        _ => Status::Ok,
    };
    let fields = [
        ("ok", counts.ok, Status::Ok),
        ("changed", counts.changed, Status::Changed),
        ("unreachable", counts.unreachable, Status::Unreachable),
        ("failed", counts.failed, Status::Failed),
        ("skipped", counts.skipped, Status::Skipped),
        ("rescued", counts.rescued, Status::Ok),
        ("ignored", counts.ignored, Status::Changed),
    ];
    let mut line = format!("{} :", paint.status(status, &name));
    for (word, count, status) in fields {
        let field = format!("{word}={count:<4}");
        line.push(' ');
        line.push_str(&if count > 0 {
            paint.status(status, &field)
        } else {
            field
        });
    }
    // ansible-core has none; scripts that read its recap meet it behind what they know.
    if counts.unknown > 0 {
        let field = format!(" unknown={}", counts.unknown);
        line.push_str(&paint.status(Status::Unknown, &field));
    }
    line
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn event(&mut self, stamped: &Stamped) {
        match &stamped.event {
            RunEvent::RunStarted { check, run, .. } => {
                self.check = *check;
                self.run.clone_from(&run.0);
            }
            RunEvent::Warned {
                diagnostic,
                location,
                host,
            } => self.warned(diagnostic, location.as_ref(), host.as_deref()),
            RunEvent::PlayStarted { name, batch, .. } => {
                if self.options.quiet {
                    return;
                }
                let batch = batch
                    .filter(|(_, batches)| *batches > 1)
                    .map(|(batch, batches)| format!(" (batch {batch} of {batches})"));
                let check = if self.check { " [CHECK MODE]" } else { "" };
                self.banner(&format!(
                    "PLAY [{}]{check}{}",
                    sanitize::name(name),
                    batch.unwrap_or_default()
                ));
            }
            RunEvent::PlaySkipped { name, reason } => {
                if !self.options.quiet {
                    self.banner(&format!("PLAY [{}]", sanitize::name(name)));
                    self.put(&format!("skipping: {}", sanitize::line(reason, 500)));
                }
            }
            RunEvent::TaskStarted(info) => {
                let task = Task {
                    info: info.clone(),
                    titled: false,
                    looped: HashSet::new(),
                    progress: HashMap::new(),
                };
                self.tasks.insert(info.id, task);
                if !self.options.quiet {
                    self.task_banner(info.id);
                }
            }
            RunEvent::ItemFinished { task, host, item } => self.item(*task, host, item),
            RunEvent::TaskRetried {
                task,
                host,
                attempt,
                attempts,
            } => {
                if !self.options.quiet {
                    let name = self
                        .tasks
                        .get(task)
                        .map(|task| sanitize::name(&task.info.name));
                    self.put(&format!(
                        "FAILED - RETRYING: [{}]: {} ({} retries left).",
                        sanitize::name(host),
                        name.unwrap_or_default(),
                        attempts.saturating_sub(*attempt)
                    ));
                }
            }
            RunEvent::TaskFinished { task, host, result } => {
                self.output_ends(*task, host);
                self.result(*task, host, result);
            }
            RunEvent::TaskEnded { task } => {
                self.tasks.remove(task);
            }
            RunEvent::Stopping { reason } => {
                self.put(&format!("\nSTOPPING: {}", sanitize::line(reason, 500)));
            }
            RunEvent::RunFinished {
                recap, resumable, ..
            } => {
                self.recap(recap);
                self.rest(*resumable);
            }
            other => self.aside(other, stamped.at_us),
        }
    }
}
