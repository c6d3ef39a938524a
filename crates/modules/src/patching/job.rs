//! Work on packages that goes on whatever becomes of the connection, of the agent, or of sshd.
//!
//! The programs are written to a script below the directory of the run. Where systemd runs, it becomes a transient
//! service of its own, outside of the session and of sshd's control group; elsewhere it gets a session of its own. A
//! second process waits for its end and shows its log: if that one dies, the work goes on, and who comes later waits
//! for the same work instead of beginning it again.
//!
//! ```text
//! runs/RUN/VERB.sh    the script        runs/RUN/VERB.log   what the programs said, of all attempts
//! runs/RUN/VERB.pid   its process       runs/RUN/VERB.rc    exit status and seconds, when it has ended
//! ```

use std::fmt::Write;
use std::path::{Path, PathBuf};

use hostler_change::Remove;
use hostler_module_api::prelude::*;
use hostler_probes::{program, systemd_is_running, text, word};

use super::private_file;

/// A piece of work of a run.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    dir: PathBuf,
    /// What is done: `install`, `repair`, `rollback`.
    verb: &'static str,
    unit: String,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Somebody has begun it once.
    pub(crate) begun: bool,
    /// Its process is there.
    pub(crate) running: bool,
    /// Exit status of the last attempt, if that has ended.
    pub(crate) rc: Option<i32>,
    /// Seconds that it took.
    pub(crate) seconds: u64,
    /// What starts services here.
    starter: Starter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Starter {
    Systemd,
    #[default]
    Session,
}

/// What systemd is told of the service. A request to stop it (a shutdown) waits for its end: SIGCONT interrupts nobody.
const PROPERTIES: &[&str] = &[
    "--property=KillSignal=SIGCONT",
    "--property=TimeoutStopSec=30min",
    "--property=OOMScoreAdjust=-900",
    "--property=StandardOutput=null",
    "--property=StandardError=null",
];

/// Starts a script in a session of its own.
const SESSION: &str = r#"if command -v setsid >/dev/null; then
    setsid sh "$1" </dev/null >/dev/null 2>&1 &
else
    nohup sh "$1" </dev/null >/dev/null 2>&1 &
fi
"#;

/// The head of each script: says where it is, or does nothing (who waits would take it for dead, and it might be begun
/// again); keeps the host from being shut down, where that can be asked for; writes its log; says how it ends.
const HEAD: &str = r#"base=${0%.sh}
umask 077
echo $$ >"$base.pid" || exit 73
if [ -z "${HOSTLER_INHIBITED-}" ]; then
    export HOSTLER_INHIBITED=1
    inhibit() { systemd-inhibit --what=shutdown:sleep --mode=block --who=Hostler --why="packages are changed" "$@"; }
    if inhibit true >/dev/null 2>&1; then
        exec systemd-inhibit --what=shutdown:sleep --mode=block --who=Hostler --why="packages are changed" sh "$0"
    fi
fi
cd /
exec >>"$base.log" 2>&1 </dev/null
umask 022
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
began=$(date +%s)
ends() {
    umask 077
    echo "$1 $(($(date +%s) - began))" >"$base.rc.new" && mv -f "$base.rc.new" "$base.rc"
    exit "$1"
}
"#;

/// Shows the log from its end of now on, and waits. A process that is not seen for ten seconds has ended without a word.
const WAIT: &str = r#"base=$1
umask 077
touch "$base.log"
tail -n +"$(($(wc -l <"$base.log") + 1))" -f "$base.log" &
tail=$!
gone=0
while [ ! -e "$base.rc" ]; do
    if pid=$(cat "$base.pid" 2>/dev/null) && grep -q "$base.sh" "/proc/$pid/cmdline" 2>/dev/null; then
        gone=0
    else
        gone=$((gone + 1))
        [ "$gone" -gt 10 ] && break
    fi
    sleep 1
done
sleep 1
kill "$tail" 2>/dev/null
if ! read -r status _ <"$base.rc"; then
    echo "it ended without saying how; $base.log has what it said" >&2
    exit 70
fi
if [ "$status" != 0 ]; then
    # Of the last program: its last lines, and then what most likely is the reason.
    from=$(grep -n '^== ' "$base.log" | tail -n 1 | cut -d: -f1)
    said() { tail -n +"$((${from:-0} + 1))" "$base.log"; }
    said | tail -n 10 >&2
    {
        said | grep -m 1 -A 1 '^dpkg: error' || said | grep -m 1 '^E: ' || said | grep -i -m 1 'error'
    } | tr -s '\n ' ' ' >&2
fi
exit "$status"
"#;

impl Job {
    /// A piece of work of a run.
    pub(crate) fn new(dir: &Path, run: &str, verb: &'static str) -> Self {
        Job {
            dir: dir.to_owned(),
            verb,
            unit: format!("hostler-patch-{verb}-{run}"),
        }
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.dir.join(format!("{}.{suffix}", self.verb))
    }

    /// How far is it?
    pub(crate) fn look(&self, host: &dyn Inspect) -> Progress {
        let script = self.file("sh");
        let pid = word(host, self.file("pid")).and_then(|it| it.parse::<u32>().ok());
        let cmdline = pid.and_then(|pid| text(host, format!("/proc/{pid}/cmdline")));
        let named = script.display().to_string();
        let running = cmdline.is_some_and(|it| it.split('\0').any(|word| word == named));
        let rc = word(host, self.file("rc")).unwrap_or_default();
        let mut rc = rc.split_whitespace();
        let with_systemd = systemd_is_running(host) && program(host, "systemd-run").is_some();
        Progress {
            begun: hostler_probes::exists(host, &script),
            running,
            rc: rc.next().and_then(|it| it.parse().ok()),
            seconds: rc.next().and_then(|it| it.parse().ok()).unwrap_or_default(),
            starter: if with_systemd {
                Starter::Systemd
            } else {
                Starter::Session
            },
        }
    }

    /// Begins it, with these differences as the reason, and waits for its end. Its directory must be there. Programs of
    /// `attempts` run first, and may fail.
    ///
    /// # Errors
    /// A program that cannot be part of a script.
    pub(crate) fn begin(
        &self,
        plan: &mut Plan,
        progress: &Progress,
        deltas: Vec<Delta>,
        attempts: &[Program],
        programs: &[Program],
    ) -> Result<(), ModuleError> {
        self.forget(plan, progress);
        let script = private_file(self.file("sh"), script(attempts, programs)?);
        let path = script.path.display().to_string();
        plan.write(Vec::new(), script);
        let start = match progress.starter {
            Starter::Session => {
                Program::new(["sh", "-c", SESSION, "sh", &path]).shown_as(format!("start {path}"))
            }
            Starter::Systemd => {
                let words = [
                    "systemd-run".to_owned(),
                    "--quiet".into(),
                    "--collect".into(),
                ];
                let unit = format!("--unit={}", self.unit);
                let properties = PROPERTIES.iter().map(|it| (*it).to_owned());
                let command = ["/bin/sh".to_owned(), path];
                let words = words
                    .into_iter()
                    .chain([unit])
                    .chain(properties)
                    .chain(command);
                Program::new(words)
            }
        };
        plan.push_all(deltas, Edit::Run(Run::new(start)));
        self.wait(plan);
        Ok(())
    }

    /// Waits for the end of what was begun, which must be a good one.
    pub(crate) fn wait(&self, plan: &mut Plan) {
        self.wait_for(plan, vec![0]);
    }

    /// Waits for the end of what was begun.
    pub(crate) fn wait_however_it_ends(&self, plan: &mut Plan) {
        self.wait_for(plan, Vec::new());
    }

    fn wait_for(&self, plan: &mut Plan, ok_rc: Vec<i32>) {
        let base = self.dir.join(self.verb).display().to_string();
        let program = Program::new(["sh", "-c", WAIT, "sh", &base]).shown_as(self.verb);
        let delta = Delta::action("packages", format!("{} (service {})", self.verb, self.unit));
        let run = Run {
            ok_rc,
            ..Run::new(program)
        };
        plan.push(delta, Edit::Run(run));
        plan.incomplete = true;
    }

    /// Forgets how it ended.
    pub(crate) fn forget(&self, plan: &mut Plan, progress: &Progress) {
        if progress.rc.is_some() {
            let path = self.file("rc");
            let recursive = false;
            plan.push_all(Vec::new(), Edit::Remove(Remove { path, recursive }));
        }
    }
}

/// The script: each program in turn, until one fails that must not.
fn script(attempts: &[Program], programs: &[Program]) -> Result<String, ModuleError> {
    let mut text = format!("#!/bin/sh\n{HEAD}");
    let attempts = attempts.iter().map(|it| (it, "true"));
    for (program, or) in attempts.chain(programs.iter().map(|it| (it, "ends $?"))) {
        if program.stdin.is_some() || program.argv.is_empty() {
            return Err(ModuleError::new(
                "a program that cannot be part of a script",
            ));
        }
        let shown = quoted(&program.shown().to_string());
        let _ = writeln!(text, "printf '== %s %s\\n' \"$(date)\" {shown}");
        if let Some(dir) = &program.chdir {
            let _ = writeln!(text, "cd {} || ends 1", quoted(dir));
        }
        text.push_str("env");
        let settings = program
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        for word in settings.chain(program.argv.iter().cloned()) {
            text.push(' ');
            text.push_str(&quoted(&word));
        }
        let _ = writeln!(text, " || {or}");
    }
    text.push_str("ends 0\n");
    Ok(text)
}

/// One word of a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    fn job() -> Job {
        Job::new(Path::new("/r"), "r1", "install")
    }

    #[test]
    fn how_far_it_is() {
        let host = FakeHost::bare();
        assert_eq!(job().look(&host), Progress::default());
        let host = host.file("/r/install.sh", "").file("/r/install.pid", "7\n");
        assert!(job().look(&host).begun && !job().look(&host).running);
        // Another process has the number now.
        let other = host
            .clone()
            .file("/proc/7/cmdline", "sh\0/r/install.sh.bak\0");
        assert!(!job().look(&other).running);
        let host = host.file("/proc/7/cmdline", "sh\0/r/install.sh\0");
        assert!(job().look(&host).running);
        let ended = job().look(&FakeHost::bare().file("/r/install.rc", "100 37\n"));
        assert_eq!((ended.rc, ended.seconds), (Some(100), 37));
        let broken = job().look(&FakeHost::bare().file("/r/install.rc", "x"));
        assert_eq!(broken.rc, None);
    }

    #[test]
    fn words_of_programs_stay_words() {
        let program = Program::new(["apt-get", "install", "a='$(reboot)'"]).env("A", "b c");
        let text = script(&[], &[program]).unwrap();
        assert!(
            text.contains("env 'A=b c' 'apt-get' 'install' 'a='\\''$(reboot)'\\''' || ends $?\n")
        );
        assert!(script(&[], &[Program::new(["x"]).stdin("y")]).is_err());
    }

    /// The scripts themselves, by the shell of this machine.
    #[test]
    fn a_shell_runs_it_and_says_how_it_ended() {
        let dir = std::env::temp_dir().join(format!("hostler-job-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let base = dir.join("install");
        for (program, status, said) in [
            (Program::new(["sh", "-c", "echo it works"]), 0, ""),
            (
                Program::new([
                    "sh",
                    "-c",
                    "echo 'dpkg: error processing x:'; echo ' it fails'; echo E: more >&2; exit 3",
                ]),
                3,
                "E: more\ndpkg: error processing x: it fails ",
            ),
        ] {
            let _ = std::fs::remove_file(base.with_extension("rc"));
            let programs = [program, Program::new(["true"])];
            std::fs::write(
                base.with_extension("sh"),
                script(&[Program::new(["false"])], &programs).unwrap(),
            )
            .unwrap();
            let ran = std::process::Command::new("sh")
                .arg(base.with_extension("sh"))
                .env("HOSTLER_INHIBITED", "1")
                .status()
                .unwrap();
            assert_eq!(ran.code(), Some(status));
            let waited = std::process::Command::new("sh")
                .args(["-c", WAIT, "sh", base.to_str().unwrap()])
                .output()
                .unwrap();
            assert_eq!(waited.status.code(), Some(status));
            assert!(String::from_utf8_lossy(&waited.stderr).ends_with(said));
        }
        let log = std::fs::read_to_string(base.with_extension("log")).unwrap();
        assert!(log.contains("it works\n") && log.contains(" it fails\nE: more\n"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
