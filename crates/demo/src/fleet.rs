//! A fleet: raised, described by an inventory, taken down.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::base::{make_directory, write};
use crate::helper::{self, Helper, Started};
use crate::host::HostArgs;
use crate::{DemoError, base, server, tree};

/// Hosts whose processes start at the same time.
const STARTING_MAX: usize = 8;
/// How often the removal of the fleet's directory is tried while its last processes end.
const REMOVALS_MAX: u32 = 20;

/// How to raise a fleet.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// A program that calls [`crate::host_main`] when its first argument is [`crate::HELPER_ARGUMENT`].
    pub program: PathBuf,
    /// Where the fleet's private directory is made.
    pub parent: PathBuf,
}

impl Default for FleetOptions {
    /// This program itself, and the system's directory for temporary files.
    fn default() -> Self {
        FleetOptions {
            program: PathBuf::from("/proc/self/exe"),
            parent: std::env::temp_dir(),
        }
    }
}

/// A host of the fleet.
#[derive(Clone, Debug)]
pub struct DemoHost {
    /// Its name in the inventory.
    pub name: String,
    /// Where its SSH server listens.
    pub address: SocketAddr,
    /// Its own directory; below `up` (or `root`, without overlays) is what it has written.
    pub directory: PathBuf,
}

/// A fleet that is up.
pub struct Fleet {
    /// The hosts, in order of the inventory.
    pub hosts: Vec<DemoHost>,
    /// Every host's root is an overlay (else a plain copy).
    pub overlay: bool,
    directory: PathBuf,
    running: Vec<(Arc<Helper>, Vec<JoinHandle<()>>)>,
    removed: bool,
}

impl Fleet {
    /// Raises `count` hosts. Must be called in a tokio runtime. What was made is removed again if it fails.
    pub async fn up(count: usize, options: &FleetOptions) -> Result<Fleet, DemoError> {
        let directory = tempfile::Builder::new()
            .prefix("hostler-demo-")
            .tempdir_in(&options.parent)
            .map_err(DemoError::files(&options.parent))?
            .keep();
        let mut fleet = Fleet {
            hosts: Vec::new(),
            overlay: true,
            directory,
            running: Vec::new(),
            removed: false,
        };
        let raised = fleet.raise(count, options).await;
        if raised.is_err() {
            fleet.end_hosts();
        }
        raised.map(|()| fleet)
    }

    async fn raise(&mut self, count: usize, options: &FleetOptions) -> Result<(), DemoError> {
        let base = self.directory.join("base");
        base::build(&base)?;
        let user_key = new_key()?;
        let private = user_key
            .to_openssh(LineEnding::LF)
            .map_err(DemoError::Key)?;
        write(&self.key_path(), &private, 0o600)?;
        let user_key = Arc::new(user_key.public_key().clone());
        let permits = Arc::new(Semaphore::new(STARTING_MAX));
        let mut starting = Vec::new();
        for name in names(count) {
            let host = HostArgs {
                directory: self.directory.join("hosts").join(&name),
                name,
                base: base.clone(),
            };
            let program = options.program.clone();
            let permit = Arc::clone(&permits).acquire_owned().await;
            starting.push(tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let started = prepare(&host).and_then(|()| helper::start(&program, &host));
                (host, started)
            }));
        }
        let mut known = String::new();
        let mut failure = None;
        for (index, start) in starting.into_iter().enumerate() {
            let started = match start.await {
                Ok((host, started)) => match started {
                    Ok(started) => self.add(index, &host, started, &user_key, &mut known).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(DemoError::Start {
                    host: format!("{index}"),
                    source: std::io::Error::other(error),
                }),
            };
            if let Err(error) = started {
                failure.get_or_insert(error);
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        write(&self.known_hosts_path(), &known, 0o600)?;
        write(&self.inventory_path(), &self.inventory(), 0o600)
    }

    /// Takes a started host in: its key, its port, its server.
    async fn add(
        &mut self,
        index: usize,
        host: &HostArgs,
        started: Started,
        user_key: &Arc<PublicKey>,
        known: &mut String,
    ) -> Result<(), DemoError> {
        let failed = |source: std::io::Error| DemoError::Listen {
            host: host.name.clone(),
            source,
        };
        self.overlay &= started.overlay;
        let key = new_key()?;
        let public = key.public_key().to_openssh().map_err(DemoError::Key)?;
        let listener = listen(index).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let helper = Helper::new(started).map_err(failed)?;
        known.push_str(&server::known_host(address, &public));
        let listening = Arc::clone(&helper);
        let tasks = vec![
            tokio::spawn(async move { listening.listen().await }),
            tokio::spawn(server::serve(
                listener,
                server::config(key),
                Arc::clone(user_key),
                Arc::clone(&helper),
            )),
        ];
        self.running.push((helper, tasks));
        self.hosts.push(DemoHost {
            name: host.name.clone(),
            address,
            directory: host.directory.clone(),
        });
        Ok(())
    }

    /// The fleet's private directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// An inventory (INI) of all hosts, in the groups `web` and `db`.
    pub fn inventory_path(&self) -> PathBuf {
        self.directory.join("hosts.ini")
    }

    /// The private key that every host lets in as root.
    pub fn key_path(&self) -> PathBuf {
        self.directory.join("key")
    }

    /// The hosts' keys, in OpenSSH's form.
    pub fn known_hosts_path(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    fn inventory(&self) -> String {
        let mut groups: Vec<(&str, String)> = vec![("web", String::new()), ("db", String::new())];
        for host in &self.hosts {
            let line = format!(
                "{} ansible_host={} ansible_port={}\n",
                host.name,
                host.address.ip(),
                host.address.port()
            );
            for (group, lines) in &mut groups {
                if host.name.starts_with(*group) {
                    lines.push_str(&line);
                }
            }
        }
        let mut text = String::from("# Made by hostler demo; gone when it ends.\n");
        for (group, lines) in groups.iter().filter(|(_, lines)| !lines.is_empty()) {
            text = text + "\n[" + group + "]\n" + lines;
        }
        text + &format!(
            "\n[all:vars]\nansible_user=root\nansible_ssh_private_key_file={}\n\
             ansible_ssh_common_args=-o UserKnownHostsFile={}\n",
            self.key_path().display(),
            self.known_hosts_path().display()
        )
    }

    /// Takes the fleet down: every process of every host ends, and the directory is removed.
    pub async fn down(mut self) -> Result<(), DemoError> {
        let listening = self.end_hosts();
        for task in listening {
            // A host's process that does not end in time is left behind with nothing to talk to; the kernel ends it
            // with this program.
            let _ = tokio::time::timeout(Duration::from_secs(10), task).await;
        }
        self.removed = true;
        let directory = self.directory.clone();
        let removing = tokio::task::spawn_blocking(move || remove_patiently(&directory));
        removing
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(DemoError::files(&self.directory))
    }

    /// Stops the servers and tells the hosts to end; gives what ends when a host has.
    fn end_hosts(&mut self) -> Vec<JoinHandle<()>> {
        let mut listening = Vec::new();
        for (helper, tasks) in self.running.drain(..) {
            helper.end();
            let mut tasks = tasks.into_iter();
            listening.extend(tasks.next());
            tasks.for_each(|server| server.abort());
        }
        listening
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if !self.removed {
            self.end_hosts();
            // Nobody is left to be told.
            let _ = remove_patiently(&self.directory);
        }
    }
}

/// `web001` ... and `db001` ...: four of five are web servers.
fn names(count: usize) -> Vec<String> {
    let web = (count * 4 / 5).max(1).min(count);
    let numbered = |group: &'static str, count: usize| {
        (1..=count).map(move |number| format!("{group}{number:03}"))
    };
    numbered("web", web)
        .chain(numbered("db", count - web))
        .collect()
}

/// Makes a host's directory and what is its own in the tree.
fn prepare(host: &HostArgs) -> Result<(), DemoError> {
    make_directory(&host.directory, 0o755)?;
    for name in ["up", "up/etc", "work", "root"] {
        make_directory(&host.directory.join(name), 0o755)?;
    }
    let etc = host.directory.join("up/etc");
    write(&etc.join("hostname"), &format!("{}\n", host.name), 0o644)?;
    let hosts = format!("127.0.0.1 localhost\n127.0.1.1 {}\n", host.name);
    write(&etc.join("hosts"), &hosts, 0o644)
}

/// A free port; each host has an address of its own where the machine has the whole of 127/8.
async fn listen(index: usize) -> std::io::Result<TcpListener> {
    let last = u8::try_from(index % 250).unwrap_or_default() + 1;
    let third = u8::try_from(index / 250 % 250).unwrap_or_default();
    match TcpListener::bind((Ipv4Addr::new(127, 0, third, last), 0)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
    }
}

fn new_key() -> Result<PrivateKey, DemoError> {
    let mut seed = [0; 32];
    let path = "/dev/urandom";
    fs::File::open(path)
        .and_then(|mut random| random.read_exact(&mut seed))
        .map_err(DemoError::files(path))?;
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
}

/// The last processes of a host end a moment after its first one, and may still write.
fn remove_patiently(directory: &Path) -> std::io::Result<()> {
    for _ in 1..REMOVALS_MAX {
        if tree::remove(directory).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    tree::remove(directory)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn every_size_has_web_servers() {
        assert_eq!(names(1), ["web001"]);
        assert_eq!(names(3), ["web001", "web002", "db001"]);
        assert_eq!(names(200).len(), 200);
        assert_eq!(names(200)[160], "db001");
    }
}
