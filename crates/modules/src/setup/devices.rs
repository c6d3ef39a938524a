//! Block devices, from `/sys/block`.

use hostler_module_api::prelude::*;
use hostler_probes::{disk_links, names, word};

/// Kind of links as Ansible names it, and what they are.
type Links = Vec<(&'static str, Vec<(String, String)>)>;

pub(super) fn facts(host: &dyn Inspect, facts: &mut Map) {
    let blocks = names(host, "/sys/block");
    let mut links: Links = [("ids", "by-id"), ("uuids", "by-uuid"), ("labels", "by-label")]
        .into_iter()
        .map(|(name, dir)| (name, disk_links(host, dir)))
        .collect();
    let masters = blocks.iter().flat_map(|block| {
        let slaves = names(host, format!("/sys/block/{block}/slaves"));
        slaves.into_iter().map(|slave| (slave, block.clone())).collect::<Vec<_>>()
    });
    links.push(("masters", masters.collect()));
    let devices: Map = blocks.iter().map(|block| (block.as_str(), device(host, block, &links))).collect();
    facts.insert("devices", devices);
    facts.insert("device_links", links.iter().map(|(name, pairs)| (*name, grouped(pairs))).collect::<Map>());
}

fn grouped(pairs: &[(String, String)]) -> Map {
    let mut map = Map::new();
    for (device, _) in pairs {
        map.insert(device, links_of(pairs, device));
    }
    map
}

fn links_of(pairs: &[(String, String)], device: &str) -> Value {
    let mut found: Vec<String> = pairs.iter().filter(|it| it.0 == device).map(|it| it.1.clone()).collect();
    hostler_value::order::sort(&mut found);
    Value::from(found)
}

fn all_links(links: &Links, device: &str) -> Map {
    links.iter().map(|(name, pairs)| (*name, links_of(pairs, device))).collect()
}

fn device(host: &dyn Inspect, name: &str, links: &Links) -> Map {
    let dir = format!("/sys/block/{name}");
    let read = |path: &str| word(host, format!("{dir}/{path}"));
    let mut map = Map::new();
    map.insert("virtual", 1);
    map.insert("links", all_links(links, name));
    for key in ["vendor", "model", "sas_address", "sas_device_handle"] {
        map.insert(key, read(&format!("device/{key}")));
    }
    if let Some(serial) = read("device/serial") {
        map.insert("serial", serial);
    }
    map.insert("removable", read("removable"));
    let discards = read("queue/discard_max_hw_bytes").as_deref() != Some("0");
    map.insert("support_discard", if discards { read("queue/discard_granularity") } else { Some("0".into()) });
    if let Some((_, link)) = links[0].1.iter().find(|(device, link)| device == name && link.starts_with("wwn-")) {
        map.insert("wwn", link.trim_start_matches("wwn-"));
    }
    let is_part = |it: &String| {
        let rest = it.strip_prefix(name).map(|it| it.strip_prefix('p').unwrap_or(it));
        rest.is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
    };
    let partitions = names(host, &dir).into_iter().filter(is_part);
    map.insert("partitions", partitions.map(|it| (it.clone(), partition(host, &dir, &it, links))).collect::<Map>());
    map.insert("rotational", read("queue/rotational"));
    let scheduler = read("queue/scheduler").unwrap_or_default();
    let scheduler = scheduler.split_once('[').and_then(|it| it.1.split_once(']')).map_or("", |it| it.0);
    map.insert("scheduler_mode", scheduler);
    let sector_size = read("queue/logical_block_size");
    size(&mut map, read("size"), sector_size.as_deref());
    map.insert("sectorsize", sector_size.unwrap_or_else(|| "512".into()));
    map.insert("host", "");
    map.insert("holders", holders(host, &dir));
    map
}

fn partition(host: &dyn Inspect, disk: &str, name: &str, links: &Links) -> Map {
    let dir = format!("{disk}/{name}");
    let read = |path: &str| word(host, format!("{dir}/{path}"));
    let mut map = Map::new();
    map.insert("links", all_links(links, name));
    map.insert("start", read("start"));
    size(&mut map, read("size"), None);
    map.insert("sectorsize", 512);
    let uuid = links[1].1.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    map.insert("uuid", uuid);
    map.insert("holders", holders(host, &dir));
    map
}

/// The kernel counts in units of 512 bytes, whatever a sector is.
fn size(map: &mut Map, units: Option<String>, sector_size: Option<&str>) {
    let units: u64 = units.and_then(|it| it.parse().ok()).unwrap_or(0);
    let sector_size: u64 = sector_size.and_then(|it| it.parse().ok()).filter(|it| *it > 0).unwrap_or(512);
    let sectors = units.saturating_mul(512) / sector_size;
    map.insert("sectors", sectors);
    map.insert("size", human(sectors.saturating_mul(sector_size)));
}

/// A size as Ansible's `human_readable` writes it: `1.50 GB`, with powers of 1024.
fn human(bytes: u64) -> String {
    let unit = [(60, "EB"), (50, "PB"), (40, "TB"), (30, "GB"), (20, "MB"), (10, "KB")];
    let unit = unit.into_iter().find(|(shift, _)| bytes >> shift > 0);
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    match unit {
        Some((shift, unit)) => format!("{:.2} {unit}", bytes as f64 / (1_u64 << shift) as f64),
        None => format!("{bytes}.00 Bytes"),
    }
}

fn holders(host: &dyn Inspect, dir: &str) -> Value {
    let mapped = names(host, format!("{dir}/holders")).into_iter().filter(|it| it.starts_with("dm-"));
    Value::list(mapped.map(|it| Value::from(word(host, format!("{dir}/holders/{it}/dm/name")).unwrap_or(it))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(human(0), "0.00 Bytes");
        assert_eq!(human(536_870_912 * 512), "256.00 GB");
        assert_eq!(human(1536), "1.50 KB");
    }
}
