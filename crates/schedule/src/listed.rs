//! Occurrences for people: what `hostler patch windows` shows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interval::Occurrence;
use crate::text::duration_text;
use crate::zone::Zone;

/// An occurrence, in local time too, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The occurrence.
    #[serde(flatten)]
    pub occurrence: Occurrence,
    /// The zone of its window.
    pub zone: String,
    /// Its start in the zone: `2026-12-12 22:00 CET`.
    pub start: String,
    /// Its end, likewise.
    pub end: String,
    /// How long it is: `4h`.
    pub length: String,
    /// How much of it freezes leave; the same as `length` if there are none, `0s` if nothing is left.
    pub left: String,
    /// Names of the waves that run in it.
    pub waves: Vec<String>,
    /// Hosts that it is for: those of the policy, or the one that was asked about.
    pub hosts: usize,
    /// Was it opened already?
    pub opened: bool,
}

impl Listed {
    /// For an occurrence of a window in the zone.
    pub fn new(occurrence: Occurrence, zone: &Zone) -> Self {
        let seconds = |us: i64| duration_text(us.unsigned_abs() / 1_000_000);
        Listed {
            zone: zone.name().to_owned(),
            start: zone.show(occurrence.whole.start_us),
            end: zone.show(occurrence.whole.end_us),
            length: seconds(occurrence.whole.length_us()),
            left: seconds(occurrence.open.iter().map(crate::Interval::length_us).sum()),
            waves: Vec::new(),
            hosts: 0,
            opened: false,
            occurrence,
        }
    }
}
