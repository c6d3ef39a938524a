//! 480 expressions and templates with the answers of Jinja 3.1.6 (`StrictUndefined`, with `do` and loop controls).
//! What differs is listed with its reason in `tests/jinja_differences.txt`; the list must be exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_diag::SourceMap;
use hostler_value::Value;
use hostler_yaml::TemplateSource;

use crate::ast::{Body, Newline};
use crate::context::Cx;
use crate::engine::{Engine, TemplateLoader};
use crate::file::FileOptions;
use crate::lower::{self, Mode};
use crate::scope::{Scope, Var};
use crate::value::Val;

struct Data(BTreeMap<String, Value>);

impl Scope for Data {
    fn get(&self, name: &str) -> Option<Var> {
        self.0.get(name).cloned().map(Var::Data)
    }
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

struct Files(SourceMap);

impl TemplateLoader for Files {
    fn load(&self, name: &str) -> Result<Option<TemplateSource>, String> {
        let text = match name {
            "inc" => "INC{{ s }}",
            "lib" => {
                "{% macro m(a) %}M{{ a }}{% endmacro %}{% set v = 7 %}{% macro c() %}C{{ s }}{% endmacro %}"
            }
            "base" => "[{% block b %}base{% endblock %}]",
            _ => return Ok(None),
        };
        Ok(Some(TemplateSource::whole(
            &self.0,
            self.0.add_text(name, text),
        )))
    }
}

fn data() -> Arc<dyn Scope> {
    let json = r#"{"d":{"a":1,"b":2},"d2":{"items":5,"keys":6},"l":[1,2,3],"s":"hello",
        "ld":[{"n":1,"on":true,"x":{"y":1}},{"n":3,"on":false,"x":{"y":2}},{"n":2,"on":true,"x":{"y":3}}],
        "tree":[{"n":1,"c":[{"n":2,"c":[]}]}]}"#;
    let mut data: BTreeMap<String, Value> = serde_json::from_str(json).unwrap();
    data.insert(
        "big".into(),
        Value::BigInt((1_u128 << 70).to_string().into()),
    );
    Arc::new(Data(data))
}

fn expression(engine: &Engine, text: &str) -> String {
    let sources = SourceMap::new();
    let source = TemplateSource::whole(&sources, sources.add_text("case", text));
    let cx = Cx::new(engine);
    let world = cx.world(data());
    let answer = (|| {
        let unit = lower::compile(
            text,
            Mode::Expression,
            &minijinja::syntax::SyntaxConfig::default(),
            Newline::Lf,
        )
        .map_err(|(fail, _)| fail)?;
        let frame = cx.frame(&world, &source, Arc::new(unit));
        let Body::Expr(expr) = &frame.unit.body else {
            return Ok("ERR not an expression".to_owned());
        };
        match crate::eval::eval(&cx, &frame, expr)? {
            Val::Undef(undef) => Err(undef.trip()),
            val => crate::text::repr(&cx, &val),
        }
    })();
    answer.unwrap_or_else(|fail| format!("ERR {}", fail.0.message))
}

fn template(engine: &Engine, text: &str) -> String {
    let sources = SourceMap::new();
    let source = TemplateSource::whole(&sources, sources.add_text("case", text));
    match engine.render_file(
        &source,
        &FileOptions::default(),
        &data(),
        &Files(sources.clone()),
    ) {
        Ok(rendered) => Value::from(rendered.text).repr(),
        Err(error) => format!("ERR {error}"),
    }
}

#[test]
fn answers_are_jinjas_but_for_the_listed_ones() {
    let cases: Vec<BTreeMap<String, String>> =
        serde_json::from_str(include_str!("../tests/jinja_cases.json")).unwrap();
    let mut listed: BTreeMap<&str, &str> = include_str!("../tests/jinja_differences.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let engine = Engine::new();
    let mut wrong = Vec::new();
    let mut same = 0;
    for case in &cases {
        let (id, text, wanted) = (&case["id"], &case["source"], &case["jinja"]);
        let got = if id.starts_with('e') {
            expression(&engine, text)
        } else {
            template(&engine, text)
        };
        let agrees = got == *wanted || got.starts_with("ERR") && wanted.starts_with("ERR");
        same += usize::from(agrees);
        match (agrees, listed.remove(id.as_str())) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(_)) => wrong.push(format!("{id} agrees now: {text}")),
            (false, None) => wrong.push(format!(
                "{id} {text:?}\n     jinja {wanted}\n     ours  {got}"
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} agree\n{}",
        same,
        cases.len(),
        wrong.join("\n")
    );
    assert!(listed.is_empty(), "unknown cases: {listed:?}");
}
