//! The session's state machine as the fuzzer sees it: bytes of a host, and everything that may wait for them.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use hostler_protocol::Frames;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::core::{Core, TaskMessage, Waiting};
use super::{NoBlobs, QUEUE_FRAMES};

/// What a task may say beside its results.
const TALK: usize = 500;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_current_thread();
    builder.build().expect("a runtime without I/O")
});

/// Feeds a session that waits for two tasks, a lane, a lock and a ping.
///
/// # Panics
/// If the session breaks one of its promises: whatever a host sends, each item answers once, talk is bounded, and
/// nobody waits after the end.
pub fn receive(bytes: &[u8]) {
    let _inside = RUNTIME.enter();
    let (queue, _nobody_reads) = mpsc::channel(QUEUE_FRAMES);
    let core = Arc::new(Core::new(
        "fuzzed",
        [7; 32],
        Frames::new(),
        Arc::new(NoBlobs),
        &queue,
    ));
    let mut tasks = Vec::new();
    for (task, asks) in [(1, false), (2, true)] {
        let (sender, messages) = mpsc::unbounded_channel();
        let waiting = Waiting {
            lane: 0,
            items: HashSet::from([0, 1, 2]),
            asks,
            talk: TALK,
            results: TALK,
            sender,
        };
        core.expect_task(task, waiting).expect("the session stands");
        tasks.push(messages);
    }
    let (waiter, mut lane) = oneshot::channel();
    core.expect_lane(1, waiter).expect("the session stands");
    let (waiter, mut lease) = oneshot::channel();
    core.expect_lease(0, waiter).expect("the session stands");
    let (waiter, mut pong) = oneshot::channel();
    core.expect_pong(7, waiter).expect("the session stands");

    for piece in bytes.chunks(13) {
        if let Err(why) = core.receive(piece) {
            core.end(&why);
            assert!(!why.to_string().contains(char::is_control), "{why}");
            assert!(core.expect_pong(8, oneshot::channel().0).is_err());
            for waiter in [
                lane.try_recv().err(),
                lease.try_recv().err(),
                pong.try_recv().err(),
            ] {
                assert_ne!(waiter, Some(oneshot::error::TryRecvError::Empty));
            }
            break;
        }
    }
    let ended = core.ended().is_some();
    for mut messages in tasks {
        let (mut answered, mut said) = (HashSet::new(), 0);
        let last = loop {
            match messages.try_recv() {
                Ok(Ok(TaskMessage::Done { index, .. })) => assert!(answered.insert(index)),
                Ok(Ok(TaskMessage::Output { bytes, .. })) => said += bytes.len(),
                Ok(Ok(_) | Err(_)) => {}
                Err(last) => break last,
            }
        };
        assert!(answered.len() <= 3 && said <= TALK);
        assert!(!ended || last == mpsc::error::TryRecvError::Disconnected);
    }
}
