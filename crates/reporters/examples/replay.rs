//! Plays a made-up run on the terminal: `replay [HOSTS] [-v] [-D] [-q] [--plain] [--json] [--check] [--trouble]`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool for developers"
)]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::time::Duration;

use hostler_diag::{Diagnostic, Span};
use hostler_events::Reporter;
use hostler_reporters::{JsonLines, Options, Plain, Terminal, render_diagnostics};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let hosts = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(200);
    let (rows, width) = console::Term::stdout().size();
    let options = Options {
        color: console::colors_enabled(),
        width: width.into(),
        rows: rows.into(),
        verbosity: u8::from(has("-v")) + 2 * u8::from(has("-vv")),
        quiet: has("-q"),
        diff: has("-D"),
    };
    let sources = synthetic::sources();
    if has("--diagnostics") {
        let id = sources.add_text("site.yml", "- hosts: all\n  taks:\n    - ping:\n");
        let problem = Diagnostic::error("unknown-keyword", "`taks` is not a keyword of a play")
            .label(Span::new(id, 15, 19), "not known")
            .label(Span::new(id, 2, 7), "in this play")
            .hint("did you mean `tasks`?");
        print!(
            "{}",
            render_diagnostics(&[problem.clone(), problem], &sources, &options)
        );
        return;
    }
    let mut reporter: Box<dyn Reporter> = if has("--plain") {
        Box::new(Plain::new(std::io::stdout(), options))
    } else if has("--json") {
        Box::new(JsonLines::new(std::io::stdout()))
    } else {
        Box::new(Terminal::new(options, sources))
    };
    let events = if has("--trouble") {
        synthetic::trouble(hosts)
    } else {
        synthetic::web_tier(hosts, has("--check"))
    };
    let shift = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_micros(),
    )
    .unwrap()
        - events[0].at_us;
    let mut before = events[0].at_us;
    for mut event in events {
        let gap = u64::try_from(event.at_us - before).unwrap();
        before = event.at_us;
        event.at_us += shift;
        if !has("--fast") {
            std::thread::sleep(Duration::from_micros(gap));
        }
        reporter.event(&event);
    }
}
