//! Texts of files are part of every event of a real run, since the history keeps them; who did not ask for differences is
//! not shown them.

use std::borrow::Cow;

use hostler_change::{Change, Delta};
use hostler_events::{Reporter, RunEvent, Stamped};

/// A reporter that gets no texts of files.
pub(crate) struct Undiffed(Box<dyn Reporter>);

impl Undiffed {
    /// A reporter as one that gets no texts of files.
    pub(crate) fn boxed(reporter: Box<dyn Reporter>) -> Box<dyn Reporter> {
        Box::new(Undiffed(reporter))
    }
}

impl Reporter for Undiffed {
    fn event(&mut self, event: &Stamped) {
        self.0.event(&without_texts(event));
    }
}

fn is_text(delta: &Delta) -> bool {
    matches!(delta.change, Change::Text { .. })
}

/// The event without texts of files.
pub(crate) fn without_texts(event: &Stamped) -> Cow<'_, Stamped> {
    let deltas = match &event.event {
        RunEvent::TaskFinished { result, .. } => &result.deltas,
        RunEvent::ItemFinished { item, .. } => &item.deltas,
        _ => return Cow::Borrowed(event),
    };
    if !deltas.iter().any(is_text) {
        return Cow::Borrowed(event);
    }
    let mut event = event.clone();
    match &mut event.event {
        RunEvent::TaskFinished { result, .. } => result.deltas.retain(|it| !is_text(it)),
        RunEvent::ItemFinished { item, .. } => item.deltas.retain(|it| !is_text(it)),
        _ => {}
    }
    Cow::Owned(event)
}
