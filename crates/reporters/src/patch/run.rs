//! A patch run while it goes on: a line for what matters, and on a terminal one line that is always true.

use std::collections::BTreeMap;
use std::io::Write;

use hostler_patch::plan::Plan;
use hostler_rollout::{Entry, HaltCause, Note, Order, Outcome, RunEnd, Step, StepOutcome};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::style::Paint;
use crate::{Options, sanitize};

/// Columns of a text of a host that are shown.
const TEXT_MAX: usize = 2000;

/// Tells the time of day of an instant (microseconds since the epoch), in eight columns.
pub type TimeOfDay = fn(i64) -> String;

/// Shows notes of a run as they are written.
pub struct PatchView<W> {
    out: W,
    options: Options,
    time: TimeOfDay,
    bar: Option<ProgressBar>,
    /// Names of the waves, how many hosts each has, and which wave a host is in.
    waves: Vec<(String, usize)>,
    wave_of: BTreeMap<String, u32>,
    /// Hosts under way, with their step.
    under_way: BTreeMap<String, String>,
    /// Outcomes so far, by wave: well, not touched, failed.
    counts: Vec<[usize; 3]>,
    wave: usize,
    began: BTreeMap<String, i64>,
}

impl<W: Write> PatchView<W> {
    /// For a plan. `live`: there is a screen for the line that is always true.
    pub fn new(out: W, plan: &Plan, options: Options, live: bool, time: TimeOfDay) -> Self {
        let waves = plan.waves.iter().zip(0_u32..);
        let waves: Vec<(String, usize)> = waves
            .map(|(wave, index)| (wave.name.clone(), plan.hosts_of(index).len()))
            .collect();
        let bar = live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            // The template is fixed, and right.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(std::time::Duration::from_millis(250));
            bar
        });
        PatchView {
            out,
            options,
            time,
            bar,
            counts: vec![[0; 3]; waves.len()],
            waves,
            wave_of: plan
                .hosts
                .iter()
                .map(|(host, it)| (host.clone(), it.wave))
                .collect(),
            under_way: BTreeMap::new(),
            wave: 0,
            began: BTreeMap::new(),
        }
    }

    /// Takes notes of before, without showing them.
    pub fn catch_up(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.follow(entry);
        }
        self.refresh();
    }

    /// Shows a note.
    pub fn entry(&mut self, entry: &Entry) {
        let line = cleaned(entry).and_then(|entry| self.line(&entry));
        self.follow(entry);
        if let Some(text) = line {
            let text = format!("{}  {text}", (self.time)(entry.at_us));
            self.print(&text);
        }
        self.refresh();
    }

    /// Shows a line that is no note.
    pub fn tell(&mut self, text: &str) {
        let text = sanitize::text(text);
        self.print(&text);
    }

    /// The line that is always true goes.
    pub fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn print(&mut self, text: &str) {
        let out = &mut self.out;
        // A closed pipe is the reader's wish.
        let mut write = || {
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn wave_name(&self, wave: u32) -> String {
        let wave = usize::try_from(wave).ok().and_then(|it| self.waves.get(it));
        wave.map(|(name, _)| sanitize::name(name))
            .unwrap_or_default()
    }

    fn count(&mut self, host: &str, outcome: &Outcome) {
        let kind = match outcome {
            Outcome::Done | Outcome::InstalledPendingReboot { .. } => 0,
            Outcome::Held { .. }
            | Outcome::Deferred { .. }
            | Outcome::PlanMismatch { .. }
            | Outcome::Unreachable { counts: false, .. } => 1,
            _ => 2,
        };
        let wave = self
            .wave_of
            .get(host)
            .and_then(|it| usize::try_from(*it).ok());
        if let Some(counts) = wave.and_then(|wave| self.counts.get_mut(wave)) {
            counts[kind] += 1;
        }
    }

    fn follow(&mut self, entry: &Entry) {
        match &entry.note {
            Note::WaveOpened { wave } => self.wave = usize::try_from(*wave).unwrap_or_default(),
            Note::Admitted { host, .. } => {
                self.began.insert(host.clone(), entry.at_us);
                self.under_way.insert(host.clone(), "begins".to_owned());
            }
            Note::Begun { host, step, .. } => {
                self.under_way.insert(host.clone(), step.to_string());
            }
            Note::Left { host, .. } => {
                self.under_way.remove(host);
            }
            Note::Came { host, outcome } => {
                self.under_way.remove(host);
                self.count(host, outcome);
            }
            _ => {}
        }
    }

    fn refresh(&self) {
        let Some(bar) = &self.bar else { return };
        let Some((name, of)) = self.waves.get(self.wave) else {
            return;
        };
        let [well, left, failed] = self.counts.get(self.wave).copied().unwrap_or_default();
        let mut steps: BTreeMap<&str, usize> = BTreeMap::new();
        for step in self.under_way.values() {
            *steps.entry(step).or_default() += 1;
        }
        let steps: Vec<String> = steps
            .into_iter()
            .map(|(step, count)| format!("{count} {step}"))
            .collect();
        let mut text = format!("wave {}: {well} of {of} done", sanitize::name(name));
        for (count, words) in [(left, "not patched"), (failed, "failed")] {
            if count > 0 {
                text.push_str(&format!(", {count} {words}"));
            }
        }
        if !steps.is_empty() {
            text.push_str(&format!(" · {}", steps.join(", ")));
        }
        bar.set_message(sanitize::clip(&text, self.options.width.saturating_sub(3)));
    }

    /// The line of a note; `None` for those that only a log wants.
    fn line(&self, entry: &Entry) -> Option<String> {
        let paint = Paint::new(self.options.color);
        let host_line = |host: &str, text: String| format!("{host}: {text}");
        let chatty = self.options.verbosity > 0;
        let text = match &entry.note {
            Note::Opened { run, by, .. } => {
                let (hosts, waves) = (self.wave_of.len(), self.waves.len());
                format!("patch run {run} by {}: {hosts} hosts, {waves} waves", by)
            }
            Note::Resumed { by } => format!("resumed by {}", by),
            Note::Ordered { by, order, .. } => format!("{}: {}", by, order_words(order)),
            Note::WaveOpened { wave } => {
                paint.bold(&format!("wave {} begins", self.wave_name(*wave)))
            }
            Note::Admitted { host, .. } if chatty => host_line(host, "begins".into()),
            Note::Begun {
                host,
                step,
                attempt,
            } if chatty => {
                let again = if *attempt > 1 {
                    format!(" (attempt {attempt})")
                } else {
                    String::new()
                };
                host_line(host, format!("{step}{again}"))
            }
            Note::Ended {
                host,
                step,
                outcome,
                ..
            } => return self.ended(host, *step, outcome, &paint),
            Note::Answered {
                host,
                green,
                evidence,
                ..
            } if !green => host_line(host, paint.red(&format!("a gate is red: {evidence}"))),
            Note::Left { host, reason } => {
                host_line(host, paint.yellow(&format!("put back in line: {reason}")))
            }
            Note::RebootPutOff { host, reason } => {
                host_line(host, paint.yellow(&format!("reboot put off: {reason}")))
            }
            Note::GivenUp { host, reason } => {
                host_line(host, paint.red(&format!("given up: {reason}")))
            }
            Note::Came { host, outcome } => {
                let took = self.began.get(host).map(|began| entry.at_us - began);
                host_line(host, outcome_words(outcome, took, &paint))
            }
            Note::Soaking { wave, until_us } => format!(
                "wave {}: all hosts have come to their end; its gates are watched until {}",
                self.wave_name(*wave),
                (self.time)(*until_us)
            ),
            Note::Watched {
                wave,
                green,
                evidence,
            } => {
                let text = format!(
                    "wave {}: gates {}: {evidence}",
                    self.wave_name(*wave),
                    if *green { "green" } else { "RED" }
                );
                if *green {
                    paint.green(&text)
                } else {
                    paint.red(&text)
                }
            }
            Note::WavePassed { wave, proven } => {
                let proven = match proven.len() {
                    0 => String::new(),
                    count => format!(", {count} versions proven"),
                };
                paint.green(&format!("wave {} passed{proven}", self.wave_name(*wave)))
            }
            Note::Halted { cause } => paint.red(&format!("HALTED: {}", self.cause_words(cause))),
            Note::Disproven { versions } => {
                let names: Vec<String> = versions
                    .iter()
                    .take(5)
                    .map(|it| it.package.to_string())
                    .collect();
                paint.red(&format!("disproven: {}", names.join(", ")))
            }
            Note::RollingBack { host, reason } => {
                host_line(host, paint.yellow(&format!("goes back: {reason}")))
            }
            Note::Closed { end } => match end {
                RunEnd::Complete => "the run is complete".to_owned(),
                RunEnd::Aborted => paint.red("the run is aborted"),
            },
            _ => return None,
        };
        Some(text)
    }

    fn ended(
        &self,
        host: &str,
        step: Step,
        outcome: &StepOutcome,
        paint: &Paint,
    ) -> Option<String> {
        let chatty = self.options.verbosity > 0;
        let text = match outcome {
            StepOutcome::Done { .. } if chatty => format!("{step}: done"),
            StepOutcome::Done { .. } => return None,
            StepOutcome::Failed { message } => paint.red(&format!("{step} failed: {message}")),
            StepOutcome::Unreachable { reason } if chatty || step != Step::Back => {
                paint.yellow(&format!("{step}: out of reach ({reason})"))
            }
            StepOutcome::Unreachable { .. } => return None,
            StepOutcome::HostKey { message } => paint.red(&format!("{step}: {message}")),
            StepOutcome::Unknown { message } => {
                paint.red(&format!("{step}: outcome unknown: {message}"))
            }
        };
        Some(format!("{host}: {text}"))
    }

    fn cause_words(&self, cause: &HaltCause) -> String {
        match cause {
            HaltCause::WaveFailures {
                wave,
                failed,
                allowed,
            } => format!(
                "{failed} hosts failed in wave {}, which takes {allowed}",
                self.wave_name(*wave)
            ),
            HaltCause::RunFailures {
                failed, allowed, ..
            } => {
                format!("{failed} hosts failed, and the run takes {allowed}")
            }
            HaltCause::Gate { wave, evidence } => {
                format!(
                    "a gate of wave {} is red: {evidence}",
                    self.wave_name(*wave)
                )
            }
            HaltCause::NothingProven { wave } => {
                format!(
                    "wave {} has patched no host, and so proven nothing",
                    self.wave_name(*wave)
                )
            }
            HaltCause::Ordered { by, reason } => format!("by {by}: {reason}"),
        }
    }
}

/// The note with every text in it made fit for a terminal: what hosts and gates say is hostile.
fn cleaned(entry: &Entry) -> Option<Entry> {
    let mut value = serde_json::to_value(entry).ok()?;
    clean(&mut value);
    serde_json::from_value(value).ok()
}

fn clean(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = sanitize::line(text, TEXT_MAX),
        serde_json::Value::Array(items) => items.iter_mut().for_each(clean),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(clean),
        _ => {}
    }
}

fn order_words(order: &Order) -> String {
    match order {
        Order::Approve { wave } => format!("approves wave {wave}"),
        Order::Halt { reason } => format!("halts the run: {reason}"),
        Order::Resume {
            accept_failures: true,
        } => "lets the run go on; failures so far count no more".to_owned(),
        Order::Resume { .. } => "lets the run go on".to_owned(),
        Order::Abort { reason } => format!("aborts the run: {reason}"),
        Order::Rollback { hosts } if hosts.is_empty() => "puts all hosts back".to_owned(),
        Order::Rollback { hosts } => format!("puts {} hosts back", hosts.len()),
    }
}

fn outcome_words(outcome: &Outcome, took_us: Option<i64>, paint: &Paint) -> String {
    let took = took_us
        .map(|us| format!(" in {}", span(us / 1_000_000)))
        .unwrap_or_default();
    match outcome {
        Outcome::Done => paint.green(&format!("done{took}")),
        Outcome::InstalledPendingReboot { reason } => {
            paint.yellow(&format!("installed{took}, reboot pending: {reason}"))
        }
        Outcome::Held { reason } => paint.yellow(&format!("held: {reason}")),
        Outcome::Deferred { reason } => paint.yellow(&format!("deferred: {reason}")),
        Outcome::PlanMismatch { reason } => {
            paint.yellow(&format!("not as planned, nothing done: {reason}"))
        }
        Outcome::Failed { failure, changed } => {
            let changed = if *changed {
                ""
            } else {
                " (nothing was changed)"
            };
            paint.red(&format!("FAILED{took}{changed}: {}", failure.message))
        }
        Outcome::Unreachable { reason, .. } => paint.red(&format!("unreachable: {reason}")),
        Outcome::RolledBack { failure, left } => {
            let why = failure
                .as_ref()
                .map(|it| format!(" after: {}", it.message))
                .unwrap_or_default();
            let left = if left.is_empty() {
                String::new()
            } else {
                format!("; left: {}", left.join(", "))
            };
            paint.yellow(&format!("rolled back{took}{why}{left}"))
        }
    }
}

/// `45 s`, `3 min 12 s`, `1 h 04 min`.
fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
