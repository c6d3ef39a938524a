//! Handing over what is kept of a task, under the number of the question.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::time::Duration;

use hostler_protocol::{Frames, FromAgent, HEADER_LEN, TaskKey, Unresolved};
use rustix::fs::{FlockOperation, flock};

use super::record::{create, never_began};
use super::{Kept, place};
use crate::outbox::Outbox;
use crate::task::Task;

/// How often a task that still runs is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How postcard numbers the answers that a file holds: by their order in [`FromAgent`].
const DONE: u8 = 1;
const END: u8 = 2;
const UNRESOLVED: u8 = 4;

/// What is there of a task.
enum Found {
    File(File),
    Unreadable,
    Nothing,
}

impl Kept {
    /// Tells what came of a task; this connection may begin it now, if it never began.
    pub(crate) fn resolve(&self, key: TaskKey, task: &Task, outbox: &Outbox) {
        self.promise(key);
        self.relay(key, task, outbox);
    }

    /// Answers for a task from its file, and waits for it as long as another process works on it.
    pub(crate) fn relay(&self, key: TaskKey, task: &Task, outbox: &Outbox) {
        let number = task.number();
        let why = match self.open_file(key) {
            Found::File(file) if copy(&file, task, outbox) => return,
            Found::File(_) | Found::Unreadable => Unresolved::AgentDied,
            Found::Nothing => Unresolved::NeverBegan,
        };
        outbox.send(&FromAgent::Unresolved { task: number, why });
    }

    /// The file of a task. If there is none, there is one from now on that keeps the task from beginning where nobody
    /// waits for it any more: a connection that was given up may still deliver it.
    fn open_file(&self, key: TaskKey) -> Found {
        loop {
            let paths: Vec<PathBuf> = self.paths(key).collect();
            for path in &paths {
                match place::open(path, false) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(_) => return Found::Unreadable,
                    Ok(file) => return Found::File(file),
                }
            }
            let mark = never_began(0);
            let first = paths.first().filter(|_| self.dir().is_some());
            // If somebody was faster, there is a file now.
            let was_faster = matches!(first.map(|path| create(path, &mark)), Some(Ok(None)));
            if !was_faster {
                return Found::Nothing;
            }
        }
    }
}

/// Copies the frames; true if that was all of them.
fn copy(mut file: &File, task: &Task, outbox: &Outbox) -> bool {
    let mut frames = Frames::new();
    let mut buffer = vec![0; 64 << 10];
    let mut free = false;
    loop {
        match file.read(&mut buffer) {
            // What a killed process left of a frame is in `frames` and stays there.
            Ok(0) if free => return false,
            Ok(0) => {
                // Its writer may have ended between the two looks, so look once more.
                free = flock(file, FlockOperation::NonBlockingLockShared).is_ok();
                if !free && !task.sleep(TICK) {
                    return false;
                }
            }
            Ok(count) => frames.push(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        while let Ok(Some((_, body))) = frames.next_frame() {
            let Some((kind, frame)) = renumbered(&body, task.number()) else {
                return false;
            };
            outbox.forward(&frame, kind != DONE);
            if kind != DONE {
                return true;
            }
        }
    }
}

/// A message as a frame for another task; `None` if it is not one that a file may hold.
fn renumbered(body: &[u8], task: u32) -> Option<(u8, Vec<u8>)> {
    let (kind, rest) = body.split_first()?;
    if !matches!(*kind, DONE | END | UNRESOLVED) {
        return None;
    }
    // The number follows, seven bits a byte, the highest bit set in all but the last.
    let last = rest.iter().take(5).position(|byte| *byte < 0x80)?;
    let rest = &rest[last + 1..];
    let mut frame = Vec::with_capacity(HEADER_LEN + 6 + rest.len());
    frame.extend_from_slice(&[0; HEADER_LEN]);
    frame.push(*kind);
    let mut left = task;
    while left >= 0x80 {
        frame.push(u8::try_from(left & 0x7f).unwrap_or_default() | 0x80);
        left >>= 7;
    }
    frame.push(u8::try_from(left).unwrap_or_default());
    frame.extend_from_slice(rest);
    let len = u32::try_from(frame.len() - HEADER_LEN).ok()?;
    frame[..4].copy_from_slice(&len.to_le_bytes());
    Some((*kind, frame))
}

#[cfg(test)]
mod tests {
    use hostler_change::Outcome;
    use hostler_protocol::{decode, encode};

    use super::*;

    fn through(message: &FromAgent, task: u32) -> Option<(u8, FromAgent)> {
        let frame = encode(0, message).unwrap();
        let (kind, frame) = renumbered(&frame[HEADER_LEN..], task)?;
        let mut frames = Frames::new();
        frames.push(&frame);
        let (lane, body) = frames.next_frame().unwrap().unwrap();
        assert_eq!(lane, 0);
        Some((kind, decode(&body).unwrap()))
    }

    #[test]
    fn answers_get_the_number_of_the_question() {
        for (from, to) in [
            (0, 0),
            (0, u32::MAX),
            (u32::MAX, 127),
            (300, 128),
            (5, 1 << 21),
        ] {
            let done = FromAgent::Done {
                task: from,
                index: 9,
                outcome: Box::new(Outcome::failure("x")),
            };
            let (kind, message) = through(&done, to).unwrap();
            assert!(
                matches!(message, FromAgent::Done { task, index: 9, outcome }
                    if task == to && kind == DONE && *outcome == Outcome::failure("x"))
            );
            let (kind, message) = through(&FromAgent::End { task: from }, to).unwrap();
            assert!(matches!(message, FromAgent::End { task } if task == to && kind == END));
            let why = Unresolved::AgentDied;
            let message = FromAgent::Unresolved { task: from, why };
            let (kind, message) = through(&message, to).unwrap();
            assert!(
                matches!(message, FromAgent::Unresolved { task, why: Unresolved::AgentDied }
                    if task == to && kind == UNRESOLVED)
            );
        }
        assert!(through(&FromAgent::Pong(7), 1).is_none());
        assert!(renumbered(&[DONE, 0x80, 0x80], 1).is_none());
        assert!(renumbered(&[], 1).is_none());
    }
}
