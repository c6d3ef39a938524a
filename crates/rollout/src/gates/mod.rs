//! Gates: questions with the answer yes or no.
//!
//! Nothing is green by accident: no answer, an answer that cannot be read, a redirect that does not end and a figure that
//! is no number are all red, with the reason.

mod controller;
mod prometheus;
mod web;

use std::sync::Arc;
use std::time::Duration;

use hostler_patch::plan::{Gate, GateCheck};

use crate::CommandOutcome;
use crate::drive::{GateAnswer, Gates, Hosts, Later};
use web::Web;

/// Characters of an answer that are shown.
const SHOWN: usize = 300;

/// Asks gates for real: commands on hosts and on the controller, HTTP, Prometheus.
pub struct RealGates {
    hosts: Arc<dyn Hosts>,
    web: Web,
    hide: Hide,
}

/// Takes out of a text what must not be shown.
pub type Hide = Arc<dyn Fn(&mut String) + Send + Sync>;

impl RealGates {
    /// Commands go through `hosts`. `hide` is given the whole of what an answer shows a part of.
    pub fn new(hosts: Arc<dyn Hosts>, hide: Hide) -> Self {
        Self {
            hosts,
            web: Web::new(),
            hide,
        }
    }

    /// Judges what a command came to, without what must not be shown.
    fn judge(&self, mut outcome: CommandOutcome, ok_rc: &[i32]) -> GateAnswer {
        let (CommandOutcome::NotRun { reason: text } | CommandOutcome::Ended { text, .. }) =
            &mut outcome;
        (self.hide)(text);
        judge_command(&outcome, ok_rc)
    }
}

impl Gates for RealGates {
    fn ask(&self, gate: Gate, on: Option<String>) -> Later<'_, GateAnswer> {
        Box::pin(async move {
            let time = Duration::from_secs(u64::from(gate.timeout_s.max(1)));
            match gate.check {
                GateCheck::Command {
                    command,
                    ok_rc,
                    on_controller: true,
                } => self.judge(controller::run(&command).await, &ok_rc),
                GateCheck::Command { command, ok_rc, .. } => match on {
                    Some(host) => self.judge(self.hosts.command(host, command).await, &ok_rc),
                    None => red("there is no host that could be asked"),
                },
                GateCheck::Http {
                    url,
                    status,
                    contains,
                } => {
                    let answer = self.web.get(url, time).await;
                    judge_http(answer, &status, contains.as_deref())
                }
                GateCheck::Prometheus {
                    url,
                    query,
                    at_most,
                } => match prometheus::address(&url, &query) {
                    Err(message) => red(&message),
                    Ok(address) => match self.web.get(address, time).await {
                        Ok(page) => prometheus::judge(page.status, &page.body, at_most),
                        Err(message) => red(&message),
                    },
                },
            }
        })
    }
}

fn red(evidence: &str) -> GateAnswer {
    GateAnswer {
        green: false,
        evidence: shown(evidence),
    }
}

fn judge_command(outcome: &CommandOutcome, ok_rc: &[i32]) -> GateAnswer {
    match outcome {
        CommandOutcome::NotRun { reason } => red(&format!("it could not be run: {reason}")),
        CommandOutcome::Ended { rc, text } => {
            let green = if ok_rc.is_empty() {
                *rc == 0
            } else {
                ok_rc.contains(rc)
            };
            let line = text
                .lines()
                .rev()
                .find(|it| !it.trim().is_empty())
                .unwrap_or_default();
            let evidence = match line.trim() {
                "" => format!("exit status {rc}"),
                line => format!("exit status {rc}: {line}"),
            };
            GateAnswer {
                green,
                evidence: shown(&evidence),
            }
        }
    }
}

fn judge_http(
    answer: Result<web::Page, String>,
    status: &[u16],
    contains: Option<&str>,
) -> GateAnswer {
    let page = match answer {
        Ok(page) => page,
        Err(message) => return red(&message),
    };
    let good = if status.is_empty() {
        (200..300).contains(&page.status)
    } else {
        status.contains(&page.status)
    };
    if !good {
        return red(&format!("HTTP status {}", page.status));
    }
    if let Some(text) = contains {
        let needle = text.as_bytes();
        let found = needle.is_empty() || page.body.windows(needle.len()).any(|it| it == needle);
        if !found {
            return red(&format!(
                "HTTP status {}, but its body does not say {text:?}",
                page.status
            ));
        }
    }
    GateAnswer {
        green: true,
        evidence: format!("HTTP status {}", page.status),
    }
}

/// One line that is fit to be shown: bounded, without control characters.
fn shown(text: &str) -> String {
    let clean = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it });
    clean.take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(rc: i32, text: &str) -> CommandOutcome {
        CommandOutcome::Ended {
            rc,
            text: text.to_owned(),
        }
    }

    #[test]
    fn exit_statuses() {
        assert!(judge_command(&ended(0, ""), &[]).green);
        assert!(!judge_command(&ended(3, "inactive\n"), &[0]).green);
        assert_eq!(
            judge_command(&ended(3, "x\ninactive\u{1b}[1m\n\n"), &[0, 3]),
            GateAnswer {
                green: true,
                evidence: "exit status 3: inactive [1m".to_owned()
            }
        );
        let gone = CommandOutcome::NotRun {
            reason: "no route".to_owned(),
        };
        assert!(!judge_command(&gone, &[0]).green);
    }

    #[test]
    fn pages() {
        let page = |status, body: &str| {
            Ok(web::Page {
                status,
                body: body.as_bytes().to_vec(),
            })
        };
        assert!(judge_http(page(204, ""), &[], None).green);
        assert!(!judge_http(page(302, ""), &[], None).green);
        assert!(judge_http(page(302, ""), &[302], None).green);
        assert!(judge_http(page(200, "all OK here"), &[], Some("OK")).green);
        assert!(!judge_http(page(200, "all OK here"), &[], Some("KO")).green);
        assert!(!judge_http(page(500, "OK"), &[], Some("OK")).green);
        assert!(!judge_http(Err("refused".to_owned()), &[], None).green);
        assert!(judge_http(page(200, ""), &[], Some("")).green);
    }
}
