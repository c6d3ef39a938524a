//! The cases of `tests/cases`, compared with what ansible-core makes of them (`tests/tools/expect.py`).

use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_inventory::{
    FsLoader, Inventory, Loaded, Loader, Pattern, ScriptRunner, VarFiles, Vars, load_inventory,
};
use hostler_value::Value;
use serde_json::{Map, Value as Json, json};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn read_json(path: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).expect("file")).expect("JSON")
}

struct Shell;

impl ScriptRunner for Shell {
    fn run(&self, program: &Path, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("sh").arg(program).args(arguments).output();
        let output = output.map_err(|it| it.to_string())?;
        String::from_utf8(output.stdout).map_err(|it| it.to_string())
    }
}

/// Files relative to the cases, so that the tests need no working directory of their own.
struct Files;

impl Files {
    fn at(path: &Path) -> PathBuf {
        cases().join(path)
    }
}

impl Loader for Files {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        FsLoader.read(&Self::at(path))
    }
    fn list_dir(&self, path: &Path) -> std::io::Result<Vec<String>> {
        FsLoader.list_dir(&Self::at(path))
    }
    fn is_dir(&self, path: &Path) -> bool {
        FsLoader.is_dir(&Self::at(path))
    }
    fn exists(&self, path: &Path) -> bool {
        FsLoader.exists(&Self::at(path))
    }
    fn is_executable(&self, path: &Path) -> bool {
        FsLoader.is_executable(&Self::at(path))
    }
    fn absolute(&self, path: &Path) -> PathBuf {
        FsLoader.absolute(&Self::at(path))
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::BigInt(digits) => json!(digits.parse::<f64>().expect("digits")),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => {
            let pairs = map.iter();
            Json::Object(
                pairs
                    .map(|(key, value)| (key.to_text(), to_json(value)))
                    .collect(),
            )
        }
        other => serde_json::to_value(other).expect("JSON"),
    }
}

/// A host's variables in order of precedence, weakest first.
fn variables(loaded: &Loaded, play: &VarFiles, name: &str) -> Json {
    let inventory = &loaded.inventory;
    let host = inventory.host(name).expect("host");
    let mut merged = Map::new();
    let mut lay = |vars: Option<&Vars>| {
        for (name, node) in vars.into_iter().flatten() {
            merged.insert(name.to_string(), to_json(&node.to_literal()));
        }
    };
    let all = inventory.group("all").expect("all");
    lay(Some(&all.vars));
    for group in inventory.groups_of(host) {
        lay(Some(&group.vars));
    }
    for files in [&loaded.var_files, play] {
        lay(files.groups.get("all").map(|it| &**it));
    }
    for files in [&loaded.var_files, play] {
        for group in inventory.groups_of(host) {
            lay(files.groups.get(&group.name).map(|it| &**it));
        }
    }
    lay(Some(&host.vars));
    for files in [&loaded.var_files, play] {
        lay(files.hosts.get(name).map(|it| &**it));
    }
    Json::Object(merged)
}

fn relative(path: &Path) -> Json {
    let shown = path.strip_prefix(cases()).unwrap_or(path);
    json!(shown.display().to_string())
}

fn describe(loaded: &Loaded, play: &VarFiles) -> (Json, Json) {
    let inventory = &loaded.inventory;
    let groups = inventory.groups().map(|group| {
        let names = |hosts: Vec<&hostler_inventory::Host>| -> Json {
            hosts.iter().map(|host| json!(&*host.name)).collect()
        };
        let children: Json = inventory.children(group).map(|it| json!(&*it.name)).collect();
        let described = json!({
            "hosts": names(inventory.members(group).collect()), "children": children,
            "depth": group.depth, "priority": group.priority, "all_hosts": names(inventory.group_hosts(&group.name)),
        });
        (group.name.to_string(), described)
    });
    let hosts = inventory.hosts().map(|host| {
        let group_names: Json = inventory.group_names(host).iter().map(|it| json!(&**it)).collect();
        let source = host.source.as_ref().expect("source");
        let described = json!({
            "vars": variables(loaded, play, &host.name), "group_names": group_names, "short": host.short_name(),
            "file": relative(&source.file), "dir": source.dir.as_deref().map(relative),
        });
        (host.name.to_string(), described)
    });
    (
        Json::Object(groups.collect()),
        Json::Object(hosts.collect()),
    )
}

fn select(inventory: &Inventory, pattern: &Json, limit: Option<&Pattern>) -> Json {
    let pattern = match pattern {
        Json::Array(items) => Pattern::from_list(items.iter().filter_map(Json::as_str)),
        text => Pattern::parse(text.as_str().expect("text")),
    };
    let selection = inventory.select_within(&pattern, limit);
    if selection.problems.iter().any(|it| it.malformed) {
        return json!("error");
    }
    selection.hosts.iter().map(|it| json!(&**it)).collect()
}

#[test]
fn inventories_and_patterns_are_ansibles() {
    let expected = read_json(&cases().join("../expected.json"));
    let mut failures = Vec::new();
    let mut patterns = 0;
    let cases_list = read_json(&cases().join("cases.json"));
    for case in cases_list.as_array().expect("list") {
        let name = case["name"].as_str().expect("name");
        let expected = &expected[name];
        let given: Vec<String> = serde_json::from_value(case["sources"].clone()).expect("sources");
        let sources = SourceMap::new();
        let (loaded, diagnostics) = load_inventory(&given, &sources, &Files, &Shell);
        assert!(
            diagnostics.iter().all(|it| !it.is_error()),
            "{name}: {diagnostics:#?}"
        );
        let mut play = VarFiles::default();
        if let Some(directory) = case["playbook"].as_str() {
            let directory = Files.absolute(Path::new(directory));
            play = VarFiles::load(&loaded.inventory, &directory, &sources, &Files).0;
        }
        let (groups, hosts) = describe(&loaded, &play);
        for (actual, expected, what) in [
            (groups, &expected["groups"], "groups"),
            (hosts, &expected["hosts"], "hosts"),
        ] {
            let keys = |it: &Json| {
                it.as_object()
                    .map(|it| it.keys().cloned().collect::<Vec<_>>())
            };
            if actual != *expected || keys(&actual) != keys(expected) {
                failures.push(format!(
                    "{name} {what}\n  expected {expected}\n  actual   {actual}"
                ));
            }
        }
        let limit = case["limit"]
            .as_str()
            .map(|it| Pattern::parse_limit(it, &Files, &hostler_inventory::NoSets).0);
        for pair in expected["patterns"].as_array().expect("patterns") {
            let expected = if pair[1].get("error").is_some() {
                json!("error")
            } else {
                pair[1].clone()
            };
            let actual = select(&loaded.inventory, &pair[0], limit.as_ref());
            patterns += 1;
            if actual != expected {
                failures.push(format!(
                    "{name} pattern {}\n  expected {expected}\n  actual   {actual}",
                    pair[0]
                ));
            }
        }
    }
    assert!(patterns > 100, "{patterns}");
    assert!(
        failures.is_empty(),
        "{} differ\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Diagnostics of one file with the given name and text.
fn diagnose(name: &str, text: &str) -> (SourceMap, Vec<Diagnostic>) {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join(name);
    std::fs::write(&path, text).expect("write");
    let sources = SourceMap::new();
    let given = [path.display().to_string()];
    let (_, diagnostics) = load_inventory(&given, &sources, &FsLoader, &Shell);
    (sources, diagnostics)
}

#[test]
fn problems_name_their_place() {
    for (name, text, line, column, words) in [
        ("a.ini", "[web\nh1\n", 1, 1, "`]` is missing"),
        ("a.ini", "[web]\nh1 x=\"y\n", 2, 1, "never closed"),
        ("a.ini", "[web]\nh1 x\n", 2, 4, "`key=value` is expected"),
        ("a.ini", "[web:kids]\n", 1, 6, "unknown"),
        ("a.ini", "[web:vars]\nx=1\n", 1, 2, "not defined"),
        ("a.ini", "[web]\n[p:children]\nwbe\n", 3, 1, "not defined"),
        (
            "a.ini",
            "[a:children]\nb\n[b:children]\na\n",
            4,
            1,
            "circle",
        ),
        ("a.ini", "[a:children]\na\n", 2, 1, "circle"),
        ("a.ini", "w[01:100]\n", 1, 1, "equal length"),
        ("a.ini", "---\nall:\n", 1, 1, "not a host name"),
        ("a.ini", "all:\n  hosts:\n", 1, 1, "colon without a port"),
        (
            "a.ini",
            "[web]\nh\n[web:vars]\nnothing\n",
            4,
            1,
            "`key=value` is expected",
        ),
        (
            "a.ini",
            "[web]\nh\n[web:vars]\nansible_group_priority=high\n",
            4,
            24,
            "expected an integer",
        ),
        (
            "a.yml",
            "all:\n  hosts:\n    - h1\n",
            3,
            5,
            "must be a mapping",
        ),
        ("a.yml", "all:\n  hosts:\n    10: {}\n", 3, 5, "is text"),
        ("a.yml", "all:\n  host:\n    h1:\n", 2, 3, "is ignored"),
        (
            "a.yml",
            "plugin: amazon.aws.aws_ec2\n",
            1,
            9,
            "not supported",
        ),
        ("a.yml", "- a\n", 1, 1, "mapping of groups"),
        (
            "a.ini",
            "[web]\nh1 a-b=1\n",
            2,
            4,
            "not a valid variable name",
        ),
        ("a.yml", "all: {{ x }}\n", 1, 7, "cannot be the key"),
        ("hosts", "---\nall:\n  hosts\n  x: 1\n", 4, 4, "not allowed"),
        (
            "a.json",
            "{\"all\": {\"hosts\": {\"w[1:0x]\": {}}}}",
            1,
            20,
            "neither a number",
        ),
    ] {
        let (sources, diagnostics) = diagnose(name, text);
        let found = diagnostics.iter().any(|it| {
            let place = sources.locate(it.labels[0].span);
            (place.line, place.column) == (line, column) && it.message.contains(words)
        });
        assert!(
            found,
            "{name} {text:?}: {line}:{column} {words:?}\n{diagnostics:#?}"
        );
    }
}

#[test]
fn mistyped_names_are_guessed() {
    let (sources, diagnostics) = diagnose("a.ini", "[webservers]\nh1\n[p:children]\nwebserver\n");
    assert_eq!(
        diagnostics[0].hints,
        ["did you mean `webservers`?"],
        "{sources:?}"
    );
    let mut inventory = Inventory::new();
    inventory.add_host("web1.example.com", &["webservers".into()], Vars::new());
    let selection = inventory.select(&Pattern::parse("webserver"));
    assert_eq!(
        selection.problems[0].suggestion.as_deref(),
        Some("webservers")
    );
    let warning = selection.problems[0].diagnostic(hostler_diag::Severity::Warning);
    assert!(!warning.is_error());
    assert_eq!(warning.hints, ["did you mean `webservers`?"]);
}

#[test]
fn values_are_templates_with_their_place() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("hosts.ini");
    let text = "[web]\nh1 a='x {{ foo }}' b={{bar}}\n[web:vars]\nc = [\"{{ baz }}\"]\n";
    std::fs::write(&path, text).expect("write");
    let sources = SourceMap::new();
    let given = [path.display().to_string()];
    let (loaded, _) = load_inventory(&given, &sources, &FsLoader, &Shell);
    let host = loaded.inventory.host("h1").expect("host");
    let place = |source: &hostler_yaml::TemplateSource, word: &str| {
        let at = source.text().find(word).expect("word");
        let span = source.locate(at, at + word.len());
        assert_eq!(sources.slice(span), word);
        sources.locate(span).line
    };
    assert_eq!(place(host.vars["a"].as_source().expect("text"), "foo"), 2);
    assert_eq!(place(host.vars["b"].as_source().expect("text"), "bar"), 2);
    let group = loaded.inventory.group("web").expect("group");
    let item = &group.vars["c"].as_list().expect("list")[0];
    assert_eq!(place(item.as_source().expect("text"), "baz"), 4);
}

#[test]
fn a_failing_script_is_an_error() {
    struct Fails;
    impl ScriptRunner for Fails {
        fn run(&self, _: &Path, _: &[&str]) -> Result<String, String> {
            Err("exit code 3".into())
        }
    }
    let sources = SourceMap::new();
    let (_, diagnostics) = load_inventory(&["script/inv.sh".into()], &sources, &Files, &Fails);
    assert!(diagnostics[0].is_error() && diagnostics[0].message.contains("exit code 3"));
}

#[test]
fn variable_files_must_be_mappings_that_can_be_read() {
    let directory = tempfile::tempdir().expect("directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, text).expect("write");
    };
    write("hosts.ini", "h1\nh2\nh3\nh4\nh5\n");
    write("host_vars/h1.yml", "- a\n");
    write("host_vars/h2.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n");
    write("host_vars/h3.yml", "a: 1\n1: b\n");
    write("host_vars/h4.yml", "");
    write("host_vars/h5.yml", "a: {{ b }}\n");
    let sources = SourceMap::new();
    let given = [directory.path().join("hosts.ini").display().to_string()];
    let (loaded, diagnostics) = load_inventory(&given, &sources, &FsLoader, &Shell);
    let mut codes: Vec<&str> = diagnostics.iter().map(|it| it.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            "vars-structure",
            "vars-structure",
            "vaulted-file",
            "yaml-key"
        ],
        "{diagnostics:#?}"
    );
    assert!(
        diagnostics
            .iter()
            .all(|it| it.is_error() && !it.labels.is_empty())
    );
    assert_eq!(loaded.var_files.hosts.len(), 1);
}

#[test]
fn ten_thousand_hosts_are_no_problem() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("hosts.ini");
    std::fs::write(&path, "[web]\nweb[00001:10000] n=1\n[all]\nspare[1:2000]\n").expect("write");
    let sources = SourceMap::new();
    let given = [path.display().to_string()];
    let (loaded, diagnostics) = load_inventory(&given, &sources, &FsLoader, &Shell);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let select = |text: &str| loaded.inventory.select(&Pattern::parse(text)).hosts.len();
    assert_eq!(
        [
            select("all"),
            select("web"),
            select("ungrouped"),
            select("web[10:19]")
        ],
        [12_000, 10_000, 2_000, 10]
    );
}

#[test]
fn names_that_templates_cannot_use_get_a_warning() {
    for (name, text, line, column) in [
        ("a.ini", "[web]\nh1 a-b=1\n", 2, 4),
        ("a.ini", "[web]\n[web:vars]\n1a = 1\n", 3, 1),
        ("a.yml", "web: {vars: {a b: 1}}\n", 1, 14),
        ("a.yml", "my-web:\n", 1, 1),
    ] {
        let (sources, diagnostics) = diagnose(name, text);
        let [warning] = diagnostics.as_slice() else {
            panic!("{text:?} {diagnostics:#?}");
        };
        let place = sources.locate(warning.labels[0].span);
        assert!(!warning.is_error() && warning.message.contains("not a valid variable name"));
        assert_eq!((place.line, place.column), (line, column), "{text:?}");
    }
}
