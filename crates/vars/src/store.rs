//! All variables of a run: shared layers of the inventory, and what each host has learned.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use hostler_inventory::{Host, Inventory, Loaded, VarFiles, Vars};
use hostler_value::{Map, Value};
use hostler_yaml::Mapping;
use indexmap::{IndexMap, IndexSet};

use crate::facts;
use crate::level::{Found, Level};
use crate::magic::{RunOptions, run_variables};
use crate::play::PlayLayer;
use crate::scope::HostScope;

/// The variables of a run. Cheap to clone: clones share everything.
#[derive(Clone)]
pub struct VarStore(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    /// Variables of the run, the same for all hosts.
    pub(crate) run: IndexMap<Arc<str>, Value>,
    pub(crate) extra: Vars,
    inventory_files: VarFiles,
    state: RwLock<State>,
}

/// What changes with the inventory and from playbook to playbook.
struct State {
    inventory: Arc<Inventory>,
    playbook_dir: Value,
    playbook_files: VarFiles,
    groups: Value,
    hosts: HashMap<Arc<str>, Arc<HostCell>>,
}

/// One of the inventory's layers, as it applies to a host.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) level: Level,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) vars: Arc<Vars>,
}

/// One host: its layers of the inventory, shared with the others where they are the groups', and what it has learned.
pub(crate) struct HostCell {
    pub(crate) name: Arc<str>,
    /// Strongest first; empty layers are left out.
    pub(crate) layers: Vec<Layer>,
    pub(crate) magic: IndexMap<&'static str, Value>,
    pub(crate) learned: Arc<RwLock<Learned>>,
}

/// What became known while running.
#[derive(Default)]
pub(crate) struct Learned {
    /// Without the prefix `ansible_`.
    pub(crate) facts: Arc<Map>,
    /// `set_fact` and `register`.
    pub(crate) set: IndexMap<Arc<str>, Value>,
    /// `include_vars`, all of them merged: the later one wins.
    pub(crate) included: Vars,
}

impl VarStore {
    /// The store of a run: the inventory with the files beside it, the files beside the playbook, extra variables.
    pub fn new(
        loaded: Loaded,
        playbook_files: VarFiles,
        extra: Vars,
        options: &RunOptions,
    ) -> Self {
        let Loaded {
            inventory,
            var_files,
        } = loaded;
        let store = VarStore(Arc::new(Shared {
            run: run_variables(options),
            extra,
            inventory_files: var_files,
            state: RwLock::new(State {
                inventory: Arc::new(inventory),
                playbook_dir: options.playbook_dir.display().to_string().into(),
                playbook_files,
                groups: Value::Null,
                hosts: HashMap::new(),
            }),
        }));
        store.change(|_| ());
        store
    }

    /// The inventory as it is now.
    pub fn inventory(&self) -> Arc<Inventory> {
        self.read(|state| state.inventory.clone())
    }

    /// Goes to another playbook: `directory`, which is absolute, becomes `playbook_dir`, and the files beside it count
    /// instead of those of the playbook before. What hosts have learned stays.
    pub fn set_playbook(&self, directory: &Path, files: VarFiles) {
        self.change(|state| {
            state.playbook_dir = directory.display().to_string().into();
            state.playbook_files = files;
        });
    }

    /// Takes a changed inventory (`add_host`, `group_by`); what hosts have learned stays.
    pub fn set_inventory(&self, inventory: Arc<Inventory>) {
        self.change(|state| state.inventory = inventory);
    }

    /// Changes what the hosts' layers are made of, and makes them anew.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let names = state.inventory.hosts().map(|host| host.name.clone());
        // Hosts outside of the inventory, such as the implicit localhost, are kept.
        let names: IndexSet<Arc<str>> = names.chain(state.hosts.keys().cloned()).collect();
        let cells = names.into_iter().map(|name| {
            let learned = state.hosts.get(&name).map(|cell| cell.learned.clone());
            let cell = self.0.cell(&state, &name, learned);
            (name, Arc::new(cell))
        });
        state.hosts = cells.collect();
        state.groups = groups(&state.inventory);
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The host's cell; a host that no inventory lists gets one when it is first asked for.
    pub(crate) fn cell(&self, host: &str) -> Arc<HostCell> {
        if let Some(cell) = self.read(|state| state.hosts.get(host).cloned()) {
            return cell;
        }
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = state.hosts.get(host) {
            return cell.clone();
        }
        let cell = Arc::new(self.0.cell(&state, &host.into(), None));
        state.hosts.insert(host.into(), cell.clone());
        cell
    }

    /// The value of the magic variable `groups`.
    pub(crate) fn groups(&self) -> Value {
        self.read(|state| state.groups.clone())
    }

    fn learn(&self, host: &str, change: impl FnOnce(&mut Learned)) {
        let cell = self.cell(host);
        change(&mut cell.learned.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Sets a variable of a host: `set_fact`.
    pub fn set_fact(&self, host: &str, name: &str, value: Value) {
        self.learn(host, |learned| {
            learned.set.insert(name.into(), value);
        });
    }

    /// Sets a host's variable to a task's result: `register`. Of this and [`VarStore::set_fact`], the later one counts.
    pub fn register(&self, host: &str, name: &str, result: Value) {
        self.set_fact(host, name, result);
    }

    /// Adds facts of a host, with or without the prefix `ansible_`; facts of the same name are replaced.
    pub fn set_facts(&self, host: &str, facts: &Map) {
        let facts = facts::without_prefix(facts);
        self.learn(host, |learned| {
            Arc::make_mut(&mut learned.facts).extend(&facts);
        });
    }

    /// Adds variables of a file to a host: `include_vars`.
    pub fn include_vars(&self, host: &str, vars: &Vars) {
        self.learn(host, |learned| {
            let pairs = vars.iter().map(|(name, node)| (name.clone(), node.clone()));
            learned.included.extend(pairs);
        });
    }

    /// Forgets a host's facts: `meta: clear_facts`.
    pub fn clear_facts(&self, host: &str) {
        self.learn(host, |learned| learned.facts = Arc::default());
    }

    /// The facts of a host, without the prefix `ansible_`.
    pub fn facts(&self, host: &str) -> Arc<Map> {
        let cell = self.cell(host);
        let learned = cell.learned.read().unwrap_or_else(PoisonError::into_inner);
        learned.facts.clone()
    }

    /// What one host sees outside of any play: the inventory's layers, facts, what it has learned, extra variables.
    pub fn host_scope(&self, host: &str) -> Arc<HostScope> {
        Arc::new(HostScope::new(
            self.clone(),
            self.cell(host),
            None,
            Vec::new(),
            Arc::default(),
        ))
    }

    /// Where a host's variable comes from outside of any play: every level that has it, strongest first.
    pub fn explain(&self, host: &str, name: &str) -> Vec<Found> {
        self.host_scope(host).explain(name)
    }

    /// What one host sees in one task: `levels` are the `vars` of the blocks around the task and of the task itself,
    /// outermost first; `local` are a loop's item and what belongs to it, and win over everything.
    pub fn scope(
        &self,
        host: &str,
        play: &Arc<PlayLayer>,
        levels: &[Arc<Mapping>],
        local: Map,
    ) -> Arc<HostScope> {
        let levels = levels.to_vec();
        let cell = self.cell(host);
        Arc::new(HostScope::new(
            self.clone(),
            cell,
            Some(play.clone()),
            levels,
            Arc::new(local),
        ))
    }
}

impl Shared {
    /// Collects the layers that apply to a host, strongest first.
    fn cell(
        &self,
        state: &State,
        name: &Arc<str>,
        learned: Option<Arc<RwLock<Learned>>>,
    ) -> HostCell {
        let inventory = &*state.inventory;
        let host = inventory.host(name);
        let mut layers: Vec<Layer> = Vec::new();
        let mut push = |level, group: Option<&Arc<str>>, vars: Option<&Arc<Vars>>| {
            if let Some(vars) = vars.filter(|vars| !vars.is_empty()) {
                layers.push(Layer {
                    level,
                    group: group.cloned(),
                    vars: vars.clone(),
                });
            }
        };
        let (inventory_files, playbook_files) = (&self.inventory_files, &state.playbook_files);
        push(
            Level::PlaybookHostFile,
            None,
            playbook_files.hosts.get(name),
        );
        push(
            Level::InventoryHostFile,
            None,
            inventory_files.hosts.get(name),
        );
        push(Level::InventoryHost, None, host.map(|host| &host.vars));
        let groups: Vec<_> = host
            .map(|host| inventory.groups_of(host).rev().collect())
            .unwrap_or_default();
        for group in &groups {
            let vars = playbook_files.groups.get(&group.name);
            push(Level::PlaybookGroupFile, Some(&group.name), vars);
        }
        for group in &groups {
            let vars = inventory_files.groups.get(&group.name);
            push(Level::InventoryGroupFile, Some(&group.name), vars);
        }
        push(
            Level::PlaybookAllFile,
            None,
            playbook_files.groups.get("all"),
        );
        push(
            Level::InventoryAllFile,
            None,
            inventory_files.groups.get("all"),
        );
        for group in &groups {
            push(Level::InventoryGroup, Some(&group.name), Some(&group.vars));
        }
        push(
            Level::InventoryAll,
            None,
            inventory.group("all").map(|it| &it.vars),
        );
        HostCell {
            name: name.clone(),
            layers,
            magic: host_magic(state, name, host),
            learned: learned.unwrap_or_default(),
        }
    }
}

/// Magic variables that are fixed for a host.
fn host_magic(
    state: &State,
    name: &Arc<str>,
    host: Option<&Host>,
) -> IndexMap<&'static str, Value> {
    let mut magic = IndexMap::new();
    magic.insert("playbook_dir", state.playbook_dir.clone());
    let group_names = host
        .map(|host| state.inventory.group_names(host))
        .unwrap_or_default();
    let group_names = Value::list(group_names.into_iter().map(Value::Str));
    magic.insert("inventory_hostname", Value::Str(name.clone()));
    magic.insert(
        "inventory_hostname_short",
        hostler_inventory::short_name(name).into(),
    );
    magic.insert("group_names", group_names);
    if let Some(host) = host {
        let path = |path: &std::path::Path| Value::from(path.display().to_string());
        let source = host.source.as_deref();
        let file = source.map_or(Value::Null, |it| path(&it.file));
        let dir = source
            .and_then(|it| it.dir.as_deref())
            .map_or(Value::Null, path);
        magic.insert("inventory_file", file);
        magic.insert("inventory_dir", dir);
    }
    magic
}

/// The value of `groups`: the hosts of every group, those of groups below included.
fn groups(inventory: &Inventory) -> Value {
    let groups = inventory.groups().map(|group| {
        let hosts = inventory.group_hosts(&group.name).into_iter();
        let names = Value::list(hosts.map(|host| Value::Str(host.name.clone())));
        (Value::Str(group.name.clone()), names)
    });
    Value::from(groups.collect::<Map>())
}
