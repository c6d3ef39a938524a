//! How hosts are reached: `ssh_config`, connection settings, the agent that is pushed.

use hostler_diag::Diagnostic;
use hostler_transport::known_hosts::HostKeyPolicy;
use hostler_transport::ssh_config::{LocalUser, SshConfig};
use hostler_transport::{AgentImage, Connector, ConnectorSettings, Deadlines, GateLimits};

use crate::request::ApplyRequest;

pub(crate) fn ssh_config(
    request: &ApplyRequest,
) -> Result<(SshConfig, Vec<Diagnostic>), Vec<Diagnostic>> {
    use hostler_transport::ssh_config::Severity;
    let local = LocalUser::from_env();
    let (config, problems) = match &request.connect.ssh_config {
        Some(path) => SshConfig::load(path, &local),
        None => SshConfig::load_default(&local),
    };
    let problems: Vec<Diagnostic> = problems
        .into_iter()
        .map(|problem| match problem.severity {
            Severity::Error => Diagnostic::error("ssh-config", problem.to_string()),
            Severity::Warning => Diagnostic::warning("ssh-config", problem.to_string()),
        })
        .collect();
    if problems.iter().any(Diagnostic::is_error) {
        Err(problems)
    } else {
        Ok((config, problems))
    }
}

pub(crate) fn connector(request: &ApplyRequest, config: SshConfig) -> Connector {
    let mut deadlines = Deadlines::default();
    if let Some(seconds) = request.connect.timeout_s.filter(|seconds| *seconds > 0) {
        let limit = std::time::Duration::from_secs(seconds);
        deadlines.tcp = limit;
        deadlines.banner = limit;
        deadlines.key_exchange = limit;
        deadlines.authentication = limit.max(deadlines.authentication);
    }
    let policy = if request.connect.accept_new_host_keys {
        HostKeyPolicy::AcceptNew
    } else {
        HostKeyPolicy::Strict
    };
    Connector::new(ConnectorSettings {
        local: LocalUser::from_env(),
        config,
        host_key_policy: policy,
        deadlines,
        gate: GateLimits::default(),
        password_trials: request
            .connect
            .password_trials
            .unwrap_or(ConnectorSettings::PASSWORD_TRIALS),
    })
}

pub(crate) fn image() -> AgentImage {
    AgentImage {
        bytes: hostler_agent_image::AGENT,
        sha256: hostler_agent_image::SHA256,
        machine: hostler_agent_image::ARCH,
    }
}
