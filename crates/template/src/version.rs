//! Comparing versions, as the `version` test does.

use std::cmp::Ordering;

use crate::fail::{Res, bail};

/// A part of a loose version: a number or letters.
#[derive(PartialEq)]
enum Part {
    Number(u64),
    Word(String),
}

/// `ours OPERATOR theirs`.
pub(crate) fn compare(ours: &str, theirs: &str, operator: &str, kind: &str) -> Res<bool> {
    for text in [ours, theirs] {
        if text.is_empty() {
            bail!("Input version value and input version to compare against cannot be empty");
        }
    }
    let order = match kind {
        "loose" => loose(ours, theirs)?,
        "strict" => strict(ours, theirs)?,
        "semver" | "semantic" => semantic(ours, theirs)?,
        "pep440" => bail!("the version type 'pep440' is not available"),
        other => bail!(
            "Invalid version type ({other}). Must be one of loose, strict, semver, semantic, pep440"
        ),
    };
    Ok(match operator {
        "==" | "=" | "eq" => order == Ordering::Equal,
        "<" | "lt" => order == Ordering::Less,
        "<=" | "le" => order != Ordering::Greater,
        ">" | "gt" => order == Ordering::Greater,
        ">=" | "ge" => order != Ordering::Less,
        "!=" | "<>" | "ne" => order != Ordering::Equal,
        other => bail!(
            "Invalid operator type ({other}). Must be one of ==, =, eq, <, lt, <=, le, >, gt, >=, ge, !=, <>, ne"
        ),
    })
}

/// Numbers, runs of small letters, and whatever stands between them; points only separate.
fn loose_parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '.' {
            rest = &rest[1..];
            continue;
        }
        let class = |ch: char| {
            if ch.is_ascii_digit() {
                0
            } else if ch.is_ascii_lowercase() {
                1
            } else if ch == '.' {
                3
            } else {
                2
            }
        };
        let end = rest
            .find(|ch| class(ch) != class(first))
            .unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        parts.push(match run.parse() {
            Ok(number) => Part::Number(number),
            Err(_) => Part::Word(run.to_owned()),
        });
        rest = tail;
    }
    parts
}

fn loose(ours: &str, theirs: &str) -> Res<Ordering> {
    let (ours, theirs) = (loose_parts(ours), loose_parts(theirs));
    for (a, b) in ours.iter().zip(&theirs) {
        let order = match (a, b) {
            (Part::Number(a), Part::Number(b)) => a.cmp(b),
            (Part::Word(a), Part::Word(b)) => a.cmp(b),
            (Part::Number(_), Part::Word(_)) => bail!(
                "Version comparison failed: '<' not supported between instances of 'int' and 'str'"
            ),
            (Part::Word(_), Part::Number(_)) => bail!(
                "Version comparison failed: '<' not supported between instances of 'str' and 'int'"
            ),
        };
        if order != Ordering::Equal {
            return Ok(order);
        }
    }
    Ok(ours.len().cmp(&theirs.len()))
}

/// `1.2`, `1.2.3`, `1.2a1`.
fn strict(ours: &str, theirs: &str) -> Res<Ordering> {
    let read = |text: &str| -> Res<([u64; 3], (u8, u64))> {
        let (numbers, pre) = match text.find(['a', 'b']) {
            Some(at) => (&text[..at], Some((text.as_bytes()[at], &text[at + 1..]))),
            None => (text, None),
        };
        let parts: Vec<&str> = numbers.split('.').collect();
        let mut found = [0; 3];
        let mut fits = (2..=3).contains(&parts.len());
        for (slot, part) in found.iter_mut().zip(&parts) {
            match part.parse() {
                Ok(number) => *slot = number,
                Err(_) => fits = false,
            }
        }
        let pre = match pre {
            // A release comes after all its pre-releases.
            None => (u8::MAX, 0),
            Some((letter, number)) => match number.parse() {
                Ok(number) => (letter, number),
                Err(_) => {
                    fits = false;
                    (0, 0)
                }
            },
        };
        if !fits {
            bail!("Version comparison failed: invalid version number '{text}'");
        }
        Ok((found, pre))
    };
    Ok(read(ours)?.cmp(&read(theirs)?))
}

/// Semantic versions 2.0.
fn semantic(ours: &str, theirs: &str) -> Res<Ordering> {
    let read = |text: &str| -> Res<([u64; 3], Option<String>)> {
        let core = text.split('+').next().unwrap_or(text);
        let (numbers, pre) = match core.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre.to_owned())),
            None => (core, None),
        };
        let parts: Result<Vec<u64>, _> = numbers.split('.').map(str::parse).collect();
        match parts.as_deref() {
            Ok([major, minor, patch]) => Ok(([*major, *minor, *patch], pre)),
            _ => bail!("Version comparison failed: invalid semantic version '{text}'"),
        }
    };
    let ((ours, our_pre), (theirs, their_pre)) = (read(ours)?, read(theirs)?);
    Ok(ours.cmp(&theirs).then_with(|| match (our_pre, their_pre) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => prerelease(&a, &b),
    }))
}

fn prerelease(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => match (x.parse::<u64>(), y.parse::<u64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => x.cmp(y),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}
