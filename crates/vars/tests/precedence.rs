//! The order of levels, compared with what ansible-core did with the same files (`tests/tools/precedence.py`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_diag::SourceMap;
use hostler_inventory::{FsLoader, NoScripts, VarFiles, Vars, load_inventory, load_vars};
use hostler_template::{Scope, Var};
use hostler_value::{Map, Value};
use hostler_vars::{Level, PlayLayer, RunOptions, VarStore};
use hostler_yaml::{Mapping, Node, load_file};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/precedence")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect("file")
}

fn vars(sources: &SourceMap, name: &str) -> Vars {
    let (vars, diagnostics) = load_vars(sources, &root().join(name), read(name));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    vars
}

fn literal(vars: &Vars) -> Map {
    let pairs = vars.iter();
    pairs
        .map(|(name, node)| (name.as_ref(), node.to_literal()))
        .collect()
}

fn mapping(node: &Node, key: &str) -> Arc<Mapping> {
    let map = node.as_map().and_then(|map| map.get(key));
    Arc::new(map.and_then(Node::as_map).expect("a mapping").clone())
}

/// The first of a list below a key.
fn first<'a>(node: &'a Node, key: &str) -> &'a Node {
    let list = node.as_map().and_then(|map| map.get(key));
    &list.and_then(Node::as_list).expect("a list")[0]
}

#[test]
fn the_order_of_levels_is_ansibles() {
    let sources = SourceMap::new();
    let inventory = [root().join("inventory/hosts.yml").display().to_string()];
    let (loaded, diagnostics) = load_inventory(&inventory, &sources, &FsLoader, &NoScripts);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let (beside, diagnostics) = VarFiles::load(&loaded.inventory, &root(), &sources, &FsLoader);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let extra = vars(&sources, "files/extra.json");
    let store = VarStore::new(loaded, beside, extra, &RunOptions::default());

    let (playbook, _) = load_file(&sources, &root().join("site.yml"), read("site.yml"));
    let playbook = playbook.expect("playbook");
    let written = &playbook.as_list().expect("plays")[0];
    let prompted = written
        .as_map()
        .and_then(|map| map.get("vars_prompt"))
        .expect("prompts");
    let prompts = prompted.as_list().expect("list").iter().map(|prompt| {
        let get = |key: &str| {
            prompt
                .as_map()
                .and_then(|map| map.get(key))
                .expect("key")
                .to_literal()
        };
        (get("name"), get("default"))
    });
    let play_vars = mapping(written, "vars");
    let play = Arc::new(PlayLayer::new("play", Some(&*play_vars), prompts.collect()));
    let files = ["files/vars_file_1.yml", "files/vars_file_2.yml"];
    play.set_vars_files("h1", files.map(|name| Arc::new(vars(&sources, name))));
    let outer = written
        .as_map()
        .and_then(|map| map.get("tasks"))
        .and_then(Node::as_list)
        .expect("tasks");
    let outer = outer.last().expect("block");
    let inner = first(outer, "block");
    let task = first(inner, "block");
    let levels = [outer, inner, task].map(|it| mapping(it, "vars"));
    store.set_facts("h1", &literal(&vars(&sources, "files/facts.json")));
    store.include_vars("h1", &vars(&sources, "files/include_vars.yml"));
    for (name, value) in &literal(&vars(&sources, "files/set_fact.yml")) {
        store.set_fact("h1", name.as_str().expect("text"), value.clone());
    }
    let scope = store.scope("h1", &play, &levels, Map::new());

    let expected: serde_json::Value = serde_json::from_str(&read("expected.json")).expect("JSON");
    let expected = expected.as_object().expect("object");
    assert_eq!(expected.len(), 24);
    for (name, level) in expected {
        let value = match scope.get(name) {
            Some(Var::Written(node)) => node.to_literal(),
            Some(Var::Data(value)) => value,
            _ => panic!("{name} is not there"),
        };
        assert_eq!(value.as_str(), level.as_str(), "{name}");
        let explained = scope.explain(name);
        assert!(explained.is_sorted_by(|a, b| a.level >= b.level), "{name}");
        assert!(
            explained
                .iter()
                .all(|it| it.span.is_some() || matches!(it.var, Var::Data(_)))
        );
    }
    // One value of every level, strongest first, and where it stands.
    let all = scope.explain("ansible_p23");
    assert_eq!(all.len(), 24);
    assert_eq!(all[0].level, Level::ExtraVars);
    let group = all
        .iter()
        .find(|it| it.level == Level::InventoryGroup)
        .expect("group");
    assert_eq!(group.group.as_deref(), Some("a_high"));
    let place = sources.locate(group.span.expect("span"));
    assert!(place.file.ends_with("hosts.yml"), "{place}");
    // A loop's variables win over all.
    let local: Map = [("ansible_p23", Value::from("loop"))].into_iter().collect();
    assert!(
        matches!(scope.with_local(local).get("ansible_p23"), Some(Var::Data(value)) if value == Value::from("loop"))
    );
}
