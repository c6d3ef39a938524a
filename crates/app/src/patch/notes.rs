//! Notes of a patch run in the run store, and orders of people from there.

use std::path::Path;
use std::time::Duration;

use hostler_diag::Diagnostic;
use hostler_events::RunId;
use hostler_executor::Interrupts;
use hostler_history::{Fact, FactFilter, FactKind, RunWriter, Store, StoreError};
use hostler_rollout::{Entry, Later, NewOrder, NotWritten, Notes, Order, Orders};
use serde::{Deserialize, Serialize};

use crate::keeping::{self, who};
use crate::plan::now_us;
use crate::refusal::Refusal;
use crate::request::StateRequest;

/// Is told each note after it was written.
pub(crate) type Watch = Box<dyn FnMut(&Entry) + Send>;

/// Writes notes down.
pub(crate) struct StoredNotes {
    writer: RunWriter,
    watch: Watch,
}

impl StoredNotes {
    pub(crate) fn new(writer: RunWriter, watch: Watch) -> Self {
        StoredNotes { writer, watch }
    }
}

impl Notes for StoredNotes {
    fn write(&mut self, entry: Entry) -> Later<'_, Result<(), NotWritten>> {
        Box::pin(async move {
            let not_written = |message: String| NotWritten { message };
            let json =
                serde_json::to_string(&entry).map_err(|error| not_written(error.to_string()))?;
            let written = self.writer.patch_note(json).await;
            written.map_err(|error| not_written(error.to_string()))?;
            (self.watch)(&entry);
            Ok(())
        })
    }
}

/// The notes of a run so far.
///
/// # Errors
/// The store cannot be read, or they were written in a form that this version does not know.
pub(crate) fn read(store: &Store, run: &RunId) -> Result<Vec<Entry>, Refusal> {
    let lines = store
        .patch_notes(run)
        .map_err(|error| crate::keeping::refused(&error))?;
    let entries = lines.iter().map(|line| serde_json::from_str(line));
    let entries: Result<Vec<Entry>, _> = entries.collect();
    let wrong = |text: String| Refusal::from(vec![Diagnostic::error("patch-notes", text)]);
    let entries = entries.map_err(|error| {
        wrong(format!(
            "the notes of run {} cannot be read: {error}",
            run.0
        ))
    })?;
    match entries.iter().find(|it| it.v != hostler_rollout::FORM) {
        None => Ok(entries),
        Some(other) => Err(wrong(format!(
            "the notes of run {} have form {}, and this version of hostler knows form {}",
            run.0,
            other.v,
            hostler_rollout::FORM
        ))),
    }
}

/// An order as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct StoredOrder {
    by: String,
    order: Order,
    /// It counts until then.
    expires_us: Option<i64>,
}

/// Gives an order to a run, or to whichever run carries out a plan: `to` is the id of either.
///
/// # Errors
/// The store cannot be written.
fn give_order(
    store: &Store,
    to: &str,
    order: Order,
    expires_us: Option<i64>,
) -> Result<(), StoreError> {
    let by = who();
    let stored = StoredOrder {
        by,
        order,
        expires_us,
    };
    let json = serde_json::to_string(&stored).map_err(|error| StoreError::Failed {
        what: "the order".into(),
        why: error.to_string(),
    })?;
    let fact = Fact {
        seq: 0,
        kind: FactKind::Order,
        key: to.to_owned(),
        at_us: now_us(),
        run: None,
        json,
    };
    store.append_facts(&[fact])
}

/// Gives an order to a run, or to whichever run carries out a plan: `what` is the id of either (or the beginning of it), or a
/// plan's file. Says in words what was done.
///
/// # Errors
/// There is no such run or plan, or the store cannot be written.
pub fn order(
    state: &StateRequest,
    what: &str,
    order: Order,
    expires: Option<Duration>,
) -> Result<String, Refusal> {
    let store = keeping::open(state).map_err(|error| keeping::refused(&error))?;
    let (to, words) = addressee(&store, what)?;
    let expires_us = expires.map(crate::plan::after);
    give_order(&store, &to, order, expires_us).map_err(|error| keeping::refused(&error))?;
    Ok(format!(
        "The order is kept for {words}; a run that goes on takes it within seconds, another one when it is resumed."
    ))
}

fn addressee(store: &Store, what: &str) -> Result<(String, String), Refusal> {
    if let Ok((_, id)) = super::apply::read_plan_file(Path::new(what)) {
        return Ok((id.0.clone(), format!("plan {}", id.short())));
    }
    let plans = store
        .newest_facts(FactKind::Plan)
        .map_err(|error| keeping::refused(&error))?;
    let mut plans = plans
        .iter()
        .filter(|it| what.len() >= 8 && it.key.starts_with(what));
    if let (Some(plan), None) = (plans.next(), plans.next()) {
        return Ok((plan.key.clone(), format!("plan {what}")));
    }
    let run = store.find(what).map_err(|error| keeping::refused(&error))?;
    let record = store.run(&run).map_err(|error| keeping::refused(&error))?;
    let is_patch = record.request.get("patch").is_some_and(|it| !it.is_null());
    if !is_patch {
        let text = format!("run {} does not patch: it takes no orders", run.0);
        return Err(vec![Diagnostic::error("patch-order", text)].into());
    }
    let words = format!("run {}", run.0);
    Ok((run.0, words))
}

/// Orders from the store, and the wishes of whoever sits at the terminal.
pub(crate) struct StoredOrders {
    store: Store,
    /// Ids that orders are given to: of the run, and of its plan.
    to: [String; 2],
    interrupts: Interrupts,
    /// Orders that this process has of its own.
    own: Vec<NewOrder>,
}

impl StoredOrders {
    /// `own` are orders that came with the command line.
    pub(crate) fn new(
        store: Store,
        run: &RunId,
        plan: &str,
        interrupts: Interrupts,
        own: Vec<Order>,
    ) -> Self {
        let number = |(index, order): (usize, Order)| NewOrder {
            id: format!("{}-{}-{index}", now_us(), std::process::id()),
            by: who(),
            order,
        };
        StoredOrders {
            store,
            to: [run.0.clone(), plan.to_owned()],
            interrupts,
            own: own.into_iter().enumerate().map(number).collect(),
        }
    }

    fn look(&self) -> Vec<NewOrder> {
        let mut all = self.own.clone();
        if self.interrupts.draining() {
            all.push(NewOrder {
                id: format!("interrupt-{}", std::process::id()),
                by: who(),
                order: Order::Halt {
                    reason: "interrupted by the user".to_owned(),
                },
            });
        }
        for to in &self.to {
            let filter = FactFilter {
                key: Some(to),
                ..FactFilter::all(FactKind::Order)
            };
            // What cannot be read now is read with the next look.
            let facts = self.store.facts(&filter).unwrap_or_default();
            all.extend(facts.into_iter().filter_map(|fact| {
                let stored: StoredOrder = serde_json::from_str(&fact.json).ok()?;
                let expired = stored.expires_us.is_some_and(|until| until <= now_us());
                (!expired).then(|| NewOrder {
                    id: format!("order-{}", fact.seq),
                    by: stored.by,
                    order: stored.order,
                })
            }));
        }
        all
    }
}

impl Orders for StoredOrders {
    fn poll(&mut self) -> Later<'_, Vec<NewOrder>> {
        Box::pin(async move { self.look() })
    }
}
