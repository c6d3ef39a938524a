//! What could make a snapshot of the root file system.

use hostler_change::Program;
use hostler_module_api::Inspect;
use hostler_probes::{mounts, program};
use hostler_updates::SnapshotProvider;

/// Least free part of the root volume's size that its volume group must have for a snapshot: a twentieth.
const FREE_PART: u64 = 20;

/// btrfs if `/` is one and its tools are there; LVM if `/` is a logical volume in a thin pool, or with room for a
/// snapshot in its group.
pub fn provider(host: &dyn Inspect) -> Option<SnapshotProvider> {
    // What is mounted last at `/` is what one sees.
    let root = mounts(host).into_iter().rev().find(|it| it.path == "/")?;
    if root.fstype == "btrfs" {
        return program(host, "btrfs").map(|_| SnapshotProvider::Btrfs);
    }
    if !root.device.starts_with("/dev/") || program(host, "lvs").is_none() {
        return None;
    }
    let mut question = Program::new([
        "lvs",
        "--noheadings",
        "--nosuffix",
        "--units",
        "b",
        "--separator",
        ":",
        "-o",
        "lv_size,pool_lv,vg_free",
        &root.device,
    ]);
    question.timeout_s = Some(30);
    let output = host
        .look(&question)
        .ok()
        .filter(hostler_change::CommandOutput::success)?;
    let text = output.stdout_text();
    let mut fields = text.trim().split(':');
    let size: u64 = fields.next()?.trim().parse().ok()?;
    let pool = fields.next()?.trim();
    let free: u64 = fields.next()?.trim().parse().ok()?;
    (!pool.is_empty() || free >= size / FREE_PART).then_some(SnapshotProvider::Lvm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    fn host(mounts: &str) -> FakeHost {
        FakeHost::bare()
            .file("/proc/mounts", mounts)
            .file("/usr/bin/lvs", "")
            .attrs("/usr/bin/lvs", 0, 0, 0o755)
            .file("/usr/bin/btrfs", "")
            .attrs("/usr/bin/btrfs", 0, 0, 0o755)
    }

    #[test]
    fn who_can() {
        let lvs = "lvs --noheadings --nosuffix --units b --separator : -o lv_size,pool_lv,vg_free /dev/mapper/vg-root";
        let lvm = host("/dev/mapper/vg-root / ext4 rw 0 0\n");
        assert_eq!(provider(&lvm), None);
        let thin = lvm.clone().answers(lvs, 0, "  10737418240:pool:0\n");
        assert_eq!(provider(&thin), Some(SnapshotProvider::Lvm));
        let full = lvm.clone().answers(lvs, 0, "  10737418240::0\n");
        assert_eq!(provider(&full), None);
        let roomy = lvm.answers(lvs, 0, "  10737418240::5368709120\n");
        assert_eq!(provider(&roomy), Some(SnapshotProvider::Lvm));
        assert_eq!(
            provider(&host("/dev/sda1 / btrfs rw 0 0\n")),
            Some(SnapshotProvider::Btrfs)
        );
        assert_eq!(provider(&host("/dev/sda1 / ext4 rw 0 0\n")), None);
    }
}
