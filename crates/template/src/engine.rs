//! The engine: what the rest of the program asks of templates.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use hostler_diag::{Diagnostic, Span};
use hostler_value::{Unknown, Value};
use hostler_yaml::{Node, NodeKind, TemplateSource};
use minijinja::syntax::SyntaxConfig;

use crate::ast::{Body, Newline, Unit};
use crate::context::{Cx, World};
use crate::error::TemplateError;
use crate::fail::{Fail, Res};
use crate::file::{self, FileOptions};
use crate::lower::{self, Mode};
use crate::ops;
use crate::scope::Scope;
use crate::unknown::{Rendered, Truth};
use crate::value::Val;

/// Finds the templates that a template includes, imports or extends.
pub trait TemplateLoader {
    /// The template of that name, searched where the including template's action says; `None` if there is none.
    /// An error is a message: the file is there but cannot be read.
    fn load(&self, name: &str) -> Result<Option<TemplateSource>, String>;
}

type Cache<K> = RwLock<HashMap<K, Arc<Unit>>>;

/// Compiles and evaluates templates. One per run: compiled templates are kept and shared between hosts and threads.
pub struct Engine {
    inline: SyntaxConfig,
    /// Steps that one evaluation may take.
    pub(crate) steps_max: u64,
    templates: Cache<Arc<str>>,
    expressions: Cache<Arc<str>>,
    conditions: Cache<Arc<str>>,
    files: Cache<(Arc<str>, FileOptions)>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

fn cached<K: Hash + Eq>(cache: &Cache<K>, key: &K) -> Option<Arc<Unit>> {
    cache
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(key)
        .cloned()
}

fn keep<K: Hash + Eq>(cache: &Cache<K>, key: K, unit: &Arc<Unit>) {
    let mut units = cache.write().unwrap_or_else(PoisonError::into_inner);
    units.insert(key, unit.clone());
}

impl Engine {
    /// An engine with an empty cache.
    pub fn new() -> Self {
        Engine {
            inline: lower::inline_syntax(),
            steps_max: crate::context::FUEL,
            templates: RwLock::default(),
            expressions: RwLock::default(),
            conditions: RwLock::default(),
            files: RwLock::default(),
        }
    }

    /// The same with another limit to the steps (statements, expressions, items) of one evaluation.
    #[must_use]
    pub fn with_steps_max(mut self, steps: u64) -> Self {
        self.steps_max = steps;
        self
    }

    /// Every template in the node evaluated, natively typed: a text that is one `{{ }}` gives the expression's own
    /// value, anything else gives text. Entries and items whose value is `omit` are left out.
    ///
    /// # Errors
    /// The first template that fails, with its place. A node that as a whole is `omit` is an error; ask
    /// [`Self::finalise_optional`] where that is allowed.
    pub fn finalise(&self, node: &Node, scope: &Arc<dyn Scope>) -> Result<Value, TemplateError> {
        let omitted =
            || Fail::runtime("A template was resolved to an Omit scalar.").at(|| Some(node.span));
        Ok(self.finalise_optional(node, scope)?.ok_or_else(omitted)?)
    }

    /// As [`Self::finalise`]; `None` if the whole is `omit`.
    ///
    /// # Errors
    /// The first template that fails, with its place.
    pub fn finalise_optional(
        &self,
        node: &Node,
        scope: &Arc<dyn Scope>,
    ) -> Result<Option<Value>, TemplateError> {
        if !node.is_dynamic() {
            return Ok(Some(node.to_literal()));
        }
        let cx = Cx::new(self);
        let world = cx.world(scope.clone());
        let value = finalise(&cx, node, &world).map_err(|fail| fail.at(|| Some(node.span)))?;
        Ok(value)
    }

    /// The native value of a bare expression, such as the `var` of `debug`.
    ///
    /// # Errors
    /// It does not parse, or fails, or is undefined.
    pub fn expression(
        &self,
        source: &TemplateSource,
        scope: &Arc<dyn Scope>,
    ) -> Result<Value, TemplateError> {
        let cx = Cx::new(self);
        let world = cx.world(scope.clone());
        let value = self
            .evaluate(&cx, source, &world, Mode::Expression)
            .and_then(|val| val.result(&cx));
        let value = hole(value).map_err(|fail| fail.at(|| Some(source.span())))?;
        Ok(value.unwrap_or_default())
    }

    /// A condition: `when`, `until`, `changed_when`, `failed_when`, an item of `assert`'s `that`. A list holds if
    /// all its items hold.
    ///
    /// As in ansible-core 2.19 the result must be a boolean. A value whose truth no version of Ansible disputes
    /// (a number, a list, a text that does not look like a boolean) is accepted with a warning.
    ///
    /// # Errors
    /// It does not parse, fails, is undefined, or is not a boolean.
    pub fn condition(
        &self,
        node: &Node,
        scope: &Arc<dyn Scope>,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<Truth, TemplateError> {
        let cx = Cx::new(self);
        let world = cx.world(scope.clone());
        let result = match self.holds(&cx, node, &world) {
            Ok(truth) => Ok(Truth::Known(truth)),
            Err(fail) => fail
                .into_unknown()
                .map(Truth::Unknown)
                .map_err(|fail| fail.at(|| Some(node.span))),
        };
        warnings.append(&mut cx.warnings.borrow_mut());
        Ok(result?)
    }

    /// A template file, as the `template` module renders it.
    ///
    /// # Errors
    /// With the file's line: it does not parse, something in it is undefined or fails, or it is too large.
    pub fn render_file(
        &self,
        source: &TemplateSource,
        options: &FileOptions,
        scope: &Arc<dyn Scope>,
        loader: &dyn TemplateLoader,
    ) -> Result<Rendered, TemplateError> {
        let mut cx = Cx::new(self);
        cx.loader = Some(loader);
        cx.file = options.clone();
        let world = cx.world(scope.clone());
        let unit = file::unit(self, source, options)?;
        let frame = cx.frame(&world, source, unit);
        let whole_unknown = |fail: Fail| {
            let unknown = fail.into_unknown()?;
            Ok(Rendered {
                text: unknown.text(),
                unknown: Some(Unknown::clone(&unknown)),
            })
        };
        Ok(crate::exec::run_file(&cx, &frame)
            .or_else(whole_unknown)
            .map_err(|fail: Fail| fail.at(|| Some(source.span())))?)
    }

    fn holds(&self, cx: &Cx<'_>, node: &Node, world: &std::rc::Rc<World>) -> Res<bool> {
        match &node.kind {
            NodeKind::List(items) => {
                let mut tally = ops::Tally::default();
                for item in items.iter() {
                    let holds = self
                        .holds(cx, item, world)
                        .map_err(|fail| fail.at(|| Some(item.span)));
                    let holds = match tally.either(holds, true) {
                        // It may never be looked at.
                        Err(_) if tally.is_open() => true,
                        holds => holds?,
                    };
                    if !holds {
                        return Ok(false);
                    }
                }
                tally.unless(true)
            }
            NodeKind::Data(Value::Bool(bool)) => Ok(*bool),
            NodeKind::Data(value @ (Value::Int(_) | Value::Float(_))) => {
                truth_of(cx, &Val::data(value), node.span)
            }
            NodeKind::Text(source) if !source.text().trim().is_empty() => {
                let text = source.text().trim();
                let wrapped = (text.starts_with("{{") || text.starts_with("{%"))
                    && (text.ends_with("}}") || text.ends_with("%}"));
                if !wrapped {
                    let val = self.evaluate(cx, source, world, Mode::Condition)?;
                    return truth_of(cx, &val, source.span());
                }
                cx.warn_at(
                    source.span(),
                    "condition-delimiters",
                    "a condition is an expression already: `{{ }}` around it is not needed",
                );
                match cx.template(source, world)? {
                    // What a template printed: the words of a boolean are one.
                    Val::Str(word) if word.eq_ignore_ascii_case("true") => Ok(true),
                    Val::Str(word) if word.eq_ignore_ascii_case("false") => Ok(false),
                    // Other words would be evaluated again by Ansible; what a template printed never is here.
                    Val::Str(word) => Err(Fail::runtime(format!(
                        "the template in this condition gives the text {}, not a boolean",
                        Value::Str(word).repr()
                    ))
                    .hint("write the expression without `{{ }}`")),
                    val => truth_of(cx, &val, source.span()),
                }
            }
            NodeKind::Data(Value::Null) | NodeKind::Text(_) => Err(Fail::runtime(
                "Empty conditional expressions are not allowed.",
            )),
            _ => Err(Fail::runtime("Conditional expressions must be strings.")),
        }
    }

    fn evaluate(
        &self,
        cx: &Cx<'_>,
        source: &TemplateSource,
        world: &std::rc::Rc<World>,
        mode: Mode,
    ) -> Res<Val> {
        let unit = self.unit(source, mode)?;
        let frame = cx.frame(world, source, unit);
        match &frame.unit.body {
            Body::Expr(expr) => match crate::eval::eval(cx, &frame, expr)? {
                Val::Undef(undef) => Err(undef.trip()),
                val => Ok(val),
            },
            Body::Template(_) => crate::exec::run_template(cx, &frame),
        }
    }

    /// The compiled form of a text.
    pub(crate) fn unit(&self, source: &TemplateSource, mode: Mode) -> Res<Arc<Unit>> {
        let (cache, syntax) = match mode {
            Mode::Inline | Mode::File => (&self.templates, self.inline.clone()),
            Mode::Expression => (&self.expressions, SyntaxConfig::default()),
            Mode::Condition => (&self.conditions, SyntaxConfig::default()),
        };
        let key = source.shared_text();
        if let Some(unit) = cached(cache, &key) {
            return Ok(unit);
        }
        let unit = lower::compile(&key, mode, &syntax, Newline::Lf).map_err(|(fail, at)| {
            fail.at(|| Some(source.locate(at.start as usize, at.end as usize)))
        })?;
        let unit = Arc::new(unit);
        keep(cache, key, &unit);
        Ok(unit)
    }

    pub(crate) fn cached_file(
        &self,
        source: &TemplateSource,
        options: &FileOptions,
    ) -> Option<Arc<Unit>> {
        cached(&self.files, &(source.shared_text(), options.clone()))
    }

    pub(crate) fn keep_file(
        &self,
        source: &TemplateSource,
        options: &FileOptions,
        unit: &Arc<Unit>,
    ) {
        keep(&self.files, (source.shared_text(), options.clone()), unit);
    }
}

fn finalise(cx: &Cx<'_>, node: &Node, world: &std::rc::Rc<World>) -> Res<Option<Value>> {
    let _level = cx.level()?;
    if !node.is_dynamic() {
        return Ok(Some(node.to_literal()));
    }
    let placed = |fail: Fail| fail.at(|| Some(node.span));
    match &node.kind {
        NodeKind::List(items) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items.iter() {
                out.extend(finalise(cx, item, world)?);
            }
            Ok(Some(Value::from(out)))
        }
        NodeKind::Map(map) => {
            let mut out = hostler_value::Map::new();
            for (key, item) in &map.entries {
                if let Some(value) = finalise(cx, item, world)? {
                    out.insert(key.to_literal(), value);
                }
            }
            Ok(Some(Value::from(out)))
        }
        _ => cx
            .node(node, world)
            .and_then(|val| val.result(cx))
            .or_else(|fail| hole(Err(fail)))
            .map_err(placed),
    }
}

/// What cannot be known is a value for the outside, too.
fn hole(result: Res<Option<Value>>) -> Res<Option<Value>> {
    match result {
        Err(fail) => fail
            .into_unknown()
            .map(|unknown| Some(Value::Unknown(unknown))),
        known => known,
    }
}

/// The truth of a condition's value; see [`Engine::condition`].
fn truth_of(cx: &Cx<'_>, val: &Val, span: Span) -> Res<bool> {
    let broken = |truth: bool| {
        Fail::runtime(format!(
            "Conditional result ({}) was derived from value of type '{}'. Conditionals must have a boolean result.",
            if truth { "True" } else { "False" },
            val.type_name()
        ))
        .at(|| Some(span))
    };
    let truth = match val {
        Val::Bool(bool) => return Ok(*bool),
        Val::Undef(undef) => return Err(undef.trip()),
        Val::Unknown(unknown) => return Err(Fail::unknown(unknown.clone())),
        Val::Str(text) => {
            let word = text.trim().to_lowercase();
            if matches!(
                word.as_str(),
                "false" | "no" | "off" | "0" | "f" | "n" | "none" | "null"
            ) {
                // Text, so true; but its author means the opposite.
                return Err(broken(true).hint("say what is meant: `| bool`, or a comparison"));
            }
            !text.is_empty()
        }
        other => ops::truth(other)?,
    };
    let hint = match val {
        Val::Str(_) => "write `| length > 0`, or `| bool` for the words of a boolean",
        Val::List(_) | Val::Dict(_) | Val::Seq(_) => "write `| length > 0`",
        Val::Int(_) | Val::Float(_) => "write `!= 0`",
        _ => "write a comparison",
    };
    let message = format!(
        "the condition is a '{}', not a boolean; taken as {truth} as before ansible-core 2.19",
        val.type_name()
    );
    let warning = Diagnostic::warning("condition-not-boolean", message)
        .at(span)
        .hint(hint);
    cx.warnings.borrow_mut().push(warning);
    Ok(truth)
}
