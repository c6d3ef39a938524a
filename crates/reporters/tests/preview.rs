//! Previews of made-up runs: what is folded, and that hostile text stays text.

use hostler_change::Delta;
use hostler_diag::Location;
use hostler_events::{
    Recap, RunEvent, RunId, Stamped, Status, TaskId, TaskInfo, TaskKind, TaskResult,
};
use hostler_preview::{Builder, Mask, Preview};
use hostler_reporters::{Options, PageFacts, page, preview_json, preview_text};
use hostler_value::{Secret, Value};

fn result(status: Status, deltas: Vec<Delta>) -> TaskResult {
    TaskResult {
        status,
        ignored: false,
        rescued: false,
        value: Value::Null,
        message: None,
        hint: None,
        location: None,
        deltas,
        warnings: Vec::new(),
        delegated_to: None,
        unreachable: None,
        censored: false,
        attempts: 1,
        items: None,
        incomplete: false,
        unknown: Vec::new(),
        forecast: None,
        duration_us: 1,
    }
}

struct Run {
    builder: Builder,
    tasks: u32,
    hosts: Vec<String>,
}

impl Run {
    fn new(hosts: &[String], mask: Mask) -> Self {
        let mut run = Run {
            builder: Builder::new(mask),
            tasks: 0,
            hosts: hosts.to_vec(),
        };
        run.event(RunEvent::RunStarted {
            run: RunId("r".into()),
            version: "0".into(),
            playbooks: vec!["site.yml".into()],
            check: true,
            diff: true,
            hosts: 1,
            by: String::new(),
            resumed: false,
        });
        run.event(RunEvent::PlayStarted {
            name: "Web".into(),
            number: 1,
            hosts: hosts.to_vec(),
            batch: None,
        });
        run
    }

    fn event(&mut self, event: RunEvent) {
        self.builder.event(&Stamped {
            at_us: 0,
            seq: 0,
            event,
        });
    }

    fn task(&mut self, name: &str, result: impl Fn(&str) -> TaskResult) {
        self.tasks += 1;
        let id = TaskId(self.tasks);
        self.event(RunEvent::TaskStarted(TaskInfo {
            id,
            name: name.to_owned(),
            module: "file".into(),
            kind: TaskKind::Task,
            location: Some(Location {
                file: "site.yml".into(),
                line: self.tasks,
                column: 1,
            }),
            hosts: 1,
            position: None,
        }));
        for host in self.hosts.clone() {
            let result = Box::new(result(&host));
            self.event(RunEvent::TaskFinished {
                task: id,
                host,
                result,
            });
        }
        self.event(RunEvent::TaskEnded { task: id });
    }

    fn end(mut self) -> Preview {
        self.event(RunEvent::RunFinished {
            recap: Recap::default(),
            exit_code: 0,
            elapsed_us: 1_000_000,
            bytes: (0, 0),
            round_trips: 0,
            resumable: false,
        });
        self.builder.finish().0
    }
}

fn fleet() -> Preview {
    let hosts: Vec<String> = (1..=200).map(|n| format!("web{n:03}")).collect();
    let mut run = Run::new(&hosts, Mask::default());
    run.task("Mode", |_| {
        let delta = Delta::field("/srv/x", "mode", "0644", "0640");
        result(Status::Changed, vec![delta])
    });
    run.task("Motd", |host| {
        let text = format!("this is {host}\n");
        let delta = Delta::content("/etc/motd", None, Some(text.as_bytes()));
        result(Status::Changed, vec![delta])
    });
    run.task("Odd", |host| match host {
        "web007" => {
            let delta = Delta::action("unit ssh.service", "restarted");
            result(Status::Changed, vec![delta])
        }
        "web009" => TaskResult {
            message: Some("no such user\nmore".into()),
            ..result(Status::Failed, Vec::new())
        },
        _ => result(Status::Ok, Vec::new()),
    });
    run.end()
}

#[test]
fn two_hundred_hosts_are_told_in_a_few_lines() {
    let options = Options {
        width: 100,
        ..Options::default()
    };
    let text = preview_text(&fleet(), &options);
    assert!(text.lines().count() < 22, "{text}");
    for told in [
        "all 200 hosts  /srv/x: mode 0644 -> 0640",
        "all 200 hosts  /etc/motd: new, 1 line",
        "198 hosts (web[001-006,008,010-200]): the same 2 changes",
        "  web007: also Odd: unit ssh.service: restarted",
        "  web009: also Odd: would fail: no such user",
        "  ssh.service: restarted on web007",
        "  Odd on web009: would fail: no such user",
        "401 would change, 1 would fail",
    ] {
        assert!(text.contains(told), "{told}\n{text}");
    }
    let diffs = preview_text(
        &fleet(),
        &Options {
            diff: true,
            ..options
        },
    );
    assert!(diffs.contains("+this is web001"), "{diffs}");
    assert!(
        diffs.contains("the others differ in their own names"),
        "{diffs}"
    );
}

#[test]
fn hostile_text_stays_text() {
    let evil = "</pre><script>alert(1)</script>\x1b]0;x\x07\u{202e}\" onload='x'";
    let hosts = vec![evil.to_owned(), "b".to_owned()];
    let mut run = Run::new(&hosts, Mask::default());
    run.task(evil, |host| {
        let deltas = vec![
            Delta::content(evil, Some(evil.as_bytes()), Some(host.as_bytes())),
            Delta::field(evil, evil, evil, "x"),
            Delta::action(evil, evil),
        ];
        TaskResult {
            warnings: vec![evil.to_owned()],
            ..result(Status::Changed, deltas)
        }
    });
    run.task("fails", |_| TaskResult {
        message: Some(evil.to_owned()),
        hint: Some(evil.to_owned()),
        ..result(Status::Failed, Vec::new())
    });
    let preview = run.end();
    let html = page(&preview, &PageFacts::default());
    assert!(
        !html.contains("<script") && !html.contains("</pre><script"),
        "{html}"
    );
    assert!(html.contains("&lt;script&gt;alert(1)"));
    for text in [
        html,
        preview_text(&preview, &Options::default()),
        preview_json(&preview),
    ] {
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
    }
}

#[test]
fn a_page_needs_nothing_else() {
    let html = page(&fleet(), &PageFacts::default());
    for foreign in [
        "http://", "https://", "src=", "href=", "<script", "@import", "url(",
    ] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[test]
fn known_secrets_are_masked_everywhere() {
    let secret = "correct horse";
    let hosts = vec!["a1".to_owned(), "b2".to_owned()];
    let mut run = Run::new(&hosts, Mask::new([Secret::new(secret)]));
    run.task("x", |_| TaskResult {
        warnings: vec![format!("w {secret}")],
        message: Some(format!("m {secret}")),
        ..result(
            Status::Failed,
            vec![Delta::content("/p", None, Some(secret.as_bytes()))],
        )
    });
    let preview = run.end();
    let all = Options {
        diff: true,
        verbosity: 2,
        ..Options::default()
    };
    for text in [
        preview_text(&preview, &all),
        preview_json(&preview),
        page(&preview, &PageFacts::default()),
    ] {
        assert!(
            !text.contains(secret) && text.contains("********"),
            "{text}"
        );
    }
    let json: serde_json::Value = serde_json::from_str(&preview_json(&preview)).unwrap();
    assert_eq!(json["event"], "preview");
}
