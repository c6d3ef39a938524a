//! Ways to break a host, and the way back.

use std::fs;
use std::path::{Path, PathBuf};

use super::host::{Host, Init};
use super::{Fleet, keys, network, supervisor};
use crate::process::{Context, Failure, Result};

/// What is wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Nothing listens on port 22: connections are refused.
    Refuse,
    /// The connection is accepted and then nothing ever comes, not even the SSH banner.
    Hang,
    /// The host shows another host key than `known_hosts` has.
    WrongKey,
    /// Not one byte is free on the host's disk. What the host writes while the fault lasts is lost when it is healed.
    FullDisk,
    /// The host's system is mounted read-only.
    ReadOnly,
    /// No program can be started from /tmp, /var/tmp and root's cache.
    Noexec,
    /// Its next reboot takes 20 seconds longer; it does not answer meanwhile. For hosts with systemd, as the next two.
    LateBoot,
    /// After its next reboot it shows another host key than `known_hosts` has.
    OtherKeyBoot,
    /// It does not come back from its next reboot.
    NoBoot,
    /// Nothing any more: whatever was broken is repaired.
    Heal,
}

const NOEXEC: &str = "for d in /tmp /var/tmp /root/.cache; do mkdir -p $d; mount -t tmpfs -o noexec,mode=1777 hostler-fault $d; done; \
                      chmod 700 /root/.cache";
const MOUNTS_BACK: &str = "mount -o remount,rw /; \
                           for d in $(sed -n 's/^hostler-fault \\([^ ]*\\) .*/\\1/p' /proc/mounts); do umount $d; done";
const STOP_SSHD: &str = "[ ! -e /run/sshd.pid ] || { kill -CONT $(cat /run/sshd.pid); kill $(cat /run/sshd.pid); } || true; \
                         while [ -e /run/sshd.pid ]; do sleep 0.02; done";

impl Fleet {
    /// Breaks `host`, or repairs it; returns when the change can be seen from outside.
    pub fn fault(&self, host: &Host, fault: Fault) -> Result<()> {
        match fault {
            Fault::Refuse => stop_sshd(host),
            Fault::Hang => host.shell("kill -STOP $(cat /run/sshd.pid)").map(drop),
            Fault::WrongKey => {
                install_key(host, &make_other_key(host)?)?;
                stop_sshd(host)?;
                start_sshd(host)
            }
            Fault::FullDisk => {
                fs::write(host.directory.join("full-disk"), "").context("note the fault")?;
                self.restart(host)
            }
            Fault::ReadOnly => host.shell("mount -o remount,ro /").map(drop),
            Fault::Noexec => host.shell(NOEXEC).map(drop),
            Fault::LateBoot => at_next_boot(host, "late"),
            Fault::OtherKeyBoot => {
                make_other_key(host)?;
                at_next_boot(host, "other-key")
            }
            Fault::NoBoot => at_next_boot(host, "never"),
            Fault::Heal => self.heal(host),
        }
    }

    fn heal(&self, host: &Host) -> Result<()> {
        let disk_was_full = fs::remove_file(host.directory.join("full-disk")).is_ok();
        let _ = fs::remove_file(next_boot(host));
        // A host that did not come back from a reboot has no process 1.
        if disk_was_full || supervisor::leader(host)?.is_none() {
            self.restart(host)?;
        }
        // It may be in the middle of a reboot.
        host.started();
        host.shell(MOUNTS_BACK)?;
        stop_sshd(host)?;
        install_key(host, &keys::host_key(&self.store, &host.name))?;
        start_sshd(host)
    }

    fn restart(&self, host: &Host) -> Result<()> {
        let slot = network::slot_of(&self.directory).context("the fleet has no address range")?;
        supervisor::stop_host(host)?;
        supervisor::restart(&self.store, slot, host)?;
        host.wait_until_ready()
    }
}

/// What `host-init.sh` reads when the host wants to reboot.
fn next_boot(host: &Host) -> PathBuf {
    host.directory.join("next-boot")
}

fn at_next_boot(host: &Host, what: &str) -> Result<()> {
    if host.init() != Init::Systemd {
        return Err(Failure::new(format!(
            "{} has no systemd: it cannot be rebooted",
            host.name
        )));
    }
    fs::write(next_boot(host), what).context("note the fault")
}

fn make_other_key(host: &Host) -> Result<PathBuf> {
    let other = host.directory.join("other-key");
    for path in [other.clone(), other.with_extension("pub")] {
        let _ = fs::remove_file(path);
    }
    keys::generate(&other, "not the key in known_hosts")?;
    Ok(other)
}

fn stop_sshd(host: &Host) -> Result<()> {
    match host.init() {
        Init::Systemd => host
            .shell("systemctl kill --signal=CONT ssh; systemctl stop ssh")
            .map(drop),
        Init::Sshd => host.shell(STOP_SSHD).map(drop),
    }
}

fn start_sshd(host: &Host) -> Result<()> {
    match host.init() {
        Init::Systemd => host.shell("systemctl start ssh")?,
        Init::Sshd => host.shell("/usr/sbin/sshd")?,
    };
    host.wait_until_ready()
}

/// Puts a key pair in place through the host itself: an overlay must not be changed under a running host.
fn install_key(host: &Host, key: &Path) -> Result<()> {
    let private = fs::read_to_string(key).context("read a host key")?;
    let public = fs::read_to_string(key.with_extension("pub")).context("read a host key")?;
    let target = "/etc/ssh/ssh_host_ed25519_key";
    host.shell(&format!(
        "umask 077; cat >{target} <<'END'\n{private}END\ncat >{target}.pub <<'END'\n{public}END\nchmod 644 {target}.pub"
    ))
    .map(drop)
}
