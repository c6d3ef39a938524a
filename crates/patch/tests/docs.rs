//! The schema and the page of documentation are those of the types. With `UPDATE_EXPECTED=1` the files are written.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;

use hostler_patch::policy::{markdown, schema};

fn same(path: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == made,
        "{} is not what the types say: UPDATE_EXPECTED=1 writes it",
        path.display()
    );
}

#[test]
fn the_page_is_that_of_the_types() {
    same("docs/patching/policy.md", &markdown());
}

#[test]
fn the_schema_is_that_of_the_types() {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap();
    text.push('\n');
    same("docs/schema/policy.json", &text);
}
