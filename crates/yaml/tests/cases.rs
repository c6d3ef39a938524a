//! Every case file, compared with what ansible-core's own loader makes of it (`tests/tools/expect.py`).

use std::path::Path;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_value::Value;
use hostler_yaml::{Node, NodeKind, load, load_all};
use serde_json::{Value as Json, json};

/// Where we differ on purpose: the case, and the word that our diagnostic contains.
const STRICTER: &[(&str, &str)] = &[
    ("anchor_recur.yml", "stands inside of what it names"),
    ("deep.yml", "nested deeper than"),
    ("deepmap.yml", "nested deeper than"),
];

fn typed(node: &Node) -> Json {
    match &node.kind {
        NodeKind::Text(source) => json!(["text", source.text()]),
        NodeKind::Vault(envelope) => json!(["vault", &**envelope]),
        NodeKind::List(items) => json!(["list", items.iter().map(typed).collect::<Vec<_>>()]),
        NodeKind::Map(map) => {
            let pairs = map.entries.iter();
            let pairs: Vec<_> = pairs
                .map(|(key, value)| json!([typed(key), typed(value)]))
                .collect();
            json!(["map", pairs])
        }
        NodeKind::Data(value) => match value {
            Value::Null => json!(["null"]),
            Value::Bool(bool) => json!(["bool", bool]),
            Value::Int(_) | Value::BigInt(_) => json!(["int", value.to_text()]),
            Value::Float(_) => json!(["float", value.to_text()]),
            other => json!(["data", other.to_text()]),
        },
    }
}

/// What we make of a text, in the form of the expected files.
fn actual(name: &str, text: &str) -> (Json, Vec<Diagnostic>) {
    let sources = SourceMap::new();
    let id = sources.add_text(name, text);
    let json = Path::new(name).extension().is_some_and(|it| it == "json");
    let (nodes, diagnostics) = if json || text.trim_start().starts_with(['{', '[']) {
        let (node, diagnostics) = load(&sources, id);
        (node.into_iter().collect(), diagnostics)
    } else {
        load_all(&sources, id)
    };
    if diagnostics.iter().all(|it| !it.is_error()) {
        return (nodes.iter().map(typed).collect(), diagnostics);
    }
    let places = diagnostics.iter().filter(|it| it.is_error()).map(|it| {
        let place = sources.locate(it.labels[0].span);
        json!([place.line, place.column])
    });
    (json!({ "errors": places.collect::<Vec<_>>() }), diagnostics)
}

/// We report several errors of a file; Ansible's one must be among them, at its place.
fn is_same(expected: &Json, actual: &Json) -> bool {
    match expected.get("error") {
        None => expected == actual,
        Some(Json::Null) => actual.get("errors").is_some(),
        Some(place) => actual
            .get("errors")
            .and_then(Json::as_array)
            .is_some_and(|places| places.contains(place)),
    }
}

#[test]
fn every_case_reads_as_ansible_reads_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("cases")).expect("cases") {
        let path = entry.expect("entry").path();
        let name = path
            .file_name()
            .expect("name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        let expected = std::fs::read_to_string(root.join("expected").join(format!("{name}.json")));
        let expected = expected.expect("expected");
        let (actual, diagnostics) = actual(&name, &text);
        count += 1;
        let same = if let Some((_, word)) = STRICTER.iter().find(|(case, _)| *case == name) {
            diagnostics
                .iter()
                .any(|it| it.is_error() && it.message.contains(word))
        } else {
            let expected: Json = serde_json::from_str(&expected).expect("JSON");
            is_same(&expected, &actual)
        };
        if !same {
            failures.push(format!(
                "{name}\n  expected {expected}\n  actual   {actual}\n  {diagnostics:?}"
            ));
        }
    }
    assert!(count >= 161, "only {count} cases");
    assert!(
        failures.is_empty(),
        "{} differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
