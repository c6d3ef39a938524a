//! Mappings: combining them and turning them into lists and back.

use std::rc::Rc;

use super::FilterFn;
use super::select::Path;
use crate::args::{Args, flag, required, some, text_or};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::value::{Dict, Key, Val};

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("combine", combine),
    ("dict2items", dict2items),
    ("items2dict", items2dict),
    ("extract", extract),
    ("subelements", subelements),
    ("rekey_on_member", rekey_on_member),
];

/// What happens to two lists under the same key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListMerge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendRp,
    PrependRp,
}

fn combine(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let recursive = flag(args.take("recursive").as_ref(), false)?;
    let merge = match text_or(cx, args.take("list_merge").as_ref(), "replace")?.as_str() {
        "replace" => ListMerge::Replace,
        "keep" => ListMerge::Keep,
        "append" => ListMerge::Append,
        "prepend" => ListMerge::Prepend,
        "append_rp" => ListMerge::AppendRp,
        "prepend_rp" => ListMerge::PrependRp,
        other => bail!(
            "'list_merge' argument must be replace, keep, append, prepend, append_rp or prepend_rp, not '{other}'"
        ),
    };
    if let Some((unknown, _)) = args.named.first() {
        bail!("'recursive' and 'list_merge' are the only valid keyword arguments, not '{unknown}'");
    }
    let mut all = Vec::new();
    flatten_dicts(cx, base, &mut all)?;
    for arg in args.pos {
        flatten_dicts(cx, arg, &mut all)?;
    }
    let mut all = all.into_iter();
    let Some(mut merged) = all.next() else {
        return Ok(Val::dict([]));
    };
    for next in all {
        merged = merge_two(cx, &merged, &next, recursive, merge)?;
    }
    Ok(Val::Dict(merged))
}

fn flatten_dicts(cx: &Cx<'_>, val: Val, out: &mut Vec<Rc<Dict>>) -> Res<()> {
    match val {
        Val::Dict(dict) => out.push(dict),
        Val::List(_) | Val::Seq(_) => {
            for item in ops::iterate(cx, &val)? {
                flatten_dicts(cx, item, out)?;
            }
        }
        Val::Undef(undef) => return Err(undef.trip()),
        other => bail!(
            "failed to combine variables, expected dicts but got a '{}'",
            other.type_name()
        ),
    }
    Ok(())
}

fn merge_two(
    cx: &Cx<'_>,
    a: &Rc<Dict>,
    b: &Rc<Dict>,
    recursive: bool,
    lists: ListMerge,
) -> Res<Rc<Dict>> {
    let _level = cx.level()?;
    let mut merged = a.entries(cx)?;
    let at: std::collections::HashMap<Key, usize> = merged
        .iter()
        .enumerate()
        .map(|(index, (key, _))| (key.clone(), index))
        .collect();
    for (key, new) in b.entries(cx)? {
        let Some(index) = at.get(&key) else {
            merged.push((key, new));
            continue;
        };
        let old = &merged[*index].1;
        let val = match (old, &new) {
            (Val::Dict(x), Val::Dict(y)) if recursive => {
                Val::Dict(merge_two(cx, x, y, recursive, lists)?)
            }
            (Val::List(_), Val::List(_)) => merge_lists(cx, old, &new, lists)?,
            _ => new,
        };
        merged[*index].1 = val;
    }
    match Val::dict(merged) {
        Val::Dict(dict) => Ok(dict),
        _ => Err(Fail::runtime("not a mapping")),
    }
}

fn merge_lists(cx: &Cx<'_>, old: &Val, new: &Val, how: ListMerge) -> Res<Val> {
    let without = |items: Vec<Val>, others: &Val| -> Res<Vec<Val>> {
        let mut kept = Vec::new();
        for item in items {
            if !ops::contains(cx, others, &item)? {
                kept.push(item);
            }
        }
        Ok(kept)
    };
    let (a, b) = (ops::iterate(cx, old)?, ops::iterate(cx, new)?);
    Ok(Val::list(match how {
        ListMerge::Replace => return Ok(new.clone()),
        ListMerge::Keep => return Ok(old.clone()),
        ListMerge::Append => a.into_iter().chain(b).collect(),
        ListMerge::Prepend => b.into_iter().chain(a).collect(),
        ListMerge::AppendRp => without(a, new)?.into_iter().chain(b).collect(),
        ListMerge::PrependRp => {
            let rest = without(a, new)?;
            b.into_iter().chain(rest).collect()
        }
    }))
}

fn dict2items(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [key_name, value_name] = args.bind(["key_name", "value_name"])?;
    let key_name = text_or(cx, key_name.as_ref(), "key")?;
    let value_name = text_or(cx, value_name.as_ref(), "value")?;
    let Val::Dict(dict) = &base else {
        bail!(
            "dict2items requires a dictionary, got '{}' instead",
            base.type_name()
        );
    };
    let entries = dict.entries(cx)?.into_iter();
    Ok(Val::list(
        entries
            .map(|(key, val)| {
                Val::record([(key_name.as_str(), key.val()), (value_name.as_str(), val)])
            })
            .collect(),
    ))
}

fn items2dict(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [key_name, value_name] = args.bind(["key_name", "value_name"])?;
    let key_name = key_name.unwrap_or_else(|| Val::str("key"));
    let value_name = value_name.unwrap_or_else(|| Val::str("value"));
    if !matches!(base, Val::List(_) | Val::Seq(_)) {
        bail!(
            "items2dict requires a list, got '{}' instead",
            base.type_name()
        );
    }
    let mut pairs = Vec::new();
    for item in ops::iterate(cx, &base)? {
        let Val::Dict(_) = &item else {
            bail!(
                "items2dict requires a list of dictionaries, got '{}' in it",
                item.type_name()
            );
        };
        let part = |name: &Val| match ops::item(cx, &item, name)? {
            Val::Undef(_) => Err(Fail::runtime(
                "items2dict requires each dictionary in the list to contain the keys 'key' and 'value', or those named",
            )),
            val => Ok(val),
        };
        let (key, val) = (part(&key_name)?, part(&value_name)?);
        pairs.push((Key::of(cx, &key)?, val));
    }
    Ok(Val::dict(pairs))
}

fn extract(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [container, more] = args.bind(["container", "morekeys"])?;
    let mut val = ops::item(cx, &required(container, "container")?, &base)?;
    let more = match some(more) {
        None => Vec::new(),
        Some(list @ (Val::List(_) | Val::Seq(_))) => ops::iterate(cx, &list)?,
        Some(key) => vec![key],
    };
    for key in more {
        val = ops::item(cx, &val, &key)?;
    }
    Ok(val)
}

fn subelements(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [path, skip] = args.bind(["subelements", "skip_missing"])?;
    let skip = flag(skip.as_ref(), false)?;
    let path = match required(path, "subelements")? {
        list @ (Val::List(_) | Val::Seq(_)) => ops::iterate(cx, &list)?,
        Val::Str(text) => text.split('.').map(Val::str).collect(),
        _ => bail!("subelements must be a list or a string"),
    };
    let elements = match &base {
        Val::Dict(dict) => dict.entries(cx)?.into_iter().map(|(_, val)| val).collect(),
        Val::List(_) | Val::Seq(_) => ops::iterate(cx, &base)?,
        _ => bail!("obj must be a list of dicts or a nested dict"),
    };
    let mut out = Vec::new();
    for element in elements {
        let mut part = element.clone();
        for name in &path {
            part = ops::item(cx, &part, name)?;
        }
        match &part {
            Val::Undef(_) if skip => {}
            Val::Undef(undef) => return Err(undef.trip()),
            Val::List(_) | Val::Seq(_) => {
                for item in ops::iterate(cx, &part)? {
                    out.push(Val::tuple(vec![element.clone(), item]));
                }
            }
            other => bail!(
                "the subelements value must point to a list, got '{}'",
                other.type_name()
            ),
        }
    }
    Ok(Val::list(out))
}

fn rekey_on_member(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [key, duplicates] = args.bind(["key", "duplicates"])?;
    let path = Path::new(cx, Some(&required(key, "key")?))?;
    let overwrite = match text_or(cx, duplicates.as_ref(), "error")?.as_str() {
        "error" => false,
        "overwrite" => true,
        other => bail!("duplicates parameter has unknown value '{other}'"),
    };
    let items = match &base {
        Val::Dict(dict) => dict.entries(cx)?.into_iter().map(|(_, val)| val).collect(),
        Val::List(_) | Val::Seq(_) => ops::iterate(cx, &base)?,
        _ => bail!("Type is not a valid list, set, or dict"),
    };
    let mut pairs: Vec<(Key, Val)> = Vec::new();
    let mut seen = super::sets::Members::default();
    for item in items {
        let key = path.get(cx, &item)?;
        if !seen.add(cx, &key)? && !overwrite {
            bail!(
                "Key {} is not unique, cannot correctly turn into dict",
                crate::text::str(cx, &key)?
            );
        }
        pairs.push((Key::of(cx, &key)?, item));
    }
    Ok(Val::dict(pairs))
}
