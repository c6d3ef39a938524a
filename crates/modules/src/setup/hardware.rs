//! Processors, memory, firmware, mounts, time since start.

use hostler_module_api::prelude::*;
use hostler_probes::{count_list, text, word};

/// Names of the chassis types of DMI (DSP0134, 7.4.1), as Ansible spells them; the number is the index.
const FORM_FACTORS: &[&str] = &[
    "Unknown", "Other", "Unknown", "Desktop", "Low Profile Desktop", "Pizza Box", "Mini Tower", "Tower", "Portable",
    "Laptop", "Notebook", "Hand Held", "Docking Station", "All In One", "Sub Notebook", "Space-saving", "Lunch Box",
    "Main Server Chassis", "Expansion Chassis", "Sub Chassis", "Bus Expansion Chassis", "Peripheral Chassis",
    "RAID Chassis", "Rack Mount Chassis", "Sealed-case PC", "Multi-system", "CompactPCI", "AdvancedTCA", "Blade",
    "Blade Enclosure", "Tablet", "Convertible", "Detachable", "IoT Gateway", "Embedded PC", "Mini PC", "Stick PC",
];

/// Fact and file of `/sys/devices/virtual/dmi/id`.
const DMI: &[(&str, &str)] = &[
    ("bios_date", "bios_date"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("form_factor", "chassis_type"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("system_vendor", "sys_vendor"),
];

pub(super) fn facts(host: &dyn Inspect, timeout_s: u64, facts: &mut Map) {
    processors(host, facts);
    memory(host, facts);
    dmi(host, facts);
    if let Some(uptime) = word(host, "/proc/uptime") {
        let seconds = uptime.split(['.', ' ']).next().and_then(|it| it.parse::<i64>().ok());
        facts.insert("uptime_seconds", seconds);
    }
    facts.insert("lvm", lvm(host));
    facts.insert("mounts", mounts(host, timeout_s));
}

fn processors(host: &dyn Inspect, facts: &mut Map) {
    let Some(cpuinfo) = text(host, "/proc/cpuinfo") else { return };
    let arch = std::env::consts::ARCH;
    let by_processor = arch.starts_with("arm") || arch.starts_with("aarch") || arch.starts_with("powerpc");
    let cpus = hostler_probes::parse_cpuinfo(&cpuinfo, by_processor);
    let status = text(host, "/proc/self/status").unwrap_or_default();
    let allowed = status.lines().find_map(|it| it.strip_prefix("Cpus_allowed_list:")).map_or(0, count_list);
    facts.insert("processor", cpus.processor);
    facts.insert("processor_count", cpus.count);
    facts.insert("processor_cores", cpus.cores);
    facts.insert("processor_threads_per_core", cpus.threads_per_core);
    facts.insert("processor_vcpus", cpus.vcpus);
    facts.insert("processor_nproc", if allowed > 0 { allowed } else { cpus.nproc });
    if let Some(flags) = cpus.flags {
        facts.insert("flags", flags);
    }
}

fn memory(host: &dyn Inspect, facts: &mut Map) {
    let Some(meminfo) = text(host, "/proc/meminfo") else { return };
    let it = hostler_probes::parse_meminfo(&meminfo);
    facts.insert("memtotal_mb", it.total);
    facts.insert("memfree_mb", it.free);
    facts.insert("swaptotal_mb", it.swap_total);
    facts.insert("swapfree_mb", it.swap_free);
    let no_cache = it.cached + it.free + it.buffers;
    let real = Map::from_iter([("total", it.total), ("used", it.total - it.free), ("free", it.free)]);
    let nocache = Map::from_iter([("free", no_cache), ("used", it.total - no_cache)]);
    let swap = Map::from_iter([
        ("total", it.swap_total),
        ("free", it.swap_free),
        ("used", it.swap_total - it.swap_free),
        ("cached", it.swap_cached),
    ]);
    facts.insert("memory_mb", Map::from_iter([("real", real), ("nocache", nocache), ("swap", swap)]));
}

fn dmi(host: &dyn Inspect, facts: &mut Map) {
    for (fact, file) in DMI {
        let value = word(host, format!("/sys/devices/virtual/dmi/id/{file}"));
        let value = match value {
            None => "NA".to_owned(),
            Some(number) if *fact == "form_factor" => {
                let name = number.parse::<usize>().ok().and_then(|it| FORM_FACTORS.get(it));
                name.map_or_else(|| format!("unknown ({number})"), |it| (*it).to_owned())
            }
            Some(value) => value,
        };
        facts.insert(*fact, value);
    }
}

fn mounts(host: &dyn Inspect, timeout_s: u64) -> Value {
    let uuids = hostler_probes::disk_links(host, "by-uuid");
    let shown = hostler_probes::mounts(host).into_iter().map(|mount| {
        let device = mount.device.rsplit('/').next().unwrap_or_default();
        // A mapped device's link points to its kernel name.
        let target = host.read_link(std::path::Path::new(&mount.device)).ok().flatten();
        let kernel = target.and_then(|it| Some(it.file_name()?.to_string_lossy().into_owned()));
        let uuid = uuids.iter().find(|(name, _)| name == device || Some(name) == kernel.as_ref());
        let mut map = Map::new();
        if let Some(space) = mount.space(host, timeout_s) {
            map.insert("size_total", space.fragment_size.saturating_mul(space.blocks));
            map.insert("size_available", space.fragment_size.saturating_mul(space.blocks_available));
            map.insert("block_size", space.block_size);
            map.insert("block_total", space.blocks);
            map.insert("block_available", space.blocks_available);
            map.insert("block_used", space.blocks.saturating_sub(space.blocks_available));
            map.insert("inode_total", space.inodes);
            map.insert("inode_available", space.inodes_available);
            map.insert("inode_used", space.inodes.saturating_sub(space.inodes_available));
        } else if mount.is_remote() {
            map.insert("note", "Could not get extra information due to timeout");
        }
        map.insert("mount", mount.path);
        map.insert("device", mount.device);
        map.insert("fstype", mount.fstype);
        map.insert("options", mount.options);
        map.insert("dump", mount.dump);
        map.insert("passno", mount.passno);
        map.insert("uuid", uuid.map_or("N/A", |it| it.1.as_str()));
        Value::from(map)
    });
    Value::list(shown)
}

/// Volume groups and volumes, if the host has any mapped device.
fn lvm(host: &dyn Inspect) -> Value {
    if hostler_probes::program(host, "vgs").is_none() || host.identity().uid != 0 {
        return Value::str("N/A");
    }
    let (mut vgs, mut lvs, mut pvs) = (Map::new(), Map::new(), Map::new());
    if hostler_probes::names(host, "/sys/block").iter().any(|it| it.starts_with("dm-")) {
        let rows = |program: &str| {
            let program = [program, "--noheadings", "--nosuffix", "--units", "g", "--separator", ","];
            let output = host.look(&Program::new(program)).ok().filter(CommandOutput::success);
            let text = output.map(|it| it.stdout_text()).unwrap_or_default();
            text.lines().map(|it| it.trim().split(',').map(str::to_owned).collect()).collect::<Vec<Vec<String>>>()
        };
        for row in rows("vgs") {
            if let [name, pv, lv, .., size, free] = &row[..] {
                vgs.insert(name, Map::from_iter([("size_g", size), ("free_g", free), ("num_lvs", lv), ("num_pvs", pv)]));
            }
        }
        for row in rows("lvs") {
            if let [name, vg, _, size, ..] = &row[..] {
                lvs.insert(name, Map::from_iter([("size_g", size), ("vg", vg)]));
            }
        }
        for row in rows("pvs") {
            if let [name, vg, _, _, size, free, ..] = &row[..] {
                pvs.insert(name, Map::from_iter([("size_g", size), ("free_g", free), ("vg", vg)]));
            }
        }
    }
    Value::from(Map::from_iter([("lvs", lvs), ("vgs", vgs), ("pvs", pvs)]))
}
