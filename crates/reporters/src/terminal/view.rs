//! Events to lines: what is said about a run, and when. No output, no clock of its own.

use std::collections::{BTreeMap, HashMap, HashSet};

use hostler_diag::{Diagnostic, Location, SourceMap};
use hostler_events::{HostState, RunEvent, Stamped, Status, TaskId, TaskResult};

use super::live::{self, Header, Live, Waiting};
use super::recap::{self, Summary, Trouble};
use super::task::{Context, Task};
use crate::diagnostics::hosts_of;
use crate::owed::Owed;
use crate::streams::Streams;
use crate::style::Paint;
use crate::{Options, sanitize, words};

/// Different warnings that are remembered, so that each is shown once.
const WARNINGS_MAX: usize = 10_000;

/// What is known of a run so far.
pub(super) struct View {
    context: Context,
    started_us: Option<i64>,
    over: bool,
    run: String,
    play: String,
    /// Hosts that are being connected to, since when, and in what words.
    connecting: HashMap<String, (i64, &'static str)>,
    tasks: BTreeMap<TaskId, Task>,
    troubles: BTreeMap<String, Trouble>,
    warned: HashSet<String>,
    streams: Streams,
    /// Handlers of earlier runs that run now, not told yet: those of many hosts are one line.
    paid: Owed,
    /// Handlers that are left to a later run.
    owed: Owed,
    /// What somebody who reads keys has to say.
    notice: Vec<String>,
    /// Somebody does.
    keys: bool,
}

impl View {
    pub(super) fn new(options: Options, sources: SourceMap) -> Self {
        View {
            context: Context {
                options,
                paint: Paint::new(options.color),
                sources,
                check: false,
            },
            started_us: None,
            over: false,
            run: String::new(),
            play: String::new(),
            connecting: HashMap::new(),
            tasks: BTreeMap::new(),
            troubles: BTreeMap::new(),
            warned: HashSet::new(),
            streams: Streams::default(),
            paid: Owed::default(),
            owed: Owed::default(),
            notice: Vec::new(),
            keys: false,
        }
    }

    /// The window has this size now.
    pub(super) fn resize(&mut self, width: usize, rows: usize) {
        self.context.options.width = width.max(40);
        self.context.options.rows = rows;
    }

    /// Takes in an event and gives the lines that it completes.
    pub(super) fn event(&mut self, stamped: &Stamped) -> Vec<String> {
        let mut lines = match stamped.event {
            RunEvent::HandlerOwed { .. } => Vec::new(),
            _ => self.tell_paid(),
        };
        lines.extend(self.lines(stamped));
        lines
    }

    fn lines(&mut self, stamped: &Stamped) -> Vec<String> {
        let at_us = stamped.at_us;
        self.started_us.get_or_insert(at_us);
        match &stamped.event {
            RunEvent::RunStarted {
                check,
                run,
                resumed,
                ..
            } => return self.run_started(&run.0, *check, *resumed),
            RunEvent::Warned {
                diagnostic,
                location,
                host,
            } => return self.warned(diagnostic, location.as_ref(), host.as_deref()),
            RunEvent::PlayStarted {
                name, hosts, batch, ..
            } => return self.play_started(name, hosts.len(), *batch),
            RunEvent::PlaySkipped { name, reason } => return self.play_skipped(name, reason),
            RunEvent::HostChanged { host, state } => self.host_changed(host, *state, at_us),
            RunEvent::TaskStarted(info) => {
                self.tasks.insert(info.id, Task::new(info.clone()));
            }
            RunEvent::HostStarted { task, host } => {
                self.set_waiting(*task, host, at_us, String::new());
            }
            RunEvent::ItemFinished { task, host, item } => {
                if let Some(task) = self.tasks.get_mut(task) {
                    task.item(host, item, &self.context);
                }
            }
            RunEvent::TaskFinished { task, host, result } => {
                return self.task_finished(*task, host, result);
            }
            RunEvent::TaskEnded { task } => {
                return self
                    .tasks
                    .remove(task)
                    .map_or_else(Vec::new, |task| task.end(&self.context));
            }
            RunEvent::Stopping { reason } => {
                let text = format!("Stopping: {}", sanitize::line(reason, 500));
                return vec![String::new(), self.context.paint.yellow(&text)];
            }
            RunEvent::RunFinished {
                recap,
                exit_code,
                elapsed_us,
                bytes,
                round_trips,
                resumable,
            } => {
                let mut lines = self.end_tasks();
                self.over = true;
                lines.extend(recap::lines(
                    &Summary {
                        recap,
                        troubles: &self.troubles,
                        exit_code: *exit_code,
                        elapsed_us: *elapsed_us,
                        bytes: *bytes,
                        round_trips: *round_trips,
                        owed: &self.owed,
                        run: &self.run,
                        resumable: *resumable,
                    },
                    &self.context,
                ));
                return lines;
            }
            other => return self.aside(other, at_us),
        }
        Vec::new()
    }

    /// Of handlers, and of hosts that keep the others waiting.
    fn aside(&mut self, event: &RunEvent, at_us: i64) -> Vec<String> {
        match event {
            RunEvent::TaskRetried {
                task,
                host,
                attempt,
                attempts,
            } => {
                let since = self.waiting_since(*task, host).unwrap_or(at_us);
                let what = format!("attempt {} of {attempts}", attempt.saturating_add(1));
                self.set_waiting(*task, host, since, what);
            }
            RunEvent::HandlerOwed {
                host,
                handler,
                run,
                runs_now: true,
            } => {
                self.owed.remove(host, handler, run);
                self.paid.add(host, handler, run);
            }
            RunEvent::HandlerOwed {
                host, handler, run, ..
            } => self.owed.add(host, handler, run),
            RunEvent::TaskProgress { task, host, doing } => {
                let since = self.waiting_since(*task, host).unwrap_or(at_us);
                self.set_waiting(*task, host, since, doing.clone());
            }
            RunEvent::TaskOutput {
                task,
                host,
                is_stderr,
                text,
            } if !self.context.options.quiet => {
                let columns = self.context.options.width;
                return self.streams.take(*task, host, *is_stderr, text, columns);
            }
            RunEvent::HostDropped { host, reason } => return self.dropped(host, reason),
            _ => {}
        }
        Vec::new()
    }

    /// What to show below the lines at a moment; nothing before the run begins and after it ends.
    pub(super) fn live(&self, now_us: i64) -> Option<Live> {
        let started_us = self.started_us.filter(|_| !self.over)?;
        let context = &self.context;
        let task = self.tasks.values().next_back();
        let header = live::header(
            &Header {
                play: &self.play,
                task: task.map(|task| &task.info),
                check: context.check,
                elapsed_us: now_us - started_us,
            },
            &context.options,
            context.paint,
        );
        let (options, paint) = (&context.options, context.paint);
        let mut waiting = live::waiting(&self.late(), now_us, self.notice.len(), options, paint);
        if self.keys && self.notice.is_empty() && !waiting.is_empty() {
            waiting.push('\n');
            waiting.push_str(&paint.dim("  (d gives a host up, ? shows keys)"));
        }
        for line in &self.notice {
            waiting.push('\n');
            waiting.push_str(&sanitize::clip(line, options.width.saturating_sub(1)));
        }
        let done = task.map_or(0, |task| task.done);
        let total = task.map_or(0, |task| u64::from(task.info.hosts).max(done));
        let counts = task.map_or_else(String::new, |task| {
            live::counts(done, total, &task.by_status, context.check, context.paint)
        });
        Some(Live {
            header,
            counts,
            waiting,
            done,
            total: total.max(1),
        })
    }

    /// The hosts that are waited for, longest first.
    pub(super) fn late(&self) -> Vec<(String, Waiting)> {
        let connecting = self.connecting.iter();
        let mut waiting: HashMap<&String, Waiting> = connecting
            .map(|(host, (since_us, what))| {
                let (since_us, what) = (*since_us, (*what).to_owned());
                (host, Waiting { since_us, what })
            })
            .collect();
        for (host, it) in self.tasks.values().flat_map(|task| &task.waiting) {
            let known = waiting.entry(host).or_insert_with(|| it.clone());
            known.since_us = known.since_us.min(it.since_us);
        }
        let mut late: Vec<(String, Waiting)> = waiting
            .into_iter()
            .map(|(host, it)| (host.clone(), it))
            .collect();
        late.sort_by(|(host, it), (other, that)| (it.since_us, host).cmp(&(that.since_us, other)));
        late
    }

    /// Somebody reads keys: that is said where hosts are waited for.
    pub(super) fn set_keys(&mut self) {
        self.keys = true;
    }

    /// Shows these lines below the live view.
    pub(super) fn set_notice(&mut self, lines: Vec<String>) {
        self.notice = lines;
    }

    fn run_started(&mut self, run: &str, check: bool, resumed: bool) -> Vec<String> {
        self.context.check = check;
        run.clone_into(&mut self.run);
        if !resumed || self.context.options.quiet {
            return Vec::new();
        }
        let text = format!("Run {} goes on.", sanitize::name(run));
        vec![self.context.paint.cyan(&text)]
    }

    /// Handlers that an earlier run left and that run now.
    fn tell_paid(&mut self) -> Vec<String> {
        if self.paid.is_empty() {
            return Vec::new();
        }
        let paid = std::mem::take(&mut self.paid);
        if self.context.options.quiet {
            return Vec::new();
        }
        let columns = self.context.options.width.saturating_sub(16);
        let lead = self.context.paint.yellow("owed:");
        let lines = paid.lines("", columns).into_iter();
        lines.map(|it| format!("{lead} {it}: runs now")).collect()
    }

    fn dropped(&self, host: &str, reason: &str) -> Vec<String> {
        let lead = format!("  {:<12} ", "dropped");
        let room = self.context.options.width.saturating_sub(lead.len());
        let text = format!("{}: {reason}", sanitize::name(host));
        let lead = self.context.paint.yellow(&lead);
        vec![format!("{lead}{}", sanitize::line(&text, room))]
    }

    fn warned(
        &mut self,
        diagnostic: &Diagnostic,
        location: Option<&Location>,
        host: Option<&str>,
    ) -> Vec<String> {
        let place = location.map(|at| format!("{at}: ")).unwrap_or_default();
        let host = host
            .map(ToOwned::to_owned)
            .or_else(|| hosts_of(diagnostic, 60))
            .map(|host| format!("{host}: "))
            .unwrap_or_default();
        let mut text = format!("{place}{host}{}", diagnostic.message);
        for hint in &diagnostic.hints {
            text.push_str("; ");
            text.push_str(hint);
        }
        self.warning(&text)
    }

    fn warning(&mut self, text: &str) -> Vec<String> {
        let text = sanitize::line(text, 1000);
        let known = self.warned.len() >= WARNINGS_MAX || !self.warned.insert(text.clone());
        if known || self.context.options.quiet {
            return Vec::new();
        }
        vec![format!("{} {text}", self.context.paint.yellow("warning:"))]
    }

    fn play_started(&mut self, name: &str, hosts: usize, batch: Option<(u32, u32)>) -> Vec<String> {
        let mut lines = self.end_tasks();
        self.play = sanitize::name(name);
        if self.context.options.quiet {
            return lines;
        }
        let paint = self.context.paint;
        let batch = batch
            .filter(|(_, batches)| *batches > 1)
            .map(|(batch, batches)| format!(", batch {batch} of {batches}"))
            .unwrap_or_default();
        let check = if self.context.check { ", preview" } else { "" };
        lines.push(String::new());
        lines.push(format!(
            "{} {}{}",
            paint.cyan("PLAY"),
            paint.bold(&self.play),
            paint.dim(&format!("  {}{batch}{check}", words::hosts(hosts)))
        ));
        lines
    }

    fn play_skipped(&self, name: &str, reason: &str) -> Vec<String> {
        let paint = self.context.paint;
        if self.context.options.quiet {
            return Vec::new();
        }
        vec![
            String::new(),
            format!(
                "{} {}",
                paint.cyan("PLAY"),
                paint.bold(&sanitize::name(name))
            ),
            format!("  skipped      {}", sanitize::line(reason, 500)),
        ]
    }

    fn host_changed(&mut self, host: &str, state: HostState, at_us: i64) {
        let what = match state {
            HostState::Connecting => "connecting",
            HostState::Reconnecting => "connection lost, connecting anew",
            HostState::Idle | HostState::Running | HostState::Lost => {
                self.connecting.remove(host);
                return;
            }
        };
        let since = self.connecting.entry(host.to_owned());
        since.or_insert((at_us, what)).1 = what;
    }

    fn waiting_since(&self, task: TaskId, host: &str) -> Option<i64> {
        Some(self.tasks.get(&task)?.waiting.get(host)?.since_us)
    }

    fn set_waiting(&mut self, task: TaskId, host: &str, since_us: i64, what: String) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.waiting
                .insert(host.to_owned(), Waiting { since_us, what });
        }
    }

    fn task_finished(&mut self, id: TaskId, host: &str, result: &TaskResult) -> Vec<String> {
        let mut lines = Vec::new();
        for warning in &result.warnings {
            lines.extend(self.warning(warning));
        }
        self.connecting.remove(host);
        let columns = self.context.options.width;
        lines.extend(self.streams.end(id, host, columns));
        let Some(task) = self.tasks.get_mut(&id) else {
            return lines;
        };
        let lost = result.status == Status::Unknown && !self.context.check;
        let failed = lost || matches!(result.status, Status::Failed | Status::Unreachable);
        if failed && !result.ignored && !result.rescued {
            let trouble = Trouble::of(&task.info, host, result);
            self.troubles.insert(host.to_owned(), trouble);
        }
        lines.extend(task.result(host, result, &self.context));
        lines
    }

    /// Tasks that were never told to have ended: an interrupted run still says what it knows.
    fn end_tasks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.tasks)
            .into_values()
            .flat_map(|task| task.end(&self.context))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use hostler_events::{TaskInfo, TaskKind};

    use super::*;

    fn at(view: &mut View, seconds: i64, event: RunEvent) -> Vec<String> {
        view.event(&Stamped {
            at_us: seconds * 1_000_000,
            seq: 1,
            event,
        })
    }

    fn task(hosts: u32) -> RunEvent {
        RunEvent::TaskStarted(TaskInfo {
            id: TaskId(1),
            name: "Upgrade everything that there is to upgrade".into(),
            module: "apt".into(),
            kind: TaskKind::Task,
            location: None,
            hosts,
            position: Some((3, 20)),
        })
    }

    #[test]
    fn names_who_is_waited_for_longest_first_and_bounded() {
        let options = Options {
            rows: 8,
            ..Options::default()
        };
        let mut view = View::new(options, SourceMap::new());
        assert!(view.live(0).is_none(), "nothing before the run");
        let hosts: Vec<String> = (0..200).map(|n| format!("web{n:03}")).collect();
        let play = RunEvent::PlayStarted {
            name: "A play whose name is long enough to be in the way".into(),
            number: 1,
            hosts: hosts.clone(),
            batch: None,
        };
        at(&mut view, 0, play);
        at(&mut view, 0, task(200));
        for (second, host) in (0..).zip(hosts.iter().rev()) {
            let host = host.clone();
            at(
                &mut view,
                second / 20,
                RunEvent::HostStarted {
                    task: TaskId(1),
                    host,
                },
            );
        }
        let live = view.live(20_000_000).unwrap();
        assert_eq!(console::measure_text_width(&live.header), 79);
        assert!(live.header.ends_with("20 s"), "{}", live.header);
        assert!(
            live.header.contains("3/20 Upgrade everything"),
            "{}",
            live.header
        );
        let lines: Vec<&str> = live.waiting.lines().skip(1).collect();
        assert_eq!(lines.len(), 4, "rows - 4: {lines:?}");
        assert_eq!(lines[0], "  web180        20 s");
        assert_eq!(lines[3], "  +197 more");
        assert_eq!((live.done, live.total), (0, 200));
    }

    #[test]
    fn connecting_hosts_and_retries_are_told() {
        let mut view = View::new(Options::default(), SourceMap::new());
        let connecting = RunEvent::HostChanged {
            host: "a".into(),
            state: HostState::Connecting,
        };
        at(&mut view, 0, connecting);
        at(&mut view, 0, task(2));
        let started = RunEvent::HostStarted {
            task: TaskId(1),
            host: "b".into(),
        };
        at(&mut view, 0, started);
        let retried = RunEvent::TaskRetried {
            task: TaskId(1),
            host: "b".into(),
            attempt: 1,
            attempts: 5,
        };
        at(&mut view, 4, retried);
        let live = view.live(5_000_000).unwrap();
        assert!(
            live.waiting.contains("a             5 s  connecting"),
            "{}",
            live.waiting
        );
        assert!(
            live.waiting.contains("b             5 s  attempt 2 of 5"),
            "{}",
            live.waiting
        );
    }
}
