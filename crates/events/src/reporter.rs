//! Consumers of events.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{RunEvent, Stamped};

/// Reads events and shows or stores them. A reporter never fails a run: what it cannot write, it drops or tells in its
/// own way.
pub trait Reporter: Send {
    /// An event happened. Called in order, from one thread at a time.
    fn event(&mut self, event: &Stamped);
}

/// Several reporters as one, and the stamp on each event.
#[derive(Default)]
pub struct Reporters {
    reporters: Vec<Box<dyn Reporter>>,
    seq: u64,
}

impl Reporters {
    /// These reporters, in this order.
    pub fn new(reporters: Vec<Box<dyn Reporter>>) -> Self {
        Reporters { reporters, seq: 0 }
    }

    /// Stamps an event and gives it to every reporter. One that panics gets no more; the others do.
    pub fn emit(&mut self, event: RunEvent) {
        self.seq += 1;
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let at_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        let stamped = Stamped {
            at_us,
            seq: self.seq,
            event,
        };
        self.reporters.retain_mut(|reporter| {
            catch_unwind(AssertUnwindSafe(|| reporter.event(&stamped))).is_ok()
        });
    }
}
