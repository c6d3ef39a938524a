//! YAML as ansible-core's dumper writes it, which is PyYAML over libyaml: same styles, same line breaks, byte for byte.
//!
//! A value is walked once; each scalar is analysed for the styles it may take (plain, quoted, block) in its place,
//! and written with libyaml's folding at `width`.

mod scalar;

use hostler_value::Value;

pub(crate) use scalar::Scalar;
use scalar::{Analysis, Place};

/// Which collections are written in one line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlowStyle {
    /// None.
    Never,
    /// Those that hold only plain scalars.
    Leaves,
    /// All.
    Always,
}

/// The options of `yaml.dump`.
pub(crate) struct Style {
    pub(crate) indent: usize,
    pub(crate) width: usize,
    pub(crate) flow: FlowStyle,
    pub(crate) sort_keys: bool,
    pub(crate) explicit_start: bool,
    pub(crate) explicit_end: bool,
    /// The style of all text, if the user wants one.
    pub(crate) scalars: Option<Scalar>,
}

impl Default for Style {
    fn default() -> Self {
        Style {
            indent: 2,
            width: 80,
            flow: FlowStyle::Leaves,
            sort_keys: true,
            explicit_start: false,
            explicit_end: false,
            scalars: None,
        }
    }
}

/// The value as a YAML document.
pub(crate) fn dump(value: &Value, style: &Style) -> String {
    let indent = if (2..10).contains(&style.indent) {
        style.indent
    } else {
        2
    };
    let width = if style.width > indent * 2 {
        style.width
    } else {
        80
    };
    let mut emitter = Emitter {
        out: String::new(),
        column: 0,
        whitespace: true,
        indention: true,
        open_ended: false,
        indent: None,
        step: indent,
        width,
        style,
    };
    if style.explicit_start {
        emitter.out.push_str("---");
        emitter.column = 3;
        emitter.whitespace = false;
        emitter.indention = false;
        if is_block(value, style) {
            emitter.write_indent();
        }
    }
    emitter.node(value, &Context::root());
    emitter.write_indent();
    if style.explicit_end || emitter.open_ended {
        emitter.out.push_str("...\n");
    }
    emitter.out
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Map(_))
}

/// Text that the representer would not write plain: PyYAML asks the style it was given, which is none.
fn is_leaf(value: &Value, style: &Style) -> bool {
    is_scalar(value) && (style.scalars.is_none() || !matches!(value, Value::Str(_)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

/// Is it a collection that takes several lines?
fn is_block(value: &Value, style: &Style) -> bool {
    if is_scalar(value) || is_empty(value) {
        return false;
    }
    match style.flow {
        FlowStyle::Never => true,
        FlowStyle::Always => false,
        FlowStyle::Leaves => match value {
            Value::List(items) => !items.iter().all(|item| is_leaf(item, style)),
            Value::Map(map) => !map
                .iter()
                .all(|(key, item)| is_leaf(key, style) && is_leaf(item, style)),
            _ => false,
        },
    }
}

/// Where a node stands.
struct Context {
    mapping: bool,
    simple_key: bool,
    flow: bool,
}

impl Context {
    fn root() -> Self {
        Context {
            mapping: false,
            simple_key: false,
            flow: false,
        }
    }

    fn item(flow: bool) -> Self {
        Context {
            mapping: false,
            simple_key: false,
            flow,
        }
    }

    fn in_mapping(flow: bool, simple_key: bool) -> Self {
        Context {
            mapping: true,
            simple_key,
            flow,
        }
    }
}

pub(super) struct Emitter<'s> {
    out: String,
    column: usize,
    whitespace: bool,
    indention: bool,
    open_ended: bool,
    indent: Option<usize>,
    step: usize,
    width: usize,
    style: &'s Style,
}

impl Emitter<'_> {
    fn put(&mut self, text: &str) {
        self.column += text.chars().count();
        self.out.push_str(text);
    }

    fn break_line(&mut self) {
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
        self.out.push('\n');
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.break_line();
        }
        if self.column < indent {
            self.whitespace = true;
            let pad = " ".repeat(indent - self.column);
            self.put(&pad);
        }
    }

    fn indicator(&mut self, text: &str, need_whitespace: bool, whitespace: bool, indention: bool) {
        if !self.whitespace && need_whitespace {
            self.put(" ");
        }
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
        self.open_ended = false;
        self.put(text);
    }

    fn increase(&mut self, flow: bool, indentless: bool) -> Option<usize> {
        let before = self.indent;
        self.indent = Some(match before {
            None if flow => self.step,
            None => 0,
            Some(indent) if indentless => indent,
            Some(indent) => indent + self.step,
        });
        before
    }

    fn node(&mut self, value: &Value, context: &Context) {
        match value {
            Value::List(_) | Value::Map(_) if context.flow || !is_block(value, self.style) => {
                self.flow(value);
            }
            Value::List(items) => self.block_list(items, context),
            Value::Map(map) => self.block_map(map),
            scalar => self.scalar(scalar, context),
        }
    }

    fn block_list(&mut self, items: &[Value], context: &Context) {
        let indentless = context.mapping && !self.indention;
        let before = self.increase(false, indentless);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, &Context::item(false));
        }
        self.indent = before;
    }

    fn entries<'v>(&self, map: &'v hostler_value::Map) -> Vec<(&'v Value, &'v Value)> {
        let mut entries: Vec<_> = map.iter().collect();
        if self.style.sort_keys && entries.iter().all(|(key, _)| comparable(key, entries[0].0)) {
            entries.sort_by(|(a, _), (b, _)| order(a, b));
        }
        entries
    }

    fn block_map(&mut self, map: &hostler_value::Map) {
        let before = self.increase(false, false);
        for (key, item) in self.entries(map) {
            self.write_indent();
            if Self::is_simple_key(key) {
                self.node(key, &Context::in_mapping(false, true));
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.node(key, &Context::in_mapping(false, false));
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(item, &Context::in_mapping(false, false));
        }
        self.indent = before;
    }

    fn flow(&mut self, value: &Value) {
        let (open, close) = if matches!(value, Value::Map(_)) {
            ("{", "}")
        } else {
            ("[", "]")
        };
        self.indicator(open, true, true, false);
        let before = self.increase(true, false);
        let separate = |emitter: &mut Self, index: usize| {
            if index > 0 {
                emitter.indicator(",", false, false, false);
            }
            if emitter.column > emitter.width {
                emitter.write_indent();
            }
        };
        match value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    separate(self, index);
                    self.node(item, &Context::item(true));
                }
            }
            Value::Map(map) => {
                for (index, (key, item)) in self.entries(map).into_iter().enumerate() {
                    separate(self, index);
                    if Self::is_simple_key(key) {
                        self.node(key, &Context::in_mapping(true, true));
                        self.indicator(":", false, false, false);
                    } else {
                        self.indicator("?", true, false, false);
                        self.node(key, &Context::in_mapping(true, false));
                        if self.column > self.width {
                            self.write_indent();
                        }
                        self.indicator(":", true, false, false);
                    }
                    self.node(item, &Context::in_mapping(true, false));
                }
            }
            _ => {}
        }
        self.indent = before;
        self.indicator(close, false, false, false);
    }

    fn is_simple_key(key: &Value) -> bool {
        match key {
            Value::List(_) | Value::Map(_) => is_empty(key),
            scalar => {
                let text = scalar::canonical(scalar);
                let analysis = Analysis::of(&text);
                text.len() <= 128 && !analysis.multiline
            }
        }
    }

    fn scalar(&mut self, value: &Value, context: &Context) {
        let text = scalar::canonical(value);
        let analysis = Analysis::of(&text);
        let place = Place {
            flow: context.flow,
            simple_key: context.simple_key,
        };
        let wanted = match value {
            Value::Str(_) => self.style.scalars,
            _ => None,
        };
        // What reads back as text only must not be taken for a number, a date or a boolean.
        let implicit = !matches!(value, Value::Str(_)) || scalar::resolves_to_text(&text);
        let before = self.increase(true, false);
        match scalar::choose(&text, &analysis, &place, wanted, implicit) {
            Scalar::Plain => self.plain(&text, !context.simple_key),
            Scalar::Single => self.single_quoted(&text, !context.simple_key),
            Scalar::Double => self.double_quoted(&text, !context.simple_key),
            Scalar::Literal => self.literal(&text),
            Scalar::Folded => self.folded(&text),
        }
        self.indent = before;
    }
}

fn comparable(a: &Value, b: &Value) -> bool {
    matches!(
        (a, b),
        (Value::Str(_), Value::Str(_))
            | (
                Value::Int(_) | Value::Float(_) | Value::Bool(_),
                Value::Int(_) | Value::Float(_) | Value::Bool(_)
            )
    )
}

fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
    if let (Value::Str(a), Value::Str(b)) = (a, b) {
        a.cmp(b)
    } else {
        let number = |value: &Value| match value {
            Value::Bool(bool) => f64::from(u8::from(*bool)),
            other => other.to_float().unwrap_or(0.0),
        };
        number(a).total_cmp(&number(b))
    }
}
