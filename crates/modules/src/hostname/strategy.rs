//! Where each family of Linux keeps the host's name.

use std::path::Path;

use hostler_module_api::prelude::*;

use super::Use;

/// How the name is kept and set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    Systemd,
    /// `/etc/hostname`, read at the next start.
    Debian,
    /// `/etc/hostname`, which `hostname -F` reads.
    Alpine,
    /// A line of `/etc/sysconfig/network`.
    RedHat,
    /// A line of `/etc/conf.d/hostname`.
    OpenRc,
    /// `/etc/HOSTNAME`.
    Sles,
}

/// There while systemd runs the host; see `sd_booted(3)`.
const SYSTEMD: &str = "/run/systemd/system";

impl Strategy {
    /// The strategy that was asked for, or the one of the host.
    pub(super) fn find(wanted: Option<Use>, host: &dyn Inspect) -> Result<Self, ModuleError> {
        let unsupported = |name: &str| {
            let msg = format!("hostname: use={name} is not supported, targets run Linux");
            Err(ModuleError::new(msg))
        };
        Ok(match wanted {
            None => return Self::of_host(host),
            Some(Use::Systemd | Use::Debian) => Strategy::Systemd,
            Some(Use::Alpine) => Strategy::Alpine,
            Some(Use::Openrc) => Strategy::OpenRc,
            Some(Use::Redhat) => Strategy::RedHat,
            Some(Use::Sles) => Strategy::Sles,
            Some(Use::Freebsd) => return unsupported("freebsd"),
            Some(Use::Generic) => return unsupported("generic"),
            Some(Use::Macos) => return unsupported("macos"),
            Some(Use::Macosx) => return unsupported("macosx"),
            Some(Use::Darwin) => return unsupported("darwin"),
            Some(Use::Openbsd) => return unsupported("openbsd"),
            Some(Use::Solaris) => return unsupported("solaris"),
        })
    }

    fn of_host(host: &dyn Inspect) -> Result<Self, ModuleError> {
        if host.stat(Path::new(SYSTEMD), Follow::Yes)?.is_some() {
            return Ok(Strategy::Systemd);
        }
        let release = host.read(Path::new("/etc/os-release"), 1 << 20)?.unwrap_or_default();
        let release = String::from_utf8_lossy(&release).into_owned();
        let value = |name: &str| {
            let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
        };
        let id = value("ID");
        Ok(match id.as_str() {
            "debian" | "ubuntu" | "linuxmint" | "kali" | "devuan" | "raspbian" | "pop" | "neon"
            | "parrot" | "deepin" | "uos" | "kylin" | "linaro" | "void" | "cumulus-linux" => {
                Strategy::Debian
            }
            "rhel" | "centos" | "rocky" | "almalinux" | "fedora" | "ol" | "amzn" | "anolis"
            | "alinux" | "cloudlinux" | "scientific" | "virtuozzo" | "altlinux" | "eurolinux" => {
                Strategy::RedHat
            }
            "alpine" => Strategy::Alpine,
            "gentoo" => Strategy::OpenRc,
            "sles" if value("VERSION_ID").parse().is_ok_and(|it: f32| (10.0..=12.9).contains(&it)) => {
                Strategy::Sles
            }
            id => {
                let msg = format!("hostname module cannot be used on platform Linux ({id})");
                return Err(ModuleError::new(msg).hint("say how with `use`"));
            }
        })
    }

    /// The file that keeps the name.
    pub(super) fn file(self) -> Option<&'static str> {
        match self {
            Strategy::Systemd => None,
            Strategy::Debian | Strategy::Alpine => Some("/etc/hostname"),
            Strategy::RedHat => Some("/etc/sysconfig/network"),
            Strategy::OpenRc => Some("/etc/conf.d/hostname"),
            Strategy::Sles => Some("/etc/HOSTNAME"),
        }
    }

    /// What a line that holds the name begins with, in files that hold more.
    fn key(self) -> Option<&'static str> {
        match self {
            Strategy::RedHat => Some("HOSTNAME="),
            Strategy::OpenRc => Some("hostname="),
            Strategy::Systemd | Strategy::Debian | Strategy::Alpine | Strategy::Sles => None,
        }
    }

    /// The name in the file's text; empty if it has none.
    pub(super) fn name_in(self, text: &str) -> String {
        let Some(key) = self.key() else { return text.trim().to_owned() };
        let value = text.lines().find_map(|line| line.trim().strip_prefix(key));
        value.unwrap_or_default().trim().trim_matches('"').to_owned()
    }

    /// The file's text with another name.
    pub(super) fn with_name(self, text: &str, name: &str) -> String {
        let Some(key) = self.key() else { return format!("{name}\n") };
        let line = match self {
            Strategy::OpenRc => format!("{key}\"{name}\"\n"),
            _ => format!("{key}{name}\n"),
        };
        let mut out = String::new();
        let mut found = false;
        for old in text.split_inclusive('\n') {
            let is_it = old.trim_start().starts_with(key);
            found |= is_it;
            out.push_str(if is_it { &line } else { old });
        }
        if !found {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            out.push_str(&line);
        }
        out
    }
}
