//! Tests: what stands after `is`.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::args::{Args, flag, required, some, text_or};
use crate::ast::{Cmp, Op};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::filters::{self, short_name};
use crate::objects::Object;
use crate::ops;
use crate::text;
use crate::value::{SeqKind, Val};
use crate::version;

/// A test: value and arguments to yes or no.
pub(crate) type TestFn = fn(&Cx<'_>, Val, Args) -> Res<bool>;

const TABLE: &[(&str, TestFn)] = &[
    ("defined", |_, val, args| {
        no_args(args, !matches!(val, Val::Undef(_)))
    }),
    ("undefined", |_, val, args| {
        no_args(args, matches!(val, Val::Undef(_)))
    }),
    ("none", |_, val, args| {
        no_args(args, matches!(val, Val::None))
    }),
    ("string", |_, val, args| {
        no_args(args, matches!(val, Val::Str(_)))
    }),
    ("number", |_, val, args| {
        no_args(args, ops::number(&val).is_some())
    }),
    ("integer", |_, val, args| {
        no_args(args, matches!(val, Val::Int(_)))
    }),
    ("float", |_, val, args| {
        no_args(args, matches!(val, Val::Float(_)))
    }),
    ("boolean", |_, val, args| {
        no_args(args, matches!(val, Val::Bool(_)))
    }),
    ("true", |_, val, args| {
        no_args(args, matches!(val, Val::Bool(true)))
    }),
    ("false", |_, val, args| {
        no_args(args, matches!(val, Val::Bool(false)))
    }),
    ("mapping", |_, val, args| {
        no_args(args, matches!(val, Val::Dict(_)))
    }),
    ("sequence", |_, val, args| no_args(args, is_sequence(&val))),
    ("iterable", |_, val, args| no_args(args, is_iterable(&val))),
    ("callable", |_, val, args| {
        no_args(
            args,
            matches!(&val, Val::Object(object) if object.is_callable()),
        )
    }),
    ("escaped", |_, _, args| no_args(args, false)),
    ("sameas", sameas),
    ("lower", |cx, val, args| {
        no_args(args, cased(cx, &val, char::is_lowercase)?)
    }),
    ("upper", |cx, val, args| {
        no_args(args, cased(cx, &val, char::is_uppercase)?)
    }),
    ("filter", |cx, val, args| {
        no_args(args, filters::exists(&text::str(cx, &val)?))
    }),
    ("test", |cx, val, args| {
        no_args(args, exists(&text::str(cx, &val)?))
    }),
    ("odd", |_, val, args| no_args(args, remainder(&val)? == 1)),
    ("even", |_, val, args| no_args(args, remainder(&val)? == 0)),
    ("divisibleby", divisible_by),
    ("eq", |cx, val, args| compare(cx, &val, args, Cmp::Eq)),
    ("==", |cx, val, args| compare(cx, &val, args, Cmp::Eq)),
    ("equalto", |cx, val, args| compare(cx, &val, args, Cmp::Eq)),
    ("ne", |cx, val, args| compare(cx, &val, args, Cmp::Ne)),
    ("!=", |cx, val, args| compare(cx, &val, args, Cmp::Ne)),
    ("lt", |cx, val, args| compare(cx, &val, args, Cmp::Lt)),
    ("<", |cx, val, args| compare(cx, &val, args, Cmp::Lt)),
    ("lessthan", |cx, val, args| compare(cx, &val, args, Cmp::Lt)),
    ("le", |cx, val, args| compare(cx, &val, args, Cmp::Le)),
    ("<=", |cx, val, args| compare(cx, &val, args, Cmp::Le)),
    ("gt", |cx, val, args| compare(cx, &val, args, Cmp::Gt)),
    (">", |cx, val, args| compare(cx, &val, args, Cmp::Gt)),
    ("greaterthan", |cx, val, args| {
        compare(cx, &val, args, Cmp::Gt)
    }),
    ("ge", |cx, val, args| compare(cx, &val, args, Cmp::Ge)),
    (">=", |cx, val, args| compare(cx, &val, args, Cmp::Ge)),
    ("in", |cx, val, args| compare(cx, &val, args, Cmp::In)),
    ("contains", contains),
    ("subset", |cx, val, args| subset(cx, &val, args, false)),
    ("issubset", |cx, val, args| subset(cx, &val, args, false)),
    ("superset", |cx, val, args| subset(cx, &val, args, true)),
    ("issuperset", |cx, val, args| subset(cx, &val, args, true)),
    ("any", |cx, val, args| {
        no_args(args, any_is(cx, &val, true)?)
    }),
    ("all", |cx, val, args| {
        no_args(args, !any_is(cx, &val, false)?)
    }),
    ("match", |cx, val, args| {
        matches(cx, &val, args, Some("match"))
    }),
    ("search", |cx, val, args| {
        matches(cx, &val, args, Some("search"))
    }),
    ("regex", |cx, val, args| matches(cx, &val, args, None)),
    ("version", version_test),
    ("version_compare", version_test),
    ("truthy", truthy),
    ("falsy", |cx, val, args| {
        truthy(cx, val, args).map(|truth| !truth)
    }),
    ("nan", |_, val, args| {
        no_args(args, matches!(val, Val::Float(float) if float.is_nan()))
    }),
    ("isnan", |_, val, args| {
        no_args(args, matches!(val, Val::Float(float) if float.is_nan()))
    }),
    ("url", |cx, val, args| uri(cx, &val, args, true, "url")),
    ("uri", |cx, val, args| uri(cx, &val, args, false, "uri")),
    ("urn", |cx, val, args| uri(cx, &val, args, false, "urn")),
    ("vault_encrypted", |_, val, args| {
        no_args(
            args,
            matches!(&val, Val::Str(text) if text.starts_with("$ANSIBLE_VAULT;")),
        )
    }),
    ("failed", |cx, val, args| {
        result(cx, &val, args, "failed", failed)
    }),
    ("failure", |cx, val, args| {
        result(cx, &val, args, "failure", failed)
    }),
    ("succeeded", |cx, val, args| {
        result(cx, &val, args, "succeeded", |cx, val| Ok(!failed(cx, val)?))
    }),
    ("success", |cx, val, args| {
        result(cx, &val, args, "success", |cx, val| Ok(!failed(cx, val)?))
    }),
    ("successful", |cx, val, args| {
        result(cx, &val, args, "successful", |cx, val| {
            Ok(!failed(cx, val)?)
        })
    }),
    ("changed", |cx, val, args| {
        result(cx, &val, args, "changed", changed)
    }),
    ("change", |cx, val, args| {
        result(cx, &val, args, "change", changed)
    }),
    ("skipped", |cx, val, args| {
        result(cx, &val, args, "skipped", |cx, val| {
            field(cx, val, "skipped")
        })
    }),
    ("skip", |cx, val, args| {
        result(cx, &val, args, "skip", |cx, val| field(cx, val, "skipped"))
    }),
    ("unreachable", |cx, val, args| {
        result(cx, &val, args, "unreachable", |cx, val| {
            field(cx, val, "unreachable")
        })
    }),
    ("reachable", |cx, val, args| {
        result(cx, &val, args, "reachable", |cx, val| {
            Ok(!field(cx, val, "unreachable")?)
        })
    }),
    ("timedout", |cx, val, args| {
        result(cx, &val, args, "timedout", |cx, val| {
            field(cx, val, "timedout")
        })
    }),
    ("started", |cx, val, args| {
        result(cx, &val, args, "started", |cx, val| {
            numeric(cx, val, "started")
        })
    }),
    ("finished", |cx, val, args| {
        result(cx, &val, args, "finished", |cx, val| {
            numeric(cx, val, "finished")
        })
    }),
];

/// Tests that look at the controller's files.
const ABSENT: &[&str] = &[
    "exists",
    "file",
    "is_file",
    "directory",
    "is_dir",
    "link",
    "is_link",
    "abs",
    "is_abs",
    "mount",
    "is_mount",
    "same_file",
    "is_same_file",
    "link_exists",
    "vaulted_file",
];

fn table() -> &'static HashMap<&'static str, TestFn> {
    static ALL: OnceLock<HashMap<&'static str, TestFn>> = OnceLock::new();
    ALL.get_or_init(|| TABLE.iter().copied().collect())
}

fn exists(name: &str) -> bool {
    table().contains_key(short_name(name))
}

/// The test of that name.
pub(crate) fn find(name: &str) -> Res<TestFn> {
    let short = short_name(name);
    if let Some(run) = table().get(short) {
        return Ok(*run);
    }
    if ABSENT.contains(&short) {
        return Err(Fail::syntax(format!(
            "the test '{name}' looks at files of the controller, which is not available"
        ))
        .hint("look at the host's file with the `stat` module and `register`"));
    }
    let fail = Fail::syntax(format!("No test named '{name}'."));
    Err(
        match hostler_diag::did_you_mean(short, table().keys().copied()) {
            Some(best) => fail.hint(format!("did you mean `{best}`?")),
            None => fail,
        },
    )
}

/// Runs a test. Only `defined` and `undefined` may be asked about something undefined.
pub(crate) fn invoke(cx: &Cx<'_>, name: &str, run: TestFn, base: Val, args: Args) -> Res<bool> {
    if !matches!(short_name(name), "defined" | "undefined") {
        if let Val::Undef(undef) = &base
            && !undef.lenient
        {
            return Err(undef.trip());
        }
        if let Some(Val::Undef(undef)) = args.undefined() {
            return Err(undef.trip());
        }
        crate::unknown::known(std::iter::once(&base).chain(args.all()))?;
    }
    run(cx, base, args).map_err(|mut fail| {
        if fail.0.kind == crate::TemplateErrorKind::Runtime && fail.0.span.is_none() {
            fail.0.message = format!("the test '{}' failed: {}", short_name(name), fail.0.message);
        }
        fail
    })
}

fn no_args(args: Args, answer: bool) -> Res<bool> {
    args.none()?;
    Ok(answer)
}

fn is_sequence(val: &Val) -> bool {
    match val {
        Val::Str(_) | Val::List(_) | Val::Dict(_) | Val::Range(_) => true,
        Val::Seq(seq) => matches!(seq.kind, SeqKind::Tuple | SeqKind::Group),
        _ => false,
    }
}

fn is_iterable(val: &Val) -> bool {
    match val {
        Val::Undef(undef) => undef.lenient,
        Val::Seq(_) => true,
        other => is_sequence(other),
    }
}

fn sameas(_: &Cx<'_>, val: Val, args: Args) -> Res<bool> {
    let [other] = args.bind(["other"])?;
    Ok(match (&val, &required(other, "other")?) {
        (Val::None, Val::None) | (Val::Omit, Val::Omit) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(a), Val::Int(b)) => a == b,
        (Val::Float(a), Val::Float(b)) => a.to_bits() == b.to_bits(),
        (Val::Str(a), Val::Str(b)) => a == b,
        (Val::List(a), Val::List(b)) => std::rc::Rc::ptr_eq(a, b),
        (Val::Dict(a), Val::Dict(b)) => std::rc::Rc::ptr_eq(a, b),
        (Val::Seq(a), Val::Seq(b)) => std::rc::Rc::ptr_eq(a, b),
        (Val::Object(a), Val::Object(b)) => {
            std::rc::Rc::ptr_eq(a, b)
                || matches!((&**a, &**b), (Object::Function(a, _), Object::Function(b, _)) if a == b)
        }
        _ => false,
    })
}

/// Are all letters of that case, and is there one?
fn cased(cx: &Cx<'_>, val: &Val, of_case: fn(char) -> bool) -> Res<bool> {
    let text = text::str(cx, val)?;
    let mut letters = text
        .chars()
        .filter(|ch| ch.is_lowercase() || ch.is_uppercase())
        .peekable();
    Ok(letters.peek().is_some() && letters.all(of_case))
}

fn int_of(val: &Val) -> Res<i128> {
    ops::integer(val)
        .ok_or_else(|| Fail::runtime(format!("an integer is required, not {}", val.type_name())))
}

/// The remainder by two: 0, 1, or 2 for what is neither (a fraction).
fn remainder(val: &Val) -> Res<u8> {
    if let Val::Float(float) = val {
        let rest = float.rem_euclid(2.0);
        return Ok(if rest == 0.0 {
            0
        } else if (rest - 1.0).abs() < f64::EPSILON {
            1
        } else {
            2
        });
    }
    Ok(u8::from(int_of(val)?.rem_euclid(2) == 1))
}

fn divisible_by(_: &Cx<'_>, val: Val, args: Args) -> Res<bool> {
    let [by] = args.bind(["num"])?;
    let rest = ops::arithmetic(Op::Rem, &val, &required(by, "num")?)?;
    Ok(!ops::truth(&rest)?)
}

fn compare(cx: &Cx<'_>, val: &Val, args: Args, op: Cmp) -> Res<bool> {
    let [other] = args.bind(["other"])?;
    ops::compare(cx, op, val, &required(other, "other")?)
}

fn contains(cx: &Cx<'_>, val: Val, args: Args) -> Res<bool> {
    let [needle] = args.bind(["value"])?;
    ops::contains(cx, &val, &required(needle, "value")?)
}

fn subset(cx: &Cx<'_>, val: &Val, args: Args, reverse: bool) -> Res<bool> {
    let [other] = args.bind(["b"])?;
    let other = required(other, "b")?;
    let (small, large) = if reverse {
        (&other, val)
    } else {
        (val, &other)
    };
    let mut tally = ops::Tally::default();
    for item in ops::iterate(cx, small)? {
        if !tally.either(ops::contains(cx, large, &item), true)? {
            return Ok(false);
        }
    }
    tally.unless(true)
}

/// Has one of the items that truth? An item that cannot be judged is an error even behind one that has it.
fn any_is(cx: &Cx<'_>, val: &Val, wanted: bool) -> Res<bool> {
    let mut tally = ops::Tally::default();
    let mut found = false;
    for item in ops::iterate(cx, val)? {
        found |= tally.either(ops::truth(&item), !wanted)? == wanted;
    }
    if found { Ok(true) } else { tally.unless(false) }
}

fn matches(cx: &Cx<'_>, val: &Val, args: Args, kind: Option<&str>) -> Res<bool> {
    let [pattern, ignorecase, multiline, match_type] =
        args.bind(["pattern", "ignorecase", "multiline", "match_type"])?;
    let pattern = text_or(cx, pattern.as_ref(), "")?;
    let match_type = text_or(cx, match_type.as_ref(), kind.unwrap_or("search"))?;
    let source = match val {
        Val::Str(text) => text.to_string(),
        other => text::str(cx, other)?,
    };
    let regex = filters::pattern(&pattern, ignorecase.as_ref(), multiline.as_ref())?;
    let found = match match_type.as_str() {
        "match" => regex.match_start(&source),
        "fullmatch" => regex.full_match(&source),
        _ => regex.search(&source),
    };
    found
        .map(|found| found.is_some())
        .map_err(|error| Fail::runtime(error.to_string()))
}

fn version_test(cx: &Cx<'_>, val: Val, args: Args) -> Res<bool> {
    let [other, operator, strict, kind] =
        args.bind(["version", "operator", "strict", "version_type"])?;
    let ours = text::str(cx, &val)?;
    let theirs = text::str(cx, &required(other, "version")?)?;
    let operator = text_or(cx, some(operator).as_ref(), "eq")?;
    let strict = match some(strict) {
        Some(strict) => flag(Some(&strict), false)?,
        None => false,
    };
    let kind = text_or(
        cx,
        some(kind).as_ref(),
        if strict { "strict" } else { "loose" },
    )?;
    version::compare(&ours, &theirs, &operator, &kind)
}

fn truthy(cx: &Cx<'_>, val: Val, args: Args) -> Res<bool> {
    let [convert] = args.bind(["convert_bool"])?;
    if flag(convert.as_ref(), false)?
        && let Val::Str(text) = &val
    {
        let _ = cx;
        match text.to_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => return Ok(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => return Ok(false),
            _ => {}
        }
    }
    ops::truth(&val)
}

fn uri(cx: &Cx<'_>, val: &Val, args: Args, with_host: bool, kind: &str) -> Res<bool> {
    let [schemes] = args.bind(["schemes"])?;
    let Val::Str(text) = val else {
        return Ok(false);
    };
    let Some((scheme, rest)) = text.split_once(':') else {
        return Ok(false);
    };
    let well_formed = scheme.starts_with(|ch: char| ch.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || "+-.".contains(ch));
    if !well_formed || (kind == "urn" && !scheme.eq_ignore_ascii_case("urn")) {
        return Ok(false);
    }
    if with_host {
        let host = rest
            .strip_prefix("//")
            .map_or("", |rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
        if host.is_empty() {
            return Ok(false);
        }
    } else if rest.is_empty() {
        return Ok(false);
    }
    match some(schemes) {
        None => Ok(true),
        Some(schemes) => ops::contains(cx, &schemes, &Val::str(scheme.to_ascii_lowercase())),
    }
}

fn result(
    cx: &Cx<'_>,
    val: &Val,
    args: Args,
    name: &str,
    answer: fn(&Cx<'_>, &Val) -> Res<bool>,
) -> Res<bool> {
    args.none()?;
    if !matches!(val, Val::Dict(_)) {
        bail!("The '{name}' test expects a dictionary");
    }
    answer(cx, val)
}

/// Is a field of a task's result there and true?
fn field(cx: &Cx<'_>, val: &Val, name: &str) -> Res<bool> {
    match val {
        Val::Dict(dict) => match dict.get_str(cx, name)? {
            Some(val) => ops::truth(&val),
            None => Ok(false),
        },
        _ => Ok(false),
    }
}

fn failed(cx: &Cx<'_>, val: &Val) -> Res<bool> {
    field(cx, val, "failed")
}

fn changed(cx: &Cx<'_>, val: &Val) -> Res<bool> {
    let Val::Dict(dict) = val else {
        return Ok(false);
    };
    if dict.contains(&crate::value::Key::Str("changed".into())) {
        return field(cx, val, "changed");
    }
    // A loop changed something if one of its items did.
    if let Some(results) = dict.get_str(cx, "results")?
        && matches!(results, Val::List(_) | Val::Seq(_))
    {
        let mut tally = ops::Tally::default();
        for item in ops::iterate(cx, &results)? {
            let holds = match &item {
                Val::Unknown(unknown) => Err(Fail::unknown(unknown.clone())),
                item => field(cx, item, "changed"),
            };
            if tally.either(holds, false)? {
                return Ok(true);
            }
        }
        return tally.unless(false);
    }
    Ok(false)
}

/// `started` and `finished` hold for a result that says nothing, which is that of a task that did not run apart.
fn numeric(cx: &Cx<'_>, val: &Val, name: &str) -> Res<bool> {
    match val {
        Val::Dict(dict) => match dict.get_str(cx, name)? {
            Some(val) => ops::truth(&val),
            None => Ok(true),
        },
        _ => Ok(false),
    }
}
