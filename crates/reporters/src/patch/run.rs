//! A patch run while it goes on: a line for what matters, and on a terminal one line that is always true.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use hostler_patch::plan::Plan;
use hostler_rollout::{Entry, Note, Outcome};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::words::Words;
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
        let line = cleaned(entry).and_then(|entry| {
            let words = Words {
                paint: Paint::new(self.options.color),
                chatty: self.options.verbosity > 0,
                time: self.time,
                wave_name: &|wave| self.wave_name(wave),
                hosts: self.wave_of.len(),
                waves: self.waves.len(),
                began: &self.began,
            };
            words.line(&entry)
        });
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
                // Writing to a String cannot fail.
                let _ = write!(text, ", {count} {words}");
            }
        }
        if !steps.is_empty() {
            let _ = write!(text, " · {}", steps.join(", "));
        }
        bar.set_message(sanitize::clip(&text, self.options.width.saturating_sub(3)));
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
