//! Files and programs' output that facts are read from: nothing that a host holds makes its agent fail.
#![no_main]

use std::cmp::Ordering;

use hostler_probes as probes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    probes::parse_cpuinfo(text, true);
    probes::parse_cpuinfo(text, false);
    probes::count_list(text);
    probes::parse_meminfo(text);
    probes::parse_mounts(text);
    probes::parse_bind_mounts(text);
    probes::parse_os_release(text);
    probes::parse_resolv_conf(text);
    probes::parse_show(text);
    probes::parse_simulation(text);
    probes::parse_space(text, |_| true);
    let dpkg = probes::Dpkg::parse(text);
    dpkg.names().count();
    dpkg.pending().count();
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    probes::full_name_in_hosts(rest, first);
    probes::Shadow::find(rest, first);
    probes::unit_name(first);
    let there = probes::compare_versions(first, rest);
    assert_eq!(there, probes::compare_versions(rest, first).reverse());
    assert_eq!(probes::compare_versions(first, first), Ordering::Equal);
});
