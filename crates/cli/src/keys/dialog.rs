//! What keys mean.

use hostler_reporters::{LateHost, sanitize};

/// Hosts that can be chosen from: one for each digit but 0.
pub(super) const CHOICES: usize = 9;

/// Where the user is.
#[derive(Debug, Default)]
pub(super) enum Dialog {
    /// Nothing was asked; this was said last.
    #[default]
    Idle,
    Said(String),
    Help,
    Choosing(Vec<LateHost>),
    Confirming(LateHost),
}

/// What a key brings about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// Give this host up.
    Drop(String),
    /// Show output of running tasks, or no longer.
    ToggleOutput,
}

impl Dialog {
    /// A key was pressed; `late` gives the hosts that are waited for, longest first.
    pub(super) fn key(&mut self, key: u8, late: impl FnOnce() -> Vec<LateHost>) -> Effect {
        let before = std::mem::take(self);
        match (before, key) {
            (Dialog::Choosing(hosts), b'1'..=b'9') => {
                let chosen = hosts.into_iter().nth(usize::from(key - b'1'));
                *self = chosen.map_or(Dialog::Idle, Dialog::Confirming);
            }
            (Dialog::Confirming(host), b'y' | b'Y') => {
                *self = Dialog::Said(format!("{} is given up", sanitize::name(&host.host)));
                return Effect::Drop(host.host);
            }
            (Dialog::Choosing(_) | Dialog::Confirming(_), _) | (Dialog::Help, b'?') => {}
            (_, b'd' | b'D') => {
                let hosts = late();
                *self = if hosts.is_empty() {
                    Dialog::Said("no host is waited for".into())
                } else {
                    Dialog::Choosing(hosts)
                };
            }
            (_, b'o' | b'O') => return Effect::ToggleOutput,
            (_, b'?' | b'h' | b'H') => *self = Dialog::Help,
            _ => {}
        }
        Effect::None
    }

    /// Output of running tasks is shown now, or is not.
    pub(super) fn said_output(&mut self, on: bool) {
        let state = if on { "shown" } else { "not shown" };
        *self = Dialog::Said(format!("output of running tasks is {state}"));
    }

    /// What to show, harmless for a terminal.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Dialog::Idle => Vec::new(),
            Dialog::Said(text) => vec![text.clone()],
            Dialog::Help => vec![
                "keys: d give up a host   o output of running tasks, on and off   ? this".into(),
                "      Ctrl-C once: running tasks finish   twice: they are cancelled   three times: leave".into(),
            ],
            Dialog::Choosing(hosts) => {
                let title = "give up which host? its task is cancelled, the run goes on; another key: none";
                let hosts = hosts.iter().zip(1..);
                let hosts = hosts.map(|(host, number)| format!("  {number}  {}", host.line()));
                std::iter::once(title.to_owned()).chain(hosts).collect()
            }
            Dialog::Confirming(host) => vec![format!("give up {}? y / n", host.line())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late() -> Vec<LateHost> {
        let host = |host: &str, waited_us, doing: &str| LateHost {
            host: host.into(),
            waited_us,
            doing: doing.into(),
        };
        vec![
            host("web17", 312_000_000, "apt-get: waits for a lock"),
            host("db\x1b[2J", 2_000_000, ""),
        ]
    }

    #[test]
    fn a_host_is_given_up_after_a_second_question() {
        let mut dialog = Dialog::default();
        assert_eq!(dialog.key(b'd', late), Effect::None);
        assert_eq!(
            dialog.lines()[1],
            "  1  web17         5:12  apt-get: waits for a lock"
        );
        assert!(!dialog.lines()[2].contains('\x1b'));
        assert_eq!(dialog.key(b'1', late), Effect::None);
        assert!(dialog.lines()[0].starts_with("give up web17"));
        assert_eq!(dialog.key(b'y', late), Effect::Drop("web17".into()));
        assert_eq!(dialog.lines(), ["web17 is given up"]);
        assert_eq!(dialog.key(b'x', late), Effect::None);
        assert!(dialog.lines().is_empty());
    }

    #[test]
    fn every_other_key_gives_nobody_up() {
        for keys in [&b"d9"[..], b"dx", b"d1n", b"d1d", b"d\x1b", b"1y", b"y"] {
            let mut dialog = Dialog::default();
            for key in keys {
                assert_eq!(dialog.key(*key, late), Effect::None, "{keys:?}");
            }
            assert!(dialog.lines().is_empty(), "{keys:?} {dialog:?}");
        }
        let mut dialog = Dialog::default();
        dialog.key(b'd', Vec::new);
        assert_eq!(dialog.lines(), ["no host is waited for"]);
    }

    #[test]
    fn output_and_help() {
        let mut dialog = Dialog::default();
        assert_eq!(dialog.key(b'o', late), Effect::ToggleOutput);
        dialog.said_output(true);
        assert_eq!(dialog.lines(), ["output of running tasks is shown"]);
        dialog.key(b'?', late);
        assert_eq!(dialog.lines().len(), 2);
        dialog.key(b'?', late);
        assert!(dialog.lines().is_empty());
    }
}
