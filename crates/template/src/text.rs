//! Text forms of template values, as Python writes them.

use std::fmt::Write;

use hostler_value::Value;

use crate::context::Cx;
use crate::fail::{Fail, Res};
use crate::objects::Object;
use crate::value::{Seq, SeqKind, Val};

/// Largest text that one evaluation may produce, in bytes.
pub(crate) const TEXT_MAX: usize = 16 * 1024 * 1024;

/// How sequences that YAML does not know are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// As Python shows them: `(1, 2)`, `dict_items([...])`.
    Python,
    /// As ansible-core prints them in a template: everything that can be walked is a list.
    Plain,
}

/// Python's `str()`.
pub(crate) fn str(cx: &Cx<'_>, val: &Val) -> Res<String> {
    match val {
        Val::Str(text) => Ok(text.to_string()),
        Val::Undef(undef) if undef.lenient => Ok(String::new()),
        other => repr(cx, other),
    }
}

/// Python's `repr()`.
pub(crate) fn repr(cx: &Cx<'_>, val: &Val) -> Res<String> {
    let mut out = String::new();
    write(cx, &mut out, val, Style::Python)?;
    Ok(out)
}

/// What `{{ }}` prints between other text.
pub(crate) fn printed(cx: &Cx<'_>, out: &mut String, val: &Val) -> Res<()> {
    match val {
        Val::Str(text) => push(out, text),
        Val::None | Val::Omit => Ok(()),
        Val::Undef(undef) if undef.lenient => Ok(()),
        other => write(cx, out, other, Style::Plain),
    }
}

/// Appends within the limit.
pub(crate) fn push(out: &mut String, text: &str) -> Res<()> {
    if out.len() + text.len() > TEXT_MAX {
        return Err(too_long());
    }
    out.push_str(text);
    Ok(())
}

pub(crate) fn too_long() -> Fail {
    Fail::limit("the template's output is larger than 16 MiB")
}

fn write(cx: &Cx<'_>, out: &mut String, val: &Val, style: Style) -> Res<()> {
    let _level = cx.level()?;
    match val {
        Val::Undef(undef) => Err(undef.trip()),
        Val::Unknown(unknown) => Err(Fail::unknown(unknown.clone())),
        Val::None => push(out, "None"),
        Val::Bool(true) => push(out, "True"),
        Val::Bool(false) => push(out, "False"),
        Val::Int(int) => {
            let _ = write!(out, "{int}");
            Ok(())
        }
        Val::Float(float) => push(out, &Value::Float(*float).repr()),
        Val::Str(text) => push(out, &Value::Str(text.clone()).repr()),
        Val::Omit => push(out, "<<Omit>>"),
        Val::List(list) => write_items(cx, out, &list.items(cx)?, style, ["[", "]"]),
        Val::Seq(seq) => write_seq(cx, out, seq, style),
        Val::Range(range) => {
            let _ = write!(out, "range({}, {}", range.start, range.stop);
            if range.step != 1 {
                let _ = write!(out, ", {}", range.step);
            }
            push(out, ")")
        }
        Val::Dict(dict) => {
            push(out, "{")?;
            for (index, (key, val)) in dict.entries(cx)?.iter().enumerate() {
                push(out, if index > 0 { ", " } else { "" })?;
                write(cx, out, &key.val(), style)?;
                push(out, ": ")?;
                write(cx, out, val, style)?;
            }
            push(out, "}")
        }
        Val::Object(object) => match &**object {
            Object::Namespace(fields) => {
                push(out, "<Namespace {")?;
                for (index, (key, val)) in fields.borrow().iter().enumerate() {
                    push(out, if index > 0 { ", " } else { "" })?;
                    push(out, &Value::Str(key.clone()).repr())?;
                    push(out, ": ")?;
                    write(cx, out, val, style)?;
                }
                push(out, "}>")
            }
            other => push(out, &other.shown()),
        },
    }
}

fn write_seq(cx: &Cx<'_>, out: &mut String, seq: &Seq, style: Style) -> Res<()> {
    if style == Style::Plain {
        return write_items(cx, out, &seq.items, style, ["[", "]"]);
    }
    let ends = match seq.kind {
        SeqKind::Tuple | SeqKind::Group if seq.items.len() == 1 => ["(", ",)"],
        SeqKind::Tuple | SeqKind::Group => ["(", ")"],
        SeqKind::DictItems => ["dict_items([", "])"],
        SeqKind::DictKeys => ["dict_keys([", "])"],
        SeqKind::DictValues => ["dict_values([", "])"],
        SeqKind::Generator => ["[", "]"],
    };
    write_items(cx, out, &seq.items, style, ends)
}

fn write_items(
    cx: &Cx<'_>,
    out: &mut String,
    items: &[Val],
    style: Style,
    ends: [&str; 2],
) -> Res<()> {
    push(out, ends[0])?;
    for (index, item) in items.iter().enumerate() {
        push(out, if index > 0 { ", " } else { "" })?;
        write(cx, out, item, style)?;
    }
    push(out, ends[1])
}
