//! What a play adds: its variables, and which hosts it runs on.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use hostler_inventory::Vars;
use hostler_value::{Map, Value};
use hostler_yaml::Mapping;

/// The variables of a play, shared by all its hosts and tasks.
#[derive(Debug, Default)]
pub struct PlayLayer {
    pub(crate) vars: Vars,
    pub(crate) prompts: Map,
    files: RwLock<HashMap<Arc<str>, FileLayers>>,
    hosts: RwLock<PlayHosts>,
    name: Value,
}

/// Variables of files, weakest first, shared.
pub(crate) type FileLayers = Arc<[Arc<Vars>]>;

/// The values of `ansible_play_hosts_all`, `ansible_play_hosts` and `ansible_play_batch`.
#[derive(Clone, Debug)]
struct PlayHosts {
    all: Value,
    active: Value,
    batch: Value,
}

impl Default for PlayHosts {
    fn default() -> Self {
        let none = Value::from(Vec::<Value>::new());
        PlayHosts {
            all: none.clone(),
            active: none.clone(),
            batch: none,
        }
    }
}

impl PlayLayer {
    /// The layer of a play: its name, its `vars`, and what was answered to its `vars_prompt`.
    pub fn new(name: &str, vars: Option<&Mapping>, prompts: Map) -> Self {
        PlayLayer {
            vars: vars.map(text_keys).unwrap_or_default(),
            prompts,
            name: name.into(),
            ..PlayLayer::default()
        }
    }

    /// Sets the `vars_files` of a host, weakest first. Their names may hold facts, so they can differ between hosts;
    /// share the loaded files and this is cheap.
    pub fn set_vars_files(&self, host: &str, files: impl IntoIterator<Item = Arc<Vars>>) {
        let files: FileLayers = files.into_iter().collect();
        let mut all = self.files.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(host.into(), files);
    }

    pub(crate) fn vars_files(&self, host: &str) -> Option<FileLayers> {
        let all = self.files.read().unwrap_or_else(PoisonError::into_inner);
        all.get(host).cloned()
    }

    /// Says which hosts the play runs on, which of them are still in it, and which of those are in the current batch.
    pub fn set_hosts(&self, all: &[Arc<str>], active: &HashSet<Arc<str>>, batch: &[Arc<str>]) {
        let list = |names: &[Arc<str>], keep: Option<&HashSet<Arc<str>>>| {
            let kept = names
                .iter()
                .filter(|name| keep.is_none_or(|keep| keep.contains(*name)));
            Value::list(kept.cloned().map(Value::Str))
        };
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        *hosts = PlayHosts {
            all: list(all, None),
            active: list(all, Some(active)),
            batch: list(batch, Some(active)),
        };
    }

    /// The play's own magic variables.
    pub(crate) const MAGIC: [&str; 5] = [
        "ansible_play_name",
        "ansible_play_hosts_all",
        "ansible_play_hosts",
        "ansible_play_batch",
        "play_hosts",
    ];

    pub(crate) fn magic(&self, name: &str) -> Option<Value> {
        // Most names are not among them; say so before taking the lock.
        if !Self::MAGIC.contains(&name) {
            return None;
        }
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        Some(match name {
            "ansible_play_name" => self.name.clone(),
            "ansible_play_hosts_all" => hosts.all.clone(),
            "ansible_play_hosts" => hosts.active.clone(),
            _ => hosts.batch.clone(),
        })
    }
}

/// The pairs of a mapping that have text keys; the static check has refused others.
fn text_keys(mapping: &Mapping) -> Vars {
    let entries = mapping.entries.iter();
    entries
        .filter_map(|(key, value)| Some((Arc::from(key.as_str()?), value.clone())))
        .collect()
}
