//! The live view as somebody who reads keys sees it: who is waited for, and a place to say something.

use std::sync::{Arc, Mutex};

use super::view::View;
use super::{lock, now_us};
use crate::sanitize;

/// Lines of a notice that are shown.
const NOTICE_MAX: usize = 14;

/// A host that is being waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateHost {
    /// Its name, as the inventory has it: not harmless for a terminal.
    pub host: String,
    /// For how long, microseconds.
    pub waited_us: i64,
    /// What it does, as far as known; harmless.
    pub doing: String,
}

impl LateHost {
    /// `web17  5:12  apt-get: waits for ...`, harmless.
    pub fn line(&self) -> String {
        let host = sanitize::name(&self.host);
        let time = crate::words::clock(self.waited_us);
        format!("{host:<12}  {time}  {}", self.doing)
            .trim_end()
            .to_owned()
    }
}

/// A handle on the live view. Clones share it.
#[derive(Clone)]
pub struct Control(Arc<Mutex<View>>);

impl Control {
    pub(super) fn new(view: &Arc<Mutex<View>>) -> Self {
        lock(view).set_keys();
        Control(Arc::clone(view))
    }

    /// The hosts that are waited for, longest first; at most `count`.
    pub fn longest(&self, count: usize) -> Vec<LateHost> {
        let now_us = now_us();
        let late = lock(&self.0).late();
        let late = late.into_iter().take(count);
        late.map(|(host, waiting)| LateHost {
            waited_us: now_us - waiting.since_us,
            doing: sanitize::line(&waiting.what, 200),
            host,
        })
        .collect()
    }

    /// Shows lines below the live view until other ones are given; none takes them away. They must be harmless.
    pub fn notice(&self, mut lines: Vec<String>) {
        lines.truncate(NOTICE_MAX);
        lock(&self.0).set_notice(lines);
    }
}
