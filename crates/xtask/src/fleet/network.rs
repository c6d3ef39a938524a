//! Addresses, the bridge and the links of a fleet, and the kernel limits that hundreds of hosts run into.
//!
//! Every fleet claims a slot: one of 64 private `/16` ranges, `10.64` to `10.127`, and the interface names that go with
//! it. So several fleets (and several checkouts) run at the same time without meeting.

use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::host::{Host, Set};
use crate::process::{Context, Failure, Result, run, wait_for};

/// One claimed address range: the `N` of `10.N.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u8);

const CLAIMS: &str = "/run/hostler-fleet";
const FIRST: u8 = 64;
const LAST: u8 = 127;

impl Slot {
    /// The bridge, which is also the prefix of the fleet's interface names.
    pub(super) fn bridge(self) -> String {
        format!("hf{}", self.0)
    }

    /// The controller's own address on the bridge, and the hosts' default gateway.
    pub(super) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.0, 0, 1)
    }

    /// The address of host `index` (from 1) of `set`: the lower half of the range for a, the upper for b.
    pub(super) fn address(self, set: Set, index: usize) -> Ipv4Addr {
        let half = match set {
            Set::A => 1,
            Set::B => 129,
        };
        let number = u8::try_from(index % 200).unwrap_or(0) + 10;
        Ipv4Addr::new(
            10,
            self.0,
            half + u8::try_from(index / 200).unwrap_or(0),
            number,
        )
    }

    /// The machine's end of the link to the host called `name`.
    pub(super) fn link(self, name: &str) -> String {
        format!("{}{name}", self.bridge())
    }

    /// The control group of a host with systemd, relative to each hierarchy's root.
    pub(super) fn control_group(self, name: &str) -> String {
        format!("hostler-fleet/{}/{name}", self.0)
    }

    fn claim(self) -> PathBuf {
        Path::new(CLAIMS).join(self.0.to_string())
    }
}

/// The slot that the fleet in `directory` holds, if any.
pub(super) fn slot_of(directory: &Path) -> Option<Slot> {
    let number = fs::read_to_string(directory.join("slot"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    (FIRST..=LAST).contains(&number).then_some(Slot(number))
}

/// The slot of the fleet in `directory`: the one that it holds or the first free one. Slots of fleets whose state
/// directory has been deleted under them are swept on the way.
pub(super) fn claim_slot(directory: &Path) -> Result<Slot> {
    fs::create_dir_all(CLAIMS).context(format!("create {CLAIMS}"))?;
    let lock = File::create(Path::new(CLAIMS).join("lock"))
        .context("create the lock of address ranges")?;
    lock.lock().context("lock the address ranges")?;
    let own = directory.to_string_lossy().into_owned();
    if let Some(slot) = slot_of(directory)
        && fs::read_to_string(slot.claim()).is_ok_and(|claimant| claimant == own)
    {
        return Ok(slot);
    }
    let claimed = sweep()?;
    let taken = addresses_in_use()?;
    for slot in (FIRST..=LAST).map(Slot) {
        if claimed.contains(&slot.0) || taken.contains(&format!(" 10.{}.", slot.0)) {
            continue;
        }
        fs::write(slot.claim(), &own).context("claim an address range")?;
        fs::write(directory.join("slot"), slot.0.to_string()).context("note the address range")?;
        return Ok(slot);
    }
    Err(Failure::new(format!(
        "all address ranges are claimed, see {CLAIMS}; take a fleet down first"
    )))
}

/// Stops what is left of fleets whose state directory has been deleted under them, releases their slots, and returns
/// the numbers of the slots that are rightly held. The caller holds the lock.
fn sweep() -> Result<Vec<u8>> {
    let mut held = Vec::new();
    for slot in (FIRST..=LAST).map(Slot) {
        let Ok(claimant) = fs::read_to_string(slot.claim()) else {
            continue;
        };
        if slot_of(Path::new(&claimant)) == Some(slot) {
            held.push(slot.0);
            continue;
        }
        super::supervisor::stop_all(Path::new(&claimant))?;
        remove_links(slot)?;
        fs::remove_file(slot.claim()).context("release an address range")?;
    }
    Ok(held)
}

/// Gives the fleet's slot back, if it holds one.
pub(super) fn release_slot(directory: &Path) -> Result<()> {
    let Some(slot) = slot_of(directory) else {
        return Ok(());
    };
    let own = directory.to_string_lossy();
    if fs::read_to_string(slot.claim()).is_ok_and(|claimant| claimant == own) {
        fs::remove_file(slot.claim()).context("release the address range")?;
    }
    Ok(())
}

/// This machine's addresses and routes, as `ip` prints them.
fn addresses_in_use() -> Result<String> {
    let addresses = run(Command::new("ip").args(["-4", "-oneline", "address"]))?;
    let routes = run(Command::new("ip").args(["-4", "route", "show", "table", "all"]))?;
    let text = [addresses.stdout, routes.stdout].concat();
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .map(|line| format!(" {line}\n"))
        .collect())
}

/// Makes the fleet's bridge with the gateway address, unless it is there.
pub(super) fn make_bridge(slot: Slot) -> Result<()> {
    let bridge = slot.bridge();
    if !interfaces()?.contains(&bridge) {
        // Without snooping and IPv6 of its own the bridge does not copy 200 hosts' multicast chatter to 200 hosts.
        batch(&format!("link add {bridge} type bridge mcast_snooping 0\n"))?;
    }
    let _ = fs::write(
        format!("/proc/sys/net/ipv6/conf/{bridge}/disable_ipv6"),
        "1",
    );
    batch(&format!(
        "address replace {}/16 dev {bridge}\nlink set {bridge} up\n",
        slot.gateway()
    ))
}

/// Joins hosts to the bridge: for each (name, process in the host's network namespace) one pair of interfaces.
pub(super) fn connect(slot: Slot, hosts: &[(&str, u32)]) -> Result<()> {
    let bridge = slot.bridge();
    let wanted: Vec<String> = hosts.iter().map(|(name, _)| slot.link(name)).collect();
    // A host that was killed leaves its link for as long as the kernel takes to clear its namespace.
    delete_links(|name| wanted.iter().any(|it| it == name))?;
    let commands: String = hosts
        .iter()
        .map(|(name, process)| {
            let link = slot.link(name);
            format!(
                "link add {link} type veth peer name eth0 netns {process}\n\
                 link set {link} master {bridge} addrgenmode none up\n"
            )
        })
        .collect();
    batch(&commands)
}

/// Deletes interfaces by name and waits until they are gone.
fn delete_links(chosen: impl Fn(&str) -> bool) -> Result<()> {
    let links = || -> Vec<String> {
        let all = interfaces().unwrap_or_default();
        all.into_iter().filter(|name| chosen(name)).collect()
    };
    for link in links() {
        let _ = Command::new("ip")
            .args(["link", "delete", &link])
            .stderr(Stdio::null())
            .status();
    }
    wait_for(Duration::from_secs(20), || links().is_empty().then_some(())).context(format!(
        "interfaces are still there after 20 s: {}",
        links().join(" ")
    ))
}

/// Removes every interface (and control group) of the slot. The kernel removes a stopped host's link itself, a little later than the host.
pub(super) fn remove_links(slot: Slot) -> Result<()> {
    remove_control_groups(slot, "");
    let bridge = slot.bridge();
    delete_links(|name| name.starts_with(&bridge) && name != bridge)?;
    if interfaces()?.contains(&bridge) {
        run(Command::new("ip").args(["link", "delete", &bridge]))?;
    }
    Ok(())
}

/// Removes the control groups that hosts with systemd have left: one host's, or with an empty `name` the whole slot's.
/// They hold no process any more; one that cannot be removed does no harm.
pub(super) fn remove_control_groups(slot: Slot, name: &str) {
    fn remove(directory: &Path) {
        let Ok(listing) = fs::read_dir(directory) else {
            return;
        };
        for entry in listing.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
        let _ = fs::remove_dir(directory);
    }
    for hierarchy in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup/unified",
    ] {
        let group = Path::new(hierarchy).join(slot.control_group(name));
        remove(&group);
        for parent in group.ancestors().skip(1).take(2) {
            let _ = fs::remove_dir(parent);
        }
    }
}

/// What has gone over some hosts' links, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// Bytes, Ethernet headers included.
    pub bytes: u64,
    /// Packets (large ones before segmentation).
    pub packets: u64,
}

pub(super) fn traffic(slot: Slot, hosts: &[Host]) -> Result<Traffic> {
    let mut sum = Traffic {
        bytes: 0,
        packets: 0,
    };
    for host in hosts {
        let statistics = Path::new("/sys/class/net")
            .join(slot.link(&host.name))
            .join("statistics");
        let read = |name: &str| -> Result<u64> {
            let text = fs::read_to_string(statistics.join(name))
                .context(format!("{}: {name}", host.name))?;
            text.trim()
                .parse()
                .context(format!("{}: {name}", host.name))
        };
        sum.bytes += read("rx_bytes")? + read("tx_bytes")?;
        sum.packets += read("rx_packets")? + read("tx_packets")?;
    }
    Ok(sum)
}

fn interfaces() -> Result<Vec<String>> {
    let listing = fs::read_dir("/sys/class/net").context("list network interfaces")?;
    Ok(listing
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect())
}

/// Runs many `ip` commands in one process.
fn batch(commands: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start ip")?;
    // A broken pipe means that ip has given up: its own words say why.
    let written = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(commands.as_bytes()));
    let output = child.wait_with_output().context("wait for ip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("ip -batch: {}", said.trim())));
    }
    written.transpose().context("write to ip")?;
    Ok(())
}

/// Raises the kernel limits that hundreds of hosts with systemd and a full neighbour table exceed; never lowers one.
pub(super) fn raise_limits() {
    let limits = [
        ("fs/inotify/max_user_instances", 8192),
        ("fs/inotify/max_user_watches", 524_288),
        ("kernel/pid_max", 131_072),
        ("net/ipv4/neigh/default/gc_thresh1", 2048),
        ("net/ipv4/neigh/default/gc_thresh2", 4096),
        ("net/ipv4/neigh/default/gc_thresh3", 8192),
        ("kernel/pty/max", 8192),
    ];
    for (name, wanted) in limits {
        let path = format!("/proc/sys/{name}");
        let current = fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        if current.is_some_and(|current| current < wanted) {
            // A kernel that refuses runs fewer hosts, and those tell what they miss.
            let _ = fs::write(&path, wanted.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_host_of_both_sets_has_an_address_of_its_own() {
        let slot = Slot(77);
        let all: HashSet<Ipv4Addr> = [Set::A, Set::B]
            .into_iter()
            .flat_map(|set| {
                (1..=super::super::MOST_HOSTS).map(move |index| slot.address(set, index))
            })
            .collect();
        assert_eq!(all.len(), 2 * super::super::MOST_HOSTS);
        assert!(!all.contains(&slot.gateway()));
        assert!(
            all.iter()
                .all(|address| address.octets()[..2] == [10, 77] && address.octets()[3] >= 10)
        );
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        assert!(Slot(127).link("a500").len() <= 15);
    }
}
