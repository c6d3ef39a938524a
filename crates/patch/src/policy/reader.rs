//! From a YAML tree to the form of the types, checked against their own JSON schema: every problem is reported at its place.
//!
//! The schema says which keys there are, of what kind they are and what their texts mean (`format`); so there is one
//! description of a policy, its types, from which reader, schema and documentation follow.

use hostler_diag::{Diagnostic, SourceMap, did_you_mean};
use hostler_schedule::{parse_date, parse_date_time, parse_duration, parse_time};
use hostler_value::Value as Data;
use hostler_yaml::{Node, NodeKind};
use serde_json::{Map, Value};

use super::scalars::parse_bytes;
use super::waves::WaveHosts;
use crate::amount::Amount;

/// Longest text of a policy, bytes.
const TEXT_MAX: usize = 16 * 1024;

pub(super) struct Reader<'a> {
    root: &'a Value,
    sources: &'a SourceMap,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Value, sources: &'a SourceMap) -> Self {
        Reader {
            root,
            sources,
            diagnostics: Vec::new(),
        }
    }

    fn wrong(&mut self, node: &Node, message: String) {
        self.diagnostics
            .push(Diagnostic::error("policy-value", message).at(node.span));
    }

    /// A part of the schema without references.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        // Definitions refer to definitions only a few times over; the bound is against circles.
        for _ in 0..8 {
            let Some(name) = schema.get("$ref").and_then(Value::as_str) else {
                break;
            };
            let found = name
                .strip_prefix("#/$defs/")
                .and_then(|name| self.root.get("$defs")?.get(name));
            match found {
                Some(found) => schema = found,
                None => break,
            }
        }
        schema
    }

    /// Reads a node as the schema says. `what` names it in messages. `None` if there was something to report.
    pub(super) fn read(&mut self, node: &Node, schema: &'a Value, what: &str) -> Option<Value> {
        let schema = self.resolve(schema);
        if let Some(choices) = alternatives(schema) {
            return self.read_choice(node, choices, what);
        }
        if let Some(words) = words(schema) {
            return self.read_word(node, &words, what);
        }
        match kind(schema) {
            "object" => self.read_map(node, schema, what),
            "array" => self.read_list(node, schema, what),
            "string" => self.read_text(node, schema, what),
            "integer" | "number" => self.read_number(node, schema, what),
            "boolean" => self.read_bool(node, what),
            _ => {
                self.wrong(node, format!("{what} cannot be read"));
                None
            }
        }
    }

    fn read_bool(&mut self, node: &Node, what: &str) -> Option<Value> {
        if let NodeKind::Data(Data::Bool(value)) = &node.kind {
            return Some(Value::Bool(*value));
        }
        let found = node.kind_name();
        self.wrong(
            node,
            format!("{what} must be true or false, this is {found}"),
        );
        None
    }

    /// Several forms: the one that is of the node's kind.
    fn read_choice(&mut self, node: &Node, all: &'a [Value], what: &str) -> Option<Value> {
        let choices: Vec<&Value> = all.iter().map(|it| self.resolve(it)).collect();
        let texts = choices.iter().flat_map(|it| words(it).unwrap_or_default());
        let texts: Vec<String> = texts.collect();
        if !texts.is_empty() && node.as_map().is_none() && node.as_list().is_none() {
            return self.read_word(node, &texts, what);
        }
        let fits = |wanted: &[&str]| {
            choices
                .iter()
                .find(|it| wanted.contains(&kind(it)))
                .copied()
        };
        let found = match &node.kind {
            NodeKind::Map(_) => fits(&["object"]),
            NodeKind::List(_) => fits(&["array"]),
            NodeKind::Data(Data::Int(_) | Data::Float(_)) => {
                fits(&["integer", "number"]).or_else(|| fits(&["string"]))
            }
            NodeKind::Data(Data::Bool(_)) => fits(&["boolean"]).or_else(|| fits(&["string"])),
            _ => fits(&["string"]).or_else(|| fits(&["array"])),
        };
        // Forms that hold other forms (a list of targets, a mapping of them).
        let inner = choices
            .iter()
            .filter_map(|it| alternatives(it))
            .find(|_| found.is_none());
        match (found, inner) {
            (Some(schema), _) => self.read(node, schema, what),
            (None, Some(inner)) => self.read_choice(node, inner, what),
            (None, None) => {
                let kinds: Vec<&str> = choices.iter().map(|it| kind_for_people(it)).collect();
                let kinds = kinds.join(" or ");
                let found = node.kind_name();
                self.wrong(node, format!("{what} must be {kinds}, this is {found}"));
                None
            }
        }
    }

    fn read_word(&mut self, node: &Node, words: &[String], what: &str) -> Option<Value> {
        // `no`, `on` and `null` are no texts in YAML; what stands in the file decides.
        let text = match node.as_str() {
            Some(text) => text.to_owned(),
            None if node.as_map().is_none() && node.as_list().is_none() => {
                self.sources.slice(node.span)
            }
            None => String::new(),
        };
        if words.contains(&text) {
            return Some(Value::String(text));
        }
        let list = words.join(", ");
        let message = if text.is_empty() {
            format!("{what} is one of: {list}")
        } else {
            format!("{what} is one of: {list}; not `{}`", short(&text))
        };
        let problem = Diagnostic::error("policy-value", message).at(node.span);
        let known = words.iter().map(String::as_str);
        self.diagnostics.push(problem.suggest(&text, known));
        None
    }

    fn read_map(&mut self, node: &Node, schema: &'a Value, what: &str) -> Option<Value> {
        let Some(map) = node.as_map() else {
            let found = node.kind_name();
            self.wrong(node, format!("{what} must be a mapping, this is {found}"));
            return None;
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema
            .get("additionalProperties")
            .filter(|it| it.is_object());
        let names = schema.get("propertyNames");
        let mut read = Map::new();
        let mut whole = true;
        for (key, value) in &map.entries {
            // `on` is a truth value in YAML 1.1; as a key it is what stands in the file.
            let written = match &key.kind {
                NodeKind::Data(Data::Bool(_)) => Some(self.sources.slice(key.span)),
                _ => None,
            };
            let Some(name) = key.as_str().or(written.as_deref()) else {
                let found = key.kind_name();
                self.wrong(
                    key,
                    format!("a key of {what} must be text, this is {found}"),
                );
                whole = false;
                continue;
            };
            let known = properties.and_then(|it| it.get(name)).or(others);
            let Some(known) = known else {
                self.unknown_key(key, name, what, properties);
                whole = false;
                continue;
            };
            if let Some(names) = names
                && self.read(key, names, &format!("a key of {what}")).is_none()
            {
                whole = false;
            }
            if value.is_null() && !allows_null(known) {
                if others.is_some() || required(schema).any(|it| it == name) {
                    self.wrong(key, format!("`{name}` has no value"));
                    whole = false;
                }
                continue;
            }
            match self.read(value, known, &format!("`{name}`")) {
                Some(value) => {
                    read.insert(name.to_owned(), value);
                }
                None => whole = false,
            }
        }
        for missing in required(schema).filter(|it| map.get(it).is_none()) {
            let problem = Diagnostic::error("policy-missing", format!("{what} needs `{missing}`"));
            self.diagnostics.push(problem.at(node.span));
            whole = false;
        }
        whole.then_some(Value::Object(read))
    }

    fn unknown_key(
        &mut self,
        key: &Node,
        name: &str,
        what: &str,
        properties: Option<&Map<String, Value>>,
    ) {
        let known: Vec<&str> =
            properties.map_or_else(Vec::new, |it| it.keys().map(String::as_str).collect());
        let message = format!("{what} has no key `{}`", short(name));
        let problem = Diagnostic::error("unknown-key", message).at(key.span);
        let problem = match did_you_mean(name, known.iter().copied()) {
            Some(best) => problem.hint(format!("did you mean `{best}`?")),
            None => match elsewhere(self.root, name) {
                Some(place) => problem.hint(format!("it is a key of `{place}`")),
                None => problem.hint(format!("its keys are: {}", known.join(", "))),
            },
        };
        self.diagnostics.push(problem);
    }

    fn read_list(&mut self, node: &Node, schema: &'a Value, what: &str) -> Option<Value> {
        let items = schema.get("items").unwrap_or(&Value::Null);
        let Some(nodes) = node.as_list() else {
            let found = node.kind_name();
            self.wrong(node, format!("{what} must be a list, this is {found}"));
            return None;
        };
        let item = format!("an item of {what}");
        let read: Vec<Option<Value>> = nodes
            .iter()
            .map(|node| self.read(node, items, &item))
            .collect();
        read.into_iter()
            .collect::<Option<Vec<Value>>>()
            .map(Value::Array)
    }

    /// Is it marked `!secret`?
    fn is_secret(&self, node: &Node) -> bool {
        let hidden = self.sources.hidden_since(0);
        hidden.iter().any(|it| it.span == node.span)
    }

    fn read_text(&mut self, node: &Node, schema: &'a Value, what: &str) -> Option<Value> {
        let format = schema.get("format").and_then(Value::as_str);
        let text = match &node.kind {
            NodeKind::Text(source) if source.has_markup() => {
                let problem = Diagnostic::error(
                    "no-template-here",
                    format!(
                        "{what} cannot be a template: a policy says what it means as it stands"
                    ),
                );
                self.diagnostics.push(problem.at(node.span).hint(
                    "braces that are meant for a program on the host are marked: `!unsafe \"...\"`",
                ));
                return None;
            }
            NodeKind::Text(source) => source.text().to_owned(),
            NodeKind::Data(_) if self.is_secret(node) => {
                let problem = Diagnostic::error(
                    "no-secret-here",
                    format!(
                        "{what} cannot be a secret: what a policy says is in its plans and reports"
                    ),
                );
                self.diagnostics.push(problem.at(node.span).hint(
                    "keep it in a variable of the inventory, and let a tasks file (`tasks:`) use that",
                ));
                return None;
            }
            NodeKind::Data(Data::Str(text)) => text.to_string(),
            // `22:00` is a number in YAML, `2026-12-12` is no text either; here they are what stands in the file.
            NodeKind::Data(_) if format.is_some() => self.sources.slice(node.span),
            _ => {
                let found = node.kind_name();
                self.wrong(node, format!("{what} must be text, this is {found}"));
                return None;
            }
        };
        if text.len() > TEXT_MAX {
            self.wrong(node, format!("{what} is longer than {TEXT_MAX} bytes"));
            return None;
        }
        if text.trim().is_empty() {
            self.wrong(node, format!("{what} is empty"));
            return None;
        }
        match format.map_or(Ok(()), |format| check(format, &text)) {
            Ok(()) => Some(Value::String(text)),
            Err((why, hint)) => {
                let problem = Diagnostic::error("policy-value", format!("{what}: {why}"));
                let problem = problem.at(node.span);
                self.diagnostics.push(match hint {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                });
                None
            }
        }
    }

    fn read_number(&mut self, node: &Node, schema: &'a Value, what: &str) -> Option<Value> {
        let whole = kind(schema) == "integer";
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let format = schema.get("format").and_then(Value::as_str);
        let most = match format {
            Some("uint16") => Some(f64::from(u16::MAX)),
            Some("uint32") => Some(f64::from(u32::MAX)),
            Some("int32") => Some(f64::from(i32::MAX)),
            _ => None,
        };
        let least = bound("minimum").or((format == Some("int32")).then_some(f64::from(i32::MIN)));
        #[expect(
            clippy::cast_precision_loss,
            reason = "compared with bounds far below 2^53"
        )]
        let number = match &node.kind {
            NodeKind::Data(Data::Int(number)) => Some((*number as f64, Value::from(*number))),
            NodeKind::Data(Data::Float(number)) if !whole && number.is_finite() => {
                Some((*number, Value::from(*number)))
            }
            _ => None,
        };
        let Some((size, number)) = number else {
            let kind = if whole { "a whole number" } else { "a number" };
            let found = node.kind_name();
            self.wrong(node, format!("{what} must be {kind}, this is {found}"));
            return None;
        };
        let most = bound("maximum").or(most).unwrap_or(9e15);
        if let Some(least) = least.filter(|least| size < *least) {
            self.wrong(node, format!("{what} must be at least {least}"));
            return None;
        }
        if size > most {
            self.wrong(node, format!("{what} must be at most {most}"));
            return None;
        }
        Some(number)
    }
}

/// Does a text mean what its format says? Else what is wrong, and what to write.
pub(super) fn check(format: &str, text: &str) -> Result<(), (String, Option<String>)> {
    let of_schedule = |problem: hostler_schedule::Problem| (problem.what, problem.hint);
    match format {
        "span" => parse_duration(text).map(drop).map_err(of_schedule),
        "clock" => parse_time(text).map(drop).map_err(of_schedule),
        "moment" if text.trim().len() > 10 => parse_date_time(text).map(drop).map_err(of_schedule),
        "date" | "moment" => parse_date(text).map(drop).map_err(of_schedule),
        "bytes" => parse_bytes(text)
            .map(drop)
            .map_err(|hint| (format!("`{}` is no size", short(text)), Some(hint))),
        "amount" => text.parse::<Amount>().map(drop).map_err(|hint| {
            (
                format!("`{}` is no number of hosts", short(text)),
                Some(hint),
            )
        }),
        "wave-hosts" => text
            .parse::<WaveHosts>()
            .map(drop)
            .map_err(|hint| (format!("`{}` names no hosts", short(text)), Some(hint))),
        "name" => {
            let fine = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
            let starts = text.starts_with(|it: char| it.is_ascii_alphanumeric());
            if starts && text.len() <= 100 && text.chars().all(fine) {
                return Ok(());
            }
            let hint = "letters, digits, `-`, `_` and `.`, at most 100; a letter or digit first";
            Err((format!("`{}` is no name", short(text)), Some(hint.into())))
        }
        _ => Ok(()),
    }
}

/// The forms of `anyOf` and `oneOf`, without "nothing".
fn alternatives(schema: &Value) -> Option<&[Value]> {
    ["anyOf", "oneOf"]
        .iter()
        .find_map(|it| schema.get(it)?.as_array())
        .map(Vec::as_slice)
}

/// The words of an enumeration.
fn words(schema: &Value) -> Option<Vec<String>> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word.to_owned()]);
    }
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        );
    }
    let all: Option<Vec<Vec<String>>> = alternatives(schema)?.iter().map(words).collect();
    all.map(|it| it.into_iter().flatten().collect())
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|it| *it != "null")
            .unwrap_or(""),
        _ => "",
    }
}

fn kind_for_people(schema: &Value) -> &'static str {
    match kind(schema) {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "text",
        "integer" | "number" => "a number",
        "boolean" => "true or false",
        _ => "nothing",
    }
}

fn allows_null(schema: &Value) -> bool {
    words(schema).is_some_and(|it| it.iter().any(|it| it == "null"))
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let list = schema.get("required").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The section of a policy that has a key of this name.
fn elsewhere<'a>(root: &'a Value, name: &str) -> Option<&'a str> {
    let top = root.get("properties")?.as_object()?;
    if top.contains_key(name) {
        return Some("the policy itself");
    }
    top.iter().find_map(|(section, schema)| {
        let reference = schema
            .get("$ref")
            .or_else(|| schema.pointer("/anyOf/0/$ref"))
            .or_else(|| schema.pointer("/allOf/0/$ref"))?
            .as_str()?;
        let fields = root
            .get("$defs")?
            .get(reference.strip_prefix("#/$defs/")?)?
            .get("properties")?;
        fields.get(name).map(|_| section.as_str())
    })
}

/// A text of the user, short enough for a message.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let start: String = text.chars().take(MOST).collect();
    format!("{start}…")
}
