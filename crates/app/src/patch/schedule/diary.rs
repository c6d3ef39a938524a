//! What schedulers keep in the run store: which occurrences were opened, and since when a window is as it is.

use hostler_history::{Fact, FactFilter, FactKind, Store, StoreError};
use hostler_patch::ledger::Opened;
use serde::{Deserialize, Serialize};

use super::agenda::Agenda;
use crate::keeping::who;

/// The diary of schedulers in one run store.
#[derive(Clone)]
pub(crate) struct Diary(Store);

/// An occurrence that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenedOccurrence {
    /// Its id.
    pub(crate) id: String,
    /// Id of the plan that is carried out in it; empty if nothing was.
    pub(crate) plan: String,
    /// When it was opened.
    pub(crate) at_us: i64,
}

/// How a window is.
#[derive(Debug, Serialize, Deserialize)]
struct WindowAsItIs {
    says: String,
}

impl Diary {
    pub(crate) fn new(store: Store) -> Self {
        Diary(store)
    }

    /// Since when the window that opens the policy's runs is as it is now. A window that is new or was edited is as it is
    /// since now.
    ///
    /// # Errors
    /// The store cannot be used.
    pub(crate) fn known_since(&self, agenda: &Agenda, now_us: i64) -> Result<i64, StoreError> {
        let key = format!("{}/{}", agenda.policy, agenda.first().name());
        let says = agenda.fingerprint();
        if let Some(fact) = self.0.newest_fact(FactKind::Window, &key)? {
            let known: Option<WindowAsItIs> = serde_json::from_str(&fact.json).ok();
            if known.is_some_and(|it| it.says == says) {
                return Ok(fact.at_us);
            }
        }
        self.0
            .append_facts(&[fact(FactKind::Window, key, now_us, &WindowAsItIs { says })])?;
        Ok(now_us)
    }

    /// Occurrences of a policy that were opened since then, in the order in which they were.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn opened(
        &self,
        policy: &str,
        since_us: i64,
    ) -> Result<Vec<OpenedOccurrence>, StoreError> {
        let filter = FactFilter {
            since_us: Some(since_us),
            ..FactFilter::all(FactKind::Occurrence)
        };
        let own = format!("{policy}/");
        let facts = self.0.facts(&filter)?;
        let facts = facts.into_iter().filter(|it| it.key.starts_with(&own));
        Ok(facts
            .map(|fact| OpenedOccurrence {
                plan: serde_json::from_str(&fact.json)
                    .map_or_else(|_| String::new(), |it: Opened| it.plan),
                id: fact.key,
                at_us: fact.at_us,
            })
            .collect())
    }

    /// Opens an occurrence with a plan (an empty one if nothing is done), and others that it makes up for. False: it was opened
    /// before, by whomever, and never is again.
    ///
    /// # Errors
    /// The store cannot be written: nothing was opened.
    pub(crate) fn open(
        &self,
        id: &str,
        makes_up_for: &[String],
        plan: &str,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        let opened = Opened {
            plan: plan.to_owned(),
            by: who(),
        };
        let also = Opened {
            plan: String::new(),
            by: who(),
        };
        let mut facts = vec![fact(FactKind::Occurrence, id.to_owned(), now_us, &opened)];
        let others = makes_up_for.iter().filter(|it| *it != id).cloned();
        facts.extend(others.map(|it| fact(FactKind::Occurrence, it, now_us, &also)));
        let written = self.0.claim_facts(&facts)?;
        Ok(written.first() == Some(&true))
    }

    /// Notes that nobody opened an occurrence. From then on nobody does.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(crate) fn miss(&self, ids: &[String], now_us: i64) -> Result<(), StoreError> {
        let opened = Opened {
            plan: String::new(),
            by: who(),
        };
        let facts = ids
            .iter()
            .map(|it| fact(FactKind::Occurrence, it.clone(), now_us, &opened));
        self.0.claim_facts(&facts.collect::<Vec<_>>())?;
        Ok(())
    }
}

fn fact(kind: FactKind, key: String, at_us: i64, body: &impl Serialize) -> Fact {
    Fact {
        seq: 0,
        kind,
        key,
        at_us,
        run: None,
        // Plain data always has a JSON form.
        json: serde_json::to_string(body).unwrap_or_default(),
    }
}
