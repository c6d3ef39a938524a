//! From what a module did to what a playbook sees and what reporters show.

use std::sync::Arc;

use hostler_change::{Change, Delta, Forecast, Outcome, Unforeseen};
use hostler_diag::Location;
use hostler_events::{Status, TaskResult, Unreachable};
use hostler_value::{Cause, Map, Unknown, Value};

use crate::failure::{Failed, Failure, Left};

/// What `no_log` shows instead.
const CENSORED: &str =
    "the output has been hidden due to the fact that 'no_log: true' was specified for this result";

/// What `command` and its like return.
const RESULTS: &[&str] = &[
    "stdout",
    "stdout_lines",
    "stderr",
    "stderr_lines",
    "rc",
    "start",
    "end",
    "delta",
    "msg",
];

/// The result of one item (or of a task without a loop) on its way through conditions.
#[derive(Clone, Debug)]
pub(crate) struct Single {
    /// The value that `register` holds.
    pub(crate) value: Map,
    pub(crate) status: Status,
    pub(crate) message: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) location: Option<Location>,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) warnings: Vec<String>,
    pub(crate) unreachable: Option<Unreachable>,
    pub(crate) attempts: u32,
    pub(crate) incomplete: bool,
    /// In a preview: it failed by the state of the host.
    pub(crate) of_state: bool,
    /// In a preview: what it would do to the host cannot be foreseen.
    pub(crate) would_run: bool,
    /// In a preview: whether it runs is not known, but it would change nothing.
    pub(crate) idle: bool,
    /// Nothing of the result is known.
    pub(crate) whole: Option<Arc<Unknown>>,
    /// The tasks that decide what of it is not known.
    pub(crate) unknown: Vec<Cause>,
    /// What a preview would carry out.
    pub(crate) forecast: Option<Box<Forecast>>,
    /// Facts to set on the host, without prefix.
    pub(crate) facts: Option<Map>,
    /// Variables to set on the host (`set_fact`).
    pub(crate) variables: Option<Map>,
    /// It has no result: it was not done here, or not to its end.
    pub(crate) left: Option<Left>,
}

impl Single {
    fn new(status: Status, value: Map) -> Self {
        Single {
            value,
            status,
            message: None,
            hint: None,
            location: None,
            deltas: Vec::new(),
            warnings: Vec::new(),
            unreachable: None,
            attempts: 1,
            incomplete: false,
            of_state: false,
            would_run: false,
            idle: false,
            whole: None,
            unknown: Vec::new(),
            forecast: None,
            facts: None,
            variables: None,
            left: None,
        }
    }

    /// Done by the controller, nothing changed on the host.
    pub(crate) fn ok(mut value: Map) -> Self {
        value.insert("changed", false);
        value.insert("failed", false);
        Single::new(Status::Ok, value)
    }

    /// An item of a loop that an earlier attempt brought to a good end, as `register` held it.
    pub(crate) fn remembered(value: &Value) -> Self {
        let flag = |name| value.get(name).and_then(Value::as_bool).unwrap_or(false);
        let status = match (flag("skipped"), flag("changed")) {
            (true, _) => Status::Skipped,
            (false, true) => Status::Changed,
            (false, false) => Status::Ok,
        };
        Single::new(status, value.as_map().cloned().unwrap_or_default())
    }

    /// Not carried out.
    pub(crate) fn skipped(reason: &str, condition: Option<&str>) -> Self {
        let mut value = Map::new();
        value.insert("changed", false);
        value.insert("failed", false);
        value.insert("skipped", true);
        value.insert("skip_reason", reason);
        if let Some(condition) = condition {
            value.insert("false_condition", condition);
        }
        let mut single = Single::new(Status::Skipped, value);
        single.message = Some(match condition {
            Some(condition) => format!("{reason}: {condition}"),
            None => reason.to_owned(),
        });
        single
    }

    /// What it does is not known before other tasks have run.
    pub(crate) fn unknown(unknown: Arc<Unknown>) -> Self {
        let mut single = Single::new(Status::Unknown, Map::new());
        single.message = Some(unknown.words());
        single.unknown.clone_from(&unknown.until);
        single.whole = Some(unknown);
        single
    }

    /// Failed or unreachable, or not known.
    pub(crate) fn failure(
        failure: Failure,
        locate: impl Fn(hostler_diag::Span) -> Location,
    ) -> Self {
        match failure {
            Failure::Failed(failed) => {
                let Failed {
                    msg,
                    hint,
                    span,
                    fields,
                    of_state,
                } = *failed;
                let mut value = fields;
                value.insert(
                    "changed",
                    value.get("changed").cloned().unwrap_or(Value::Bool(false)),
                );
                value.insert("failed", true);
                value.insert("msg", msg.as_str());
                let mut single = Single::new(Status::Failed, value);
                single.message = Some(msg);
                single.hint = hint;
                single.of_state = of_state;
                single.location = span.map(locate);
                single
            }
            Failure::Unknown(unknown) => Single::unknown(unknown),
            Failure::NoAnswer(msg) => {
                let mut single = Single::new(Status::Unknown, Map::new());
                single.value.insert("changed", false);
                single.value.insert("failed", true);
                single.value.insert("unknown", true);
                single.value.insert("msg", msg.as_str());
                single.message = Some(msg);
                single.idle = true;
                single
            }
            Failure::Left(left) => {
                let status = match left {
                    Left::Cancelled => Status::Failed,
                    Left::Behind | Left::Unwritten | Left::Stopped => Status::Unknown,
                };
                let mut single = Single::new(status, Map::new());
                single.value.insert("changed", false);
                single.value.insert("failed", true);
                single.value.insert("msg", left.words());
                single.message = Some(left.words().to_owned());
                single.idle = true;
                single.left = Some(left);
                single
            }
            Failure::Unreachable(unreachable) => {
                let mut value = Map::new();
                value.insert("changed", false);
                value.insert("unreachable", true);
                value.insert("msg", unreachable.detail.as_str());
                let mut single = Single::new(Status::Unreachable, value);
                single.message = Some(unreachable.detail.clone());
                let reason = unreachable.reason.code().to_owned();
                single.unreachable = Some(Unreachable {
                    reason,
                    detail: unreachable.detail,
                });
                single
            }
        }
    }

    /// What a module did.
    pub(crate) fn outcome(outcome: Outcome, diff: bool) -> Self {
        let Outcome {
            changed,
            skipped,
            failed,
            fields,
            facts,
            deltas,
            mut warnings,
            incomplete,
            unforeseen: _,
            unknown,
            forecast,
            faults,
            // For the journal alone.
            replaced: _,
        } = outcome;
        let fault = |it| format!("the module is at fault, please report it: {it}");
        warnings.extend(faults.into_iter().map(fault));
        let mut value = fields;
        add_lines(&mut value, "stdout");
        add_lines(&mut value, "stderr");
        value.insert("changed", changed);
        value.insert("failed", failed.is_some());
        if skipped {
            value.insert("skipped", true);
        }
        if let Some(failure) = &failed {
            value.insert("msg", failure.msg.as_str());
        }
        if let Some(facts) = &facts {
            let prefixed = facts
                .iter()
                .map(|(name, fact)| (prefixed(name), fact.clone()));
            value.insert("ansible_facts", prefixed.collect::<Map>());
        }
        if diff && !deltas.is_empty() {
            value.insert("diff", Value::list(deltas.iter().map(diff_value)));
        }
        if !warnings.is_empty() {
            value.insert("warnings", warnings.clone());
        }
        let status = match (&failed, skipped, changed) {
            (Some(_), _, _) => Status::Failed,
            _ if !unknown.is_empty() => Status::Unknown,
            (None, true, _) => Status::Skipped,
            (None, false, true) => Status::Changed,
            (None, false, false) => Status::Ok,
        };
        let mut single = Single::new(status, value);
        let said = single
            .value
            .get("msg")
            .and_then(Value::as_str)
            .filter(|msg| !msg.is_empty());
        single.message = said.map(str::to_owned);
        single.of_state = failed.is_some();
        if single.status == Status::Unknown {
            let unknown = Unknown {
                until: unknown.clone(),
                sketch: None,
            };
            let words = unknown.words();
            single.message = Some(match single.message.take() {
                Some(what) => format!("{words}: {what}"),
                None => words,
            });
            single.whole = Some(Arc::new(unknown));
        }
        single.hint = failed.and_then(|failure| failure.hint);
        single.deltas = deltas;
        single.warnings = warnings;
        single.incomplete = incomplete;
        single.unknown = unknown;
        single.forecast = forecast;
        single.facts = facts;
        single
    }

    /// A task that check mode does not run, since what it does cannot be foreseen. Unless it fails it ends as predicted
    /// here; the rest of its result is known when it has run.
    pub(crate) fn would_run(outcome: Outcome, cause: Cause, may_fail: bool, diff: bool) -> Self {
        let changes = outcome.unforeseen != Some(Unforeseen::NoChange);
        let unknown = Value::unknown(cause);
        let mut value = Map::new();
        if let Some(command) = outcome.fields.get("cmd") {
            value.insert("cmd", command.clone());
        }
        for name in RESULTS {
            value.insert(*name, unknown.clone());
        }
        // A task that fails ends its host's run, so the next one to look finds that this one did not.
        if !may_fail {
            value.insert("rc", 0);
        }
        let mut single = Single::outcome(
            Outcome {
                changed: changes,
                skipped: false,
                failed: None,
                fields: Map::new(),
                ..outcome
            },
            diff,
        );
        value.insert("changed", changes);
        value.insert(
            "failed",
            if may_fail {
                unknown
            } else {
                Value::Bool(false)
            },
        );
        single.value = value;
        single.would_run = true;
        single
    }

    /// What it does is not known after all; what was seen of it stays.
    pub(crate) fn becomes_unknown(&mut self, unknown: Arc<Unknown>) {
        self.status = Status::Unknown;
        self.message = Some(unknown.words());
        self.hint = None;
        self.unknown.clone_from(&unknown.until);
        self.whole = Some(unknown);
    }

    /// The value as a playbook sees it.
    pub(crate) fn to_value(&self) -> Value {
        match &self.whole {
            Some(unknown) => Value::Unknown(unknown.clone()),
            None => Value::from(self.value.clone()),
        }
    }

    /// Sets what `changed_when` decided.
    pub(crate) fn set_changed(&mut self, changed: bool) {
        self.value.insert("changed", changed);
        if matches!(self.status, Status::Ok | Status::Changed) {
            self.status = if changed { Status::Changed } else { Status::Ok };
        }
    }

    /// Sets what `failed_when` decided.
    pub(crate) fn set_failed(&mut self, failed: bool) {
        self.value.insert("failed", failed);
        self.value.insert("failed_when_result", failed);
        let changed = self
            .value
            .get("changed")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        match (failed, self.status) {
            (true, _) => self.status = Status::Failed,
            (false, Status::Failed) if changed => self.status = Status::Changed,
            (false, Status::Failed) => self.status = Status::Ok,
            (false, _) => {}
        }
        if failed && self.message.is_none() {
            self.message = Some("`failed_when` is true".to_owned());
        }
    }

    /// Did it report a change?
    pub(crate) fn reports_change(&self) -> bool {
        self.value
            .get("changed")
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }

    /// The result for reporters.
    pub(crate) fn into_result(self, shown: Shown) -> TaskResult {
        let value = self.to_value();
        let censored = shown.no_log;
        TaskResult {
            status: self.status,
            ignored: shown.ignored,
            rescued: shown.rescued,
            value: if censored { censor(&value) } else { value },
            message: if censored { None } else { self.message },
            hint: if censored { None } else { self.hint },
            location: self.location,
            deltas: if censored { Vec::new() } else { self.deltas },
            warnings: if censored { Vec::new() } else { self.warnings },
            delegated_to: shown.delegated_to,
            unreachable: self.unreachable,
            censored,
            attempts: self.attempts,
            items: shown.items,
            incomplete: self.incomplete,
            unknown: self.unknown,
            forecast: self.forecast,
            duration_us: shown.duration_us,
        }
    }
}

/// How a result is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) no_log: bool,
    pub(crate) ignored: bool,
    pub(crate) rescued: bool,
    pub(crate) delegated_to: Option<String>,
    pub(crate) items: Option<u32>,
    pub(crate) duration_us: u64,
}

/// The value that `no_log` shows: whether it changed and failed, nothing else.
pub(crate) fn censor(value: &Value) -> Value {
    let mut shown = Map::new();
    shown.insert("censored", CENSORED);
    for key in ["changed", "failed", "skipped", "unreachable"] {
        if let Some(flag) = value.get(key).filter(|flag| flag.as_bool().is_some()) {
            shown.insert(key, flag.clone());
        }
    }
    Value::from(shown)
}

fn prefixed(name: &Value) -> Value {
    let name = name.to_text();
    // Facts of `facts.d` and of modules with full names are not prefixed twice.
    if name.starts_with("ansible_") || name == "module_setup" || name == "gather_subset" {
        Value::from(name)
    } else {
        Value::from(format!("ansible_{name}"))
    }
}

/// `stdout` as `stdout_lines`, split as Python's `splitlines` does.
fn add_lines(value: &mut Map, stream: &str) {
    let name = format!("{stream}_lines");
    if value.contains(&name) {
        return;
    }
    if let Some(text) = value.get(stream).and_then(Value::as_str) {
        let lines = Value::list(text.lines().map(Value::str));
        value.insert(name, lines);
    }
}

/// A delta as ansible-core shapes it in `diff`.
fn diff_value(delta: &Delta) -> Value {
    let mut diff = Map::new();
    let text = |text: &Option<String>| Value::str(text.as_deref().unwrap_or(""));
    match &delta.change {
        Change::Text { before, after } => {
            diff.insert("before", text(before));
            diff.insert("after", text(after));
            diff.insert("before_header", delta.subject.as_str());
            diff.insert("after_header", delta.subject.as_str());
        }
        Change::Opaque { before, after } => {
            diff.insert("before", text(before));
            diff.insert("after", text(after));
            diff.insert("dst_binary", 1);
        }
        Change::Field {
            name,
            before,
            after,
        } => {
            let side = |value: &Value| {
                let path = ("path", Value::str(&delta.subject));
                [path, (name.as_str(), value.clone())]
                    .into_iter()
                    .collect::<Map>()
            };
            diff.insert("before", side(before));
            diff.insert("after", side(after));
        }
        Change::Action(what) => {
            diff.insert("prepared", format!("{}: {what}", delta.subject));
        }
    }
    Value::from(diff)
}
