//! Templates and conditions with the answers of ansible-core 2.19.14, given the variables of `ansible_vars.json`.
//! What differs is listed with its reason in `ansible_differences.txt`; the list must be exact.
//! Another file of cases may be named in `ANSIBLE_CASES`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_diag::SourceMap;
use hostler_template::{Engine, Scope, TemplateErrorKind, Truth, Var};
use hostler_value::Value;
use hostler_yaml::Node;

struct Written(Node);

impl Scope for Written {
    fn get(&self, name: &str) -> Option<Var> {
        Some(Var::Written(self.0.as_map()?.get(name)?.clone()))
    }
    fn names(&self) -> Vec<String> {
        let entries = &self.0.as_map().unwrap().entries;
        entries
            .iter()
            .filter_map(|(key, _)| Some(key.as_str()?.to_owned()))
            .collect()
    }
}

fn node(sources: &SourceMap, text: &str) -> Node {
    let (node, problems) = hostler_yaml::load(sources, sources.add_text("test", text));
    assert!(problems.is_empty(), "{problems:?}");
    node.unwrap()
}

/// Numbers in JSON: `1` and `1.0` are told apart by their text.
fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

fn disagreement(
    engine: &Engine,
    sources: &SourceMap,
    scope: &Arc<dyn Scope>,
    case: &serde_json::Value,
) -> Option<String> {
    let source = node(sources, &case["source"].to_string());
    let answer = if case["kind"] == "condition" {
        let mut warnings = Vec::new();
        engine
            .condition(&source, scope, &mut warnings)
            .map(|truth| Value::Bool(truth == Truth::Known(true)))
    } else {
        engine.finalise(&source, scope)
    };
    match (answer, case.get("error").and_then(|error| error.as_str())) {
        (Ok(value), None) => {
            let wanted: Value = serde_json::from_value(case["answer"].clone()).unwrap();
            (value != wanted)
                .then(|| format!("wants {}\n     gives {}", json(&wanted), json(&value)))
        }
        (Ok(value), Some(error)) => Some(format!(
            "wants the error {error}\n     gives {}",
            json(&value)
        )),
        (Err(error), None) => Some(format!(
            "wants {}\n     gives the error {error}",
            case["answer"]
        )),
        (Err(error), Some(wanted)) => {
            // The words are the same where users know them: what is undefined.
            let known =
                error.kind == TemplateErrorKind::Undefined && wanted.starts_with(['\'', 'o']);
            (known && error.message != wanted || error.span.is_none()).then(|| {
                format!(
                    "wants the error {wanted}\n     gives the error {error} at {:?}",
                    error.span
                )
            })
        }
    }
}

#[test]
fn answers_are_ansible_cores_but_for_the_listed_ones() {
    let (cases, differences) = match std::env::var("ANSIBLE_CASES") {
        Ok(path) => (std::fs::read_to_string(path).unwrap(), ""),
        Err(_) => (
            include_str!("ansible_cases.json").to_owned(),
            include_str!("ansible_differences.txt"),
        ),
    };
    let cases: Vec<serde_json::Value> = serde_json::from_str(&cases).unwrap();
    let mut listed: BTreeMap<&str, &str> = differences
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let sources = SourceMap::new();
    let scope: Arc<dyn Scope> =
        Arc::new(Written(node(&sources, include_str!("ansible_vars.json"))));
    let engine = Engine::new();
    let mut wrong = Vec::new();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let found = disagreement(&engine, &sources, &scope, case);
        match (found, listed.remove(id)) {
            (None, None) | (Some(_), Some(_)) => {}
            (None, Some(_)) => wrong.push(format!("{id} agrees now: {}", case["source"])),
            (Some(how), None) => wrong.push(format!(
                "{id} {} {}\n     {how}",
                case["kind"], case["source"]
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert!(listed.is_empty(), "unknown cases: {listed:?}");
}
