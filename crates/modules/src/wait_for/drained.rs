//! Connections to a local port, as the kernel lists them in `/proc/net/tcp` and `/proc/net/tcp6`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use hostler_module_api::prelude::*;

use super::Args;

/// States of connections that may count as active, with the kernel's numbers for them.
pub(super) const STATES: &[(&str, &str)] = &[
    ("ESTABLISHED", "01"),
    ("FIN_WAIT1", "04"),
    ("FIN_WAIT2", "05"),
    ("SYN_RECV", "03"),
    ("SYN_SENT", "02"),
    ("TIME_WAIT", "06"),
];

/// The kernel's number for a state.
pub(super) fn state_id(name: &str) -> Option<&'static str> {
    STATES.iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
}

/// Largest list of connections that is read: about 400 000 of them.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// The connections to look for.
pub(super) struct Connections {
    /// Local addresses, in the kernel's form.
    local: Vec<String>,
    /// Any local address counts.
    any: bool,
    excluded: Vec<String>,
    port: String,
    states: Vec<&'static str>,
}

impl Connections {
    pub(super) fn new(args: &Args, port: u16, host: &dyn Inspect) -> Result<Self, ModuleError> {
        let local = addresses(&args.host, host)?;
        let mut excluded = Vec::new();
        for name in args.exclude_hosts.iter().flatten() {
            excluded.extend(addresses(name, host)?.iter().flat_map(kernel_forms));
        }
        Ok(Connections {
            any: local.iter().any(IpAddr::is_unspecified),
            local: local.iter().flat_map(kernel_forms).collect(),
            excluded,
            port: format!("{port:04X}"),
            states: args.active_connection_states.iter().filter_map(|it| state_id(it)).collect(),
        })
    }

    /// Is none of them active?
    pub(super) fn none_active(&self, host: &dyn Inspect) -> Result<bool, ModuleError> {
        for list in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let text = host.read(Path::new(list), LIST_BYTES_MAX)?.unwrap_or_default();
            if String::from_utf8_lossy(&text).lines().skip(1).any(|line| self.counts(line)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A line is `sl local_address rem_address st ...`, addresses with the port behind a colon.
    fn counts(&self, line: &str) -> bool {
        let mut fields = line.split_whitespace().skip(1);
        let mut address = || fields.next().and_then(|it| it.split_once(':'));
        let (Some((local, port)), Some((peer, _))) = (address(), address()) else { return false };
        let state = fields.next().unwrap_or_default();
        port == self.port
            && self.states.contains(&state)
            && !self.excluded.iter().any(|it| it == peer)
            && (self.any || self.local.iter().any(|it| it == local))
    }
}

/// Addresses of a name, by the host's own resolver.
fn addresses(name: &str, host: &dyn Inspect) -> Result<Vec<IpAddr>, ModuleError> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let output = host.look(&Program::new(["getent", "ahosts", "--", name]))?;
    let text = output.stdout_text();
    let first = |line: &str| line.split_whitespace().next()?.parse().ok();
    let found: Vec<IpAddr> = text.lines().filter_map(first).collect();
    if found.is_empty() {
        return Err(ModuleError::new(format!("cannot resolve {name}")).field("elapsed", 0));
    }
    Ok(found)
}

/// An address as the kernel writes it: 32-bit words in its own byte order (little-endian on all machines that the
/// agent runs on). One of version 4 also as version 6 has it.
fn kernel_forms(address: &IpAddr) -> Vec<String> {
    let words = |octets: &[u8]| {
        let mut out = String::new();
        for octet in octets.chunks_exact(4).flat_map(|word| word.iter().rev()) {
            let _ = write!(out, "{octet:02X}");
        }
        out
    };
    match address {
        IpAddr::V4(v4) => vec![words(&v4.octets()), words(&v4.to_ipv6_mapped().octets())],
        IpAddr::V6(v6) => vec![words(&v6.octets())],
    }
}
