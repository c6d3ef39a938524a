//! Methods of lists, tuples and mappings. Those that change something change the template's own copy: data of the
//! inventory or of a host never changes.

use std::rc::Rc;

use crate::args::{Args, flag, int, required, some};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::functions::pairs;
use crate::ops;
use crate::text;
use crate::value::{Cell, Dict, Key, List, SeqKind, Val};

pub(super) const LIST: &[&str] = &[
    "append", "extend", "insert", "pop", "remove", "sort", "reverse", "clear", "index", "count",
    "copy",
];

pub(super) const DICT: &[&str] = &[
    "items",
    "keys",
    "values",
    "get",
    "update",
    "pop",
    "popitem",
    "setdefault",
    "clear",
    "copy",
    "fromkeys",
];

fn find(cx: &Cx<'_>, items: &[Val], needle: &Val) -> Res<Option<usize>> {
    for (at, item) in items.iter().enumerate() {
        if ops::equal(cx, item, needle)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn count(cx: &Cx<'_>, items: &[Val], needle: &Val) -> Res<Val> {
    let mut found = 0;
    for item in items {
        found += i128::from(ops::equal(cx, item, needle)?);
    }
    Ok(Val::Int(found))
}

fn index(cx: &Cx<'_>, items: &[Val], args: Args, kind: &str) -> Res<Val> {
    let [needle, start] = args.bind(["value", "start"])?;
    let needle = required(needle, "value")?;
    let start = usize::try_from(int(start.as_ref(), 0)?)
        .unwrap_or(0)
        .min(items.len());
    match find(cx, &items[start..], &needle)? {
        Some(at) => Ok(Val::int(start + at)),
        None => bail!("{} is not in {kind}", text::repr(cx, &needle)?),
    }
}

/// A tuple's methods.
pub(super) fn tuple(cx: &Cx<'_>, items: &[Val], name: &str, args: Args) -> Res<Val> {
    match name {
        "index" => index(cx, items, args, "tuple"),
        "count" => {
            let [needle] = args.bind(["value"])?;
            count(cx, items, &required(needle, "value")?)
        }
        _ => bail!("'tuple' object has no attribute '{name}'"),
    }
}

/// A list's methods.
pub(super) fn list(cx: &Cx<'_>, list: &Rc<List>, base: &Val, name: &str, args: Args) -> Res<Val> {
    match name {
        "append" => {
            let [item] = args.bind(["object"])?;
            list.push(cx, required(item, "object")?)?;
        }
        "extend" => {
            let [items] = args.bind(["iterable"])?;
            let more = ops::iterate(cx, &required(items, "iterable")?)?;
            list.change(cx, |items| items.extend(more))?;
        }
        "insert" => {
            let [at, item] = args.bind(["index", "object"])?;
            let item = required(item, "object")?;
            let len = list.len() as i128;
            let at = int(at.as_ref(), 0)?;
            let at = if at < 0 { at + len } else { at }.clamp(0, len);
            let at = usize::try_from(at).unwrap_or(0);
            list.change(cx, |items| items.insert(at.min(items.len()), item))?;
        }
        "pop" => {
            let [at] = args.bind(["index"])?;
            if list.len() == 0 {
                bail!("pop from empty list");
            }
            let Some(at) = ops::position(int(at.as_ref(), -1)?, list.len()) else {
                bail!("pop index out of range");
            };
            return list.change(cx, |items| items.remove(at));
        }
        "remove" => {
            let [item] = args.bind(["value"])?;
            let item = required(item, "value")?;
            let Some(at) = find(cx, &list.items(cx)?, &item)? else {
                bail!("list.remove(x): x not in list");
            };
            list.change(cx, |items| items.remove(at))?;
        }
        "sort" => {
            let [reverse] = args.bind(["reverse"])?;
            let reverse = flag(reverse.as_ref(), false)?;
            let mut keyed: Vec<(Val, Val)> = list
                .items(cx)?
                .into_iter()
                .map(|item| (item.clone(), item))
                .collect();
            crate::filters::sort_by_key(cx, &mut keyed, reverse)?;
            list.change(cx, |items| {
                *items = keyed.into_iter().map(|(_, item)| item).collect();
            })?;
        }
        "reverse" => {
            args.none()?;
            list.change(cx, |items| items.reverse())?;
        }
        "clear" => {
            args.none()?;
            list.change(cx, Vec::clear)?;
        }
        "copy" => {
            args.none()?;
            return list.items(cx).map(Val::list);
        }
        "index" => return index(cx, &list.items(cx)?, args, "list"),
        "count" => {
            let [needle] = args.bind(["value"])?;
            return count(cx, &list.items(cx)?, &required(needle, "value")?);
        }
        _ => bail!("'{}' object has no attribute '{name}'", base.type_name()),
    }
    Ok(Val::None)
}

/// A mapping's methods.
pub(super) fn dict(cx: &Cx<'_>, dict: &Rc<Dict>, base: &Val, name: &str, args: Args) -> Res<Val> {
    match name {
        "items" => {
            args.none()?;
            let entries = dict.entries(cx)?.into_iter();
            let pairs = entries.map(|(key, val)| Val::tuple(vec![key.val(), val]));
            Ok(Val::seq(SeqKind::DictItems, pairs.collect()))
        }
        "keys" => {
            args.none()?;
            Ok(Val::seq(
                SeqKind::DictKeys,
                dict.keys().iter().map(Key::val).collect(),
            ))
        }
        "values" => {
            args.none()?;
            let entries = dict.entries(cx)?.into_iter();
            Ok(Val::seq(
                SeqKind::DictValues,
                entries.map(|(_, val)| val).collect(),
            ))
        }
        "get" => {
            let [key, default] = args.bind(["key", "default"])?;
            let key = Key::of(&required(key, "key")?)?;
            Ok(dict.get(cx, &key)?.or(default).unwrap_or(Val::None))
        }
        "copy" => {
            args.none()?;
            dict.entries(cx).map(Val::dict)
        }
        "fromkeys" => {
            let [keys, val] = args.bind(["iterable", "value"])?;
            let val = val.unwrap_or(Val::None);
            let mut made = Vec::new();
            for key in ops::iterate(cx, &required(keys, "iterable")?)? {
                made.push((Key::of(&key)?, val.clone()));
            }
            Ok(Val::dict(made))
        }
        _ => change(cx, dict, base, name, args),
    }
}

fn change(cx: &Cx<'_>, dict: &Rc<Dict>, base: &Val, name: &str, args: Args) -> Res<Val> {
    match name {
        "update" => {
            let more = pairs(cx, args)?;
            dict.change(cx, |map| {
                map.extend(more.into_iter().map(|(key, val)| (key, Cell::Known(val))));
            })?;
            Ok(Val::None)
        }
        "setdefault" => {
            let [key, default] = args.bind(["key", "default"])?;
            let key = Key::of(&required(key, "key")?)?;
            if let Some(val) = dict.get(cx, &key)? {
                return Ok(val);
            }
            let val = some(default).unwrap_or(Val::None);
            dict.change(cx, |map| map.insert(key, Cell::Known(val.clone())))?;
            Ok(val)
        }
        "pop" => {
            let [key, default] = args.bind(["key", "default"])?;
            let key = required(key, "key")?;
            let found = Key::of(&key)?;
            match (dict.get(cx, &found)?, default) {
                (Some(val), _) => {
                    dict.change(cx, |map| map.shift_remove(&found))?;
                    Ok(val)
                }
                (None, Some(default)) => Ok(default),
                (None, None) => Err(Fail::runtime(text::repr(cx, &key)?)),
            }
        }
        "popitem" => {
            args.none()?;
            let Some(key) = dict.keys().pop() else {
                bail!("'popitem(): dictionary is empty'");
            };
            let val = dict.get(cx, &key)?.unwrap_or(Val::None);
            dict.change(cx, |map| map.shift_remove(&key))?;
            Ok(Val::tuple(vec![key.val(), val]))
        }
        "clear" => {
            args.none()?;
            dict.change(cx, indexmap::IndexMap::clear)?;
            Ok(Val::None)
        }
        _ => bail!("'{}' object has no attribute '{name}'", base.type_name()),
    }
}
