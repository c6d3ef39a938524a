//! Runs a module on files whose fate ansible-core's own module has shown (`tests/answers/ask.py`).

use hostler_module_api::fake::FakeHost;
use hostler_module_api::prelude::*;
use hostler_module_api::{Mode, execute};

use super::{from_bytes, to_bytes};

/// One case with ansible-core's answer.
#[derive(Debug, Deserialize)]
struct Answer {
    before: Option<String>,
    args: Value,
    after: Option<String>,
    #[serde(default)]
    changed: bool,
    #[serde(default)]
    failed: bool,
    msg: String,
    found: Option<i64>,
    rc: Option<i64>,
}

const PATH: &str = "/etc/f";

/// Stands for the message of a module that ended with a traceback: ours fails with a message of its own.
const CRASHED: &str = "CRASHED";

/// Compares file, message and status of every case; check mode must predict the status.
pub(crate) fn check_answers<M: Module>(recorded: &str) {
    let answers: Vec<Answer> = serde_json::from_str(recorded).unwrap();
    let wrong: Vec<String> = answers.iter().filter_map(differs::<M>).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        answers.len(),
        wrong.join("\n")
    );
}

fn differs<M: Module>(answer: &Answer) -> Option<String> {
    let mut host = FakeHost::bare();
    if let Some(before) = &answer.before {
        host = host.file(PATH, to_bytes(before));
    }
    let mut args = Map::new();
    args.extend(answer.args.as_map().unwrap());
    args.insert("path", PATH);
    let args = Value::from(args);
    let check = Mode {
        check: true,
        diff: true,
        forecast: false,
    };
    let untouched = host.snapshot().clone();
    let predicted = execute::<M>(&args, check, &mut host);
    assert_eq!(&untouched, host.snapshot(), "check mode wrote: {answer:?}");
    let outcome = execute::<M>(&args, Mode::default(), &mut host);
    let number = |name: &str| outcome.fields.get(name).and_then(Value::as_int);
    let failure = outcome.failed.as_ref().map(|it| it.msg.clone());
    let msg = failure.or_else(|| outcome.fields.get("msg").map(Value::to_text));
    let mut msg = msg.unwrap_or_default().replace(PATH, "PATH");
    if answer.msg == CRASHED && outcome.failed.is_some() {
        CRASHED.clone_into(&mut msg);
    }
    let ours = (
        host.at(PATH).map(|file| from_bytes(&file.content)),
        outcome.changed,
        predicted.changed,
        outcome.failed.is_some(),
        msg,
        number("found"),
        number("rc").filter(|_| answer.rc.is_some()),
    );
    let theirs = (
        answer.after.clone(),
        answer.changed,
        answer.changed,
        answer.failed,
        answer.msg.clone(),
        answer.found,
        answer.rc,
    );
    let shown = |args: &Value| serde_json::to_string(args).unwrap_or_default();
    (ours != theirs).then(|| {
        let before = &answer.before;
        format!(
            "{before:?} {}\n  ansible {theirs:?}\n  ours    {ours:?}",
            shown(&answer.args)
        )
    })
}
