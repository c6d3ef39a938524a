//! What a user reads about a file that is wrong.

use hostler_diag::{Diagnostic, SourceMap};
use hostler_yaml::load;

fn diagnose(text: &str) -> (SourceMap, Vec<Diagnostic>) {
    let sources = SourceMap::new();
    let id = sources.add_text("t.yml", text);
    let (node, diagnostics) = load(&sources, id);
    assert_eq!(node.is_none(), diagnostics.iter().any(Diagnostic::is_error));
    (sources, diagnostics)
}

#[test]
fn classic_mistakes_get_a_hint() {
    for (text, hint) in [
        ("a:\n\tb: 1\n", "tabs"),
        ("-\tname: x\n  b: 1\n", "tabs"),
        ("a: {{ b }}\n", "quote values that start with `{{`"),
        ("a: {{ b }}/c\n", "quote values that start with `{{`"),
        (
            "- name: x\n  path: {{ b }}/c\n  mode: 1\n",
            "quote values that start with `{{`",
        ),
        (
            "a: {% if x %}y{% endif %}\n",
            "quote values that start with `{%`",
        ),
        ("a: echo foo: bar\n", "quote the value"),
        ("- shell: echo \"x: y\" foo: z\n", "quote the value"),
        (
            "foo:bar\nbaz: 1\n",
            "put a space behind the colon of `foo:`",
        ),
        ("a: \"x\" and more\n", "put the whole value in ' quotes"),
        ("when: 'a' == b\n", "put the whole value in \" quotes"),
        ("a: \"never closed\nb: 1\n", "never closed"),
        ("a: @foo\n", "must be quoted"),
        ("a: %foo\n", "must be quoted"),
        ("a: *\n", "must be quoted"),
        ("a: *nope\n", "put it in quotes"),
        ("a: !foo bar\n", "put it in quotes"),
        ("a: 2020-13-45\n", "put it in quotes"),
        ("- a: 1\n   b: 2\n", "indentation"),
        ("---\na: 1\n---\nb: 1\n", "file of its own"),
        ("a: \u{7}\n", "remove the character"),
    ] {
        let (_, diagnostics) = diagnose(text);
        let hints: Vec<_> = diagnostics.iter().flat_map(|it| &it.hints).collect();
        assert!(
            hints.iter().any(|it| it.contains(hint)),
            "{text:?} should hint {hint:?}: {diagnostics:#?}"
        );
    }
}

#[test]
fn duplicate_keys_name_both_lines_and_merges_do_not_warn() {
    let (sources, diagnostics) = diagnose("a: 1\nb: 2\na: 3\n<<: {b: 1}\n");
    let [warning] = diagnostics.as_slice() else {
        panic!("{diagnostics:?}");
    };
    assert!(!warning.is_error());
    let lines = warning.labels.iter().map(|it| sources.locate(it.span).line);
    assert_eq!(lines.collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn several_problems_are_reported_together() {
    let (_, diagnostics) = diagnose("a: !x 1\nb: *y\nc: !!int z\n? [k]\n: 1\n");
    assert_eq!(diagnostics.len(), 4, "{diagnostics:#?}");
}

#[test]
fn nothing_is_null() {
    for text in ["", "# only a comment\n", "---\n", "\n\n"] {
        let sources = SourceMap::new();
        let id = sources.add_text("t.yml", text);
        let (node, diagnostics) = load(&sources, id);
        assert!(node.is_some_and(|it| it.is_null()), "{text:?}");
        assert!(diagnostics.is_empty());
    }
}

#[test]
fn what_is_marked_secret_is_data_and_noted() {
    let sources = SourceMap::new();
    let text = "a: !secret 's{{ 1 }}3'\nb: !secret\n  name: {user: root, n: 7, password: >\n    two words}\nc: !secret |\n  line\n  more\nd: !secret 12345\ne: !secret abc\n";
    let text = text.replace(">\n    two words", "two words");
    let id = sources.add_text("t", text);
    let (node, diagnostics) = hostler_yaml::load(&sources, id);
    let node = node.expect("no errors");
    let hidden = sources.hidden_since(0);
    let texts: Vec<&str> = hidden.iter().map(|it| &*it.text).collect();
    let all = [
        "s{{ 1 }}3",
        "root",
        "two words",
        "line\nmore\n",
        "12345",
        "abc",
    ];
    assert_eq!(texts, all, "names and numbers are none");
    assert_eq!(sources.slice(hidden[0].span), "'s{{ 1 }}3'");
    let map = node.as_map().expect("a mapping");
    let a = &map.get("a").expect("a").kind;
    assert!(
        matches!(a, hostler_yaml::NodeKind::Data(value) if value.as_str() == Some("s{{ 1 }}3")),
        "never a template: {a:?}"
    );
    let codes: Vec<&str> = diagnostics.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["short-secret"]);
    assert_eq!(sources.hidden_since(6).len(), 0);
}
