//! What is not known before a task has run, in expressions, texts, files and conditions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hostler_diag::SourceMap;
use hostler_template::{
    Engine, FileOptions, Rendered, Scope, TemplateError, TemplateLoader, Truth, Var,
};
use hostler_value::{Cause, Map, Value};
use hostler_yaml::{Node, TemplateSource};

struct Vars(BTreeMap<String, Var>);

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Var> {
        self.0.get(name).cloned()
    }
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl TemplateLoader for Vars {
    fn load(&self, _: &str) -> Result<Option<TemplateSource>, String> {
        Ok(None)
    }
}

fn unknown(task: u32, name: &str) -> Value {
    Value::unknown(Cause {
        task,
        name: name.into(),
        place: "site.yml:3".into(),
    })
}

/// `u` and `v` are not known; `parts` holds something that is not.
fn scope(written: &Node) -> Vars {
    let mut parts = Map::new();
    parts.insert(Value::str("known"), Value::Int(1));
    parts.insert(Value::str("hole"), unknown(1, "U"));
    let data = [
        ("u", unknown(1, "U")),
        ("v", unknown(2, "V")),
        ("parts", Value::from(parts)),
        ("items", Value::list([Value::Int(1), unknown(1, "U")])),
        ("yes", Value::Bool(true)),
        ("no", Value::Bool(false)),
    ];
    let mut vars: BTreeMap<String, Var> = data
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Var::Data(value)))
        .collect();
    for (key, value) in &written.as_map().unwrap().entries {
        vars.insert(
            key.as_str().unwrap().to_owned(),
            Var::Written(value.clone()),
        );
    }
    Vars(vars)
}

const WRITTEN: &str =
    "through: 'a{{ u }}'\nlazy: ['{{ u }}', x]\nnested: {a: '{{ parts.hole }}', b: 2}\n";

fn load(sources: &SourceMap, name: &str, text: &str) -> Node {
    let (node, problems) = hostler_yaml::load(sources, sources.add_file(Path::new(name), text));
    assert!(problems.is_empty(), "{problems:?}");
    node.unwrap()
}

fn with<T>(text: &str, run: impl FnOnce(&Engine, &SourceMap, &Node, &Arc<dyn Scope>) -> T) -> T {
    let sources = SourceMap::new();
    let scope = scope(&load(&sources, "vars.yml", WRITTEN));
    let node = load(&sources, "play.yml", text);
    let scope: Arc<dyn Scope> = Arc::new(scope);
    run(&Engine::new(), &sources, &node, &scope)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn value(text: &str) -> Result<Value, TemplateError> {
    with(&quoted(text), |engine, _, node, scope| {
        engine.finalise(node, scope)
    })
}

/// The value of an expression as Python shows it, its holes as `«U»`.
fn shown(expression: &str) -> String {
    match value(&format!("{{{{ {expression} }}}}")) {
        Ok(value) => brief(&value.repr()),
        Err(error) => format!("ERR {error}"),
    }
}

fn brief(text: &str) -> String {
    text.replace("unknown until ", "")
        .replace('`', "")
        .replace(" and ", "+")
}

fn condition(yaml: &str) -> String {
    let truth = with(yaml, |engine, _, node, scope| {
        engine.condition(node, scope, &mut Vec::new())
    });
    match truth {
        Ok(Truth::Known(truth)) => truth.to_string(),
        Ok(Truth::Unknown(unknown)) => brief(&unknown.hole()),
        Err(error) => format!("ERR {error}"),
    }
}

fn file(text: &str) -> Rendered {
    let sources = SourceMap::new();
    let vars = scope(&load(&sources, "vars.yml", WRITTEN));
    let id = sources.add_file(Path::new("t.j2"), text);
    let scope: Arc<dyn Scope> = Arc::new(vars);
    let rendered = Engine::new().render_file(
        &TemplateSource::whole(&sources, id),
        &FileOptions::default(),
        &scope,
        &Vars(BTreeMap::new()),
    );
    let mut rendered = rendered.unwrap();
    rendered.text = brief(&rendered.text);
    rendered
}

fn check(cases: &[(&str, &str)], answer: impl Fn(&str) -> String) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(source, wanted)| {
            let got = answer(source);
            (got != *wanted).then(|| format!("{source}\n   wanted {wanted}\n   got    {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_needs_it_is_unknown_with_all_reasons() {
    check(
        &[
            ("u", "«U»"),
            ("u.stdout", "«U»"),
            ("u.stdout.strip()", "«U»"),
            ("u.a[0]['b'](1)", "«U»"),
            ("u + v", "«U+V»"),
            ("1 + u * 2", "«U»"),
            ("-u", "«U»"),
            ("not u", "«U»"),
            ("u ~ 'x'", "«U»"),
            ("'%s' % u", "«U»"),
            ("'%s and %d' % (1, u)", "«U»"),
            ("u == u", "«U»"),
            ("u == 1", "«U»"),
            ("1 < v", "«V»"),
            ("'a' in u", "«U»"),
            ("u in 'abc'", "«U»"),
            ("u in [1, 2]", "«U»"),
            ("u | upper", "«U»"),
            ("'a' | replace('a', u)", "«U»"),
            ("u | replace('a', v)", "«U+V»"),
            ("u is changed", "«U»"),
            ("u is failed", "«U»"),
            ("u is string", "«U»"),
            ("'abc' is match(u)", "«U»"),
            ("u | int > 3", "«U»"),
            ("'abc'[u:]", "«U»"),
            ("[1, 2][u]", "«U»"),
            ("parts[u]", "«U»"),
            ("{u: 1}", "«U»"),
            ("range(u) | list", "«U»"),
            ("'a'.join([u])", "«U»"),
            ("'{}'.format(u)", "«U»"),
            ("through ~ '!'", "«U»"),
            ("through | length", "«U»"),
            ("u | type_debug", "«U»"),
        ],
        shown,
    );
}

#[test]
fn some_things_are_known_all_the_same() {
    check(
        &[
            ("u is defined", "True"),
            ("u is undefined", "False"),
            // Whether there is such a part is not known.
            ("u.rc is defined", "«U»"),
            ("parts.hole is defined", "True"),
            ("u | default('x')", "«U»"),
            ("u | default('x', true)", "«U»"),
            ("u.rc | default(0)", "«U»"),
            ("nope | default(u)", "«U»"),
            ("'x' | default(u)", "'x'"),
            ("no and u", "False"),
            ("u and no", "False"),
            ("yes or u", "True"),
            ("u or yes", "True"),
            ("u and yes", "«U»"),
            ("u and v", "«U+V»"),
            ("u or no", "«U»"),
            // The right side may never be looked at.
            ("u and nope.x", "«U»"),
            ("not (u and no)", "True"),
            ("1 if u else 1", "1"),
            ("1 if u else 2", "«U»"),
            ("1 if u else true", "«U»"),
            ("1 if u else nope", "«U»"),
            ("1 if u", "«U»"),
            ("v if u else 2", "«U+V»"),
            ("1 if yes else u", "1"),
            ("u | ternary('a', 'a')", "'a'"),
            ("u | ternary('a', 'b')", "«U»"),
            ("yes | ternary('a', u)", "'a'"),
            ("[u, false] is all", "False"),
            ("[u, true] is all", "«U»"),
            ("[u, true] is any", "True"),
            ("1 in [u, 1]", "True"),
            ("2 in [u, 1]", "«U»"),
            ("[1, u] == [2, 3]", "False"),
            ("[1, u] == [1, 3]", "«U»"),
            ("[1, u] == [1]", "False"),
            ("{'a': u, 'b': 1} == {'a': 1, 'b': 2}", "False"),
            ("u < 3 < 2", "False"),
        ],
        shown,
    );
}

#[test]
fn containers_keep_what_they_know() {
    check(
        &[
            ("[1, u]", "[1, «U»]"),
            ("[1, u] | length", "2"),
            ("parts", "{'known': 1, 'hole': «U»}"),
            ("parts.known", "1"),
            ("parts.keys() | list", "['known', 'hole']"),
            (
                "parts | dict2items | map(attribute='key') | list",
                "['known', 'hole']",
            ),
            (
                "parts | combine({'more': 2})",
                "{'known': 1, 'hole': «U», 'more': 2}",
            ),
            ("parts | combine({'hole': 2})", "{'known': 1, 'hole': 2}"),
            ("parts | combine({'hole': {}}, recursive=true)", "«U»"),
            ("parts | to_json", "«U»"),
            ("items | to_nice_yaml", "«U»"),
            ("items | join(',')", "«U»"),
            ("items | map('int') | list", "[1, «U»]"),
            ("items | select('defined') | list", "[1, «U»]"),
            ("items | select('odd') | list", "«U»"),
            ("items | sort", "«U»"),
            ("items | unique", "«U»"),
            ("items | flatten", "«U»"),
            ("items | first", "1"),
            ("items | last", "«U»"),
            ("items | sum", "«U»"),
            ("items | union([3])", "«U»"),
            ("lazy | length", "2"),
            ("lazy | last", "'x'"),
            ("lazy | to_json", "«U»"),
            ("nested.b", "2"),
            ("nested | to_json", "«U»"),
            (
                "{'results': [{'changed': u}, {'changed': true}]} is changed",
                "True",
            ),
            (
                "{'results': [{'changed': u}, {'changed': false}]} is changed",
                "«U»",
            ),
            ("items + [3]", "[1, «U», 3]"),
        ],
        shown,
    );
}

#[test]
fn text_around_it_has_a_hole() {
    let value = value("port={{ u }} name={{ 'x' }} {{ [u] }}").unwrap();
    let Value::Unknown(found) = &value else {
        panic!("{value:?}");
    };
    assert_eq!(found.until.len(), 1);
    assert_eq!(
        brief(found.sketch.as_deref().unwrap()),
        "port=«U» name=x «U»"
    );
    assert_eq!(shown("through"), "«U»");
    // One text inside another keeps what it knows.
    let Value::Unknown(found) = with("'<{{ through }}>'", |engine, _, node, scope| {
        engine.finalise(node, scope).unwrap()
    }) else {
        panic!("known");
    };
    assert_eq!(brief(&found.text()), "<a«U»>");
}

#[test]
fn finalised_nodes_hold_it_where_it_stands() {
    let text = "{path: /a, owner: '{{ u }}', mode: '{{ omit }}', list: ['{{ v }}', b]}";
    let value = with(text, |engine, _, node, scope| {
        engine.finalise(node, scope).unwrap()
    });
    assert_eq!(
        brief(&value.repr()),
        "{'path': '/a', 'owner': «U», 'list': [«V», 'b']}"
    );
    assert_eq!(value.unknown_part().unwrap().until.len(), 2);
}

#[test]
fn undefined_stays_an_error() {
    assert_eq!(shown("nope + u"), "ERR 'nope' is undefined");
    assert_eq!(shown("u + nope"), "ERR 'nope' is undefined");
    assert_eq!(shown("[u, nope]"), "ERR 'nope' is undefined");
    assert!(value("{{ u }} {{ nope }}").is_err());
}

#[test]
fn conditions_have_three_answers() {
    check(
        &[
            ("u is changed", "«U»"),
            ("u", "«U»"),
            ("not u", "«U»"),
            ("'\"{{ u }}\" == \"x\"'", "«U»"),
            ("'{{ u }}'", "«U»"),
            ("[u, no]", "false"),
            ("[no, u]", "false"),
            ("[u, yes]", "«U»"),
            ("[u, v]", "«U+V»"),
            ("[yes, yes]", "true"),
            ("[u, nope.x]", "«U»"),
            ("[nope.x, u]", "ERR 'nope' is undefined"),
            ("u is defined", "true"),
        ],
        condition,
    );
}

#[test]
fn a_file_has_holes_where_it_depends() {
    let rendered = file("a {{ u }}\n{% if v %}\nlisten\n{% else %}\nsilent\n{% endif %}\nb\n");
    assert_eq!(
        rendered.text,
        "a «U»\n«V: the outcome of an `if`»\nb\n".replace('`', "")
    );
    assert_eq!(rendered.unknown.unwrap().until.len(), 2);

    let rendered = file("{% for x in u %}\n{{ x }}\n{% endfor %}\nend\n");
    assert_eq!(rendered.text, "«U: the items of a for»\nend\n");

    let rendered = file("{% for x in [1, u, 3] %}{{ x }};{% endfor %}\n");
    assert_eq!(rendered.text, "1;«U»;3;\n");

    let known = file("{% if u is defined %}x{% endif %}{{ items | length }}");
    assert_eq!((known.text.as_str(), known.unknown), ("x2", None));

    assert_eq!(file("{{ u }}\n").text, "«U»");
    assert_eq!(file("{% include u %}\n").text, "«U: an included file»\n");
    assert_eq!(file("{% extends u %}\n").text, "«U»");
}

#[test]
fn what_a_doubtful_block_sets_is_doubtful() {
    check(
        &[
            (
                "{% set x = 1 %}{% if u %}{% set x = 2 %}{% endif %}{{ x }}",
                "«U»",
            ),
            (
                "{% set x = 1 %}{% if no %}{% set x = 2 %}{% endif %}{{ x }}",
                "1",
            ),
            (
                "{% set n = namespace(a=1) %}{% for i in u %}{% set n.a = i %}{% endfor %}{{ n.a }}",
                "«U»",
            ),
            (
                "{% set l = [] %}{% for i in [1, 2] %}{% if u %}{% set _ = l.append(i) %}{% endif %}{% endfor %}{{ l | length }}",
                "«U»",
            ),
            (
                "{% set l = [] %}{% set _ = l.extend(u) %}{{ l | length }}",
                "«U»",
            ),
            (
                "{% set l = [] %}{% set _ = l.append(u) %}{{ l | length }}",
                "1",
            ),
            ("{% set a, b = u %}{{ b }}", "«U»"),
            // What stays inside a loop does.
            (
                "{% set x = 1 %}{% for i in u %}{% set x = 2 %}{% endfor %}{{ x }}",
                "1",
            ),
            (
                "{% for i in [1, 2] %}{{ i }}{% if u %}{% break %}{% endif %}{% endfor %}",
                "1«U: the items of a for»",
            ),
            (
                "{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(u) }}.",
                "<«U»>.",
            ),
        ],
        |text| file(text).text,
    );
}

#[test]
fn data_from_outside_is_never_one() {
    // Its words are a text like any other.
    assert_eq!(shown("'«unknown until `U`»' | length"), "19");
}
