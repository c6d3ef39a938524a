//! What a journal holds, damaged: answers, ends of tasks, intents, and events as JSON.
#![no_main]

use hostler_change::Outcome;
use hostler_events::{Stamped, TaskResult};
use hostler_journal::{Execution, Finished, Intent};
use hostler_value::Value;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|data: &[u8]| {
    packed::<Finished>(data);
    packed::<Intent>(data);
    packed::<Execution>(data);
    packed::<Outcome>(data);
    packed::<Value>(data);
    plain::<Stamped>(data);
    plain::<TaskResult>(data);
    plain::<Value>(data);
});

/// What was read can be written, and what was written can be read.
fn packed<T: Serialize + DeserializeOwned>(data: &[u8]) {
    if let Ok(it) = postcard::from_bytes::<T>(data) {
        let bytes = postcard::to_allocvec(&it).expect("what was read can be written");
        let again: T = postcard::from_bytes(&bytes).expect("what was written can be read");
        assert_eq!(bytes, postcard::to_allocvec(&again).expect("twice"));
    }
}

fn plain<T: Serialize + DeserializeOwned>(data: &[u8]) {
    if let Ok(it) = serde_json::from_slice::<T>(data) {
        let text = serde_json::to_string(&it).expect("what was read can be written");
        serde_json::from_str::<T>(&text).expect("what was written can be read");
    }
}
