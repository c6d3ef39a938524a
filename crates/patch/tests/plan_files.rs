//! Plan files come from outside: what contradicts itself is refused. Plans beside each other: what differs. Policies beside
//! each other.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::path::Path;

use hostler_diag::SourceMap;
use hostler_patch::file::{self, PlanFileProblem};
use hostler_patch::plan::Plan;
use hostler_patch::policy::{Members, PolicyFile, lint_together};
use hostler_patch::select::Request;
use hostler_patch::{diff, text};
use serde_json::{Value, json};
use support::{Case, Fleet, load_and_lint, problem_text};

const CASE: &str = "
== policy
kind: PatchPolicy
name: p
targets: all
updates: all
window: {zone: UTC, weekly: sat, at: \"22:00\", duration: 4h}
groups: {db: {hosts: db, gate: well}}
waves: [{hosts: 1, gates: [well]}, rest]
gates: {well: {cmd: \"true\"}}
== inventory
web: web1 web2
db: db1 db2
== fleet
all: update openssl 1 -> 2 security
web2: unreachable it is off
";

fn plan_of(text: &str) -> Plan {
    let case = Case::parse(text);
    let mut fleet = Fleet::of(&case);
    let sources = SourceMap::new();
    let (found, problems) = load_and_lint(&sources, case.section("policy"), &fleet);
    assert!(problems.is_empty(), "{problems:?}");
    let (policy, checked) = found.unwrap();
    fleet.plan(&policy, &checked, &Request::default())
}

/// What is said of the plan after something in it was changed.
fn changed(plan: &Value, pointer: &str, to: Value) -> String {
    let mut plan = plan.clone();
    *plan.pointer_mut(pointer).unwrap() = to;
    match file::read(plan.to_string().as_bytes()) {
        Ok(_) => "fine".into(),
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn contradictions_are_refused() {
    let plan = plan_of(CASE);
    let json = serde_json::to_value(&plan).unwrap();
    let host = plan.hosts_of(0)[0].to_owned();
    let of_host = |rest: &str| format!("/hosts/{host}{rest}");
    let window = json.pointer("/windows/window/0/open/0").unwrap().clone();
    let cases = [
        ("/form".to_owned(), json!(99), "form 99"),
        (of_host("/wave"), json!(7), "a wave that is not there"),
        (of_host("/groups"), json!([9]), "which is not there"),
        (of_host("/expected_p95_s"), json!(0), "longer than at most"),
        (of_host("/actions/0/to"), Value::Null, "makes no sense"),
        (
            of_host("/actions/0/kind"),
            json!("downgrade"),
            "makes no sense",
        ),
        (
            "/waves/0/window".into(),
            json!("other"),
            "a window that is not there",
        ),
        (
            "/waves/0/gates".into(),
            json!(["other"]),
            "a gate that is not there",
        ),
        (
            "/groups/0/gate".into(),
            json!("other"),
            "a gate that is not there",
        ),
        ("/groups/0/hosts".into(), json!(["b", "a"]), "out of order"),
        (
            "/windows/window/0/open".into(),
            json!([window, window]),
            "out of order",
        ),
        (
            "/valid_until_us".into(),
            json!(0),
            "ended before it was made",
        ),
        (
            "/windows/window/0/open/0/start_us".into(),
            json!(i64::MIN),
            "no time between",
        ),
        ("/valid_until_us".into(), json!(i64::MAX), "no time between"),
        ("/hosts".into(), json!(3), "no plan"),
    ];
    for (pointer, to, wanted) in cases {
        let said = changed(&json, &pointer, to);
        assert!(said.contains(wanted), "{pointer}: {said}");
    }
    let mut twice = json.clone();
    let why = json["left_out"]["web2"].clone();
    twice["left_out"][&host] = why;
    let said = file::read(twice.to_string().as_bytes()).unwrap_err();
    assert!(said.to_string().contains("patched and left out"), "{said}");
    let many = vec![b' '; file::PLAN_BYTES_MAX + 1];
    assert_eq!(file::read(&many), Err(PlanFileProblem::TooLarge));
}

#[test]
fn an_id_is_that_of_the_content_and_plans_end() {
    let plan = plan_of(CASE);
    let (_, id) = file::read(&file::write(&plan).unwrap()).unwrap();
    assert_eq!(id, plan.id().unwrap());
    let mut other = plan.clone();
    other.max_failures += 1;
    assert_ne!(other.id().unwrap(), id);
    assert!(!file::expired(&plan, plan.valid_until_us - 1));
    assert!(file::expired(&plan, plan.valid_until_us));
}

#[test]
fn plans_differ_in_words() {
    let first = plan_of(CASE);
    let second = plan_of(
        &CASE
            .replace(
                "web2: unreachable it is off",
                "db: update vim 1 -> 2 bugfix; reboots x",
            )
            .replace("openssl 1 -> 2", "openssl 1 -> 3"),
    );
    assert_eq!(
        text::diff(&diff::diff(&first, &first)),
        "The plans do the same.\n"
    );
    let said = text::diff(&diff::diff(&first, &second));
    // Which host is the canary is not what this is about.
    let lines: Vec<&str> = said.lines().collect();
    for wanted in [
        "waves: canary (1), rest (2) → canary (1), rest (3)",
        "  ~ openssl:amd64 2 → 3",
        "  + vim:amd64 2",
        "  is rebooted now",
        "  is patched now (before: it is off)",
    ] {
        assert!(lines.contains(&wanted), "{wanted}\n{said}");
    }
}

#[test]
fn policies_beside_each_other() {
    let sources = SourceMap::new();
    let fleet = Fleet::of(&Case::parse(CASE));
    let mut policies: Vec<(PolicyFile, Members)> = Vec::new();
    for (name, targets) in [("one", "web"), ("two", "web1,db"), ("one", "db")] {
        let text = format!("kind: PatchPolicy\nname: {name}\ntargets: \"{targets}\"\n");
        let path = format!("{}.yml", policies.len());
        let (file, problems) = PolicyFile::load(&sources, Path::new(&path), &text);
        assert!(problems.is_empty(), "{problems:?}");
        let file = file.unwrap();
        let (members, _) = Members::resolve(&file, &fleet);
        policies.push((file, members));
    }
    let beside: Vec<_> = policies
        .iter()
        .map(|(file, members)| (file, members))
        .collect();
    let said: Vec<String> = lint_together(&beside)
        .iter()
        .map(|it| problem_text(&sources, it))
        .collect();
    let expected = [
        "warning[policy-overlap] 1.yml:3:10: in `one` as well (1): web1  ‹\"web1,db\"›\n    hint: take them out of one of the policies with `exclude`",
        "error[policy-twice] 2.yml:2:7: two policies have the name `one`  ‹one›\n    hint: runs, windows and reports are known by this name",
        "warning[policy-overlap] 2.yml:3:10: in `two` as well (2): db1, db2  ‹\"db\"›\n    hint: take them out of one of the policies with `exclude`",
    ];
    assert_eq!(said, expected);
}
