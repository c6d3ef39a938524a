//! Notes of a patch run in words, a line each.

use std::collections::BTreeMap;

use hostler_rollout::{Entry, HaltCause, Note, Order, Outcome, RunEnd, Step, StepOutcome};

use super::run::TimeOfDay;
use crate::style::Paint;

/// What the words need to know. Texts of notes are clean already.
pub(super) struct Words<'a> {
    pub(super) paint: Paint,
    /// Say every step?
    pub(super) chatty: bool,
    pub(super) time: TimeOfDay,
    pub(super) wave_name: &'a dyn Fn(u32) -> String,
    pub(super) hosts: usize,
    pub(super) waves: usize,
    /// When hosts were taken.
    pub(super) began: &'a BTreeMap<String, i64>,
}

impl Words<'_> {
    /// The line of a note; `None` for those that only a log wants.
    pub(super) fn line(&self, entry: &Entry) -> Option<String> {
        let paint = self.paint;
        let host_line = |host: &str, text: String| format!("{host}: {text}");
        let chatty = self.chatty;
        let text = match &entry.note {
            Note::Opened { run, by, .. } => {
                let (hosts, waves) = (self.hosts, self.waves);
                format!("patch run {run} by {by}: {hosts} hosts, {waves} waves")
            }
            Note::Resumed { by } => format!("resumed by {by}"),
            Note::Ordered { by, order, .. } => format!("{by}: {}", order_words(order)),
            Note::WaveOpened { wave } => {
                paint.bold(&format!("wave {} begins", (self.wave_name)(*wave)))
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
            } => return self.ended(host, *step, outcome),
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
            Note::GivenUp { host, reason } if chatty => {
                host_line(host, paint.red(&format!("given up: {reason}")))
            }
            Note::Came { host, outcome } => {
                let took = self.began.get(host).map(|began| entry.at_us - began);
                host_line(host, outcome_words(outcome, took, paint))
            }
            Note::Soaking { .. } | Note::Watched { .. } | Note::WavePassed { .. } => {
                return Some(self.wave_line(&entry.note));
            }
            Note::Halted { cause } => paint.red(&format!("HALTED: {}", self.cause_words(cause))),
            Note::Disproven { versions } if !versions.is_empty() => {
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

    fn wave_line(&self, note: &Note) -> String {
        let paint = self.paint;
        match note {
            Note::Soaking { wave, until_us } => format!(
                "wave {}: all hosts have come to their end; its gates are watched until {}",
                (self.wave_name)(*wave),
                (self.time)(*until_us)
            ),
            Note::Watched {
                wave,
                green,
                evidence,
            } => {
                let text = format!(
                    "wave {}: gates {}: {evidence}",
                    (self.wave_name)(*wave),
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
                paint.green(&format!("wave {} passed{proven}", (self.wave_name)(*wave)))
            }
            _ => String::new(),
        }
    }

    fn ended(&self, host: &str, step: Step, outcome: &StepOutcome) -> Option<String> {
        let (paint, chatty) = (self.paint, self.chatty);
        let text = match outcome {
            StepOutcome::Done { .. } if chatty => format!("{step}: done"),
            StepOutcome::Failed { message } | StepOutcome::Gone { message } => {
                paint.red(&format!("{step} failed: {message}"))
            }
            StepOutcome::Unreachable { reason } if chatty || step != Step::Back => {
                paint.yellow(&format!("{step}: out of reach ({reason})"))
            }
            StepOutcome::Done { .. } | StepOutcome::Unreachable { .. } => return None,
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
                (self.wave_name)(*wave)
            ),
            HaltCause::RunFailures {
                failed, allowed, ..
            } => {
                format!("{failed} hosts failed, and the run takes {allowed}")
            }
            HaltCause::Gate { wave, evidence } => {
                format!(
                    "a gate of wave {} is red: {evidence}",
                    (self.wave_name)(*wave)
                )
            }
            HaltCause::NothingProven { wave } => {
                format!(
                    "wave {} has patched no host, and so proven nothing",
                    (self.wave_name)(*wave)
                )
            }
            HaltCause::Ordered { by, reason } => format!("by {by}: {reason}"),
        }
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

fn outcome_words(outcome: &Outcome, took_us: Option<i64>, paint: Paint) -> String {
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
            // What a step said has its own line already; nobody writes one about a host that is waited for.
            let what = match failure.step {
                Some(step) if step != Step::Back => step.to_string(),
                _ => failure.message.clone(),
            };
            paint.red(&format!("FAILED{took}{changed}: {what}"))
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
