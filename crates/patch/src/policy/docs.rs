//! The JSON schema of policies, and their page of documentation: both are made of the types.

use std::fmt::Write as _;

use serde_json::Value;

use super::Policy;

/// The JSON schema of a policy.
pub fn schema() -> Value {
    schemars::schema_for!(Policy).to_value()
}

const HEAD: &str = "\
# Patch policies

A policy says what is patched where, when, and in which steps. It is a YAML file; a small one is enough for hundreds of hosts:

```yaml
kind: PatchPolicy
name: monthly
targets: prod
updates: security
window: {zone: Europe/Berlin, monthly: 2nd tuesday, offset: 4d, at: \"22:00\", duration: 4h}
waves: [1, 10%, rest]
```

Everything else has the defaults below, which are the careful ones: later waves install only the versions that earlier waves have
proven, the first failure among the canaries halts the run, nothing is removed, nothing is started that would not be done before
the window ends.

- **Durations** are `30s`, `10m`, `4h`, `7d`, `1h30m`. **Sizes** are `512MiB`, `2GiB`.
- **Amounts** of hosts are a number (`2`) or a whole percentage (`10%`). Percentages are rounded down; waves, `parallel` and
  `max_unavailable` are at least 1, `min_available` is rounded up. A plan holds the integers.
- **Hosts** are inventory patterns as plays have them: `web`, `db*`, `prod:!legacy`. **Packages and units** are shell patterns:
  `linux-image*`, `*-microcode`.
- A text may stand for a list with that one text.
- Templates (`{{ }}`) are not evaluated: a policy says what it means as it stands. Braces for a program on the host are marked
  `!unsafe`.
- A JSON schema for editors: [policy.json](../schema/policy.json).

The page is made of the program's types; `cargo nextest run -p hostler-patch` fails if they differ.
";

/// The page of documentation: Markdown.
pub fn markdown() -> String {
    let schema = schema();
    let mut out = HEAD.to_owned();
    let mut writer = Writer {
        root: &schema,
        out: &mut out,
        told: Vec::new(),
    };
    writer.section("", &schema);
    out
}

struct Writer<'a> {
    root: &'a Value,
    out: &'a mut String,
    /// Keys of mappings that were told.
    told: Vec<(String, &'a Value)>,
}

impl<'a> Writer<'a> {
    /// A table of the keys of a mapping, then the sections of mappings inside it.
    fn section(&mut self, path: &str, schema: &'a Value) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |it| it.iter().filter_map(Value::as_str).collect());
        let about = schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        // Writing to a String cannot fail.
        let title = if path.is_empty() {
            "The policy".to_owned()
        } else {
            format!("`{path}`")
        };
        let _ = writeln!(self.out, "\n## {title}\n\n{}\n", one_line(about));
        let _ = writeln!(self.out, "| key | is | default | |\n|---|---|---|---|");
        let mut inner: Vec<(String, &'a Value)> = Vec::new();
        for (key, value) in properties {
            let default = if required.contains(&key.as_str()) {
                "needed".to_owned()
            } else {
                default(value)
            };
            let described = value
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let mut about = one_line(described);
            let words = self.words(value);
            if !words.is_empty() {
                let _ = write!(about, "<br>{}", words.join("<br>"));
            }
            let is = self.kind(value);
            let cells = [format!("`{key}`"), is, default, about];
            let _ = writeln!(self.out, "| {} |", cells.join(" | "));
            let title = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let mappings = self.mappings(value).into_iter();
            inner.extend(mappings.map(|it| (title.clone(), it)));
        }
        for (key, value) in inner {
            let properties = value.get("properties");
            // What stands under two keys is told once.
            let known = self.told.iter().find(|(_, it)| Some(*it) == properties);
            match (known, properties) {
                (Some((first, _)), _) => {
                    let anchor = anchor(first);
                    let _ = writeln!(self.out, "\n## `{key}`\n\nAs [`{first}`](#{anchor}).");
                }
                (None, Some(properties)) => {
                    self.told.push((key.clone(), properties));
                    self.section(&key, value);
                }
                (None, None) => {}
            }
        }
    }

    fn resolve(&self, value: &'a Value) -> &'a Value {
        let name = value.get("$ref").and_then(Value::as_str);
        name.and_then(|it| self.root.get("$defs")?.get(it.strip_prefix("#/$defs/")?))
            .unwrap_or(value)
    }

    fn forms(&self, value: &'a Value) -> Vec<&'a Value> {
        let value = self.resolve(value);
        let all = ["anyOf", "oneOf"]
            .iter()
            .find_map(|it| value.get(it)?.as_array());
        match all {
            Some(all) => all.iter().flat_map(|it| self.forms(it)).collect(),
            None => vec![value],
        }
    }

    /// Mappings that a value may be or hold.
    fn mappings(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = Vec::new();
        for form in self.forms(value) {
            if form.get("properties").is_some() {
                found.push(form);
            } else if let Some(items) = form.get("items") {
                found.extend(self.mappings(items));
            } else if let Some(others) =
                form.get("additionalProperties").filter(|it| it.is_object())
            {
                found.extend(self.mappings(others));
            }
        }
        found
    }

    fn kind(&self, value: &'a Value) -> String {
        let mut kinds: Vec<String> = Vec::new();
        for form in self.forms(value) {
            let format = form
                .get("format")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let name = match form.get("type") {
                Some(Value::String(name)) => name.as_str(),
                Some(Value::Array(names)) => names
                    .iter()
                    .filter_map(Value::as_str)
                    .find(|it| *it != "null")
                    .unwrap_or_default(),
                _ => "",
            };
            let kind = match (name, format) {
                ("null", _) => continue,
                _ if form.get("const").is_some() || form.get("enum").is_some() => {
                    "a word".to_owned()
                }
                ("string", "span") => "duration".into(),
                ("string", "bytes") => "size".into(),
                ("string", "amount") => "percentage".into(),
                ("string", "clock") => "time of day".into(),
                ("string", "date") => "date".into(),
                ("string", "moment") => "date or local time".into(),
                ("string", _) => "text".into(),
                ("integer" | "number", _) => "number".into(),
                ("boolean", _) => "true or false".into(),
                ("array", _) => {
                    let items = form
                        .get("items")
                        .map(|it| self.kind(it))
                        .unwrap_or_default();
                    format!("list of {}", items.replace("text", "texts"))
                }
                ("object", _) if form.get("properties").is_none() => "mapping by name".into(),
                ("object", _) => "mapping".into(),
                (other, _) => other.to_owned(),
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.join(", ")
    }

    /// The words of an enumeration, each with what it means.
    fn words(&self, value: &'a Value) -> Vec<String> {
        let mut words = Vec::new();
        for form in self.forms(value) {
            let about = form
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if let Some(word) = form.get("const").and_then(Value::as_str) {
                words.push(format!("`{word}`: {}", one_line(about)));
            }
            let list = form.get("enum").and_then(Value::as_array);
            for word in list.into_iter().flatten().filter_map(Value::as_str) {
                words.push(format!("`{word}`"));
            }
            if let Some(items) = form.get("items") {
                words.extend(self.words(items));
            }
        }
        words
    }
}

/// The anchor that Markdown makes of a heading.
fn anchor(path: &str) -> String {
    path.chars()
        .filter(|it| it.is_ascii_alphanumeric() || *it == '_')
        .collect()
}

fn one_line(text: &str) -> String {
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
    // Links of Rust's documentation lead nowhere here.
    text.replace('|', "\\|")
        .replace("[`", "`")
        .replace("`]", "`")
}

fn default(value: &Value) -> String {
    match value.get("default") {
        None | Some(Value::Null) => "–".into(),
        Some(Value::Object(map)) if map.is_empty() => "none".into(),
        Some(Value::Array(list)) if list.is_empty() => "none".into(),
        // A section of its own says the defaults of its keys.
        Some(Value::Object(_)) => "see there".into(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(Value::Array(list)) if list.iter().all(|it| !it.is_object()) => {
            let items: Vec<String> = list
                .iter()
                .map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned))
                .collect();
            format!("`{}`", items.join("`, `"))
        }
        Some(Value::Array(_)) => "`[1, 10%, rest]`".into(),
        Some(other) => format!("`{other}`"),
    }
}
