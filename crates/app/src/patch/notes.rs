//! Notes of a patch run in the run store, and orders of people from there.

use std::path::Path;
use std::time::Duration;

use hostler_diag::Diagnostic;
use hostler_events::RunId;
use hostler_executor::Interrupts;
use hostler_history::{Fact, FactFilter, FactKind, RunWriter, Store, StoreError};
use hostler_patch::plan::Plan;
use hostler_rollout::{Entry, Later, NewOrder, NotWritten, Note, Notes, Order, Orders};
use serde::{Deserialize, Serialize};

use super::book::body;
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
    let refuse = |why: String| Refusal::from(vec![Diagnostic::error("patch-order", why)]);
    let To {
        id,
        plan,
        over,
        words,
    } = addressee(&store, what)?;
    if let Some(why) = plan.and_then(|plan| misfit(&plan, &order)) {
        return Err(refuse(why));
    }
    let back = matches!(order, Order::Rollback { .. });
    if over.is_some() && !back {
        return Err(refuse(format!("{words} is over: it takes no orders")));
    }
    let expires_us = expires.map(crate::plan::after);
    give_order(&store, &id, order, expires_us)?;
    if let Some(run) = over {
        store.open_again(&run)?;
        return Ok(format!(
            "The order is kept for {words}, which is over: `hostler patch resume {}` carries it out.",
            run.0
        ));
    }
    Ok(format!(
        "The order is kept for {words}; a run that goes on takes it within seconds, another one when it is resumed."
    ))
}

/// Why an order could never have an effect on a plan.
fn misfit(plan: &Plan, order: &Order) -> Option<String> {
    match order {
        Order::Approve { wave } if !plan.waves.iter().any(|it| it.name == *wave) => {
            let names: Vec<&str> = plan.waves.iter().map(|it| it.name.as_str()).collect();
            let names = names.join(", ");
            Some(format!(
                "the plan has no wave `{wave}`; its waves are {names}"
            ))
        }
        Order::Rollback { hosts } => {
            let unknown = hosts.iter().find(|it| !plan.hosts.contains_key(*it))?;
            Some(format!("the plan has no host `{unknown}`"))
        }
        _ => None,
    }
}

/// Whom an order is for.
struct To {
    /// What it is kept under.
    id: String,
    /// If it is kept still.
    plan: Option<Plan>,
    /// A run that has come to its end.
    over: Option<RunId>,
    /// For people.
    words: String,
}

fn addressee(store: &Store, what: &str) -> Result<To, Refusal> {
    let of_plan = |id: String, plan: Option<Plan>, words: String| To {
        id,
        plan,
        over: None,
        words,
    };
    if let Ok((plan, id)) = super::apply::read_plan_file(Path::new(what)) {
        let words = format!("plan {}", id.short());
        return Ok(of_plan(id.0, Some(plan), words));
    }
    let plans = store
        .newest_facts(FactKind::Plan)
        .map_err(|error| keeping::refused(&error))?;
    let mut plans = plans
        .iter()
        .filter(|it| what.len() >= 8 && it.key.starts_with(what));
    if let (Some(plan), None) = (plans.next(), plans.next()) {
        let words = format!("plan {what}");
        return Ok(of_plan(plan.key.clone(), body(plan), words));
    }
    let run = store.find(what).map_err(|error| keeping::refused(&error))?;
    let record = store.run(&run).map_err(|error| keeping::refused(&error))?;
    let Some(plan) = record.request.get("patch").and_then(|it| it.as_str()) else {
        let text = format!("run {} does not patch: it takes no orders", run.0);
        return Err(vec![Diagnostic::error("patch-order", text)].into());
    };
    let plan = store
        .newest_fact(FactKind::Plan, plan)
        .map_err(|error| keeping::refused(&error))?;
    let entries = read(store, &run)?;
    let closed = |it: &Entry| matches!(it.note, Note::Closed { .. });
    Ok(To {
        plan: plan.as_ref().and_then(body),
        words: format!("run {}", run.0),
        over: entries.iter().any(closed).then(|| run.clone()),
        id: run.0,
    })
}

/// Orders from the store, and the wishes of whoever sits at the terminal.
pub(crate) struct StoredOrders {
    store: Store,
    /// Ids that orders are given to: of the run, and of its plan.
    to: [String; 2],
    interrupts: Interrupts,
    /// Names the wish of this process to end: the number of a process comes again, in a container each time.
    interrupt: String,
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
            interrupt: format!("interrupt-{}-{}", now_us(), std::process::id()),
            own: own.into_iter().enumerate().map(number).collect(),
        }
    }

    fn look(&self) -> Vec<NewOrder> {
        let mut all = self.own.clone();
        if self.interrupts.draining() {
            all.push(NewOrder {
                id: self.interrupt.clone(),
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

#[cfg(test)]
mod tests {
    use hostler_history::StateDir;

    use super::*;

    /// In a container each process has the same number.
    #[test]
    fn each_process_can_be_asked_to_end() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(&directory.path().join("state")).unwrap();
        let store = Store::open(&state).unwrap();
        let asked = || {
            let interrupts = Interrupts::default();
            interrupts.raise();
            let run = RunId("run".to_owned());
            let orders = StoredOrders::new(store.clone(), &run, "plan", interrupts, Vec::new());
            let ids = |orders: &StoredOrders| orders.look()[0].id.clone();
            assert_eq!(ids(&orders), ids(&orders), "one wish is one order");
            ids(&orders)
        };
        let first = asked();
        assert_ne!(first, asked());
        assert!(first.starts_with("interrupt-"));
    }
}
