//! Variables that hostler sets: those of the run, the same for every host and play.

use std::path::PathBuf;
use std::sync::Arc;

use hostler_value::{Map, Value};
use indexmap::IndexMap;

/// What a run was asked for, as playbooks can read it.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// `playbook_dir` of the first playbook: absolute.
    pub playbook_dir: PathBuf,
    /// `ansible_check_mode`.
    pub check_mode: bool,
    /// `ansible_diff_mode`.
    pub diff_mode: bool,
    /// `ansible_verbosity`: how many `-v`.
    pub verbosity: u8,
    /// `ansible_forks`.
    pub forks: usize,
    /// `ansible_limit`, which is only defined if a limit was given.
    pub limit: Option<String>,
    /// `ansible_run_tags`; `all` if none were given.
    pub run_tags: Vec<String>,
    /// `ansible_skip_tags`.
    pub skip_tags: Vec<String>,
    /// `ansible_inventory_sources`: as given.
    pub inventory_sources: Vec<String>,
}

/// The version of ansible-core whose language we speak.
const ANSIBLE_VERSION: [i64; 3] = [2, 19, 14];

/// The variables of a run by name.
pub(crate) fn run_variables(options: &RunOptions) -> IndexMap<Arc<str>, Value> {
    let RunOptions {
        // Kept by the store, since it changes from playbook to playbook.
        playbook_dir: _,
        check_mode,
        diff_mode,
        verbosity,
        forks,
        limit,
        run_tags,
        skip_tags,
        inventory_sources,
    } = options;
    let tags = if run_tags.is_empty() {
        vec!["all".to_owned()]
    } else {
        run_tags.clone()
    };
    let mut variables: IndexMap<Arc<str>, Value> = IndexMap::new();
    let mut set = |name: &str, value: Value| variables.insert(name.into(), value);
    set("ansible_check_mode", (*check_mode).into());
    set("ansible_diff_mode", (*diff_mode).into());
    set("ansible_verbosity", i64::from(*verbosity).into());
    set("ansible_forks", (*forks).into());
    set("ansible_run_tags", tags.into());
    set("ansible_skip_tags", skip_tags.clone().into());
    set(
        "ansible_inventory_sources",
        inventory_sources.clone().into(),
    );
    set("ansible_version", version());
    if let Some(limit) = limit {
        set("ansible_limit", limit.into());
    }
    variables
}

fn version() -> Value {
    let [major, minor, revision] = ANSIBLE_VERSION;
    let full = format!("{major}.{minor}.{revision}");
    let mut map = Map::new();
    map.insert("full", full.as_str());
    map.insert("major", major);
    map.insert("minor", minor);
    map.insert("revision", revision);
    map.insert("string", full);
    map.into()
}
