//! Typed read-only observers of a host, with pure parsers.
//!
//! Each file is one thing to look at: types, a parser of text (tested on recorded text), and a function that asks a
//! [`hostler_module_api::Inspect`] for that text. What is absent is `None` or empty, not an error: hosts differ.

mod apt;
mod cpu;
mod declared;
mod distribution;
mod dpkg;
mod manager;
mod memory;
mod mounts;
mod network;
mod resolver;
mod shadow;
mod systemd;
mod text;
mod unit_file;
mod virt;

pub use apt::{
    LockHolder, Space, Step, Transaction, lists_refreshed_s, lock_holder, parse_simulation,
    parse_space, read_only_options,
};
pub use cpu::{Cpus, count_list, parse_cpuinfo};
pub use declared::{
    crontab, declared_node_name, declared_unit, hostnamectl, init_script_runs, node_name, sysctl,
};
pub use distribution::{Distribution, OsRelease, distribution, os_release, parse_os_release};
pub use dpkg::{
    AUTO, Dpkg, Package, PackageState, Pending, auto_installed, compare_versions, dpkg,
    dpkg_interrupted, marked, source_package,
};
pub use manager::{package_manager, service_manager, systemd_is_running};
pub use memory::{Memory, parse_meminfo};
pub use mounts::{Mount, disk_links, mounts, parse_bind_mounts, parse_mounts};
pub use network::{DefaultRoute, Ipv4, Ipv6, Network, network};
pub use resolver::{Resolver, full_name, full_name_in_hosts, parse_resolv_conf};
pub use shadow::{Shadow, shadow};
pub use systemd::{
    Scope, Unit, enabling_links, masking_link, parse_show, starts_at_boot, systemctl, unit,
};
pub use text::{exists, names, program, text, word};
pub use unit_file::unit_name;
pub use virt::{Virtualization, virtualization};
