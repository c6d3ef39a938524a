//! Recorded runs, read as a person or a script reads them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "the other tests use the rest")]
mod synthetic;

use std::io::Write;
use std::sync::{Arc, Mutex};

use hostler_change::{Change, Delta};
use hostler_diag::Diagnostic;
use hostler_events::{ItemResult, Reporter, RunEvent, Stamped, Status, TaskResult};
use hostler_reporters::{JsonLines, Options, Plain, Terminal};
use hostler_value::Value;
use synthetic::{Recorder, config_change, failure, hosts, map, result, unreachable, web_tier};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn terminal(events: &[Stamped], options: Options) -> String {
    let out = Buffer::default();
    let mut reporter = Terminal::to_writer(options, synthetic::sources(), out.clone());
    for event in events {
        reporter.event(event);
    }
    out.text()
}

fn plain(events: &[Stamped], options: Options) -> String {
    let out = Buffer::default();
    let mut reporter = Plain::new(out.clone(), options);
    for event in events {
        reporter.event(event);
    }
    out.text()
}

fn wide(width: usize) -> Options {
    Options {
        width,
        ..Options::default()
    }
}

fn longest(text: &str) -> usize {
    text.lines().map(console::measure_text_width).max().unwrap()
}

#[test]
fn two_hundred_hosts_at_80_and_200_columns() {
    let events = web_tier(200, false);
    let narrow = terminal(&events, wide(80));
    let expected = "
PLAY Web tier  200 hosts

TASK Gathering Facts
  unreachable  web017: timeout: connect to 10.0.0.16 port 22: connection timed
               out after 10 s
  unreachable  2 more like web017  web107, web197

TASK Install nginx
  changed      98 hosts  web[001-016,018-099]

TASK Configure nginx
  changed      all 197 hosts
";
    assert!(narrow.starts_with(expected), "{narrow}");
    assert!(longest(&narrow) <= 80, "{narrow}");
    assert!(narrow.lines().count() < 60, "{narrow}");
    let wide = terminal(&events, wide(200));
    assert!(longest(&wide) <= 200);
    assert!(
        wide.contains("dlopen() \"/usr/lib/nginx/modules/ngx_http_geoip_module.so\" failed"),
        "{wide}"
    );
    assert!(wide.contains("playbooks/web.yml:9:7\n"), "{wide}");
    assert!(
        wide.contains("9 |     - name: Check the configuration"),
        "{wide}"
    );
    assert!(wide.contains("hint: the module that"), "{wide}");
    assert!(
        wide.contains(
            "200 hosts in 17.9 s: 5 failed, 3 unreachable, 21 with failures, 171 changed"
        ),
        "{wide}"
    );
}

#[test]
fn differences_are_folded_over_hosts() {
    let all = hosts(200);
    let mut run = Recorder::new(200, true);
    run.play("p", &all);
    let task = run.task("Configure", "template", 6, 200);
    run.everyone(task, &all, 1, |index| {
        config_change(if index == 150 { 8 } else { 4 })
    });
    let events = run.over(0);
    let options = Options {
        diff: true,
        ..wide(100)
    };
    let text = terminal(&events, options);
    assert_eq!(text.matches("+worker_processes 4;").count(), 1, "{text}");
    assert_eq!(text.matches("+worker_processes 8;").count(), 1, "{text}");
    assert!(
        text.contains("  would change 199 hosts  web[001-150,152-200]\n"),
        "{text}"
    );
    assert!(text.contains("  would change web151\n"), "{text}");
    assert!(
        text.contains("    /etc/nginx/nginx.conf  mode: 0644 → 0640\n"),
        "{text}"
    );
    let coloured = terminal(
        &events,
        Options {
            color: true,
            ..options
        },
    );
    assert!(
        coloured.contains("\x1b[32m+worker_processes 4;\x1b[0m"),
        "{coloured}"
    );
}

#[test]
fn quiet_where_nothing_happens_and_more_with_v() {
    let all = hosts(30);
    let mut run = Recorder::new(30, false);
    run.play("p", &all);
    let task = run.task("Nothing new", "copy", 6, 30);
    run.everyone(task, &all, 1, |index| {
        result(if index < 3 {
            Status::Skipped
        } else {
            Status::Ok
        })
    });
    let say = run.task("Say", "debug", 6, 30);
    run.everyone(say, &all, 1, |_| TaskResult {
        value: map(&[
            ("msg", Value::str("hello")),
            ("changed", Value::Bool(false)),
        ]),
        ..result(Status::Ok)
    });
    let events = run.over(0);
    let calm = terminal(&events, wide(80));
    assert!(!calm.contains("Nothing new"), "{calm}");
    assert!(
        calm.contains("  ok           all 30 hosts\n               hello\n"),
        "{calm}"
    );
    let more = terminal(
        &events,
        Options {
            verbosity: 1,
            ..wide(80)
        },
    );
    assert!(
        more.contains(
            "TASK Nothing new\n  skipped      3 hosts  web[001-003]\n  ok           27 hosts"
        ),
        "{more}"
    );
    let results = terminal(
        &events,
        Options {
            verbosity: 2,
            ..wide(80)
        },
    );
    assert!(results.contains("{\"changed\": false}"), "{results}");
    let quiet = terminal(
        &events,
        Options {
            quiet: true,
            ..wide(80)
        },
    );
    assert!(
        !quiet.contains("hello") && !quiet.contains("PLAY"),
        "{quiet}"
    );
    assert!(quiet.contains("30 hosts in"), "{quiet}");
}

#[test]
fn half_of_two_hundred_fail_and_the_screen_stays_readable() {
    let all = hosts(200);
    let mut run = Recorder::new(200, false);
    run.play("p", &all);
    let same = run.task("Same failure", "command", 9, 200);
    run.everyone(same, &all, 1, |index| {
        if index % 2 == 0 {
            failure(&format!("web{:03} says no", index + 1), "")
        } else {
            result(Status::Ok)
        }
    });
    let odd: Vec<String> = all.iter().skip(1).step_by(2).cloned().collect();
    let all_differ = run.task("All differ", "command", 9, 100);
    run.everyone(all_differ, &odd, 1, |index| {
        failure(&format!("problem {index}"), "details")
    });
    let text = terminal(&run.over(2), wide(80));
    assert!(
        text.contains("failed       web001: web001 says no\n"),
        "{text}"
    );
    assert!(text.contains("99 more like web001"), "{text}");
    assert!(text.contains("problem 19"), "{text}");
    assert!(
        text.lines().count() < 150,
        "{} lines\n{text}",
        text.lines().count()
    );
    assert!(text.contains("200 hosts in 0.3 s: 200 failed"), "{text}");
    assert!(longest(&text) <= 80, "{text}");
}

#[expect(clippy::too_many_lines, reason = "every field of every event, once")]
#[test]
fn controls_from_hosts_reach_no_output() {
    let evil = "\x1b]0;pwned\x07\x1b[2J\u{9b}31m\u{202e}\r\x08\u{85}";
    let host = format!("web{evil}");
    let mut run = Recorder::new(1, false);
    run.play(evil, std::slice::from_ref(&host));
    run.push(RunEvent::Warned {
        diagnostic: Diagnostic::warning(evil, evil).hint(evil),
        location: None,
        host: Some(host.clone()),
    });
    let task = run.task(evil, "command", 9, 1);
    run.start(task, &host);
    run.item(
        task,
        &host,
        ItemResult {
            forecast: None,
            unknown: Vec::new(),
            index: 0,
            label: evil.into(),
            status: Status::Failed,
            ignored: false,
            value: Value::str(evil),
            message: Some(evil.into()),
            deltas: vec![Delta::content(evil, Some(evil.as_bytes()), None)],
        },
    );
    run.finish(
        task,
        &host,
        TaskResult {
            hint: Some(evil.into()),
            warnings: vec![evil.into()],
            delegated_to: Some(evil.into()),
            ..failure(evil, evil)
        },
    );
    run.end(task);
    let other = run.task("t", "copy", 9, 3);
    run.finish(other, &host, unreachable(evil, evil));
    for (subject, change) in [
        (evil, Change::Action(evil.into())),
        (
            "x",
            Change::Opaque {
                before: Some(evil.into()),
                after: None,
            },
        ),
        (
            "x",
            Change::Text {
                before: None,
                after: Some(evil.into()),
            },
        ),
        (
            "x",
            Change::Field {
                name: evil.into(),
                before: Value::str(evil),
                after: Value::Null,
            },
        ),
    ] {
        let deltas = vec![Delta {
            subject: subject.into(),
            change,
        }];
        run.finish(
            other,
            &host,
            TaskResult {
                deltas,
                ..result(Status::Changed)
            },
        );
    }
    run.push(RunEvent::Stopping {
        reason: evil.into(),
    });
    run.push(RunEvent::PlaySkipped {
        name: evil.into(),
        reason: evil.into(),
    });
    let events = run.over(2);
    for verbosity in 0..=2 {
        let options = Options {
            verbosity,
            diff: true,
            ..wide(200)
        };
        let mut json = Buffer::default();
        let mut lines = JsonLines::new(json.clone());
        for event in &events {
            lines.event(event);
        }
        json.flush().unwrap();
        for text in [
            terminal(&events, options),
            plain(&events, options),
            json.text(),
        ] {
            let bad = text
                .chars()
                .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            assert_eq!(bad, None, "{text:?}");
            assert!(text.contains("pwned"), "{text:?}");
        }
    }
}

#[test]
fn plain_lines_are_those_of_ansible_playbook() {
    let all = vec![
        "web1".to_owned(),
        "a-host-with-a-rather-long-name.example".to_owned(),
    ];
    let mut run = Recorder::new(2, false);
    run.play("Web tier", &all);
    let task = run.task("Configure", "template", 6, 2);
    run.start(task, &all[0]);
    run.finish(task, &all[0], config_change(4));
    run.finish(task, &all[1], failure("no space left", "df"));
    run.end(task);
    let items = run.task("Users", "user", 6, 1);
    run.item(
        items,
        &all[0],
        ItemResult {
            forecast: None,
            unknown: Vec::new(),
            index: 0,
            label: "alice".into(),
            status: Status::Changed,
            ignored: false,
            value: Value::Null,
            message: None,
            deltas: vec![],
        },
    );
    run.finish(
        items,
        &all[0],
        TaskResult {
            items: Some(1),
            ..result(Status::Changed)
        },
    );
    run.end(items);
    let last = run.task("Ping", "ping", 6, 1);
    run.finish(last, &all[0], unreachable("refused", "connection refused"));
    let text = plain(
        &run.over(4),
        Options {
            diff: true,
            ..Options::default()
        },
    );
    let expected = r#"
PLAY [Web tier] ****************************************************************

TASK [Configure] ***************************************************************
--- before: /etc/nginx/nginx.conf
+++ after: /etc/nginx/nginx.conf
@@ -1,5 +1,5 @@
 user www-data;
-worker_processes 1;
+worker_processes 4;
 events {}
 http {
 }

--- before: /etc/nginx/nginx.conf
+++ after: /etc/nginx/nginx.conf
@@ -1 +1 @@
-mode: "0644"
+mode: "0640"

changed: [web1]
fatal: [a-host-with-a-rather-long-name.example]: FAILED! => {"changed": false, "msg": "no space left", "rc": 1, "stderr": "df"}

TASK [Users] *******************************************************************
changed: [web1] => (item=alice)

TASK [Ping] ********************************************************************
fatal: [web1]: UNREACHABLE! => {"changed": false, "msg": "connection refused", "reason": "refused", "unreachable": true}

PLAY RECAP *********************************************************************
a-host-with-a-rather-long-name.example : ok=0    changed=0    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0   
web1                       : ok=2    changed=2    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0   

"#;
    assert_eq!(text, expected);
}
