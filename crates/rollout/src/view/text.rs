//! A run's state as text for a terminal.

use std::fmt::{self, Write as _};

use super::ends::ends;
use super::status::{HostStatus, RunState, Status, WaveState, WaveStatus};
use crate::Stage;

/// Hosts that are named while they are worked on.
const NAMED: usize = 20;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan.get(..16).unwrap_or(&self.plan);
        writeln!(
            f,
            "run {} of policy {} (plan {plan}): {}",
            self.run,
            self.policy,
            self.state.words()
        )?;
        if let Some(halt) = &self.halted {
            writeln!(
                f,
                "  halted for {}: {}",
                ago(self.at_us - halt.since_us),
                halt.text
            )?;
        }
        writeln!(
            f,
            "  failures {} of {} that the run takes",
            self.failures, self.max_failures
        )?;
        for wave in &self.waves {
            self.wave(f, wave)?;
        }
        for group in self.groups.iter().filter(|it| !it.missing.is_empty()) {
            let names = group.missing.join(", ");
            let (missing, may) = (group.missing.len(), group.max_unavailable);
            writeln!(
                f,
                "group {}: misses {missing} of {may} that it may: {names}",
                group.name
            )?;
        }
        self.under_way(f)?;
        let ended = self.hosts.iter().filter(|it| it.1.stage == Stage::Ended);
        let ended = ended.filter_map(|(name, it)| Some((name, it.outcome.as_ref()?)));
        let bad = ends(ended);
        if !bad.is_empty() {
            write!(f, "not done\n{bad}")?;
        }
        if !self.owed.is_empty() {
            writeln!(f, "owed")?;
        }
        for it in &self.owed {
            writeln!(f, "  {}: {} ({})", it.host, it.what, it.why)?;
        }
        for line in &self.refused {
            writeln!(f, "no effect: {line}")?;
        }
        Ok(())
    }
}

impl Status {
    fn wave(&self, f: &mut fmt::Formatter<'_>, wave: &WaveStatus) -> fmt::Result {
        let mut counts: Vec<String> = wave
            .outcomes
            .iter()
            .map(|(word, count)| format!("{count} {}", word.replace('_', " ")))
            .collect();
        if wave.in_progress > 0 {
            counts.push(format!(
                "{} of {} slots under way",
                wave.in_progress, wave.slots
            ));
        }
        if wave.waiting > 0 {
            counts.push(format!("{} waiting", wave.waiting));
        }
        let mut line = format!(
            "wave {}: {}, {} hosts",
            wave.name,
            wave.state.words(),
            wave.hosts
        );
        if !counts.is_empty() {
            let _ = write!(line, ": {}", counts.join(", "));
        }
        let _ = write!(
            line,
            "; failures {} of {}",
            wave.failures, wave.max_failures
        );
        if let Some(what) = &wave.waits_for {
            let _ = write!(line, "; waits for {what}");
        }
        if let Some(until) = wave.soaks_until_us {
            let _ = write!(line, ", {} left", ago(until - self.at_us));
        }
        if let Some(window) = wave.window.filter(|_| wave.state != WaveState::Soaking) {
            let _ = if window.start_us > self.at_us {
                write!(
                    line,
                    "; its window opens in {}",
                    ago(window.start_us - self.at_us)
                )
            } else {
                write!(
                    line,
                    "; its window is open for {}",
                    ago(window.end_us - self.at_us)
                )
            };
        }
        writeln!(f, "{line}")
    }

    fn under_way(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = |it: &HostStatus| matches!(it.stage, Stage::Taking | Stage::Working);
        let all: Vec<(&String, &HostStatus)> = self.hosts.iter().filter(|it| is(it.1)).collect();
        if !all.is_empty() {
            writeln!(f, "under way")?;
        }
        for (name, host) in all.iter().take(NAMED) {
            let since = ago(self.at_us - host.since_us);
            writeln!(f, "  {name}: {} for {since}", host.state)?;
        }
        match all.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

impl RunState {
    fn words(self) -> &'static str {
        match self {
            Self::New => "not begun",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Halting => "halted, hosts in flight finish",
            Self::Halted => "halted",
            Self::Complete => "complete",
            Self::Aborted => "aborted",
        }
    }
}

impl WaveState {
    fn words(self) -> &'static str {
        match self {
            Self::Closed => "not yet",
            Self::WaitsForApproval => "waits for its approval",
            Self::Open => "open",
            Self::Soaking => "soaking",
            Self::Passed => "passed",
        }
    }
}

/// A stretch of time, short.
fn ago(us: i64) -> String {
    let seconds = us.max(0) / 1_000_000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}
