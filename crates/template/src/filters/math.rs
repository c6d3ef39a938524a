//! Numbers: rounding, powers, logarithms.

use super::FilterFn;
use crate::args::{Args, int, required, some, text_or};
use crate::ast::Op;
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::value::Val;

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("abs", abs),
    ("round", round),
    ("pow", pow),
    ("log", log),
    ("root", root),
];

fn number(val: &Val) -> Res<f64> {
    ops::number(val)
        .ok_or_else(|| Fail::runtime(format!("must be real number, not {}", val.type_name())))
}

fn abs(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    match &base {
        Val::Float(float) => Ok(Val::Float(float.abs())),
        other => match ops::integer(other) {
            Some(int) => Ok(Val::Int(int.saturating_abs())),
            None => bail!("bad operand type for abs(): '{}'", base.type_name()),
        },
    }
}

fn round(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [precision, method] = args.bind(["precision", "method"])?;
    let precision = i32::try_from(int(precision.as_ref(), 0)?.clamp(-300, 300)).unwrap_or(0);
    let method = text_or(cx, method.as_ref(), "common")?;
    let value = number(&base)?;
    let scale = 10_f64.powi(precision);
    Ok(match method.as_str() {
        // Python's round() keeps an integer one.
        "common" if matches!(base, Val::Int(_) | Val::Bool(_)) && precision >= 0 => {
            Val::Int(ops::integer(&base).unwrap_or(0))
        }
        "common" => Val::Float(round_even(value, precision)),
        "ceil" => Val::Float((value * scale).ceil() / scale),
        "floor" => Val::Float((value * scale).floor() / scale),
        _ => bail!("method must be common, ceil or floor"),
    })
}

/// Python's `round`: correctly rounded decimal, halves to even.
pub(crate) fn round_even(value: f64, precision: i32) -> f64 {
    if !value.is_finite() {
        return value;
    }
    if let Ok(places) = usize::try_from(precision) {
        format!("{value:.places$}").parse().unwrap_or(value)
    } else {
        let scale = 10_f64.powi(-precision);
        (value / scale).round_ties_even() * scale
    }
}

fn pow(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [exponent] = args.bind(["y"])?;
    let exponent = required(exponent, "y")?;
    let (x, y) = (number(&base)?, number(&exponent)?);
    // Always a float, as `math.pow`.
    ops::arithmetic(Op::Pow, &Val::Float(x), &Val::Float(y))
}

fn log(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [radix] = args.bind(["base"])?;
    let value = number(&base)?;
    if value <= 0.0 {
        bail!("math domain error");
    }
    let found = match some(radix) {
        None => value.ln(),
        Some(radix) => {
            let radix = number(&radix)?;
            if radix <= 0.0 {
                bail!("math domain error");
            }
            if (radix - 10.0).abs() < f64::EPSILON {
                value.log10()
            } else {
                value.ln() / radix.ln()
            }
        }
    };
    Ok(Val::Float(found))
}

fn root(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [degree] = args.bind(["base"])?;
    let degree = degree.as_ref().map_or(Ok(2.0), number)?;
    let value = number(&base)?;
    if value < 0.0 || degree == 0.0 {
        bail!("math domain error");
    }
    Ok(Val::Float(if (degree - 2.0).abs() < f64::EPSILON {
        value.sqrt()
    } else {
        value.powf(1.0 / degree)
    }))
}
