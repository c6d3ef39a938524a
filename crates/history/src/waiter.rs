//! A future that another thread completes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use hostler_journal::JournalError;

type Verdict<T> = Result<T, JournalError>;

struct Slot<T> {
    verdict: Option<Verdict<T>>,
    waker: Option<Waker>,
    /// Nobody will complete it any more, or has.
    closed: bool,
}

/// Completes a [`Waiting`].
pub(crate) struct Waiter<T>(Arc<Mutex<Slot<T>>>);

/// Ends when its [`Waiter`] says so.
pub(crate) struct Waiting<T>(Arc<Mutex<Slot<T>>>);

pub(crate) fn pair<T>() -> (Waiter<T>, Waiting<T>) {
    let slot = Arc::new(Mutex::new(Slot {
        verdict: None,
        waker: None,
        closed: false,
    }));
    (Waiter(Arc::clone(&slot)), Waiting(slot))
}

/// One that has ended.
pub(crate) fn ended<T>(verdict: Verdict<T>) -> Waiting<T> {
    let slot = Slot {
        verdict: Some(verdict),
        waker: None,
        closed: true,
    };
    Waiting(Arc::new(Mutex::new(slot)))
}

impl<T> Waiter<T> {
    pub(crate) fn complete(self, verdict: Verdict<T>) {
        self.put(verdict);
    }

    fn put(&self, verdict: Verdict<T>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.closed {
            return;
        }
        slot.closed = true;
        slot.verdict = Some(verdict);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Waiter<T> {
    /// A writer that goes away must not leave anyone waiting.
    fn drop(&mut self) {
        self.put(Err(JournalError("the writer has ended".into())));
    }
}

impl<T> Future for Waiting<T> {
    type Output = Verdict<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict<T>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = slot.verdict.take() {
            return Poll::Ready(verdict);
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
