//! The engine under test, as its users start it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::fleet::{Fleet, Set};
use xtask::process::{checkout, find_program, run, tail};

/// A program that applies playbooks and takes ansible-playbook's flags.
#[derive(Debug, Clone)]
pub struct Engine {
    program: PathBuf,
    /// What comes before the playbook: `apply` for hostler.
    subcommand: Option<&'static str>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; Ansible's: 0, 2 (a task failed), 4 (a host was unreachable).
    pub code: Option<i32>,
    /// Everything that was printed, stdout first.
    pub output: String,
    /// The recap: counts by name (`ok`, `changed`, ...) by host.
    pub recap: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Engine {
    /// What these tests test: hostler from this checkout, or what `HOSTLER_TEST_ENGINE` and `HOSTLER_BIN` say.
    ///
    /// # Panics
    /// When the engine cannot be built or found.
    pub fn under_test() -> Self {
        match std::env::var("HOSTLER_TEST_ENGINE").as_deref() {
            Ok("ansible") => Self::ansible(),
            Ok(other) if other != "hostler" => {
                panic!("HOSTLER_TEST_ENGINE is hostler or ansible, not {other}")
            }
            _ => Self {
                program: hostler(),
                subcommand: Some("apply"),
            },
        }
    }

    /// ansible-core: `$HOSTLER_ANSIBLE_PLAYBOOK`, the one that `.ci/run` installs, or the one in `PATH`.
    ///
    /// # Panics
    /// When there is none.
    pub fn ansible() -> Self {
        let chosen = std::env::var_os("HOSTLER_ANSIBLE_PLAYBOOK").map(PathBuf::from);
        let installed = checkout().join("target/ansible/bin/ansible-playbook");
        let program = chosen
            .or_else(|| installed.is_file().then_some(installed))
            .or_else(|| find_program("ansible-playbook"))
            .expect(
                "ansible-playbook is needed to compare with: python3 -m venv target/ansible && \
                     target/ansible/bin/pip install ansible-core==2.19.14",
            );
        Self {
            program,
            subcommand: None,
        }
    }

    /// The program itself.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Whether this is hostler and not the stand-in: some promises are hostler's alone.
    pub fn is_hostler(&self) -> bool {
        self.subcommand.is_some()
    }

    /// Runs a playbook of the repository (`playbooks/NAME`) on the fleet, with ansible-playbook's flags.
    pub fn apply(&self, fleet: &Fleet, name: &str, flags: &[&str]) -> Outcome {
        self.run(fleet, None, &checkout().join("playbooks").join(name), flags)
    }

    /// Runs a playbook of the repository (`path` from its top) on one set, as if the other were not there.
    pub fn apply_to(&self, fleet: &Fleet, set: Set, path: &str) -> Outcome {
        self.run(fleet, Some(set), &checkout().join(path), &[])
    }

    /// Runs the playbook `text` on the fleet, with ansible-playbook's flags.
    ///
    /// # Panics
    /// When the playbook cannot be written.
    pub fn apply_text(&self, fleet: &Fleet, text: &str, flags: &[&str]) -> Outcome {
        let path = fleet.directory().join("playbook.yml");
        fs::write(&path, text).expect("write the playbook");
        self.run(fleet, None, &path, flags)
    }

    /// Starts hostler with arguments of its own (`resume`), as the controller whose home is `home` in the fleet's directory.
    /// Controllers with different homes know nothing of each other.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self, fleet: &Fleet, home: &str, args: &[&str]) -> Running {
        let home = fleet.directory().join(home);
        fs::create_dir_all(&home).expect("create the controller's home directory");
        let (out, err) = (home.join("out"), home.join("err"));
        let file = |path: &Path| fs::File::create(path).expect("create a file for output");
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_STATE_HOME")
            .env("HOME", &home)
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .stdin(std::process::Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err));
        let child = command.spawn().expect("start hostler");
        Running { child, out, err }
    }

    fn run(&self, fleet: &Fleet, set: Option<Set>, playbook: &Path, flags: &[&str]) -> Outcome {
        let home = fleet.directory().join("home");
        fs::create_dir_all(&home).expect("create the controller's home directory");
        let mut command = Command::new(&self.program);
        command
            .args(self.subcommand)
            .arg(playbook)
            .arg("-i")
            .arg(fleet.inventory_file(set))
            .args(flags);
        command
            .env_remove("SSH_AUTH_SOCK")
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8");
        let empty_configuration = fleet.directory().join("ansible.cfg");
        fs::write(&empty_configuration, "").expect("write ansible.cfg");
        let sockets = std::env::temp_dir().join(format!("hostler-cp-{}", std::process::id()));
        if self.is_hostler() {
            command
                .env("HOME", &home)
                .env_remove("XDG_CACHE_HOME")
                .env_remove("XDG_STATE_HOME");
        } else {
            // Connections are shared within a run, and gone before another test's host takes over the address.
            command
                .env("ANSIBLE_CONFIG", &empty_configuration)
                .env("ANSIBLE_NOCOLOR", "1")
                .env("ANSIBLE_SSH_CONTROL_PATH_DIR", &sockets)
                .env(
                    "ANSIBLE_SSH_ARGS",
                    "-o ControlMaster=auto -o ControlPersist=5s",
                );
        }
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("start {}: {error}", self.program.display()));
        let _ = fs::remove_dir_all(sockets);
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        let recap = parse_recap(&text);
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Outcome {
            code: output.status.code(),
            output: text,
            recap,
        }
    }
}

/// A run that goes on while the test breaks something.
#[derive(Debug)]
pub struct Running {
    child: std::process::Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// What it has printed so far.
    pub fn said(&self) -> String {
        let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        text(&self.out) + &text(&self.err)
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// When that cannot be waited for.
    pub fn finish(mut self) -> Outcome {
        let status = self.child.wait().expect("wait for hostler");
        let output = self.said();
        Outcome {
            code: status.code(),
            recap: parse_recap(&output),
            output,
        }
    }

    /// Sends it a signal: `TERM`.
    ///
    /// # Panics
    /// When that does not work.
    pub fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.child.id().to_string());
        run(Command::new("kill").args([&signal, &pid])).expect("send a signal");
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Panics
    /// When that does not work.
    pub fn kill(mut self) {
        self.child.kill().expect("kill hostler");
        self.child.wait().expect("wait for hostler");
    }
}

impl Outcome {
    /// One count of one host's recap line.
    ///
    /// # Panics
    /// When the recap has no such line or count.
    pub fn count(&self, host: &str, what: &str) -> u32 {
        let line = self
            .recap
            .get(host)
            .unwrap_or_else(|| panic!("no recap for {host} in:\n{}", self.output));
        *line
            .get(what)
            .unwrap_or_else(|| panic!("no `{what}` in the recap of {host}: {line:?}"))
    }

    /// Fails the test unless the run ended with `code`.
    ///
    /// # Panics
    /// With everything that was printed.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; the run printed:\n{}",
            tail(&self.output, 80)
        );
        self
    }

    /// The recap as lines, hosts sorted, named by their numbers alone: equal for twins.
    pub fn recap_lines(&self) -> String {
        let mut text = String::new();
        for (host, counts) in &self.recap {
            let _ = writeln!(text, "{} {counts:?}", host.trim_start_matches(['a', 'b']));
        }
        text
    }

    /// Fails the test unless the output says every one of `words` (compared without case).
    ///
    /// # Panics
    /// With everything that was printed.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        let lower = self.output.to_lowercase();
        for word in words {
            assert!(
                lower.contains(&word.to_lowercase()),
                "nothing says `{word}`:\n{}",
                tail(&self.output, 80)
            );
        }
    }
}

/// Builds hostler (nothing to do if it is fresh) and returns the binary.
fn hostler() -> PathBuf {
    if let Some(path) = std::env::var_os("HOSTLER_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("find this test's executable");
    // TARGET/PROFILE/deps/TEST
    let profile = test.ancestors().nth(2).expect("find the target directory");
    let target = profile.parent().expect("find the target directory");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "hostler-cli",
            "--bin",
            "hostler",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(checkout()))
    .unwrap_or_else(|failure| panic!("{failure}"));
    target.join("debug/hostler")
}

/// Reads `host : ok=1 changed=0 ...` lines after the heading `PLAY RECAP`.
fn parse_recap(output: &str) -> BTreeMap<String, BTreeMap<String, u32>> {
    let mut lines = output
        .lines()
        .skip_while(|line| !line.starts_with("PLAY RECAP"));
    lines.next();
    let read = |line: &str| {
        let (host, counts) = line.split_once(" : ")?;
        let counts = counts.split_whitespace().map(|pair| {
            let (name, number) = pair.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        Some((host.trim().to_owned(), counts.collect::<Option<_>>()?))
    };
    lines.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::parse_recap;

    #[test]
    fn a_recap_is_read_whatever_its_padding() {
        let text = "ok: [a : ok=9]\nPLAY RECAP ****\na001                : ok=2    changed=1    unreachable=0\n\
                    web : ok=0 changed=0 unreachable=1\nElapsed: 3 s\n";
        let recap = parse_recap(text);
        assert_eq!(recap.len(), 2);
        assert_eq!(recap["a001"]["changed"], 1);
        assert_eq!(recap["web"]["unreachable"], 1);
    }
}
