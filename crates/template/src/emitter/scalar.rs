//! Scalars: which styles a text may take, and how each style is written and folded.

use std::fmt::Write;

use hostler_value::Value;

use super::Emitter;

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scalar {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

/// Where a scalar stands.
pub(super) struct Place {
    pub(super) flow: bool,
    pub(super) simple_key: bool,
}

/// What a text allows.
#[expect(
    clippy::struct_excessive_bools,
    reason = "PyYAML's analysis: independent answers about one text"
)]
pub(super) struct Analysis {
    empty: bool,
    pub(super) multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single: bool,
    block: bool,
}

/// The text of a scalar as PyYAML represents it.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(bool) => bool.to_string(),
        Value::Float(float) if float.is_nan() => ".nan".into(),
        Value::Float(float) if float.is_infinite() => {
            if *float > 0.0 { ".inf" } else { "-.inf" }.into()
        }
        Value::Float(_) => {
            let text = value.repr().to_lowercase();
            // "1e17" would be read back as text: PyYAML's float pattern wants a point.
            match text.split_once('e') {
                Some((mantissa, exponent)) if !mantissa.contains('.') => {
                    format!("{mantissa}.0e{exponent}")
                }
                _ => text,
            }
        }
        other => other.to_text(),
    }
}

fn is_break(ch: char) -> bool {
    matches!(ch, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(ch: char) -> bool {
    matches!(ch, '\n' | '\u{85}' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && ch != '\u{feff}'
}

impl Analysis {
    #[expect(
        clippy::too_many_lines,
        reason = "one pass over the characters, as PyYAML does it"
    )]
    pub(super) fn of(text: &str) -> Analysis {
        if text.is_empty() {
            return Analysis {
                empty: true,
                multiline: false,
                flow_plain: false,
                block_plain: true,
                single: true,
                block: false,
            };
        }
        let chars: Vec<char> = text.chars().collect();
        let (mut block_indicators, mut flow_indicators) = (false, false);
        let (mut line_breaks, mut special) = (false, false);
        let (mut leading_space, mut leading_break) = (false, false);
        let (mut trailing_space, mut trailing_break) = (false, false);
        let (mut break_space, mut space_break) = (false, false);
        if text.starts_with("---") || text.starts_with("...") {
            block_indicators = true;
            flow_indicators = true;
        }
        let white = |at: usize| {
            chars
                .get(at)
                .is_none_or(|ch| matches!(ch, '\0' | ' ' | '\t' | '\r') || is_break(*ch))
        };
        let mut preceded = true;
        let mut followed = white(1);
        let (mut previous_space, mut previous_break) = (false, false);
        let last = chars.len() - 1;
        for (at, ch) in chars.iter().copied().enumerate() {
            if at == 0 {
                if "#,[]{}&*!|>'\"%@`".contains(ch) {
                    flow_indicators = true;
                    block_indicators = true;
                }
                if matches!(ch, '?' | ':') {
                    flow_indicators = true;
                    block_indicators = block_indicators || followed;
                }
                if ch == '-' && followed {
                    flow_indicators = true;
                    block_indicators = true;
                }
            } else {
                if ",?[]{}".contains(ch) {
                    flow_indicators = true;
                }
                if ch == ':' {
                    flow_indicators = true;
                    block_indicators = block_indicators || followed;
                }
                if ch == '#' && preceded {
                    flow_indicators = true;
                    block_indicators = true;
                }
            }
            line_breaks = line_breaks || is_break(ch);
            special = special || !is_printable(ch);
            if ch == ' ' {
                leading_space = leading_space || at == 0;
                trailing_space = trailing_space || at == last;
                break_space = break_space || previous_break;
                (previous_space, previous_break) = (true, false);
            } else if is_break(ch) {
                leading_break = leading_break || at == 0;
                trailing_break = trailing_break || at == last;
                space_break = space_break || previous_space;
                (previous_space, previous_break) = (false, true);
            } else {
                (previous_space, previous_break) = (false, false);
            }
            preceded = matches!(ch, '\0' | ' ' | '\t' | '\r') || is_break(ch);
            followed = white(at + 2);
        }
        let mut found = Analysis {
            empty: false,
            multiline: line_breaks,
            flow_plain: true,
            block_plain: true,
            single: true,
            block: true,
        };
        if leading_space || leading_break || trailing_space || trailing_break {
            found.flow_plain = false;
            found.block_plain = false;
        }
        if trailing_space {
            found.block = false;
        }
        if break_space {
            found.flow_plain = false;
            found.block_plain = false;
            found.single = false;
        }
        if space_break || special {
            found.flow_plain = false;
            found.block_plain = false;
            found.single = false;
            found.block = false;
        }
        if line_breaks {
            found.flow_plain = false;
            found.block_plain = false;
        }
        if flow_indicators {
            found.flow_plain = false;
        }
        if block_indicators {
            found.block_plain = false;
        }
        found
    }
}

/// PyYAML's choice of style.
pub(super) fn choose(
    text: &str,
    analysis: &Analysis,
    place: &Place,
    wanted: Option<Scalar>,
    implicit: bool,
) -> Scalar {
    if wanted == Some(Scalar::Double) {
        return Scalar::Double;
    }
    let plain_allowed = if place.flow {
        analysis.flow_plain
    } else {
        analysis.block_plain
    };
    if wanted.is_none()
        && implicit
        && !(place.simple_key && (analysis.empty || analysis.multiline))
        && plain_allowed
    {
        return Scalar::Plain;
    }
    if let Some(style @ (Scalar::Literal | Scalar::Folded)) = wanted {
        let allowed = !place.flow && !place.simple_key && analysis.block;
        return if allowed { style } else { Scalar::Double };
    }
    if analysis.single && !(place.simple_key && text.contains('\n')) {
        return Scalar::Single;
    }
    Scalar::Double
}

/// Would PyYAML's resolver read the plain text as text?
pub(super) fn resolves_to_text(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    !(matches!(
        first,
        'y' | 'Y' | 'n' | 'N' | 't' | 'T' | 'f' | 'F' | 'o' | 'O'
    ) && is_bool(text)
        || (matches!(first, '-' | '+' | '.') || first.is_ascii_digit())
            && (is_int(text) || is_float(text) || is_timestamp(text))
        || matches!(text, "~" | "null" | "Null" | "NULL" | "<<" | "="))
}

fn is_bool(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let cased = text == lower || text == text.to_ascii_uppercase() || {
        let mut chars = text.chars();
        chars.next().is_some_and(char::is_uppercase) && chars.all(char::is_lowercase)
    };
    cased
        && matches!(
            lower.as_str(),
            "yes" | "no" | "true" | "false" | "on" | "off"
        )
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn is_int(text: &str) -> bool {
    let body = unsigned(text);
    let digits = |text: &str, allowed: fn(char) -> bool| {
        !text.is_empty() && text.chars().all(|ch| ch == '_' || allowed(ch))
    };
    if let Some(rest) = body.strip_prefix("0b") {
        return digits(rest, |ch| matches!(ch, '0' | '1'));
    }
    if let Some(rest) = body.strip_prefix("0x") {
        return digits(rest, |ch| ch.is_ascii_hexdigit());
    }
    if body == "0" {
        return true;
    }
    if let Some(rest) = body.strip_prefix('0') {
        return digits(rest, |ch| ('0'..='7').contains(&ch));
    }
    if !body.starts_with(|ch: char| ch.is_ascii_digit()) {
        return false;
    }
    let mut parts = body.split(':');
    let head = parts.next().unwrap_or("");
    digits(head, |ch| ch.is_ascii_digit()) && parts.all(is_sixtieth)
}

/// `[0-5]?[0-9]`: a part of a base-60 number.
fn is_sixtieth(part: &str) -> bool {
    let bytes = part.as_bytes();
    match bytes {
        [one] => one.is_ascii_digit(),
        [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
        _ => false,
    }
}

fn is_float(text: &str) -> bool {
    let body = unsigned(text);
    if matches!(body, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let digits = |text: &str| text.chars().all(|ch| ch == '_' || ch.is_ascii_digit());
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let rest = exponent.strip_prefix(['-', '+']);
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|ch| ch.is_ascii_digit()))
    });
    let Some((whole, fraction)) = mantissa.split_once('.') else {
        return false;
    };
    if whole.is_empty() {
        return body == text && !fraction.is_empty() && digits(fraction) && exponent_fits
            || !fraction.is_empty()
                && digits(fraction)
                && exponent_fits
                && body.len() == text.len();
    }
    if !whole.starts_with(|ch: char| ch.is_ascii_digit()) {
        return false;
    }
    if whole.contains(':') {
        let mut parts = whole.split(':');
        let head = parts.next().unwrap_or("");
        return exponent.is_none() && digits(head) && parts.all(is_sixtieth) && digits(fraction);
    }
    digits(whole) && digits(fraction) && exponent_fits
}

/// A date, or a date with a time.
fn is_timestamp(text: &str) -> bool {
    let numbers = |text: &str, counts: std::ops::RangeInclusive<usize>| {
        counts.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let split = text.find(['T', 't', ' ', '\t']).unwrap_or(text.len());
    let (date, time) = text.split_at(split);
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let date_fits = |short: usize| {
        year.is_some_and(|part| numbers(part, 4..=4))
            && month.is_some_and(|part| numbers(part, short..=2))
            && day.is_some_and(|part| numbers(part, short..=2))
    };
    if parts.next().is_some() {
        return false;
    }
    if time.is_empty() {
        return date_fits(2);
    }
    let time = if time.starts_with(['T', 't']) {
        &time[1..]
    } else {
        time.trim_start_matches([' ', '\t'])
    };
    let zone_at = time.find(['Z', '+', '-', ' ', '\t']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next(), parts.next(), parts.next());
    let second = second.map(|second| second.split_once('.').unwrap_or((second, "")));
    let zone = zone.trim_start_matches([' ', '\t']);
    let zone_fits = zone.is_empty()
        || zone == "Z"
        || zone.strip_prefix(['-', '+']).is_some_and(|zone| {
            let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "00"));
            numbers(hours, 1..=2) && numbers(minutes, 2..=2)
        });
    date_fits(1)
        && parts.next().is_none()
        && hour.is_some_and(|part| numbers(part, 1..=2))
        && minute.is_some_and(|part| numbers(part, 2..=2))
        && second.is_some_and(|(whole, fraction)| {
            numbers(whole, 2..=2) && fraction.bytes().all(|byte| byte.is_ascii_digit())
        })
        && zone_fits
}

/// Runs of equal class: blanks, line breaks, anything else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Blank,
    Break,
    Text,
}

fn class(ch: char) -> Class {
    match ch {
        ' ' => Class::Blank,
        ch if is_break(ch) => Class::Break,
        _ => Class::Text,
    }
}

fn runs(text: &str) -> Vec<(Class, &str)> {
    let mut out: Vec<(Class, &str)> = Vec::new();
    let mut start = 0;
    let mut current = None;
    for (at, ch) in text.char_indices() {
        let class = class(ch);
        if let Some(before) = current
            && before != class
        {
            out.push((before, &text[start..at]));
            start = at;
        }
        current = Some(class);
    }
    if let Some(class) = current {
        out.push((class, &text[start..]));
    }
    out
}

impl Emitter<'_> {
    fn breaks(&mut self, text: &str) {
        if text.starts_with('\n') {
            self.break_line();
        }
        for ch in text.chars() {
            if ch == '\n' {
                self.break_line();
            } else {
                self.out.push(ch);
                self.column = 0;
                self.indention = true;
            }
        }
    }

    pub(super) fn plain(&mut self, text: &str, split: bool) {
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.put(" ");
        }
        self.whitespace = false;
        self.indention = false;
        let runs = runs(text);
        for (index, (class, run)) in runs.iter().enumerate() {
            match class {
                Class::Blank
                    if run.len() == 1 && split && self.column > self.width && index > 0 =>
                {
                    self.write_indent();
                    self.whitespace = false;
                    self.indention = false;
                }
                Class::Break => {
                    self.breaks(run);
                    self.write_indent();
                    self.whitespace = false;
                    self.indention = false;
                }
                Class::Blank | Class::Text => self.put(run),
            }
        }
    }

    pub(super) fn single_quoted(&mut self, text: &str, split: bool) {
        self.indicator("'", true, false, false);
        let runs = runs(text);
        let last = runs.len().saturating_sub(1);
        for (index, (class, run)) in runs.iter().enumerate() {
            match class {
                Class::Blank
                    if run.len() == 1
                        && split
                        && self.column > self.width
                        && index > 0
                        && index < last =>
                {
                    self.write_indent();
                }
                Class::Break => {
                    self.breaks(run);
                    self.write_indent();
                }
                Class::Blank | Class::Text => self.put(&run.replace('\'', "''")),
            }
        }
        self.indicator("'", false, false, false);
    }

    pub(super) fn double_quoted(&mut self, text: &str, split: bool) {
        self.indicator("\"", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let mut spaces = false;
        for (at, ch) in chars.iter().copied().enumerate() {
            if ch == ' ' {
                let inner = at > 0 && at + 1 < chars.len();
                if split && !spaces && inner && self.column > self.width {
                    self.write_indent();
                    if chars.get(at + 1) == Some(&' ') {
                        self.put("\\");
                    }
                } else {
                    self.put(" ");
                }
                spaces = true;
                continue;
            }
            spaces = false;
            if matches!(ch, '"' | '\\') || is_break(ch) || !is_printable(ch) {
                self.put(&escape(ch));
            } else {
                self.put(ch.encode_utf8(&mut [0; 4]));
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn block_hints(&mut self, text: &str) -> String {
        let mut hints = String::new();
        if text.starts_with(' ') || text.starts_with(is_break) {
            let _ = write!(hints, "{}", self.step);
        }
        if !text.ends_with(is_break) {
            hints.push('-');
        } else if text.chars().count() == 1 || text.chars().rev().nth(1).is_some_and(is_break) {
            hints.push('+');
        }
        hints
    }

    pub(super) fn literal(&mut self, text: &str) {
        let hints = self.block_hints(text);
        self.indicator(&format!("|{hints}"), true, false, false);
        self.open_ended = hints.ends_with('+');
        self.break_line();
        for (class, run) in runs_of_lines(text) {
            if class == Class::Break {
                for _ in run.chars() {
                    self.break_line();
                }
            } else {
                self.write_indent();
                self.put(run);
            }
        }
        if !text.ends_with(is_break) {
            self.break_line();
        }
    }

    pub(super) fn folded(&mut self, text: &str) {
        let hints = self.block_hints(text);
        self.indicator(&format!(">{hints}"), true, false, false);
        self.open_ended = hints.ends_with('+');
        self.break_line();
        let mut leading_space = true;
        let mut started = false;
        for (class, line) in runs_of_lines(text) {
            if class == Class::Break {
                let next_blank = false;
                if started && !leading_space && !next_blank && line.starts_with('\n') {
                    self.break_line();
                }
                for _ in line.chars() {
                    self.break_line();
                }
                continue;
            }
            started = true;
            leading_space = line.starts_with(' ');
            self.write_indent();
            for (class, run) in runs(line) {
                if class == Class::Blank && run.len() == 1 && self.column > self.width {
                    self.write_indent();
                } else {
                    self.put(run);
                }
            }
        }
        if !text.ends_with(is_break) {
            self.break_line();
        }
    }
}

/// Lines and the breaks between them.
fn runs_of_lines(text: &str) -> Vec<(Class, &str)> {
    let mut out: Vec<(Class, &str)> = Vec::new();
    let mut start = 0;
    let mut current: Option<bool> = None;
    for (at, ch) in text.char_indices() {
        let broken = is_break(ch);
        if let Some(before) = current
            && before != broken
        {
            out.push((
                if before { Class::Break } else { Class::Text },
                &text[start..at],
            ));
            start = at;
        }
        current = Some(broken);
    }
    if let Some(broken) = current {
        out.push((
            if broken { Class::Break } else { Class::Text },
            &text[start..],
        ));
    }
    out
}

fn escape(ch: char) -> String {
    let short = match ch {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        ch => {
            let code = ch as u32;
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}
