//! Why a host cannot be reached, as data: one bad host is a result, not an error of the run.

use std::fmt;

/// The steps of making a session, each with its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name resolution.
    Dns,
    /// The TCP connection.
    Tcp,
    /// The jump host's channel or the proxy command's start.
    Proxy,
    /// From the open stream to the server's identification line.
    Banner,
    /// Key exchange and the check of the host key.
    KeyExchange,
    /// User authentication.
    Authentication,
    /// Starting the agent, up to its first frame.
    Agent,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "name resolution",
            Self::Tcp => "TCP connect",
            Self::Proxy => "proxy",
            Self::Banner => "SSH banner",
            Self::KeyExchange => "key exchange",
            Self::Authentication => "authentication",
            Self::Agent => "agent start",
        })
    }
}

/// What went wrong, for statuses, counts and retry decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The name does not resolve.
    Dns,
    /// Nobody listens at the address.
    Refused,
    /// There is no route to the address.
    NoRoute,
    /// A step took longer than its deadline.
    Timeout(Phase),
    /// The connection was cut.
    Reset,
    /// sshd closed the connection before its banner: `MaxStartups` or `PerSourcePenalties`, still so after retries.
    Penalty,
    /// No credential was accepted.
    Auth,
    /// The host key is not listed.
    HostKeyUnknown,
    /// Another host key is listed.
    HostKeyChanged,
    /// The host key is revoked.
    HostKeyRevoked,
    /// The peer does not speak the SSH protocol, or not any algorithm that we accept.
    Protocol,
    /// The jump host or the proxy command failed.
    Proxy,
    /// An option or a key file is unusable.
    Config,
    /// The agent could not be started on the host.
    Agent,
    /// The host's architecture is not the agent's.
    Architecture,
    /// The agent or its channel broke the protocol between us.
    AgentProtocol,
    /// The established session was lost.
    Lost,
}

impl Reason {
    /// A stable word for machine-readable output.
    pub fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::NoRoute => "no-route",
            Self::Timeout(_) => "timeout",
            Self::Reset => "reset",
            Self::Penalty => "penalty",
            Self::Auth => "auth",
            Self::HostKeyUnknown => "hostkey-unknown",
            Self::HostKeyChanged => "hostkey-changed",
            Self::HostKeyRevoked => "hostkey-revoked",
            Self::Protocol => "protocol",
            Self::Proxy => "proxy",
            Self::Config => "config",
            Self::Agent => "agent",
            Self::Architecture => "architecture",
            Self::AgentProtocol => "agent-protocol",
            Self::Lost => "lost",
        }
    }
}

/// An unreachable host. `Display` gives the one-line message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Unreachable {
    /// The kind.
    pub reason: Reason,
    /// What happened, for people: names the address, file or step. Text from the host in it has no control characters.
    pub detail: String,
}

impl Unreachable {
    /// Makes one.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    pub(crate) fn timeout(phase: Phase, limit: std::time::Duration, what: &str) -> Self {
        Self::new(
            Reason::Timeout(phase),
            format!(
                "{what}: no answer in the {phase} phase within {}",
                Seconds(limit)
            ),
        )
    }
}

struct Seconds(std::time::Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(f, "{} s", self.0.as_secs())
        } else {
            write!(f, "{} ms", self.0.as_millis())
        }
    }
}

/// Text from a host, made fit for a message: control characters become spaces and the length is bounded.
pub(crate) fn printable(text: &[u8], chars_max: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(chars_max)
        .collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}
