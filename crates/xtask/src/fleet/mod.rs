//! A fleet: N real Debian hosts on this one machine, each with its own root file system, network address,
//! process tree, host key and sshd, over one shared debootstrapped base.
//!
//! A host is an overlay mount inside private mount, process, network and UTS namespaces, joined to a bridge.
//! All of that belongs to one supervising `unshare` process: killing it makes the kernel take the mounts, the
//! addresses and every process of the host down with it, so nothing is left behind even after a crash. The
//! only things outside the namespaces are the bridge and a claim on an address range under `/run`.
//!
//! State: `target/fleet` of the checkout, or `$HOSTLER_FLEET_DIR`.
//!
//! ```text
//! base/ base.recipe       the shared root, and what it was made from
//! key key.pub keys/       the login key, and one host key per host name, made once
//! machine/                what emulated machines start from: kernel, initrd, disk
//! locks/                  one file per fleet, held while its hosts are started or stopped
//! NAME/                   one fleet: slot, known_hosts, hosts.ini, set_a.ini, set_b.ini,
//!                         archive/ (read-only in every host), hosts/a001/{up,work,root,log,...}
//! ```

mod base;
mod fault;
mod host;
mod inventory;
mod keys;
mod machine;
mod network;
mod proxy;
mod supervisor;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub use base::{SUDO_PASSWORD, missing_packages};
pub use fault::Fault;
pub use host::{Host, Init, Set};
pub use machine::Machine;
pub use network::Traffic;
pub use proxy::AptProxy;

use crate::process::{Context, Failure, Result, checkout, in_parallel, is_root};

/// How many hosts are worked on at the same time while a fleet starts.
const START_THREADS: usize = 8;
/// Host names have three digits; a Linux bridge has 1,024 ports, for two sets.
const MOST_HOSTS: usize = 500;

/// One named fleet and the state it shares with the others (base, keys).
#[derive(Debug, Clone)]
pub struct Fleet {
    store: PathBuf,
    directory: PathBuf,
}

impl Fleet {
    /// The fleet called `name` in the default state directory. Nothing is started or written yet.
    pub fn named(name: &str) -> Result<Self> {
        let store = std::env::var_os("HOSTLER_FLEET_DIR")
            .map_or_else(|| checkout().join("target/fleet"), PathBuf::from);
        let store = std::path::absolute(&store).context("find the fleet's state directory")?;
        Self::in_store(&store, name)
    }

    fn in_store(store: &Path, name: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty()
            || !name.bytes().all(plain)
            || [
                "base", "key", "keys", "locks", "machine", "made", "packages",
            ]
            .contains(&name)
        {
            return Err(Failure::new(format!(
                "`{name}` cannot be the name of a fleet"
            )));
        }
        Ok(Self {
            store: store.to_path_buf(),
            directory: store.join(name),
        })
    }

    /// Where this fleet keeps its hosts, inventory and `known_hosts`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What all fleets share: the base, the keys, packages.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// A directory that every host has read-only at [`crate::made::MOUNTED_AT`].
    pub(crate) fn archive(&self) -> PathBuf {
        self.directory.join("archive")
    }

    /// The private key that logs in as `root`, `ops` and `opspw`.
    pub fn key(&self) -> PathBuf {
        self.store.join("key")
    }

    /// The host keys of every host of this fleet, in OpenSSH's format.
    pub fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    /// The shared root under every host.
    pub fn base(&self) -> PathBuf {
        self.store.join("base")
    }

    /// Makes the shared root and the login key, unless they are there.
    pub fn prepare(&self) -> Result<()> {
        if !is_root() {
            return Err(Failure::new(
                "a fleet needs root: it makes namespaces, mounts and a network bridge",
            ));
        }
        base::check_programs()?;
        fs::create_dir_all(&self.store).context(format!("create {}", self.store.display()))?;
        let lock = File::create(self.store.join("base.lock")).context("create base.lock")?;
        lock.lock().context("lock base.lock")?;
        keys::make_login_key(&self.store)?;
        base::build(&self.store)
    }

    /// Starts hosts 1 to `count` of `set` where they do not run yet, and returns them when each answers SSH
    /// (and, under systemd, when its start-up is complete).
    pub fn up(&self, set: Set, count: usize, init: Init) -> Result<Vec<Host>> {
        if count > MOST_HOSTS {
            return Err(Failure::new(format!(
                "a set has at most {MOST_HOSTS} hosts, not {count}"
            )));
        }
        self.prepare()?;
        let _lock = self.lock()?;
        fs::create_dir_all(self.directory.join("hosts")).context("create the fleet's directory")?;
        fs::create_dir_all(self.archive()).context("create the fleet's archive")?;
        let slot = network::claim_slot(&self.directory)?;
        network::raise_limits();
        network::make_bridge(slot)?;
        let hosts: Vec<Host> = (1..=count)
            .map(|index| Host::new(&self.directory, slot, set, index))
            .collect();
        in_parallel(&hosts, START_THREADS, |host| {
            keys::make_host_key(&self.store, &host.name)
        })?;
        let running = supervisor::running(&self.directory)?;
        let stopped: Vec<&Host> = hosts
            .iter()
            .filter(|host| !running.contains_key(&host.directory))
            .collect();
        supervisor::start(&self.store, slot, &stopped, init)?;
        self.write_inventory()?;
        in_parallel(&hosts, 32, host::Host::wait_until_ready)?;
        Ok(hosts)
    }

    /// The hosts that have been brought up and not taken down, in the order of their names.
    pub fn hosts(&self) -> Result<Vec<Host>> {
        let Some(slot) = network::slot_of(&self.directory) else {
            return Ok(Vec::new());
        };
        let listing = fs::read_dir(self.directory.join("hosts")).context("list the hosts")?;
        let mut names: Vec<String> = listing
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        Ok(names
            .iter()
            .filter_map(|name| Host::parse(&self.directory, slot, name))
            .collect())
    }

    /// The host called `name`.
    pub fn host(&self, name: &str) -> Result<Host> {
        let found = self.hosts()?.into_iter().find(|host| host.name == name);
        found.context(format!(
            "no host `{name}` in this fleet; `fleet inventory` lists them"
        ))
    }

    /// Stops every host and removes what it wrote. The base and the keys stay. Safe to repeat, and safe after
    /// a crash in the middle of [`Fleet::up`].
    pub fn down(&self) -> Result<()> {
        if !self.store.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        supervisor::stop_all(&self.directory)?;
        if let Some(slot) = network::slot_of(&self.directory) {
            network::remove_links(slot)?;
        }
        // The slot is released last: an interrupted `down` can be repeated.
        remove_tree(&self.directory.join("hosts"))?;
        network::release_slot(&self.directory)?;
        remove_tree(&self.directory)
    }

    /// Keeps others from starting and stopping hosts of this fleet until the value is dropped.
    fn lock(&self) -> Result<File> {
        let locks = self.store.join("locks");
        fs::create_dir_all(&locks).context("create the directory of locks")?;
        let name = self.directory.file_name().unwrap_or_default();
        let lock = File::create(locks.join(name)).context("create the fleet's lock")?;
        lock.lock().context("lock the fleet")?;
        Ok(lock)
    }

    /// The inventory file of one set, or of all hosts.
    pub fn inventory_file(&self, set: Option<Set>) -> PathBuf {
        let name = set.map_or_else(|| "hosts.ini".to_owned(), |set| format!("set_{set}.ini"));
        self.directory.join(name)
    }

    /// Writes `known_hosts` and the inventory files for the hosts that are up.
    fn write_inventory(&self) -> Result<()> {
        let hosts = self.hosts()?;
        let known = inventory::known_hosts(&self.store, &hosts)?;
        fs::write(self.known_hosts(), known).context("write known_hosts")?;
        for set in [None, Some(Set::A), Some(Set::B)] {
            let mut members = hosts.clone();
            members.retain(|host| set.is_none_or(|set| host.set() == set));
            let text = self.inventory(&members);
            fs::write(self.inventory_file(set), text).context("write an inventory")?;
        }
        Ok(())
    }

    /// An INI inventory of `hosts`, complete with the login key and `known_hosts`.
    pub fn inventory(&self, hosts: &[Host]) -> String {
        inventory::ini(self, hosts)
    }

    /// What has gone over the links of `hosts` since they were started.
    pub fn traffic(&self, hosts: &[Host]) -> Result<Traffic> {
        let slot = network::slot_of(&self.directory).context("the fleet is not up")?;
        network::traffic(slot, hosts)
    }

    /// One address a line, for tools that want only that (`parallel-ssh -h`).
    pub fn addresses(hosts: &[Host]) -> String {
        hosts
            .iter()
            .map(|host| format!("{}\n", host.address))
            .collect()
    }
}

/// A fleet that is taken down when the value goes out of scope, failed test or not.
#[derive(Debug)]
pub struct Guard(pub Fleet);

impl std::ops::Deref for Guard {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing can be reported from here; what stays is swept by the next fleet that starts.
        let _ = self.0.down();
    }
}

/// Removes a directory tree; one that is not there is fine.
fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
