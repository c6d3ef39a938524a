//! One JSON object per event and line, for programs.

use std::io::Write;

use hostler_events::{Reporter, RunEvent, Stamped};

use crate::sanitize;

/// Writes each event as one line of JSON.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        JsonLines { out }
    }
}

impl<W: Write + Send> Reporter for JsonLines<W> {
    fn event(&mut self, event: &Stamped) {
        // An event is plain data, and a closed pipe is no failure of the run: neither is reported.
        if let Ok(json) = serde_json::to_string(event) {
            let _ = writeln!(self.out, "{}", sanitize::json(&json));
        }
        if matches!(event.event, RunEvent::RunFinished { .. }) {
            let _ = self.out.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use hostler_events::RunEvent;

    use super::*;

    #[test]
    fn one_line_each_that_reads_back() {
        let mut out = Vec::new();
        let mut lines = JsonLines::new(&mut out);
        for seq in 1..=2 {
            lines.event(&Stamped {
                at_us: 7,
                seq,
                event: RunEvent::PlaySkipped {
                    name: "a\nb\u{9b}".into(),
                    reason: "no hosts".into(),
                },
            });
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains('\u{9b}'));
        let back: Stamped = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(back.seq, 2);
        assert!(matches!(back.event, RunEvent::PlaySkipped { name, .. } if name == "a\nb\u{9b}"));
    }
}
