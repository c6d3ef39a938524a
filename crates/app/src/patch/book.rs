//! The ledger of patching in the run store: what scans and runs leave there, and what the planner reads.

use std::collections::{BTreeMap, HashMap};

use hostler_events::RunId;
use hostler_history::{Fact, FactFilter, FactKind, Store, StoreError};
use hostler_patch::known::Known;
use hostler_patch::ledger;
use hostler_updates::Scan;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ran;
use crate::keeping::refused;
use crate::plan::now_us;
use crate::refusal::Refusal;

/// The ledger of one run store.
#[derive(Clone)]
pub(crate) struct Book(Store);

/// A fact of now.
pub(crate) fn fact(
    kind: FactKind,
    key: String,
    run: Option<&RunId>,
    body: &impl Serialize,
) -> Fact {
    Fact {
        seq: 0,
        kind,
        key,
        at_us: now_us(),
        run: run.cloned(),
        // Types of the ledger are plain data.
        json: serde_json::to_string(body).unwrap_or_default(),
    }
}

impl Book {
    pub(crate) fn new(store: Store) -> Self {
        Book(store)
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.0
    }

    /// Writes facts.
    pub(crate) fn append(&self, facts: &[Fact]) -> Result<(), Refusal> {
        self.0.append_facts(facts).map_err(|error| refused(&error))
    }

    /// What the planner is to know.
    pub(crate) fn known(&self) -> Result<Known, Refusal> {
        self.read().map_err(|error| refused(&error))
    }

    fn read(&self) -> Result<Known, StoreError> {
        let newest = |kind| self.0.newest_facts(kind);
        let mut known = Known::default();
        for fact in newest(FactKind::FirstSeen)? {
            known.first_seen.insert(fact.key, fact.at_us);
        }
        for fact in self.0.facts(&FactFilter::all(FactKind::Proven))? {
            let all = known.proven.entry(fact.key.clone()).or_default();
            all.extend(body::<ledger::Proven>(&fact));
        }
        for fact in self.0.facts(&FactFilter::all(FactKind::Disproven))? {
            let Some(it) = body::<ledger::Disproven>(&fact) else {
                continue;
            };
            let all = known.disproven.entry(fact.key).or_default();
            // The newest word counts.
            all.retain(|before| before.version != it.version);
            all.push(it);
        }
        for fact in self.0.facts(&FactFilter::all(FactKind::Duration))? {
            let all = known.took.entry(fact.key.clone()).or_default();
            all.extend(body::<ledger::Took>(&fact));
        }
        Ok(known)
    }

    /// Keeps what hosts said: newest scans, versions that were seen for the first time, what they lack since when.
    pub(crate) fn learn(&self, scans: &BTreeMap<String, Scan>) -> Result<(), Refusal> {
        let worked = ran::outcomes(&self.0)?;
        self.absorb(scans, &worked).map_err(|error| refused(&error))
    }

    fn absorb(
        &self,
        scans: &BTreeMap<String, Scan>,
        worked: &[(i64, ledger::RunOutcome)],
    ) -> Result<(), StoreError> {
        let by_host = |kind| -> Result<HashMap<String, Fact>, StoreError> {
            let facts = self.0.newest_facts(kind)?;
            Ok(facts.into_iter().map(|it| (it.key.clone(), it)).collect())
        };
        let (before, lacked) = (by_host(FactKind::Scan)?, by_host(FactKind::Exposure)?);
        let firsts: Vec<Fact> = scans
            .iter()
            .flat_map(|(host, scan)| ledger::first_seen(host, scan))
            .map(|(key, seen)| fact(FactKind::FirstSeen, key, None, &seen))
            .collect();
        self.0.claim_facts(&firsts)?;
        let seen: HashMap<String, i64> = self
            .0
            .newest_facts(FactKind::FirstSeen)?
            .into_iter()
            .map(|it| (it.key, it.at_us))
            .collect();
        let mut facts = Vec::new();
        for (host, scan) in scans {
            let old = before
                .get(host)
                .and_then(|it| Some((it.at_us, body::<Scan>(it)?)));
            let since = old.as_ref().map_or(i64::MIN, |(at_us, _)| *at_us);
            let exposure = lacked.get(host).and_then(body::<ledger::HostExposure>);
            let taken = |run: &ledger::RunOutcome| {
                let of_host =
                    |it: &ledger::HostOutcome| it.host == *host && it.started_us.is_some();
                run.hosts.iter().any(of_host)
            };
            let worked_on = worked
                .iter()
                .any(|(at_us, run)| *at_us >= since && taken(run));
            let known = ledger::Before {
                scan: old.as_ref().map(|(at_us, scan)| (*at_us, scan)),
                exposure: exposure.as_ref(),
                worked_on,
            };
            let scheme = scan.manager.scheme();
            let at_least = |a: &str, b: &str| Some(hostler_updates::compare(scheme, a, b).is_ge());
            let now = ledger::absorb(
                known,
                scan,
                now_us(),
                &|key| seen.get(key).copied(),
                &at_least,
            );
            facts.push(fact(FactKind::Scan, host.clone(), None, scan));
            facts.push(fact(FactKind::Exposure, host.clone(), None, &now.exposure));
            facts.extend(
                now.fixed
                    .iter()
                    .map(|it| fact(FactKind::Fixed, host.clone(), None, it)),
            );
            facts.extend(
                now.drift
                    .iter()
                    .map(|it| fact(FactKind::Drift, host.clone(), None, it)),
            );
        }
        self.0.append_facts(&facts)
    }
}

/// What a fact says, if it can be read.
pub(crate) fn body<T: DeserializeOwned>(fact: &Fact) -> Option<T> {
    serde_json::from_str(&fact.json).ok()
}
