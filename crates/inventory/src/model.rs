//! Hosts, groups and how they belong together.
//!
//! Hosts and groups live in two tables and name each other by index; nothing is ever removed, so indices stay good.
//! [`Inventory::reconcile`] makes Ansible's rules hold after every change: everything descends from `all`, and
//! `ungrouped` has exactly the hosts that are in no other group.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use hostler_diag::Span;
use hostler_yaml::Node;
use indexmap::IndexMap;

/// Variables by name, in the order of their definition.
pub type Vars = IndexMap<Arc<str>, Node>;

/// Where a host was first named, for `inventory_file` and `inventory_dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSource {
    /// The inventory file, absolute, or the host list as given.
    pub file: PathBuf,
    /// Its directory; none for a host list.
    pub dir: Option<PathBuf>,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name in the inventory.
    pub name: Arc<str>,
    /// Its own variables from the inventory (not those of files in `host_vars`).
    pub vars: Arc<Vars>,
    /// The inventory that named it first; none for a host that was added at run time and for the implicit localhost.
    pub source: Option<Arc<HostSource>>,
    /// Where it was named first.
    pub span: Option<Span>,
    /// Groups that list it, by index.
    pub(crate) groups: Vec<usize>,
    /// All its groups, weakest first, `all` left out.
    pub(crate) chain: Arc<[usize]>,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// Its variables from the inventory (not those of files in `group_vars`).
    pub vars: Arc<Vars>,
    /// `ansible_group_priority`: among groups of equal depth, the higher one wins.
    pub priority: i64,
    /// Longest way down from `all`, which has depth 0; deeper groups win.
    pub depth: u32,
    /// Where it was named first.
    pub span: Option<Span>,
    pub(crate) hosts: Vec<usize>,
    pub(crate) children: Vec<usize>,
    pub(crate) parents: Vec<usize>,
}

/// All hosts and groups.
#[derive(Clone, Debug)]
pub struct Inventory {
    pub(crate) hosts: IndexMap<Arc<str>, Host>,
    pub(crate) groups: IndexMap<Arc<str>, Group>,
}

/// The index of `all`.
pub(crate) const ALL: usize = 0;
/// The index of `ungrouped`.
pub(crate) const UNGROUPED: usize = 1;

/// Names that mean the controller even if no inventory lists them.
pub(crate) const LOCALHOST: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// Making a group the child of another would make it its own ancestor.
#[derive(Debug)]
pub(crate) struct Cycle;

impl Default for Inventory {
    fn default() -> Self {
        Self::new()
    }
}

impl Inventory {
    /// No hosts, and the groups `all` and `ungrouped`.
    pub fn new() -> Self {
        let mut inventory = Inventory {
            hosts: IndexMap::new(),
            groups: IndexMap::new(),
        };
        let all = inventory.group_entry("all", None);
        let ungrouped = inventory.group_entry("ungrouped", None);
        inventory.groups[all].children.push(ungrouped);
        inventory.groups[ungrouped].parents.push(all);
        inventory.reconcile();
        inventory
    }

    /// Hosts in the order in which they were first named.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &Host> {
        self.hosts.values()
    }

    /// Groups in the order in which they were first named; `all` and `ungrouped` come first.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.values()
    }

    /// A host by name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// A group by name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The hosts of a group and of the groups below it, in Ansible's order: level by level.
    pub fn group_hosts(&self, name: &str) -> Vec<&Host> {
        let Some(group) = self.groups.get_index_of(name) else {
            return Vec::new();
        };
        let hosts = self.hosts_below(group);
        hosts.into_iter().map(|index| &self.hosts[index]).collect()
    }

    /// The groups below a group, level by level, itself left out.
    pub fn descendants(&self, name: &str) -> Vec<&Group> {
        let Some(group) = self.groups.get_index_of(name) else {
            return Vec::new();
        };
        let below = self.below(group).into_iter().skip(1);
        below.map(|index| &self.groups[index]).collect()
    }

    /// The groups that a group lists as its children.
    pub fn children<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Group> {
        group.children.iter().map(|index| &self.groups[*index])
    }

    /// The hosts that a group lists itself.
    pub fn members<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Host> {
        group.hosts.iter().map(|index| &self.hosts[*index])
    }

    /// All groups of a host, those above its own included, weakest first; `all` is left out.
    ///
    /// This is the order of precedence: by depth, then `ansible_group_priority`, then name.
    pub fn groups_of<'a>(&'a self, host: &'a Host) -> impl DoubleEndedIterator<Item = &'a Group> {
        host.chain.iter().map(|index| &self.groups[*index])
    }

    /// The magic variable `group_names`: sorted, without `all`.
    pub fn group_names(&self, host: &Host) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.groups_of(host).map(|it| it.name.clone()).collect();
        names.sort();
        names
    }

    pub(crate) fn group_entry(&mut self, name: &str, span: Option<Span>) -> usize {
        if let Some(index) = self.groups.get_index_of(name) {
            return index;
        }
        let name: Arc<str> = name.into();
        let group = Group {
            name: name.clone(),
            vars: Arc::default(),
            priority: 1,
            depth: 0,
            span,
            hosts: Vec::new(),
            children: Vec::new(),
            parents: Vec::new(),
        };
        self.groups.insert_full(name, group).0
    }

    /// The host of that name, made if there is none; says whether it was made.
    pub(crate) fn host_entry(
        &mut self,
        name: &str,
        source: Option<&Arc<HostSource>>,
        span: Option<Span>,
    ) -> (usize, bool) {
        if let Some(index) = self.hosts.get_index_of(name) {
            return (index, false);
        }
        let name: Arc<str> = name.into();
        let host = Host {
            name: name.clone(),
            vars: Arc::default(),
            source: source.cloned(),
            span,
            groups: Vec::new(),
            chain: Arc::from([]),
        };
        (self.hosts.insert_full(name, host).0, true)
    }

    pub(crate) fn add_member(&mut self, group: usize, host: usize) {
        if !self.hosts[host].groups.contains(&group) {
            self.hosts[host].groups.push(group);
            self.groups[group].hosts.push(host);
        }
    }

    pub(crate) fn add_child(&mut self, parent: usize, child: usize) -> Result<(), Cycle> {
        if self.groups[parent].children.contains(&child) {
            return Ok(());
        }
        if self.below(child).contains(&parent) {
            return Err(Cycle);
        }
        self.groups[parent].children.push(child);
        self.groups[child].parents.push(parent);
        Ok(())
    }

    /// A group and all below it, level by level, each once.
    fn below(&self, group: usize) -> Vec<usize> {
        let mut found = vec![group];
        let mut seen = HashSet::from([group]);
        let mut at = 0;
        while let Some(&group) = found.get(at) {
            at += 1;
            for &child in &self.groups[group].children {
                if seen.insert(child) {
                    found.push(child);
                }
            }
        }
        found
    }

    pub(crate) fn hosts_below(&self, group: usize) -> Vec<usize> {
        let mut hosts = Vec::new();
        let mut seen = HashSet::new();
        for group in self.below(group) {
            hosts.extend(
                self.groups[group]
                    .hosts
                    .iter()
                    .filter(|host| seen.insert(**host)),
            );
        }
        hosts
    }

    /// Makes the rules hold; see the top of this file.
    pub(crate) fn reconcile(&mut self) {
        for group in 1..self.groups.len() {
            if self.groups[group].parents.is_empty() {
                // Cannot be a cycle unless `all` was made a child, which `add_child` would then refuse here.
                let _ = self.add_child(ALL, group);
            }
        }
        let mut grouped = HashSet::new();
        for host in 0..self.hosts.len() {
            let groups = &mut self.hosts[host].groups;
            if groups.iter().any(|it| *it != ALL && *it != UNGROUPED) {
                groups.retain(|it| *it != UNGROUPED);
                grouped.insert(host);
            } else {
                self.add_member(UNGROUPED, host);
            }
        }
        let ungrouped = &mut self.groups[UNGROUPED].hosts;
        ungrouped.retain(|host| !grouped.contains(host));
        self.measure_depths();
        for host in 0..self.hosts.len() {
            self.hosts[host].chain = self.chain(host);
        }
    }

    /// Depth is the longest way down, so a group's depth follows from all its parents' depths.
    fn measure_depths(&mut self) {
        let mut waiting: Vec<usize> = self.groups.values().map(|it| it.parents.len()).collect();
        let mut ready: Vec<usize> = (0..waiting.len()).filter(|it| waiting[*it] == 0).collect();
        while let Some(group) = ready.pop() {
            let depth = self.groups[group].depth + 1;
            for child in self.groups[group].children.clone() {
                let child_depth = &mut self.groups[child].depth;
                *child_depth = depth.max(*child_depth);
                waiting[child] -= 1;
                if waiting[child] == 0 {
                    ready.push(child);
                }
            }
        }
    }

    fn chain(&self, host: usize) -> Arc<[usize]> {
        let mut found: Vec<usize> = self.hosts[host].groups.clone();
        let mut seen: HashSet<usize> = found.iter().copied().collect();
        let mut at = 0;
        while let Some(&group) = found.get(at) {
            at += 1;
            for &parent in &self.groups[group].parents {
                if seen.insert(parent) {
                    found.push(parent);
                }
            }
        }
        found.retain(|group| *group != ALL);
        found.sort_by(|a, b| {
            let (a, b) = (&self.groups[*a], &self.groups[*b]);
            (a.depth, a.priority, &a.name).cmp(&(b.depth, b.priority, &b.name))
        });
        found.into()
    }
}

/// Changes at run time (`add_host`, `group_by`).
impl Inventory {
    /// Adds a host to groups, making what is not there, and sets variables of the host.
    ///
    /// Returns whether anything was new.
    pub fn add_host(&mut self, name: &str, groups: &[String], vars: Vars) -> bool {
        let (host, mut changed) = self.host_entry(name, None, None);
        for group in groups {
            let known = self.groups.contains_key(group.as_str());
            let group = self.group_entry(group, None);
            changed |= !known || !self.hosts[host].groups.contains(&group);
            self.add_member(group, host);
        }
        let own = Arc::make_mut(&mut self.hosts[host].vars);
        for (name, value) in vars {
            let before = own.insert(name, value.clone());
            changed |= before.is_none_or(|it| it.to_literal() != value.to_literal());
        }
        self.reconcile();
        changed
    }

    /// Puts a host into a group, which becomes a child of `parents`. Returns whether anything was new; none if the host
    /// is unknown or the parents would make a cycle.
    pub fn group_by(&mut self, host: &str, group: &str, parents: &[String]) -> Option<bool> {
        let host = self.hosts.get_index_of(host)?;
        let known = self.groups.contains_key(group);
        let group = self.group_entry(group, None);
        let mut changed = !known || !self.hosts[host].groups.contains(&group);
        for parent in parents {
            let parent = self.group_entry(parent, None);
            changed |= !self.groups[parent].children.contains(&group);
            self.add_child(parent, group).ok()?;
        }
        self.add_member(group, host);
        self.reconcile();
        Some(changed)
    }
}

impl Host {
    /// The magic variable `inventory_hostname_short`.
    pub fn short_name(&self) -> &str {
        short_name(&self.name)
    }
}

/// A host name up to its first dot, or all of an IP address.
pub fn short_name(name: &str) -> &str {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return name;
    }
    name.split('.').next().unwrap_or(name)
}

/// Does the name mean the controller even if no inventory lists it?
pub fn is_localhost(name: &str) -> bool {
    LOCALHOST.contains(&name)
}
