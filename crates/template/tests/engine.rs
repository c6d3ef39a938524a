//! What the engine promises beyond the values: places, laziness, trust, limits, files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hostler_diag::SourceMap;
use hostler_template::{
    Engine, FileOptions, Newline, Scope, TemplateError, TemplateErrorKind, TemplateLoader, Truth,
    Var,
};
use hostler_value::Value;
use hostler_yaml::{Node, TemplateSource};

/// Variables from YAML text, and others as given; counts how often somebody looks.
struct Vars {
    written: Node,
    others: BTreeMap<&'static str, Var>,
    looks: AtomicUsize,
}

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Var> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let written = || Some(Var::Written(self.written.as_map()?.get(name)?.clone()));
        self.others.get(name).cloned().or_else(written)
    }
    fn names(&self) -> Vec<String> {
        let entries = self.written.as_map().map_or(&[][..], |map| &map.entries);
        entries
            .iter()
            .filter_map(|(key, _)| Some(key.as_str()?.to_owned()))
            .collect()
    }
}

/// A test's texts, variables and engine.
struct Bench {
    engine: Engine,
    sources: SourceMap,
    vars: Arc<Vars>,
}

impl Bench {
    fn new(vars: &str) -> Self {
        Self::with(vars, [])
    }

    fn with<const N: usize>(vars: &str, others: [(&'static str, Var); N]) -> Self {
        let sources = SourceMap::new();
        let written = load(&sources, "vars.yml", vars);
        let vars = Vars {
            written,
            others: others.into(),
            looks: AtomicUsize::new(0),
        };
        Bench {
            engine: Engine::new(),
            sources,
            vars: Arc::new(vars),
        }
    }

    fn scope(&self) -> Arc<dyn Scope> {
        self.vars.clone()
    }

    fn node(&self, text: &str) -> Node {
        load(&self.sources, "play.yml", text)
    }

    fn value(&self, yaml: &str) -> Result<Value, TemplateError> {
        self.engine.finalise(&self.node(yaml), &self.scope())
    }

    /// The value of an expression, as Python shows it.
    fn shown(&self, expression: &str) -> String {
        let source = format!("{{{{ {expression} }}}}");
        let source = serde_json::to_string(&source).unwrap();
        match self.value(&source) {
            Ok(value) => value.repr(),
            Err(error) => format!("{:?}: {error}", error.kind),
        }
    }

    fn file(&self, text: &str, options: &FileOptions) -> Result<String, TemplateError> {
        let id = self.sources.add_file(Path::new("t.j2"), text);
        let loader = Files(self.sources.clone());
        let rendered = self.engine.render_file(
            &TemplateSource::whole(&self.sources, id),
            options,
            &self.scope(),
            &loader,
        )?;
        assert_eq!(rendered.unknown, None);
        Ok(rendered.text)
    }

    /// `file:line:column` of an error.
    fn place(&self, error: &TemplateError) -> String {
        error.span.map_or_else(
            || "nowhere".into(),
            |span| self.sources.locate(span).to_string(),
        )
    }
}

struct Files(SourceMap);

impl TemplateLoader for Files {
    fn load(&self, name: &str) -> Result<Option<TemplateSource>, String> {
        let text = match name {
            "part.j2" => "part of {{ who }}\n{{ oops }}\n",
            "macros.j2" => "{% macro hi(x) %}hi {{ x }}{% endmacro %}{% set v = [1] %}",
            "self.j2" => "{% include 'self.j2' %}",
            "locked.j2" => return Err("cannot read locked.j2: permission denied".into()),
            _ => return Ok(None),
        };
        Ok(Some(TemplateSource::whole(
            &self.0,
            self.0.add_file(Path::new(name), text),
        )))
    }
}

fn load(sources: &SourceMap, name: &str, text: &str) -> Node {
    let (node, problems) = hostler_yaml::load(sources, sources.add_file(Path::new(name), text));
    assert!(problems.is_empty(), "{problems:?}");
    node.unwrap()
}

#[test]
fn undefined_says_where_and_what_was_meant() {
    let bench = Bench::new("http_port: 80\nweb: {root: /srv}\n");
    let error = bench
        .value("a: x\nport: 'is {{ htp_port }}'\n")
        .unwrap_err();
    assert_eq!(error.kind, TemplateErrorKind::Undefined);
    assert_eq!(error.to_string(), "'htp_port' is undefined");
    assert_eq!(bench.place(&error), "play.yml:2:14");
    assert_eq!(error.hints, ["did you mean `http_port`?"]);

    let error = bench.value("a: |\n  one\n  {{ web.rot }}\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "object of type 'dict' has no attribute 'rot'"
    );
    assert_eq!(bench.place(&error), "play.yml:3:6");
    assert_eq!(error.hints, ["did you mean `root`?"]);
}

#[test]
fn an_error_names_the_variables_it_came_through() {
    let bench =
        Bench::new("url: 'http://{{ host }}/'\nhost: '{{ name }}.{{ domain }}'\nname: web\n");
    let error = bench.value("a: '{{ url }}'").unwrap_err();
    assert_eq!(error.to_string(), "'domain' is undefined");
    assert_eq!(bench.place(&error), "vars.yml:2:22");
    let through: Vec<&str> = error
        .through
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(through, ["url", "host"]);
    let diagnostic = error.to_diagnostic();
    assert_eq!(diagnostic.labels.len(), 3);
    // The same through `default` and `is defined`: no error at all.
    assert_eq!(bench.shown("url | default('none')"), "'none'");
    assert_eq!(bench.shown("url is defined"), "False");
}

#[test]
fn data_is_never_a_template() {
    let bench = Bench::with(
        "indirect: '{{ fact }}'\nwrapped: ['{{ fact }}']\n",
        [
            ("fact", Var::Data(Value::str("{{ secret }}"))),
            (
                "facts",
                Var::Data(Value::list([Value::str("{% set x = 1 %}")])),
            ),
            ("secret", Var::Data(Value::str("leaked"))),
        ],
    );
    assert_eq!(bench.shown("fact"), "'{{ secret }}'");
    assert_eq!(bench.shown("indirect"), "'{{ secret }}'");
    assert_eq!(bench.shown("wrapped[0]"), "'{{ secret }}'");
    assert_eq!(bench.shown("facts"), "['{% set x = 1 %}']");
    assert_eq!(bench.shown("'{{ ' ~ 'secret' ~ ' }}'"), "'{{ secret }}'");
    assert_eq!(
        bench.shown("'a: \"{{ secret }}\"' | from_yaml"),
        "{'a': '{{ secret }}'}"
    );
    assert_eq!(
        bench.shown("'[\"{{ secret }}\"]' | from_json"),
        "['{{ secret }}']"
    );
    let mut warnings = Vec::new();
    let condition = bench.node("'{{ fact }}'");
    assert!(
        bench
            .engine
            .condition(&condition, &bench.scope(), &mut warnings)
            .is_err()
    );
}

#[test]
fn variables_are_evaluated_when_looked_at_and_once() {
    let bench = Bench::new(
        "used: '{{ base }}!'\nbase: b\nbroken: '{{ 1 / 0 }}'\nmap: {good: '{{ base }}', bad: '{{ 1 / 0 }}'}\n",
    );
    assert_eq!(bench.shown("used ~ used ~ used"), "'b!b!b!'");
    assert_eq!(bench.vars.looks.load(Ordering::Relaxed), 2);
    assert_eq!(bench.shown("map.good"), "'b'");
    assert_eq!(bench.shown("map | length"), "2");
    assert!(bench.shown("map").starts_with("Runtime: division by zero"));
    assert_eq!(bench.shown("used if true else broken"), "'b!'");
}

#[test]
fn a_variable_defined_by_itself_is_an_error() {
    let bench = Bench::new("a: '{{ b }}'\nb: '{{ [a] }}'\nok: {x: 1, y: '{{ ok.x }}'}\n");
    assert_eq!(
        bench.shown("a"),
        "Limit: recursive loop detected in template: `a` is defined by itself"
    );
    assert_eq!(bench.shown("a is defined").split(':').next(), Some("Limit"));
    // A part of a variable may use another part.
    assert_eq!(bench.shown("ok"), "{'x': 1, 'y': 1}");
}

#[test]
fn nested_scopes_evaluate_in_themselves() {
    let sources = SourceMap::new();
    let host = |name: &str| {
        let written = load(
            &sources,
            "h.yml",
            &format!("name: {name}\ngreeting: 'I am {{{{ name }}}}'\n"),
        );
        let vars: Arc<dyn Scope> = Arc::new(Vars {
            written,
            others: BTreeMap::new(),
            looks: AtomicUsize::new(0),
        });
        Var::Nested(vars)
    };
    let hosts = Vars {
        written: load(&sources, "e.yml", "{}"),
        others: [("web1", host("web1")), ("web2", host("web2"))].into(),
        looks: AtomicUsize::new(0),
    };
    let bench = Bench::with("name: here\n", [("hostvars", Var::Nested(Arc::new(hosts)))]);
    assert_eq!(
        bench.shown("hostvars['web2'].greeting ~ ', not ' ~ name"),
        "'I am web2, not here'"
    );
    assert_eq!(bench.shown("hostvars.web1['nope'] | default('-')"), "'-'");
    assert_eq!(bench.shown("'web1' in hostvars"), "True");
    assert_eq!(bench.shown("'web9' in hostvars"), "False");
}

#[test]
fn omit_leaves_entries_and_items_out() {
    let bench = Bench::new("mode: null\n");
    let value = bench.value("path: /x\nowner: '{{ owner | default(omit) }}'\nlist: [1, '{{ omit }}']\nmode: '{{ mode }}'\n");
    assert_eq!(
        value.unwrap().repr(),
        "{'path': '/x', 'list': [1], 'mode': None}"
    );
    let whole = bench.node("'{{ omit }}'");
    assert_eq!(
        bench
            .engine
            .finalise_optional(&whole, &bench.scope())
            .unwrap(),
        None
    );
}

#[test]
fn templates_change_their_own_copy_of_data() {
    let list = Value::list([Value::Int(1)]);
    let bench = Bench::with(
        "mine: [1, {deep: []}]\n",
        [("theirs", Var::Data(list.clone()))],
    );
    assert_eq!(
        bench
            .value("'{% set _ = theirs.append(2) %}{{ theirs }}'")
            .unwrap()
            .repr(),
        "[1, 2]"
    );
    assert_eq!(bench.shown("theirs"), "[1]");
    assert_eq!(list.repr(), "[1]");
    assert_eq!(
        bench
            .value("'{% set _ = mine[1].deep.append(2) %}{{ mine }}'")
            .unwrap()
            .repr(),
        "[1, {'deep': [2]}]"
    );
    assert_eq!(bench.shown("mine"), "[1, {'deep': []}]");
}

#[test]
fn conditions_are_strict_where_versions_dispute() {
    let bench = Bench::new("no_text: 'no'\nyes_text: 'yes'\nlist: [1]\nempty: []\nflag: true\n");
    let ask = |text: &str| {
        let mut warnings = Vec::new();
        let held = bench
            .engine
            .condition(&bench.node(text), &bench.scope(), &mut warnings);
        let held = held.map(|truth| match truth {
            Truth::Known(truth) => truth,
            Truth::Unknown(unknown) => panic!("{}", unknown.words()),
        });
        (held.map_err(|error| error.to_string()), warnings.len())
    };
    assert_eq!(ask("flag and list | length == 1"), (Ok(true), 0));
    assert_eq!(ask("[flag, 'not flag']"), (Ok(false), 0));
    assert_eq!(ask("true"), (Ok(true), 0));
    assert_eq!(ask("list"), (Ok(true), 1));
    assert_eq!(ask("empty"), (Ok(false), 1));
    assert_eq!(ask("yes_text"), (Ok(true), 1));
    let (refused, _) = ask("no_text");
    assert_eq!(
        refused.unwrap_err(),
        "Conditional result (True) was derived from value of type 'str'. Conditionals must have a boolean result."
    );
    assert_eq!(ask("'{{ flag }}'"), (Ok(true), 1));
    assert_eq!(ask("\"'{{ yes_text }}' == 'yes'\"").0, Ok(true));
    assert!(ask("''").0.is_err());
    assert!(ask("{a: 1}").0.is_err());
}

#[test]
fn files_keep_ansibles_newlines() {
    let bench = Bench::new("who: me\n");
    let plain = FileOptions::default();
    let text = "{% if true %}\nyes\n{% endif %}\n{{ who }}\n\n";
    assert_eq!(bench.file(text, &plain).unwrap(), "yes\nme\n\n");
    assert_eq!(bench.file("{{ who }}", &plain).unwrap(), "me");
    let untrimmed = FileOptions {
        trim_blocks: false,
        ..plain.clone()
    };
    assert_eq!(bench.file(text, &untrimmed).unwrap(), "\nyes\n\nme\n\n");
    let stripped = FileOptions {
        lstrip_blocks: true,
        ..plain.clone()
    };
    assert_eq!(
        bench
            .file("  {% if true %}\nx\n  {% endif %}\n", &stripped)
            .unwrap(),
        "x\n"
    );
    let windows = FileOptions {
        newline: Newline::CrLf,
        ..plain.clone()
    };
    assert_eq!(
        bench.file("a\n{{ who }}\nb", &windows).unwrap(),
        "a\r\nme\r\nb"
    );
    assert_eq!(bench.file("a\nb\n", &windows).unwrap(), "a\r\nb\r\n");
    // One expression is written as its value's text; only text keeps its newline.
    assert_eq!(bench.file("{{ 1 }}\n", &plain).unwrap(), "1");
    assert_eq!(bench.file("{{ who }}\n", &plain).unwrap(), "me\n");
    assert_eq!(
        bench.file("{% if false %}x{% endif %}\n", &plain).unwrap(),
        ""
    );
    assert_eq!(
        bench.file("a\r\n{{ who }}\r\nb\r\n", &plain).unwrap(),
        "a\nme\nb\n"
    );
    // Escapes in a file's texts are Jinja's; in a playbook YAML was there first.
    assert_eq!(bench.file(r"{{ 'a\tb' }}", &plain).unwrap(), "a\tb");
    assert_eq!(bench.shown(r"'a\tb'"), r"'a\\tb'");
}

#[test]
fn a_files_first_line_changes_options() {
    let bench = Bench::new("who: me\n");
    let text = "#jinja2: variable_start_string: '[%', variable_end_string: '%]', trim_blocks: False\n{% if true %}\n[% who %]\n{% endif %}\n[% oops %]\n";
    let error = bench.file(text, &FileOptions::default()).unwrap_err();
    assert_eq!(
        (error.to_string(), bench.place(&error)),
        ("'oops' is undefined".into(), "t.j2:5:4".into())
    );
    let fine = text.replace("[% oops %]\n", "");
    assert_eq!(
        bench.file(&fine, &FileOptions::default()).unwrap(),
        "\nme\n"
    );
    let error = bench
        .file("#jinja2: trim_block: True\nx", &FileOptions::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "invalid key `trim_block` in `#jinja2:`");
}

#[test]
fn errors_in_files_have_their_line() {
    let bench = Bench::new("who: me\n");
    let plain = FileOptions::default();
    let place = |text: &str| {
        let error = bench.file(text, &plain).unwrap_err();
        format!("{} {error}", bench.place(&error))
    };
    assert_eq!(
        place("a\nb\n  {{ who.x.y }}\n"),
        "t.j2:3:6 object of type 'str' has no attribute 'x'"
    );
    assert_eq!(
        place("a\r\nb\r\n{{ oops }}\r\n"),
        "t.j2:3:4 'oops' is undefined"
    );
    assert_eq!(
        place("a\n{{ who | uper }}\n"),
        "t.j2:2:10 No filter named 'uper'."
    );
    assert_eq!(
        place("a\n{% for x in 5 %}{% endfor %}\n"),
        "t.j2:2:13 'int' object is not iterable"
    );
    assert_eq!(
        place("é\n{{ 'é' ~ 1 + none }}\n").split(' ').next(),
        Some("t.j2:2:4")
    );
    assert_eq!(place("a\n{% if %}\n").split(' ').next(), Some("t.j2:2:7"));
    assert_eq!(
        place("x\n{% include 'part.j2' %}"),
        "part.j2:2:4 'oops' is undefined"
    );
    assert_eq!(
        place("x\n{% include 'none.j2' %}"),
        "t.j2:2:4 template not found: none.j2"
    );
    assert_eq!(
        place("x\n{% include 'locked.j2' %}"),
        "t.j2:2:4 cannot read locked.j2: permission denied"
    );
}

#[test]
fn files_include_and_import() {
    let bench = Bench::new("who: me\n");
    let plain = FileOptions::default();
    let text = "{% from 'macros.j2' import hi, v %}{{ hi(who) }} {{ v }}{% include 'none.j2' ignore missing %}";
    assert_eq!(bench.file(text, &plain).unwrap(), "hi me [1]");
    let error = bench.file("{% include 'self.j2' %}", &plain).unwrap_err();
    assert_eq!(error.kind, TemplateErrorKind::Limit);
}

#[test]
fn limits_end_what_would_not_end() {
    let bench = Bench::new("x: 1\n");
    let kind = |text: &str| bench.file(text, &FileOptions::default()).unwrap_err().kind;
    assert_eq!(kind("{{ 'x' * 1000000000 }}"), TemplateErrorKind::Limit);
    assert_eq!(
        kind("{{ range(10000000000) | list }}"),
        TemplateErrorKind::Limit
    );
    assert_eq!(kind("{{ [1] * 100000000 }}"), TemplateErrorKind::Limit);
    assert_eq!(kind("{{ '%999999999d' % 1 }}"), TemplateErrorKind::Limit);
    assert_eq!(
        kind("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        TemplateErrorKind::Limit
    );
    assert_eq!(
        kind("{% for i in range(20) %}{{ 'x' * 1000000 }}{% endfor %}"),
        TemplateErrorKind::Limit
    );
    assert_eq!(
        kind("{% set l = [] %}{% do l.append(l) %}{{ l }}"),
        TemplateErrorKind::Limit
    );
    assert_eq!(
        kind("{{ range(400) | product(range(400)) | list }}"),
        TemplateErrorKind::Limit
    );
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(kind(&nested), TemplateErrorKind::Syntax);
    let chain = |length: usize| format!("{{{{ 1{} }}}}", " + 1".repeat(length));
    assert_eq!(
        bench.file(&chain(900), &FileOptions::default()).unwrap(),
        "901"
    );
    assert_eq!(kind(&chain(50_000)), TemplateErrorKind::Syntax);
}

#[test]
fn check_finds_what_can_be_known_before_a_run() {
    let bench = Bench::new("x: 1\n");
    let found = bench.engine.check(&bench.node("a: '{{ x | defalt(1) }}'\nb: ['{{ x is defind }}', '{{ x ', fine]\nc: \"{{ lookup('file', 'x') }}\"\nd: '{{ x | json_query(1) }}'\n"));
    let lines: Vec<String> = found
        .iter()
        .map(|problem| {
            format!(
                "{} {}",
                bench.sources.locate(problem.labels[0].span).line,
                problem.message
            )
        })
        .collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(lines[0], "1 No filter named 'defalt'.");
    assert_eq!(found[0].hints, ["did you mean `default`?"]);
    assert_eq!(lines[1], "2 No test named 'defind'.");
    assert_eq!(lines[3], "3 lookups are not available yet");
    assert_eq!(lines[4], "4 the filter 'json_query' is not available");
    assert_eq!(
        bench
            .engine
            .check_condition(&bench.node("['x == 1', 'x ==', '{{ x }}', 'x is matc(1)']"))
            .len(),
        2
    );
}

#[test]
fn variables_that_a_text_reads_are_known() {
    let bench = Bench::new("x: 1\n");
    let node = bench.node("a: '{% for i in xs %}{{ i.name ~ y | default(z) }}{% endfor %}{{ range(n) | list }}'\nb: ['{{ omit }}', plain]\n");
    let names: Vec<String> = bench.engine.variables(&node).into_iter().collect();
    assert_eq!(names, ["n", "xs", "y", "z"]);
    let names: Vec<String> = bench
        .engine
        .condition_variables(&bench.node("\"a is defined and '{{ b }}' == c\""))
        .into_iter()
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn what_a_text_needs_is_told_from_what_it_asks_for() {
    let bench = Bench::new("x: 1\n");
    let wants = bench.engine.wants(&bench.node(
        "a: '{% set own = 1 %}{{ own }} {{ needed }} {{ maybe }}{% if maybe is defined %}{% endif %}'\nb: '{{ other | d(third) }}'\n",
    ));
    let needs: Vec<&str> = wants.needs.iter().map(|need| need.name.as_str()).collect();
    assert_eq!(needs, ["needed", "third"]);
    assert_eq!(bench.sources.slice(wants.needs[0].span), "needed");
    assert_eq!(bench.sources.slice(wants.needs[1].span), "third");
    let asks: Vec<&String> = wants.asks.iter().collect();
    assert_eq!(asks, ["maybe", "other"]);
    let wants = bench
        .engine
        .condition_wants(&bench.node("a is not defined or a == b"));
    assert_eq!((wants.needs.len(), wants.asks.len()), (1, 1));
}

#[test]
fn of_an_unknown_value_without_a_cause_not_even_that_it_is_defined_is_known() {
    struct Opaque;
    impl Scope for Opaque {
        fn get(&self, name: &str) -> Option<Var> {
            (name == "u").then(|| Var::Data(Value::Unknown(Arc::default())))
        }
        fn names(&self) -> Vec<String> {
            vec!["u".into()]
        }
    }
    let bench = Bench::new("x: 1\n");
    let scope: Arc<dyn Scope> = Arc::new(Opaque);
    let truth = |text: &str| {
        let found = bench
            .engine
            .condition(&bench.node(text), &scope, &mut Vec::new());
        found.map(|truth| match truth {
            Truth::Known(known) => Some(known),
            Truth::Unknown(_) => None,
        })
    };
    for text in [
        "u is defined",
        "u is not defined",
        "u.x is defined",
        "u is string",
    ] {
        assert_eq!(truth(text).unwrap(), None, "{text}");
    }
    assert_eq!(truth("u is defined and false").unwrap(), Some(false));
    assert!(truth("missing == u").is_err());
}

#[test]
fn bare_expressions_give_native_values() {
    let bench = Bench::new("x: {y: [1, '{{ 1 + 1 }}']}\n");
    let source = bench.node("x.y");
    let value = bench
        .engine
        .expression(source.as_source().unwrap(), &bench.scope())
        .unwrap();
    assert_eq!(value.repr(), "[1, 2]");
    let missing = bench.node("x.z");
    let error = bench
        .engine
        .expression(missing.as_source().unwrap(), &bench.scope())
        .unwrap_err();
    assert_eq!(bench.place(&error), "play.yml:1:1");
}

#[test]
fn an_engine_serves_many_threads() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Engine>();
    assert_shared::<TemplateError>();
}
