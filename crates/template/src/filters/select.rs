//! Picking, mapping, sorting and grouping of list items.

use std::cmp::Ordering;

use super::FilterFn;
use crate::args::{Args, flag, required, some, text_or};
use crate::context::{Cx, defer};
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::text;
use crate::value::{Near, SeqKind, Val};

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("map", map),
    ("select", select),
    ("reject", reject),
    ("selectattr", selectattr),
    ("rejectattr", rejectattr),
    ("sort", sort),
    ("dictsort", dictsort),
    ("groupby", groupby),
    ("min", min),
    ("max", max),
    ("unique", unique),
    ("first", first),
    ("last", last),
    ("sum", sum),
];

/// An attribute path: `a.b.0`, a number, or nothing for the item itself.
pub(super) struct Path(Vec<Val>);

impl Path {
    pub(super) fn new(cx: &Cx<'_>, attribute: Option<&Val>) -> Res<Path> {
        Ok(Path(match attribute {
            None | Some(Val::None) => Vec::new(),
            Some(Val::Int(index)) => vec![Val::Int(*index)],
            Some(other) => text::str(cx, other)?
                .split('.')
                .map(|part| match part.parse::<u32>() {
                    Ok(index) => Val::Int(index.into()),
                    Err(_) => Val::str(part),
                })
                .collect(),
        }))
    }

    pub(super) fn get(&self, cx: &Cx<'_>, item: &Val) -> Res<Val> {
        let mut val = item.clone();
        for part in &self.0 {
            val = ops::item(cx, &val, part)?;
        }
        Ok(val)
    }
}

/// Text without case for comparing, unless case counts.
fn fold(val: Val, case_sensitive: bool) -> Val {
    match val {
        Val::Str(text) if !case_sensitive => Val::str(text.to_lowercase()),
        other => other,
    }
}

/// Sorts by keys; the first comparison that fails is the error.
pub(crate) fn sort_by_key(cx: &Cx<'_>, items: &mut [(Val, Val)], reverse: bool) -> Res<()> {
    let mut failed = None;
    items.sort_by(|(a, _), (b, _)| {
        if failed.is_some() {
            return Ordering::Equal;
        }
        let order = ops::order(cx, a, b, "<").unwrap_or_else(|fail| {
            failed = Some(fail);
            Ordering::Equal
        });
        if reverse { order.reverse() } else { order }
    });
    failed.map_or(Ok(()), Err)
}

fn map(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let items = ops::iterate(cx, &base)?;
    if args.pos.is_empty() {
        let attribute = args.take("attribute");
        let default = args.take("default");
        if let Some((unknown, _)) = args.named.first() {
            bail!("Unexpected keyword argument '{unknown}'");
        }
        let Some(attribute) = attribute else {
            bail!("map requires a filter argument");
        };
        let path = Path::new(cx, Some(&attribute))?;
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            let val = path.get(cx, &item)?;
            out.push(match (&val, &default) {
                (Val::Undef(_), Some(default)) => default.clone(),
                _ => val,
            });
        }
        return Ok(Val::generator(out));
    }
    let name = text::str(cx, &args.pos.remove(0))?;
    let run = super::find(&name)?;
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        cx.spend(1)?;
        out.push(defer(super::invoke(cx, &name, run, item, args.clone()))?);
    }
    Ok(Val::generator(out))
}

fn pick(cx: &Cx<'_>, base: &Val, mut args: Args, by_attribute: bool, wanted: bool) -> Res<Val> {
    let path = if by_attribute {
        if args.pos.is_empty() {
            bail!("Missing parameter for attribute name");
        }
        Path::new(cx, Some(&args.pos.remove(0)))?
    } else {
        Path(Vec::new())
    };
    let test = if args.pos.is_empty() {
        None
    } else {
        let name = text::str(cx, &args.pos.remove(0))?;
        Some((crate::tests::find(&name)?, name))
    };
    let mut kept = Vec::new();
    for item in ops::iterate(cx, base)? {
        cx.spend(1)?;
        let val = path.get(cx, &item)?;
        let holds = match &test {
            Some((run, name)) => crate::tests::invoke(cx, name, *run, val, args.clone())?,
            None => ops::truth(&val)?,
        };
        if holds == wanted {
            kept.push(item);
        }
    }
    Ok(Val::generator(kept))
}

fn select(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    pick(cx, &base, args, false, true)
}

fn reject(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    pick(cx, &base, args, false, false)
}

fn selectattr(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    pick(cx, &base, args, true, true)
}

fn rejectattr(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    pick(cx, &base, args, true, false)
}

fn sort(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [reverse, case_sensitive, attribute] =
        args.bind(["reverse", "case_sensitive", "attribute"])?;
    let reverse = flag(reverse.as_ref(), false)?;
    let case = flag(case_sensitive.as_ref(), false)?;
    let paths: Vec<Path> = match some(attribute) {
        Some(Val::Str(names)) => {
            let paths: Res<_> = names
                .split(',')
                .map(|name| Path::new(cx, Some(&Val::str(name))))
                .collect();
            paths?
        }
        other => vec![Path::new(cx, other.as_ref())?],
    };
    let mut keyed = Vec::new();
    for item in ops::iterate(cx, &base)? {
        let mut key = Vec::new();
        for path in &paths {
            key.push(fold(path.get(cx, &item)?, case));
        }
        let key = if key.len() == 1 {
            key.remove(0)
        } else {
            Val::tuple(key)
        };
        keyed.push((key, item));
    }
    sort_by_key(cx, &mut keyed, reverse)?;
    Ok(Val::list(keyed.into_iter().map(|(_, item)| item).collect()))
}

fn dictsort(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [case_sensitive, by, reverse] = args.bind(["case_sensitive", "by", "reverse"])?;
    let case = flag(case_sensitive.as_ref(), false)?;
    let by = text_or(cx, by.as_ref(), "key")?;
    let Val::Dict(dict) = &base else {
        bail!("'{}' object has no attribute 'items'", base.type_name());
    };
    if by != "key" && by != "value" {
        bail!("You can only sort by either \"key\" or \"value\"");
    }
    let mut keyed = Vec::new();
    for (key, val) in dict.entries(cx)? {
        let sort_key = if by == "key" { key.val() } else { val.clone() };
        keyed.push((fold(sort_key, case), Val::tuple(vec![key.val(), val])));
    }
    sort_by_key(cx, &mut keyed, flag(reverse.as_ref(), false)?)?;
    Ok(Val::list(keyed.into_iter().map(|(_, item)| item).collect()))
}

fn groupby(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [attribute, default, case_sensitive] =
        args.bind(["attribute", "default", "case_sensitive"])?;
    let path = Path::new(cx, Some(&required(attribute, "attribute")?))?;
    let case = flag(case_sensitive.as_ref(), false)?;
    let default = some(default);
    let mut keyed = Vec::new();
    for item in ops::iterate(cx, &base)? {
        let val = match (path.get(cx, &item)?, &default) {
            (Val::Undef(_), Some(default)) => default.clone(),
            (val, _) => val,
        };
        keyed.push((fold(val.clone(), case), Val::tuple(vec![val, item])));
    }
    sort_by_key(cx, &mut keyed, false)?;
    let mut groups: Vec<(Val, Val, Vec<Val>)> = Vec::new();
    for (key, pair) in keyed {
        let Val::Seq(pair) = &pair else {
            continue;
        };
        let (shown, item) = (pair.items[0].clone(), pair.items[1].clone());
        match groups.last_mut() {
            Some((last, _, members)) if ops::equal(cx, last, &key)? => members.push(item),
            _ => groups.push((key, shown, vec![item])),
        }
    }
    let groups = groups.into_iter();
    Ok(Val::list(
        groups
            .map(|(_, shown, members)| Val::seq(SeqKind::Group, vec![shown, Val::list(members)]))
            .collect(),
    ))
}

fn extreme(cx: &Cx<'_>, base: &Val, args: Args, wanted: Ordering) -> Res<Val> {
    let [case_sensitive, attribute] = args.bind(["case_sensitive", "attribute"])?;
    let case = flag(case_sensitive.as_ref(), false)?;
    let path = Path::new(cx, attribute.as_ref())?;
    let mut best: Option<(Val, Val)> = None;
    for item in ops::iterate(cx, base)? {
        let key = fold(path.get(cx, &item)?, case);
        let better = match &best {
            None => true,
            Some((top, _)) => {
                ops::order(
                    cx,
                    &key,
                    top,
                    if wanted == Ordering::Less { "<" } else { ">" },
                )? == wanted
            }
        };
        if better {
            best = Some((key, item));
        }
    }
    match best {
        Some((_, item)) => Ok(item),
        None => Ok(empty("No aggregated item, sequence was empty.")),
    }
}

fn min(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    extreme(cx, &base, args, Ordering::Less)
}

fn max(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    extreme(cx, &base, args, Ordering::Greater)
}

fn empty(message: &str) -> Val {
    Val::missing(Fail::undefined(message), None, Near::Nothing)
}

fn unique(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [case_sensitive, attribute] = args.bind(["case_sensitive", "attribute"])?;
    let case = flag(case_sensitive.as_ref(), false)?;
    let path = Path::new(cx, attribute.as_ref())?;
    let mut seen = super::sets::Members::default();
    let mut kept = Vec::new();
    for item in ops::iterate(cx, &base)? {
        if seen.add(cx, &fold(path.get(cx, &item)?, case))? {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

fn first(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let items = ops::iterate(cx, &base)?;
    Ok(items
        .into_iter()
        .next()
        .unwrap_or_else(|| empty("No first item, sequence was empty.")))
}

fn last(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let items = ops::iterate(cx, &base)?;
    Ok(items
        .into_iter()
        .next_back()
        .unwrap_or_else(|| empty("No last item, sequence was empty.")))
}

fn sum(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [attribute, start] = args.bind(["attribute", "start"])?;
    let path = Path::new(cx, attribute.as_ref())?;
    let mut total = start.unwrap_or(Val::Int(0));
    for item in ops::iterate(cx, &base)? {
        let val = path.get(cx, &item)?;
        total = ops::binary(cx, crate::ast::Op::Add, &total, &val)?;
    }
    Ok(total)
}
