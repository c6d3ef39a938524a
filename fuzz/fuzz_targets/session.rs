//! What a host's agent sends to a session that waits for tasks, a lane, a lock and a ping.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hostler_transport::fuzzing::receive(data));
