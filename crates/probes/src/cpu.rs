//! Processors, from `/proc/cpuinfo`.

use std::collections::BTreeSet;

/// What `/proc/cpuinfo` says, in the shape of Ansible's `processor*` facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpus {
    /// Number, vendor and model of each logical processor, flat.
    pub processor: Vec<String>,
    /// Sockets.
    pub count: u64,
    /// Cores of a socket.
    pub cores: u64,
    /// Threads of a core.
    pub threads_per_core: u64,
    /// Sockets x cores x threads.
    pub vcpus: u64,
    /// Logical processors.
    pub nproc: u64,
    /// Feature flags of the last processor.
    pub flags: Option<Vec<String>>,
}

/// Reads `/proc/cpuinfo`. `by_processor` says that the architecture (ARM, POWER) names no vendor and model for each.
pub fn parse_cpuinfo(text: &str, by_processor: bool) -> Cpus {
    let mut cpus = Cpus::default();
    let (mut named, mut vendors, mut models) = (0, 0, 0);
    let mut sockets = BTreeSet::new();
    let (mut cores, mut siblings) = (None, None);
    for line in text.lines() {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let (key, value) = (key.trim(), value.trim());
        match key {
            "flags" => cpus.flags = Some(value.split_whitespace().map(str::to_owned).collect()),
            "model name" | "Processor" | "vendor_id" | "cpu" | "Vendor" | "processor" => {
                cpus.processor.push(value.to_owned());
                named += 1;
                vendors += u64::from(key == "vendor_id");
                models += u64::from(key == "model name");
                cpus.nproc += u64::from(key == "processor");
            }
            "physical id" => drop(sockets.insert(value.to_owned())),
            "cpu cores" => cores = cores.or_else(|| value.parse().ok()),
            "siblings" => siblings = siblings.or_else(|| value.parse().ok()),
            _ => {}
        }
    }
    if vendors > 0 && vendors == models {
        named = vendors;
    }
    if by_processor {
        named = cpus.nproc;
    }
    cpus.count = if sockets.is_empty() {
        named
    } else {
        sockets.len() as u64
    };
    cpus.cores = cores
        .filter(|it| *it > 0 && !sockets.is_empty())
        .unwrap_or(1);
    cpus.threads_per_core = (siblings.unwrap_or(1) / cpus.cores).max(1);
    cpus.vcpus = cpus.threads_per_core * cpus.count * cpus.cores;
    cpus
}

/// Counts the processors of a list such as `0-3,8`, as `/proc/self/status` has in `Cpus_allowed_list`.
pub fn count_list(list: &str) -> u64 {
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        Some(last.saturating_sub(first).saturating_add(1))
    };
    list.split(',')
        .filter_map(count)
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sockets_of_two_cores_with_two_threads() {
        let one = |number: u32, socket: u32| {
            format!(
                "processor\t: {number}\nvendor_id\t: GenuineIntel\nmodel name\t: X\nphysical id\t: {socket}\nsiblings\t: 4\ncore id\t\t: 0\ncpu cores\t: 2\nflags\t\t: fpu vme\n\n"
            )
        };
        let text: String = (0..8).map(|it| one(it, it / 4)).collect();
        let cpus = parse_cpuinfo(&text, false);
        assert_eq!(
            (
                cpus.count,
                cpus.cores,
                cpus.threads_per_core,
                cpus.vcpus,
                cpus.nproc
            ),
            (2, 2, 2, 8, 8)
        );
        assert_eq!(cpus.processor[..3], ["0", "GenuineIntel", "X"]);
        assert_eq!(cpus.flags.unwrap(), ["fpu", "vme"]);
    }

    #[test]
    fn arm_names_only_processors() {
        let cpus = parse_cpuinfo("processor\t: 0\nBogoMIPS : 1\n\nprocessor\t: 1\n", true);
        assert_eq!(
            (cpus.count, cpus.cores, cpus.vcpus, cpus.nproc),
            (2, 1, 2, 2)
        );
        assert_eq!(parse_cpuinfo("", false).vcpus, 0);
    }

    #[test]
    fn lists() {
        assert_eq!(count_list("0-3,8"), 5);
        assert_eq!(count_list("\t0-18446744073709551615"), u64::MAX);
        assert_eq!(count_list("x"), 0);
    }
}
