//! The order of tasks that several hosts of a play delegate to one host.
//!
//! Two of them may change the same file, and each plans by what it saw: so they take turns, in the play's order of
//! hosts, in a preview as in a real run. A host waits for those before it that may still work on the same place: until
//! they have ended the task, or have said that they work elsewhere. Modules that only look, or run what the user wrote
//! ([`FREE`]), wait for nobody: `throttle: 1` orders those.

use std::sync::Arc;

use tokio::sync::watch;

/// Modules whose delegated tasks run side by side.
const FREE: &[&str] = &[
    "assert",
    "command",
    "debug",
    "fail",
    "fetch",
    "meta",
    "pause",
    "ping",
    "raw",
    "script",
    "set_fact",
    "setup",
    "shell",
    "slurp",
    "stat",
    "uri",
    "wait_for",
    "wait_for_connection",
];

/// Where a host's part of a task works.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// It waits for a free place among the forks. Those before it get theirs first, or they would wait for each other.
    Waiting,
    /// Not yet known.
    Open,
    /// On this host, and on no other before it has ended.
    At(String),
    /// Nowhere any more.
    Ended,
}

/// The turns of one task.
#[derive(Clone)]
pub(crate) struct Turns {
    places: Arc<watch::Sender<Vec<Place>>>,
}

/// One host's turn. It has ended when this is dropped.
pub(crate) struct Turn {
    turns: Turns,
    index: usize,
    /// Its items may be delegated to different hosts.
    wanders: bool,
}

impl Turns {
    /// For `count` hosts, if the task is one that takes turns.
    pub(crate) fn of(module: &str, count: usize) -> Option<Self> {
        let places = Arc::new(watch::Sender::new(vec![Place::Waiting; count]));
        (!FREE.contains(&module) && count > 1).then_some(Turns { places })
    }

    /// The turn of the host with this index in the play's order.
    pub(crate) fn turn(&self, index: usize, wanders: bool) -> Turn {
        let turns = self.clone();
        Turn {
            turns,
            index,
            wanders,
        }
    }
}

impl Turn {
    /// Waits until all before this one have begun.
    pub(crate) async fn queue(&self) {
        let begun = |it: &Vec<Place>| it.iter().take(self.index).all(|it| *it != Place::Waiting);
        let mut places = self.turns.places.subscribe();
        let _always_there = places.wait_for(begun).await;
    }

    /// It has begun.
    pub(crate) fn begin(&self) {
        self.set(Place::Open);
    }

    /// Waits until no host before this one works, or may yet work, on the same place.
    pub(crate) async fn at(&self, place: &str) {
        let own = Place::At(place.to_owned());
        if !self.wanders {
            self.set(own.clone());
        }
        let mut places = self.turns.places.subscribe();
        let free = |it: &Vec<Place>| {
            let before = it.iter().take(self.index);
            let elsewhere = |it: &Place| !self.wanders && matches!(it, Place::At(_)) && *it != own;
            before
                .into_iter()
                .all(|it| *it == Place::Ended || elsewhere(it))
        };
        // The sender lives as long as this turn.
        let _always_there = places.wait_for(free).await;
    }

    fn set(&self, place: Place) {
        self.turns.places.send_if_modified(|places| {
            let own = places.get_mut(self.index);
            own.is_some_and(|own| {
                let changed = *own != place;
                *own = place;
                changed
            })
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.set(Place::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn in_the_order_of_hosts() {
        let turns = Turns::of("lineinfile", 4).unwrap();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut jobs = tokio::task::JoinSet::new();
        for index in [3, 1, 2] {
            let (turn, order) = (turns.turn(index, false), order.clone());
            jobs.spawn(async move {
                turn.at("db").await;
                order.lock().unwrap().push(index);
                tokio::task::yield_now().await;
            });
        }
        let first = turns.turn(0, false);
        first.begin();
        tokio::task::yield_now().await;
        assert!(order.lock().unwrap().is_empty(), "the first may yet come");
        first.at("elsewhere").await;
        jobs.join_all().await;
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn other_places_are_not_waited_for() {
        let turns = Turns::of("copy", 2).unwrap();
        let (first, second) = (turns.turn(0, false), turns.turn(1, false));
        first.at("a").await;
        second.at("b").await;
        assert!(Turns::of("wait_for", 9).is_none());
    }
}
