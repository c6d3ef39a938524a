//! What a host sees: magic variables, facts, other hosts.

use std::collections::HashSet;
use std::sync::Arc;

use hostler_diag::SourceMap;
use hostler_inventory::{FsLoader, NoScripts, VarFiles, Vars, load_inventory};
use hostler_template::{Scope, Var};
use hostler_value::{Map, Value};
use hostler_vars::{Level, PlayLayer, RunOptions, VarStore};

const INVENTORY: &str = "
[web]
web1.example.com color=red
web2.example.com
[db]
db1
[prod:children]
web
db
[prod:vars]
tier=prod
[all:vars]
ansible_connection=ssh
";

fn store(options: &RunOptions) -> VarStore {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("hosts.ini");
    std::fs::write(&path, INVENTORY).expect("write");
    let sources = SourceMap::new();
    let given = [path.display().to_string()];
    let (loaded, diagnostics) = load_inventory(&given, &sources, &FsLoader, &NoScripts);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    VarStore::new(loaded, VarFiles::default(), Vars::new(), options)
}

fn value(scope: &dyn Scope, name: &str) -> String {
    match scope.get(name) {
        Some(Var::Data(value)) => value.repr(),
        Some(Var::Written(node)) => node.to_literal().repr(),
        Some(Var::Nested(scope)) => format!("nested {:?}", scope.names()),
        None => "undefined".into(),
    }
}

fn nested(scope: &dyn Scope, name: &str) -> Arc<dyn Scope> {
    match scope.get(name) {
        Some(Var::Nested(scope)) => scope,
        _ => panic!("{name} is not nested"),
    }
}

#[test]
fn magic_variables() {
    let options = RunOptions {
        playbook_dir: "/play".into(),
        check_mode: true,
        forks: 5,
        limit: Some("web".into()),
        ..RunOptions::default()
    };
    let store = store(&options);
    let play = Arc::new(PlayLayer::new("Site", None, Map::new()));
    let names: Vec<Arc<str>> = ["web1.example.com", "web2.example.com"]
        .map(Arc::from)
        .to_vec();
    let active: HashSet<Arc<str>> = [names[1].clone()].into();
    play.set_hosts(&names, &active, &names[1..]);
    let scope = store.scope("web1.example.com", &play, &[], Map::new());
    for (name, expected) in [
        ("inventory_hostname", "'web1.example.com'"),
        ("inventory_hostname_short", "'web1'"),
        ("group_names", "['prod', 'web']"),
        ("playbook_dir", "'/play'"),
        ("ansible_check_mode", "True"),
        ("ansible_diff_mode", "False"),
        ("ansible_forks", "5"),
        ("ansible_limit", "'web'"),
        ("ansible_run_tags", "['all']"),
        ("ansible_skip_tags", "[]"),
        ("ansible_play_name", "'Site'"),
        (
            "ansible_play_hosts_all",
            "['web1.example.com', 'web2.example.com']",
        ),
        ("ansible_play_hosts", "['web2.example.com']"),
        ("ansible_play_batch", "['web2.example.com']"),
        ("play_hosts", "['web2.example.com']"),
        ("ansible_facts", "{}"),
        ("color", "'red'"),
        ("tier", "'prod'"),
        ("nothing", "undefined"),
    ] {
        assert_eq!(value(&*scope, name), expected, "{name}");
    }
    assert!(
        value(&*scope, "groups").starts_with(
            "{'all': ['web1.example.com', 'web2.example.com', 'db1'], 'ungrouped': []"
        )
    );
    assert!(value(&*scope, "inventory_file").ends_with("hosts.ini'"));
    assert!(value(&*scope, "ansible_version").contains("'major': 2"));
    let names = scope.names();
    for name in &names {
        assert!(scope.get(name).is_some(), "{name} is listed but not there");
    }
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    assert!(names.contains(&"tier".to_owned()));
}

#[test]
fn hosts_see_each_other() {
    let store = store(&RunOptions::default());
    store.set_fact("db1", "port", 5432.into());
    let play = Arc::new(PlayLayer::default());
    let scope = store.scope("web1.example.com", &play, &[], Map::new());
    let hostvars = nested(&*scope, "hostvars");
    assert_eq!(
        hostvars.names(),
        ["web1.example.com", "web2.example.com", "db1"]
    );
    let db = nested(&*hostvars, "db1");
    assert_eq!(value(&*db, "port"), "5432");
    assert_eq!(value(&*db, "tier"), "'prod'");
    assert_eq!(value(&*db, "inventory_hostname"), "'db1'");
    assert_eq!(value(&*db, "ansible_play_hosts"), "undefined");
    assert!(hostvars.get("db2").is_none());
    // A later result is seen through the same scope.
    store.register("db1", "port", 1.into());
    assert_eq!(value(&*db, "port"), "1");
    let vars = nested(&*scope, "vars");
    assert_eq!(value(&*vars, "color"), "'red'");
}

#[test]
fn an_unlisted_localhost_is_local() {
    let store = store(&RunOptions::default());
    let scope = store.host_scope("localhost");
    assert_eq!(value(&*scope, "ansible_connection"), "'local'");
    assert_eq!(value(&*scope, "group_names"), "[]");
    assert_eq!(value(&*scope, "inventory_file"), "undefined");
    assert_eq!(
        value(&*store.host_scope("db1"), "ansible_connection"),
        "'ssh'"
    );
    let explained = scope.explain("ansible_connection");
    let levels: Vec<Level> = explained.iter().map(|it| it.level).collect();
    assert_eq!(levels, [Level::InventoryHost, Level::InventoryAll]);
    let hostvars = nested(&*store.host_scope("db1"), "hostvars");
    assert!(hostvars.get("localhost").is_some());
    assert!(!hostvars.names().contains(&"localhost".to_owned()));
}

#[test]
fn facts_are_variables_but_not_of_connections() {
    let store = store(&RunOptions::default());
    let facts: Map = [
        ("ansible_distribution", "Debian"),
        ("machine", "x86_64"),
        ("ansible_connection", "local"),
        ("host", "evil"),
    ]
    .into_iter()
    .collect();
    store.set_facts("db1", &facts);
    let scope = store.host_scope("db1");
    assert_eq!(value(&*scope, "ansible_distribution"), "'Debian'");
    assert_eq!(value(&*scope, "ansible_machine"), "'x86_64'");
    assert_eq!(value(&*scope, "ansible_connection"), "'ssh'");
    assert_eq!(value(&*scope, "ansible_host"), "undefined");
    assert!(
        value(&*scope, "ansible_facts").contains("'distribution': 'Debian', 'machine': 'x86_64'")
    );
    let more: Map = [("distribution", Value::from("Alpine"))]
        .into_iter()
        .collect();
    store.set_facts("db1", &more);
    assert_eq!(value(&*scope, "ansible_distribution"), "'Alpine'");
    assert_eq!(value(&*scope, "ansible_machine"), "'x86_64'");
    store.clear_facts("db1");
    assert_eq!(value(&*scope, "ansible_machine"), "undefined");
}

#[test]
fn what_hosts_learned_survives_a_changed_inventory() {
    let store = store(&RunOptions::default());
    store.set_fact("db1", "x", 1.into());
    let mut inventory = (*store.inventory()).clone();
    assert!(inventory.add_host("new1", &["web".into(), "fresh".into()], Vars::new()));
    assert_eq!(
        inventory.group_by("db1", "os_debian", &["oses".into()]),
        Some(true)
    );
    assert_eq!(
        inventory.group_by("db1", "os_debian", &["oses".into()]),
        Some(false)
    );
    store.set_inventory(Arc::new(inventory));
    let scope = store.host_scope("db1");
    assert_eq!(value(&*scope, "x"), "1");
    assert_eq!(
        value(&*scope, "group_names"),
        "['db', 'os_debian', 'oses', 'prod']"
    );
    assert_eq!(value(&*store.host_scope("new1"), "tier"), "'prod'");
    assert!(value(&*scope, "groups").contains("'fresh': ['new1']"));
}

#[test]
fn hosts_learn_in_parallel() {
    let store = store(&RunOptions::default());
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let store = store.clone();
            threads.spawn(move || {
                for number in 0..200_i64 {
                    let host = format!("host{}", number % 20);
                    store.set_fact(&host, &format!("v{thread}"), number.into());
                    assert!(store.host_scope(&host).get(&format!("v{thread}")).is_some());
                }
            });
        }
    });
}

#[test]
fn another_playbook_has_other_files_and_the_same_results() {
    let options = RunOptions {
        playbook_dir: "/first".into(),
        ..RunOptions::default()
    };
    let store = store(&options);
    store.set_fact("db1", "x", 1.into());
    let sources = SourceMap::new();
    let id = sources.add_text("all.yml", "tier: second\n");
    let (node, _) = hostler_yaml::load(&sources, id);
    let vars = hostler_inventory::vars_of(&node.expect("node"), &mut Vec::new());
    let mut files = VarFiles::default();
    files.groups.insert("prod".into(), Arc::new(vars));
    let scope = store.host_scope("db1");
    assert_eq!(value(&*scope, "playbook_dir"), "'/first'");
    assert_eq!(value(&*scope, "tier"), "'prod'");
    store.set_playbook(std::path::Path::new("/second"), files);
    let scope = store.host_scope("db1");
    assert_eq!(value(&*scope, "playbook_dir"), "'/second'");
    assert_eq!(value(&*scope, "tier"), "'second'");
    assert_eq!(value(&*scope, "x"), "1");
    let levels: Vec<Level> = store
        .explain("db1", "tier")
        .iter()
        .map(|it| it.level)
        .collect();
    assert_eq!(levels, [Level::PlaybookGroupFile, Level::InventoryGroup]);
}
