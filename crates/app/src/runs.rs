//! The history of runs, as commands ask for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_change::Delta;
use hostler_events::{RunId, Stamped};
use hostler_history::{
    ChangeFilter, ChangeRecord, Keep, RunFilter, RunRecord, RunSummary, Store, StoreError,
};
use hostler_record::{Builder, HostRecord, OwedRecord, Record, State};
use hostler_reporters::{ChangeRow, PrunedRows, RunRow};

use crate::keeping::{self, refused};
use crate::refusal::Refusal;
use crate::request::StateRequest;
use crate::undiffed::without_texts;

pub use hostler_history::RunState;

/// A hundred years are for ever.
const DAYS_MAX: u32 = 36_500;

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        refused(&error)
    }
}

/// Which runs are listed.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    /// In this state.
    pub state: Option<RunState>,
    /// That had this host.
    pub host: Option<String>,
    /// Of a playbook whose path ends in this.
    pub playbook: Option<String>,
    /// That began in this time.
    pub since: Option<Duration>,
    /// At most so many.
    pub number: Option<usize>,
}

/// Which changes are listed.
#[derive(Clone, Debug, Default)]
pub struct LogRequest {
    /// About this: a path (one that ends in `/` is everything below it), `package nginx`.
    pub subject: Option<String>,
    /// On this host.
    pub host: Option<String>,
    /// By tasks with this in their name, in any case of letters.
    pub task: Option<String>,
    /// Made in this time.
    pub since: Option<Duration>,
    /// At most so many.
    pub number: Option<usize>,
}

/// What is removed of the history. Without any limit, those that hold after each run.
#[derive(Clone, Debug, Default)]
pub struct PruneRequest {
    /// Runs that are older than so many days.
    pub keep_days: Option<u32>,
    /// All but the newest so many.
    pub keep_runs: Option<u32>,
    /// The oldest, until the database does not take more bytes.
    pub max_size: Option<u64>,
    /// Nothing is removed.
    pub dry_run: bool,
}

/// The history of runs.
pub struct Runs {
    pub(crate) store: Store,
}

impl Runs {
    /// Opens it.
    ///
    /// # Errors
    /// If the state directory or the database in it cannot be used.
    pub fn open(state: &StateRequest) -> Result<Self, Refusal> {
        let store = keeping::open(state)?;
        Ok(Runs { store })
    }

    /// The run that a user means: its id, a part of it at its beginning or end, or `last`.
    ///
    /// # Errors
    /// If there is none, or there are several.
    pub fn find(&self, text: &str) -> Result<RunId, Refusal> {
        match self.store.find(text) {
            Err(StoreError::NoSuchRun(_)) if text.len() >= 3 => {}
            found => return Ok(found?),
        }
        // Ids begin with the time, so that people tell those of a day apart by their ends.
        let all = self.store.runs(&RunFilter::default())?;
        let mut ends: Vec<RunId> = all
            .into_iter()
            .map(|it| it.run)
            .filter(|it| it.0.ends_with(text))
            .collect();
        match ends.len() {
            1 => Ok(ends.swap_remove(0)),
            0 => Err(StoreError::NoSuchRun(text.to_owned()).into()),
            _ => {
                let names = ends.into_iter().map(|it| it.0).take(9).collect();
                let text = text.to_owned();
                Err(StoreError::Ambiguous { text, runs: names }.into())
            }
        }
    }

    /// As [`Runs::find`], but `last` is the newest run that was no preview.
    ///
    /// # Errors
    /// If there is none, or there are several.
    pub(crate) fn find_changing(&self, text: &str) -> Result<RunId, Refusal> {
        if text != "last" {
            return self.find(text);
        }
        let newest = self.store.runs(&RunFilter {
            without_checks: true,
            limit: Some(1),
            ..RunFilter::default()
        })?;
        let none = || StoreError::NoSuchRun("at all".to_owned());
        Ok(newest.into_iter().next().ok_or_else(none)?.run)
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn list(&self, request: &ListRequest) -> Result<Vec<RunRow>, Refusal> {
        let filter = RunFilter {
            state: request.state,
            host: request.host.clone(),
            playbook: request.playbook.clone(),
            since_us: request.since.map(ago_us),
            limit: request.number,
            ..RunFilter::default()
        };
        let mut rows = Vec::new();
        for summary in self.store.runs(&filter)? {
            let RunRecord { hosts, .. } = self.store.run(&summary.run)?;
            rows.push(row(summary, &hosts));
        }
        Ok(rows)
    }

    /// What changed, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn log(&self, request: &LogRequest) -> Result<Vec<ChangeRow>, Refusal> {
        let filter = ChangeFilter {
            host: request.host.clone(),
            subject: request.subject.clone(),
            since_us: request.since.map(ago_us),
            limit: request.number.filter(|_| request.task.is_none()),
            ..ChangeFilter::default()
        };
        let task = request.task.as_ref().map(|text| text.to_lowercase());
        let wanted = |it: &ChangeRecord| {
            let name = it.task_name.to_lowercase();
            task.as_ref().is_none_or(|task| name.contains(task))
        };
        let changes = self.store.changes(&filter)?.into_iter();
        let rows = changes.filter(wanted).map(change_row);
        Ok(rows.take(request.number.unwrap_or(usize::MAX)).collect())
    }

    /// Removes old runs. What is not said stays as after each run.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn prune(&self, request: &PruneRequest) -> Result<PrunedRows, Refusal> {
        // What is asked for alone decides: `--keep-runs 10` removes no old run among the ten.
        let asked = request.keep_days.or(request.keep_runs).is_some() || request.max_size.is_some();
        let unasked = if asked {
            Keep {
                days: DAYS_MAX,
                runs: u32::MAX,
                bytes: None,
            }
        } else {
            Keep::default()
        };
        let keep = Keep {
            days: request.keep_days.unwrap_or(unasked.days).min(DAYS_MAX),
            runs: request.keep_runs.unwrap_or(unasked.runs),
            bytes: request.max_size,
        };
        let pruned = self.store.prune(&hostler_history::PruneRequest {
            keep,
            dry_run: request.dry_run,
            ..hostler_history::PruneRequest::default()
        })?;
        let names = |runs: Vec<RunId>| runs.into_iter().map(|it| it.0).collect();
        Ok(PrunedRows {
            dry_run: request.dry_run,
            runs: names(pruned.runs),
            kept: names(pruned.held),
            before_bytes: pruned.bytes_before,
            after_bytes: pruned.bytes_after,
        })
    }

    /// Events of a run, in order. One that cannot be read is an error in its place. Without `texts` they are as who did
    /// not ask for differences was told them.
    ///
    /// # Errors
    /// If there is no such run, or it cannot be read.
    pub fn events(
        &self,
        run: &RunId,
        texts: bool,
    ) -> Result<impl Iterator<Item = Result<Stamped, Refusal>> + use<>, Refusal> {
        let events = self.store.events(run)?;
        Ok(events.map(move |event| match event {
            Ok(event) if !texts => Ok(without_texts(&event).into_owned()),
            event => event.map_err(Refusal::from),
        }))
    }

    /// A run as one document.
    ///
    /// # Errors
    /// If there is no such run, or it cannot be read.
    pub fn record(&self, run: &RunId) -> Result<Record, Refusal> {
        let RunRecord { summary, hosts, .. } = self.store.run(run)?;
        let mut builder = Builder::default();
        for event in self.store.events(run)? {
            builder.event(&event?);
        }
        let mut record = builder.finish();
        record.run.clone_from(&run.0);
        record.state = state_of(summary.state);
        record.resumable = summary.resumable;
        if record.by.is_empty() {
            record.by.clone_from(&summary.who);
        }
        if record.playbooks.is_empty() {
            record.playbooks.clone_from(&summary.playbooks);
        }
        if record.started_us == 0 {
            record.started_us = summary.started_us;
        }
        // What a later run has paid is not owed any more; a run that was killed has not told what it owes.
        let hosts: Vec<String> = hosts.into_iter().map(|(name, _)| name).collect();
        let owed = self.store.owed(&summary.playbooks, &hosts, None)?;
        let of_run = owed.into_iter().filter(|it| it.run == *run);
        record.owed = of_run
            .map(|it| OwedRecord {
                handler: it.handler,
                host: it.host,
                run: it.run.0,
            })
            .collect();
        record.owed.sort_unstable();
        Ok(record)
    }
}

fn change_row(it: ChangeRecord) -> ChangeRow {
    let mut deltas = it.deltas;
    if deltas.is_empty() {
        // A file that was replaced by a task that told no difference.
        deltas.push(Delta::action(it.subject, "changed"));
    }
    ChangeRow {
        at_us: it.at_us,
        run: it.run.0,
        by: it.who,
        host: it.host,
        task: it.task_name,
        deltas,
    }
}

fn row(summary: RunSummary, hosts: &[(String, Option<hostler_events::Counts>)]) -> RunRow {
    let known = hosts
        .iter()
        .filter_map(|(name, counts)| Some(HostRecord::new(name, counts.as_ref()?)))
        .collect();
    RunRow {
        run: summary.run.0,
        started_us: summary.started_us,
        elapsed_us: summary.elapsed_us,
        by: summary.who,
        playbooks: summary.playbooks,
        check: summary.check,
        state: state_of(summary.state),
        resumable: summary.resumable,
        exit_code: summary.exit_code,
        host_count: hosts.len(),
        hosts: known,
    }
}

fn state_of(state: RunState) -> State {
    match state {
        RunState::Running => State::Running,
        RunState::Finished => State::Finished,
        RunState::Failed => State::Failed,
        RunState::Interrupted => State::Interrupted,
        RunState::JournalBroken => State::JournalBroken,
    }
}

/// The time that long ago, in microseconds since the epoch.
pub(crate) fn ago_us(time: Duration) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let then = now.saturating_sub(time);
    i64::try_from(then.as_micros()).unwrap_or(i64::MAX)
}

/// A time for lists, 16 columns: `2026-11-21 05:56`.
pub fn short_time_words(at_us: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_microsecond(at_us) else {
        return "?".to_owned();
    };
    let zoned = at.to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M").to_string()
}

/// The time of day of an instant (microseconds since the epoch): `22:01:13`.
pub fn time_of_day(at_us: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_microsecond(at_us) else {
        return "?".to_owned();
    };
    let zoned = at.to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%H:%M:%S").to_string()
}

/// Now: microseconds since the epoch.
pub fn now() -> i64 {
    crate::plan::now_us()
}

/// An instant as people write it in local time (`2026-12-12T22:00`), in microseconds since the epoch.
///
/// # Errors
/// It is not written so, or there is no such time.
pub fn local_time(text: &str) -> Result<i64, String> {
    let written: jiff::civil::DateTime = text
        .parse()
        .map_err(|_| "a date and a time are wanted: 2026-12-12T22:00".to_owned())?;
    let zoned = written.to_zoned(jiff::tz::TimeZone::system());
    let zoned = zoned.map_err(|error| error.to_string())?;
    Ok(zoned.timestamp().as_microsecond())
}

/// The zone of this machine; UTC if it has no name.
pub fn local_zone() -> hostler_schedule::Zone {
    let zone = jiff::tz::TimeZone::system();
    let named = zone
        .iana_name()
        .and_then(|name| hostler_schedule::Zone::parse(name).ok());
    named.unwrap_or_else(hostler_schedule::Zone::utc)
}
