//! A run that does not get to its end: what is said of hosts that are stuck or lost, of handlers, and of how to go on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "the other tests use the rest")]
mod synthetic;

use std::io::Write;
use std::sync::{Arc, Mutex};

use hostler_events::{Reporter, Stamped};
use hostler_reporters::{JsonLines, Options, Plain, Terminal};

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

fn shown(
    events: &[Stamped],
    options: Options,
    reporter: impl FnOnce(Buffer, Options) -> Box<dyn Reporter>,
) -> String {
    let out = Buffer::default();
    let mut reporter = reporter(out.clone(), options);
    for event in events {
        reporter.event(event);
    }
    let bytes = out.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn terminal(out: Buffer, options: Options) -> Box<dyn Reporter> {
    Box::new(Terminal::to_writer(options, synthetic::sources(), out))
}

fn plain(out: Buffer, options: Options) -> Box<dyn Reporter> {
    Box::new(Plain::new(out, options))
}

fn longest(text: &str) -> usize {
    text.lines().map(console::measure_text_width).max().unwrap()
}

#[test]
fn the_terminal_folds_what_many_hosts_share() {
    for width in [80, 200] {
        let options = Options {
            width,
            ..Options::default()
        };
        let text = shown(&synthetic::trouble(200), options, terminal);
        assert!(longest(&text) <= width, "{text}");
        let has = |what: &str| assert!(text.contains(what), "{what:?} is missing in\n{text}");
        has("owed: reload nginx on web[002-200] (since run run-0): runs now\n");
        has("web001 | Reading package lists...\nweb001 | Building dependency tree\\x1b[2J\n");
        has("web001 | W: no line feed\n");
        has("  dropped      web001: given up by the user\n");
        has("  unknown      web200\n               sent, no answer\n");
        has("1 failed, 1 unknown, 198 changed  (interrupted)\n");
        has("owed: restart nginx on web[001-100]\n");
        has("resume with: hostler resume run-1\n");
        has("only those again: --limit web001,web200\n");
        assert_eq!(text.matches("owed:").count(), 2, "{text}");
    }
    let one = shown(&synthetic::trouble(1), Options::default(), terminal);
    assert!(!one.contains("owed:"), "{one}");
    assert!(one.contains("resume with: hostler resume run-1\n"), "{one}");
}

#[test]
fn plain_lines_name_every_host() {
    let text = shown(&synthetic::trouble(3), Options::default(), plain);
    let has = |what: &str| assert!(text.contains(what), "{what:?} is missing in\n{text}");
    has("owed: reload nginx on web002 (since run run-0): runs now\n");
    has("owed: reload nginx on web003 (since run run-0): runs now\n");
    let waits =
        "waiting: [web001]: apt-get: waits for the lock held by unattended-upgr (pid 812)\n";
    assert_eq!(
        text.matches(waits).count(),
        1,
        "not every few seconds\n{text}"
    );
    has("web001 | Building dependency tree\\x1b[2J\n");
    has("reconnecting: [web003]: the connection was lost while a task ran\n");
    has("unknown: [web003] sent, no answer\n");
    has("dropped: [web001]: given up by the user\n");
    has("ignored=0    unknown=1\n");
    assert!(
        text.ends_with("owed: restart nginx on web001\nresume with: hostler resume run-1\n\n"),
        "{text}"
    );
}

#[test]
fn programs_get_all_of_it() {
    let json = shown(&synthetic::trouble(2), Options::default(), |out, _| {
        Box::new(JsonLines::new(out))
    });
    for what in [
        "\"event\":\"handler_owed\"",
        "\"event\":\"task_progress\"",
        "\"event\":\"task_output\"",
        "\"event\":\"host_dropped\"",
        "\"resumable\":true",
        "\"state\":\"reconnecting\"",
    ] {
        assert!(json.contains(what), "{what}\n{json}");
    }
}

#[test]
fn quiet_still_says_what_is_not_known() {
    let options = Options {
        quiet: true,
        ..Options::default()
    };
    for reporter in [terminal, plain] {
        let text = shown(&synthetic::trouble(3), options, reporter);
        assert!(text.contains("sent, no answer"), "{text}");
        assert!(text.contains("owed: restart nginx on web001"), "{text}");
        assert!(!text.contains("Reading package"), "{text}");
    }
}
