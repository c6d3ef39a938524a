//! `to_yaml` and `to_nice_yaml` against ansible-core 2.19.14 (PyYAML 6 over libyaml), byte for byte, on random values
//! made of what YAML finds hard. Another file of cases may be named in `YAML_CASES`.

use std::sync::Arc;

use hostler_diag::SourceMap;
use hostler_template::{Engine, Scope, Var};
use hostler_value::Value;

struct One(Value);

impl Scope for One {
    fn get(&self, name: &str) -> Option<Var> {
        (name == "x").then(|| Var::Data(self.0.clone()))
    }
    fn names(&self) -> Vec<String> {
        vec!["x".into()]
    }
}

#[test]
fn yaml_is_ansible_cores() {
    let cases = match std::env::var("YAML_CASES") {
        Ok(path) => std::fs::read_to_string(path).unwrap(),
        Err(_) => include_str!("yaml_cases.json").to_owned(),
    };
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    let engine = Engine::new();
    let sources = SourceMap::new();
    let filters = [
        ("yaml", "to_yaml"),
        ("nice", "to_nice_yaml"),
        (
            "narrow",
            "to_nice_yaml(indent=2, width=40, sort_keys=false)",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, filter) in filters {
        let id = sources.add_text("case", format!("'{{{{ x | {filter} }}}}'"));
        let node = hostler_yaml::load(&sources, id).0.unwrap();
        for case in &cases {
            let value = case.get("value").unwrap();
            let scope: Arc<dyn Scope> = Arc::new(One(value.clone()));
            let got = engine.finalise(&node, &scope).unwrap();
            let wanted = case.get(name).unwrap();
            if got != *wanted {
                wrong.push(format!(
                    "{filter} of {}\n  wants {}\n  gives {}",
                    value.repr(),
                    wanted.repr(),
                    got.repr()
                ));
            }
        }
    }
    let shown = wrong
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{shown}",
        wrong.len(),
        cases.len() * 3
    );
}
