//! "Unknown" in place of what a preview made up: numbers of accounts and inodes, times, sizes.

use std::sync::Arc;

use hostler_change::{Change, Outcome};
use hostler_value::{Cause, Map, Unknown, Value};

use super::Pending;

/// Where modules get what nobody can guess, for the name of a new file.
pub(super) const UUID: &str = "/proc/sys/kernel/random/uuid";
/// How a name of a preview begins; the number of the task (four digits) and of the name follow.
const NAME: &str = "f0f0f0f0";
const NAME_LENGTH: usize = 16;

/// Instead of a random number: one that is known again in a name of its first and last eight digits.
pub(super) fn uuid(task: u32, count: u32) -> Vec<u8> {
    format!(
        "{NAME}-0000-4000-8000-0000{:04x}{:04x}\n",
        task & 0xffff,
        count & 0xffff
    )
    .into_bytes()
}

/// Digits of the shortest number that is made up.
const DIGITS_MIN: usize = 10;

pub(super) fn reveal(pending: &Pending, outcome: &mut Outcome) {
    outcome.fields = map(pending, &outcome.fields);
    if let Some(facts) = &mut outcome.facts {
        *facts = map(pending, facts);
    }
    for delta in &mut outcome.deltas {
        if let Some(unknown) = text(pending, &delta.subject) {
            delta.subject = unknown.text();
        }
        match &mut delta.change {
            Change::Field { before, after, .. } => {
                for side in [before, after] {
                    if let Some(new) = value(pending, side) {
                        *side = new;
                    }
                }
            }
            Change::Text { before, after } => {
                for side in [before, after].into_iter().flatten() {
                    if let Some(unknown) = text(pending, side) {
                        *side = unknown.text();
                    }
                }
            }
            Change::Opaque { .. } | Change::Action(_) => {}
        }
    }
}

/// What there was before is not known: these tasks bring it, or not.
pub(super) fn hide_before(until: &[Cause], outcome: &mut Outcome) {
    let unknown = Unknown {
        until: until.to_vec(),
        sketch: None,
    };
    for delta in &mut outcome.deltas {
        match &mut delta.change {
            Change::Field { before, .. } => *before = Value::Unknown(Arc::new(unknown.clone())),
            Change::Text { before, .. } => *before = Some(format!("{}\n", unknown.hole())),
            Change::Opaque { before, .. } => *before = Some(unknown.words()),
            Change::Action(_) => {}
        }
    }
}

fn made_up(pending: &Pending, number: i64) -> Option<Cause> {
    let node = || pending.files.made_up(number).map(|node| &node.by);
    pending.people.made_up(number).or_else(node).cloned()
}

fn map(pending: &Pending, map: &Map) -> Map {
    let shown = |it: &Value| value(pending, it).unwrap_or_else(|| it.clone());
    let mut out = Map::new();
    for (key, it) in map {
        out.insert(key.clone(), shown(it));
    }
    out
}

/// `None`: nothing in it is made up.
fn value(pending: &Pending, it: &Value) -> Option<Value> {
    match it {
        Value::Int(number) => made_up(pending, *number).map(Value::unknown),
        Value::Float(number) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and is no made up number then"
            )]
            let whole = *number as i64;
            made_up(pending, whole).map(Value::unknown)
        }
        Value::Str(it) => text(pending, it).map(|it| Value::Unknown(Arc::new(it))),
        Value::List(items) => {
            let new: Vec<Option<Value>> = items.iter().map(|it| value(pending, it)).collect();
            let any = new.iter().any(Option::is_some);
            let both = new.into_iter().zip(items.iter());
            any.then(|| Value::list(both.map(|(new, old)| new.unwrap_or_else(|| old.clone()))))
        }
        Value::Map(it) => Some(Value::from(map(pending, it))),
        Value::Null | Value::Bool(_) | Value::BigInt(_) | Value::Unknown(_) => None,
    }
}

/// The task of a name that begins a text.
fn name(text: &str) -> Option<Cause> {
    let digits = text.strip_prefix(NAME)?.get(..NAME_LENGTH - NAME.len())?;
    digits
        .bytes()
        .all(|it| it.is_ascii_hexdigit())
        .then_some(())?;
    Some(Cause {
        task: u32::from_str_radix(&digits[..4], 16).ok()?,
        ..Cause::default()
    })
}

/// A text with made up numbers or names in it.
fn text(pending: &Pending, text: &str) -> Option<Unknown> {
    let (mut sketch, mut until, mut rest) = (String::new(), Vec::new(), text);
    let starts = |rest: &str| {
        let number = rest.find(|it: char| it.is_ascii_digit());
        number.into_iter().chain(rest.find(NAME)).min()
    };
    while let Some(start) = starts(rest) {
        let named = name(&rest[start..]);
        let digits = rest[start..].bytes().take_while(u8::is_ascii_digit).count();
        let length = if named.is_some() {
            NAME_LENGTH
        } else {
            digits.max(1)
        };
        let (before, digits) = (&rest[..start], &rest[start..start + length]);
        sketch.push_str(before);
        let number = digits.parse().ok().filter(|_| length >= DIGITS_MIN);
        match named.or_else(|| made_up(pending, number?)) {
            Some(cause) => {
                let unknown = Unknown::until(cause);
                sketch.push_str(&unknown.hole());
                until.push(unknown);
            }
            None => sketch.push_str(digits),
        }
        rest = &rest[start + length..];
    }
    if until.is_empty() {
        return None;
    }
    sketch.push_str(rest);
    let joined = Unknown::join(&until);
    let all = text.bytes().all(|it| it.is_ascii_digit());
    Some(Unknown {
        sketch: (!all).then(|| sketch.into()),
        ..joined
    })
}
