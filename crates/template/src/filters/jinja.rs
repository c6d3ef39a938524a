//! Defaults, conversion and formatting: the filters of Jinja that fit no other family.

use hostler_value::Value;

use super::FilterFn;
use crate::args::{Args, count, flag, int, required, some, text_or};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::text;
use crate::value::{Key, SeqKind, Val};

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("default", default),
    ("d", default),
    ("mandatory", mandatory),
    ("ternary", ternary),
    ("type_debug", type_debug),
    ("attr", attr),
    ("bool", bool_of),
    ("string", string),
    ("int", int_of),
    ("float", float_of),
    ("list", list),
    ("length", length),
    ("count", length),
    ("items", items),
    ("format", format),
    ("pprint", pprint),
    ("safe", same),
    ("tojson", tojson),
    ("reverse", reverse),
];

fn default(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [value, boolean] = args.bind(["default_value", "boolean"])?;
    let missing = matches!(base, Val::Undef(_));
    if missing || (flag(boolean.as_ref(), false)? && !ops::truth(&base)?) {
        return Ok(value.unwrap_or_else(|| Val::str("")));
    }
    Ok(base)
}

fn mandatory(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [message] = args.bind(["msg"])?;
    let Val::Undef(undef) = &base else {
        return Ok(base);
    };
    let message = match (some(message), &undef.name) {
        (Some(message), _) => text::str(cx, &message)?,
        (None, Some(name)) => format!("Mandatory variable '{name}' not defined."),
        (None, None) => "Mandatory variable not defined.".to_owned(),
    };
    let span = undef.fail.0.span;
    Err(Fail::runtime(message).at(|| span))
}

fn ternary(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [yes, no, none] = args.bind(["true_val", "false_val", "none_val"])?;
    if matches!(base, Val::None)
        && let Some(none) = some(none)
    {
        return Ok(none);
    }
    if let Val::Unknown(unknown) = &base {
        let (yes, no) = (required(yes, "true_val")?, required(no, "false_val")?);
        return Ok(crate::unknown::either(cx, unknown, &yes, &no));
    }
    let chosen = if ops::truth(&base)? {
        (yes, "true_val")
    } else {
        (no, "false_val")
    };
    required(chosen.0, chosen.1)
}

fn type_debug(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    Ok(Val::str(match &base {
        Val::Undef(_) => "AnsibleUndefined",
        Val::Seq(seq) if seq.kind == SeqKind::Generator => "list",
        other => other.type_name(),
    }))
}

fn attr(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [name] = args.bind(["name"])?;
    let name = text::str(cx, &required(name, "name")?)?;
    match &base {
        // Attributes only: an item of that name is not one.
        Val::Dict(_) if !crate::methods::exists(&base, &name) => {
            let fail = Fail::undefined(format!("object of type 'dict' has no attribute '{name}'"));
            Ok(Val::missing(
                fail,
                Some(name.into()),
                crate::value::Near::Nothing,
            ))
        }
        _ => ops::attribute(cx, &base, &name.into()),
    }
}

fn bool_of(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    if let Val::Bool(_) = base {
        return Ok(base);
    }
    let word = text::str(cx, &base)?.to_lowercase();
    let known = matches!(word.as_str(), "yes" | "on" | "true" | "1");
    let accepted = known || matches!(word.as_str(), "no" | "off" | "false" | "0");
    if !accepted {
        let shown = text::repr(cx, &base)?;
        cx.warn(
            "bool-filter",
            format!(
                "the `bool` filter takes {shown} ({}) for false",
                base.type_name()
            ),
        );
    }
    Ok(Val::Bool(known))
}

fn string(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    text::str(cx, &base).map(Val::str)
}

/// Python's `int(text, base)`.
fn parse_int(text: &str, radix: u32) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let digits = match radix {
        16 => lower.strip_prefix("0x"),
        8 => lower.strip_prefix("0o"),
        2 => lower.strip_prefix("0b"),
        _ => None,
    }
    .unwrap_or(&lower);
    if digits.starts_with('_')
        || digits.ends_with('_')
        || digits.contains("__")
        || digits.starts_with(['+', '-'])
    {
        return None;
    }
    let int = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some(if negative { -int } else { int })
}

/// Python's `float(text)`.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    text.trim().replace('_', "").parse().ok()
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn truncate(float: f64) -> Option<i128> {
    (float.is_finite() && float.abs() < 1e38).then(|| float.trunc() as i128)
}

fn int_of(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [default, radix] = args.bind(["default", "base"])?;
    let default = default.unwrap_or(Val::Int(0));
    let radix = u32::try_from(int(radix.as_ref(), 10)?).unwrap_or(0);
    if radix != 0 && !(2..=36).contains(&radix) {
        bail!("int() base must be >= 2 and <= 36, or 0");
    }
    let found = match &base {
        Val::Str(text) => {
            parse_int(text, radix.max(2)).or_else(|| parse_float(text).and_then(truncate))
        }
        Val::Float(float) => truncate(*float),
        other => ops::integer(other),
    };
    Ok(found.map_or(default, Val::Int))
}

fn float_of(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [default] = args.bind(["default"])?;
    let found = match &base {
        Val::Str(text) => parse_float(text),
        other => ops::number(other),
    };
    Ok(found.map_or_else(|| default.unwrap_or(Val::Float(0.0)), Val::Float))
}

fn list(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    ops::iterate(cx, &base).map(Val::list)
}

fn length(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    ops::len(&base).map(Val::int)
}

fn items(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    match &base {
        Val::Undef(undef) if undef.lenient => Ok(Val::generator(Vec::new())),
        Val::Dict(dict) => {
            let pairs = dict.entries(cx)?.into_iter();
            Ok(Val::generator(
                pairs
                    .map(|(key, val)| Val::tuple(vec![key.val(), val]))
                    .collect(),
            ))
        }
        _ => bail!("Can only get item pairs from a mapping."),
    }
}

fn format(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    if !args.pos.is_empty() && !args.named.is_empty() {
        bail!("can't handle positional and keyword arguments at the same time");
    }
    let given = if args.named.is_empty() {
        Val::tuple(args.pos)
    } else {
        Val::dict(
            args.named
                .into_iter()
                .map(|(name, val)| (Key::Str(name), val)),
        )
    };
    crate::format::printf(cx, &text::str(cx, &base)?, &given)
}

fn pprint(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    text::repr(cx, &base).map(Val::str)
}

fn same(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    Ok(base)
}

fn tojson(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [indent] = args.bind(["indent"])?;
    let layout = crate::json::Layout {
        indent: some(indent).map(|val| count(Some(&val), 0)).transpose()?,
        sort_keys: true,
        ..crate::json::Layout::default()
    };
    let value = base.to_value(cx)?.unwrap_or(Value::Null);
    let json = crate::json::dump(&value, &layout);
    // Safe inside HTML, as Jinja's is.
    Ok(Val::str(
        json.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .replace('\'', "\\u0027"),
    ))
}

fn reverse(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    if let Val::Str(text) = &base {
        return Ok(Val::str(text.chars().rev().collect::<String>()));
    }
    let mut items = ops::iterate(cx, &base)?;
    items.reverse();
    Ok(Val::generator(items))
}

/// A text argument that must be there.
pub(super) fn text_arg(cx: &Cx<'_>, arg: Option<Val>, name: &str) -> Res<String> {
    let arg = required(arg, name)?;
    text_or(cx, Some(&arg), "")
}
