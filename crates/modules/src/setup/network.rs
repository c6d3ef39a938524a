//! Interfaces, addresses, name servers.

use std::path::Path;

use hostler_module_api::prelude::*;
use hostler_probes::{Ipv4, Ipv6, exists, names, text, word};

/// `ARPHRD_*` numbers of `/sys/class/net/*/type`, as Ansible names them.
fn kind_of(number: &str) -> &'static str {
    match number {
        "1" => "ether",
        "32" => "infiniband",
        "512" => "ppp",
        "772" => "loopback",
        "65534" => "tunnel",
        _ => "unknown",
    }
}

pub(super) fn facts(host: &dyn Inspect, facts: &mut Map) {
    let net = hostler_probes::network(host);
    let devices: Vec<String> = names(host, "/sys/class/net")
        .into_iter()
        .filter(|it| exists(host, format!("/sys/class/net/{it}/mtu")))
        .collect();
    let mut interfaces = Map::new();
    for device in &devices {
        let mut map = interface(host, device);
        let own: Vec<&Ipv4> = net.ipv4.iter().filter(|it| it.interface == *device).collect();
        if let Some(first) = own.iter().find(|it| !it.secondary) {
            map.insert("ipv4", ipv4(first));
        }
        let first = own.iter().position(|it| !it.secondary);
        let others: Vec<Value> = (0..own.len()).filter(|at| Some(*at) != first).map(|at| ipv4(own[at]).into()).collect();
        if !others.is_empty() {
            map.insert("ipv4_secondaries", others);
        }
        let own: Vec<Value> = net.ipv6.iter().filter(|it| it.interface == *device).map(|it| ipv6(it).into()).collect();
        if !own.is_empty() {
            map.insert("ipv6", own);
        }
        interfaces.insert(device, map);
    }
    facts.insert("default_ipv4", default_ipv4(&net, &interfaces));
    facts.insert("default_ipv6", default_ipv6(&net, &interfaces));
    let all = net.ipv4.iter().filter(|it| !it.address.is_loopback()).map(|it| it.address.to_string());
    facts.insert("all_ipv4_addresses", all.collect::<Vec<_>>());
    let all = net.ipv6.iter().filter(|it| !it.address.is_loopback()).map(|it| it.address.to_string());
    facts.insert("all_ipv6_addresses", all.collect::<Vec<_>>());
    let mut local_ipv6: Vec<String> = net.ipv6.iter().map(|it| it.address.to_string()).collect();
    hostler_value::order::sort(&mut local_ipv6);
    let local = Map::from_iter([("ipv4", net.local_ipv4.clone()), ("ipv6", local_ipv6)]);
    facts.insert("locally_reachable_ips", local);
    facts.insert("interfaces", devices);
    for (name, map) in interfaces {
        facts.insert(name.to_text().replace([':', '-'], "_"), map);
    }
}

fn ipv4(it: &Ipv4) -> Map {
    Map::from_iter([
        ("address", it.address.to_string()),
        ("broadcast", it.broadcast.map(|it| it.to_string()).unwrap_or_default()),
        ("netmask", it.netmask().to_string()),
        ("network", it.network().to_string()),
        ("prefix", it.prefix.to_string()),
    ])
}

fn ipv6(it: &Ipv6) -> Map {
    Map::from_iter([
        ("address", it.address.to_string()),
        ("prefix", it.prefix.to_string()),
        ("scope", it.scope.to_owned()),
    ])
}

/// What an interface has in common with its default address.
fn with_device(map: &mut Map, interfaces: &Map, device: &str) {
    let Some(found) = interfaces.get(device) else { return };
    for key in ["macaddress", "mtu", "type"] {
        if let Some(value) = found.get(key) {
            map.insert(key, value.clone());
        }
    }
}

fn default_ipv4(net: &hostler_probes::Network, interfaces: &Map) -> Map {
    let mut map = Map::new();
    let Some(route) = &net.default_ipv4 else { return map };
    if let Some(gateway) = route.gateway {
        map.insert("gateway", gateway.to_string());
    }
    map.insert("interface", &route.interface);
    let own = || net.ipv4.iter().filter(|it| it.interface == route.interface);
    let near = |it: &&Ipv4| {
        let with_gateway = route.gateway.map(|gateway| Ipv4 { address: gateway, ..(*it).clone() }.network());
        with_gateway == Some(it.network())
    };
    let elsewhere = || net.ipv4.iter().find(|it| !it.address.is_loopback());
    if let Some(address) = own().find(near).or_else(|| own().next()).or_else(elsewhere) {
        map.extend(&ipv4(address));
        map.insert("alias", &address.label);
        with_device(&mut map, interfaces, &address.interface);
    }
    map
}

fn default_ipv6(net: &hostler_probes::Network, interfaces: &Map) -> Map {
    let mut map = Map::new();
    let Some(route) = &net.default_ipv6 else { return map };
    let own = net.ipv6.iter().find(|it| it.interface == route.interface && it.scope == "global");
    let Some(address) = own else { return map };
    if let Some(gateway) = route.gateway {
        map.insert("gateway", gateway.to_string());
    }
    map.insert("interface", &route.interface);
    map.extend(&ipv6(address));
    with_device(&mut map, interfaces, &address.interface);
    map
}

fn interface(host: &dyn Inspect, device: &str) -> Map {
    let dir = format!("/sys/class/net/{device}");
    let read = |name: &str| word(host, format!("{dir}/{name}"));
    let link = |name: &str| {
        let target = host.read_link(Path::new(&format!("{dir}/{name}"))).ok()??;
        Some(target.file_name()?.to_string_lossy().into_owned())
    };
    let number = |name: &str| read(name).and_then(|it| it.parse::<i64>().ok());
    let mut map = Map::new();
    map.insert("device", device);
    if let Some(mac) = read("address").filter(|it| it != "00:00:00:00:00:00") {
        map.insert("macaddress", mac);
    }
    if let Some(mtu) = number("mtu") {
        map.insert("mtu", mtu);
    }
    map.insert("active", read("operstate").as_deref() != Some("down"));
    if let Some(module) = link("device/driver/module") {
        map.insert("module", module);
    }
    map.insert("type", kind_of(&read("type").unwrap_or_default()));
    if exists(host, format!("{dir}/bridge")) {
        map.insert("type", "bridge");
        map.insert("interfaces", names(host, format!("{dir}/brif")));
        map.insert("id", read("bridge/bridge_id").unwrap_or_default());
        map.insert("stp", read("bridge/stp_state").as_deref() == Some("1"));
    }
    if exists(host, format!("{dir}/bonding")) {
        bond(&mut map, &read);
    }
    if let Some(mac) = read("bonding_slave/perm_hwaddr") {
        map.insert("perm_macaddress", mac);
    }
    if let Some(id) = link("device") {
        map.insert("pciid", id);
    }
    if let Some(speed) = number("speed") {
        map.insert("speed", speed);
    }
    if let Some(flags) = read("flags").and_then(|it| u32::from_str_radix(it.trim_start_matches("0x"), 16).ok()) {
        map.insert("promisc", flags & 0x100 != 0);
    }
    map
}

fn bond(map: &mut Map, read: &dyn Fn(&str) -> Option<String>) {
    let first = |name: &str| {
        let text = read(name).unwrap_or_default();
        text.split_whitespace().next().unwrap_or_default().to_owned()
    };
    let slaves = read("bonding/slaves").unwrap_or_default();
    map.insert("type", "bonding");
    map.insert("slaves", slaves.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    for key in ["mode", "miimon", "lacp_rate"] {
        map.insert(key, first(&format!("bonding/{key}")));
    }
    if let Some(primary) = read("bonding/primary") {
        map.insert("primary", primary);
        if let Some(all) = read("bonding/all_slaves_active") {
            map.insert("all_slaves_active", all == "1");
        }
    }
}

pub(super) fn dns(host: &dyn Inspect, facts: &mut Map) {
    let it = hostler_probes::parse_resolv_conf(&text(host, "/etc/resolv.conf").unwrap_or_default());
    let mut map = Map::new();
    if !it.nameservers.is_empty() {
        map.insert("nameservers", it.nameservers);
    }
    if let Some(domain) = it.domain {
        map.insert("domain", domain);
    }
    for (name, list) in [("search", it.search), ("sortlist", it.sortlist)] {
        if let Some(list) = list {
            map.insert(name, list);
        }
    }
    if let Some(options) = it.options {
        let value = |it: Option<String>| it.map_or(Value::Bool(true), Value::from);
        map.insert("options", options.into_iter().map(|(name, it)| (name, value(it))).collect::<Map>());
    }
    facts.insert("dns", map);
}
