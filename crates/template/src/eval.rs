//! Expressions.

use crate::args::Args;
use crate::ast::{Arg, Const, Expr};
use crate::context::{Cx, Frame, defer};
use crate::exec;
use crate::fail::{Fail, Res, bail};
use crate::filters;
use crate::objects::Object;
use crate::ops;
use crate::tests;
use crate::unknown::{self, Doubt};
use crate::value::{Key, Val};

/// The value of an expression. What is missing is an undefined value, not yet an error.
pub(crate) fn eval(cx: &Cx<'_>, frame: &Frame, expr: &Expr) -> Res<Val> {
    cx.spend(1)?;
    match expr {
        Expr::Const(constant) => Ok(match constant {
            Const::None => Val::None,
            Const::Bool(bool) => Val::Bool(*bool),
            Const::Int(int) => Val::Int(*int),
            Const::Float(float) => Val::Float(*float),
            Const::Str(text) => Val::Str(text.clone()),
        }),
        Expr::Var(name, at) => cx.name(frame, name, *at),
        compound => stacker::maybe_grow(128 * 1024, 1024 * 1024, || {
            // What needs something unknown is unknown.
            unknown::settle(self::compound(cx, frame, compound))
        }),
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one flat match over the kinds of expressions"
)]
fn compound(cx: &Cx<'_>, frame: &Frame, expr: &Expr) -> Res<Val> {
    match expr {
        Expr::Const(_) | Expr::Var(..) => eval(cx, frame, expr),
        Expr::Embedded(unit, at) => {
            let inner = Frame {
                unit: unit.clone(),
                ..frame.clone()
            };
            exec::run_template(cx, &inner).map_err(|mut fail| {
                // Places inside the constant are counted from its own start.
                fail.0.span = frame.span(*at);
                fail
            })
        }
        Expr::Not(inner) => Ok(Val::Bool(!test(cx, frame, inner)?)),
        Expr::Neg(inner, at) => {
            let val = eval(cx, frame, inner)?;
            ops::negate(&val).map_err(|fail| fail.at(|| frame.span(*at)))
        }
        Expr::Bin(op, left, right, at) => {
            let left = eval(cx, frame, left)?;
            let right = eval(cx, frame, right)?;
            ops::binary(cx, *op, &left, &right).map_err(|fail| fail.at(|| frame.span(*at)))
        }
        Expr::And(left, right) => {
            let left = eval(cx, frame, left)?;
            match ops::truth(&left) {
                Ok(true) => eval(cx, frame, right),
                Ok(false) => Ok(left),
                Err(fail) => undecided(cx, frame, fail, right, false),
            }
        }
        Expr::Or(left, right) => {
            let left = eval(cx, frame, left)?;
            match ops::truth(&left) {
                Ok(true) => Ok(left),
                Ok(false) => eval(cx, frame, right),
                Err(fail) => undecided(cx, frame, fail, right, true),
            }
        }
        Expr::Compare(first, rest, at) => {
            let mut tally = ops::Tally::default();
            let mut left = eval(cx, frame, first)?;
            for (op, right) in rest {
                let right = eval(cx, frame, right)?;
                let holds = ops::compare(cx, *op, &left, &right)
                    .map_err(|fail| fail.at(|| frame.span(*at)));
                let holds = tally.either(holds, true)?;
                if !holds {
                    return Ok(Val::Bool(false));
                }
                left = right;
            }
            tally.unless(Val::Bool(true))
        }
        Expr::If(condition, yes, no, at) => match (test(cx, frame, condition), no) {
            (Ok(true), _) => eval(cx, frame, yes),
            (Ok(false), Some(no)) => eval(cx, frame, no),
            (Ok(false), None) => Ok(Val::nothing(frame.span(*at))),
            (Err(fail), no) => {
                let unknown = fail.into_unknown()?;
                let branches = (
                    eval(cx, frame, yes),
                    no.as_ref().map(|no| eval(cx, frame, no)),
                );
                Ok(match branches {
                    (Ok(yes), Some(Ok(no))) => unknown::either(cx, &unknown, &yes, &no),
                    // The branch that fails may be the one that is not taken.
                    _ => Val::Unknown(unknown),
                })
            }
        },
        Expr::Filter(_) => filtered(cx, frame, expr, Val::None),
        Expr::Test(it) => {
            let base = eval(cx, frame, &it.base)?;
            if let Val::Unknown(unknown) = &base {
                // What no task is the cause of may not even become defined.
                if unknown.until.is_empty() {
                    return Err(Fail::unknown(unknown.clone()));
                }
                part_of_unknown(cx, frame, &it.base)?;
            }
            let args = args(cx, frame, &it.args)?;
            tests::invoke(cx, &it.name, it.run, base, args)
                .map(Val::Bool)
                .map_err(|fail| fail.at(|| frame.span(it.at)))
        }
        Expr::Attr(base, name, at) => {
            let base = eval(cx, frame, base)?;
            located(ops::attribute(cx, &base, name), frame, *at)
        }
        Expr::Item(base, key, at) => {
            let base = eval(cx, frame, base)?;
            let key = eval(cx, frame, key)?;
            located(ops::item(cx, &base, &key), frame, *at)
        }
        Expr::Slice(parts, at) => {
            let [base, start, stop, step] = &**parts;
            let Some(base) = base else {
                bail!("a slice of nothing");
            };
            let base = eval(cx, frame, base)?;
            let mut bounds = [None; 3];
            for (bound, part) in bounds.iter_mut().zip([start, stop, step]) {
                *bound = match part
                    .as_ref()
                    .map(|part| eval(cx, frame, part))
                    .transpose()?
                {
                    None | Some(Val::None) => None,
                    Some(Val::Unknown(unknown)) => return Ok(Val::Unknown(unknown)),
                    Some(val) => Some(ops::integer(&val).ok_or_else(|| {
                        Fail::runtime(
                            "slice indices must be integers or None or have an __index__ method",
                        )
                        .at(|| frame.span(*at))
                    })?),
                };
            }
            located(ops::slice(cx, &base, bounds), frame, *at)
        }
        Expr::Call(callee, given, at) => {
            let callee = eval(cx, frame, callee)?;
            let result = args(cx, frame, given).and_then(|args| call(cx, &callee, args));
            match located(result, frame, *at) {
                Err(fail) => {
                    let unknown = &fail.into_unknown()?;
                    // It changed something in a way that is not known.
                    Doubt { cx, frame, unknown }.expr(expr);
                    Ok(Val::Unknown(unknown.clone()))
                }
                done => done,
            }
        }
        Expr::List(items) => Ok(Val::list(all(cx, frame, items)?)),
        Expr::Tuple(items) => Ok(Val::tuple(all(cx, frame, items)?)),
        Expr::Dict(entries, at) => {
            let mut pairs = Vec::with_capacity(entries.len());
            for (key, val) in entries {
                let key = eval(cx, frame, key)?;
                let key = Key::of(&key).map_err(|fail| fail.at(|| frame.span(*at)))?;
                pairs.push((key, eval(cx, frame, val)?));
            }
            Ok(Val::dict(pairs))
        }
    }
}

/// `and` or `or` behind a left side that is not known: a right side that decides it does so.
fn undecided(cx: &Cx<'_>, frame: &Frame, left: Fail, right: &Expr, decides: bool) -> Res<Val> {
    let left = left.into_unknown()?;
    Ok(match eval(cx, frame, right) {
        Ok(Val::Bool(right)) if right == decides => Val::Bool(decides),
        Ok(Val::Unknown(right)) => unknown::join([&*left, &*right]),
        // Also if it fails: it may never be looked at.
        _ => Val::Unknown(left),
    })
}

/// Fails for a part of something unknown, such as `result.stdout`: whether there is such a part is not known either.
fn part_of_unknown(cx: &Cx<'_>, frame: &Frame, expr: &Expr) -> Res<()> {
    match expr {
        Expr::Attr(base, ..) => unknown::known([&eval(cx, frame, base)?]),
        Expr::Item(base, key, _) => {
            unknown::known([&eval(cx, frame, base)?, &eval(cx, frame, key)?])
        }
        _ => Ok(()),
    }
}

/// The truth of an expression.
pub(crate) fn test(cx: &Cx<'_>, frame: &Frame, expr: &Expr) -> Res<bool> {
    ops::truth(&eval(cx, frame, expr)?)
}

fn all(cx: &Cx<'_>, frame: &Frame, items: &[Expr]) -> Res<Vec<Val>> {
    items.iter().map(|item| eval(cx, frame, item)).collect()
}

/// Gives an error, or something undefined, its place.
fn located(result: Res<Val>, frame: &Frame, at: crate::ast::At) -> Res<Val> {
    match result {
        Err(fail) => Err(fail.at(|| frame.span(at))),
        Ok(Val::Undef(undef)) if undef.fail.0.span.is_none() => {
            let fail = undef.fail.clone().at(|| frame.span(at));
            Ok(Val::missing(fail, undef.name.clone(), undef.near.clone()))
        }
        Ok(val) => Ok(val),
    }
}

/// Runs a chain of filters whose innermost input is `input` (or the expression's own).
pub(crate) fn filtered(cx: &Cx<'_>, frame: &Frame, expr: &Expr, input: Val) -> Res<Val> {
    let Expr::Filter(it) = expr else {
        bail!("not a filter");
    };
    let base = match &it.base {
        Some(inner @ Expr::Filter(_)) => filtered(cx, frame, inner, input)?,
        Some(inner) => eval(cx, frame, inner)?,
        None => input,
    };
    let args = args(cx, frame, &it.args)?;
    located(
        defer(filters::invoke(cx, &it.name, it.run, base, args)),
        frame,
        it.at,
    )
}

/// Evaluates arguments.
pub(crate) fn args(cx: &Cx<'_>, frame: &Frame, given: &[Arg]) -> Res<Args> {
    let mut args = Args::default();
    for arg in given {
        match arg {
            Arg::Pos(expr) => args.pos.push(eval(cx, frame, expr)?),
            Arg::Named(name, expr) => args.named.push((name.clone(), eval(cx, frame, expr)?)),
            Arg::Splat(expr) => {
                let val = eval(cx, frame, expr)?;
                args.pos.extend(ops::iterate(cx, &val)?);
            }
            Arg::NamedSplat(expr) => match eval(cx, frame, expr)? {
                Val::Dict(dict) => {
                    for (key, val) in dict.entries(cx)? {
                        let Key::Str(name) = key else {
                            bail!("keywords must be strings");
                        };
                        args.named.push((name, val));
                    }
                }
                Val::Undef(undef) => return Err(undef.trip()),
                Val::Unknown(unknown) => return Err(Fail::unknown(unknown)),
                other => bail!(
                    "argument after ** must be a mapping, not {}",
                    other.type_name()
                ),
            },
        }
    }
    Ok(args)
}

/// Calls something.
pub(crate) fn call(cx: &Cx<'_>, callee: &Val, args: Args) -> Res<Val> {
    let object = match callee {
        Val::Undef(undef) if !undef.lenient => return Ok(callee.clone()),
        Val::Unknown(_) => return Ok(callee.clone()),
        Val::Object(object) => object,
        other => bail!("'{}' object is not callable", other.type_name()),
    };
    match &**object {
        Object::Method(base, name) => crate::methods::call(cx, base, name, args),
        Object::Function(name, run) => {
            if !matches!(*name, "dict" | "namespace" | "cycler" | "joiner") {
                unknown::known(args.all())?;
            }
            run(cx, args)
        }
        Object::Macro(decl, frame) => exec::call_macro(cx, decl, frame, args),
        Object::Block(frame, name, depth) => {
            args.none()?;
            exec::run_block(cx, frame, name, *depth)
        }
        Object::Joiner(separator, used) => {
            args.none()?;
            Ok(if used.replace(true) {
                separator.clone()
            } else {
                Val::str("")
            })
        }
        Object::Loop(state) => match &state.again {
            Some((frame, it)) => {
                let [items] = args.bind(["iterable"])?;
                let items = crate::args::required(items, "iterable")?;
                exec::run_again(cx, frame, it, &items, state.depth + 1)
            }
            None => bail!("The loop must have the 'recursive' marker to be called recursively."),
        },
        other => bail!("'{}' object is not callable", other.type_name()),
    }
}
