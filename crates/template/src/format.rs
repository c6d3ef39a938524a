//! Python's two ways to format text: `'%s' % x` and `'{}'.format(x)`.

use std::sync::Arc;

use crate::args::Args;
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::text;
use crate::value::{Key, SeqKind, Val};

/// Widest field and highest precision.
const FIELD_MAX: usize = 1_000_000;

/// How one field is laid out: Python's format specification.
#[derive(Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Spec {
    fn pad(&self, sign: &str, body: &str, default_align: char) -> Res<String> {
        let len = sign.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(len);
        if missing > FIELD_MAX {
            return Err(text::too_long());
        }
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        let align = self
            .align
            .unwrap_or(if self.zero { '=' } else { default_align });
        let pad = |n: usize| fill.to_string().repeat(n);
        Ok(match align {
            '<' => format!("{sign}{body}{}", pad(missing)),
            '^' => format!(
                "{}{sign}{body}{}",
                pad(missing / 2),
                pad(missing - missing / 2)
            ),
            '=' => format!("{sign}{}{body}", pad(missing)),
            _ => format!("{}{sign}{body}", pad(missing)),
        })
    }

    fn sign_of(&self, negative: bool) -> String {
        match (negative, self.sign) {
            (true, _) => "-".into(),
            (false, Some('+')) => "+".into(),
            (false, Some(' ')) => " ".into(),
            _ => String::new(),
        }
    }

    fn integer(&self, int: i128) -> Res<String> {
        let size = int.unsigned_abs();
        let (prefix, mut digits) = match self.kind {
            Some('x') => ("0x", format!("{size:x}")),
            Some('X') => ("0X", format!("{size:X}")),
            Some('o') => ("0o", format!("{size:o}")),
            Some('b') => ("0b", format!("{size:b}")),
            _ => ("", size.to_string()),
        };
        if let Some(precision) = self.precision {
            let missing = precision.saturating_sub(digits.len()).min(FIELD_MAX);
            digits.insert_str(0, &"0".repeat(missing));
        }
        if let Some(mark) = self.grouping {
            digits = grouped(&digits, mark);
        }
        let prefix = if self.alternate { prefix } else { "" };
        self.pad(&format!("{}{prefix}", self.sign_of(int < 0)), &digits, '>')
    }

    fn float(&self, float: f64) -> Res<String> {
        let precision = self.precision.unwrap_or(6).min(1000);
        let size = float.abs();
        let kind = self.kind.unwrap_or('r');
        let mut body = if float.is_nan() {
            "nan".to_owned()
        } else if float.is_infinite() {
            "inf".to_owned()
        } else {
            match kind {
                'f' | 'F' => format!("{size:.precision$}"),
                '%' => format!("{:.precision$}%", size * 100.0),
                'e' | 'E' => exponent_form(size, precision),
                'g' | 'G' => general_form(size, precision.max(1), self.alternate),
                _ if self.precision.is_some() => general_form(size, precision.max(1), false),
                _ => hostler_value::Value::Float(size).repr(),
            }
        };
        if kind.is_uppercase() {
            body = body.to_uppercase();
        }
        if let Some(mark) = self.grouping {
            let split = body.find('.').unwrap_or(body.len());
            body = format!("{}{}", grouped(&body[..split], mark), &body[split..]);
        }
        self.pad(
            &self.sign_of(float.is_sign_negative() && !float.is_nan()),
            &body,
            '>',
        )
    }

    fn text(&self, body: &str) -> Res<String> {
        let cut: String = match self.precision {
            Some(precision) => body.chars().take(precision).collect(),
            None => body.to_owned(),
        };
        self.pad("", &cut, '<')
    }
}

fn grouped(digits: &str, mark: char) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(mark);
        }
        out.push(digit);
    }
    out
}

fn exponent_form(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn general_form(size: f64, precision: usize, keep_zeros: bool) -> String {
    let scientific = exponent_form(size, precision - 1);
    let exponent: i32 = scientific
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    let trimmed = |text: &str| {
        if keep_zeros || !text.contains('.') {
            text.to_owned()
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
        return format!("{}e{exponent}", trimmed(digits));
    }
    let places = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{size:.places$}"))
}

/// Takes digits off the front.
fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Res<Option<usize>> {
    let mut found = None;
    while let Some(digit) = chars.peek().and_then(|ch| ch.to_digit(10)) {
        chars.next();
        let so_far: usize = found.unwrap_or(0);
        let grown = so_far.saturating_mul(10).saturating_add(digit as usize);
        if grown > FIELD_MAX {
            return Err(Fail::limit("a format's width or precision is too large"));
        }
        found = Some(grown);
    }
    Ok(found)
}

/// The arguments of `%`: a tuple one by one, a mapping by name, anything else alone.
struct Given<'a> {
    all: &'a Val,
    items: Vec<Val>,
    next: usize,
}

impl Given<'_> {
    fn take(&mut self) -> Res<Val> {
        let found = self.items.get(self.next).cloned();
        self.next += 1;
        found.ok_or_else(|| Fail::runtime("not enough arguments for format string"))
    }

    fn width(&mut self) -> Res<usize> {
        let val = self.take()?;
        match ops::integer(&val).and_then(|int| usize::try_from(int).ok()) {
            Some(width) if width <= FIELD_MAX => Ok(width),
            _ => bail!("* wants int"),
        }
    }
}

/// `template % given`.
pub(crate) fn printf(cx: &Cx<'_>, template: &str, given: &Val) -> Res<Val> {
    let items = match given {
        Val::Seq(seq) if matches!(seq.kind, SeqKind::Tuple | SeqKind::Group) => seq.items.clone(),
        other => vec![other.clone()],
    };
    let mut given = Given {
        all: given,
        items,
        next: 0,
    };
    let mut out = String::new();
    let mut by_name = false;
    let mut chars = template.chars().peekable();
    while let Some(ch) = chars.next() {
        if ch != '%' {
            out.push(ch);
            continue;
        }
        let mut name: Option<Arc<str>> = None;
        if chars.next_if_eq(&'(').is_some() {
            let inner: String = chars.by_ref().take_while(|ch| *ch != ')').collect();
            name = Some(inner.into());
            by_name = true;
        }
        let mut spec = Spec::default();
        while let Some(mark) = chars.next_if(|ch| "-+ #0".contains(*ch)) {
            match mark {
                '-' => spec.align = Some('<'),
                '#' => spec.alternate = true,
                '0' => spec.zero = true,
                '+' => spec.sign = Some('+'),
                _ => spec.sign = spec.sign.or(Some(' ')),
            }
        }
        if spec.align.is_some() {
            spec.zero = false;
        }
        spec.width = match chars.next_if_eq(&'*') {
            Some(_) => given.width()?,
            None => digits(&mut chars)?.unwrap_or(0),
        };
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(match chars.next_if_eq(&'*') {
                Some(_) => given.width()?,
                None => digits(&mut chars)?.unwrap_or(0),
            });
        }
        while chars.next_if(|ch| matches!(ch, 'h' | 'l' | 'L')).is_some() {}
        let Some(kind) = chars.next() else {
            bail!("incomplete format");
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let val = match &name {
            None => given.take()?,
            Some(name) => match given.all {
                Val::Dict(dict) => match dict.get(cx, &Key::Str(name.clone()))? {
                    Some(val) => val,
                    None => bail!("'{name}'"),
                },
                _ => bail!("format requires a mapping"),
            },
        };
        let field = printf_field(cx, &val, kind, spec)?;
        text::push(&mut out, &field)?;
    }
    let leftover = given.next < given.items.len();
    if leftover && !by_name && !matches!(given.all, Val::Dict(_)) {
        bail!("not all arguments converted during string formatting");
    }
    Ok(Val::str(out))
}

fn printf_field(cx: &Cx<'_>, val: &Val, kind: char, mut spec: Spec) -> Res<String> {
    if let Val::Undef(undef) = val {
        return Err(undef.trip());
    }
    spec.kind = Some(kind);
    let right = |mut spec: Spec, body: &str| {
        spec.zero = false;
        spec.align = spec.align.or(Some('>'));
        spec.text(body)
    };
    match kind {
        's' => right(spec, &text::str(cx, val)?),
        'r' | 'a' => right(spec, &text::repr(cx, val)?),
        'c' => match val {
            Val::Str(one) if one.chars().count() == 1 => right(spec, one),
            Val::Int(code) => match u32::try_from(*code).ok().and_then(char::from_u32) {
                Some(ch) => right(spec, &ch.to_string()),
                None => bail!("%c arg not in range(0x110000)"),
            },
            _ => bail!("%c requires int or char"),
        },
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
            let int = match val {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "as %d does, which cuts the fraction"
                )]
                Val::Float(float) if matches!(kind, 'd' | 'i' | 'u') && float.is_finite() => {
                    Some(float.trunc() as i128)
                }
                other => ops::integer(other),
            };
            match int {
                Some(int) => spec.integer(int),
                None if matches!(kind, 'd' | 'i' | 'u') => {
                    bail!(
                        "%{kind} format: a real number is required, not {}",
                        val.type_name()
                    )
                }
                None => bail!(
                    "%{kind} format: an integer is required, not {}",
                    val.type_name()
                ),
            }
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => match ops::number(val) {
            Some(float) => spec.float(float),
            None => bail!("must be real number, not {}", val.type_name()),
        },
        other => bail!(
            "unsupported format character '{other}' ({:#x})",
            other as u32
        ),
    }
}

/// `template.format(args)`.
pub(crate) fn braces(cx: &Cx<'_>, template: &str, args: &Args) -> Res<Val> {
    let mut out = String::new();
    let mut auto = 0;
    braces_into(cx, template, args, &mut auto, &mut out, 2)?;
    Ok(Val::str(out))
}

fn braces_into(
    cx: &Cx<'_>,
    template: &str,
    args: &Args,
    auto: &mut usize,
    out: &mut String,
    depth: u8,
) -> Res<()> {
    if depth == 0 {
        bail!("Max string recursion exceeded");
    }
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        text::push(out, &rest[..at])?;
        let mark = &rest[at..=at];
        let tail = &rest[at + 1..];
        if let Some(tail) = tail.strip_prefix(mark) {
            out.push_str(mark);
            rest = tail;
            continue;
        }
        if mark == "}" {
            bail!("Single '}}' encountered in format string");
        }
        let Some(end) = matching_brace(tail) else {
            bail!("expected '}}' before end of string");
        };
        let field = braces_field(cx, &tail[..end], args, auto, depth)?;
        text::push(out, &field)?;
        rest = &tail[end + 1..];
    }
    text::push(out, rest)
}

fn matching_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, ch) in text.char_indices() {
        match ch {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn braces_field(cx: &Cx<'_>, field: &str, args: &Args, auto: &mut usize, depth: u8) -> Res<String> {
    let (name, spec) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) = match name.split_once('!') {
        Some((name, conversion)) => (name, Some(conversion)),
        None => (name, None),
    };
    let split = name.find(['.', '[']).unwrap_or(name.len());
    let (head, mut path) = name.split_at(split);
    let mut val = if head.is_empty() {
        *auto += 1;
        args.pos.get(*auto - 1).cloned()
    } else if let Ok(index) = head.parse::<usize>() {
        args.pos.get(index).cloned()
    } else {
        args.named
            .iter()
            .find(|(name, _)| &**name == head)
            .map(|(_, val)| val.clone())
    }
    .ok_or_else(|| {
        Fail::runtime(if head.is_empty() || head.parse::<usize>().is_ok() {
            "Replacement index out of range for positional args tuple".to_owned()
        } else {
            format!("'{head}'")
        })
    })?;
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('.') {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            val = ops::attribute(cx, &val, &rest[..end].into())?;
            path = &rest[end..];
        } else if let Some((key, rest)) =
            path.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        {
            let key = key.parse().map_or_else(|_| Val::str(key), Val::Int);
            val = ops::item(cx, &val, &key)?;
            path = rest;
        } else {
            bail!("Only '.' or '[' may follow ']' in format field specifier");
        }
    }
    if let Val::Undef(undef) = &val {
        return Err(undef.trip());
    }
    val = match conversion {
        None => val,
        Some("r" | "a") => Val::str(text::repr(cx, &val)?),
        Some("s") => Val::str(text::str(cx, &val)?),
        Some(other) => bail!("Unknown conversion specifier {other}"),
    };
    let mut expanded = String::new();
    braces_into(cx, spec, args, auto, &mut expanded, depth - 1)?;
    formatted(cx, &val, &expanded)
}

/// Python's `format(value, spec)`.
fn formatted(cx: &Cx<'_>, val: &Val, spec_text: &str) -> Res<String> {
    if spec_text.is_empty() {
        return text::str(cx, val);
    }
    let spec = parse_spec(spec_text)?;
    let unknown = |kind: char| {
        Fail::runtime(format!(
            "Unknown format code '{kind}' for object of type '{}'",
            val.type_name()
        ))
    };
    match val {
        Val::Str(body) => match spec.kind {
            None | Some('s') => spec.text(body),
            Some(kind) => Err(unknown(kind)),
        },
        Val::Bool(bool) if spec.kind.is_none() => spec.text(if *bool { "True" } else { "False" }),
        Val::Bool(_) | Val::Int(_) => {
            let int = ops::integer(val).unwrap_or(0);
            match spec.kind {
                None | Some('d' | 'x' | 'X' | 'o' | 'b' | 'n') => spec.integer(int),
                Some('c') => spec.text(
                    &u32::try_from(int)
                        .ok()
                        .and_then(char::from_u32)
                        .map(String::from)
                        .unwrap_or_default(),
                ),
                #[expect(clippy::cast_precision_loss, reason = "as Python's float() does")]
                Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => spec.float(int as f64),
                Some(kind) => Err(unknown(kind)),
            }
        }
        Val::Float(float) => match spec.kind {
            None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%' | 'n') => spec.float(*float),
            Some(kind) => Err(unknown(kind)),
        },
        other => bail!(
            "unsupported format string passed to {}.__format__",
            other.type_name()
        ),
    }
}

fn parse_spec(text: &str) -> Res<Spec> {
    let mut spec = Spec::default();
    let is_align = |ch: char| matches!(ch, '<' | '>' | '=' | '^');
    let mut chars = text.chars().peekable();
    let mut ahead = text.chars();
    match (ahead.next(), ahead.next()) {
        (Some(fill), Some(align)) if is_align(align) => {
            spec.fill = Some(fill);
            spec.align = Some(align);
            chars.next();
            chars.next();
        }
        (Some(align), _) if is_align(align) => {
            spec.align = Some(align);
            chars.next();
        }
        _ => {}
    }
    spec.sign = chars.next_if(|ch| matches!(ch, '+' | '-' | ' '));
    spec.alternate = chars.next_if_eq(&'#').is_some();
    spec.zero = chars.next_if_eq(&'0').is_some();
    spec.width = digits(&mut chars)?.unwrap_or(0);
    spec.grouping = chars.next_if(|ch| matches!(ch, ',' | '_'));
    if chars.next_if_eq(&'.').is_some() {
        spec.precision = Some(
            digits(&mut chars)?
                .ok_or_else(|| Fail::runtime("Format specifier missing precision"))?,
        );
    }
    spec.kind = chars.next();
    if chars.next().is_some() {
        bail!("Invalid format specifier '{text}'");
    }
    Ok(spec)
}
