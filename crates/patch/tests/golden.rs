//! Policies with fleets, and what is said of them: `cases/*.txt`. With `UPDATE_EXPECTED=1` the files take what is said now.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod support;

use std::fmt::Write as _;
use std::path::Path;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_patch::select::Request;
use hostler_patch::{explain, file, forecast, text};
use hostler_schedule::Zone;
use support::{Case, Fleet, load_and_lint, problem_text};

/// What is said of a case.
fn said(case: &Case) -> String {
    let mut out = String::new();
    let mut fleet = Fleet::of(case);
    let sources = SourceMap::new();
    let (found, problems) = load_and_lint(&sources, case.section("policy"), &fleet);
    for problem in &problems {
        writeln!(out, "{}", problem_text(&sources, problem)).unwrap();
    }
    let bad = problems.iter().any(Diagnostic::is_error);
    let Some((policy, checked)) = found.filter(|_| !bad) else {
        return out;
    };
    let mut request = Request::default();
    for line in case.section("request").lines() {
        match line.split_once(' ') {
            Some(("cve", id)) => request.cves.push(id.into()),
            _ => request.only_reboots |= line == "only reboots",
        }
    }
    let plan = fleet.plan(&policy, &checked, &request);
    let bytes = file::write(&plan).unwrap();
    let (read, id) = file::read(&bytes).unwrap();
    assert_eq!(read, plan, "a plan file holds the plan");
    for command in case.section("show").lines().filter(|it| !it.is_empty()) {
        writeln!(out, "$ {command}").unwrap();
        let words: Vec<&str> = command.split_whitespace().collect();
        let shown = match words[..] {
            ["plan"] => text::plan(&plan, &id).replacen(id.short(), "ID", 1),
            ["forecast"] => {
                let zone = Zone::parse(&plan.zone).unwrap();
                text::forecast(&forecast::forecast(&plan, "ID", fleet.now_us), &zone)
            }
            ["host", name] => text::host(&plan, name).unwrap(),
            ["explain", name] => {
                text::explanation(&explain::explain(&plan, name, None, None, fleet.now_us).unwrap())
            }
            ["explain", name, what] => text::explanation(
                &explain::explain(
                    &plan,
                    name,
                    Some(what),
                    Some(&fleet.hosts[name].scan),
                    fleet.now_us,
                )
                .unwrap(),
            ),
            ["waves"] => {
                let waves = plan.waves.iter().zip(0..);
                let line = |(wave, index): (&hostler_patch::plan::Wave, u32)| {
                    [&wave.name, ": ", &plan.hosts_of(index).join(" "), "\n"].concat()
                };
                waves.map(line).collect()
            }
            _ => panic!("no such command: {command}"),
        };
        out.push_str(&shown);
    }
    out
}

#[test]
fn cases() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut wrong = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let case = Case::parse(&text);
        let said = said(&case);
        let expected = case.section("expected");
        if said.trim_end() == expected.trim_end() {
            continue;
        }
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            let head = text.split("== expected").next().unwrap().trim_end();
            std::fs::write(&path, format!("{head}\n\n== expected\n{said}")).unwrap();
        } else {
            let name = path.file_name().unwrap().to_string_lossy();
            write!(wrong, "\n{name}: expected\n{expected}\nsaid\n{said}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
