//! Hostile input: bounded, and never a panic.

use std::fmt::Write as _;

use hostler_diag::SourceMap;
use hostler_yaml::{Node, NodeKind, limits, load, load_all};
use proptest::prelude::*;

fn message(text: &str) -> String {
    let sources = SourceMap::new();
    let id = sources.add_text("t.yml", text);
    let (node, diagnostics) = load(&sources, id);
    assert!(node.is_none());
    diagnostics.into_iter().map(|it| it.message).collect()
}

#[test]
fn limits_are_diagnostics() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        let _ = writeln!(bomb, "a{level}: &a{level} [{alias}]");
    }
    assert!(message(&bomb).contains("nodes"));
    assert!(message(&"[".repeat(100_000)).contains("nested deeper"));
    assert!(message(&"- ".repeat(100_000)).contains("nested deeper"));
    assert!(message(&"a: ".repeat(3)).contains("not allowed"));
    let long = format!("a: {}\n", "x".repeat(limits::SCALAR_BYTES_MAX + 1));
    assert!(message(&long).contains("longer than"));
    let large = "# comment\n".repeat(limits::FILE_BYTES_MAX / 10 + 1);
    assert!(message(&large).contains("larger than"));
    let deep_alias = format!(
        "a: &a {}x{}\nb: {}*a{}\n",
        "[".repeat(40),
        "]".repeat(40),
        "[".repeat(40),
        "]".repeat(40)
    );
    assert!(message(&deep_alias).contains("nests deeper"));
}

#[test]
fn a_megabyte_of_tasks_loads() {
    let task = "- name: install x\n  ansible.builtin.apt:\n    name: \"{{ pkg }}\"\n    state: present\n  when: a == 'b'\n";
    let text = task.repeat(8000);
    let sources = SourceMap::new();
    let id = sources.add_text("t.yml", text);
    let (node, diagnostics) = load(&sources, id);
    assert!(diagnostics.is_empty());
    assert_eq!(
        node.and_then(|it| it.as_list().map(<[Node]>::len)),
        Some(8000)
    );
}

/// Every position of every text must be askable.
fn walk(sources: &SourceMap, node: &Node) {
    let text = sources.get(node.span.source).text.clone();
    assert!(node.span.end as usize <= text.len());
    match &node.kind {
        NodeKind::Text(source) => {
            for at in 0..=source.text().len() {
                let span = source.locate(at, at + 1);
                assert!(span.start <= span.end && span.end as usize <= text.len());
            }
        }
        NodeKind::List(items) => items.iter().for_each(|it| walk(sources, it)),
        NodeKind::Map(map) => map.entries.iter().for_each(|(key, value)| {
            walk(sources, key);
            walk(sources, value);
        }),
        NodeKind::Data(_) | NodeKind::Vault(_) => {}
    }
}

fn try_all(text: &str) {
    let sources = SourceMap::new();
    let id = sources.add_text("t.yml", text);
    let (node, diagnostics) = load(&sources, id);
    if let Some(node) = node {
        walk(&sources, &node);
    }
    for diagnostic in &diagnostics {
        assert!(!diagnostic.labels.is_empty(), "{diagnostic:?}");
        let end = diagnostic.labels[0].span.end as usize;
        assert!(end <= text.len());
    }
    for node in load_all(&sources, id).0 {
        walk(&sources, &node);
    }
}

/// Texts made of the pieces that matter to a YAML parser.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "\n",
        "  ",
        "    ",
        "\t",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "|2+\n",
        "&x ",
        "*x",
        "!vault ",
        "!!int ",
        "!unsafe ",
        "<<: ",
        "---\n",
        "...\n",
        "# c\n",
        "ü",
        "😀",
        "\u{85}",
        "\u{2028}",
        "\r\n",
        "\r",
        "\\",
        "\\n",
        "''",
        "{{ x }}",
        "? ",
        "12",
        "0x",
        "~",
        "%",
        "@",
        "\u{feff}",
        "1:30",
        "2020-01-01",
        "\\\n",
        "\\u00e9",
        "e+3",
        ".5",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn pieces_never_panic(text in yamlish()) {
        try_all(&text);
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        try_all(&String::from_utf8_lossy(&bytes));
    }
}
