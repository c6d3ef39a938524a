//! A password that hosts refuse is not tried on all the others: one typing error must not lock two hundred accounts, or one
//! account of a directory two hundred times.
//!
//! Until a host has accepted a password for a user, a few hosts at most are trying it; the others wait for what comes of
//! that. Once one has accepted it, nobody waits any more. If the first few all refuse it, it goes to no other host.
//!
//! Keys are not counted. A refused key locks no account (it comes to nothing before PAM is asked), what fail2ban or sshd's own
//! penalties make of it concerns our address on that one host, which gets five offers at most however many hosts there are,
//! and in fleets with several kinds of hosts it is usual that the first few refuse what the others take.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_value::Secret;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Hosts that must refuse a password before it is given up, if nothing else is said.
pub(crate) const REFUSALS: u32 = 3;
/// How long a host that has been sent a password and does not answer keeps others waiting. PAM answers a wrong one after two
/// seconds, mostly.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of each password so far. Shared by all hosts of a run.
#[derive(Debug)]
pub(crate) struct Trials {
    /// Refusals that are enough; 0: there is no limit.
    limit: usize,
    hasher: RandomState,
    /// By user and keyed hash of the password: the password itself is not kept once more.
    all: Mutex<HashMap<(String, u64), Arc<Trial>>>,
}

#[derive(Debug, Default)]
struct Trial {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    accepted: bool,
    refused: BTreeSet<String>,
    /// Attempts without an answer, and since when.
    running: HashMap<u64, Instant>,
    next: u64,
}

/// These hosts have refused it: it is not tried.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// The hosts.
    pub(crate) refused_by: Vec<String>,
}

/// Leave to send a password once. Dropped without a word, it says nothing about the password.
#[derive(Debug)]
pub(crate) struct Attempt {
    trial: Arc<Trial>,
    host: String,
    number: u64,
}

impl Trials {
    pub(crate) fn new(limit: u32) -> Self {
        Trials {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            hasher: RandomState::new(),
            all: Mutex::default(),
        }
    }

    fn trial(&self, user: &str, password: &Secret) -> Arc<Trial> {
        let key = (user.to_owned(), self.hasher.hash_one(password.reveal()));
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_default())
    }

    /// Waits until the password may be sent to a host.
    pub(crate) async fn enter(
        &self,
        user: &str,
        password: &Secret,
        host: &str,
    ) -> Result<Attempt, GivenUp> {
        let trial = self.trial(user, password);
        loop {
            let changed = trial.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let until = match self.ask(&trial, host)? {
                Ok(attempt) => return Ok(attempt),
                Err(until) => until,
            };
            // Whichever comes first: both mean to look again.
            let _ = tokio::time::timeout_at(until, changed).await;
        }
    }

    /// Leave to send it, or when to ask again at the latest.
    fn ask(&self, trial: &Arc<Trial>, host: &str) -> Result<Result<Attempt, Instant>, GivenUp> {
        let mut state = trial.state();
        let open = self.limit == 0 || state.accepted;
        if !open && state.refused.len() >= self.limit {
            let refused_by = state.refused.iter().cloned().collect();
            return Err(GivenUp { refused_by });
        }
        let now = Instant::now();
        let waited_for = state
            .running
            .values()
            .map(|since| *since + PATIENCE)
            .filter(|until| *until > now);
        let (count, first) = (waited_for.clone().count(), waited_for.min());
        if let Some(first) = first.filter(|_| !open && count + state.refused.len() >= self.limit) {
            return Ok(Err(first));
        }
        let number = state.next;
        state.next += 1;
        state.running.insert(number, now);
        drop(state);
        Ok(Ok(Attempt {
            trial: Arc::clone(trial),
            host: host.to_owned(),
            number,
        }))
    }
}

impl Trial {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// The host took it.
    pub(crate) fn accepted(self) {
        self.trial.state().accepted = true;
    }

    /// The host did not.
    pub(crate) fn refused(self) {
        self.trial.state().refused.insert(self.host.clone());
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.trial.state().running.remove(&self.number);
        self.trial.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn enter(trials: &Trials, host: &str) -> Result<Attempt, GivenUp> {
        trials.enter("ops", &Secret::new("hunter2"), host).await
    }

    fn waits(trials: &Trials, host: &str) -> bool {
        let trial = trials.trial("ops", &Secret::new("hunter2"));
        matches!(trials.ask(&trial, host), Ok(Err(_)))
    }

    #[tokio::test(start_paused = true)]
    async fn three_refusals_are_enough() {
        let trials = Trials::new(3);
        let [a, b, c] = [
            enter(&trials, "a").await.unwrap(),
            enter(&trials, "b").await.unwrap(),
            enter(&trials, "c").await.unwrap(),
        ];
        assert!(waits(&trials, "d"));
        a.refused();
        assert!(waits(&trials, "d"), "two are still trying");
        b.refused();
        let (given_up, ()) = tokio::join!(enter(&trials, "d"), async { c.refused() });
        let hosts = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(given_up.unwrap_err(), GivenUp { refused_by: hosts });
        // Another password, or the same one for another user, is another matter.
        let other = trials.enter("ops", &Secret::new("other"), "d").await;
        other.unwrap().refused();
        let other = trials.enter("root", &Secret::new("hunter2"), "d").await;
        other.unwrap().refused();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_accepts_it_lets_all_go_on() {
        let trials = Trials::new(3);
        let mut first = Vec::new();
        for host in ["a", "b", "c"] {
            first.push(enter(&trials, host).await.unwrap());
        }
        let (entered, ()) = tokio::join!(enter(&trials, "d"), async {
            first.pop().unwrap().accepted();
        });
        entered.unwrap().refused();
        first.into_iter().for_each(Attempt::refused);
        for host in 0..200 {
            enter(&trials, &host.to_string()).await.unwrap().refused();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_says_nothing_counts_for_nothing_and_is_not_waited_for_long() {
        let trials = Trials::new(3);
        let mut silent = Vec::new();
        for host in ["a", "b", "c"] {
            silent.push(enter(&trials, host).await.unwrap());
        }
        let begun = Instant::now();
        let next = enter(&trials, "d").await.unwrap();
        assert_eq!(begun.elapsed(), PATIENCE);
        drop(next);
        drop(silent);
        // The same host three times is one host.
        for _ in 0..3 {
            enter(&trials, "a").await.unwrap().refused();
        }
        enter(&trials, "b").await.unwrap().refused();
        enter(&trials, "c").await.unwrap().refused();
        assert!(enter(&trials, "d").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_waits() {
        let trials = Trials::new(0);
        for host in 0..200 {
            enter(&trials, &host.to_string()).await.unwrap().refused();
        }
    }
}
