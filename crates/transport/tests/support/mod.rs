//! A real sshd on a loopback port with keys of its own, and the client side to match.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use hostler_transport::known_hosts::HostKeyPolicy;
use hostler_transport::ssh_config::{LocalUser, SshConfig};
use hostler_transport::{AgentImage, Connector, ConnectorSettings, Deadlines, GateLimits, Target};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub(crate) struct Sshd {
    pub(crate) dir: TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Makes a key pair with ssh-keygen; `kind` as `-t` takes it, with `-b` for RSA.
pub(crate) fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "a comment", "-f"])
        .arg(path);
    if kind == "rsa" {
        command.args(["-b", "2048"]);
    }
    assert!(command.status().expect("ssh-keygen").success());
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .expect("bind")
        .local_addr()
        .expect("address")
        .port()
}

impl Sshd {
    /// Host keys `hk_*` for each kind and a user key; `extra` are more lines of `sshd_config`, in which `@HOME@` is the
    /// home directory that commands get, so that nothing is left on the machine.
    pub(crate) fn start(host_keys: &[&str], extra: &str) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let at = |name: &str| dir.path().join(name);
        for kind in host_keys {
            keygen(&at(&format!("hk_{kind}")), kind, "");
        }
        keygen(&at("uk_ed25519"), "ed25519", "");
        fs::copy(at("uk_ed25519.pub"), at("authorized")).expect("authorized keys");
        Self::start_in(dir, host_keys, extra)
    }

    fn start_in(dir: TempDir, host_keys: &[&str], extra: &str) -> Self {
        // Where privilege separation chroots to; part of the package on a running system.
        let _exists_or_not_root = fs::create_dir_all("/run/sshd");
        fs::create_dir_all(dir.path().join("home")).expect("home");
        let port = free_port();
        let mut config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
             AuthorizedKeysFile {}\nPasswordAuthentication no\n",
            dir.path().join("authorized").display(),
        );
        let home = dir.path().join("home").display().to_string();
        config.push_str(&extra.replace("@HOME@", &home));
        if !extra.contains("ForceCommand") {
            let _infallible = write!(
                config,
                "\nForceCommand exec env HOME={home} sh -c \"$SSH_ORIGINAL_COMMAND\""
            );
        }
        config.push('\n');
        for kind in host_keys {
            let key = dir.path().join(format!("hk_{kind}"));
            let _infallible = writeln!(config, "HostKey {}", key.display());
        }
        fs::write(dir.path().join("sshd_config"), config).expect("config");
        let log = fs::File::create(dir.path().join("sshd.log")).expect("log");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(dir.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd");
        let sshd = Self { dir, port, child };
        sshd.wait_until_up();
        sshd
    }

    fn wait_until_up(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let mut byte = [0];
                if stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    return;
                }
            }
            std::thread::yield_now();
        }
        panic!("sshd does not start: {}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("sshd.log")).unwrap_or_default()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    /// `[127.0.0.1]:port`, as `known_hosts` has it.
    pub(crate) fn known_name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// A public key without its comment.
    pub(crate) fn public_key(&self, name: &str) -> String {
        let text = self.read(&format!("{name}.pub"));
        text.split(' ')
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    }

    /// Lists one host key in `known_hosts`.
    pub(crate) fn trust(&self, kind: &str) {
        let line = format!(
            "{} {}\n",
            self.known_name(),
            self.public_key(&format!("hk_{kind}"))
        );
        fs::write(self.path("known_hosts"), line).expect("known_hosts");
    }

    pub(crate) fn local_user(&self) -> LocalUser {
        LocalUser {
            home: self.path("client"),
            name: "root".into(),
            uid: 0,
            hostname: "controller".into(),
        }
    }

    pub(crate) fn settings(&self) -> ConnectorSettings {
        ConnectorSettings {
            local: self.local_user(),
            config: SshConfig::default(),
            host_key_policy: HostKeyPolicy::Strict,
            deadlines: Deadlines::default(),
            gate: GateLimits::default(),
            password_trials: ConnectorSettings::PASSWORD_TRIALS,
        }
    }

    pub(crate) fn connector(&self) -> Connector {
        Connector::new(self.settings())
    }

    /// The usual target: key `uk_ed25519`, `known_hosts` in the test's own directory, no ssh-agent.
    pub(crate) fn target(&self) -> Target {
        let mut target = Target {
            host: "127.0.0.1".into(),
            port: Some(self.port),
            user: Some("root".into()),
            private_key_file: Some(self.path("uk_ed25519")),
            ..Target::default()
        };
        let options = format!(
            "-o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null -o IdentityAgent=none",
            self.path("known_hosts").display()
        );
        target.options.apply_cli_options(&options).expect("options");
        target
    }
}

/// The example `fake_agent` as an image.
pub(crate) fn image() -> AgentImage {
    static IMAGE: LazyLock<AgentImage> = LazyLock::new(|| {
        let test = std::env::current_exe().expect("test binary");
        let path = test
            .parent()
            .and_then(Path::parent)
            .expect("target")
            .join("examples/fake_agent");
        let bytes: &'static [u8] = Box::leak(
            fs::read(&path)
                .expect("example fake_agent")
                .into_boxed_slice(),
        );
        AgentImage {
            bytes,
            sha256: Sha256::digest(bytes).into(),
            machine: std::env::consts::ARCH,
        }
    });
    *IMAGE
}
