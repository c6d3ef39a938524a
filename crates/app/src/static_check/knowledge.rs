//! Which variables the run sets, where, and which names nobody knows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hostler_inventory::Vars;
use hostler_playbook::{Context, Entry, Play, Task};
use hostler_vars::VarStore;

use crate::inputs::{Inputs, LoadedPlay};

/// Names that hosts have, or templates, whatever the user's files say.
const PROVIDED: [&str; 13] = [
    "environment",
    "group_names",
    "groups",
    "hostvars",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "playbook_dir",
    "template_destpath",
    "template_fullpath",
    "template_path",
    "vars",
];

/// Modules that bring facts.
const FACT_MODULES: [&str; 3] = ["setup", "gather_facts", "hostname"];

/// Starts of names of facts that `setup` gathers, without `ansible_`. Others may be anything.
const FACTS: [&str; 36] = [
    "all_ipv",
    "apparmor",
    "architecture",
    "bios_",
    "board_",
    "chassis_",
    "cmdline",
    "date_time",
    "default_ipv",
    "devices",
    "distribution",
    "dns",
    "domain",
    "env",
    "fips",
    "fqdn",
    "hostname",
    "interfaces",
    "kernel",
    "local",
    "lsb",
    "lvm",
    "machine",
    "mem",
    "mounts",
    "nodename",
    "os_family",
    "pkg_mgr",
    "processor",
    "product_",
    "python",
    "selinux",
    "service_mgr",
    "swap",
    "system",
    "virtualization_",
];

/// Is the variable one that only facts set?
pub(super) fn is_fact(name: &str) -> bool {
    let fact = name.strip_prefix("ansible_");
    fact.is_some_and(|fact| {
        fact == "facts"
            || (!fact.starts_with("local_") && !fact.starts_with("python_"))
                && FACTS.iter().any(|start| fact.starts_with(start))
    })
}

/// Names that one play sets on its hosts.
type Names = Arc<HashSet<String>>;

/// What is known of variables beside their values.
pub(super) struct Knowledge {
    pub(super) store: VarStore,
    /// By host: what each of its plays sets.
    learned: HashMap<String, Vec<Names>>,
    /// What tasks set that are delegated: the host that gets it may be any.
    delegated: HashSet<String>,
    /// By host: the first play that gathers facts on it.
    gathers: HashMap<String, usize>,
    /// The first play with a task that gathers facts on a host that it delegates to, which may be any.
    gathers_elsewhere: Option<usize>,
    /// Every name that has a value somewhere, for some host.
    anywhere: HashSet<String>,
}

impl Knowledge {
    pub(super) fn new(inputs: &Inputs, store: VarStore) -> Self {
        let mut knowledge = Knowledge {
            store,
            learned: HashMap::new(),
            delegated: HashSet::new(),
            gathers: HashMap::new(),
            gathers_elsewhere: None,
            anywhere: HashSet::new(),
        };
        knowledge.inventory(inputs);
        let mut number = 0;
        for book in &inputs.playbooks {
            for files in [&book.var_files.groups, &book.var_files.hosts] {
                files.values().for_each(|vars| knowledge.vars(vars));
            }
            for play in &book.plays {
                knowledge.play(play, number);
                number += 1;
            }
        }
        knowledge
    }

    fn play(&mut self, play: &LoadedPlay, number: usize) {
        play.vars_files.iter().for_each(|vars| self.vars(vars));
        self.context(&play.play.context);
        let mut names = HashSet::new();
        let off = play.play.gather_facts.as_ref();
        let mut gathers = !off.is_some_and(|node| node.to_literal().to_bool() == Ok(false));
        each_entry(&play.play, &mut |found| match found {
            Found::Task(task) => {
                names.extend(set_by(task));
                self.context(&task.context);
                let brings_facts = FACT_MODULES.contains(&task.module.as_str());
                gathers |= brings_facts;
                if task.context.nearest(|it| it.delegate_to.as_ref()).is_some() {
                    self.delegated.extend(set_by(task));
                    if brings_facts {
                        self.gathers_elsewhere.get_or_insert(number);
                    }
                }
            }
            Found::Context(context) => self.context(context),
        });
        self.anywhere.extend(names.iter().cloned());
        self.anywhere.extend(loop_names(&play.play));
        let names = Arc::new(names);
        for host in &play.hosts {
            let plays = self.learned.entry(host.clone()).or_default();
            plays.push(names.clone());
            if gathers {
                self.gathers.entry(host.clone()).or_insert(number);
            }
        }
    }

    /// May facts of the host be known in a play, counted from 0 over all playbooks?
    pub(super) fn has_facts(&self, host: &str, play: usize) -> bool {
        let own = self.gathers.get(host).copied();
        own.is_some_and(|first| first <= play)
            || self.gathers_elsewhere.is_some_and(|first| first <= play)
    }

    fn inventory(&mut self, inputs: &Inputs) {
        self.vars(&inputs.extra);
        let inventory = &inputs.loaded.inventory;
        inventory.hosts().for_each(|host| self.vars(&host.vars));
        inventory.groups().for_each(|group| self.vars(&group.vars));
        let files = &inputs.loaded.var_files;
        for vars in files.groups.values().chain(files.hosts.values()) {
            self.vars(vars);
        }
    }

    fn vars(&mut self, vars: &Vars) {
        for name in vars.keys() {
            if !self.anywhere.contains(&**name) {
                self.anywhere.insert(name.to_string());
            }
        }
    }

    fn context(&mut self, context: &Context) {
        let own = context.keywords.vars.iter();
        let keys = own.flat_map(|vars| vars.entries.iter().filter_map(|(key, _)| key.as_str()));
        self.anywhere.extend(keys.map(str::to_owned));
    }

    /// Does a task of the host's plays set the variable?
    pub(super) fn learns(&self, host: &str, name: &str) -> bool {
        let plays = self.learned.get(host);
        self.delegated.contains(name)
            || plays.is_some_and(|plays| plays.iter().any(|names| names.contains(name)))
    }

    /// Everything that the host's plays set.
    pub(super) fn learned<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a str> {
        let plays = self.learned.get(host).into_iter().flatten();
        plays.flat_map(|names| names.iter().map(String::as_str))
    }

    /// Has the variable no value anywhere, for no host?
    pub(super) fn nowhere(&self, name: &str) -> bool {
        !self.anywhere.contains(name) && !name.starts_with("ansible_") && !PROVIDED.contains(&name)
    }
}

/// Names of items and their numbers.
fn loop_names(play: &Play) -> Vec<String> {
    let mut names = Vec::new();
    each_entry(play, &mut |found| {
        if let Found::Task(task) = found
            && let Some(l) = &task.r#loop
        {
            names.push(l.control.item_name().to_owned());
            names.extend(l.control.index_var.clone());
        }
    });
    names
}

/// The variables that a task sets on its hosts.
fn set_by(task: &Task) -> Vec<String> {
    let mut names: Vec<String> = task.register.iter().cloned().collect();
    if task.module == "set_fact" {
        names.extend(task.args.entries.iter().map(|(name, _, _)| name.clone()));
    }
    names
}

/// A part of a play.
pub(super) enum Found<'a> {
    /// A task or handler.
    Task(&'a Arc<Task>),
    /// A block's keywords.
    Context(&'a Context),
}

/// Shows every block and task of a play, handlers last.
pub(super) fn each_entry<'a>(play: &'a Play, visit: &mut dyn FnMut(Found<'a>)) {
    for section in [&play.pre_tasks, &play.tasks, &play.post_tasks] {
        each_of(section, visit);
    }
    for handler in &play.handlers {
        visit(Found::Task(handler));
    }
}

fn each_of<'a>(entries: &'a [Entry], visit: &mut dyn FnMut(Found<'a>)) {
    for entry in entries {
        match entry {
            Entry::Task(task) => visit(Found::Task(task)),
            Entry::Block(block) => {
                visit(Found::Context(&block.context));
                each_of(&block.block, visit);
                each_of(&block.rescue, visit);
                each_of(&block.always, visit);
            }
        }
    }
}
