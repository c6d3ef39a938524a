//! A text as YAML, as a playbook, and every template in it looked at before a run.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use hostler_diag::SourceMap;
use hostler_module_api::Catalog;
use hostler_template::Engine;
use hostler_yaml::{Node, load, load_all};
use libfuzzer_sys::fuzz_target;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::new(hostler_modules::specs()));

fuzz_target!(|text: &str| {
    let sources = SourceMap::new();
    let id = sources.add_text("site.yml", text);
    load_all(&sources, id);
    let (node, diagnostics) = load(&sources, id);
    assert!(node.is_some() || diagnostics.iter().any(|it| it.is_error()));
    for diagnostic in diagnostics {
        diagnostic.labels.iter().for_each(|it| {
            sources.locate(it.span);
        });
    }
    let Some(node) = node else {
        return;
    };
    look(&node);
    let (_, diagnostics) = hostler_playbook::parse(&CATALOG, Path::new("site.yml"), &node);
    for diagnostic in diagnostics {
        diagnostic.labels.iter().for_each(|it| {
            sources.locate(it.span);
        });
    }
});

/// The static look at templates, without an evaluation.
fn look(node: &Node) {
    let engine = Engine::new();
    engine.check(node);
    engine.variables(node);
    engine.wants(node);
    node.to_literal();
}
