//! Frames of both directions, however they arrive: a bounded error or messages that can be written again.
#![no_main]

use hostler_protocol::{Frames, FromAgent, HEADER_LEN, ToAgent, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|data: &[u8]| {
    both(0, data);
    let mut frames = Frames::new();
    for piece in data.chunks(11) {
        frames.push(piece);
        loop {
            match frames.next_frame() {
                Ok(Some((lane, body))) => both(lane, &body),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});

fn both(lane: u16, body: &[u8]) {
    same::<FromAgent>(lane, body);
    same::<ToAgent>(lane, body);
}

/// What was read can be written, and what was written can be read.
fn same<T: Serialize + DeserializeOwned>(lane: u16, body: &[u8]) {
    let Ok(message) = decode::<T>(body) else {
        return;
    };
    let frame = encode(lane, &message).expect("what was read can be written");
    let again: T = decode(&frame[HEADER_LEN..]).expect("what was written can be read");
    assert_eq!(frame, encode(lane, &again).expect("twice"));
}
