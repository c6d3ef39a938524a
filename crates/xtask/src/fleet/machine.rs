//! A whole machine, emulated by QEMU, with a kernel of its own: for what the hosts of a fleet, which share this machine's
//! kernel, cannot show. Its root is a logical volume in the group `hostler`, half of which is free, and it can reboot.
//!
//! No hardware help is asked for (`/dev/kvm` may be there and not work), so it is slow: some 20 s of a processor for
//! each boot. What it writes is forgotten when it ends.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Fleet, base, keys, remove_tree};
use crate::process::{Context, Failure, Result, find_program, run, run_visibly, tail, wait_for};

/// Makes the kernel, the initial file system and the disk.
const MAKE_ROOT: &str = include_str!("machine-root.sh");
/// For where processors are busy with other things too.
const BOOT_TIME: Duration = Duration::from_secs(300);
const KERNEL_ARGUMENTS: &str = "root=/dev/mapper/hostler-root ro init=/sbin/machine-init console=ttyS0 net.ifnames=0 \
                                mitigations=off quiet";

/// An emulated machine that runs, until the value is dropped.
#[derive(Debug)]
pub struct Machine {
    directory: PathBuf,
    key: PathBuf,
    port: u16,
    qemu: Child,
}

impl Machine {
    /// The Debian packages whose programs an emulated machine needs beside those of a fleet, and that are not installed.
    pub fn missing_packages() -> Vec<&'static str> {
        let needed = [
            ("qemu-system-x86_64", "qemu-system-x86"),
            ("lvm", "lvm2"),
            ("mke2fs", "e2fsprogs"),
        ];
        let absent = needed
            .iter()
            .filter(|(program, _)| find_program(program).is_none());
        absent.map(|(_, package)| *package).collect()
    }

    /// Makes what machines start from, in `STORE/machine`, unless it is there (a minute; some 80 MB of Debian packages).
    pub fn prepare(fleet: &Fleet) -> Result<()> {
        let missing = Self::missing_packages();
        if !missing.is_empty() {
            return Err(Failure::new(format!(
                "an emulated machine needs programs that are not installed; on Debian: apt-get install {}",
                missing.join(" ")
            )));
        }
        fleet.prepare()?;
        let store = fleet.store();
        let lock = fs::File::create(store.join("machine.lock")).context("create machine.lock")?;
        lock.lock().context("lock machine.lock")?;
        let (made, partial) = (store.join("machine"), store.join("machine.partial"));
        let recipe = base::recipe() + MAKE_ROOT;
        if fs::read_to_string(made.join("recipe")).is_ok_and(|it| it == recipe) {
            return Ok(());
        }
        remove_tree(&made)?;
        remove_tree(&partial)?;
        fs::create_dir_all(&partial).context("create the machine's directory")?;
        keys::make_host_key(store, "machine")?;
        let log = store.join("machine.log");
        let out = fs::File::create(&log).context("create machine.log")?;
        let err = out.try_clone().context("create machine.log")?;
        run_visibly(
            Command::new("unshare")
                .args(["--mount", "bash", "-c", MAKE_ROOT, "machine-root.sh"])
                .args([&fleet.base(), &partial, &keys::host_key(store, "machine")])
                .stdin(Stdio::null())
                .stdout(out)
                .stderr(err),
        )
        .map_err(|_| {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let (log, end) = (log.display(), tail(&said, 20));
            Failure::new(format!(
                "the machine's root could not be made, see {log}:\n{end}"
            ))
        })?;
        fs::write(partial.join("recipe"), recipe).context("write the machine's recipe")?;
        fs::rename(&partial, &made).context("put the machine's root in place")
    }

    /// Starts a machine that belongs to `fleet`, and returns it when it answers SSH.
    pub fn start(fleet: &Fleet) -> Result<Self> {
        Self::prepare(fleet)?;
        let (made, directory) = (fleet.store().join("machine"), fleet.directory().to_owned());
        fs::create_dir_all(&directory).context("create the fleet's directory")?;
        // QEMU cannot be given a listener; nobody else is likely to take this port in the next moment.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|it| it.local_addr())
            .context("find a free port")?
            .port();
        write_inventory(fleet, port)?;
        let disk = format!(
            "if=virtio,format=raw,snapshot=on,file={}/disk",
            escaped(&made)
        );
        let network = format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22");
        let console = format!("file:{}", directory.join("console").display());
        let log = fs::File::create(directory.join("qemu")).context("create QEMU's log")?;
        // Who starts it may be killed: then it goes too.
        let qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-accel", "tcg,tb-size=256", "-smp", "1", "-m", "512"])
            .args(["-drive", &disk, "-netdev", &network, "-serial", &console])
            .args(["-device", "virtio-net-pci,netdev=net,romfile="])
            .args(["-device", "virtio-rng-pci"])
            .arg("-kernel")
            .arg(made.join("kernel"))
            .arg("-initrd")
            .arg(made.join("initrd"))
            .args(["-append", KERNEL_ARGUMENTS])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start QEMU")?;
        let mut machine = Self {
            key: fleet.key(),
            directory,
            port,
            qemu,
        };
        machine.wait_for_boot(None)?;
        Ok(machine)
    }

    /// The command that runs a shell script as root in the machine.
    pub fn command(&self, script: &str) -> Command {
        let known_hosts = format!(
            "UserKnownHostsFile={}",
            self.directory.join("known_hosts").display()
        );
        let mut command = Command::new("ssh");
        command
            .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", &known_hosts])
            .args(["-o", "ConnectTimeout=120", "-o", "ServerAliveInterval=60"])
            .args(["-p", &self.port.to_string(), "-i"])
            .arg(&self.key)
            .args(["root@127.0.0.1", script])
            .env_remove("SSH_AUTH_SOCK");
        command
    }

    /// Runs a shell script as root in the machine and returns its stdout; a status other than 0 is a failure.
    pub fn shell(&self, script: &str) -> Result<String> {
        let output = run(&mut self.command(&format!("set -e\n{script}")))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Reboots the machine: its kernel starts anew and activates its volumes anew. Returns when it answers again.
    pub fn reboot(&mut self) -> Result<()> {
        let before = self.boot_id()?;
        // The session has to end before the machine does, or it would be waited for.
        self.shell(
            "sync; nohup sh -c 'sleep 3; for it in s u b; do echo $it >/proc/sysrq-trigger; sleep 1; done' \
             >/dev/null 2>&1 </dev/null &",
        )?;
        self.wait_for_boot(Some(&before))
    }

    fn boot_id(&self) -> Result<String> {
        self.shell("cat /proc/sys/kernel/random/boot_id")
    }

    /// Waits for an answer of another boot than `before`.
    fn wait_for_boot(&mut self, before: Option<&str>) -> Result<()> {
        let up = wait_for(BOOT_TIME, || {
            if !matches!(self.qemu.try_wait(), Ok(None)) {
                return Some(false);
            }
            let new = self.answers()
                && before.is_none_or(|before| self.boot_id().is_ok_and(|it| it != before));
            if !new {
                std::thread::sleep(Duration::from_millis(500));
            }
            new.then_some(true)
        });
        if up == Some(true) {
            return Ok(());
        }
        let text = |name| fs::read(self.directory.join(name)).unwrap_or_default();
        let said = [text("qemu"), text("console")].concat();
        Err(Failure::new(format!(
            "the emulated machine does not answer; it wrote:\n{}",
            tail(&String::from_utf8_lossy(&said), 20)
        )))
    }

    /// Whether its sshd says who it is. QEMU accepts connections long before that.
    fn answers(&self) -> bool {
        let limit = Duration::from_secs(10);
        let banner = || -> std::io::Result<[u8; 4]> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let mut stream = TcpStream::connect_timeout(&address, limit)?;
            stream.set_read_timeout(Some(limit))?;
            let mut start = [0; 4];
            stream.read_exact(&mut start)?;
            Ok(start)
        };
        banner().is_ok_and(|start| &start == b"SSH-")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Nothing can be reported from here.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Writes the fleet's inventory and `known_hosts`, with the machine as its only host.
fn write_inventory(fleet: &Fleet, port: u16) -> Result<()> {
    let public = keys::host_key(fleet.store(), "machine").with_extension("pub");
    let public = fs::read_to_string(public).context("read the machine's host key")?;
    fs::write(fleet.known_hosts(), format!("[127.0.0.1]:{port} {public}"))
        .context("write known_hosts")?;
    let inventory = format!(
        "machine ansible_host=127.0.0.1 ansible_port={port}\n{}",
        fleet.inventory(&[])
    );
    fs::write(fleet.inventory_file(None), inventory).context("write the inventory")
}

/// A path in an option of QEMU, where a comma would begin the next one.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
