//! Templates: an expression, a condition and a file, each within its budget of steps.
#![no_main]

use std::sync::Arc;

use hostler_diag::SourceMap;
use hostler_template::{Engine, FileOptions, Scope, TemplateLoader, Var};
use hostler_value::{Map, Value};
use hostler_yaml::{TemplateSource, load};
use libfuzzer_sys::fuzz_target;

struct Some3;

impl Scope for Some3 {
    fn get(&self, name: &str) -> Option<Var> {
        let list = Value::list([
            Value::Int(3),
            Value::str("zwei"),
            Value::Float(1.5),
            Value::Null,
        ]);
        let mut map = Map::new();
        map.insert("a", list.clone());
        map.insert(Value::Int(1), true);
        Some(Var::Data(match name {
            "s" => Value::str("Größe: /etc/passwd\n"),
            "n" => Value::Int(42),
            "l" => list,
            "m" => Value::from(map),
            _ => return None,
        }))
    }

    fn names(&self) -> Vec<String> {
        ["s", "n", "l", "m"].map(str::to_owned).to_vec()
    }
}

struct NoFiles;

impl TemplateLoader for NoFiles {
    fn load(&self, _: &str) -> Result<Option<TemplateSource>, String> {
        Ok(None)
    }
}

fuzz_target!(|text: &str| {
    let engine = Engine::new().with_steps_max(3_000);
    let sources = SourceMap::new();
    let source = TemplateSource::whole(&sources, sources.add_text("t.j2", text));
    let scope: Arc<dyn Scope> = Arc::new(Some3);
    let _error = engine.expression(&source, &scope);
    let _error = engine.render_file(&source, &FileOptions::default(), &scope, &NoFiles);
    engine.check_file(&source, &FileOptions::default());
    let quoted = serde_json::to_string(text).expect("text is JSON");
    let (node, _) = load(&sources, sources.add_text("c.yml", format!("[{quoted}]")));
    if let Some(node) = node.as_ref().and_then(|it| it.as_list()?.first()) {
        let _error = engine.condition(node, &scope, &mut Vec::new());
        let _error = engine.finalise(node, &scope);
        engine.check_condition(node);
    }
});
