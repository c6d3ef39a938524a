//! Methods of Python's text, lists and mappings.

mod lists;
mod text;

use crate::args::Args;
use crate::context::Cx;
use crate::fail::{Res, bail};
use crate::value::{SeqKind, Val};

/// Has the value a method of that name?
pub(crate) fn exists(base: &Val, name: &str) -> bool {
    match base {
        Val::Str(_) => text::NAMES.contains(&name),
        Val::List(_) => lists::LIST.contains(&name),
        Val::Dict(_) => lists::DICT.contains(&name),
        Val::Seq(seq) if matches!(seq.kind, SeqKind::Tuple | SeqKind::Group) => {
            matches!(name, "index" | "count")
        }
        Val::Int(_) | Val::Bool(_) => name == "bit_length",
        Val::Float(_) => name == "is_integer",
        Val::Object(object) => object.has_method(name),
        _ => false,
    }
}

/// Calls a method.
pub(crate) fn call(cx: &Cx<'_>, base: &Val, name: &str, args: Args) -> Res<Val> {
    if let Some(Val::Undef(undef)) = args.undefined()
        && !matches!(base, Val::List(_) | Val::Dict(_) | Val::Object(_))
    {
        return Err(undef.trip());
    }
    if matches!(base, Val::Str(_) | Val::Int(_) | Val::Float(_)) {
        crate::unknown::known_throughout(cx, args.all())?;
    }
    match base {
        Val::Str(text) => text::call(cx, text, name, args),
        Val::List(list) => lists::list(cx, list, base, name, args),
        Val::Dict(dict) => lists::dict(cx, dict, base, name, args),
        Val::Seq(seq) => lists::tuple(cx, &seq.items, name, args),
        Val::Object(object) => object.call_method(cx, name, args),
        Val::Int(int) if name == "bit_length" => {
            args.none()?;
            Ok(Val::Int((128 - int.unsigned_abs().leading_zeros()).into()))
        }
        Val::Float(float) if name == "is_integer" => {
            args.none()?;
            Ok(Val::Bool(float.fract() == 0.0))
        }
        other => bail!("'{}' object has no attribute '{name}'", other.type_name()),
    }
}
