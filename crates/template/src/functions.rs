//! Global functions, and those that are known but not there.

use std::cell::{Cell, RefCell};

use indexmap::IndexMap;

use crate::args::{Args, flag, required, some};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::objects::{Function, Object};
use crate::ops;
use crate::text;
use crate::value::{Key, Near, Range, Val};

const TABLE: &[(&str, Function)] = &[
    ("range", range),
    ("dict", dict),
    ("namespace", namespace),
    ("cycler", cycler),
    ("joiner", joiner),
    ("now", now),
    ("undef", undef),
];

/// Longest `range`.
const RANGE_MAX: usize = 1_000_000;

/// The global of that name.
pub(crate) fn global(name: &str) -> Option<Val> {
    match name {
        "omit" => return Some(Val::Omit),
        "True" => return Some(Val::Bool(true)),
        "False" => return Some(Val::Bool(false)),
        "None" => return Some(Val::None),
        _ => {}
    }
    let (name, run) = TABLE.iter().find(|(known, _)| *known == name)?;
    Some(Object::Function(name, *run).val())
}

/// Refuses calls of functions that Ansible has and we do not, when the template is read.
pub(crate) fn refuse(name: &str) -> Res<()> {
    match name {
        "lookup" | "query" | "q" => Err(Fail::syntax("lookups are not available yet").hint(
            "set the value as a variable, or read it on the host with `slurp` or `command` and `register`",
        )),
        "lipsum" => Err(Fail::syntax("the function 'lipsum' is not available")),
        _ => Ok(()),
    }
}

fn range(_: &Cx<'_>, args: Args) -> Res<Val> {
    if !args.named.is_empty() {
        bail!("range() takes no keyword arguments");
    }
    let mut bounds = Vec::new();
    for val in &args.pos {
        match ops::integer(val) {
            Some(int) if int.unsigned_abs() < 1 << 100 => bounds.push(int),
            Some(_) => return Err(Fail::limit("Range too big.")),
            None => bail!(
                "'{}' object cannot be interpreted as an integer",
                val.type_name()
            ),
        }
    }
    let range = match bounds.as_slice() {
        [stop] => Range {
            start: 0,
            stop: *stop,
            step: 1,
        },
        [start, stop] => Range {
            start: *start,
            stop: *stop,
            step: 1,
        },
        [_, _, 0] => bail!("range() arg 3 must not be zero"),
        [start, stop, step] => Range {
            start: *start,
            stop: *stop,
            step: *step,
        },
        _ => bail!("range expected 1 to 3 arguments, got {}", bounds.len()),
    };
    if range.len() > RANGE_MAX {
        return Err(Fail::limit(format!(
            "Range too big. At most {RANGE_MAX} items are allowed."
        )));
    }
    Ok(Val::Range(range))
}

/// Key and value pairs of the arguments of `dict(...)` and `.update(...)`.
pub(crate) fn pairs(cx: &Cx<'_>, args: Args) -> Res<Vec<(Key, Val)>> {
    let mut pairs = Vec::new();
    if args.pos.len() > 1 {
        bail!("dict expected at most 1 argument, got {}", args.pos.len());
    }
    match args.pos.first() {
        None => {}
        Some(Val::Dict(dict)) => pairs = dict.entries(cx)?,
        Some(other) => {
            for item in ops::iterate(cx, other)? {
                let pair = ops::iterate(cx, &item)?;
                let [key, val] = pair.as_slice() else {
                    bail!(
                        "dictionary update sequence element has length {}; 2 is required",
                        pair.len()
                    );
                };
                pairs.push((Key::of(cx, key)?, val.clone()));
            }
        }
    }
    pairs.extend(
        args.named
            .into_iter()
            .map(|(name, val)| (Key::Str(name), val)),
    );
    Ok(pairs)
}

fn dict(cx: &Cx<'_>, args: Args) -> Res<Val> {
    pairs(cx, args).map(Val::dict)
}

fn namespace(cx: &Cx<'_>, args: Args) -> Res<Val> {
    let mut fields = IndexMap::new();
    for (key, val) in pairs(cx, args)? {
        let Key::Str(name) = key else {
            bail!("attribute name must be string");
        };
        fields.insert(name, val);
    }
    Ok(Object::Namespace(RefCell::new(fields)).val())
}

fn cycler(_: &Cx<'_>, args: Args) -> Res<Val> {
    if args.pos.is_empty() {
        bail!("at least one item has to be provided");
    }
    Ok(Object::Cycler(args.pos, Cell::new(0)).val())
}

fn joiner(_: &Cx<'_>, args: Args) -> Res<Val> {
    let [separator] = args.bind(["sep"])?;
    Ok(Object::Joiner(
        separator.unwrap_or_else(|| Val::str(", ")),
        Cell::new(false),
    )
    .val())
}

fn now(cx: &Cx<'_>, args: Args) -> Res<Val> {
    let [utc, format] = args.bind(["utc", "fmt"])?;
    let format = some(format)
        .map(|format| text::str(cx, &format))
        .transpose()?;
    crate::time::now(flag(utc.as_ref(), false)?, format.as_deref())
}

fn undef(cx: &Cx<'_>, args: Args) -> Res<Val> {
    let [hint] = args.bind(["hint"])?;
    let message = match some(hint) {
        Some(hint) => text::str(cx, &required(Some(hint), "hint")?)?,
        None => "Mandatory variable has not been overridden".to_owned(),
    };
    Ok(Val::missing(Fail::undefined(message), None, Near::Nothing))
}
