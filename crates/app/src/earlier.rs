//! Hosts of earlier runs, for `--limit @failed` and its like.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_events::{Counts, RunEvent, Status};
use hostler_history::{RunFilter, RunRecord, RunState, Store, StoreError};
use hostler_inventory::{LimitSet, LimitSets};

use crate::keeping;
use crate::plan::time_words;
use crate::request::ApplyRequest;

/// Runs that are looked at to find the last one of the same playbooks.
const RUNS_MAX: usize = 2000;

/// Looks runs up in the run store, when they are asked for.
pub(crate) struct EarlierRuns<'a> {
    request: &'a ApplyRequest,
    store: OnceCell<Store>,
}

impl<'a> EarlierRuns<'a> {
    /// For the playbooks of a request.
    pub(crate) fn of(request: &'a ApplyRequest) -> Self {
        EarlierRuns {
            request,
            store: OnceCell::new(),
        }
    }

    fn store(&self) -> Result<&Store, StoreError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = keeping::open(&self.request.state)?;
        Ok(self.store.get_or_init(|| store))
    }

    /// The run of this id, or the last one of the same playbooks that changed something.
    fn record(&self, run: Option<&str>) -> Result<Option<RunRecord>, StoreError> {
        let store = self.store()?;
        if let Some(text) = run {
            return store.run(&store.find(text)?).map(Some);
        }
        let playbooks = keeping::playbooks(self.request);
        let runs = store.runs(&RunFilter {
            without_checks: true,
            limit: Some(RUNS_MAX),
            ..RunFilter::default()
        })?;
        let last = runs.into_iter().find(|it| it.playbooks == playbooks);
        last.map(|it| store.run(&it.run)).transpose()
    }

    fn hosts(&self, set: LimitSet, record: &RunRecord) -> Result<Vec<Arc<str>>, StoreError> {
        let state = record.summary.state;
        let stopped = !matches!(state, RunState::Finished | RunState::Failed);
        let told = if record.hosts.iter().any(|(_, counts)| counts.is_none()) {
            self.told(record)?
        } else {
            BTreeMap::new()
        };
        let wanted = |(host, counts): &&(String, Option<Counts>)| {
            let counts = counts.or_else(|| told.get(host).copied());
            let counts = counts.unwrap_or_default();
            let failed = counts.failed + counts.unreachable + counts.unknown > 0;
            match set {
                LimitSet::Failed => failed,
                LimitSet::Unreachable => counts.unreachable > 0,
                LimitSet::Unfinished => failed || stopped,
            }
        };
        let hosts = record.hosts.iter().filter(wanted);
        Ok(hosts.map(|(host, _)| Arc::from(host.as_str())).collect())
    }

    /// Counts of a run that was killed, from what it told before.
    fn told(&self, record: &RunRecord) -> Result<BTreeMap<String, Counts>, StoreError> {
        let mut told: BTreeMap<String, Counts> = BTreeMap::new();
        for event in self.store()?.events(&record.summary.run)? {
            let RunEvent::TaskFinished { host, result, .. } = event?.event else {
                continue;
            };
            let counts = told.entry(host).or_default();
            match result.status {
                _ if result.ignored || result.rescued => {}
                Status::Failed => counts.failed += 1,
                Status::Unreachable => counts.unreachable += 1,
                Status::Unknown => counts.unknown += 1,
                _ => {}
            }
        }
        Ok(told)
    }
}

impl LimitSets for EarlierRuns<'_> {
    fn hosts(&self, set: LimitSet, run: Option<&str>) -> Result<Vec<Arc<str>>, Diagnostic> {
        let problem = |text: String| Diagnostic::error("limit-set", text);
        let word = set.word();
        let failed = |error: StoreError| problem(format!("`@{word}`: {error}"));
        let Some(record) = self.record(run).map_err(failed)? else {
            let text = format!("`@{word}`: there is no earlier run of these playbooks");
            let hint = "only runs that were kept count; `@failed:RUN` names another run, `@./failed` is a file";
            return Err(problem(text).hint(hint));
        };
        let summary = &record.summary;
        let id = &summary.run.0;
        if let (RunState::Running, Some(held)) = (summary.state, &summary.held) {
            return Err(problem(format!(
                "`@{word}`: run {id} still goes on: {held}"
            )));
        }
        let hosts = EarlierRuns::hosts(self, set, &record).map_err(failed)?;
        if hosts.is_empty() {
            let what = match set {
                LimitSet::Failed => "no host failed",
                LimitSet::Unreachable => "no host was unreachable",
                LimitSet::Unfinished => "every host got to the end",
            };
            let when = time_words(summary.started_us);
            return Err(problem(format!("`@{word}`: {what} in run {id} of {when}")));
        }
        Ok(hosts)
    }
}
