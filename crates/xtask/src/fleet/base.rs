//! The shared root under every host: a small Debian with what a managed server has anyway (sshd, sudo, cron) and with
//! Python, which only ansible-core on the twin hosts needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::process::{Context, Failure, Result, find_program, run, run_visibly};

/// The password that sudo asks of the user `opspw`.
pub const SUDO_PASSWORD: &str = "fleet-pw";

const SUITE: &str = "bookworm";
const PACKAGES: &str = "acl,ca-certificates,cron,dbus,iproute2,kmod,logrotate,openssh-server,procps,python3,python3-apt,\
                        sudo,systemd-sysv";
/// Raise it when [`configure`] changes, so that existing bases are made anew.
const REVISION: u32 = 1;

/// 200 logins arrive at once, and a test opens several sessions on one connection.
const SSHD_CONFIG: &str =
    "PermitRootLogin prohibit-password\nUseDNS no\nMaxStartups 400:30:800\nMaxSessions 100\n";

/// The Debian packages whose programs this tool runs and does not find.
pub fn missing_packages() -> Vec<&'static str> {
    let needed = [
        ("debootstrap", "debootstrap"),
        ("ip", "iproute2"),
        ("systemd-nspawn", "systemd-container"),
        ("sshd", "openssh-server"),
        ("ssh-keygen", "openssh-client"),
        ("unshare", "util-linux"),
    ];
    let absent = needed
        .iter()
        .filter(|(program, _)| find_program(program).is_none());
    absent.map(|(_, package)| *package).collect()
}

pub(super) fn check_programs() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the fleet needs programs that are not installed; on Debian: apt-get install {}",
        missing.join(" ")
    )))
}

/// Makes `STORE/base`, unless one made by the same recipe is there. The caller holds the store's lock.
pub(super) fn build(store: &Path) -> Result<()> {
    let base = store.join("base");
    let stamp = store.join("base.recipe");
    let mirror = mirror();
    let recipe = recipe();
    if base.exists() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == recipe) {
        return Ok(());
    }
    if !super::supervisor::running(store)?.is_empty() {
        return Err(Failure::new(
            "the base has to be made anew, and hosts are running on it: take them down first",
        ));
    }
    let partial = store.join("base.partial");
    super::remove_tree(&partial)?;
    super::remove_tree(&base)?;
    run_visibly(
        Command::new("debootstrap")
            .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
            .arg(&partial)
            .arg(&mirror)
            .stdout(fs::File::create(store.join("base.log")).context("create base.log")?),
    )
    .context(format!(
        "make the base, see {}",
        store.join("base.log").display()
    ))?;
    configure(store, &partial)?;
    fs::rename(&partial, &base).context("put the base in place")?;
    fs::write(&stamp, recipe).context("write base.recipe")
}

/// What the base is made from.
pub(super) fn recipe() -> String {
    format!("{REVISION} {SUITE} {PACKAGES}\n{SSHD_CONFIG}")
}

/// Gives the base its users and its sshd settings, and takes away what each host must have of its own.
fn configure(store: &Path, base: &Path) -> Result<()> {
    for user in ["ops", "opspw"] {
        run(Command::new("chroot").arg(base).args([
            "useradd",
            "--create-home",
            "--shell",
            "/bin/bash",
            user,
        ]))?;
    }
    let script =
        format!("echo 'opspw:{SUDO_PASSWORD}' | chpasswd && usermod --append --groups sudo opspw");
    run(Command::new("chroot").arg(base).args(["sh", "-c", &script]))?;
    write(
        &base.join("etc/sudoers.d/ops"),
        "ops ALL=(ALL) NOPASSWD: ALL\n",
        0o440,
    )?;
    write(
        &base.join("etc/ssh/sshd_config.d/fleet.conf"),
        SSHD_CONFIG,
        0o644,
    )?;
    let key = fs::read_to_string(store.join("key.pub")).context("read the login key")?;
    for (home, owner) in [
        ("root", "root:root"),
        ("home/ops", "ops:ops"),
        ("home/opspw", "opspw:opspw"),
    ] {
        let directory = base.join(home).join(".ssh");
        fs::create_dir_all(&directory).context("create .ssh")?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).context("close .ssh")?;
        write(&directory.join("authorized_keys"), &key, 0o600)?;
        run(Command::new("chroot").arg(base).args([
            "chown",
            "-R",
            owner,
            &format!("/{home}/.ssh"),
        ]))?;
    }
    run(Command::new("chroot").arg(base).args(["apt-get", "clean"]))?;
    for entry in fs::read_dir(base.join("etc/ssh")).context("list /etc/ssh of the base")? {
        let path = entry.context("list /etc/ssh of the base")?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("ssh_host_"))
        {
            fs::remove_file(&path).context("remove a host key from the base")?;
        }
    }
    fs::create_dir_all(base.join("run/sshd")).context("create /run/sshd in the base")?;
    Ok(())
}

pub(super) fn write(path: &Path, content: &str, mode: u32) -> Result<()> {
    fs::write(path, content).context(format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .context(format!("chmod {}", path.display()))
}

/// The Debian mirror that this machine itself uses.
fn mirror() -> String {
    let sources = fs::read_to_string("/etc/apt/sources.list.d/debian.sources").unwrap_or_default();
    let modern = sources
        .lines()
        .find_map(|line| line.strip_prefix("URIs:")?.split_whitespace().next());
    let list = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let classic = list.lines().find_map(|line| {
        let mut words = line.strip_prefix("deb ")?.split_whitespace();
        words.find(|word| word.contains("://") && word.contains("/debian"))
    });
    modern
        .or(classic)
        .unwrap_or("http://deb.debian.org/debian")
        .to_owned()
}
