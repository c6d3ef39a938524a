//! An agent that has a task and says nothing at all, although the connection lives: stopped, or its host without memory.
//! The SSH server answers questions for a sign of life in its place, so it is asked itself.

use std::sync::Weak;
use std::time::Duration;

use hostler_protocol::ToAgent;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::core::Core;
use crate::failure::{Reason, Unreachable};
use crate::link::Link;

/// How often it is asked within the time that it may be silent: once, and again when that was in vain.
const QUESTIONS: u32 = 4;
/// So many bytes more on the wire are no questions: content that goes out slowly, behind which they wait.
const MORE_THAN_QUESTIONS: u64 = 4 << 10;
/// Names the questions; nobody waits for a certain answer.
const NUMBER: u64 = u64::MAX;

/// Ends the session when its agent has a task and is silent for this time, or a little longer. Ends with the session.
pub(super) async fn watch(
    core: Weak<Core>,
    link: Weak<Link>,
    queue: mpsc::WeakSender<Vec<u8>>,
    silence: Duration,
) {
    let mut before = (0, 0);
    let mut in_vain = 0;
    loop {
        sleep(silence / QUESTIONS).await;
        let (Some(core), Some(link), Some(queue)) =
            (core.upgrade(), link.upgrade(), queue.upgrade())
        else {
            return;
        };
        if core.ended().is_some() {
            return;
        }
        let lanes = core.waiting_lanes();
        let now = (core.bytes_received(), link.wire_bytes().1);
        let moves = now.0 != before.0 || now.1 > before.1 + MORE_THAN_QUESTIONS;
        before = now;
        in_vain = if moves || lanes.is_empty() {
            0
        } else {
            in_vain + 1
        };
        if in_vain >= QUESTIONS - 1 {
            core.end(&silent(&link, silence));
            return;
        }
        for lane in lanes {
            // A full queue has something to be sent, which shows as bytes on the wire or as silence.
            if let Ok(frame) = hostler_protocol::encode(lane, &ToAgent::Ping(NUMBER)) {
                let _full_or_over = queue.try_send(frame);
            }
        }
    }
}

fn silent(link: &Link, silence: Duration) -> Unreachable {
    Unreachable::new(
        Reason::Lost,
        format!(
            "{}: the agent has said nothing for {} s although the connection lives (is it stopped, or the host out of memory?)",
            link.peer(),
            silence.as_secs()
        ),
    )
}
