//! Statements.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::args::Args;
use crate::ast::{
    Arg, At, Block, Body, Context, Expr, For, IgnoreMissing, Macro, Stmt, Target, Unit,
};
use crate::context::{Cx, Frame, Locals};
use crate::eval::{self, eval};
use crate::fail::{Fail, Res, bail};
use crate::file;
use crate::objects::{Loop, Object};
use crate::ops;
use crate::text;
use crate::unknown::{self, Doubt, Rendered, block_hole, leaves_loop};
use crate::value::Val;
use hostler_value::Unknown;

/// What a template printed: one value stays what it is, more are text.
#[derive(Default)]
pub(crate) struct Out {
    lone: Option<Val>,
    text: String,
    pieces: usize,
    /// Why the text has holes.
    holes: Vec<Arc<Unknown>>,
}

impl Out {
    fn emit(&mut self, cx: &Cx<'_>, val: Val) -> Res<()> {
        match &val {
            Val::Undef(undef) if !undef.lenient => return Err(undef.trip()),
            _ => {}
        }
        self.pieces += 1;
        if self.pieces == 1 {
            self.lone = Some(val);
            return Ok(());
        }
        if let Some(first) = self.lone.take() {
            self.print(cx, &first)?;
        }
        self.print(cx, &val)
    }

    fn print(&mut self, cx: &Cx<'_>, val: &Val) -> Res<()> {
        let before = self.text.len();
        if let Err(fail) = text::printed(cx, &mut self.text, val) {
            let unknown = fail.into_unknown()?;
            self.text.truncate(before);
            text::push(&mut self.text, &unknown.text())?;
            self.holes.push(unknown);
        }
        Ok(())
    }

    /// The native value; `nothing` if nothing was printed.
    pub(crate) fn native(self, nothing: Val) -> Val {
        match self.pieces {
            0 => nothing,
            1 => self.lone.unwrap_or(nothing),
            _ if self.holes.is_empty() => Val::str(self.text),
            _ => Val::Unknown(Arc::new(Unknown {
                sketch: Some(self.text.into()),
                ..Unknown::join(self.holes.iter().map(|hole| &**hole))
            })),
        }
    }
}

/// How execution goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Continue,
    Break,
}

/// Runs a whole template with its inheritance; the result is native.
pub(crate) fn run_template(cx: &Cx<'_>, frame: &Frame) -> Res<Val> {
    let mut out = Out::default();
    run_unit(cx, frame, &mut out)?;
    let val = out.native(Val::None);
    Ok(keep_newlines(val, frame))
}

/// Runs a template file; the result is text.
pub(crate) fn run_file(cx: &Cx<'_>, frame: &Frame) -> Res<Rendered> {
    let mut out = Out::default();
    run_unit(cx, frame, &mut out)?;
    // A file that is one expression is written as that value's text, and only text keeps its last newline.
    let val = keep_newlines(out.native(Val::None), frame);
    let mut out = Out::default();
    out.print(cx, &val)?;
    let holes = out.holes.iter().map(|hole| &**hole);
    Ok(Rendered {
        unknown: (!out.holes.is_empty()).then(|| Unknown::join(holes)),
        text: out.text,
    })
}

/// A text result ends with at least as many newlines as the template.
fn keep_newlines(val: Val, frame: &Frame) -> Val {
    let (text, unknown) = match &val {
        Val::Str(text) => (text, None),
        Val::Unknown(unknown) => match &unknown.sketch {
            Some(sketch) => (sketch, Some(unknown)),
            None => return val,
        },
        _ => return val,
    };
    let newline = frame.unit.newline.text();
    let got = (text.len() - text.trim_end_matches(newline).len()) / newline.len();
    let wanted = frame.unit.trailing_newlines;
    if got >= wanted {
        return val;
    }
    let text: Arc<str> = format!("{text}{}", newline.repeat(wanted - got)).into();
    match unknown {
        None => Val::Str(text),
        Some(unknown) => Val::Unknown(Arc::new(Unknown {
            until: unknown.until.clone(),
            sketch: Some(text),
        })),
    }
}

fn run_unit(cx: &Cx<'_>, frame: &Frame, out: &mut Out) -> Res<()> {
    let Body::Template(stmts) = &frame.unit.body else {
        bail!("not a template");
    };
    collect_blocks(frame, stmts);
    let mut parent = None;
    for stmt in stmts {
        if let Stmt::Extends(name, at) = stmt {
            let name = eval(cx, frame, name)?;
            let (source, unit) = load(cx, frame, &[name], *at)?
                .ok_or_else(|| Fail::runtime("template not found").at(|| frame.span(*at)))?;
            parent = Some(Frame {
                source,
                unit,
                ..frame.clone()
            });
            continue;
        }
        if parent.is_some() {
            // What a child prints outside its blocks is nobody's; its definitions count.
            if matches!(stmt, Stmt::Block(_)) {
                continue;
            }
            run_one(cx, frame, stmt, &mut Out::default())?;
        } else {
            run_one(cx, frame, stmt, out)?;
        }
    }
    match parent {
        Some(parent) => {
            let _level = cx.level()?;
            run_unit(cx, &parent, out)
        }
        None => Ok(()),
    }
}

fn collect_blocks(frame: &Frame, stmts: &[Stmt]) {
    for stmt in stmts {
        match stmt {
            Stmt::Block(block) => {
                let mut blocks = frame.blocks.borrow_mut();
                let chain = blocks.entry(block.name.clone()).or_default();
                // The blocks' map must not hold frames that hold the map: the chain keeps them unlinked.
                let unlinked = Frame {
                    blocks: Rc::default(),
                    ..frame.clone()
                };
                chain.push((block.clone(), unlinked));
                drop(blocks);
                collect_blocks(frame, &block.body);
            }
            Stmt::For(it) => {
                collect_blocks(frame, &it.body);
                collect_blocks(frame, &it.otherwise);
            }
            Stmt::If(_, yes, no) => {
                collect_blocks(frame, yes);
                collect_blocks(frame, no);
            }
            Stmt::With(_, body) | Stmt::FilterBlock(_, body) | Stmt::Group(body) => {
                collect_blocks(frame, body);
            }
            _ => {}
        }
    }
}

/// Runs the definition of a block at a depth of its chain (0: the most derived).
pub(crate) fn run_block(cx: &Cx<'_>, frame: &Frame, name: &Arc<str>, depth: usize) -> Res<Val> {
    let mut out = Out::default();
    block(cx, frame, name, depth, &mut out)?;
    Ok(out.native(Val::str("")))
}

fn block(cx: &Cx<'_>, frame: &Frame, name: &Arc<str>, depth: usize, out: &mut Out) -> Res<()> {
    let _level = cx.level()?;
    let found = frame
        .blocks
        .borrow()
        .get(name)
        .and_then(|chain| chain.get(depth).cloned());
    let Some((block, home)) = found else {
        return Err(Fail::undefined(format!(
            "there is no parent block called '{name}'."
        )));
    };
    if block.required {
        bail!("Required block '{name}' not found");
    }
    let inner = Frame {
        locals: Locals::inside(&frame.locals),
        blocks: frame.blocks.clone(),
        ..home
    };
    let parent = Object::Block(frame.clone(), name.clone(), depth + 1).val();
    inner.locals.set(&"super".into(), parent);
    cx.keep(&inner.locals);
    run(cx, &inner, &block.body, out).map(|_| ())
}

fn run(cx: &Cx<'_>, frame: &Frame, stmts: &[Stmt], out: &mut Out) -> Res<Flow> {
    stacker::maybe_grow(128 * 1024, 1024 * 1024, || {
        for stmt in stmts {
            let flow = run_one(cx, frame, stmt, out)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    })
}

#[expect(
    clippy::too_many_lines,
    reason = "one flat match over the kinds of statements"
)]
fn run_one(cx: &Cx<'_>, frame: &Frame, stmt: &Stmt, out: &mut Out) -> Res<Flow> {
    cx.spend(1)?;
    match stmt {
        Stmt::Emit(expr, at) => {
            let val = eval(cx, frame, expr)?;
            out.emit(cx, val)
                .map_err(|fail| fail.at(|| frame.span(*at)))?;
        }
        Stmt::Raw(raw) => {
            let newline = frame.unit.newline.text();
            let raw = if newline == "\n" {
                raw.clone()
            } else {
                raw.replace('\n', newline).into()
            };
            out.emit(cx, Val::Str(raw))?;
        }
        Stmt::For(it) => run_for(cx, frame, it, out)?,
        Stmt::If(test, yes, no) => {
            let chosen = match eval::test(cx, frame, test) {
                Ok(true) => yes,
                Ok(false) => no,
                Err(fail) => {
                    return maybe_one(cx, frame, fail, [yes, no], out).map(|()| Flow::Next);
                }
            };
            return run(cx, frame, chosen, out);
        }
        Stmt::With(sets, body) => {
            let inner = frame.inner();
            for (target, expr) in sets {
                let val = eval(cx, frame, expr)?;
                assign(cx, &inner, target, val)?;
            }
            return run(cx, &inner, body, out);
        }
        Stmt::Set(target, expr, at) => {
            let val = eval(cx, frame, expr)?;
            assign(cx, frame, target, val).map_err(|fail| fail.at(|| frame.span(*at)))?;
        }
        Stmt::SetBlock(target, filter, body, at) => {
            let mut val = capture(cx, &frame.inner(), body)?;
            if let Some(filter) = filter {
                val = eval::filtered(cx, frame, filter, val)?;
            }
            assign(cx, frame, target, val).map_err(|fail| fail.at(|| frame.span(*at)))?;
        }
        Stmt::FilterBlock(filter, body) => {
            let val = capture(cx, &frame.inner(), body)?;
            out.emit(cx, eval::filtered(cx, frame, filter, val)?)?;
        }
        Stmt::Group(body) => return run(cx, frame, body, out),
        Stmt::Block(it) => {
            let name: &Block = it;
            block(cx, frame, &name.name, 0, out)?;
        }
        Stmt::Import(name, target, context, at) => {
            let module = match import(cx, frame, name, *context, *at) {
                Ok(module) => Object::Module(module).val(),
                Err(fail) => Val::Unknown(fail.into_unknown()?),
            };
            assign(cx, frame, target, module)?;
        }
        Stmt::FromImport(name, names, context, at) => {
            from_import(cx, frame, name, names, *context, *at)?;
        }
        Stmt::Extends(_, at) => {
            return Err(
                Fail::runtime("`extends` must stand at the top level of a template")
                    .at(|| frame.span(*at)),
            );
        }
        Stmt::Include(name, missing, context, at) => {
            if let Err(fail) = include(cx, frame, name, *missing, *context, *at, out) {
                let unknown = fail.into_unknown()?;
                out.emit(cx, block_hole(&unknown, "an included file", &[]))?;
            }
        }
        Stmt::Macro(decl) => {
            cx.keep(&frame.locals);
            let object = Object::Macro(decl.clone(), frame.clone());
            frame.locals.set(&decl.name, object.val());
        }
        Stmt::CallBlock(callee, args, decl, at) => {
            let val = unknown::settle(call_block(cx, frame, callee, args, decl))
                .map_err(|fail| fail.at(|| frame.span(*at)))?;
            out.emit(cx, val)?;
        }
        Stmt::Continue => return Ok(Flow::Continue),
        Stmt::Break => return Ok(Flow::Break),
        Stmt::Do(expr) => {
            eval(cx, frame, expr)?;
        }
    }
    Ok(Flow::Next)
}

/// An `if` whose condition is not known: a hole, and doubt about everything that its branches set.
fn maybe_one(
    cx: &Cx<'_>,
    frame: &Frame,
    fail: Fail,
    branches: [&Vec<Stmt>; 2],
    out: &mut Out,
) -> Res<()> {
    let unknown = &fail.into_unknown()?;
    for branch in branches {
        Doubt { cx, frame, unknown }.stmts(branch, false);
    }
    let [yes, no] = branches;
    if leaves_loop(yes) || leaves_loop(no) {
        // Nor are the rounds of the loop that are still to come.
        return Err(Fail::unknown(unknown.clone()));
    }
    if prints(yes) || prints(no) {
        out.emit(
            cx,
            block_hole(unknown, "the outcome of an `if`", &[yes, no]),
        )?;
    }
    Ok(())
}

/// Is there anything in the statements that could print?
fn prints(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match stmt {
        Stmt::Set(..)
        | Stmt::SetBlock(..)
        | Stmt::Do(_)
        | Stmt::Macro(_)
        | Stmt::Import(..)
        | Stmt::FromImport(..) => false,
        Stmt::Raw(text) => !text.is_empty(),
        Stmt::If(_, yes, no) => prints(yes) || prints(no),
        Stmt::With(_, body) | Stmt::Group(body) => prints(body),
        Stmt::For(it) => prints(&it.body) || prints(&it.otherwise),
        _ => true,
    })
}

fn call_block(
    cx: &Cx<'_>,
    frame: &Frame,
    callee: &Expr,
    args: &[Arg],
    decl: &Arc<Macro>,
) -> Res<Val> {
    let callee = eval(cx, frame, callee)?;
    let mut args = eval::args(cx, frame, args)?;
    let caller = Object::Macro(decl.clone(), frame.clone());
    args.named.push(("caller".into(), caller.val()));
    eval::call(cx, &callee, args)
}

/// Runs statements and gives what they printed.
pub(crate) fn capture(cx: &Cx<'_>, frame: &Frame, body: &[Stmt]) -> Res<Val> {
    let mut out = Out::default();
    run(cx, frame, body, &mut out)?;
    Ok(out.native(Val::str("")))
}

fn assign(cx: &Cx<'_>, frame: &Frame, target: &Target, val: Val) -> Res<()> {
    match target {
        Target::Name(name) => frame.locals.set(name, val),
        Target::Field(expr, name) => match eval(cx, frame, expr)? {
            Val::Object(object) => match &*object {
                Object::Namespace(fields) => {
                    fields.borrow_mut().insert(name.clone(), val);
                }
                _ => bail!("cannot assign attribute on non-namespace object"),
            },
            Val::Undef(undef) => return Err(undef.trip()),
            Val::Unknown(_) => {}
            _ => bail!("cannot assign attribute on non-namespace object"),
        },
        Target::Unpack(targets) => {
            if let Val::Unknown(_) = &val {
                return targets
                    .iter()
                    .try_for_each(|target| assign(cx, frame, target, val.clone()));
            }
            let items = ops::iterate(cx, &val).map_err(|fail| match val {
                Val::Undef(_) => fail,
                _ => Fail::runtime(format!(
                    "cannot unpack non-iterable {} object",
                    val.type_name()
                )),
            })?;
            if items.len() > targets.len() {
                bail!("too many values to unpack (expected {})", targets.len());
            }
            if items.len() < targets.len() {
                bail!(
                    "not enough values to unpack (expected {}, got {})",
                    targets.len(),
                    items.len()
                );
            }
            for (target, item) in targets.iter().zip(items) {
                assign(cx, frame, target, item)?;
            }
        }
    }
    Ok(())
}

fn run_for(cx: &Cx<'_>, frame: &Frame, it: &Arc<For>, out: &mut Out) -> Res<()> {
    let items = eval(cx, frame, &it.iter)?;
    let Err(fail) = run_loop(cx, frame, it, &items, 0, out) else {
        return Ok(());
    };
    let unknown = &fail.at(|| frame.span(it.at)).into_unknown()?;
    Doubt { cx, frame, unknown }.for_loop(it);
    if prints(&it.body) || prints(&it.otherwise) {
        let bodies: [&[Stmt]; 2] = [&it.body, &it.otherwise];
        out.emit(cx, block_hole(unknown, "the items of a `for`", &bodies))?;
    }
    Ok(())
}

/// One more round of a recursive loop, called as `loop(items)`.
pub(crate) fn run_again(
    cx: &Cx<'_>,
    frame: &Frame,
    it: &Arc<For>,
    items: &Val,
    depth: usize,
) -> Res<Val> {
    let _level = cx.level()?;
    let mut out = Out::default();
    run_loop(cx, frame, it, items, depth, &mut out)?;
    Ok(out.native(Val::str("")))
}

fn run_loop(
    cx: &Cx<'_>,
    frame: &Frame,
    it: &Arc<For>,
    items: &Val,
    depth: usize,
    out: &mut Out,
) -> Res<()> {
    let mut items = ops::iterate(cx, items)?;
    if let Some(filter) = &it.filter {
        let mut kept = Vec::new();
        for item in items {
            let inner = frame.inner();
            assign(cx, &inner, &it.target, item.clone())?;
            if eval::test(cx, &inner, filter)? {
                kept.push(item);
            }
        }
        items = kept;
    }
    if items.is_empty() {
        return run(cx, &frame.inner(), &it.otherwise, out).map(|_| ());
    }
    let items = Rc::new(items);
    let state = Rc::new(Object::Loop(Loop {
        items: items.clone(),
        index: Cell::new(0),
        depth,
        changed: RefCell::new(None),
        again: it.recursive.then(|| (frame.clone(), it.clone())),
    }));
    let loop_name: Arc<str> = "loop".into();
    for (index, item) in items.iter().enumerate() {
        if let Object::Loop(state) = &*state {
            state.index.set(index);
        }
        let inner = frame.inner();
        inner.locals.set(&loop_name, Val::Object(state.clone()));
        assign(cx, &inner, &it.target, item.clone())?;
        if run(cx, &inner, &it.body, out)? == Flow::Break {
            break;
        }
    }
    Ok(())
}

type Loaded = (hostler_yaml::TemplateSource, Arc<Unit>);

/// The first of some templates that exists.
fn load(cx: &Cx<'_>, frame: &Frame, names: &[Val], at: At) -> Res<Option<Loaded>> {
    let Some(loader) = cx.loader else {
        return Err(
            Fail::runtime("only a template file can include other templates").at(|| frame.span(at)),
        );
    };
    for name in names {
        let name = text::str(cx, name)?;
        let found = loader
            .load(&name)
            .map_err(|message| Fail::runtime(message).at(|| frame.span(at)))?;
        if let Some(source) = found {
            let unit = file::unit(cx.engine, &source, &cx.file)?;
            return Ok(Some((source, unit)));
        }
    }
    Ok(None)
}

fn names_of(cx: &Cx<'_>, name: &Val) -> Res<Vec<Val>> {
    match name {
        Val::List(_) | Val::Seq(_) => ops::iterate(cx, name),
        Val::Undef(undef) => Err(undef.trip()),
        other => Ok(vec![other.clone()]),
    }
}

fn not_found(cx: &Cx<'_>, names: &[Val]) -> Fail {
    let shown: Vec<String> = names
        .iter()
        .filter_map(|name| text::str(cx, name).ok())
        .collect();
    Fail::runtime(format!("template not found: {}", shown.join(", ")))
}

fn frame_of(cx: &Cx<'_>, frame: &Frame, loaded: Loaded, context: Context) -> Frame {
    let (source, unit) = loaded;
    let mut inner = cx.frame(&frame.world, &source, unit);
    match context {
        Context::With => inner.locals = Locals::inside(&frame.locals),
        // Without context a template sees no variables at all, only functions.
        Context::Without => inner.world = cx.world(Arc::new(crate::scope::Nothing)),
    }
    inner
}

fn include(
    cx: &Cx<'_>,
    frame: &Frame,
    name: &Expr,
    missing: IgnoreMissing,
    context: Context,
    at: At,
    out: &mut Out,
) -> Res<()> {
    let _level = cx.level()?;
    let names = names_of(cx, &eval(cx, frame, name)?)?;
    match load(cx, frame, &names, at)? {
        Some(loaded) => {
            let inner = frame_of(cx, frame, loaded, context);
            run_unit(cx, &inner, out)
        }
        None if missing == IgnoreMissing::Yes => Ok(()),
        None => Err(not_found(cx, &names).at(|| frame.span(at))),
    }
}

fn import(
    cx: &Cx<'_>,
    frame: &Frame,
    name: &Expr,
    context: Context,
    at: At,
) -> Res<Vec<(Arc<str>, Val)>> {
    let _level = cx.level()?;
    let names = names_of(cx, &eval(cx, frame, name)?)?;
    let Some(loaded) = load(cx, frame, &names, at)? else {
        return Err(not_found(cx, &names).at(|| frame.span(at)));
    };
    let inner = frame_of(cx, frame, loaded, context);
    run_unit(cx, &inner, &mut Out::default())?;
    cx.keep(&inner.locals);
    Ok(inner.locals.exports())
}

fn from_import(
    cx: &Cx<'_>,
    frame: &Frame,
    name: &Expr,
    names: &[(Arc<str>, Arc<str>)],
    context: Context,
    at: At,
) -> Res<()> {
    let module = match import(cx, frame, name, context, at) {
        Ok(module) => module,
        Err(fail) => {
            let unknown = fail.into_unknown()?;
            for (_, alias) in names {
                frame.locals.set(alias, Val::Unknown(unknown.clone()));
            }
            return Ok(());
        }
    };
    for (name, alias) in names {
        let val = match module.iter().find(|(known, _)| known == name) {
            Some((_, val)) => val.clone(),
            None => Val::missing(
                Fail::undefined(format!(
                    "the template does not export the requested name '{name}'"
                ))
                .at(|| frame.span(at)),
                Some(name.clone()),
                crate::value::Near::Nothing,
            ),
        };
        frame.locals.set(alias, val);
    }
    Ok(())
}

/// Calls a macro.
pub(crate) fn call_macro(cx: &Cx<'_>, decl: &Arc<Macro>, home: &Frame, mut args: Args) -> Res<Val> {
    let _level = cx.level()?;
    let frame = home.inner();
    let name = &decl.name;
    let caller = args.take("caller");
    let surplus = args.pos.split_off(args.pos.len().min(decl.args.len()));
    if !surplus.is_empty() && !decl.uses_varargs {
        bail!(
            "macro '{name}' takes not more than {} argument(s)",
            decl.args.len()
        );
    }
    let mut given = args.pos.into_iter();
    let first_default = decl.args.len() - decl.defaults.len().min(decl.args.len());
    for (index, param) in decl.args.iter().enumerate() {
        let at = args.named.iter().position(|(known, _)| known == param);
        let val = match (given.next(), at.map(|at| args.named.remove(at).1)) {
            (Some(_), Some(_)) => {
                bail!("macro '{name}' got multiple values for argument '{param}'")
            }
            (Some(val), None) | (None, Some(val)) => val,
            (None, None) => match index
                .checked_sub(first_default)
                .and_then(|at| decl.defaults.get(at))
            {
                Some(default) => eval(cx, &frame, default)?,
                None => Val::missing(
                    Fail::undefined(format!("parameter '{param}' was not provided")),
                    Some(param.clone()),
                    crate::value::Near::Nothing,
                ),
            },
        };
        frame.locals.set(param, val);
    }
    if decl.uses_varargs {
        frame.locals.set(&"varargs".into(), Val::tuple(surplus));
    }
    if decl.uses_kwargs {
        let entries = args
            .named
            .drain(..)
            .map(|(key, val)| (crate::value::Key::Str(key), val));
        frame.locals.set(&"kwargs".into(), Val::dict(entries));
    } else if let Some((unknown, _)) = args.named.first() {
        bail!("macro '{name}' takes no keyword argument '{unknown}'");
    }
    match caller {
        Some(caller) => frame.locals.set(&"caller".into(), caller),
        None if decl.uses_caller => {
            let fail = Fail::undefined("No caller defined");
            let missing = Val::missing(fail, None, crate::value::Near::Nothing);
            frame.locals.set(&"caller".into(), missing);
        }
        None => {}
    }
    capture(cx, &frame, &decl.body)
}
