//! Addresses and routes.
//!
//! The usual host has one IPv4 address on an interface, and `/proc/net` tells all about it without a program to start.
//! Where it cannot tell (several addresses on one interface, an address without a network), `ip -json` is asked; where
//! that is not installed, what `/proc/net` says is given.

use std::net::{Ipv4Addr, Ipv6Addr};

use hostler_change::{CommandOutput, Program};
use hostler_module_api::Inspect;

use crate::text;

/// An IPv4 address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// The address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix.
    pub prefix: u8,
    /// Broadcast address, if one is set.
    pub broadcast: Option<Ipv4Addr>,
    /// Interface.
    pub interface: String,
    /// Label, usually the interface's name.
    pub label: String,
    /// A further address of the same network?
    pub secondary: bool,
}

impl Ipv4 {
    /// The network's mask.
    pub fn netmask(&self) -> Ipv4Addr {
        Ipv4Addr::from(mask(self.prefix))
    }

    /// The network's address.
    pub fn network(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) & mask(self.prefix))
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(prefix.min(32)))
        .unwrap_or(0)
}

/// An IPv6 address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// The address.
    pub address: Ipv6Addr,
    /// Length of the prefix.
    pub prefix: u8,
    /// `global`, `link`, `host` or `site`.
    pub scope: &'static str,
    /// Interface.
    pub interface: String,
}

/// Where packets to the internet go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute<A> {
    /// Interface.
    pub interface: String,
    /// Router, if there is one.
    pub gateway: Option<A>,
}

/// What is known of a host's network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// IPv4 addresses.
    pub ipv4: Vec<Ipv4>,
    /// IPv6 addresses.
    pub ipv6: Vec<Ipv6>,
    /// IPv4 default route.
    pub default_ipv4: Option<DefaultRoute<Ipv4Addr>>,
    /// IPv6 default route.
    pub default_ipv6: Option<DefaultRoute<Ipv6Addr>>,
    /// IPv4 networks and addresses that are this host.
    pub local_ipv4: Vec<String>,
}

/// A line of `/proc/net/route`.
struct Route {
    interface: String,
    destination: u32,
    gateway: u32,
    metric: u32,
    mask: u32,
    up: bool,
}

/// Looks at the network.
pub fn network(host: &dyn Inspect) -> Network {
    let read = |name: &str| text(host, format!("/proc/net/{name}")).unwrap_or_default();
    let routes = parse_routes(&read("route"));
    let trie = parse_fib_trie(&read("fib_trie"));
    let default = routes
        .iter()
        .filter(|it| it.up && it.mask == 0 && it.destination == 0);
    let default = default.min_by_key(|it| it.metric);
    let (ipv4, certain) = place(&trie, &routes);
    let ipv4 = if certain {
        ipv4
    } else {
        ask_ip(host).unwrap_or(ipv4)
    };
    Network {
        ipv4,
        ipv6: parse_if_inet6(&read("if_inet6")),
        default_ipv4: default.map(|it| DefaultRoute {
            interface: it.interface.clone(),
            gateway: (it.gateway != 0).then(|| Ipv4Addr::from(it.gateway)),
        }),
        default_ipv6: parse_default_ipv6(&read("ipv6_route")),
        local_ipv4: trie.local(),
    }
}

/// Reads `/proc/net/route`: numbers are hexadecimal in the machine's byte order (little-endian here).
fn parse_routes(text: &str) -> Vec<Route> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |index: usize| {
            u32::from_str_radix(fields.get(index)?, 16)
                .ok()
                .map(u32::swap_bytes)
        };
        Some(Route {
            interface: (*fields.first()?).to_owned(),
            destination: hex(1)?,
            gateway: hex(2)?,
            up: hex(3)?.swap_bytes() & 1 == 1,
            metric: fields.get(6)?.parse().ok()?,
            mask: hex(7)?,
        })
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// Leaves of `/proc/net/fib_trie`: prefix, its length, kind.
#[derive(Default)]
struct Trie(Vec<(Ipv4Addr, u8, Kind)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    Broadcast,
}

impl Trie {
    fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.0
            .iter()
            .filter(|it| it.1 == 32 && it.2 == Kind::Local)
            .map(|it| it.0)
    }

    fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        self.0
            .iter()
            .any(|it| it.0 == address && it.2 == Kind::Broadcast)
    }

    fn local(&self) -> Vec<String> {
        let local = self.0.iter().filter(|it| it.2 == Kind::Local);
        let shown = local.map(|(address, prefix, _)| match prefix {
            32 => address.to_string(),
            _ => format!("{address}/{prefix}"),
        });
        let mut out: Vec<String> = shown.collect();
        hostler_value::order::sort(&mut out);
        out
    }
}

fn parse_fib_trie(text: &str) -> Trie {
    let mut trie = Trie::default();
    let mut prefix = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            prefix = address.parse::<Ipv4Addr>().ok();
        } else if let (Some(address), Some(rest)) = (prefix, line.strip_prefix('/')) {
            let mut words = rest.split_whitespace();
            let length = words.next().and_then(|it| it.parse().ok());
            let kind = match words.last() {
                Some("LOCAL") => Kind::Local,
                Some("BROADCAST") => Kind::Broadcast,
                _ => continue,
            };
            // The tables `local` and `main` are often one and shown twice.
            if let Some(leaf) = length
                .map(|length| (address, length, kind))
                .filter(|it| !trie.0.contains(it))
            {
                trie.0.push(leaf);
            }
        }
    }
    trie
}

/// Finds the interface and network of each address; says whether that is certain.
fn place(trie: &Trie, routes: &[Route]) -> (Vec<Ipv4>, bool) {
    let mut out: Vec<Ipv4> = Vec::new();
    let mut certain = true;
    for address in trie.addresses() {
        if address.is_loopback() {
            let secondary = out.iter().any(|it| it.interface == "lo");
            certain &= !secondary;
            let lo = "lo".to_owned();
            out.push(Ipv4 {
                address,
                prefix: 8,
                broadcast: None,
                label: lo.clone(),
                interface: lo,
                secondary,
            });
            continue;
        }
        let on_link = |it: &&Route| {
            it.gateway == 0 && it.mask != 0 && u32::from(address) & it.mask == it.destination
        };
        let mut found: Vec<&Route> = routes.iter().filter(on_link).collect();
        hostler_value::order::sort_by(&mut found, |a, b| {
            b.mask.count_ones().cmp(&a.mask.count_ones())
        });
        let Some(route) = found.first() else {
            certain = false;
            continue;
        };
        certain &= found.len() == 1 && !out.iter().any(|it| it.interface == route.interface);
        let broadcast = Ipv4Addr::from(u32::from(address) | !route.mask);
        out.push(Ipv4 {
            address,
            prefix: u8::try_from(route.mask.count_ones()).unwrap_or(32),
            broadcast: trie.is_broadcast(broadcast).then_some(broadcast),
            interface: route.interface.clone(),
            label: route.interface.clone(),
            secondary: out.iter().any(|it| it.interface == route.interface),
        });
    }
    (out, certain)
}

/// Asks `ip` for the IPv4 addresses, one on a line.
fn ask_ip(host: &dyn Inspect) -> Option<Vec<Ipv4>> {
    let output = host
        .look(&Program::new(["ip", "-o", "-4", "addr", "show"]))
        .ok()?;
    Some(output)
        .filter(CommandOutput::success)
        .map(|it| parse_ip_addr(&it.stdout_text()))
}

/// Reads `ip -o -4 addr show`: `2: eth0    inet 10.0.0.1/24 brd 10.0.0.255 scope global secondary eth0:1\ ...`.
fn parse_ip_addr(text: &str) -> Vec<Ipv4> {
    let line = |line: &str| {
        let line = line.split('\\').next()?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |key: &str| {
            words
                .iter()
                .position(|it| *it == key)
                .and_then(|at| words.get(at + 1))
                .copied()
        };
        // A peer's address stands where the prefix would.
        let own = after("inet")?;
        let with_prefix = after("peer").unwrap_or(own);
        let address = own.split('/').next()?.parse().ok()?;
        let prefix = with_prefix
            .split_once('/')
            .map_or(Some(32), |it| it.1.parse().ok())?;
        Some(Ipv4 {
            address,
            prefix,
            broadcast: after("brd").and_then(|it| it.parse().ok()),
            interface: words.get(1)?.trim_end_matches(':').to_owned(),
            label: (*words.last()?).to_owned(),
            secondary: words.contains(&"secondary"),
        })
    };
    text.lines().filter_map(line).collect()
}

fn hex_ipv6(text: &str) -> Option<Ipv6Addr> {
    (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from))?
}

/// Reads `/proc/net/if_inet6`: address, interface number, prefix length, scope, flags, interface.
fn parse_if_inet6(text: &str) -> Vec<Ipv6> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |index: usize| u8::from_str_radix(fields.get(index)?, 16).ok();
        let scope = match hex(3)? {
            0x20 => "link",
            0x10 => "host",
            0x40 => "site",
            _ => "global",
        };
        Some(Ipv6 {
            address: hex_ipv6(fields.first()?)?,
            prefix: hex(2)?,
            scope,
            interface: (*fields.get(5)?).to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// Reads the default route of `/proc/net/ipv6_route`: of those that are up and do not reject, the lowest metric.
fn parse_default_ipv6(text: &str) -> Option<DefaultRoute<Ipv6Addr>> {
    const UP: u32 = 1;
    const REJECT: u32 = 0x200;
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
        let wanted = hex(1)? == 0
            && hex_ipv6(fields.first()?)?.is_unspecified()
            && hex(8)? & (UP | REJECT) == UP;
        let gateway = hex_ipv6(fields.get(4)?)?;
        let interface = (*fields.get(9)?).to_owned();
        let route = DefaultRoute {
            interface,
            gateway: (!gateway.is_unspecified()).then_some(gateway),
        };
        wanted.then_some((hex(5)?, route))
    };
    text.lines()
        .filter_map(line)
        .min_by_key(|it| it.0)
        .map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    const TRIE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.64.0.0
        /16 link UNICAST
     |-- 10.64.0.1
        /32 host LOCAL
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
Local:
     |-- 127.0.0.1
        /32 host LOCAL
";
    const ROUTE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
br0\t0000400A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    #[test]
    fn proc_is_enough_for_the_usual_host() {
        let host = FakeHost::bare()
            .file("/proc/net/fib_trie", TRIE)
            .file("/proc/net/route", ROUTE)
            .file("/proc/net/if_inet6", "fd000000000000000000000000000002 04 40 00 82     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n")
            .file("/proc/net/ipv6_route", "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0\n00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n");
        let it = network(&host);
        let eth0 = it.ipv4.iter().find(|it| it.interface == "eth0").unwrap();
        assert_eq!(
            (
                eth0.prefix,
                eth0.network().to_string(),
                eth0.netmask().to_string()
            ),
            (24, "192.0.2.0".into(), "255.255.255.0".into())
        );
        assert_eq!(eth0.broadcast.unwrap().to_string(), "192.0.2.255");
        let br0 = it.ipv4.iter().find(|it| it.interface == "br0").unwrap();
        assert_eq!((br0.prefix, br0.broadcast), (16, None));
        assert_eq!(
            it.default_ipv4.unwrap().gateway.unwrap().to_string(),
            "192.0.2.1"
        );
        assert_eq!(
            it.default_ipv6.unwrap().gateway.unwrap().to_string(),
            "fd00::1"
        );
        assert_eq!((it.ipv6.len(), it.ipv6[1].scope), (2, "host"));
        assert_eq!(
            it.local_ipv4,
            ["10.64.0.1", "127.0.0.0/8", "127.0.0.1", "192.0.2.2"]
        );
    }

    #[test]
    fn several_addresses_are_asked_of_ip() {
        let trie = format!("{TRIE}     |-- 192.0.2.3\n        /32 host LOCAL\n");
        let ip = "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\\ x\n2: eth0    inet 192.0.2.3/24 scope global secondary eth0:1\\ x\n3: tun0    inet 10.8.0.2 peer 10.8.0.1/32 scope global tun0\n";
        let host = FakeHost::bare()
            .file("/proc/net/fib_trie", trie)
            .file("/proc/net/route", ROUTE)
            .answers("ip -o -4 addr show", 0, ip);
        let it = network(&host);
        assert_eq!(it.ipv4.len(), 4);
        assert!(it.ipv4[2].secondary && it.ipv4[2].label == "eth0:1");
        assert_eq!(it.ipv4[3].prefix, 32);
    }

    #[test]
    fn nothing_and_nonsense() {
        assert_eq!(network(&FakeHost::bare()), Network::default());
        let host = FakeHost::bare()
            .file("/proc/net/route", "x\ny z\n")
            .file("/proc/net/fib_trie", "|-- 1\n/\n");
        assert_eq!(network(&host), Network::default());
        assert_eq!(mask(0), 0);
        assert_eq!(mask(33), u32::MAX);
    }
}
