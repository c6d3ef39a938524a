//! A reporter that panics is a defect, and costs the user neither the run nor its recap.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hostler_events::{Reporter, RunEvent, Stamped};

/// A reporter, and another one that tells the end if the first cannot.
pub(crate) struct Sturdy {
    reporter: Option<Box<dyn Reporter>>,
    instead: Box<dyn Reporter>,
    started: Option<Stamped>,
}

impl Sturdy {
    pub(crate) fn new(reporter: Box<dyn Reporter>, instead: Box<dyn Reporter>) -> Self {
        Sturdy {
            reporter: Some(reporter),
            instead,
            started: None,
        }
    }

    fn broken(&mut self, event: &Stamped) {
        match &event.event {
            RunEvent::RunFinished { .. } => {
                if let Some(started) = self.started.take() {
                    self.instead.event(&started);
                }
                self.instead.event(event);
            }
            RunEvent::HandlerOwed { .. } | RunEvent::Stopping { .. } => self.instead.event(event),
            _ => {}
        }
    }
}

impl Reporter for Sturdy {
    fn event(&mut self, event: &Stamped) {
        if matches!(event.event, RunEvent::RunStarted { .. }) {
            self.started = Some(event.clone());
        }
        let Some(reporter) = &mut self.reporter else {
            return self.broken(event);
        };
        if catch_unwind(AssertUnwindSafe(|| reporter.event(event))).is_ok() {
            return;
        }
        // Its own end may panic again.
        let gone = self.reporter.take();
        let _panicked_again = catch_unwind(AssertUnwindSafe(|| drop(gone)));
        let text = "hostler: the view failed (a defect); the run goes on, its recap follows\n";
        // Without standard error there is nobody to tell.
        let _ = std::io::stderr().write_all(text.as_bytes());
        self.broken(event);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use hostler_events::{Recap, RunId};

    use super::*;

    struct Fails;

    impl Reporter for Fails {
        fn event(&mut self, event: &Stamped) {
            assert!(
                !matches!(event.event, RunEvent::PlaySkipped { .. }),
                "on purpose"
            );
        }
    }

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<RunEvent>>>);

    impl Reporter for Seen {
        fn event(&mut self, event: &Stamped) {
            self.0.lock().unwrap().push(event.event.clone());
        }
    }

    #[test]
    fn the_recap_is_told_by_the_other() {
        let seen = Seen::default();
        let mut sturdy = Sturdy::new(Box::new(Fails), Box::new(seen.clone()));
        let started = RunEvent::RunStarted {
            run: RunId("r".into()),
            version: String::new(),
            playbooks: vec![],
            check: false,
            diff: false,
            hosts: 1,
            by: String::new(),
            resumed: false,
        };
        let skipped = RunEvent::PlaySkipped {
            name: "p".into(),
            reason: "r".into(),
        };
        let finished = RunEvent::RunFinished {
            recap: Recap::default(),
            exit_code: 0,
            elapsed_us: 1,
            bytes: (0, 0),
            round_trips: 0,
            resumable: true,
        };
        for event in [started, skipped.clone(), skipped, finished] {
            sturdy.event(&Stamped {
                at_us: 0,
                seq: 1,
                event,
            });
        }
        let seen = seen.0.lock().unwrap();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(matches!(seen[0], RunEvent::RunStarted { .. }));
        assert!(matches!(seen[1], RunEvent::RunFinished { .. }));
    }
}
