//! Sending no faster than the host's program reads, so that nothing piles up in sshd.
//!
//! OpenSSH's sshd opens a window of 2 MiB for each channel and takes all of it, whether the program behind reads or not. What
//! waits there lies in one buffer that grows by each packet, and each growth copies and clears it: a program of 3 MB that
//! is sent at once costs sshd more than all the cryptography. It says what its program took by window adjustments, once
//! more than three packets (96 KiB) are unacknowledged (`channel_check_window` in its channels.c). Other servers have other
//! rules, such as half a window, so only OpenSSH is paced this way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes that may be under way and waiting in sshd. With the next piece (16 KiB) left out it must still be more than the
/// 96 KiB below which OpenSSH says nothing. The socket to the program takes as much, so that the program always finds
/// something to read; twice as much would be faster over 100 ms and slower where hosts share processors.
const WAITING_BYTES_MAX: u64 = 128 << 10;

/// How long a server may say nothing before we send on as if it were not OpenSSH.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the server of one connection has taken of the channel that was opened last.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    channel: Mutex<Option<Paced>>,
    adjusted: Notify,
}

#[derive(Debug)]
struct Paced {
    id: u32,
    /// The window that the server opened the channel with.
    window: u32,
    sent: u64,
    taken: u64,
}

impl Pace {
    /// The server, which identifies itself by `server`, confirmed a channel.
    pub(super) fn opened(&self, id: u32, window: u32, server: &[u8]) {
        let known = server.starts_with(b"SSH-2.0-OpenSSH_");
        *self.channel() = known.then_some(Paced {
            id,
            window,
            sent: 0,
            taken: 0,
        });
    }

    /// The server takes more: what it holds now is the difference between the first window and `left`.
    pub(super) fn adjusted(&self, id: u32, left: u32) {
        if let Some(paced) = self.channel().as_mut().filter(|paced| paced.id == id) {
            // What is queued on our side counts as taken until the next adjustment.
            let waiting = u64::from(paced.window.saturating_sub(left));
            paced.taken = paced.taken.max(paced.sent.saturating_sub(waiting));
            self.adjusted.notify_one();
        }
    }

    /// Waits until `bytes` more may be sent on channel `id`, and counts them.
    pub(crate) async fn wait(&self, id: u32, bytes: usize) {
        loop {
            // Before the look, so that an adjustment in between is not missed.
            let adjusted = self.adjusted.notified();
            {
                let mut channel = self.channel();
                let Some(paced) = channel.as_mut().filter(|paced| paced.id == id) else {
                    return;
                };
                let sent = paced.sent + bytes as u64;
                if sent - paced.taken <= WAITING_BYTES_MAX {
                    paced.sent = sent;
                    return;
                }
            }
            if timeout(PATIENCE, adjusted).await.is_err() {
                *self.channel() = None;
            }
        }
    }

    fn channel(&self) -> MutexGuard<'_, Option<Paced>> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shared by a connection and the library's callbacks.
pub(crate) type SharedPace = Arc<Pace>;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const WINDOW: u32 = 2 << 20;
    const PIECE: u32 = 16 << 10;

    fn ready(future: impl Future<Output = ()>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    /// Pieces that may be sent now.
    fn pieces(pace: &Pace, id: u32) -> u32 {
        (0..1000)
            .take_while(|_| ready(pace.wait(id, PIECE as usize)))
            .map(|_| 1)
            .sum()
    }

    #[tokio::test(start_paused = true)]
    async fn openssh_gets_no_more_than_it_takes() {
        let (pace, id) = (Pace::default(), 3);
        pace.opened(id, WINDOW, b"SSH-2.0-OpenSSH_9.2p1 Debian");
        assert_eq!(pieces(&pace, id), 8);
        // All is on the wire, and five pieces of it were taken.
        pace.adjusted(id, WINDOW - 3 * PIECE);
        assert_eq!(pieces(&pace, id), 5);
        // Another channel's answer, and one that is no news.
        pace.adjusted(4, WINDOW);
        pace.adjusted(id, WINDOW - 8 * PIECE);
        assert_eq!(pieces(&pace, id), 0);
        // Nonsense from the server does not break the count.
        pace.adjusted(id, u32::MAX);
        assert_eq!(pieces(&pace, id), 8);
        pace.adjusted(id, 0);
        assert_eq!(pieces(&pace, id), 0);
        // It wakes who waits.
        let waiting = pace.wait(id, 1);
        let answer = async { pace.adjusted(id, WINDOW) };
        tokio::join!(waiting, answer);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_not_waited_for_again() {
        let (pace, id) = (Pace::default(), 0);
        pace.opened(id, WINDOW, b"SSH-2.0-OpenSSH_for_something_else");
        assert_eq!(pieces(&pace, id), 8);
        let start = tokio::time::Instant::now();
        pace.wait(id, PIECE as usize).await;
        assert_eq!(start.elapsed(), PATIENCE);
        assert_eq!(pieces(&pace, id), 1000);
    }

    #[tokio::test]
    async fn other_servers_have_their_window() {
        let (pace, id) = (Pace::default(), 0);
        assert_eq!(pieces(&pace, id), 1000);
        pace.opened(id, WINDOW, b"SSH-2.0-dropbear_2022.83");
        assert_eq!(pieces(&pace, id), 1000);
    }
}
