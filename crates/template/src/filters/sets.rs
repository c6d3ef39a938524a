//! Lists as sets.

use std::collections::HashSet;

use super::FilterFn;
use crate::args::{Args, required};
use crate::context::Cx;
use crate::fail::{Res, bail};
use crate::ops;
use crate::value::{Key, Val};

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("union", union),
    ("intersect", intersect),
    ("difference", difference),
    ("symmetric_difference", symmetric_difference),
];

/// What was already seen: by hash where that is possible, by comparison else.
#[derive(Default)]
pub(super) struct Members {
    keys: HashSet<Key>,
    others: Vec<Val>,
}

impl Members {
    pub(super) fn of(cx: &Cx<'_>, items: &[Val]) -> Res<Members> {
        let mut members = Members::default();
        for item in items {
            members.add(cx, item)?;
        }
        Ok(members)
    }

    /// Was it new?
    pub(super) fn add(&mut self, cx: &Cx<'_>, item: &Val) -> Res<bool> {
        if self.has(cx, item)? {
            return Ok(false);
        }
        match Key::of(item) {
            Ok(key) => {
                self.keys.insert(key);
            }
            Err(_) => self.others.push(item.clone()),
        }
        Ok(true)
    }

    pub(super) fn has(&self, cx: &Cx<'_>, item: &Val) -> Res<bool> {
        if let Val::Undef(undef) = item {
            return Err(undef.trip());
        }
        crate::unknown::known([item])?;
        if let Ok(key) = Key::of(item) {
            return Ok(self.keys.contains(&key));
        }
        cx.spend(self.others.len() as u64)?;
        for other in &self.others {
            if ops::equal(cx, other, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn two(cx: &Cx<'_>, base: &Val, args: Args) -> Res<(Vec<Val>, Vec<Val>)> {
    let [other] = args.bind(["b"])?;
    let other = required(other, "b")?;
    for side in [base, &other] {
        if matches!(side, Val::Str(_) | Val::Dict(_)) {
            bail!("expected a list, got '{}'", side.type_name());
        }
    }
    Ok((ops::iterate(cx, base)?, ops::iterate(cx, &other)?))
}

fn filtered(cx: &Cx<'_>, items: Vec<Val>, others: &Members, wanted: bool) -> Res<Vec<Val>> {
    let mut seen = Members::default();
    let mut kept = Vec::new();
    for item in items {
        if others.has(cx, &item)? == wanted && seen.add(cx, &item)? {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn union(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let (a, b) = two(cx, &base, args)?;
    let mut seen = Members::default();
    let mut kept = Vec::new();
    for item in a.into_iter().chain(b) {
        if seen.add(cx, &item)? {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

fn intersect(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let (a, b) = two(cx, &base, args)?;
    filtered(cx, a, &Members::of(cx, &b)?, true).map(Val::list)
}

fn difference(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let (a, b) = two(cx, &base, args)?;
    filtered(cx, a, &Members::of(cx, &b)?, false).map(Val::list)
}

fn symmetric_difference(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let (a, b) = two(cx, &base, args)?;
    let (in_a, in_b) = (Members::of(cx, &a)?, Members::of(cx, &b)?);
    let mut kept = filtered(cx, a, &in_b, false)?;
    kept.extend(filtered(cx, b, &in_a, false)?);
    Ok(Val::list(kept))
}
