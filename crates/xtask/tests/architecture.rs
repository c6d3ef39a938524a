//! The house: which crate may use which, and who may be asynchronous. `docs/architecture.md` explains the layers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// One line a crate: its layer, whether it is synchronous, and every crate of ours that it may use.
/// Arrows go downwards only; within a layer they go to lines above.
const HOUSE: &str = "
    diag           L0  sync   :
    value          L0  sync   :
    change         L0  sync   : value
    events         L0  sync   : diag value change
    protocol       L0  sync   : value change
    journal        L0  sync   : value change events protocol
    updates        L0  sync   :
    python-regex   L1  sync   :
    schedule       L1  sync   : diag
    yaml           L1  sync   : diag value
    template       L1  sync   : diag value yaml python-regex
    inventory      L1  sync   : diag value yaml python-regex
    vars           L1  sync   : diag value yaml template inventory
    module-api     L1t sync   : value change
    probes         L1t sync   : value change module-api updates
    package-managers L1t sync : value change module-api probes updates
    modules        L1t sync   : value change module-api probes python-regex updates package-managers
    playbook       L1  sync   : diag value yaml template module-api
    preview        L1  sync   : diag value change events module-api
    record         L1  sync   : value change events preview
    advisories     L1  sync   : updates
    patch          L1  sync   : diag value yaml updates schedule
    agent          L1t sync   : value change protocol module-api probes modules
    agent-image    L1t sync   :
    transport      L2  async  : diag value change protocol
    executor       L2  async  : diag value change events protocol journal yaml template inventory vars playbook module-api transport
    history        L2  sync   : diag value change events protocol journal
    rollout        L2  async  : diag value change events journal yaml playbook vars updates schedule patch executor
    reporters      L2  sync   : diag value change events preview record updates schedule patch rollout
    app            L3  async  : diag value change events protocol journal yaml template inventory vars playbook module-api modules agent-image preview record updates schedule advisories patch transport executor history rollout reporters
    demo           dev async  : agent-image
    faults         dev async  : value change protocol
    cli            L4  async  : diag value events preview record updates schedule patch rollout app reporters demo
    xtask          dev sync   :
    real-hosts     dev sync   : change module-api package-managers updates xtask
";

/// Libraries that only these crates may name: everything else sees them through our own types.
const FENCED: &[(&str, &[&str])] = &[
    ("russh", &["transport", "demo", "faults"]),
    ("minijinja", &["template"]),
    ("libyaml-rs", &["yaml"]),
    ("fancy-regex", &["python-regex"]),
    ("rusqlite", &["history"]),
    ("ureq", &["rollout"]),
    ("rustls", &["rollout"]),
    ("indicatif", &["reporters", "cli"]),
    ("clap", &["cli", "xtask"]),
];

/// Files whose code may start a shell: what the user wrote as a command line, and the demo's login shell.
const SHELLS: &[&str] = &[
    "crates/agent/src/process.rs",
    "crates/demo/src/host/serve.rs",
    "crates/rollout/src/gates/controller.rs",
    "crates/transport/src/connect/stream.rs",
    "crates/transport/src/link.rs",
];

struct Room {
    sync: bool,
    may_use: BTreeSet<String>,
}

fn house() -> BTreeMap<String, Room> {
    let lines = HOUSE.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (left, right) = line.split_once(':').expect("a colon");
            let mut left = left.split_whitespace();
            let name = left.next().expect("a name").to_owned();
            let sync = left.nth(1) == Some("sync");
            (
                name,
                Room {
                    sync,
                    may_use: right.split_whitespace().map(str::to_owned).collect(),
                },
            )
        })
        .collect()
}

/// Direct dependencies of each of our crates, development ones left out.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let normal = dependencies.iter().filter(|it| it["kind"].is_null());
            let names = normal.map(|it| short(it["name"].as_str().expect("a name")));
            (
                short(package["name"].as_str().expect("a name")),
                names.collect(),
            )
        })
        .collect()
}

fn short(name: &str) -> String {
    name.strip_prefix("hostler-").unwrap_or(name).to_owned()
}

#[test]
fn arrows_go_downwards_only() {
    let house = house();
    let crates = crates();
    let unknown: Vec<_> = crates
        .keys()
        .filter(|name| !house.contains_key(*name))
        .collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
    for (name, uses) in &crates {
        let ours = uses.iter().filter(|used| crates.contains_key(*used));
        let extra: Vec<_> = ours
            .filter(|used| !house[name].may_use.contains(*used))
            .collect();
        assert!(extra.is_empty(), "`{name}` must not use {extra:?}");
    }
}

#[test]
fn the_table_has_no_way_back() {
    let order: Vec<String> = HOUSE
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    for (name, room) in house() {
        let at = order.iter().position(|it| *it == name);
        for used in &room.may_use {
            let below = order.iter().position(|it| it == used);
            assert!(
                below < at && below.is_some(),
                "`{name}` stands before `{used}` that it uses"
            );
        }
    }
}

#[test]
fn only_the_shells_engine_and_composition_are_asynchronous() {
    let house = house();
    for (name, uses) in crates() {
        assert!(
            !house[&name].sync || !uses.contains("tokio"),
            "`{name}` is synchronous and uses tokio"
        );
    }
}

#[test]
fn fenced_libraries_stay_behind_their_crates() {
    for (name, uses) in crates() {
        for (library, allowed) in FENCED {
            let named = uses.contains(*library);
            assert!(
                !named || allowed.contains(&name.as_str()),
                "`{name}` names `{library}`"
            );
        }
    }
}

/// Everything else that is started gets its arguments as a vector, so that no text of a host or file is a command.
#[test]
fn shells_are_started_in_few_places() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut waiting = vec![root.join("crates")];
    let mut found = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            let paths = entries.map(|it| it.expect("an entry").path());
            waiting.extend(paths.filter(|it| !it.ends_with("tests") && !it.ends_with("xtask")));
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let code = text.split("\nmod tests {").next().unwrap_or_default();
            let shells = ["\"sh\"", "\"/bin/sh\"", "\"bash\"", "\"/bin/bash\""];
            if shells
                .iter()
                .any(|it| code.contains(&format!("Command::new({it})")))
            {
                let name = path.strip_prefix(&root).expect("below the top");
                found.insert(name.display().to_string());
            }
        }
    }
    let allowed: BTreeSet<String> = SHELLS.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(found, allowed);
}
