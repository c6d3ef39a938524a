//! What can be said about templates without evaluating them: syntax, names of filters and tests, variables used.

use std::collections::BTreeSet;
use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_yaml::{Node, NodeKind, TemplateSource};

use crate::ast::{Arg, Body, Expr, Macro, Stmt, Target, Unit};
use crate::engine::Engine;
use crate::error::TemplateError;
use crate::file::{self, FileOptions};
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

#[derive(Default)]
struct Names {
    used: BTreeSet<Arc<str>>,
    bound: BTreeSet<Arc<str>>,
}

impl Names {
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
            Expr::Var(name, _) => {
                self.used.insert(name.clone());
            }
            Expr::Embedded(unit, _) => self.unit(unit),
            compound => compound.each_part(&mut |part| self.expr(part)),
        }
    }
}
