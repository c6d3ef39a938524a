//! Every case in `python.json` against `CPython` 3.11's recorded answer, error messages included.

#![expect(
    clippy::unwrap_used,
    reason = "a broken case file should stop the test"
)]

use std::collections::BTreeSet;

use hostler_python_regex::{Flags, Found, Match, Regex, RegexError, escape};
use serde_json::{Value, json};

/// Cases whose answer is known to differ, each explained in the crate's documentation.
const KNOWN_DIFFERENCES: &[(&str, &str, &str)] = &[
    // No table of character names.
    ("search", r"\N{BULLET}", "•"),
    // The last, empty repetition is not seen in the group.
    ("search", "(a*)*", "aa"),
    ("search", "(a?)*", "aa"),
    ("fullmatch", "(a?)*", "aa"),
    ("findall", "(a?)*", "aa"),
    ("fullmatch", "(a*?)*", "aa"),
    // A mistake in CPython: its search for the first character ignores the group's flag.
    ("search", r"(?u:\w)", "é"),
    // Back-references fold case as Unicode even under re.A.
    ("search", r"(é)\1", "éÉ"),
];

/// One question with `CPython`'s answer.
struct Case {
    operation: String,
    pattern: String,
    flags: Flags,
    text: String,
    rest: Vec<Value>,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let recorded = match std::env::var_os("HOSTLER_PYTHON_REGEX_CASES") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("python.json").to_owned(),
    };
    let entries: Vec<(Vec<Value>, Value)> = serde_json::from_str(&recorded).unwrap();
    entries
        .into_iter()
        .map(|(question, expected)| case(&question, expected))
        .collect()
}

fn case(question: &[Value], expected: Value) -> Case {
    let text = |index: usize| question[index].as_str().unwrap().to_owned();
    let letters = text(2);
    let flags = Flags {
        ignore_case: letters.contains('I'),
        multi_line: letters.contains('M'),
        dot_all: letters.contains('S'),
        verbose: letters.contains('X'),
        ascii: letters.contains('A'),
    };
    let rest = question[4..].to_vec();
    Case {
        operation: text(0),
        pattern: text(1),
        flags,
        text: text(3),
        rest,
        expected,
    }
}

/// Spans of all groups, in characters, as `answers.py` writes them.
fn spans(found: &Match<'_>, text: &str) -> Value {
    let chars = |byte: usize| text[..byte].chars().count();
    let groups = 0..=found.groups().count();
    groups
        .map(|group| {
            found
                .span(group)
                .map(|span| json!([chars(span.start), chars(span.end)]))
        })
        .collect()
}

fn run(case: &Case) -> Result<Value, RegexError> {
    let Case {
        operation,
        pattern,
        flags,
        text,
        rest,
        ..
    } = case;
    if operation == "escape" {
        return Ok(json!(escape(pattern)));
    }
    let number = |index: usize| {
        rest.get(index)
            .map_or(0, |count| usize::try_from(count.as_u64().unwrap()).unwrap())
    };
    let regex = Regex::new(pattern, *flags)?;
    let optional =
        |found: Option<Match<'_>>| found.map_or(Value::Null, |found| spans(&found, text));
    Ok(match operation.as_str() {
        "search" => optional(regex.search(text)?),
        "match" => optional(regex.match_start(text)?),
        "fullmatch" => optional(regex.full_match(text)?),
        "finditer" => {
            let found: Result<Vec<_>, _> = regex.find_iter(text).collect();
            found?.iter().map(|found| spans(found, text)).collect()
        }
        "findall" => regex.find_all(text)?.into_iter().map(found_value).collect(),
        "split" => json!(regex.split(text, number(0))?),
        "sub" => json!(regex.sub(rest[0].as_str().unwrap(), text, number(1))?),
        other => panic!("unknown operation {other}"),
    })
}

fn found_value(found: Found) -> Value {
    match found {
        Found::Text(text) => json!(text),
        Found::Groups(groups) => json!(groups),
    }
}

#[test]
fn answers_are_pythons() {
    let mut wrong = Vec::new();
    let mut differing = BTreeSet::new();
    let cases = cases();
    for case in &cases {
        let ours = run(case).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        if ours == case.expected {
            continue;
        }
        let known = (
            case.operation.as_str(),
            case.pattern.as_str(),
            case.text.as_str(),
        );
        if KNOWN_DIFFERENCES.contains(&known) {
            differing.insert(known);
        } else {
            wrong.push(format!(
                "{} {:?} {:?} on {:?} {:?}\n   python {}\n   ours   {ours}",
                case.operation, case.pattern, case.flags, case.text, case.rest, case.expected
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    if std::env::var_os("HOSTLER_PYTHON_REGEX_CASES").is_none() {
        assert_eq!(
            differing.len(),
            KNOWN_DIFFERENCES.len(),
            "a known difference is gone"
        );
    }
}
