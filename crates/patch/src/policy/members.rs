//! Which hosts the patterns of a policy stand for.

use std::collections::{BTreeMap, BTreeSet};

use hostler_diag::Diagnostic;

use super::waves::WaveHosts;
use super::{PolicyFile, Step};

/// Knows the hosts of the inventory.
pub trait Hosts {
    /// The hosts that a pattern (as plays have it) selects, and what is wrong with the pattern.
    fn select(&self, pattern: &str) -> (Vec<String>, Vec<HostsProblem>);
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsProblem {
    /// A fragment for a message: `no host or group matches ...`.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Is it malformed, rather than naming something unknown?
    pub malformed: bool,
}

/// A set of hosts.
pub type HostSet = BTreeSet<String>;

/// The hosts behind each pattern of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Hosts of the policy.
    pub targets: HostSet,
    /// By wave: the hosts of its pattern, or that its canary has besides. `None`: it has no pattern.
    pub waves: Vec<Option<HostSet>>,
    /// By group: its hosts, also such that are no targets.
    pub groups: BTreeMap<String, HostSet>,
    /// By group: those that come last.
    pub last: BTreeMap<String, HostSet>,
    /// By window: the hosts for which it is a limit.
    pub windows: BTreeMap<String, HostSet>,
    /// By exception: its hosts.
    pub exceptions: Vec<HostSet>,
    /// Hosts that need a way back.
    pub require_ready: HostSet,
    /// By role: its hosts.
    pub roles: BTreeMap<String, HostSet>,
}

impl Members {
    /// Asks the inventory for each pattern. Every problem is reported at its place.
    pub fn resolve(file: &PolicyFile, hosts: &dyn Hosts) -> (Self, Vec<Diagnostic>) {
        let mut resolver = Resolver {
            file,
            hosts,
            diagnostics: Vec::new(),
        };
        let members = resolver.all();
        (members, resolver.diagnostics)
    }

    /// The roles of a host, joined; empty if it has none.
    pub fn role_of(&self, host: &str) -> String {
        let roles = self.roles.iter().filter(|(_, hosts)| hosts.contains(host));
        let names: Vec<&str> = roles.map(|(name, _)| name.as_str()).collect();
        names.join("+")
    }

    /// Does it come last of its wave?
    pub fn is_last(&self, host: &str) -> bool {
        self.last.values().any(|hosts| hosts.contains(host))
    }
}

struct Resolver<'a> {
    file: &'a PolicyFile,
    hosts: &'a dyn Hosts,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Resolver<'a> {
    fn all(&mut self) -> Members {
        let policy = &self.file.policy;
        let targets = self.targets();
        let waves = policy.waves.iter().enumerate();
        let waves = waves.map(|(at, wave)| match &wave.hosts {
            WaveHosts::Pattern(pattern) => {
                let path = [Step::Key("waves"), Step::Item(at)];
                let long = [path[0], path[1], Step::Key("hosts")];
                Some(self.select_one(pattern, &long))
            }
            WaveHosts::Auto(auto) if !auto.plus.0.is_empty() => {
                let path = [
                    Step::Key("waves"),
                    Step::Item(at),
                    Step::Key("hosts"),
                    Step::Key("plus"),
                ];
                Some(self.select(&auto.plus.0, &path))
            }
            _ => None,
        });
        let waves = waves.collect();
        let groups: BTreeMap<String, HostSet> = policy
            .groups
            .iter()
            .map(|(name, group)| {
                let path = [Step::Key("groups"), Step::Key(name), Step::Key("hosts")];
                (name.clone(), self.select(&group.hosts.0, &path))
            })
            .collect();
        let last = policy
            .groups
            .iter()
            .map(|(name, group)| {
                let path = [Step::Key("groups"), Step::Key(name), Step::Key("last")];
                (name.clone(), self.select(&group.last.0, &path))
            })
            .collect();
        let windows = policy
            .all_windows()
            .filter_map(|(name, window)| {
                let patterns = window.hosts.as_ref()?;
                let path = [Step::Key("windows"), Step::Key(name), Step::Key("hosts")];
                Some((name.to_owned(), self.select(&patterns.0, &path)))
            })
            .collect();
        let exceptions = policy
            .exceptions
            .iter()
            .enumerate()
            .map(|(at, exception)| match &exception.hosts {
                Some(patterns) => {
                    let path = [Step::Key("exceptions"), Step::Item(at), Step::Key("hosts")];
                    self.select(&patterns.0, &path)
                }
                None => targets.clone(),
            })
            .collect();
        let path = [Step::Key("rollback"), Step::Key("require_ready")];
        let require_ready = self.select(&policy.rollback.require_ready.0, &path);
        let roles = if policy.roles.0.is_empty() {
            groups.clone()
        } else {
            let roles = policy.roles.0.iter().enumerate();
            roles
                .map(|(at, role)| {
                    let path = [Step::Key("roles"), Step::Item(at)];
                    (role.clone(), self.select_one(role, &path))
                })
                .collect()
        };
        Members {
            targets,
            waves,
            groups,
            last,
            windows,
            exceptions,
            require_ready,
            roles,
        }
    }

    fn targets(&mut self) -> HostSet {
        let targets = &self.file.policy.targets;
        let plain = matches!(targets, super::Targets::Patterns(_));
        let mut path = vec![Step::Key("targets")];
        path.extend((!plain).then_some(Step::Key("include")));
        let mut hosts = self.select(targets.include(), &path);
        if !plain {
            let path = [Step::Key("targets"), Step::Key("exclude")];
            let without = self.select(targets.exclude(), &path);
            hosts.retain(|host| !without.contains(host));
        }
        hosts
    }

    fn select(&mut self, patterns: &'a [String], path: &[Step<'a>]) -> HostSet {
        // A list is one pattern, as it is for plays: `[web, "!web3"]`.
        let mut hosts = HostSet::new();
        if patterns.is_empty() {
            return hosts;
        }
        let joined = patterns.join(",");
        let (found, problems) = self.hosts.select(&joined);
        self.report(problems, path);
        hosts.extend(found);
        hosts
    }

    fn select_one(&mut self, pattern: &str, path: &[Step<'_>]) -> HostSet {
        let (found, problems) = self.hosts.select(pattern);
        self.report(problems, path);
        found.into_iter().collect()
    }

    /// A pattern that only takes away, or adds a duty, may name a group that the inventory does not have (yet).
    fn report(&mut self, problems: Vec<HostsProblem>, path: &[Step<'_>]) {
        const NEEDED: [&str; 4] = ["targets", "include", "waves", "groups"];
        const NOT_NEEDED: [&str; 2] = ["exclude", "last"];
        let has = |keys: &[&str]| {
            path.iter()
                .any(|it| matches!(it, Step::Key(key) if keys.contains(key)))
        };
        let needed = has(&NEEDED) && !has(&NOT_NEEDED);
        let span = self.file.places.span(path);
        for problem in problems {
            let hint = problem.hint;
            let found = Diagnostic::error("policy-hosts", problem.message).at(span);
            let problem = if needed || problem.malformed {
                found
            } else {
                found.softened()
            };
            self.diagnostics.push(match hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            });
        }
    }
}
