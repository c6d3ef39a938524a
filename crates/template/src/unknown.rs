//! What is not known before a task has run, in templates.
//!
//! It travels as what is undefined does: an operation that needs the value fails with a [`Fail`] that carries the
//! reason, and the next boundary (an expression, a filter, a variable) makes a value of that failure again. So no
//! filter or test has code for it. Known nevertheless: what a container holds beside it, `is defined`, what `and` and
//! `or` decide without it, an inline `if` whose branches agree.

use std::sync::Arc;

use hostler_value::Unknown;

use crate::args::Args;
use crate::ast::{Expr, For, Stmt, Target};
use crate::context::{Cx, Frame};
use crate::eval::eval;
use crate::fail::{Fail, Res};
use crate::filters::short_name;
use crate::objects::Object;
use crate::value::Val;

/// The truth of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds, or it does not.
    Known(bool),
    /// It depends on what is not known.
    Unknown(Arc<Unknown>),
}

impl Truth {
    /// Does it hold for certain?
    pub fn holds(&self) -> bool {
        *self == Truth::Known(true)
    }
}

/// A template file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text. Where a part is not known there is a hole, as [`Unknown::hole`] writes it; for a whole block it says
    /// of which statement.
    pub text: String,
    /// Why there are holes, if there are any.
    pub unknown: Option<Unknown>,
}

/// Filters that move the parts of a container about, or ask nothing about their values, or fail by themselves when they
/// do. All others take a container with an unknown part for unknown.
const STRUCTURAL: &[&str] = &[
    "default",
    "d",
    "mandatory",
    "ternary",
    "type_debug",
    "length",
    "count",
    "list",
    "items",
    "dict2items",
    "items2dict",
    "extract",
    "first",
    "last",
    "map",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "attr",
    "reverse",
    "batch",
    "slice",
    "zip",
    "join",
];

/// Methods that change what they are called on.
const CHANGING: &[&str] = &[
    "append",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "sort",
    "reverse",
    "clear",
    "update",
    "setdefault",
];

/// An unknown value out of several reasons.
pub(crate) fn join<'u>(parts: impl IntoIterator<Item = &'u Unknown>) -> Val {
    Val::Unknown(Arc::new(Unknown::join(parts)))
}

/// Makes a value of the failure of using something that is not known.
pub(crate) fn settle(result: Res<Val>) -> Res<Val> {
    match result {
        Err(fail) => fail.into_unknown().map(Val::Unknown),
        known => known,
    }
}

/// Fails if one of the values is unknown, with the reasons of all.
pub(crate) fn known<'v>(vals: impl IntoIterator<Item = &'v Val>) -> Res<()> {
    let unknown: Vec<&Unknown> = vals
        .into_iter()
        .filter_map(|val| match val {
            Val::Unknown(unknown) => Some(&**unknown),
            _ => None,
        })
        .collect();
    match unknown.as_slice() {
        [] => Ok(()),
        several => Err(Fail::unknown(Arc::new(Unknown::join(
            several.iter().copied(),
        )))),
    }
}

/// As [`known`], of all that the values hold.
pub(crate) fn known_throughout<'v>(
    cx: &Cx<'_>,
    vals: impl IntoIterator<Item = &'v Val>,
) -> Res<()> {
    let mut found = Vec::new();
    for val in vals {
        parts(cx, val, &mut found)?;
    }
    match found.as_slice() {
        [] => Ok(()),
        several => Err(Fail::unknown(Arc::new(Unknown::join(several)))),
    }
}

/// The reasons for everything unknown in a value. Variables behind `hostvars` and `vars` are not looked at.
pub(crate) fn parts(cx: &Cx<'_>, val: &Val, found: &mut Vec<Unknown>) -> Res<()> {
    let _level = cx.level()?;
    match val {
        Val::Unknown(unknown) => found.push(Unknown::clone(unknown)),
        Val::List(list) => list.unknown_parts(cx, found)?,
        Val::Dict(dict) => dict.unknown_parts(cx, found)?,
        Val::Seq(seq) => {
            for item in &seq.items {
                parts(cx, item, found)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// May the filter run on these? One that reads the values of a container must know them all.
pub(crate) fn may_filter(cx: &Cx<'_>, name: &str, base: &Val, args: &Args) -> Res<()> {
    let name = short_name(name);
    if matches!(name, "default" | "d" | "mandatory" | "ternary") {
        return Ok(());
    }
    let combining = name == "combine" && args.named.is_empty();
    let all = || std::iter::once(base).chain(args.all());
    if combining || STRUCTURAL.contains(&name) {
        return known(all());
    }
    known_throughout(cx, all())
}

/// An inline `if` whose condition is not known: known if both branches give the same.
pub(crate) fn either(cx: &Cx<'_>, condition: &Unknown, yes: &Val, no: &Val) -> Val {
    if let (Ok(a), Ok(b)) = (yes.to_value(cx), no.to_value(cx))
        && a == b
    {
        return yes.clone();
    }
    let mut reasons = vec![condition.clone()];
    for branch in [yes, no] {
        if let Val::Unknown(unknown) = branch {
            reasons.push(Unknown::clone(unknown));
        }
    }
    join(&reasons)
}

/// What stands in a text for a statement whose outcome is not known: on a line of its own where the statement's parts
/// are lines.
pub(crate) fn block_hole(unknown: &Arc<Unknown>, what: &str, bodies: &[&[Stmt]]) -> Val {
    let lines = bodies
        .iter()
        .any(|body| matches!(body.last(), Some(Stmt::Raw(text)) if text.ends_with('\n')));
    let newline = if lines { "\n" } else { "" };
    let sketch = format!("\u{ab}{}: {what}\u{bb}{newline}", unknown.words());
    Val::Unknown(Arc::new(Unknown {
        until: unknown.until.clone(),
        sketch: Some(sketch.into()),
    }))
}

/// Can the statements end or skip a round of the loop they stand in?
pub(crate) fn leaves_loop(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match stmt {
        Stmt::Break | Stmt::Continue => true,
        Stmt::If(_, yes, no) => leaves_loop(yes) || leaves_loop(no),
        Stmt::With(_, body) | Stmt::Group(body) => leaves_loop(body),
        _ => false,
    })
}

/// Makes everything unknown that statements would set or change, which perhaps run and perhaps do not.
pub(crate) struct Doubt<'d> {
    pub(crate) cx: &'d Cx<'d>,
    pub(crate) frame: &'d Frame,
    pub(crate) unknown: &'d Arc<Unknown>,
}

impl Doubt<'_> {
    /// `inner`: the statements have names of their own, so what they set ends with them.
    pub(crate) fn stmts(&self, stmts: &[Stmt], inner: bool) {
        for stmt in stmts {
            self.stmt(stmt, inner);
        }
    }

    pub(crate) fn for_loop(&self, it: &For) {
        self.expr(&it.iter);
        it.filter.iter().for_each(|expr| self.expr(expr));
        self.stmts(&it.body, true);
        self.stmts(&it.otherwise, true);
    }

    fn stmt(&self, stmt: &Stmt, inner: bool) {
        match stmt {
            Stmt::Emit(expr, _) | Stmt::Do(expr) => self.expr(expr),
            Stmt::Set(target, expr, _) => {
                self.expr(expr);
                self.target(target, inner);
            }
            Stmt::SetBlock(target, _, body, _) => {
                self.stmts(body, true);
                self.target(target, inner);
            }
            Stmt::For(it) => self.for_loop(it),
            Stmt::If(test, yes, no) => {
                self.expr(test);
                self.stmts(yes, inner);
                self.stmts(no, inner);
            }
            Stmt::With(_, body) | Stmt::FilterBlock(_, body) => self.stmts(body, true),
            Stmt::Group(body) => self.stmts(body, inner),
            Stmt::Block(block) => self.stmts(&block.body, true),
            Stmt::Import(_, target, ..) => self.target(target, inner),
            Stmt::FromImport(_, names, ..) if !inner => {
                for (_, alias) in names {
                    self.name(alias);
                }
            }
            Stmt::Macro(decl) if !inner => self.name(&decl.name),
            Stmt::CallBlock(callee, ..) => self.expr(callee),
            _ => {}
        }
    }

    fn name(&self, name: &Arc<str>) {
        self.frame
            .locals
            .set(name, Val::Unknown(self.unknown.clone()));
    }

    fn target(&self, target: &Target, inner: bool) {
        match target {
            Target::Name(name) if !inner => self.name(name),
            Target::Name(_) => {}
            Target::Unpack(targets) => targets.iter().for_each(|target| self.target(target, inner)),
            Target::Field(expr, field) => {
                if let Ok(Val::Object(object)) = eval(self.cx, self.frame, expr)
                    && let Object::Namespace(fields) = &*object
                {
                    let val = Val::Unknown(self.unknown.clone());
                    fields.borrow_mut().insert(field.clone(), val);
                }
            }
        }
    }

    /// Calls of methods that change a variable's value.
    pub(crate) fn expr(&self, expr: &Expr) {
        if let Expr::Call(callee, ..) = expr
            && let Expr::Attr(base, method, _) = &**callee
            && let Expr::Var(name, _) = &**base
            && CHANGING.contains(&&**method)
        {
            let val = Val::Unknown(self.unknown.clone());
            self.frame.locals.replace(name, val);
        }
        expr.each_part(&mut |part| self.expr(part));
    }
}
