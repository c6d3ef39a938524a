//! Sizes for people, versions, dates.

use super::FilterFn;
use super::jinja::{parse_float, text_arg};
use crate::args::{Args, flag, some, text_or};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::objects::Object;
use crate::ops;
use crate::text;
use crate::value::Val;

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("filesizeformat", filesizeformat),
    ("human_readable", human_readable),
    ("human_to_bytes", human_to_bytes),
    ("to_datetime", to_datetime),
    ("strftime", strftime),
];

fn filesizeformat(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [binary] = args.bind(["binary"])?;
    let binary = flag(binary.as_ref(), false)?;
    let bytes = match &base {
        Val::Str(text) => parse_float(text),
        other => ops::number(other),
    };
    let Some(bytes) = bytes else {
        bail!("could not convert to float: {}", text::repr(cx, &base)?);
    };
    let (step, units) = if binary {
        (
            1024.0,
            ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        )
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if (bytes - 1.0).abs() < f64::EPSILON {
        return Ok(Val::str("1 Byte"));
    }
    if bytes < step {
        return Ok(Val::str(format!("{bytes:.0} Bytes")));
    }
    let mut size = bytes;
    let mut chosen = units[0];
    for unit in units {
        size /= step;
        chosen = unit;
        if size < step {
            break;
        }
    }
    Ok(Val::str(format!("{size:.1} {chosen}")))
}

/// Units with their sizes, largest first.
const UNITS: [(char, f64); 9] = [
    ('Y', 1_208_925_819_614_629_174_706_176.0),
    ('Z', 1_180_591_620_717_411_303_424.0),
    ('E', 1_152_921_504_606_846_976.0),
    ('P', 1_125_899_906_842_624.0),
    ('T', 1_099_511_627_776.0),
    ('G', 1_073_741_824.0),
    ('M', 1_048_576.0),
    ('K', 1024.0),
    ('B', 1.0),
];

fn human_readable(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [isbits, unit] = args.bind(["isbits", "unit"])?;
    let isbits = flag(isbits.as_ref(), false)?;
    let wanted = some(unit).map(|unit| text::str(cx, &unit)).transpose()?;
    let size = match &base {
        Val::Str(text) => parse_float(text),
        other => ops::number(other),
    }
    .ok_or_else(|| {
        Fail::runtime(format!(
            "human_readable() can't interpret {} as a number",
            base.type_name()
        ))
    })?;
    let word = if isbits { "bits" } else { "Bytes" };
    for (suffix, limit) in UNITS {
        let fits = match &wanted {
            None => size >= limit,
            Some(unit) => unit.to_uppercase().starts_with(suffix),
        };
        if fits {
            let shown = size / limit;
            return Ok(Val::str(if suffix == 'B' {
                format!("{shown:.2} {word}")
            } else {
                format!("{shown:.2} {suffix}{}", if isbits { "b" } else { "B" })
            }));
        }
    }
    Ok(Val::str(format!("{size:.2} {word}")))
}

fn human_to_bytes(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [default_unit, isbits] = args.bind(["default_unit", "isbits"])?;
    let isbits = flag(isbits.as_ref(), false)?;
    let source = text::str(cx, &base)?;
    let refused = || {
        Fail::runtime(format!(
            "human_to_bytes() can't interpret following string: {source}"
        ))
    };
    let trimmed = source.trim();
    let split = trimmed
        .find(|ch: char| !(ch.is_ascii_digit() || ch == '.'))
        .unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(split);
    let number: f64 = digits.parse().map_err(|_| refused())?;
    let unit = unit.trim();
    let unit = if unit.is_empty() {
        text_or(cx, some(default_unit).as_ref(), "B")?
    } else {
        unit.to_owned()
    };
    let mut letters = unit.chars();
    let Some(first) = letters.next() else {
        return Err(refused());
    };
    let first = first.to_ascii_uppercase();
    let Some((_, size)) = UNITS.iter().find(|(suffix, _)| *suffix == first) else {
        return Err(refused());
    };
    let rest: String = letters.collect();
    let known = if isbits {
        matches!(rest.as_str(), "" | "b" | "it" | "its")
    } else {
        matches!(rest.as_str(), "" | "B" | "yte" | "ytes")
            || (first == 'B' && rest.eq_ignore_ascii_case("ytes"))
    };
    if !known {
        return Err(refused().hint(format!("the value is not in the expected unit: {unit}")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "sizes of files and disks")]
    let bytes = (number * size).round_ties_even() as i128;
    Ok(Val::Int(bytes))
}

fn to_datetime(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [format] = args.bind(["format"])?;
    let format = text_or(cx, format.as_ref(), "%Y-%m-%d %H:%M:%S")?;
    let source = text::str(cx, &base)?;
    match crate::time::parse(&format, &source) {
        Some(time) => Ok(Object::Time(time).val()),
        None => bail!("time data '{source}' does not match format '{format}'"),
    }
}

fn strftime(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [second, utc] = args.bind(["second", "utc"])?;
    let utc = flag(utc.as_ref(), false)?;
    let seconds = match some(second) {
        None => None,
        Some(Val::Str(text)) => Some(
            parse_float(&text)
                .ok_or_else(|| Fail::runtime(format!("Invalid value for epoch value ({text})")))?,
        ),
        Some(other) => Some(
            ops::number(&other).ok_or_else(|| Fail::runtime("Invalid value for epoch value"))?,
        ),
    };
    let format = text_arg(cx, Some(base), "string_format")?;
    crate::time::strftime(&format, seconds, utc).map(Val::str)
}
