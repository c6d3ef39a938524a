//! File systems that should be mounted again after a reboot, and default routes.

use std::collections::BTreeSet;
use std::path::Path;

use hostler_module_api::Inspect;
use hostler_probes::{Mount, parse_mounts, text};

/// What is mounted here comes and goes with users, containers and packages.
const PASSING: &[&str] = &[
    "/run",
    "/snap",
    "/media",
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/lxc",
    "/var/lib/lxd",
    "/var/lib/incus",
    "/var/lib/machines",
    "/var/snap",
];

/// `/srv ext4`. What the kernel makes itself and what lives in memory is left out, and what an automounter brings
/// when somebody asks for it.
pub(super) fn mounted(host: &dyn Inspect) -> BTreeSet<String> {
    let all = parse_mounts(&text(host, "/proc/mounts").unwrap_or_default());
    let on_demand: Vec<&str> = all
        .iter()
        .filter(|it| it.fstype == "autofs")
        .map(|it| it.path.as_str())
        .collect();
    let passes = |path: &str| {
        let below = |places: &[&str]| places.iter().any(|it| Path::new(path).starts_with(it));
        below(PASSING) || below(&on_demand)
    };
    all.iter()
        .filter(|it| lasts(it) && !passes(&it.path))
        .map(|it| format!("{} {}", it.path, it.fstype))
        .collect()
}

/// Does it hold files that last?
fn lasts(mount: &Mount) -> bool {
    let of_device = mount.device.starts_with('/') || mount.device.contains(":/");
    let named = [
        "zfs",
        "virtiofs",
        "9p",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
    ];
    let of_an_image = ["squashfs", "iso9660", "udf", "none"];
    (of_device || named.contains(&mount.fstype.as_str()))
        && !of_an_image.contains(&mount.fstype.as_str())
}

/// `default via 10.0.0.1 dev eth0`, of IPv4 and IPv6.
pub(super) fn default_routes(host: &dyn Inspect) -> BTreeSet<String> {
    let four = text(host, "/proc/net/route").unwrap_or_default();
    let six = text(host, "/proc/net/ipv6_route").unwrap_or_default();
    let four = four.lines().skip(1).filter_map(default_of_four);
    four.chain(six.lines().filter_map(default_of_six)).collect()
}

/// Flags of a route (`linux/route.h`): it is up; it refuses packets.
const UP: u32 = 1;
const REJECT: u32 = 0x200;

fn is_used(flags: u32) -> bool {
    flags & UP != 0 && flags & REJECT == 0
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask ...`, hexadecimal in the machine's byte order.
fn default_of_four(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let hex = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
    let (destination, gateway, mask) = (hex(1)?, hex(2)?, hex(7)?);
    if destination != 0 || mask != 0 || !is_used(hex(3)?) {
        return None;
    }
    let via = std::net::Ipv4Addr::from(gateway.to_ne_bytes());
    Some(shown(
        fields.first()?,
        (gateway != 0).then(|| via.to_string()),
    ))
}

/// `destination length source length gateway metric references use flags interface`, hexadecimal in network byte order.
fn default_of_six(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| u128::from_str_radix(fields.get(index)?, 16).ok();
    let (destination, length, gateway) = (number(0)?, number(1)?, number(4)?);
    let flags = u32::try_from(number(8)?).ok()?;
    let interface = fields.get(9).filter(|it| **it != "lo")?;
    if destination != 0 || length != 0 || !is_used(flags) {
        return None;
    }
    let via = std::net::Ipv6Addr::from(gateway);
    Some(shown(interface, (gateway != 0).then(|| via.to_string())))
}

fn shown(interface: &str, via: Option<String>) -> String {
    match via {
        Some(via) => format!("default via {via} dev {interface}"),
        None => format!("default dev {interface}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn only_what_lasts() {
        let host = FakeHost::bare().file(
            "/proc/mounts",
            "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 1\ntank/a /tank zfs rw 0 0\n/dev/loop3 /snap/core/1 squashfs ro 0 0\n\
             tmpfs /run tmpfs rw 0 0\n/dev/sdb1 /run/media/x ext4 rw 0 0\noverlay /var/lib/docker/o overlay rw 0 0\n\
             systemd-1 /mnt/nas autofs rw 0 0\nnas:/x /mnt/nas nfs4 rw 0 0\nnas:/y /srv/y nfs4 rw 0 0\n",
        );
        let found: Vec<String> = mounted(&host).into_iter().collect();
        assert_eq!(found, ["/ ext4", "/srv/y nfs4", "/tank zfs"]);
    }

    #[test]
    fn routes_of_both_families() {
        let host = FakeHost::bare()
            .file(
                "/proc/net/route",
                "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                 eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                 ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n\
                 eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                 *\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\nbroken\n",
            )
            .file(
                "/proc/net/ipv6_route",
                "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n\
                 00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n",
            );
        let found: Vec<String> = default_routes(&host).into_iter().collect();
        assert_eq!(
            found,
            [
                "default dev ppp0",
                "default via 10.0.0.1 dev eth0",
                "default via fe80::1 dev eth0"
            ]
        );
    }
}
