//! Ports that somebody listens on, from `/proc/net`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use hostler_module_api::Inspect;
use hostler_probes::text;

/// State of a socket in `/proc/net/tcp` (`include/net/tcp_states.h`).
const LISTEN: &str = "0A";
/// The state that UDP sockets have while they are not connected.
const UNCONNECTED: &str = "07";

/// Ports that clients take for answers to them: those of DHCP come and go with its messages.
const CLIENT_PORTS: &[u16] = &[68, 546];
/// `sshd` listens there while sessions forward X11.
const X11_FORWARDED: RangeInclusive<u16> = 6010..=6099;

/// `tcp 0.0.0.0:22`, `udp [::]:123`. Left out are ports from the range that the kernel hands out to who names none: they
/// are others at each start.
pub(super) fn listening(host: &dyn Inspect) -> BTreeSet<String> {
    let ephemeral = ephemeral_range(host);
    let mut ports = BTreeSet::new();
    for (protocol, file, state) in [
        ("tcp", "tcp", LISTEN),
        ("tcp", "tcp6", LISTEN),
        ("udp", "udp", UNCONNECTED),
        ("udp", "udp6", UNCONNECTED),
    ] {
        let table = text(host, format!("/proc/net/{file}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let Some((address, port)) = parse_line(line, state) else {
                continue;
            };
            let forwarded =
                X11_FORWARDED.contains(&port) && ["127.0.0.1", "[::1]"].contains(&&*address);
            let client = protocol == "udp" && CLIENT_PORTS.contains(&port);
            if !ephemeral.contains(&port) && !forwarded && !client {
                ports.insert(format!("{protocol} {address}:{port}"));
            }
        }
    }
    ports
}

/// See `ip_local_port_range` in `ip-sysctl`.
fn ephemeral_range(host: &dyn Inspect) -> RangeInclusive<u16> {
    let range = text(host, "/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = range.split_whitespace().map(str::parse::<u16>);
    match (bounds.next(), bounds.next()) {
        (Some(Ok(first)), Some(Ok(last))) => first..=last,
        _ => 32768..=60999,
    }
}

/// Local address and port of a socket in a state: `sl local_address rem_address st ...`.
fn parse_line(line: &str, state: &str) -> Option<(String, u16)> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, _remote) = (fields.next()?, fields.next()?);
    if fields.next()? != state {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((parse_address(address)?, port)).filter(|it| it.1 != 0)
}

/// Addresses are words of 32 bits in the machine's byte order.
fn parse_address(hex: &str) -> Option<String> {
    let word = |at: usize| {
        Some(
            u32::from_str_radix(hex.get(at..at + 8)?, 16)
                .ok()?
                .to_ne_bytes(),
        )
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).to_string()),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(format!("[{}]", Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

    #[test]
    fn listeners_and_bound_datagram_sockets() {
        let tcp = format!(
            "{HEAD}   0: 00000000:0016 00000000:0000 0A 0 0\n   1: 0100007F:177A 00000000:0000 0A 0 0\n   2: 0100000A:0016 0200000A:D431 01 0 0\n   3: 0100007F:9C40 00000000:0000 0A 0 0\n"
        );
        let tcp6 = format!(
            "{HEAD}   0: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 0\n   1: zz:0 a:0 0A\n   2:\n"
        );
        let udp = format!(
            "{HEAD}  10: 0100007F:007B 00000000:0000 07 0\n  11: 0100000A:0044 00000000:0000 07 0\n  12: 0100000A:0035 0200000A:0035 01 0\n"
        );
        let host = FakeHost::bare()
            .file("/proc/net/tcp", tcp)
            .file("/proc/net/tcp6", tcp6)
            .file("/proc/net/udp", udp);
        let found: Vec<String> = listening(&host).into_iter().collect();
        assert_eq!(
            found,
            ["tcp 0.0.0.0:22", "tcp [::1]:25", "udp 127.0.0.1:123"]
        );
        let host = host.file("/proc/sys/net/ipv4/ip_local_port_range", "20\t30\n");
        let found: Vec<String> = listening(&host).into_iter().collect();
        assert_eq!(found, ["tcp 127.0.0.1:40000", "udp 127.0.0.1:123"]);
    }

    #[test]
    fn a_host_without_tables_has_no_ports() {
        assert!(listening(&FakeHost::bare()).is_empty());
    }
}
