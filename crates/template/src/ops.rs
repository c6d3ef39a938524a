//! Python's operators: arithmetic, comparison, membership, subscripts, iteration, truth.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use crate::ast::{Cmp, Op};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::objects::Object;
use crate::text::{self, TEXT_MAX};
use crate::unknown;
use crate::value::{Key, Near, Range, SeqKind, Val};

/// Longest list that repetition may make.
const REPEAT_MAX: usize = 1_000_000;

/// Python's truth.
pub(crate) fn truth(val: &Val) -> Res<bool> {
    Ok(match val {
        Val::Undef(undef) if undef.lenient => false,
        Val::Undef(undef) => return Err(undef.trip()),
        Val::None => false,
        Val::Bool(bool) => *bool,
        Val::Int(int) => *int != 0,
        Val::Float(float) => *float != 0.0,
        Val::Str(text) => !text.is_empty(),
        Val::List(list) => list.len() > 0,
        Val::Dict(dict) => dict.len() > 0,
        Val::Seq(seq) => seq.kind == SeqKind::Generator || !seq.items.is_empty(),
        Val::Range(range) => range.len() > 0,
        Val::Omit | Val::Object(_) => true,
        Val::Unknown(unknown) => return Err(Fail::unknown(unknown.clone())),
    })
}

/// The items of anything that can be walked: lists, text (characters), mappings (keys).
pub(crate) fn iterate(cx: &Cx<'_>, val: &Val) -> Res<Vec<Val>> {
    Ok(match val {
        Val::List(list) => list.items(cx)?,
        Val::Seq(seq) => seq.items.clone(),
        Val::Dict(dict) => dict.keys().iter().map(Key::val).collect(),
        Val::Str(text) => text.chars().map(|ch| Val::str(ch.to_string())).collect(),
        Val::Range(range) => {
            cx.spend(range.len() as u64)?;
            (0..range.len()).map(|index| range.at(index)).collect()
        }
        Val::Undef(undef) if undef.lenient => Vec::new(),
        Val::Undef(undef) => return Err(undef.trip()),
        Val::Unknown(unknown) => return Err(Fail::unknown(unknown.clone())),
        other => bail!("'{}' object is not iterable", other.type_name()),
    })
}

/// Python's `len()`.
pub(crate) fn len(val: &Val) -> Res<usize> {
    Ok(match val {
        Val::Str(text) => text.chars().count(),
        Val::List(list) => list.len(),
        Val::Dict(dict) => dict.len(),
        Val::Range(range) => range.len(),
        Val::Seq(seq) if seq.kind != SeqKind::Generator => seq.items.len(),
        Val::Undef(undef) if undef.lenient => 0,
        Val::Undef(undef) => return Err(undef.trip()),
        Val::Unknown(unknown) => return Err(Fail::unknown(unknown.clone())),
        other => bail!("object of type '{}' has no len()", other.type_name()),
    })
}

/// A number as float, if it is one (booleans count, as in Python).
#[expect(clippy::cast_precision_loss, reason = "as Python's float() does")]
pub(crate) fn number(val: &Val) -> Option<f64> {
    match val {
        Val::Bool(bool) => Some(f64::from(u8::from(*bool))),
        Val::Int(int) => Some(*int as f64),
        Val::Float(float) => Some(*float),
        _ => None,
    }
}

/// An integer, if it is one (booleans count).
pub(crate) fn integer(val: &Val) -> Option<i128> {
    match val {
        Val::Bool(bool) => Some((*bool).into()),
        Val::Int(int) => Some(*int),
        _ => None,
    }
}

/// Python's `==`.
#[expect(clippy::float_cmp, reason = "Python's == on floats is exact")]
pub(crate) fn equal(cx: &Cx<'_>, a: &Val, b: &Val) -> Res<bool> {
    let _level = cx.level()?;
    Ok(match (a, b) {
        (Val::Undef(undef), other) | (other, Val::Undef(undef)) => {
            if !undef.lenient {
                return Err(undef.trip());
            }
            matches!(other, Val::Undef(_))
        }
        (Val::Unknown(_), _) | (_, Val::Unknown(_)) => return Err(both(a, b)),
        (Val::None, Val::None) | (Val::Omit, Val::Omit) => true,
        (Val::Str(a), Val::Str(b)) => a == b,
        (Val::List(a), Val::List(b)) => {
            a.len() == b.len() && all_equal(cx, &a.items(cx)?, &b.items(cx)?)?
        }
        (Val::Seq(a), Val::Seq(b)) => {
            a.items.len() == b.items.len() && all_equal(cx, &a.items, &b.items)?
        }
        (Val::Range(a), Val::Range(b)) => a == b,
        (Val::Dict(a), Val::Dict(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            let mut tally = Tally::default();
            for (key, val) in a.entries(cx)? {
                match b.get(cx, &key)? {
                    Some(other) if tally.either(equal(cx, &val, &other), true)? => {}
                    _ => return Ok(false),
                }
            }
            return tally.unless(true);
        }
        (Val::Object(a), Val::Object(b)) => a.equal(b),
        _ => match (integer(a), integer(b)) {
            (Some(a), Some(b)) => a == b,
            _ => matches!((number(a), number(b)), (Some(a), Some(b)) if a == b),
        },
    })
}

fn all_equal(cx: &Cx<'_>, a: &[Val], b: &[Val]) -> Res<bool> {
    let mut tally = Tally::default();
    for (a, b) in a.iter().zip(b) {
        if !tally.either(equal(cx, a, b), true)? {
            return Ok(false);
        }
    }
    tally.unless(true)
}

fn both(a: &Val, b: &Val) -> Fail {
    match unknown::known([a, b]) {
        Err(fail) => fail,
        Ok(()) => Fail::runtime("not known"),
    }
}

/// Steps of a search of which some are not known: one step that decides it does so whatever the others are.
#[derive(Default)]
pub(crate) struct Tally(Vec<Arc<hostler_value::Unknown>>);

impl Tally {
    /// The step's answer, or `meanwhile` if it is not known.
    pub(crate) fn either<T>(&mut self, step: Res<T>, meanwhile: T) -> Res<T> {
        match step {
            Err(fail) => {
                self.0.push(fail.into_unknown()?);
                Ok(meanwhile)
            }
            known => known,
        }
    }

    /// Was some step not known?
    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_empty()
    }

    /// What holds if no step decided: nothing is known if one of them was not.
    pub(crate) fn unless<T>(self, undecided: T) -> Res<T> {
        if self.0.is_empty() {
            return Ok(undecided);
        }
        let reasons = self.0.iter().map(|unknown| &**unknown);
        Err(Fail::unknown(Arc::new(hostler_value::Unknown::join(
            reasons,
        ))))
    }
}

/// Python's ordering; `sign` is the operator for the message.
pub(crate) fn order(cx: &Cx<'_>, a: &Val, b: &Val, sign: &str) -> Res<Ordering> {
    let _level = cx.level()?;
    match (a, b) {
        (Val::Undef(undef), _) | (_, Val::Undef(undef)) => return Err(undef.trip()),
        (Val::Unknown(_), _) | (_, Val::Unknown(_)) => return Err(both(a, b)),
        (Val::Str(a), Val::Str(b)) => return Ok(a.cmp(b)),
        (Val::List(a), Val::List(b)) => return order_items(cx, &a.items(cx)?, &b.items(cx)?, sign),
        (Val::Seq(a), Val::Seq(b)) => return order_items(cx, &a.items, &b.items, sign),
        (Val::Object(a), Val::Object(b)) => {
            if let Some(order) = a.order(b) {
                return Ok(order);
            }
        }
        _ => {
            if let (Some(a), Some(b)) = (integer(a), integer(b)) {
                return Ok(a.cmp(&b));
            }
            if let (Some(a), Some(b)) = (number(a), number(b)) {
                return Ok(a.partial_cmp(&b).unwrap_or(Ordering::Equal));
            }
        }
    }
    bail!(
        "'{sign}' not supported between instances of '{}' and '{}'",
        a.type_name(),
        b.type_name()
    )
}

fn order_items(cx: &Cx<'_>, a: &[Val], b: &[Val], sign: &str) -> Res<Ordering> {
    for (a, b) in a.iter().zip(b) {
        if !equal(cx, a, b)? {
            return order(cx, a, b, sign);
        }
    }
    Ok(a.len().cmp(&b.len()))
}

/// One comparison.
pub(crate) fn compare(cx: &Cx<'_>, op: Cmp, a: &Val, b: &Val) -> Res<bool> {
    Ok(match op {
        Cmp::Eq => equal(cx, a, b)?,
        Cmp::Ne => !equal(cx, a, b)?,
        Cmp::Lt => order(cx, a, b, "<")? == Ordering::Less,
        Cmp::Le => order(cx, a, b, "<=")? != Ordering::Greater,
        Cmp::Gt => order(cx, a, b, ">")? == Ordering::Greater,
        Cmp::Ge => order(cx, a, b, ">=")? != Ordering::Less,
        Cmp::In => contains(cx, b, a)?,
        Cmp::NotIn => !contains(cx, b, a)?,
    })
}

/// Python's `needle in hay`.
pub(crate) fn contains(cx: &Cx<'_>, hay: &Val, needle: &Val) -> Res<bool> {
    if let Val::Undef(undef) = needle
        && !undef.lenient
    {
        return Err(undef.trip());
    }
    match hay {
        Val::Unknown(_) => Err(both(hay, needle)),
        Val::Str(text) => match needle {
            Val::Unknown(_) => Err(both(hay, needle)),
            Val::Str(part) => Ok(text.contains(&**part)),
            other => bail!(
                "'in <string>' requires string as left operand, not {}",
                other.type_name()
            ),
        },
        Val::Dict(dict) => Ok(dict.contains(&Key::of(needle)?)),
        Val::List(_) | Val::Seq(_) | Val::Range(_) => {
            let mut tally = Tally::default();
            for item in iterate(cx, hay)? {
                if tally.either(equal(cx, &item, needle), false)? {
                    return Ok(true);
                }
            }
            tally.unless(false)
        }
        Val::Undef(undef) if undef.lenient => Ok(false),
        Val::Undef(undef) => Err(undef.trip()),
        other => bail!("argument of type '{}' is not iterable", other.type_name()),
    }
}

fn unsupported(sign: &str, a: &Val, b: &Val) -> Fail {
    Fail::runtime(format!(
        "unsupported operand type(s) for {sign}: '{}' and '{}'",
        a.type_name(),
        b.type_name()
    ))
}

/// One arithmetic operation.
pub(crate) fn binary(cx: &Cx<'_>, op: Op, a: &Val, b: &Val) -> Res<Val> {
    for side in [a, b] {
        if let Val::Undef(undef) = side
            && !(undef.lenient && op == Op::Concat)
        {
            return Err(undef.trip());
        }
    }
    unknown::known([a, b])?;
    if op == Op::Rem {
        // What is written into a text.
        unknown::known_throughout(cx, [b])?;
    }
    match op {
        Op::Concat => {
            let mut out = text::str(cx, a)?;
            text::push(&mut out, &text::str(cx, b)?)?;
            Ok(Val::str(out))
        }
        Op::Rem if matches!(a, Val::Str(_)) => crate::format::printf(cx, &text::str(cx, a)?, b),
        Op::Add => add(cx, a, b),
        Op::Mul => multiply(cx, a, b),
        Op::Sub => match (a, b) {
            (Val::Object(x), Val::Object(y)) => x.minus(y).ok_or_else(|| unsupported("-", a, b)),
            (Val::Seq(x), Val::Seq(_)) if x.kind == SeqKind::DictKeys => {
                let mut left = Vec::new();
                for item in &x.items {
                    if !contains(cx, b, item)? {
                        left.push(item.clone());
                    }
                }
                Ok(Val::generator(left))
            }
            _ => arithmetic(op, a, b),
        },
        _ => arithmetic(op, a, b),
    }
}

fn add(cx: &Cx<'_>, a: &Val, b: &Val) -> Res<Val> {
    match (a, b) {
        (Val::Str(x), Val::Str(y)) => {
            let mut out = x.to_string();
            text::push(&mut out, y)?;
            Ok(Val::str(out))
        }
        (Val::Str(_), _) => bail!(
            "can only concatenate str (not \"{}\") to str",
            b.type_name()
        ),
        (Val::List(x), Val::List(y)) => {
            let mut items = x.items(cx)?;
            items.extend(y.items(cx)?);
            Ok(Val::list(items))
        }
        (Val::List(_), _) => bail!(
            "can only concatenate list (not \"{}\") to list",
            b.type_name()
        ),
        (Val::Seq(x), Val::Seq(y)) if x.kind == SeqKind::Tuple && y.kind == SeqKind::Tuple => Ok(
            Val::tuple(x.items.iter().chain(&y.items).cloned().collect()),
        ),
        (Val::Object(x), Val::Object(y)) => x.plus(y).ok_or_else(|| unsupported("+", a, b)),
        _ => arithmetic(Op::Add, a, b),
    }
}

fn multiply(cx: &Cx<'_>, a: &Val, b: &Val) -> Res<Val> {
    let (what, times) = match (a, b) {
        (Val::Str(_) | Val::List(_) | Val::Seq(_), _) => (a, integer(b)),
        (_, Val::Str(_) | Val::List(_) | Val::Seq(_)) => (b, integer(a)),
        _ => return arithmetic(Op::Mul, a, b),
    };
    let Some(times) = times else {
        return Err(unsupported("*", a, b));
    };
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    if let Val::Str(text) = what {
        if text.len().saturating_mul(times) > TEXT_MAX {
            return Err(text::too_long());
        }
        return Ok(Val::str(text.repeat(times)));
    }
    let items = iterate(cx, what)?;
    if items.len().saturating_mul(times) > REPEAT_MAX {
        return Err(Fail::limit("a repeated list is too long"));
    }
    let repeated = std::iter::repeat_n(items, times).flatten().collect();
    Ok(if matches!(what, Val::List(_)) {
        Val::list(repeated)
    } else {
        Val::tuple(repeated)
    })
}

fn sign(op: Op) -> &'static str {
    match op {
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::Div => "/",
        Op::FloorDiv => "//",
        Op::Rem => "%",
        Op::Pow => "** or pow()",
        Op::Concat => "~",
    }
}

/// Arithmetic of two numbers.
pub(crate) fn arithmetic(op: Op, a: &Val, b: &Val) -> Res<Val> {
    if let (Some(x), Some(y)) = (integer(a), integer(b))
        && op != Op::Div
        && !(op == Op::Pow && y < 0)
    {
        return integers(op, x, y);
    }
    let (Some(x), Some(y)) = (number(a), number(b)) else {
        return Err(unsupported(sign(op), a, b));
    };
    Ok(Val::Float(match op {
        Op::Add => x + y,
        Op::Sub => x - y,
        Op::Mul => x * y,
        Op::Div if y == 0.0 && integer(a).is_some() && integer(b).is_some() => {
            bail!("division by zero")
        }
        Op::Div if y == 0.0 => bail!("float division by zero"),
        Op::FloorDiv if y == 0.0 => bail!("float floor division by zero"),
        Op::Rem if y == 0.0 => bail!("float modulo"),
        Op::Div => x / y,
        Op::FloorDiv => ((x - modulo(x, y)) / y).round(),
        Op::Rem => modulo(x, y),
        Op::Pow if x == 0.0 && y < 0.0 => bail!("0.0 cannot be raised to a negative power"),
        Op::Pow => x.powf(y),
        Op::Concat => return Err(unsupported(sign(op), a, b)),
    }))
}

/// Python's float `%`: the sign of the divisor.
fn modulo(x: f64, y: f64) -> f64 {
    let rest = x % y;
    if rest != 0.0 && (rest < 0.0) != (y < 0.0) {
        rest + y
    } else {
        rest
    }
}

fn integers(op: Op, x: i128, y: i128) -> Res<Val> {
    let result = match op {
        Op::Add => x.checked_add(y),
        Op::Sub => x.checked_sub(y),
        Op::Mul => x.checked_mul(y),
        Op::FloorDiv | Op::Rem if y == 0 => bail!("integer division or modulo by zero"),
        Op::FloorDiv => x.checked_div_euclid(y).map(|_| floor_div(x, y)),
        Op::Rem => x.checked_rem_euclid(y).map(|_| x - y * floor_div(x, y)),
        Op::Pow => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        Op::Div | Op::Concat => None,
    };
    result
        .map(Val::Int)
        .ok_or_else(|| Fail::limit("integer is larger than 128 bits"))
}

fn floor_div(x: i128, y: i128) -> i128 {
    let quotient = x / y;
    if x % y != 0 && ((x < 0) != (y < 0)) {
        quotient - 1
    } else {
        quotient
    }
}

/// Unary minus.
pub(crate) fn negate(val: &Val) -> Res<Val> {
    match val {
        Val::Undef(undef) => Err(undef.trip()),
        Val::Unknown(_) => Ok(val.clone()),
        Val::Float(float) => Ok(Val::Float(-float)),
        other => match integer(other).and_then(i128::checked_neg) {
            Some(int) => Ok(Val::Int(int)),
            None => bail!("bad operand type for unary -: '{}'", other.type_name()),
        },
    }
}

/// The position that a Python index means in a sequence of that length.
pub(crate) fn position(index: i128, len: usize) -> Option<usize> {
    let index = if index < 0 {
        index + len as i128
    } else {
        index
    };
    usize::try_from(index).ok().filter(|at| *at < len)
}

fn no_attribute(base: &Val, shown: &str, name: Option<Arc<str>>) -> Val {
    let fail = Fail::undefined(format!(
        "object of type '{}' has no attribute {shown}",
        base.type_name()
    ));
    let near = match base {
        Val::Dict(dict) => Near::Keys(dict.clone()),
        _ => Near::Nothing,
    };
    Val::missing(fail, name, near)
}

/// `base[key]`: an item, or else an attribute of that name. Missing is undefined, not an error.
pub(crate) fn item(cx: &Cx<'_>, base: &Val, key: &Val) -> Res<Val> {
    if let Val::Undef(_) = base {
        return Ok(base.clone());
    }
    if let Val::Undef(_) = key {
        return Ok(key.clone());
    }
    unknown::known([base, key])?;
    if let Some(found) = subscript(cx, base, key)? {
        return Ok(found);
    }
    if let Val::Str(name) = key
        && !matches!(base, Val::Dict(_))
        && let Some(found) = attribute_only(base, name)
    {
        return Ok(found);
    }
    let shown = text::repr(cx, key)?;
    let name = if let Val::Str(name) = key {
        Some(name.clone())
    } else {
        None
    };
    Ok(no_attribute(base, &shown, name))
}

fn subscript(cx: &Cx<'_>, base: &Val, key: &Val) -> Res<Option<Val>> {
    Ok(match base {
        Val::Dict(dict) => match key {
            Val::Str(name) => dict.get_str(cx, name)?,
            Val::List(_) | Val::Dict(_) => None,
            other => dict.get(cx, &Key::of(other)?)?,
        },
        Val::List(list) => match integer(key).and_then(|index| position(index, list.len())) {
            Some(at) => list.get(cx, at)?,
            None => None,
        },
        Val::Seq(seq)
            if matches!(
                seq.kind,
                SeqKind::Tuple | SeqKind::Group | SeqKind::Generator
            ) =>
        {
            integer(key)
                .and_then(|index| position(index, seq.items.len()))
                .map(|at| seq.items[at].clone())
        }
        Val::Range(range) => integer(key)
            .and_then(|index| position(index, range.len()))
            .map(|at| range.at(at)),
        Val::Str(text) => integer(key)
            .and_then(|index| position(index, text.chars().count()))
            .and_then(|at| text.chars().nth(at))
            .map(|ch| Val::str(ch.to_string())),
        Val::Object(object) => match key {
            Val::Str(name) => object.attribute(name),
            _ => None,
        },
        _ => None,
    })
}

/// `base.name`: an attribute (such as a method), or else an item of that name. Missing is undefined.
pub(crate) fn attribute(cx: &Cx<'_>, base: &Val, name: &Arc<str>) -> Res<Val> {
    if let Val::Undef(_) | Val::Unknown(_) = base {
        return Ok(base.clone());
    }
    if let Some(found) = attribute_only(base, name) {
        return Ok(found);
    }
    let found = match base {
        Val::Dict(dict) => dict.get_str(cx, name)?,
        Val::Object(object) => object.attribute(name),
        // `list.0`
        Val::List(_) | Val::Seq(_) | Val::Str(_) => match name.parse::<i128>() {
            Ok(index) => subscript(cx, base, &Val::Int(index))?,
            Err(_) => None,
        },
        _ => None,
    };
    if let Some(found) = found {
        return Ok(found);
    }
    let shown = hostler_value::Value::Str(name.clone()).repr();
    Ok(no_attribute(base, &shown, Some(name.clone())))
}

fn attribute_only(base: &Val, name: &Arc<str>) -> Option<Val> {
    if let Val::Seq(seq) = base
        && seq.kind == SeqKind::Group
    {
        match &**name {
            "grouper" => return seq.items.first().cloned(),
            "list" => return seq.items.get(1).cloned(),
            _ => {}
        }
    }
    crate::methods::exists(base, name)
        .then(|| Val::Object(Rc::new(Object::Method(base.clone(), name.clone()))))
}

/// `base[start:stop:step]`.
pub(crate) fn slice(cx: &Cx<'_>, base: &Val, bounds: [Option<i128>; 3]) -> Res<Val> {
    if let Val::Undef(undef) = base {
        return Err(undef.trip());
    }
    unknown::known([base])?;
    let step = bounds[2].unwrap_or(1);
    if step == 0 {
        bail!("slice step cannot be zero");
    }
    let items = match base {
        Val::Str(_) | Val::List(_) | Val::Range(_) => iterate(cx, base)?,
        Val::Seq(seq) => seq.items.clone(),
        other => bail!("'{}' object is not subscriptable", other.type_name()),
    };
    let len = items.len() as i128;
    let clip = |bound: Option<i128>, default: i128| match bound {
        None => default,
        Some(at) => {
            let at = if at < 0 { at + len } else { at };
            if step > 0 {
                at.clamp(0, len)
            } else {
                at.clamp(-1, len - 1)
            }
        }
    };
    let (start, stop) = if step > 0 {
        (clip(bounds[0], 0), clip(bounds[1], len))
    } else {
        (clip(bounds[0], len - 1), clip(bounds[1], -1))
    };
    let picks = Range { start, stop, step };
    let picked: Vec<Val> = (0..picks.len())
        .filter_map(|index| {
            let at = usize::try_from(start + step * index as i128).ok()?;
            items.get(at).cloned()
        })
        .collect();
    Ok(match base {
        Val::Str(_) => {
            let mut out = String::new();
            for ch in &picked {
                out.push_str(&text::str(cx, ch)?);
            }
            Val::str(out)
        }
        Val::Seq(_) => Val::tuple(picked),
        _ => Val::list(picked),
    })
}
