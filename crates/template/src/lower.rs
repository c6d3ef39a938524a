//! From text to tree: minijinja's parser reads the text, this turns its borrowed tree into our owned one and
//! resolves the names of filters and tests.

use std::sync::Arc;

use minijinja::machinery::{self, Span, ast};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;

use crate::ast::{
    Arg, At, Block, Body, Cmp, Const, Context, Expr, FilterCall, For, IgnoreMissing, Macro,
    Newline, Op, Stmt, Target, TestCall, Unit,
};
use crate::fail::Fail;

/// A failure with its place in the text.
pub(crate) type LowerResult<T> = Result<T, (Fail, At)>;

/// How text is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Mode {
    /// Text in a playbook or variable file: backslashes inside `{{ }}` stand for themselves, as YAML already
    /// unescaped the text.
    Inline,
    /// A bare expression.
    Expression,
    /// A bare expression in which a text constant may contain a template (`when: "'{{ x }}' == 'y'"`).
    Condition,
    /// A template file.
    File,
}

/// Deepest expression: each operator of a chain is a level.
const DEPTH_MAX: u32 = 1000;

struct Lower<'s> {
    text: &'s str,
    depth: u32,
    mode: Mode,
    /// Inside `{{ }}`?
    in_print: bool,
    /// Names that the macro being read uses.
    special: Vec<&'static str>,
}

/// Reads `text`.
///
/// The parser makes a tree as deep as a chain of operators is long, and such a tree is also taken down recursively;
/// the stack is made large enough for what the text can contain.
pub(crate) fn compile(
    text: &str,
    mode: Mode,
    syntax: &SyntaxConfig,
    newline: Newline,
) -> LowerResult<Unit> {
    let operators = text
        .bytes()
        .filter(|byte| b"+-*/~%|.([<>=!adefnors".contains(byte))
        .count();
    if operators < 200 {
        return compile_here(text, mode, syntax, newline);
    }
    let stack = 512 * 1024 + operators.min(DEPTH_MAX as usize * 1000) * 1024;
    stacker::maybe_grow(stack, stack + 64 * 1024, || {
        compile_here(text, mode, syntax, newline)
    })
}

fn compile_here(
    text: &str,
    mode: Mode,
    syntax: &SyntaxConfig,
    newline: Newline,
) -> LowerResult<Unit> {
    let (normal, left_out) = normalise(text);
    let source = normal.as_deref().unwrap_or(text);
    let mut lower = Lower {
        text: source,
        depth: 0,
        mode,
        in_print: false,
        special: Vec::new(),
    };
    let body = match mode {
        Mode::Inline | Mode::File => {
            let tree = machinery::parse(source, "", syntax.clone())
                .map_err(|e| syntax_error(&e, source))?;
            let ast::Stmt::Template(root) = tree else {
                return Err((Fail::syntax("not a template"), At::default()));
            };
            Body::Template(lower.body(&root.children)?)
        }
        Mode::Expression | Mode::Condition => {
            let tree = machinery::parse_expr(source).map_err(|e| syntax_error(&e, source))?;
            Body::Expr(lower.expr(&tree)?)
        }
    };
    Ok(Unit {
        body,
        trailing_newlines: source.len() - source.trim_end_matches('\n').len(),
        newline,
        skipped: 0,
        left_out,
    })
}

/// Line breaks become `\n`. Second: the offsets before which a byte was left out.
fn normalise(text: &str) -> (Option<String>, Vec<u32>) {
    if !text.contains('\r') {
        return (None, Vec::new());
    }
    let mut out = String::with_capacity(text.len());
    let mut left_out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(ch) = chars.next() {
        if ch == '\r' {
            if chars.next_if_eq(&'\n').is_some() {
                left_out.push(u32::try_from(out.len()).unwrap_or(u32::MAX));
            }
            out.push('\n');
        } else {
            out.push(ch);
        }
    }
    (Some(out), left_out)
}

fn syntax_error(error: &minijinja::Error, source: &str) -> (Fail, At) {
    let message = error.detail().unwrap_or("syntax error").to_owned();
    let at = match error.range() {
        Some(range) => at_range(range.start, range.end),
        None => error.line().map_or(At::default(), |line| {
            let start: usize = source
                .split_inclusive('\n')
                .take(line.saturating_sub(1))
                .map(str::len)
                .sum();
            at_range(start, start)
        }),
    };
    (Fail::syntax(message), at)
}

fn at_range(start: usize, end: usize) -> At {
    At {
        start: u32::try_from(start).unwrap_or(u32::MAX),
        end: u32::try_from(end).unwrap_or(u32::MAX),
    }
}

fn at(span: Span) -> At {
    At {
        start: span.start_offset,
        end: span.end_offset,
    }
}

impl Lower<'_> {
    fn slice(&self, span: Span) -> &str {
        self.text
            .get(span.start_offset as usize..span.end_offset as usize)
            .unwrap_or("")
    }

    fn body(&mut self, stmts: &[ast::Stmt<'_>]) -> LowerResult<Vec<Stmt>> {
        stmts.iter().map(|stmt| self.stmt(stmt)).collect()
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one flat match over the kinds of statements"
    )]
    fn stmt(&mut self, stmt: &ast::Stmt<'_>) -> LowerResult<Stmt> {
        Ok(match stmt {
            ast::Stmt::Template(it) => Stmt::Group(self.body(&it.children)?),
            ast::Stmt::EmitExpr(it) => {
                self.in_print = true;
                let expr = self.expr(&it.expr);
                self.in_print = false;
                Stmt::Emit(expr?, at(it.span()))
            }
            ast::Stmt::EmitRaw(it) => Stmt::Raw(it.raw.into()),
            ast::Stmt::ForLoop(it) => Stmt::For(Arc::new(For {
                target: self.target(&it.target)?,
                iter: self.expr(&it.iter)?,
                filter: it.filter_expr.as_ref().map(|e| self.expr(e)).transpose()?,
                recursive: it.recursive,
                body: self.body(&it.body)?,
                otherwise: self.body(&it.else_body)?,
                at: at(it.iter.span()),
            })),
            ast::Stmt::IfCond(it) => Stmt::If(
                self.expr(&it.expr)?,
                self.body(&it.true_body)?,
                self.body(&it.false_body)?,
            ),
            ast::Stmt::WithBlock(it) => {
                let mut sets = Vec::new();
                for (target, expr) in &it.assignments {
                    sets.push((self.target(target)?, self.expr(expr)?));
                }
                Stmt::With(sets, self.body(&it.body)?)
            }
            ast::Stmt::Set(it) => Stmt::Set(
                self.target(&it.target)?,
                self.expr(&it.expr)?,
                at(it.span()),
            ),
            ast::Stmt::SetBlock(it) => Stmt::SetBlock(
                self.target(&it.target)?,
                it.filter.as_ref().map(|e| self.expr(e)).transpose()?,
                self.body(&it.body)?,
                at(it.span()),
            ),
            ast::Stmt::AutoEscape(it) => Stmt::Group(self.body(&it.body)?),
            ast::Stmt::FilterBlock(it) => {
                Stmt::FilterBlock(self.expr(&it.filter)?, self.body(&it.body)?)
            }
            ast::Stmt::Block(it) => Stmt::Block(Arc::new(Block {
                name: it.name.into(),
                required: it.required,
                body: self.body(&it.body)?,
            })),
            ast::Stmt::Import(it) => Stmt::Import(
                self.expr(&it.expr)?,
                self.target(&it.name)?,
                self.context(it.span(), Context::Without),
                at(it.span()),
            ),
            ast::Stmt::FromImport(it) => {
                let mut names = Vec::new();
                for (name, alias) in &it.names {
                    let name = Self::plain_name(name)?;
                    let alias = alias.as_ref().map(|e| Self::plain_name(e)).transpose()?;
                    names.push((name.clone(), alias.unwrap_or(name)));
                }
                Stmt::FromImport(
                    self.expr(&it.expr)?,
                    names,
                    self.context(it.span(), Context::Without),
                    at(it.span()),
                )
            }
            ast::Stmt::Extends(it) => Stmt::Extends(self.expr(&it.name)?, at(it.span())),
            ast::Stmt::Include(it) => Stmt::Include(
                self.expr(&it.name)?,
                if it.ignore_missing {
                    IgnoreMissing::Yes
                } else {
                    IgnoreMissing::No
                },
                self.context(it.span(), Context::With),
                at(it.span()),
            ),
            ast::Stmt::Macro(it) => Stmt::Macro(Arc::new(self.macro_decl(it)?)),
            ast::Stmt::CallBlock(it) => {
                let caller = self.macro_decl(&it.macro_decl)?;
                let callee = self.expr(&it.call.expr)?;
                let args = self.args(&it.call.args)?;
                Stmt::CallBlock(callee, args, Arc::new(caller), at(it.call.span()))
            }
            ast::Stmt::Continue(_) => Stmt::Continue,
            ast::Stmt::Break(_) => Stmt::Break,
            ast::Stmt::Do(it) => {
                let callee = self.expr(&it.call.expr)?;
                let args = self.args(&it.call.args)?;
                Stmt::Do(Expr::Call(Box::new(callee), args, at(it.call.span())))
            }
        })
    }

    /// The parser reads `with context` and `without context` and forgets which; the text still says it.
    fn context(&self, span: Span, default: Context) -> Context {
        let tail = self
            .slice(span)
            .trim_end()
            .strip_suffix("context")
            .map(str::trim_end);
        match tail {
            Some(head) if head.ends_with("without") => Context::Without,
            Some(head) if head.ends_with("with") => Context::With,
            _ => default,
        }
    }

    fn macro_decl(&mut self, it: &ast::Macro<'_>) -> LowerResult<Macro> {
        let outer = std::mem::take(&mut self.special);
        let args: LowerResult<Vec<Arc<str>>> =
            it.args.iter().map(|e| Self::plain_name(e)).collect();
        let defaults: LowerResult<Vec<Expr>> = it.defaults.iter().map(|e| self.expr(e)).collect();
        let body = self.body(&it.body);
        let used = std::mem::replace(&mut self.special, outer);
        Ok(Macro {
            name: it.name.into(),
            args: args?,
            defaults: defaults?,
            body: body?,
            uses_varargs: used.contains(&"varargs"),
            uses_kwargs: used.contains(&"kwargs"),
            uses_caller: used.contains(&"caller"),
        })
    }

    fn plain_name(expr: &ast::Expr<'_>) -> LowerResult<Arc<str>> {
        match expr {
            ast::Expr::Var(var) => Ok(var.id.into()),
            other => Err((Fail::syntax("expected a name"), at(other.span()))),
        }
    }

    fn target(&mut self, expr: &ast::Expr<'_>) -> LowerResult<Target> {
        Ok(match expr {
            ast::Expr::Var(var) => Target::Name(var.id.into()),
            ast::Expr::GetAttr(it) => Target::Field(self.expr(&it.expr)?, it.name.into()),
            ast::Expr::List(it) => Target::Unpack(self.targets(&it.items)?),
            ast::Expr::Tuple(it) => Target::Unpack(self.targets(&it.items)?),
            other => return Err((Fail::syntax("cannot assign to this"), at(other.span()))),
        })
    }

    fn targets(&mut self, items: &[ast::Expr<'_>]) -> LowerResult<Vec<Target>> {
        items.iter().map(|item| self.target(item)).collect()
    }

    fn boxed(&mut self, expr: &ast::Expr<'_>) -> LowerResult<Box<Expr>> {
        self.expr(expr).map(Box::new)
    }

    fn expr(&mut self, expr: &ast::Expr<'_>) -> LowerResult<Expr> {
        if self.depth >= DEPTH_MAX {
            let fail = Fail::syntax("the expression is too long or nested too deeply");
            return Err((fail, at(expr.span())));
        }
        self.depth += 1;
        let lowered = stacker::maybe_grow(128 * 1024, 1024 * 1024, || self.one(expr));
        self.depth -= 1;
        lowered
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one flat match over the kinds of expressions"
    )]
    fn one(&mut self, expr: &ast::Expr<'_>) -> LowerResult<Expr> {
        Ok(match expr {
            ast::Expr::Var(it) => {
                let names = ["varargs", "kwargs", "caller"];
                self.special
                    .extend(names.iter().filter(|name| **name == it.id));
                Expr::Var(it.id.into(), at(it.span()))
            }
            ast::Expr::Const(it) => return self.constant(it),
            ast::Expr::Slice(it) => {
                let mut part =
                    |e: &Option<ast::Expr<'_>>| e.as_ref().map(|e| self.expr(e)).transpose();
                let (start, stop, step) = (part(&it.start)?, part(&it.stop)?, part(&it.step)?);
                let base = self.expr(&it.expr)?;
                Expr::Slice(Box::new([Some(base), start, stop, step]), at(it.span()))
            }
            ast::Expr::UnaryOp(it) => match it.op {
                ast::UnaryOpKind::Not => Expr::Not(self.boxed(&it.expr)?),
                ast::UnaryOpKind::Neg => Expr::Neg(self.boxed(&it.expr)?, at(it.span())),
            },
            ast::Expr::BinOp(it) => self.binary(it)?,
            ast::Expr::Compare(it) => {
                let first = self.boxed(&it.expr)?;
                let mut rest = Vec::new();
                for op in &it.ops {
                    rest.push((compare_op(op.op), self.expr(&op.expr)?));
                }
                Expr::Compare(first, rest, at(it.span()))
            }
            ast::Expr::IfExpr(it) => Expr::If(
                self.boxed(&it.test_expr)?,
                self.boxed(&it.true_expr)?,
                it.false_expr.as_ref().map(|e| self.boxed(e)).transpose()?,
                at(it.span()),
            ),
            ast::Expr::Filter(it) => {
                let base = it.expr.as_ref().map(|e| self.expr(e)).transpose()?;
                let at = self.name_at(at(it.span()), base_end(it.expr.as_ref()), it.name);
                let run = crate::filters::find(it.name).map_err(|fail| (fail, at))?;
                let args = self.args(&it.args)?;
                Expr::Filter(Box::new(FilterCall {
                    name: it.name.into(),
                    run,
                    base,
                    args,
                    at,
                }))
            }
            ast::Expr::Test(it) => {
                let base = self.expr(&it.expr)?;
                let at = self.name_at(at(it.span()), base_end(Some(&it.expr)), it.name);
                let run = crate::tests::find(it.name).map_err(|fail| (fail, at))?;
                let args = self.args(&it.args)?;
                Expr::Test(Box::new(TestCall {
                    name: it.name.into(),
                    run,
                    base,
                    args,
                    at,
                }))
            }
            ast::Expr::GetAttr(it) => {
                Expr::Attr(self.boxed(&it.expr)?, it.name.into(), at(it.span()))
            }
            ast::Expr::GetItem(it) => Expr::Item(
                self.boxed(&it.expr)?,
                self.boxed(&it.subscript_expr)?,
                at(it.span()),
            ),
            ast::Expr::Call(it) => {
                let callee = self.boxed(&it.expr)?;
                if let Expr::Var(name, _) = &*callee {
                    crate::functions::refuse(name).map_err(|fail| (fail, at(it.span())))?;
                }
                Expr::Call(callee, self.args(&it.args)?, at(it.span()))
            }
            ast::Expr::List(it) => Expr::List(self.exprs(&it.items)?),
            ast::Expr::Tuple(it) => Expr::Tuple(self.exprs(&it.items)?),
            ast::Expr::Map(it) => {
                let mut entries = Vec::new();
                for (key, value) in it.keys.iter().zip(&it.values) {
                    entries.push((self.expr(key)?, self.expr(value)?));
                }
                Expr::Dict(entries, at(it.span()))
            }
        })
    }

    /// The place of a filter's or test's name, which says more than that of the whole expression.
    fn name_at(&self, whole: At, from: u32, name: &str) -> At {
        let from = from.max(whole.start) as usize;
        let rest = self
            .text
            .get(from..(whole.end as usize).max(from))
            .unwrap_or("");
        match rest.find(name) {
            Some(offset) => at_range(from + offset, from + offset + name.len()),
            None => whole,
        }
    }

    fn exprs(&mut self, items: &[ast::Expr<'_>]) -> LowerResult<Vec<Expr>> {
        items.iter().map(|item| self.expr(item)).collect()
    }

    fn args(&mut self, args: &[ast::CallArg<'_>]) -> LowerResult<Vec<Arg>> {
        let lowered = args.iter().map(|arg| {
            Ok(match arg {
                ast::CallArg::Pos(e) => Arg::Pos(self.expr(e)?),
                ast::CallArg::Kwarg(name, e) => Arg::Named((*name).into(), self.expr(e)?),
                ast::CallArg::PosSplat(e) => Arg::Splat(self.expr(e)?),
                ast::CallArg::KwargSplat(e) => Arg::NamedSplat(self.expr(e)?),
            })
        });
        lowered.collect()
    }

    fn binary(&mut self, it: &ast::Spanned<ast::BinOp<'_>>) -> LowerResult<Expr> {
        use ast::BinOpKind as B;
        let left = self.boxed(&it.left)?;
        let right = self.boxed(&it.right)?;
        let place = at(it.span());
        let compare = |op, left, right: Box<Expr>| Expr::Compare(left, vec![(op, *right)], place);
        let arithmetic = |op, left, right| Expr::Bin(op, left, right, place);
        Ok(match it.op {
            B::Eq => compare(Cmp::Eq, left, right),
            B::Ne => compare(Cmp::Ne, left, right),
            B::Lt => compare(Cmp::Lt, left, right),
            B::Lte => compare(Cmp::Le, left, right),
            B::Gt => compare(Cmp::Gt, left, right),
            B::Gte => compare(Cmp::Ge, left, right),
            B::In => compare(Cmp::In, left, right),
            B::ScAnd => Expr::And(left, right),
            B::ScOr => Expr::Or(left, right),
            B::Add => arithmetic(Op::Add, left, right),
            B::Sub => arithmetic(Op::Sub, left, right),
            B::Mul => arithmetic(Op::Mul, left, right),
            B::Div => arithmetic(Op::Div, left, right),
            B::FloorDiv => arithmetic(Op::FloorDiv, left, right),
            B::Rem => arithmetic(Op::Rem, left, right),
            B::Pow => arithmetic(Op::Pow, left, right),
            B::Concat => arithmetic(Op::Concat, left, right),
        })
    }

    fn constant(&self, it: &ast::Spanned<ast::Const>) -> LowerResult<Expr> {
        let value = &it.value;
        let lowered = match value.kind() {
            ValueKind::Undefined | ValueKind::None => Const::None,
            ValueKind::Bool => Const::Bool(value.is_true()),
            ValueKind::Number if value.is_integer() => match i128::try_from(value.clone()) {
                Ok(int) => Const::Int(int),
                Err(_) => return Err((Fail::syntax("integer is too large"), at(it.span()))),
            },
            ValueKind::Number => match f64::try_from(value.clone()) {
                Ok(float) => Const::Float(float),
                Err(_) => return Err((Fail::syntax("invalid number"), at(it.span()))),
            },
            ValueKind::String => return self.text_constant(it, value.as_str().unwrap_or("")),
            _ => return Err((Fail::syntax("unsupported constant"), at(it.span()))),
        };
        Ok(Expr::Const(lowered))
    }

    fn text_constant(&self, it: &ast::Spanned<ast::Const>, text: &str) -> LowerResult<Expr> {
        if self.mode == Mode::Inline
            && self.in_print
            && let Some(raw) = raw_literal(self.slice(it.span()))
        {
            return Ok(Expr::Const(Const::Str(raw.into())));
        }
        if self.mode == Mode::Condition && text.contains("{{") {
            let unit = compile(text, Mode::Inline, &SyntaxConfig::default(), Newline::Lf)
                .map_err(|(fail, _)| (fail, at(it.span())))?;
            return Ok(Expr::Embedded(Arc::new(unit), at(it.span())));
        }
        Ok(Expr::Const(Const::Str(text.into())))
    }
}

fn base_end(expr: Option<&ast::Expr<'_>>) -> u32 {
    expr.map_or(0, |expr| expr.span().end_offset)
}

/// The text between the quotes of one literal with backslashes, which stand for themselves but before a quote.
fn raw_literal(slice: &str) -> Option<String> {
    let quote = slice.chars().next().filter(|ch| matches!(ch, '\'' | '"'))?;
    let inner = slice.strip_prefix(quote)?.strip_suffix(quote)?;
    if !inner.contains('\\') {
        return None;
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(ch) = chars.next() {
        if ch == quote {
            // A second literal follows: implicit concatenation, left to the parser.
            return None;
        }
        if ch != '\\' {
            out.push(ch);
            continue;
        }
        match chars.next() {
            Some(next) if next == quote => out.push(next),
            Some(next) => out.extend(['\\', next]),
            None => out.push('\\'),
        }
    }
    Some(out)
}

fn compare_op(op: ast::CompareOpKind) -> Cmp {
    match op {
        ast::CompareOpKind::Eq => Cmp::Eq,
        ast::CompareOpKind::Ne => Cmp::Ne,
        ast::CompareOpKind::Lt => Cmp::Lt,
        ast::CompareOpKind::Lte => Cmp::Le,
        ast::CompareOpKind::Gt => Cmp::Gt,
        ast::CompareOpKind::Gte => Cmp::Ge,
        ast::CompareOpKind::In => Cmp::In,
        ast::CompareOpKind::NotIn => Cmp::NotIn,
    }
}

/// The delimiters and whitespace rules of text in playbooks and variable files.
pub(crate) fn inline_syntax() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true);
    builder.build().unwrap_or_default()
}
