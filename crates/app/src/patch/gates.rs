//! Gates, asked once each.

use std::sync::Arc;

use hostler_patch::plan::{Gate, GateCheck};
use hostler_rollout::{CommandOutcome, GateAnswer, Gates, Hosts, Later};

/// Asks gates.
pub(crate) struct WorldGates {
    hosts: Arc<dyn Hosts>,
}

impl WorldGates {
    pub(crate) fn new(hosts: Arc<dyn Hosts>) -> Self {
        WorldGates { hosts }
    }

    async fn answer(&self, check: GateCheck, on: Option<String>) -> GateAnswer {
        let no = |evidence: &str| GateAnswer {
            green: false,
            evidence: evidence.to_owned(),
        };
        let GateCheck::Command {
            command,
            ok_rc,
            on_controller,
        } = check
        else {
            return no("this kind of gate is not available");
        };
        let Some(host) = on.filter(|_| !on_controller) else {
            return no("there is no host to ask");
        };
        match self.hosts.command(host.clone(), command).await {
            CommandOutcome::Ended { rc, text } => {
                let last = text.lines().next_back().unwrap_or_default();
                GateAnswer {
                    green: if ok_rc.is_empty() {
                        rc == 0
                    } else {
                        ok_rc.contains(&rc)
                    },
                    evidence: format!("{host}: exit status {rc}: {last}"),
                }
            }
            CommandOutcome::NotRun { reason } => no(&format!("{host}: {reason}")),
        }
    }
}

impl Gates for WorldGates {
    fn ask(&self, gate: Gate, on: Option<String>) -> Later<'_, GateAnswer> {
        Box::pin(self.answer(gate.check, on))
    }
}
