//! What can be said about templates without evaluating them: syntax, names of filters and tests, variables used.

use std::collections::BTreeSet;
use std::sync::Arc;

use hostler_diag::{Diagnostic, Span};
use hostler_yaml::{Node, NodeKind, TemplateSource};

use crate::ast::{Arg, At, Body, Expr, Macro, Stmt, Target, Unit};
use crate::context::place;
use crate::engine::Engine;
use crate::error::TemplateError;
use crate::file::{self, FileOptions};
use crate::filters::short_name;
use crate::lower::Mode;

impl Engine {
    /// Problems of every template in the node: syntax, unknown filters and tests, what is not available.
    pub fn check(&self, node: &Node) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        each_text(node, &mut |source| {
            if source.has_markup()
                && let Err(fail) = self.unit(source, Mode::Inline)
            {
                found.push(TemplateError::from(fail).to_diagnostic());
            }
        });
        found
    }

    /// As [`Self::check`], for conditions: bare expressions, or a list of them.
    pub fn check_condition(&self, node: &Node) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        each_text(node, &mut |source| {
            if let Err(fail) = self.unit(source, condition_mode(source)) {
                found.push(TemplateError::from(fail).to_diagnostic());
            }
        });
        found
    }

    /// As [`Self::check`], for a template file.
    pub fn check_file(&self, source: &TemplateSource, options: &FileOptions) -> Vec<Diagnostic> {
        match file::unit(self, source, options) {
            Ok(_) => Vec::new(),
            Err(fail) => vec![TemplateError::from(fail).to_diagnostic()],
        }
    }

    /// Names that the templates of the node read and do not define themselves. Names looked up in other ways
    /// (`vars['x']`, `hostvars`) are not seen.
    pub fn variables(&self, node: &Node) -> BTreeSet<String> {
        let mut names = Names::default();
        each_text(node, &mut |source| {
            if source.has_markup()
                && let Ok(unit) = self.unit(source, Mode::Inline)
            {
                names.unit(&unit);
            }
        });
        names.free()
    }

    /// As [`Self::variables`], for conditions.
    pub fn condition_variables(&self, node: &Node) -> BTreeSet<String> {
        let mut names = Names::default();
        each_text(node, &mut |source| {
            if let Ok(unit) = self.unit(source, condition_mode(source)) {
                names.unit(&unit);
            }
        });
        names.free()
    }
}

fn condition_mode(source: &TemplateSource) -> Mode {
    let text = source.text().trim_start();
    if text.starts_with("{{") || text.starts_with("{%") {
        Mode::Inline
    } else {
        Mode::Condition
    }
}

fn each_text(node: &Node, visit: &mut dyn FnMut(&TemplateSource)) {
    match &node.kind {
        NodeKind::Text(source) => visit(source),
        NodeKind::List(items) => items.iter().for_each(|item| each_text(item, visit)),
        NodeKind::Map(map) => map
            .entries
            .iter()
            .for_each(|(_, item)| each_text(item, visit)),
        NodeKind::Data(_) | NodeKind::Vault(_) => {}
    }
}

/// A variable that a template needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub name: String,
    /// Where it is first read.
    pub span: Span,
}

/// What templates want of the variables around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Variables that are read, and of which it is not asked whether they are defined.
    pub needs: Vec<Need>,
    /// Variables that may be undefined: `is defined` asks for them, or `default` stands in for them.
    pub asks: BTreeSet<String>,
}

impl Wants {
    /// Adds those of another template.
    pub fn extend(&mut self, other: Wants) {
        self.needs.extend(other.needs);
        self.asks.extend(other.asks);
    }
}

impl Engine {
    /// What the templates of the node want.
    pub fn wants(&self, node: &Node) -> Wants {
        let mut wants = Wants::default();
        each_text(node, &mut |source| {
            if source.has_markup()
                && let Ok(unit) = self.unit(source, Mode::Inline)
            {
                wants.extend(Names::of(&unit).wants(&unit, source));
            }
        });
        wants
    }

    /// As [`Self::wants`], for conditions.
    pub fn condition_wants(&self, node: &Node) -> Wants {
        let mut wants = Wants::default();
        each_text(node, &mut |source| {
            if let Ok(unit) = self.unit(source, condition_mode(source)) {
                wants.extend(Names::of(&unit).wants(&unit, source));
            }
        });
        wants
    }

    /// As [`Self::wants`], for a template file. One that extends another needs nothing: that one may set what it reads.
    pub fn file_wants(&self, source: &TemplateSource, options: &FileOptions) -> Wants {
        let Ok(unit) = file::unit(self, source, options) else {
            return Wants::default();
        };
        let mut wants = Names::of(&unit).wants(&unit, source);
        if let Body::Template(stmts) = &unit.body
            && stmts.iter().any(|stmt| matches!(stmt, Stmt::Extends(..)))
        {
            wants.needs.clear();
        }
        wants
    }
}

#[derive(Default)]
struct Names {
    used: BTreeSet<Arc<str>>,
    bound: BTreeSet<Arc<str>>,
    /// Those that may be undefined where they are read.
    guarded: BTreeSet<Arc<str>>,
    /// Where each is read first.
    places: Vec<(Arc<str>, At)>,
}

impl Names {
    fn of(unit: &Unit) -> Self {
        let mut names = Names::default();
        names.unit(unit);
        names
    }

    fn wants(self, unit: &Unit, source: &TemplateSource) -> Wants {
        let places: Vec<(Arc<str>, Span)> = self
            .places
            .iter()
            .map(|(name, at)| (name.clone(), place(unit, source, *at)))
            .collect();
        let guarded = self.guarded.clone();
        let free = self.free();
        let needed = places
            .into_iter()
            .filter(|(name, _)| free.contains(&**name) && !guarded.contains(name));
        Wants {
            needs: needed
                .map(|(name, span)| Need {
                    name: name.to_string(),
                    span,
                })
                .collect(),
            asks: guarded.iter().map(ToString::to_string).collect(),
        }
    }

    /// Notes the variables in an expression that is asked whether it is defined.
    fn guard(&mut self, expr: &Expr) {
        if let Expr::Var(name, _) = expr {
            self.guarded.insert(name.clone());
        }
        expr.each_part(&mut |part| self.guard(part));
    }

    fn free(self) -> BTreeSet<String> {
        self.used
            .iter()
            .filter(|name| !self.bound.contains(*name) && crate::functions::global(name).is_none())
            .filter(|name| {
                !matches!(
                    &***name,
                    "loop" | "self" | "super" | "caller" | "varargs" | "kwargs"
                )
            })
            .map(ToString::to_string)
            .collect()
    }

    fn unit(&mut self, unit: &Unit) {
        match &unit.body {
            Body::Template(stmts) => self.stmts(stmts),
            Body::Expr(expr) => self.expr(expr),
        }
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Raw(_) | Stmt::Continue | Stmt::Break => {}
            Stmt::Emit(expr, _)
            | Stmt::Do(expr)
            | Stmt::Extends(expr, _)
            | Stmt::Include(expr, ..) => self.expr(expr),
            Stmt::For(it) => {
                self.target(&it.target);
                self.expr(&it.iter);
                if let Some(expr) = &it.filter {
                    self.expr(expr);
                }
                self.stmts(&it.body);
                self.stmts(&it.otherwise);
            }
            Stmt::If(test, yes, no) => {
                self.expr(test);
                self.stmts(yes);
                self.stmts(no);
            }
            Stmt::With(sets, body) => {
                for (target, expr) in sets {
                    self.target(target);
                    self.expr(expr);
                }
                self.stmts(body);
            }
            Stmt::Set(target, expr, _) => {
                self.target(target);
                self.expr(expr);
            }
            Stmt::SetBlock(target, filter, body, _) => {
                self.target(target);
                if let Some(expr) = filter {
                    self.expr(expr);
                }
                self.stmts(body);
            }
            Stmt::FilterBlock(filter, body) => {
                self.expr(filter);
                self.stmts(body);
            }
            Stmt::Group(body) => self.stmts(body),
            Stmt::Block(block) => self.stmts(&block.body),
            Stmt::Import(name, target, ..) => {
                self.expr(name);
                self.target(target);
            }
            Stmt::FromImport(name, names, ..) => {
                self.expr(name);
                self.bound
                    .extend(names.iter().map(|(_, alias)| alias.clone()));
            }
            Stmt::Macro(decl) => self.macro_decl(decl),
            Stmt::CallBlock(callee, args, decl, _) => {
                self.expr(callee);
                self.args(args);
                self.macro_decl(decl);
            }
        }
    }

    fn macro_decl(&mut self, decl: &Macro) {
        self.bound.insert(decl.name.clone());
        self.bound.extend(decl.args.iter().cloned());
        for expr in &decl.defaults {
            self.expr(expr);
        }
        self.stmts(&decl.body);
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => {
                self.bound.insert(name.clone());
            }
            Target::Field(expr, _) => self.expr(expr),
            Target::Unpack(targets) => targets.iter().for_each(|target| self.target(target)),
        }
    }

    fn args(&mut self, args: &[Arg]) {
        for arg in args {
            match arg {
                Arg::Pos(expr) | Arg::Named(_, expr) | Arg::Splat(expr) | Arg::NamedSplat(expr) => {
                    self.expr(expr);
                }
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Var(name, at) => {
                if self.used.insert(name.clone()) {
                    self.places.push((name.clone(), *at));
                }
            }
            Expr::Embedded(unit, at) => {
                let before = self.places.len();
                self.unit(unit);
                // Places inside the constant are counted from its own start.
                self.places[before..]
                    .iter_mut()
                    .for_each(|place| place.1 = *at);
            }
            Expr::Test(it) if matches!(short_name(&it.name), "defined" | "undefined") => {
                self.guard(&it.base);
                expr.each_part(&mut |part| self.expr(part));
            }
            Expr::Filter(it) if matches!(short_name(&it.name), "default" | "d") => {
                it.base.iter().for_each(|base| self.guard(base));
                expr.each_part(&mut |part| self.expr(part));
            }
            compound => compound.each_part(&mut |part| self.expr(part)),
        }
    }
}
