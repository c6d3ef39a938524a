//! The stack of levels for one host at one point, asked from the strongest down.

use std::sync::{Arc, PoisonError};

use hostler_inventory::is_localhost;
use hostler_template::{Scope, Var};
use hostler_value::{Map, Value};
use hostler_yaml::Mapping;
use indexmap::IndexSet;

use crate::facts;
use crate::level::{Found, Level};
use crate::play::{FileLayers, PlayLayer};
use crate::store::{HostCell, VarStore};

/// What one host sees at one point. Building one costs a few reference counts; nothing is merged or copied.
///
/// Facts, registered results and the play's hosts are read when they are asked for, so a scope that is kept sees
/// later ones.
#[derive(Clone)]
pub struct HostScope {
    store: VarStore,
    host: Arc<HostCell>,
    play: Option<Arc<PlayLayer>>,
    files: Option<FileLayers>,
    /// `vars` of blocks and task, outermost first.
    levels: Arc<[Arc<Mapping>]>,
    local: Arc<Map>,
}

impl HostScope {
    pub(crate) fn new(
        store: VarStore,
        host: Arc<HostCell>,
        play: Option<Arc<PlayLayer>>,
        levels: Vec<Arc<Mapping>>,
        local: Arc<Map>,
    ) -> Self {
        let files = play.as_ref().and_then(|play| play.vars_files(&host.name));
        HostScope {
            store,
            host,
            play,
            files,
            levels: levels.into(),
            local,
        }
    }

    /// The same point with other loop variables.
    #[must_use]
    pub fn with_local(&self, local: Map) -> Arc<HostScope> {
        Arc::new(HostScope {
            local: Arc::new(local),
            ..self.clone()
        })
    }

    /// The host's name in the inventory.
    pub fn host(&self) -> &Arc<str> {
        &self.host.name
    }

    /// Every level that has the variable, strongest first: the first one is what templates see.
    pub fn explain(&self, name: &str) -> Vec<Found> {
        let mut all = Vec::new();
        self.visit(name, &mut |found| {
            all.push(found);
            false
        });
        all
    }

    /// Shows `visitor` the values of a variable, strongest first, until it says that it has seen enough.
    fn visit(&self, name: &str, visitor: &mut dyn FnMut(Found) -> bool) -> bool {
        let mut data = |level, value: Option<&Value>| match value {
            Some(value) => visitor(Found::new(level, Var::Data(value.clone()))),
            None => false,
        };
        if data(Level::Loop, self.local.get(name)) {
            return true;
        }
        if let Some(var) = self.magic(name)
            && visitor(Found::new(Level::Magic, var))
        {
            return true;
        }
        self.visit_written_later(name, visitor) || self.visit_inventory(name, visitor)
    }

    /// Levels above the facts, and the facts.
    fn visit_written_later(&self, name: &str, visitor: &mut dyn FnMut(Found) -> bool) -> bool {
        let written =
            |level, node: &hostler_yaml::Node| Found::new(level, Var::Written(node.clone()));
        if let Some(node) = self.store.0.extra.get(name)
            && visitor(written(Level::ExtraVars, node))
        {
            return true;
        }
        let learned = self
            .host
            .learned
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = learned.set.get(name)
            && visitor(Found::new(Level::SetFact, Var::Data(value.clone())))
        {
            return true;
        }
        if let Some(node) = learned.included.get(name)
            && visitor(written(Level::IncludeVars, node))
        {
            return true;
        }
        for level in self.levels.iter().rev() {
            if let Some(node) = level.get(name)
                && visitor(written(Level::TaskVars, node))
            {
                return true;
            }
        }
        for file in self.files.iter().flat_map(|files| files.iter().rev()) {
            if let Some(node) = file.get(name)
                && visitor(written(Level::PlayVarsFile, node))
            {
                return true;
            }
        }
        if let Some(play) = &self.play {
            if let Some(value) = play.prompts.get(name)
                && visitor(Found::new(Level::PlayPrompt, Var::Data(value.clone())))
            {
                return true;
            }
            if let Some(node) = play.vars.get(name)
                && visitor(written(Level::PlayVars, node))
            {
                return true;
            }
        }
        let fact = if name == "ansible_facts" {
            Some(Value::Map(learned.facts.clone()))
        } else {
            facts::variable(&learned.facts, name).cloned()
        };
        fact.is_some_and(|value| visitor(Found::new(Level::Facts, Var::Data(value))))
    }

    fn visit_inventory(&self, name: &str, visitor: &mut dyn FnMut(Found) -> bool) -> bool {
        // As strong as a host's own variables in the inventory.
        let mut implicit = name == "ansible_connection" && self.is_implicit_localhost();
        let local = || Found::new(Level::InventoryHost, Var::Data("local".into()));
        for layer in &self.host.layers {
            if implicit && layer.level < Level::InventoryHost {
                implicit = false;
                if visitor(local()) {
                    return true;
                }
            }
            if let Some(node) = layer.vars.get(name) {
                let mut found = Found::new(layer.level, Var::Written(node.clone()));
                found.group.clone_from(&layer.group);
                if visitor(found) {
                    return true;
                }
            }
        }
        implicit && visitor(local())
    }

    /// Is it a name of the controller that no inventory lists?
    fn is_implicit_localhost(&self) -> bool {
        is_localhost(&self.host.name) && !self.host.magic.contains_key("inventory_file")
    }

    fn magic(&self, name: &str) -> Option<Var> {
        if let Some(value) = self
            .host
            .magic
            .get(name)
            .or_else(|| self.store.0.run.get(name))
        {
            return Some(Var::Data(value.clone()));
        }
        match name {
            "groups" => Some(Var::Data(self.store.groups())),
            "hostvars" => Some(Var::Nested(Arc::new(HostVars(self.store.clone())))),
            "vars" => Some(Var::Nested(Arc::new(self.clone()))),
            _ => self.play.as_ref()?.magic(name).map(Var::Data),
        }
    }
}

impl Scope for HostScope {
    fn get(&self, name: &str) -> Option<Var> {
        let mut first = None;
        self.visit(name, &mut |found| {
            first = Some(found.var);
            true
        });
        first
    }

    fn names(&self) -> Vec<String> {
        let mut names: IndexSet<String> = IndexSet::new();
        for layer in self.host.layers.iter().rev() {
            names.extend(layer.vars.keys().map(ToString::to_string));
        }
        if self.is_implicit_localhost() {
            names.insert("ansible_connection".into());
        }
        let learned = self
            .host
            .learned
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        names.insert("ansible_facts".into());
        names.extend(facts::names(&learned.facts));
        let texts = |map: &Map| -> Vec<String> {
            let keys = map.keys().filter_map(Value::as_str);
            keys.map(str::to_owned).collect()
        };
        if let Some(play) = &self.play {
            names.extend(play.vars.keys().map(ToString::to_string));
            names.extend(texts(&play.prompts));
        }
        for file in self.files.iter().flat_map(|files| files.iter()) {
            names.extend(file.keys().map(ToString::to_string));
        }
        for level in self.levels.iter() {
            let keys = level.entries.iter().filter_map(|(key, _)| key.as_str());
            names.extend(keys.map(str::to_owned));
        }
        names.extend(learned.included.keys().map(ToString::to_string));
        names.extend(learned.set.keys().map(ToString::to_string));
        names.extend(self.store.0.extra.keys().map(ToString::to_string));
        names.extend(self.host.magic.keys().map(ToString::to_string));
        names.extend(self.store.0.run.keys().map(ToString::to_string));
        // Not `hostvars` and `vars`, which hold all of this again: who lists all variables wants no endless list.
        names.insert("groups".into());
        if self.play.is_some() {
            names.extend(PlayLayer::MAGIC.map(String::from));
        }
        names.extend(texts(&self.local));
        names.into_iter().collect()
    }
}

/// `hostvars`: by host name, what that host sees outside of any play.
struct HostVars(VarStore);

impl Scope for HostVars {
    fn get(&self, name: &str) -> Option<Var> {
        let known = self.0.inventory().host(name).is_some() || is_localhost(name);
        known.then(|| Var::Nested(self.0.host_scope(name)))
    }

    fn names(&self) -> Vec<String> {
        let inventory = self.0.inventory();
        inventory
            .hosts()
            .map(|host| host.name.to_string())
            .collect()
    }
}
