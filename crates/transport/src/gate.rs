//! How many hosts may be *connecting* at the same time. Established sessions do not count.
//!
//! Two limits: one over all hosts, because each new session costs its server a process and a key exchange, and one per
//! destination, because sshd drops connections above `MaxStartups` (10:30:100 by default). A destination that drops us
//! all the same has its limit halved, down to one at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a host that does not answer may keep a place that others wait for. An answer takes milliseconds, or a
/// second where everything is overloaded.
const PATIENCE: Duration = Duration::from_secs(3);

/// Limits of a [`Gate`].
#[derive(Clone, Copy, Debug)]
pub struct GateLimits {
    /// Hosts connecting at once, over the whole run.
    pub connecting: usize,
    /// Hosts connecting at once through one address, jump host or proxy command.
    pub connecting_per_destination: usize,
}

impl Default for GateLimits {
    /// 32 in all: enough to hide round trips of 100 ms at 300 hosts a second. More would not be faster: with client and
    /// sshd on the same two cores, 100 logins took as long with 4 at once as with 64, and a fifth longer with 200.
    /// 8 for each destination: below the 10 of sshd's default `MaxStartups`.
    fn default() -> Self {
        Self {
            connecting: 32,
            connecting_per_destination: 8,
        }
    }
}

/// The limiter, shared by all connections of a run.
#[derive(Debug)]
pub struct Gate {
    all: Arc<Semaphore>,
    per_destination: usize,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
}

#[derive(Debug)]
struct Lane {
    permits: Arc<Semaphore>,
    state: Mutex<LaneState>,
}

#[derive(Debug)]
struct LaneState {
    limit: usize,
    /// Permits to swallow instead of returning them, after the limit went down.
    debt: usize,
}

/// Leave to connect to one destination; dropping it lets the next one in.
#[derive(Debug)]
pub struct Permit {
    lane: Arc<Lane>,
    own: Option<OwnedSemaphorePermit>,
    all: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// A gate with these limits; zero counts as one.
    pub fn new(limits: GateLimits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connecting.max(1))),
            per_destination: limits.connecting_per_destination.max(1),
            lanes: Mutex::new(HashMap::new()),
        }
    }

    /// Waits for a place. Waiting is not part of any deadline. Nobody may hold one permit while asking for another:
    /// a chain of jump hosts takes them one after the other.
    pub async fn enter(&self, destination: &str) -> Permit {
        let lane = self.lane(destination);
        // The narrow limit first, so that hosts queueing for one bastion do not use up the wide one.
        let own = acquire(&lane.permits).await;
        let all = acquire(&self.all).await;
        Permit {
            lane,
            own: Some(own),
            all: Some(all),
        }
    }

    fn lane(&self, destination: &str) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get(destination) {
            return Arc::clone(lane);
        }
        let lane = Arc::new(Lane {
            permits: Arc::new(Semaphore::new(self.per_destination)),
            state: Mutex::new(LaneState {
                limit: self.per_destination,
                debt: 0,
            }),
        });
        lanes.insert(destination.to_owned(), Arc::clone(&lane));
        lane
    }
}

impl Permit {
    /// Does `work` under the permit. The place among all hosts goes back after [`PATIENCE`] even if the work is not
    /// done: by then it waits for its host more than it computes, and a fleet's tarpits must not hold up the others.
    /// The place at the destination stays taken, because its sshd still counts us.
    pub(crate) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> T {
        hold_briefly(self.all.take(), work).await
    }

    /// The destination dropped the connection before its banner: from now on half as many at once.
    pub fn penalised(&self) {
        let mut state = lock(&self.lane.state);
        let limit = (state.limit / 2).max(1);
        state.debt += state.limit - limit;
        state.limit = limit;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = lock(&self.lane.state);
        if state.debt > 0 {
            state.debt -= 1;
            if let Some(permit) = self.own.take() {
                permit.forget();
            }
        }
    }
}

/// Does `work` and drops `place` when it is done, or after [`PATIENCE`] if that comes first.
pub(crate) async fn hold_briefly<T>(place: impl Sized, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    let early = tokio::time::timeout(PATIENCE, &mut work).await;
    drop(place);
    match early {
        Ok(result) => result,
        Err(_) => work.await,
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    loop {
        if let Ok(permit) = Arc::clone(semaphore).acquire_owned().await {
            return permit;
        }
        // Only a closed semaphore refuses, and these are never closed.
        std::future::pending::<()>().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_penalty_halves_what_one_destination_gets_and_nobody_else() {
        let gate = Gate::new(GateLimits {
            connecting: 100,
            connecting_per_destination: 4,
        });
        let held = [
            gate.enter("a").await,
            gate.enter("a").await,
            gate.enter("a").await,
            gate.enter("a").await,
        ];
        held[0].penalised();
        drop(held);
        assert_eq!(gate.lane("a").permits.available_permits(), 2);
        for _ in 0..5 {
            gate.enter("a").await.penalised();
        }
        assert_eq!(gate.lane("a").permits.available_permits(), 1);
        assert_eq!(gate.lane("b").permits.available_permits(), 4);
    }

    #[tokio::test]
    async fn the_global_limit_holds_over_destinations() {
        let gate = Arc::new(Gate::new(GateLimits {
            connecting: 1,
            connecting_per_destination: 4,
        }));
        let first = gate.enter("a").await;
        let second = {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { gate.enter("b").await })
        };
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.expect("second");
    }
}
