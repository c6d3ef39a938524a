//! JSON and YAML.

use hostler_diag::SourceMap;
use hostler_value::Value;

use super::FilterFn;
use crate::args::{Args, count, flag, some};
use crate::context::Cx;
use crate::emitter::{self, FlowStyle};
use crate::fail::{Fail, Res, bail};
use crate::json;
use crate::ops;
use crate::text;
use crate::value::Val;

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("to_json", to_json),
    ("to_nice_json", to_nice_json),
    ("from_json", from_json),
    ("to_yaml", to_yaml),
    ("to_nice_yaml", to_nice_yaml),
    ("from_yaml", from_yaml),
    ("from_yaml_all", from_yaml_all),
];

fn value(cx: &Cx<'_>, base: &Val) -> Res<Value> {
    Ok(base.to_value(cx)?.unwrap_or_default())
}

fn json_layout(cx: &Cx<'_>, args: &mut Args, nice: bool) -> Res<json::Layout> {
    let mut layout = json::Layout::default();
    if nice {
        layout.indent = Some(4);
        layout.sort_keys = true;
    }
    if let Some(indent) = args.take("indent") {
        layout.indent = some(Some(indent))
            .map(|val| count(Some(&val), 0))
            .transpose()?;
    }
    if let Some(sort) = args.take("sort_keys") {
        layout.sort_keys = ops::truth(&sort)?;
    }
    if let Some(ascii) = args.take("ensure_ascii") {
        layout.ensure_ascii = ops::truth(&ascii)?;
    }
    if let Some(separators) = some(args.take("separators")) {
        let items = ops::iterate(cx, &separators)?;
        let [item, key] = items.as_slice() else {
            bail!("separators must be a pair");
        };
        layout.separators = Some((text::str(cx, item)?, text::str(cx, key)?));
    }
    // Accepted without effect, as in ansible-core where they are about its own classes.
    for name in ["vault_to_text", "preprocess_unsafe", "profile"] {
        args.take(name);
    }
    if let Some((unknown, _)) = args.named.first() {
        bail!("got an unexpected keyword argument '{unknown}'");
    }
    Ok(layout)
}

fn to_json(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let layout = json_layout(cx, &mut args, false)?;
    Ok(Val::str(json::dump(&value(cx, &base)?, &layout)))
}

fn to_nice_json(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    if !args.pos.is_empty() {
        args.named.push(("indent".into(), args.pos.remove(0)));
    }
    args.take("separators");
    let mut layout = json_layout(cx, &mut args, true)?;
    layout.separators = Some((",".into(), ": ".into()));
    Ok(Val::str(json::dump(&value(cx, &base)?, &layout)))
}

fn from_json(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let Val::Str(source) = &base else {
        bail!(
            "the JSON object must be str, bytes or bytearray, not {}",
            base.type_name()
        );
    };
    cx.spend(source.len() as u64 / 16)?;
    match serde_json::from_str::<Value>(source) {
        Ok(value) => Ok(Val::data(&value)),
        Err(error) => bail!("invalid JSON: {error}"),
    }
}

fn yaml_style(cx: &Cx<'_>, args: &mut Args, nice: bool) -> Res<emitter::Style> {
    let mut style = emitter::Style::default();
    if nice {
        style.indent = 4;
        style.flow = FlowStyle::Never;
    }
    if let Some(indent) = args.take("indent") {
        style.indent = count(some(Some(indent)).as_ref(), 2)?;
    }
    if let Some(width) = args.take("width") {
        style.width = match width {
            Val::Float(float) if float.is_infinite() => usize::MAX,
            other => count(some(Some(other)).as_ref(), 80)?,
        };
    }
    if let Some(sort) = args.take("sort_keys") {
        style.sort_keys = ops::truth(&sort)?;
    }
    if let Some(flow) = args.take("default_flow_style") {
        style.flow = match some(Some(flow)) {
            None => FlowStyle::Leaves,
            Some(flow) if ops::truth(&flow)? => FlowStyle::Always,
            Some(_) => FlowStyle::Never,
        };
    }
    style.explicit_start = flag(args.take("explicit_start").as_ref(), false)?;
    style.explicit_end = flag(args.take("explicit_end").as_ref(), false)?;
    if let Some(default) = some(args.take("default_style")) {
        style.scalars = match text::str(cx, &default)?.as_str() {
            "'" => Some(emitter::Scalar::Single),
            "\"" => Some(emitter::Scalar::Double),
            "|" => Some(emitter::Scalar::Literal),
            ">" => Some(emitter::Scalar::Folded),
            _ => None,
        };
    }
    args.take("vault_to_text");
    if let Some((unknown, _)) = args.named.first() {
        bail!("the YAML option '{unknown}' is not available");
    }
    Ok(style)
}

fn to_yaml(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let style = yaml_style(cx, &mut args, false)?;
    Ok(Val::str(emitter::dump(&value(cx, &base)?, &style)))
}

fn to_nice_yaml(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    if !args.pos.is_empty() {
        args.named.push(("indent".into(), args.pos.remove(0)));
    }
    let style = yaml_style(cx, &mut args, true)?;
    Ok(Val::str(emitter::dump(&value(cx, &base)?, &style)))
}

fn read_all(cx: &Cx<'_>, source: &str) -> Res<Vec<Value>> {
    cx.spend(source.len() as u64 / 16)?;
    let sources = SourceMap::new();
    let id = sources.add_text("<from_yaml>", source);
    let (nodes, problems) = hostler_yaml::load_all(&sources, id);
    if let Some(problem) = problems.iter().find(|problem| problem.is_error()) {
        let place = problem
            .labels
            .first()
            .map(|label| sources.locate(label.span));
        let place = place.map_or_else(String::new, |at| {
            format!(" (line {}, column {})", at.line, at.column)
        });
        return Err(Fail::runtime(format!(
            "invalid YAML: {}{place}",
            problem.message
        )));
    }
    // Data, whatever it says: read as literal text, never as templates.
    Ok(nodes.iter().map(hostler_yaml::Node::to_literal).collect())
}

fn from_yaml(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let Val::Str(source) = &base else {
        return Ok(base);
    };
    let mut documents = read_all(cx, source)?.into_iter();
    let first = documents.next().unwrap_or_default();
    if documents.next().is_some() {
        bail!("expected a single document in the stream, but found another document");
    }
    Ok(Val::data(&first))
}

fn from_yaml_all(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    match &base {
        Val::None => Ok(Val::list(Vec::new())),
        Val::Str(source) => Ok(Val::list(
            read_all(cx, source)?.iter().map(Val::data).collect(),
        )),
        _ => Ok(base),
    }
}
