//! Spans: every node knows its place, and a part of a template is found in its line.

use hostler_diag::SourceMap;
use hostler_yaml::{Node, load};

fn parse(text: &str) -> (SourceMap, Node) {
    let sources = SourceMap::new();
    let id = sources.add_text("t.yml", text);
    let (node, diagnostics) = load(&sources, id);
    (sources, node.unwrap_or_else(|| panic!("{diagnostics:?}")))
}

/// Where `needle`, a part of the text of `key`, is found: line, column and the source text there.
fn find(text: &str, key: &str, needle: &str) -> (u32, u32, String) {
    let (sources, node) = parse(text);
    let source = node
        .as_map()
        .and_then(|map| map.get(key))
        .and_then(Node::as_source);
    let source = source.expect("a text");
    let start = source.text().find(needle).expect("needle");
    let span = source.locate(start, start + needle.len());
    let place = sources.locate(span);
    (place.line, place.column, sources.slice(span))
}

#[test]
fn parts_of_scalars_are_found_in_their_line() {
    let cases: &[(&str, &str, (u32, u32, &str))] = &[
        ("a: foo {{ bar }}\n", "bar", (1, 11, "bar")),
        ("ü: 1\na: ünï {{ bar }}\n", "bar", (2, 11, "bar")),
        ("a: \"{{ bar }}\"\n", "bar", (1, 8, "bar")),
        ("a: \"x\\n\\u00e4 {{ bar }}\"\n", "bar", (1, 18, "bar")),
        ("a: 'it''s {{ bar }}'\n", "bar", (1, 14, "bar")),
        (
            "a: one two\n   three {{ bar }}\n   four\n",
            "bar",
            (2, 13, "bar"),
        ),
        ("a: \"one\n\n  two {{ bar }}\"\n", "bar", (3, 10, "bar")),
        ("a: \"one \\\n  two {{ bar }}\"\n", "bar", (2, 10, "bar")),
        (
            "a: |\n  one\n  two {{ bar }}\n  three\n",
            "bar",
            (3, 10, "bar"),
        ),
        (
            "a: |\n\n    one\n      two {{ bar }}\n",
            "bar",
            (4, 14, "bar"),
        ),
        (
            "a: |2-\n    one\n    two {{ bar }}\n",
            "bar",
            (3, 12, "bar"),
        ),
        (
            "a: >-\n  one\n  two {{ bar }}\n\n  three\n",
            "bar",
            (3, 10, "bar"),
        ),
        (
            "a: >\n  one\n    more\n  two {{ bar }}\n",
            "bar",
            (4, 10, "bar"),
        ),
        (
            "a: |\r\n  one\r\n  two {{ bar }}\r\n",
            "bar",
            (3, 10, "bar"),
        ),
        (
            "a: &x !!str |\n  one\n  two {{ bar }}\n",
            "bar",
            (3, 10, "bar"),
        ),
        ("a: !!str \"{{ bar }}\"\n", "bar", (1, 14, "bar")),
        ("{\"a\": \"x\\n{{ bar }}\"}", "bar", (1, 14, "bar")),
    ];
    for (text, needle, (line, column, slice)) in cases {
        let found = find(text, "a", needle);
        assert_eq!(found, (*line, *column, (*slice).to_owned()), "{text:?}");
    }
}

#[test]
fn collections_end_with_their_last_item() {
    let text = "a:\n  - x: 1\n    y: [1, 2]\n\n\nb: &k\n  c: 1\nd: *k\n";
    let (sources, node) = parse(text);
    let map = node.as_map().expect("map");
    let slice = |key: &str| sources.slice(map.get(key).expect("key").span);
    assert_eq!(slice("a"), "- x: 1\n    y: [1, 2]");
    assert_eq!(slice("b"), "&k\n  c: 1");
    assert_eq!(sources.slice(map.entry("d").expect("d").0.span), "d");
}

#[test]
fn excerpts_keep_their_place() {
    let text = "a: >-\n  src=x\n  dest={{ bar }}\n";
    let (sources, node) = parse(text);
    let source = node
        .as_map()
        .and_then(|map| map.get("a"))
        .and_then(Node::as_source)
        .expect("text");
    let start = source.text().find("{{").expect("markup");
    let part = source.excerpt(start, source.text().len(), None);
    assert_eq!(part.text(), "{{ bar }}");
    let span = part.locate(3, 6);
    assert_eq!(sources.slice(span), "bar");
    assert_eq!(sources.locate(span).line, 3);
    let rewritten = source.excerpt(0, 5, Some("src=y".into()));
    assert_eq!(sources.slice(rewritten.locate(4, 5)), "src=x");
}
