//! A strict reader of the text form of `OpenMetrics` 1.0 (the ABNF of the specification, gauges only): what it does not know,
//! it refuses.

use std::collections::{BTreeMap, BTreeSet};

/// A value with its labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Sorted by name.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Families by name.
pub(crate) type Families = BTreeMap<String, Vec<Sample>>;

type Result<T> = std::result::Result<T, String>;

/// Reads a whole exposition.
pub(crate) fn parse(text: &str) -> Result<Families> {
    let body = text
        .strip_suffix("# EOF\n")
        .ok_or("it does not end with # EOF")?;
    let mut families = Families::new();
    let mut now: Option<(String, BTreeSet<&str>)> = None;
    for (number, line) in body.split_terminator('\n').enumerate() {
        let told = |why: String| format!("line {}: {why}: {line}", number + 1);
        if let Some(rest) = line.strip_prefix("# ") {
            metadata(rest, &mut now, &mut families).map_err(told)?;
        } else {
            sample(line, now.as_ref(), &mut families).map_err(told)?;
        }
    }
    match families.iter().find(|(_, samples)| samples.is_empty()) {
        Some((name, _)) => Err(format!("{name} has no samples")),
        None => Ok(families),
    }
}

fn metadata<'a>(
    rest: &'a str,
    now: &mut Option<(String, BTreeSet<&'a str>)>,
    families: &mut Families,
) -> Result<()> {
    let mut words = rest.splitn(3, ' ');
    let (Some(kind), Some(name), Some(text)) = (words.next(), words.next(), words.next()) else {
        return Err("metadata without a text".into());
    };
    name_of(name, true)?;
    if now.as_ref().is_none_or(|(of, _)| of != name) {
        if families.insert(name.to_owned(), Vec::new()).is_some() {
            return Err("families are mixed".into());
        }
        *now = Some((name.to_owned(), BTreeSet::new()));
    }
    let (_, seen) = now.as_mut().ok_or("no family")?;
    if !families.get(name).is_none_or(Vec::is_empty) {
        return Err("metadata after samples".into());
    }
    match kind {
        "TYPE" if text == "gauge" => {}
        "UNIT" if name.ends_with(&format!("_{text}")) && !text.is_empty() => {}
        "HELP" => {
            unescape(text, &['\\', 'n', '"'])?;
        }
        _ => return Err(format!("unknown metadata {kind} {text}")),
    }
    if !seen.insert(kind) {
        return Err(format!("{kind} is there twice"));
    }
    Ok(())
}

fn sample(
    line: &str,
    now: Option<&(String, BTreeSet<&str>)>,
    families: &mut Families,
) -> Result<()> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    name_of(name, true)?;
    let (family, _) = now.ok_or("a sample without a family")?;
    if family != name {
        return Err(format!("it belongs to no family: {family} is open"));
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels)?;
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let plain = !value.is_empty() && value.bytes().all(|it| b"0123456789.+-eE".contains(&it));
    let value: f64 = value.parse().map_err(|_| format!("no number: {value}"))?;
    if !plain {
        return Err("a number of another form".into());
    }
    let samples = families.get_mut(name).ok_or("no family")?;
    if samples.iter().any(|it| it.labels == labels) {
        return Err("the same labels twice".into());
    }
    samples.push(Sample { labels, value });
    Ok(())
}

/// What follows the labels.
fn read_labels<'a>(mut rest: &'a str, labels: &mut BTreeMap<String, String>) -> Result<&'a str> {
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        name_of(name, false)?;
        let end = closing_quote(after).ok_or("a value without an end")?;
        let value = unescape(&after[..end], &['\\', 'n', '"'])?;
        if after[..end].contains('"') && !after[..end].contains("\\\"") {
            return Err("a bare quote".into());
        }
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("label {name} is there twice"));
        }
        let after = &after[end + 1..];
        if let Some(more) = after.strip_prefix(',') {
            rest = more;
        } else {
            return after
                .strip_prefix('}')
                .ok_or_else(|| "no closing brace".into());
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn name_of(name: &str, colon: bool) -> Result<()> {
    let first = |char: char| char.is_ascii_alphabetic() || char == '_' || colon && char == ':';
    let starts = name.chars().next().is_some_and(first);
    if starts
        && name
            .chars()
            .all(|char| first(char) || char.is_ascii_digit())
    {
        Ok(())
    } else {
        Err(format!("no name: {name}"))
    }
}

fn unescape(text: &str, known: &[char]) -> Result<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('n') if known.contains(&'n') => out.push('\n'),
                Some(char) if known.contains(&char) => out.push(char),
                other => return Err(format!("an unknown escape: {other:?}")),
            },
            '\n' | '\0' => return Err("a bare control".into()),
            char => out.push(char),
        }
    }
    Ok(out)
}

#[test]
fn the_reader_refuses_what_is_wrong() {
    let good = "# TYPE a gauge\n# HELP a b c\na{x=\"y\\\"z\",w=\"\\\\\"} 1.5\na 2\n# EOF\n";
    let read = parse(good).expect("it is well-formed");
    assert_eq!(read["a"][0].labels["x"], "y\"z");
    assert_eq!(read["a"].len(), 2);
    for bad in [
        "a 1\n# EOF\n",
        "# TYPE a gauge\na 1\n",
        "# TYPE a gauge\n# EOF\n",
        "# TYPE a gauge\na 1\na 2\n# EOF\n",
        "# TYPE a gauge\na{x=\"\\q\"} 1\n# EOF\n",
        "# TYPE a gauge\na{x=\"\"y\"} 1\n# EOF\n",
        "# TYPE a gauge\na{x=\"y\" 1\n# EOF\n",
        "# TYPE a gauge\na{1x=\"y\"} 1\n# EOF\n",
        "# TYPE a gauge\nb 1\n# EOF\n",
        "# TYPE a gauge\na one\n# EOF\n",
        "# TYPE a gauge\na NaN\n# EOF\n",
        "# TYPE a gauge\na 1\n# HELP a late\n# EOF\n",
        "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x=\"y\"} 1\n# EOF\n",
        "# TYPE a_seconds gauge\n# UNIT a_seconds days\na_seconds 1\n# EOF\n",
        "# TYPE a gauge\n\na 1\n# EOF\n",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
