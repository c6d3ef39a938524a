//! The tree of a compiled template: owned, shareable between threads, with a byte range in the template's text for
//! everything that can go wrong.

use std::sync::Arc;

use crate::filters::FilterFn;
use crate::tests::TestFn;

/// A byte range in the template's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A compiled template or expression.
pub(crate) struct Unit {
    pub(crate) body: Body,
    /// Newlines at the end of the text, which a text result keeps.
    pub(crate) trailing_newlines: usize,
    /// What template data writes for a line break.
    pub(crate) newline: Newline,
    /// Bytes before the text that was compiled: a file's `#jinja2:` line.
    pub(crate) skipped: u32,
    /// Offsets (in the text as parsed) before which a byte of the original was left out.
    pub(crate) left_out: Vec<u32>,
}

pub(crate) enum Body {
    Template(Vec<Stmt>),
    Expr(Expr),
}

/// What a line break in template data becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Newline {
    /// `\n`.
    #[default]
    Lf,
    /// `\r\n`.
    CrLf,
    /// `\r`.
    Cr,
}

impl Newline {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Newline::Lf => "\n",
            Newline::CrLf => "\r\n",
            Newline::Cr => "\r",
        }
    }
}

pub(crate) enum Const {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Concat,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

pub(crate) enum Expr {
    Var(Arc<str>, At),
    Const(Const),
    /// A text constant in a condition that itself contains a template.
    Embedded(Arc<Unit>, At),
    Slice(Box<[Option<Expr>; 4]>, At),
    Not(Box<Expr>),
    Neg(Box<Expr>, At),
    Bin(Op, Box<Expr>, Box<Expr>, At),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Vec<(Cmp, Expr)>, At),
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>, At),
    Filter(Box<FilterCall>),
    Test(Box<TestCall>),
    Attr(Box<Expr>, Arc<str>, At),
    Item(Box<Expr>, Box<Expr>, At),
    Call(Box<Expr>, Vec<Arg>, At),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>, At),
}

impl Expr {
    /// The expressions that this one is made of. Templates inside constants are not among them.
    pub(crate) fn each_part<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        let given = |args: &'e [Arg], visit: &mut dyn FnMut(&'e Expr)| {
            for arg in args {
                match arg {
                    Arg::Pos(expr)
                    | Arg::Named(_, expr)
                    | Arg::Splat(expr)
                    | Arg::NamedSplat(expr) => visit(expr),
                }
            }
        };
        match self {
            Expr::Var(..) | Expr::Const(_) | Expr::Embedded(..) => {}
            Expr::Slice(parts, _) => parts.iter().flatten().for_each(visit),
            Expr::Not(inner) | Expr::Neg(inner, _) | Expr::Attr(inner, ..) => visit(inner),
            Expr::Bin(_, a, b, _) | Expr::And(a, b) | Expr::Or(a, b) | Expr::Item(a, b, _) => {
                visit(a);
                visit(b);
            }
            Expr::Compare(first, rest, _) => {
                visit(first);
                for (_, expr) in rest {
                    visit(expr);
                }
            }
            Expr::If(test, yes, no, _) => {
                visit(test);
                visit(yes);
                if let Some(no) = no {
                    visit(no);
                }
            }
            Expr::Filter(it) => {
                it.base.iter().for_each(&mut *visit);
                given(&it.args, visit);
            }
            Expr::Test(it) => {
                visit(&it.base);
                given(&it.args, visit);
            }
            Expr::Call(callee, args, _) => {
                visit(callee);
                given(args, visit);
            }
            Expr::List(items) | Expr::Tuple(items) => items.iter().for_each(visit),
            Expr::Dict(entries, _) => entries.iter().for_each(|(key, val)| {
                visit(key);
                visit(val);
            }),
        }
    }
}

pub(crate) struct FilterCall {
    pub(crate) name: Arc<str>,
    pub(crate) run: FilterFn,
    /// Absent in a filter block, whose text is the input.
    pub(crate) base: Option<Expr>,
    pub(crate) args: Vec<Arg>,
    pub(crate) at: At,
}

pub(crate) struct TestCall {
    pub(crate) name: Arc<str>,
    pub(crate) run: TestFn,
    pub(crate) base: Expr,
    pub(crate) args: Vec<Arg>,
    pub(crate) at: At,
}

pub(crate) enum Arg {
    Pos(Expr),
    Named(Arc<str>, Expr),
    Splat(Expr),
    NamedSplat(Expr),
}

/// What `for`, `set` and `with` bind.
pub(crate) enum Target {
    Name(Arc<str>),
    /// `ns.field`.
    Field(Expr, Arc<str>),
    Unpack(Vec<Target>),
}

pub(crate) struct Macro {
    pub(crate) name: Arc<str>,
    pub(crate) args: Vec<Arc<str>>,
    /// Defaults of the last arguments.
    pub(crate) defaults: Vec<Expr>,
    pub(crate) body: Vec<Stmt>,
    pub(crate) uses_varargs: bool,
    pub(crate) uses_kwargs: bool,
    pub(crate) uses_caller: bool,
}

pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) iter: Expr,
    pub(crate) filter: Option<Expr>,
    pub(crate) recursive: bool,
    pub(crate) body: Vec<Stmt>,
    pub(crate) otherwise: Vec<Stmt>,
    pub(crate) at: At,
}

pub(crate) struct Block {
    pub(crate) name: Arc<str>,
    pub(crate) required: bool,
    pub(crate) body: Vec<Stmt>,
}

pub(crate) enum Stmt {
    Emit(Expr, At),
    Raw(Arc<str>),
    For(Arc<For>),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    With(Vec<(Target, Expr)>, Vec<Stmt>),
    Set(Target, Expr, At),
    SetBlock(Target, Option<Expr>, Vec<Stmt>, At),
    FilterBlock(Expr, Vec<Stmt>),
    /// A part without meaning of its own (`autoescape`).
    Group(Vec<Stmt>),
    Block(Arc<Block>),
    Import(Expr, Target, Context, At),
    FromImport(Expr, Vec<(Arc<str>, Arc<str>)>, Context, At),
    Extends(Expr, At),
    Include(Expr, IgnoreMissing, Context, At),
    Macro(Arc<Macro>),
    CallBlock(Expr, Vec<Arg>, Arc<Macro>, At),
    Continue,
    Break,
    Do(Expr),
}

/// Does an included or imported template see the local variables of the including one?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    With,
    Without,
}

/// May an included template be absent?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IgnoreMissing {
    Yes,
    No,
}
