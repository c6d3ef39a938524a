//! What every scenario needs: hosts with the made packages, the policies of `playbooks/patching` fitted to this minute,
//! hostler, and a look at hosts past all of that.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use real_hosts::engine::{Engine, Outcome, Running};
use real_hosts::shell;
use serde_json::Value;
use xtask::fleet::{Fault, Guard, Host, Init};
use xtask::made::Archive;
use xtask::process::{checkout, run, wait_for};

use crate::web::Web;

/// Windows of the policies.
const MORNING: &str =
    r#"{zone: Europe/Berlin, weekly: [tue, wed, thu], at: "09:00", duration: 3h, reserve: 15m}"#;
const NIGHT: &str =
    r#"{zone: Europe/Berlin, monthly: 2nd tuesday, offset: 4d, at: "22:00", duration: 4h}"#;
const BACKUPS: &str =
    r#"{zone: Europe/Berlin, daily: true, at: "00:30", duration: 22h, hosts: db}"#;

/// Hosts, their archive, and a controller.
pub(crate) struct Night {
    pub(crate) fleet: Guard,
    pub(crate) hosts: Vec<Host>,
    pub(crate) archive: Archive,
    engine: Engine,
}

impl Night {
    /// `count` booted hosts with version 1.0 of everything, or `None` where hosts cannot be raised.
    pub(crate) fn raise(name: &str, count: usize) -> Option<Self> {
        let night = Self::bare(name, count)?;
        done(night.archive.install(&night.hosts));
        Some(night)
    }

    /// `count` booted hosts as Debian made them. The last three are the group `db`, all are `web`.
    pub(crate) fn bare(name: &str, count: usize) -> Option<Self> {
        let engine = Engine::under_test();
        if !engine.is_hostler() {
            return None;
        }
        let (fleet, hosts) = real_hosts::fleet(name, count, Init::Systemd)?;
        let archive = Archive::of(&fleet);
        let night = Self {
            fleet,
            hosts,
            archive,
            engine,
        };
        let db: String = night.hosts[count.saturating_sub(3)..]
            .iter()
            .map(|it| it.name.clone() + "\n")
            .collect();
        fs::write(night.groups(), format!("[db]\n{db}\n[appliance]\n")).expect("write groups");
        Some(night)
    }

    fn groups(&self) -> PathBuf {
        self.fleet.directory().join("groups.ini")
    }

    pub(crate) fn publish(&self, releases: &[&str]) {
        done(self.archive.publish(releases));
    }

    pub(crate) fn withdraw(&self, releases: &[&str]) {
        done(self.archive.withdraw(releases));
    }

    pub(crate) fn fault(&self, host: &Host, fault: Fault) {
        done(self.fleet.fault(host, fault));
    }

    /// `full.yml`, for this minute: its windows are open, nothing waits for days, and its gates ask `web`.
    pub(crate) fn full(&self, web: &Web, changes: &[(&str, &str)]) -> String {
        let address = web.address.to_string();
        let window = window_for(4 * 3600);
        let limit = window.replace('}', ", hosts: db}");
        let mut all = vec![
            ("www.example.com", address.as_str()),
            ("prometheus.example.com:9090", &address),
            ("  delay: 7d", "  delay: 0s"),
            ("soak: 2h", "soak: 1s"),
            ("soak: 30m", "soak: 1s"),
            ("logins: 3", "logins: 1"),
            (MORNING, &window),
            (NIGHT, &window),
            (BACKUPS, &limit),
        ];
        all.extend(changes);
        self.policy("full.yml", &all)
    }

    /// `monthly.yml`, for this minute: its window closes in so many seconds. `waves` takes the place of its waves.
    pub(crate) fn monthly(&self, seconds: u64, waves: &str, more: &str) -> String {
        let window = window_for(seconds);
        let waves = format!("waves: {waves}\n{more}");
        self.policy(
            "monthly.yml",
            &[(NIGHT, &window), ("waves: [1, 10%, rest]\n", &waves)],
        )
    }

    /// A policy of `playbooks/patching`, changed and written beside copies of its hooks and calendars.
    fn policy(&self, example: &str, changes: &[(&str, &str)]) -> String {
        let from = checkout().join("playbooks/patching");
        let to = self.fleet.directory().join("patching");
        run(Command::new("cp").arg("-rT").args([&from, &to])).expect("copy the policies");
        let mut text = fs::read_to_string(from.join(example)).expect("read the policy");
        for (old, new) in changes {
            assert!(
                text.contains(old),
                "{example} does not say `{old}`:\n{text}"
            );
            text = text.replace(old, new);
        }
        let path = to.join(example);
        fs::write(&path, text).expect("write the policy");
        path.display().to_string()
    }

    /// Runs `hostler patch ARGS` to its end. Commands that talk to hosts get the inventory.
    pub(crate) fn patch(&self, args: &[&str]) -> Outcome {
        self.start_patch(args).finish()
    }

    /// Starts `hostler patch ARGS`.
    pub(crate) fn start_patch(&self, args: &[&str]) -> Running {
        let (hosts, groups) = (self.fleet.inventory_file(None), self.groups());
        let (hosts, groups) = (hosts.display().to_string(), groups.display().to_string());
        let mut all = vec!["patch"];
        all.extend(args);
        if matches!(
            args[0],
            "scan"
                | "plan"
                | "lint"
                | "apply"
                | "forecast"
                | "explain"
                | "report"
                | "daemon"
                | "windows"
        ) {
            all.extend(["-i", &hosts, "-i", &groups]);
        }
        self.engine.start(&self.fleet, "home", &all)
    }

    /// Makes a plan and returns the file and what is in it.
    pub(crate) fn plan(&self, policy: &str) -> (String, Value) {
        let file = self
            .fleet
            .directory()
            .join("plan.json")
            .display()
            .to_string();
        let _ = fs::remove_file(&file);
        let planned = self.patch(&["plan", policy, "--out", &file]);
        let text = fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{file}: {error}\n{}", planned.output));
        (file, serde_json::from_str(&text).expect("a plan is JSON"))
    }

    /// Carries a plan out to its end.
    pub(crate) fn apply(&self, plan: &str) -> Ran {
        Ran::of(
            self.start_patch(&["apply", plan, "--output", "json"])
                .finish(),
        )
    }

    /// Starts to carry a plan out.
    pub(crate) fn start_apply(&self, plan: &str) -> Running {
        self.start_patch(&["apply", plan, "--output", "json"])
    }

    /// Goes on with the run that was the last one.
    pub(crate) fn start_resume(&self) -> Running {
        self.start_patch(&["resume", "--output", "json"])
    }

    /// The hosts that a plan has in a wave.
    pub(crate) fn wave<'a>(&'a self, plan: &Value, wave: u64) -> Vec<&'a Host> {
        let is_in = |host: &&Host| plan["hosts"][&host.name]["wave"].as_u64() == Some(wave);
        self.hosts.iter().filter(is_in).collect()
    }

    /// All hosts but these.
    pub(crate) fn others<'a>(&'a self, these: &[&Host]) -> Vec<&'a Host> {
        let is_other = |host: &&Host| these.iter().all(|it| it.name != host.name);
        self.hosts.iter().filter(is_other).collect()
    }
}

/// A patch run that has come to an end, told in JSON.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    /// The notes, in their order.
    pub(crate) notes: Vec<Value>,
    /// What came of each host.
    outcomes: Value,
}

impl Ran {
    pub(crate) fn of(outcome: Outcome) -> Self {
        let notes = notes(&outcome.output);
        let last = lines(&outcome.output).find(|it| it["event"] == "patch_run");
        Self {
            code: outcome.code,
            outcomes: last.map_or(Value::Null, |it| it["outcomes"].clone()),
            notes,
            output: outcome.output,
        }
    }

    /// The run, a line for each note: what a failed test shows.
    pub(crate) fn story(&self) -> String {
        if self.notes.is_empty() {
            return self.output.clone();
        }
        let told: Vec<String> = self.notes.iter().map(line).collect();
        format!("{}\n{}", told.join("\n"), self.outcomes)
    }

    /// Whether a note says all of these.
    pub(crate) fn notes_say(&self, note: &str, words: &[&str]) -> bool {
        let mut notes = self.notes.iter().filter(|it| it["note"] == note);
        notes.any(|it| {
            let text = it.to_string();
            words.iter().all(|word| text.contains(word))
        })
    }

    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "the run:\n{}", self.story());
        self
    }

    /// The word for what came of a host, and all that is said of it.
    #[track_caller]
    pub(crate) fn outcome(&self, host: &Host) -> (String, String) {
        let outcome = &self.outcomes[&host.name];
        let word = outcome["outcome"].as_str();
        let word = word.unwrap_or_else(|| panic!("nothing of {}:\n{}", host.name, self.story()));
        (word.to_owned(), outcome.to_string())
    }
}

/// A note, without what makes it long.
fn line(note: &Value) -> String {
    let text = if note["outcome"]["came"] == "done" {
        format!("ended {} {} done", note["host"], note["step"])
    } else {
        note.to_string()
    };
    text.chars().take(600).collect()
}

fn lines(output: &str) -> impl Iterator<Item = Value> {
    output
        .lines()
        .filter(|line| line.starts_with('{'))
        .filter_map(|line| serde_json::from_str(line).ok())
}

/// The notes that a run has told so far.
pub(crate) fn notes(output: &str) -> Vec<Value> {
    lines(output).filter(|it| it["note"].is_string()).collect()
}

/// The id of a run that is under way.
pub(crate) fn run_of(running: &Running) -> String {
    let opened = notes(&running.said())
        .into_iter()
        .find(|it| it["note"] == "opened");
    let opened = opened.unwrap_or_else(|| panic!("no run:\n{}", running.said()));
    opened["run"].as_str().expect("a run has an id").to_owned()
}

#[track_caller]
pub(crate) fn done(result: xtask::process::Result<()>) {
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A window that has been open since the beginning of this minute and closes in `seconds`.
pub(crate) fn window_for(seconds: u64) -> String {
    let date = |format: &str| {
        let output = run(Command::new("date").args(["-u", format])).expect("ask for the date");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let now = date("+%Y-%m-%d %H:%M %S");
    let mut words = now.split(' ');
    let (day, time, second) = (words.next(), words.next(), words.next());
    let second: u64 = second.and_then(|it| it.parse().ok()).expect("seconds");
    format!(
        "{{zone: UTC, once: {}, at: \"{}\", duration: {}s, reserve: 0s}}",
        day.expect("a day"),
        time.expect("a time"),
        seconds + second
    )
}

/// Versions of the made packages, without the common part of their names.
pub(crate) fn versions(host: &Host) -> BTreeMap<String, String> {
    let list = shell(
        host,
        "dpkg-query -W -f='${db:Status-Status} ${Package} ${Version}\n' 'hostler-made-*' | grep ^installed",
    );
    let line = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let name = words.next()?.strip_prefix("hostler-made-")?.to_owned();
        Some((name, words.next()?.to_owned()))
    };
    list.lines().filter_map(line).collect()
}

/// The version of one made package.
pub(crate) fn version(host: &Host, name: &str) -> String {
    versions(host).remove(name).unwrap_or_default()
}

/// What the service on a host says that it runs: `service 2.0, library 2.0`.
pub(crate) fn runs(host: &Host) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((host.address, 8042))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let answer = wait_for(Duration::from_secs(20), || ask().ok());
    let answer = answer.unwrap_or_else(|| panic!("{}: its service does not answer", host.name));
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    body.trim().replace('\n', ", ")
}

/// When a host was drained and when it was brought back, in the order of its log: seconds since the epoch.
pub(crate) fn drains(host: &Host) -> Vec<(f64, f64)> {
    let log = shell(host, "cat /var/log/drains 2>/dev/null || true");
    let times: Vec<(&str, f64)> = log
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(word, time)| (word, time.parse().expect("a time")))
        .collect();
    times
        .chunks(2)
        .map(|pair| match pair {
            [("drained", from), ("undrained", to)] => (*from, *to),
            _ => panic!("{}: {log}", host.name),
        })
        .collect()
}

pub(crate) fn boot_id(host: &Host) -> String {
    shell(host, "cat /proc/sys/kernel/random/boot_id")
}

/// What does not change on a host that nobody touches.
pub(crate) fn untouched(host: &Host) -> String {
    let state = "cat /proc/sys/kernel/random/boot_id; \
                 sha256sum /var/lib/dpkg/status; cat /var/log/drains 2>&1 || true; \
                 systemctl show --property=MainPID --value hostler-made";
    shell(host, state)
}

/// Versions in one line: `conf 2.0, lib 2.0`.
pub(crate) fn short(versions: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = versions
        .iter()
        .map(|(name, it)| format!("{name} {it}"))
        .collect();
    pairs.join(", ")
}

/// Waits until something holds while hostler goes on.
#[track_caller]
pub(crate) fn until(running: &Running, what: &str, holds: impl FnMut() -> bool) {
    let mut holds = holds;
    let held = wait_for(Duration::from_secs(180), || holds().then_some(()));
    if held.is_none() {
        let told: Vec<String> = notes(&running.said()).iter().map(line).collect();
        panic!("{what} does not come:\n{}", told.join("\n"));
    }
}
