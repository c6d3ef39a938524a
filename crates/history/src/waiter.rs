//! A future that another thread completes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use hostler_journal::JournalError;

type Verdict = Result<(), JournalError>;

#[derive(Default)]
struct Slot {
    verdict: Option<Verdict>,
    waker: Option<Waker>,
}

/// Completes a [`Waiting`].
pub(crate) struct Waiter(Arc<Mutex<Slot>>);

/// Ends when its [`Waiter`] says so.
pub(crate) struct Waiting(Arc<Mutex<Slot>>);

pub(crate) fn pair() -> (Waiter, Waiting) {
    let slot = Arc::new(Mutex::new(Slot::default()));
    (Waiter(Arc::clone(&slot)), Waiting(slot))
}

/// One that has ended.
pub(crate) fn ended(verdict: Verdict) -> Waiting {
    let slot = Slot {
        verdict: Some(verdict),
        waker: None,
    };
    Waiting(Arc::new(Mutex::new(slot)))
}

impl Waiter {
    pub(crate) fn complete(self, verdict: Verdict) {
        self.put(verdict);
    }

    fn put(&self, verdict: Verdict) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.verdict.is_none() {
            slot.verdict = Some(verdict);
        }
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Waiter {
    /// A writer that goes away must not leave anyone waiting.
    fn drop(&mut self) {
        self.put(Err(JournalError("the writer has ended".into())));
    }
}

impl Future for Waiting {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = slot.verdict.clone() {
            return Poll::Ready(verdict);
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
