//! What is looked at once for each host of a play, whatever its tasks are: how it is reached, and how the hosts are cut
//! into batches.

use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_template::{Scope, Var};
use hostler_value::Value;

use super::judge::{Judge, Known};
use super::reads::ReadTree;
use super::scope::Probe;
use super::walk::Walk;

/// Variables that decide how a host is reached over the network; of each line the first that is set counts.
const ROUTE: [&[&str]; 7] = [
    &["ansible_host", "ansible_ssh_host"],
    &["ansible_port", "ansible_ssh_port"],
    &["ansible_user", "ansible_ssh_user"],
    &[
        "ansible_password",
        "ansible_ssh_password",
        "ansible_ssh_pass",
    ],
    &["ansible_ssh_private_key_file", "ansible_private_key_file"],
    &["ansible_ssh_common_args"],
    &["ansible_ssh_extra_args"],
];

impl Walk<'_> {
    /// Variables of the connection that cannot be evaluated: every task of the host would fail.
    pub(super) fn routes(&mut self, hosts: &[String]) {
        let mut known: ReadTree<Arc<Vec<Diagnostic>>> = ReadTree::default();
        for host in hosts {
            let probe = Arc::new(Probe::default());
            let scope = self.scope(host, &[], &probe);
            let remembered = known.find(|name| scope.print(name)).cloned();
            let problems = remembered.unwrap_or_else(|| {
                let scope: Arc<dyn Scope> = Arc::new(scope);
                let problems = Arc::new(self.route(&scope));
                known.insert(probe.take_reads(), problems.clone());
                problems
            });
            for problem in problems.iter() {
                self.findings.add(problem, host, hosts.len());
            }
        }
    }

    fn route(&self, scope: &Arc<dyn Scope>) -> Vec<Diagnostic> {
        let judge = Judge {
            engine: self.shared.engine,
        };
        let mut problems = Vec::new();
        let by_keyword = self.play.context.keywords.connection.is_some();
        if by_keyword || self.settings.connect.connection.is_some() {
            return problems;
        }
        // Whoever has another connection than ssh needs none of them.
        if let Some(connection) = scope.get("ansible_connection") {
            let ssh = match connection {
                Var::Written(node) => node.as_str() == Some("ssh"),
                // Nobody sets it.
                Var::Data(value) => value.unknown_part().is_some(),
                Var::Nested(_) => false,
            };
            if !ssh {
                return problems;
            }
        }
        for names in ROUTE {
            for name in names {
                let Some(Var::Written(node)) = scope.get(name) else {
                    continue;
                };
                if let Known::Wrong(error) = judge.value(&node, scope) {
                    let wrong = super::task::at(error.to_diagnostic(), &node);
                    let message = format!("its hosts are reached by `{name}`");
                    problems.push(wrong.label(self.play.hosts.span, message));
                }
                break;
            }
        }
        problems
    }

    /// `serial`: numbers or percentages.
    pub(super) fn batches(&mut self, hosts: &[String]) {
        let (Some(node), Some(first)) = (&self.play.serial, hosts.first()) else {
            return;
        };
        let probe = Arc::new(Probe::default());
        let scope: Arc<dyn Scope> = Arc::new(self.scope(first, &[], &probe));
        let judge = Judge {
            engine: self.shared.engine,
        };
        let problem = match judge.value(node, &scope) {
            Known::Wrong(error) => Some(super::task::at(error.to_diagnostic(), node)),
            Known::Yes(Some(value)) => {
                let sizes = value.as_list().unwrap_or(std::slice::from_ref(&value));
                let wrong = sizes.iter().find(|size| !is_size(size));
                wrong.map(|size| {
                    let text = size.to_text();
                    let message =
                        format!("`serial`: `{text}` is neither a number nor a percentage");
                    Diagnostic::error("wrong-kind", message).at(node.span)
                })
            }
            Known::Yes(None) | Known::Unknown => None,
        };
        self.findings.extend(problem);
    }
}

fn is_size(size: &Value) -> bool {
    let text = size.to_text();
    let text = text.trim();
    match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().is_ok(),
        None => size.unknown_part().is_some() || text.parse::<usize>().is_ok(),
    }
}
