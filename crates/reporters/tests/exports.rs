//! Exports of made-up runs: kept files, and hostile texts through every form.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "other tests use the rest")]
mod synthetic;

use std::path::Path;

use hostler_change::{Change, Delta};
use hostler_diag::Diagnostic;
use hostler_events::{ItemResult, RunEvent, RunId, Stamped, Status, TaskId, TaskResult};
use hostler_record::{Builder, Record, Selection, State, compare};
use hostler_reporters::{Form, Options, comparison_text, export, run_text};
use hostler_value::Value;
use synthetic::{Recorder, config_change, failure, hosts, map, result, unreachable, web_tier};

fn record(events: &[Stamped]) -> Record {
    let mut builder = Builder::default();
    for event in events {
        builder.event(event);
    }
    builder.finish()
}

fn when(at_us: i64) -> String {
    format!("at {at_us}")
}

fn forms() -> [(Form, &'static str); 4] {
    [
        (Form::JUnit, "run.xml"),
        (Form::Csv, "run.csv"),
        (Form::Html, "run.html"),
        (Form::Json, "run.json"),
    ]
}

/// Three hosts: one is fine, one fails, one stops in the middle of a task.
fn small() -> Record {
    let all = hosts(3);
    let mut run = Recorder::new(3, false);
    run.play("Web", &all);
    let configure = run.task("Configure nginx", "template", 6, 3);
    run.everyone(configure, &all, 200, |_| config_change(4));
    let check = run.task("Check", "command", 9, 3);
    for host in &all {
        run.start(check, host);
    }
    run.wait_ms(50);
    run.finish(check, &all[0], result(Status::Skipped));
    run.finish(
        check,
        &all[1],
        failure("non-zero return code", "line one\nline <two>"),
    );
    run.push(RunEvent::HandlerOwed {
        host: all[1].clone(),
        handler: "reload nginx".into(),
        run: RunId("run-1".into()),
        runs_now: false,
    });
    run.push(RunEvent::Stopping {
        reason: "interrupted by the user".into(),
    });
    record(&run.over(99))
}

/// Compares with the kept file; `KEEP=1` writes it anew.
fn kept(name: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("KEEP").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "{name} differs; see git diff after KEEP=1:\n{now}"
    );
}

#[test]
fn small_exports_are_as_kept() {
    let record = small();
    for (form, name) in forms() {
        kept(name, &export(&record, form, &when));
    }
    let options = Options {
        diff: true,
        ..Options::default()
    };
    kept("run.txt", &run_text(&record, false, &options, &when));
}

#[test]
fn what_is_open_is_in_the_record() {
    let record = small();
    assert_eq!(record.state, State::Interrupted);
    assert_eq!(record.tasks[1].unfinished, ["web003"]);
    assert_eq!(record.owed.len(), 1);
    let back: Record = serde_json::from_str(&export(&record, Form::Json, &when)).unwrap();
    assert_eq!(back, record);
}

/// Everything that a host can send, in every place.
const HOSTILE: &str = "=cmd|'/C calc'!A0 <script>alert(1)</script> ]]> &amp; \u{0}\u{1b}[31m\u{202e}\u{ffff}\u{85}\r\n\"' -->";

fn hostile() -> Record {
    let long = "x".repeat(1 << 20);
    let name = format!("{HOSTILE}web1");
    let all = vec![name.clone(), "web2".to_owned()];
    let mut run = Recorder::new(2, false);
    run.push(RunEvent::Warned {
        diagnostic: Diagnostic::warning("w", HOSTILE),
        location: None,
        host: Some(name.clone()),
    });
    run.play(HOSTILE, &all);
    let task = run.task(HOSTILE, HOSTILE, 1, 2);
    run.item(
        task,
        &name,
        ItemResult {
            index: 0,
            label: HOSTILE.into(),
            status: Status::Failed,
            ignored: false,
            value: Value::str(HOSTILE),
            message: Some(HOSTILE.into()),
            deltas: vec![Delta::field(HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
            unknown: Vec::new(),
            forecast: None,
        },
    );
    let value = map(&[
        ("stderr", Value::from(format!("{HOSTILE}\n{long}"))),
        (HOSTILE, Value::str(HOSTILE)),
    ]);
    run.finish(
        task,
        &name,
        TaskResult {
            value,
            message: Some(format!("{HOSTILE}{long}")),
            hint: Some(HOSTILE.into()),
            delegated_to: Some(HOSTILE.into()),
            warnings: vec![HOSTILE.into()],
            deltas: vec![
                Delta::content(HOSTILE, Some(b"a"), Some(HOSTILE.as_bytes())),
                Delta {
                    subject: HOSTILE.into(),
                    change: Change::Action(long),
                },
            ],
            ..result(Status::Failed)
        },
    );
    run.finish(task, "web2", unreachable(HOSTILE, HOSTILE));
    let task = run.task("change", "copy", 2, 1);
    let delta = Delta::content(HOSTILE, None, Some(HOSTILE.as_bytes()));
    run.finish(
        task,
        &name,
        TaskResult {
            deltas: vec![delta],
            ..result(Status::Changed)
        },
    );
    run.push(RunEvent::HandlerOwed {
        host: name,
        handler: HOSTILE.into(),
        run: RunId(HOSTILE.into()),
        runs_now: false,
    });
    record(&run.over(2))
}

#[test]
fn hostile_texts_stay_texts() {
    let record = hostile();
    for (form, name) in forms() {
        let text = export(&record, form, &when);
        let bad = |char: char| {
            (char.is_control() && !matches!(char, '\n' | '\t'))
                || matches!(char, '\u{202e}' | '\u{85}')
        };
        let rest = match form {
            Form::Csv => text.replace("\r\n", "\n"),
            _ => text.clone(),
        };
        assert!(!rest.contains(bad), "{name}");
        // The record repeats what modules return, which is bounded before.
        assert!(
            form == Form::Json || text.len() < 3 << 20,
            "{name}: {} bytes",
            text.len()
        );
        match form {
            Form::Html | Form::JUnit => {
                assert!(!text.contains("<script"), "{name}");
                assert!(text.contains("&lt;script&gt;"), "{name}");
                assert!(!text.contains("]]>") && !text.contains('\u{ffff}') || form == Form::Html);
            }
            Form::Csv => {
                for row in csv_rows(&text) {
                    assert_eq!(row.len(), 9, "{row:?}");
                    for cell in row {
                        assert!(
                            !cell.trim_start().starts_with(['=', '+', '-', '@']),
                            "{cell}"
                        );
                    }
                }
            }
            Form::Json => {
                let back: Record = serde_json::from_str(&text).unwrap();
                assert_eq!(back, record);
            }
        }
    }
    let options = Options::default();
    let text = run_text(&record, true, &options, &when);
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{0}']), "{text}");
    assert!(
        text.lines()
            .all(|line| console::measure_text_width(line) <= 80),
        "{text}"
    );
}

/// RFC 4180, as a spreadsheet reads it.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let row = rows.last_mut().unwrap();
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                rows.push(vec![String::new()]);
            }
            char => row.last_mut().unwrap().push(char),
        }
    }
    assert!(!quoted);
    assert_eq!(rows.pop(), Some(vec![String::new()]));
    rows
}

#[test]
fn two_hundred_hosts_are_readable() {
    let record = record(&web_tier(200, false));
    let page = export(&record, Form::Html, &when);
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert_eq!(page.matches("+worker_processes 4;").count(), 1, "folded");
    let (failures, tasks) = (
        page.find("<h2>Failures").unwrap(),
        page.find("<h2>Tasks").unwrap(),
    );
    assert!(failures < tasks);
    let xml = export(&record, Form::JUnit, &when);
    assert_eq!(xml.matches("<testsuite ").count(), 200);
    for width in [80, 200] {
        let options = Options {
            width,
            ..Options::default()
        };
        let text = run_text(&record, false, &options, &when);
        let longest = text.lines().map(console::measure_text_width).max();
        assert!(longest <= Some(width), "{text}");
        assert!(text.lines().count() < 80, "{text}");
    }
}

#[test]
fn an_export_while_it_runs_equals_one_afterwards() {
    use hostler_events::Reporter;
    let events = web_tier(20, false);
    for (form, name) in forms() {
        let mut out = Vec::new();
        let mut live = hostler_reporters::Exporter::new(&mut out, form, when);
        for event in &events {
            live.event(event);
        }
        let text = String::from_utf8(out).unwrap();
        assert!(text == export(&record(&events), form, &when), "{name}");
    }
}

#[test]
fn selections_leave_out_the_rest() {
    let whole = record(&web_tier(20, false));
    let mut one = whole.clone();
    let selection = Selection {
        host: Some("web003".into()),
        changed: true,
        file: Some("/etc/nginx/nginx.conf".into()),
        ..Selection::default()
    };
    selection.apply(&mut one);
    let left: Vec<_> = one.results().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0.name, "Configure nginx");
    assert_eq!(left[0].1.all_deltas().count(), 2);
    let mut task = whole;
    Selection {
        task: Some("CONFIGURE".into()),
        ..Selection::default()
    }
    .apply(&mut task);
    assert_eq!(task.tasks.len(), 1);
}

#[test]
fn a_resumed_run_is_one_run() {
    let all = hosts(2);
    let mut run = Recorder::new(2, false);
    run.play("Web", &all);
    let task = run.task("Work", "command", 1, 2);
    run.start(task, &all[0]);
    run.start(task, &all[1]);
    run.finish(task, &all[0], result(Status::Changed));
    run.finish(task, &all[1], failure("no space", ""));
    let cut = record(&run.events);
    assert_eq!((cut.state, cut.exit_code), (State::Running, None));
    run.push(RunEvent::RunStarted {
        run: RunId("run-1".into()),
        version: "0.1.0".into(),
        playbooks: vec!["playbooks/web.yml".into()],
        check: false,
        diff: false,
        hosts: 2,
        by: String::new(),
        resumed: true,
    });
    run.play("Web", &all);
    run.start(TaskId(1), &all[1]);
    run.finish(TaskId(1), &all[1], result(Status::Ok));
    let record = record(&run.events);
    assert_eq!(
        (record.plays.len(), record.tasks.len(), record.resumed),
        (1, 1, 1)
    );
    let statuses: Vec<_> = record.results().map(|(_, it)| it.status).collect();
    assert_eq!(statuses, [Status::Changed, Status::Ok]);
    assert_eq!(record.hosts[1].failed, 0, "the last try counts");
}

#[test]
fn runs_are_compared() {
    let a = record(&web_tier(20, false));
    assert!(compare(&a, &a).is_same());
    let mut b = a.clone();
    b.tasks[2].results[3].status = Status::Ok;
    b.tasks[2].results[4].deltas = config_change(7).deltas;
    b.tasks[3].results[0].duration_us = 10_000_000;
    let found = compare(&a, &b);
    let text = comparison_text(&a, &b, &found, &Options::default());
    assert_eq!((found.tasks.len(), found.slower.len()), (2, 1), "{text}");
    assert!(text.contains("  changed -> ok  web004\n"), "{text}");
    assert!(text.contains("  other changes  web005\n"), "{text}");
    assert!(
        text.contains("  Check the configuration: 0.0 s -> 10.0 s on web001\n"),
        "{text}"
    );
}
