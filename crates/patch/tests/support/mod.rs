//! Fleets in words, for tests: scans and the simulations of a package manager that does what it is asked.
//!
//! ```text
//! == policy          the YAML
//! == inventory       GROUP: HOST HOST ...
//! == fleet           PATTERN: WORD ARGS; WORD ARGS; ...     later lines add to earlier ones
//! == advisories      JSON of Debian's security tracker
//! == now             2026-12-08 10:00 (UTC)
//! == show            plan | forecast | host NAME | explain NAME [WHAT] | lint
//! == expected
//! ```
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "shared by test files that need different parts of it"
)]

use std::collections::BTreeMap;
use std::path::Path;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_inventory::{Inventory, Pattern};
use hostler_patch::known::Known;
use hostler_patch::ledger::{Disproven, Proven, package_key, version_key};
use hostler_patch::plan::Plan;
use hostler_patch::planner::{Answer, Asked, Input, Scanned, VALID_FOR_S, plan};
use hostler_patch::policy::{Checked, FileText, Files, Hosts, HostsProblem, PolicyFile, lint};
use hostler_patch::select::{Request, Selection, select};
use hostler_schedule::{Zone, parse_date_time, parse_duration};
use hostler_updates::{
    Action, ActionKind, BootClass, Class, Competitor, Conffile, DatabaseState, Finding, Firmware,
    Hold, Kernel, Manager, Os, PackageName, Reboot, RebootNeed, Repository, Resolution, Scan,
    Severity, SnapshotProvider, SourcePackage, Space, Update, WayBack,
};

pub struct Case {
    pub sections: BTreeMap<String, String>,
}

impl Case {
    pub fn parse(text: &str) -> Case {
        let mut sections: BTreeMap<String, String> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("== ") {
                name.trim().clone_into(&mut current);
                sections.insert(current.clone(), String::new());
            } else if let Some(section) = sections.get_mut(&current) {
                section.push_str(line);
                section.push('\n');
            }
        }
        Case { sections }
    }

    pub fn section(&self, name: &str) -> &str {
        self.sections.get(name).map_or("", String::as_str)
    }

    pub fn now_us(&self) -> i64 {
        let text = self.section("now").trim();
        let text = if text.is_empty() {
            "2026-12-08 10:00"
        } else {
            text
        };
        Zone::utc().resolve(parse_date_time(text).unwrap()).at_us
    }
}

/// What a host is, before it is turned into a scan.
#[derive(Clone, Debug)]
pub struct Made {
    pub scan: Scan,
    pub resolution: Resolution,
    /// By wanted package: what comes along.
    pub brings: BTreeMap<String, Vec<Action>>,
    pub lost: Option<Asked>,
    pub skew_s: u64,
}

pub struct Fleet {
    pub inventory: Inventory,
    pub hosts: BTreeMap<String, Made>,
    pub known: Known,
    pub now_us: i64,
    /// How often hosts were asked to resolve.
    pub asked: usize,
}

pub fn package(name: &str) -> PackageName {
    PackageName {
        name: name.into(),
        arch: "amd64".into(),
    }
}

pub fn scan() -> Scan {
    Scan {
        taken_us: 0,
        boot_id: "b".into(),
        uptime_s: 86_400,
        os: Os {
            id: "debian".into(),
            version: "13".into(),
            name: "Debian GNU/Linux 13".into(),
            codename: "trixie".into(),
        },
        arch: "x86_64".into(),
        kernel: Kernel::default(),
        boot_class: BootClass {
            firmware: Firmware::Bios,
            virtualisation: "kvm".into(),
            model: String::new(),
        },
        manager: Manager::Apt,
        installed_sha256: "0".repeat(64),
        installed: 400,
        repositories: vec![Repository {
            classifies: true,
            ..Repository::default()
        }],
        updates: Vec::new(),
        holds: Vec::new(),
        reboot: Reboot {
            need: RebootNeed::No,
            reasons: Vec::new(),
        },
        stale: Vec::new(),
        database: DatabaseState::Whole,
        space: Vec::new(),
        competitors: Vec::new(),
        conffiles: Vec::new(),
        forbidden: None,
        users: Vec::new(),
        findings: Vec::new(),
    }
}

pub fn update(name: &str, from: &str, to: &str, class: Class) -> Update {
    Update {
        package: package(name),
        from: Some(from.into()),
        to: to.into(),
        suites: vec!["stable-security".into()],
        class,
        security_version: None,
        severity: None,
        advisories: Vec::new(),
        cves: Vec::new(),
        download_bytes: 1 << 20,
        kept_back: None,
        phased_percent: None,
        source: None,
    }
}

pub fn made() -> Made {
    Made {
        scan: scan(),
        resolution: Resolution::default(),
        brings: BTreeMap::new(),
        lost: None,
        skew_s: 0,
    }
}

fn bytes(text: &str) -> u64 {
    let (digits, unit) = text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap());
    let factor = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => panic!("no unit: {other}"),
    };
    digits.parse::<u64>().unwrap() * factor
}

impl Fleet {
    pub fn of(case: &Case) -> Fleet {
        let mut inventory = Inventory::new();
        let mut hosts = BTreeMap::new();
        for line in case
            .section("inventory")
            .lines()
            .filter(|it| !it.trim().is_empty())
        {
            let (group, names) = line.split_once(':').unwrap();
            for name in names.split_whitespace().flat_map(expand) {
                inventory.add_host(
                    &name,
                    &[group.trim().to_owned()],
                    Vec::new().into_iter().collect(),
                );
                hosts.insert(name, made());
            }
        }
        let mut fleet = Fleet {
            inventory,
            hosts,
            known: Known::default(),
            now_us: case.now_us(),
            asked: 0,
        };
        for line in case
            .section("fleet")
            .lines()
            .filter(|it| !it.trim().is_empty())
        {
            let (pattern, words) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            let (selected, problems) = Hosts::select(&fleet, pattern.trim());
            assert!(problems.is_empty(), "{pattern}: {problems:?}");
            for word in words.split(';') {
                for host in &selected {
                    fleet.apply(host, word.trim());
                }
            }
        }
        let mut index = hostler_advisories::Index::default();
        let advisories = case.section("advisories");
        if !advisories.is_empty() {
            index.read(advisories.as_bytes()).unwrap();
            index.finish();
        }
        for made in fleet.hosts.values_mut() {
            hostler_advisories::describe(&index, &mut made.scan);
        }
        fleet
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each word of the language"
    )]
    fn apply(&mut self, name: &str, text: &str) {
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let all = rest.join(" ");
        let now_us = self.now_us;
        let host = self.hosts.get_mut(name).unwrap();
        let scan = &mut host.scan;
        match (word, &rest[..]) {
            ("os", [id, version]) => {
                scan.os = Os {
                    id: (*id).into(),
                    version: (*version).into(),
                    name: format!("{id} {version}"),
                    codename: String::new(),
                };
            }
            ("arch", [arch]) => scan.arch = (*arch).into(),
            ("boot", [firmware, virtualisation, model @ ..]) => {
                scan.boot_class = BootClass {
                    firmware: match *firmware {
                        "uefi" => Firmware::Uefi,
                        "bios" => Firmware::Bios,
                        _ => Firmware::None,
                    },
                    virtualisation: if *virtualisation == "metal" {
                        "none"
                    } else {
                        virtualisation
                    }
                    .into(),
                    model: model.join(" "),
                };
            }
            ("update", [package_name, from, "->", to, class, more @ ..]) => {
                let class = match *class {
                    "security" => Class::Security,
                    "bugfix" => Class::Bugfix,
                    _ => Class::Unknown,
                };
                let mut it = update(package_name, from, to, class);
                for word in more {
                    let (key, value) = word.split_once('=').unwrap_or((word, ""));
                    match key {
                        "size" => it.download_bytes = bytes(value),
                        "sec" => it.security_version = Some(value.into()),
                        "src" => {
                            it.source = Some(SourcePackage {
                                name: value.into(),
                                from: Some((*from).into()),
                                to: (*to).into(),
                            });
                        }
                        "cve" => it.cves.push(value.into()),
                        "kept" => it.kept_back = Some("would remove something".into()),
                        "phased" => {
                            it.phased_percent = Some(value.parse().unwrap());
                            it.kept_back = Some("phased".into());
                        }
                        "severity" => {
                            it.severity = Some(match value {
                                "critical" => Severity::Critical,
                                "important" => Severity::Important,
                                "moderate" => Severity::Moderate,
                                _ => Severity::Low,
                            });
                        }
                        "seen" => {
                            let ago = i64::try_from(parse_duration(value).unwrap()).unwrap();
                            let key = version_key(&scan.os, &it.package, to);
                            self.known.first_seen.insert(key, now_us - ago * 1_000_000);
                        }
                        other => panic!("no word for updates: {other}"),
                    }
                }
                scan.updates.retain(|old| old.package != it.package);
                scan.updates.push(it);
            }
            ("brings", [wanted, kind, other, version]) => {
                let action = Action {
                    package: package(other),
                    kind: match *kind {
                        "remove" => ActionKind::Remove,
                        "install" => ActionKind::Install,
                        _ => ActionKind::Upgrade,
                    },
                    from: (*kind != "install").then(|| "1".into()),
                    to: (*kind != "remove").then(|| (*version).into()),
                    suites: Vec::new(),
                    class: Class::Unknown,
                    download_bytes: 0,
                    sha256: None,
                    dependency: true,
                };
                host.brings
                    .entry((*wanted).into())
                    .or_default()
                    .push(action);
            }
            ("untold", []) => scan.findings.push(Finding {
                code: Finding::NO_ADVISORIES.into(),
                text: "the package lists name none".into(),
            }),
            ("unreachable", _) => host.lost = Some(Asked::Unreachable(all)),
            ("failed", _) => host.lost = Some(Asked::Failed(all)),
            ("hold", [pattern, by @ ..]) => scan.holds.push(Hold {
                package: (*pattern).into(),
                by: by.join(" "),
            }),
            ("pending", _) => {
                scan.reboot = Reboot {
                    need: RebootNeed::Yes,
                    reasons: vec![all],
                };
            }
            ("reboots", _) => host.resolution.reboot_reasons.push(all),
            ("restarts", [unit]) => host.resolution.restarts.push((*unit).into()),
            ("forbidden", _) => scan.forbidden = Some(all),
            ("skew", [seconds]) => host.skew_s = seconds.parse().unwrap(),
            ("free", [path, size]) => scan.space.push(Space {
                path: (*path).into(),
                free_bytes: bytes(size),
                size_bytes: 100 << 30,
                free_inodes: None,
            }),
            ("silent", []) => scan
                .repositories
                .iter_mut()
                .for_each(|it| it.classifies = false),
            ("interrupted", _) => scan.database = DatabaseState::Interrupted(all),
            ("competitor", [unit]) => scan.competitors.push(Competitor {
                name: (*unit).into(),
                state: "active".into(),
            }),
            ("conffile", [path, of]) => {
                host.resolution.conffiles.push(Conffile {
                    path: (*path).into(),
                    package: (*of).into(),
                });
            }
            ("uptime", [time]) => scan.uptime_s = parse_duration(time).unwrap(),
            ("gone", [name, why @ ..]) => {
                host.resolution
                    .impossible
                    .push((package(name), why.join(" ")));
            }
            ("oldgone", [name]) => host.resolution.way_back.missing.push(package(name)),
            ("snapshots", []) => host.resolution.way_back.snapshot = Some(SnapshotProvider::Btrfs),
            ("oldkernel", []) => host.resolution.way_back.older_kernel = true,
            ("proven", [name, version, more @ ..]) => {
                let key = package_key(&scan.os, &scan.arch, &package(name));
                self.known.proven.entry(key).or_default().push(Proven {
                    version: Some((*version).into()),
                    hosts: more.iter().map(|&it| it.to_owned()).collect(),
                    rebooted_hosts: more.iter().map(|&it| it.to_owned()).collect(),
                });
            }
            ("disproven", [name, version, why @ ..]) => {
                let key = package_key(&scan.os, &scan.arch, &package(name));
                self.known
                    .disproven
                    .entry(key)
                    .or_default()
                    .push(Disproven {
                        version: Some((*version).into()),
                        hosts: Vec::new(),
                        why: why.join(" "),
                        cleared_by: None,
                    });
            }
            _ => panic!("no such word: {text}"),
        }
    }

    /// What the package manager of a host would do.
    pub fn resolve(&mut self, name: &str, selection: &Selection) -> Resolution {
        self.asked += 1;
        let host = &self.hosts[name];
        let mut resolution = host.resolution.clone();
        let wants =
            |package: &PackageName| selection.wanted.iter().any(|it| it.package == *package);
        resolution.impossible.retain(|(package, _)| wants(package));
        for wanted in &selection.wanted {
            if resolution
                .impossible
                .iter()
                .any(|(it, _)| *it == wanted.package)
            {
                continue;
            }
            let update = host
                .scan
                .updates
                .iter()
                .find(|it| it.package == wanted.package);
            let update = update.unwrap();
            resolution.actions.push(Action {
                package: wanted.package.clone(),
                kind: ActionKind::Upgrade,
                from: update.from.clone(),
                to: Some(wanted.version.clone()),
                suites: update.suites.clone(),
                class: update.class,
                download_bytes: update.download_bytes,
                sha256: None,
                dependency: false,
            });
            resolution.download_bytes += update.download_bytes;
            let brings = host.brings.get(&wanted.package.name);
            resolution
                .actions
                .extend(brings.into_iter().flatten().cloned());
        }
        resolution.actions.sort_by(|a, b| a.package.cmp(&b.package));
        resolution.actions.dedup_by(|a, b| a.package == b.package);
        let names = |it: &&Action| it.kind == ActionKind::Upgrade;
        let of = u32::try_from(resolution.actions.iter().filter(names).count()).unwrap();
        let there: Vec<PackageName> = resolution
            .actions
            .iter()
            .map(|it| it.package.clone())
            .collect();
        resolution.way_back.missing.retain(|it| there.contains(it));
        let missing = u32::try_from(resolution.way_back.missing.len()).unwrap();
        resolution.way_back = WayBack {
            packages: of - missing,
            of,
            ..resolution.way_back
        };
        if of == 0 {
            resolution.reboot_reasons.clear();
            resolution.restarts.clear();
            resolution.conffiles.clear();
        }
        resolution
    }

    /// Scans all targets and makes a plan, as the program does.
    pub fn plan(&mut self, file: &PolicyFile, checked: &Checked, request: &Request) -> Plan {
        let schedule = checked.schedule.as_ref().unwrap();
        let mut hosts: BTreeMap<String, Asked> = BTreeMap::new();
        for name in &checked.members.targets {
            let host = &self.hosts[name];
            let asked = host.lost.clone().unwrap_or_else(|| {
                let selection = select(
                    file,
                    &checked.members,
                    name,
                    &host.scan,
                    &self.known,
                    request,
                    self.now_us,
                );
                Asked::Scanned(Box::new(Scanned {
                    scan: host.scan.clone(),
                    skew_s: host.skew_s,
                    selection,
                    resolution: None,
                }))
            });
            hosts.insert(name.clone(), asked);
        }
        for _ in 0..50 {
            let input = Input {
                file,
                members: &checked.members,
                schedule,
                files: &NoFiles,
                known: &self.known,
                request,
                hosts: &hosts,
                made_by: "ops@controller",
                now_us: self.now_us,
                valid_for_s: VALID_FOR_S,
            };
            let ask = match plan(&input).unwrap() {
                Answer::Plan(plan) => return *plan,
                Answer::Ask(ask) => ask,
            };
            for (name, selection) in ask {
                let resolution = self.resolve(&name, &selection);
                if let Some(Asked::Scanned(scanned)) = hosts.get_mut(&name) {
                    scanned.selection = selection;
                    scanned.resolution = Some(resolution);
                }
            }
        }
        panic!("the planner asks again and again");
    }
}

/// `web[1:20]` as the hosts that it stands for.
fn expand(name: &str) -> Vec<String> {
    let Some((head, range)) = name.split_once('[') else {
        return vec![name.to_owned()];
    };
    let (first, last) = range.trim_end_matches(']').split_once(':').unwrap();
    let width = first.len();
    (first.parse::<u32>().unwrap()..=last.parse().unwrap())
        .map(|it| format!("{head}{it:0width$}"))
        .collect()
}

impl Hosts for Fleet {
    fn select(&self, pattern: &str) -> (Vec<String>, Vec<HostsProblem>) {
        let found = self.inventory.select(&Pattern::parse(pattern));
        let problems = found.problems.into_iter().map(|it| HostsProblem {
            message: it.message,
            hint: it.suggestion.map(|it| format!("did you mean `{it}`?")),
            malformed: it.malformed,
        });
        let hosts = found.hosts.iter().map(ToString::to_string).collect();
        (hosts, problems.collect())
    }
}

/// Knows two tasks files and a calendar.
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<FileText, String> {
        let text = match path {
            "drain.yml" | "undrain.yml" => "- debug: msg=x\n",
            "freeze.ics" => {
                "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Sale freeze\r\n\
                 DTSTART;VALUE=DATE:20261212\r\nDTEND;VALUE=DATE:20261213\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            }
            _ => return Err("no such file".into()),
        };
        Ok(FileText {
            path: format!("/policies/{path}"),
            text: text.into(),
        })
    }
}

/// A problem on one line, with its place and hints.
pub fn problem_text(sources: &SourceMap, problem: &Diagnostic) -> String {
    let place = problem
        .labels
        .first()
        .map(|it| sources.locate(it.span).to_string());
    let there = problem.labels.first().map(|it| sources.slice(it.span));
    let there = there.unwrap_or_default();
    let first = there.lines().next().unwrap_or_default();
    let level = if problem.is_error() {
        "error"
    } else {
        "warning"
    };
    let mut text = format!(
        "{level}[{}] {}: {}  ‹{first}›",
        problem.code,
        place.unwrap_or_default(),
        problem.message
    );
    for hint in &problem.hints {
        text.push_str("\n    hint: ");
        text.push_str(hint);
    }
    text
}

/// Reads a policy and looks at it with a fleet.
pub fn load(sources: &SourceMap, text: &str) -> (Option<PolicyFile>, Vec<Diagnostic>) {
    PolicyFile::load(sources, Path::new("policy.yml"), text)
}

pub fn load_and_lint(
    sources: &SourceMap,
    text: &str,
    fleet: &Fleet,
) -> (Option<(PolicyFile, Checked)>, Vec<Diagnostic>) {
    let (file, mut problems) = load(sources, text);
    let Some(file) = file else {
        return (None, problems);
    };
    let checked = lint(&file, fleet, &NoFiles, fleet.now_us);
    problems.extend(checked.diagnostics.clone());
    (Some((file, checked)), problems)
}
