//! One evaluation: its limits, the variables it looked at, and where names are found.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hostler_diag::{Diagnostic, Span};
use hostler_yaml::{Node, NodeKind, TemplateSource};

use crate::ast::{At, Block, Unit};
use crate::engine::{Engine, TemplateLoader};
use crate::fail::{Fail, Res};
use crate::file::FileOptions;
use crate::lower::Mode;
use crate::scope::{Scope, Var};
use crate::value::{Near, Val};

/// Steps (statements, expressions, items walked) that one evaluation may take unless the engine says otherwise: about two
/// seconds.
pub(crate) const FUEL: u64 = 10_000_000;
/// Nested variables, macro calls, includes and containers.
const DEPTH_MAX: u32 = 200;

/// One evaluation. Everything in it lives on one thread and ends with it.
pub(crate) struct Cx<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) loader: Option<&'e dyn TemplateLoader>,
    /// How included files are read: as the file that includes them.
    pub(crate) file: FileOptions,
    pub(crate) warnings: RefCell<Vec<Diagnostic>>,
    fuel: Cell<u64>,
    depth: Cell<u32>,
    worlds: RefCell<Vec<Rc<World>>>,
    locals: RefCell<Vec<Rc<Locals>>>,
}

/// A scope with what was already evaluated in it. The memo is for one evaluation only.
pub(crate) struct World {
    pub(crate) scope: Arc<dyn Scope>,
    memo: RefCell<HashMap<String, Memo>>,
}

enum Memo {
    /// Being evaluated right now: to ask for it again is a loop.
    Busy,
    Known(Val),
}

/// Names that the template itself set, innermost first.
#[derive(Default)]
pub(crate) struct Locals {
    vars: RefCell<Vec<(Arc<str>, Val)>>,
    parent: Option<Rc<Locals>>,
}

impl Locals {
    pub(crate) fn inside(parent: &Rc<Locals>) -> Rc<Locals> {
        Rc::new(Locals {
            vars: RefCell::default(),
            parent: Some(parent.clone()),
        })
    }

    pub(crate) fn set(&self, name: &Arc<str>, val: Val) {
        let mut vars = self.vars.borrow_mut();
        match vars.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = val,
            None => vars.push((name.clone(), val)),
        }
    }

    /// Sets a name where it was set before; at the outermost level if it is a variable of the playbook.
    pub(crate) fn replace(&self, name: &Arc<str>, val: Val) {
        let mut here = self;
        loop {
            let known = here.vars.borrow().iter().any(|(known, _)| known == name);
            match &here.parent {
                Some(parent) if !known => here = parent,
                _ => return here.set(name, val),
            }
        }
    }

    fn get(&self, name: &str) -> Option<Val> {
        let mut here = self;
        loop {
            let vars = here.vars.borrow();
            if let Some((_, val)) = vars.iter().find(|(known, _)| &**known == name) {
                return Some(val.clone());
            }
            drop(vars);
            here = here.parent.as_deref()?;
        }
    }

    /// What was set at this level, for an importing template.
    pub(crate) fn exports(&self) -> Vec<(Arc<str>, Val)> {
        self.vars.borrow().clone()
    }
}

/// A block's definitions, the most derived template's first.
pub(crate) type BlockChain = Vec<(Arc<Block>, Frame)>;

/// Where execution is: names, text, blocks. Cheap to clone; macros and blocks keep the one they were defined in.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) world: Rc<World>,
    pub(crate) locals: Rc<Locals>,
    pub(crate) source: TemplateSource,
    pub(crate) unit: Arc<Unit>,
    pub(crate) blocks: Rc<RefCell<HashMap<Arc<str>, BlockChain>>>,
}

impl Frame {
    pub(crate) fn inner(&self) -> Frame {
        Frame {
            locals: Locals::inside(&self.locals),
            ..self.clone()
        }
    }

    /// The place of a part of the template's text in the user's file.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "what errors take: those without a place have none"
    )]
    pub(crate) fn span(&self, at: At) -> Option<Span> {
        Some(place(&self.unit, &self.source, at))
    }
}

/// The place of a part of a template's text in the user's file.
pub(crate) fn place(unit: &Unit, source: &TemplateSource, at: At) -> Span {
    let original = |offset: u32| {
        let before = unit.left_out.partition_point(|out| *out < offset);
        unit.skipped as usize + offset as usize + before
    };
    source.locate(original(at.start), original(at.end))
}

/// Counts one level of nesting as long as it lives.
pub(crate) struct Level<'c>(&'c Cell<u32>);

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl<'e> Cx<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Cx {
            engine,
            loader: None,
            file: FileOptions::default(),
            warnings: RefCell::default(),
            fuel: Cell::new(engine.steps_max),
            depth: Cell::new(0),
            worlds: RefCell::default(),
            locals: RefCell::default(),
        }
    }

    pub(crate) fn world(&self, scope: Arc<dyn Scope>) -> Rc<World> {
        let world = Rc::new(World {
            scope,
            memo: RefCell::default(),
        });
        self.worlds.borrow_mut().push(world.clone());
        world
    }

    /// Remembers locals that something defined in them points back to, so that the circle is opened at the end.
    pub(crate) fn keep(&self, locals: &Rc<Locals>) {
        self.locals.borrow_mut().push(locals.clone());
    }

    /// Something the author should know, without a place of its own.
    pub(crate) fn warn(&self, code: &str, message: impl Into<String>) {
        self.warnings
            .borrow_mut()
            .push(Diagnostic::warning(code, message));
    }

    pub(crate) fn warn_at(&self, span: Span, code: &str, message: impl Into<String>) {
        let warning = Diagnostic::warning(code, message).at(span);
        self.warnings.borrow_mut().push(warning);
    }

    pub(crate) fn spend(&self, steps: u64) -> Res<()> {
        match self.fuel.get().checked_sub(steps) {
            Some(left) => {
                self.fuel.set(left);
                Ok(())
            }
            None => Err(Fail::limit("the template takes too many steps")),
        }
    }

    pub(crate) fn level(&self) -> Res<Level<'_>> {
        let depth = self.depth.get();
        if depth >= DEPTH_MAX {
            return Err(Fail::limit(
                "recursive loop detected in template: nested too deeply",
            ));
        }
        self.depth.set(depth + 1);
        Ok(Level(&self.depth))
    }

    /// The value of a variable; `None` if there is none of that name.
    pub(crate) fn variable(&self, world: &Rc<World>, name: &str) -> Res<Option<Val>> {
        match world.memo.borrow().get(name) {
            Some(Memo::Known(val)) => return Ok(Some(val.clone())),
            Some(Memo::Busy) => {
                return Err(Fail::limit(format!(
                    "recursive loop detected in template: `{name}` is defined by itself"
                )));
            }
            None => {}
        }
        let Some(var) = world.scope.get(name) else {
            return Ok(None);
        };
        let val = match var {
            Var::Data(value) => Val::data(&value),
            Var::Nested(scope) => Val::scope(self.world(scope)),
            Var::Written(node) => self.written(world, name, &node)?,
        };
        let known = Memo::Known(val.clone());
        world.memo.borrow_mut().insert(name.to_owned(), known);
        Ok(Some(val))
    }

    fn written(&self, world: &Rc<World>, name: &str, node: &Node) -> Res<Val> {
        world.memo.borrow_mut().insert(name.to_owned(), Memo::Busy);
        let result = self.node(node, world);
        world.memo.borrow_mut().remove(name);
        let through = |mut fail: Fail| {
            fail.0.through.insert(0, (name.to_owned(), Some(node.span)));
            fail
        };
        match result.map_err(through)? {
            Val::Undef(undef) if !undef.lenient => {
                Ok(Val::missing(through(undef.trip()), None, Near::Nothing))
            }
            val => Ok(val),
        }
    }

    /// Evaluates a node: its text as a template, its parts when somebody looks at them.
    pub(crate) fn node(&self, node: &Node, world: &Rc<World>) -> Res<Val> {
        match &node.kind {
            NodeKind::Data(value) => Ok(Val::data(value)),
            NodeKind::Text(source) if !source.has_markup() => Ok(Val::Str(source.shared_text())),
            NodeKind::Text(source) => self.template(source, world),
            NodeKind::Vault(_) => Err(Fail::runtime(
                "this value is encrypted with Ansible Vault, which is not supported yet",
            )
            .at(|| Some(node.span))),
            NodeKind::List(_) | NodeKind::Map(_) => Ok(Val::lazy(node, world).unwrap_or(Val::None)),
        }
    }

    /// Evaluates text with markup. What is undefined in it makes the whole undefined.
    pub(crate) fn template(&self, source: &TemplateSource, world: &Rc<World>) -> Res<Val> {
        let _level = self.level()?;
        let unit = self.engine.unit(source, Mode::Inline)?;
        let frame = self.frame(world, source, unit);
        defer(crate::exec::run_template(self, &frame))
    }

    /// The outermost frame of a text.
    #[expect(clippy::unused_self, reason = "a frame belongs to one evaluation")]
    pub(crate) fn frame(
        &self,
        world: &Rc<World>,
        source: &TemplateSource,
        unit: Arc<Unit>,
    ) -> Frame {
        Frame {
            world: world.clone(),
            locals: Rc::default(),
            source: source.clone(),
            unit,
            blocks: Rc::default(),
        }
    }

    /// The value of a name where the frame stands.
    pub(crate) fn name(&self, frame: &Frame, name: &Arc<str>, at: At) -> Res<Val> {
        if let Some(val) = frame.locals.get(name) {
            return Ok(val);
        }
        if let Some(val) = self.variable(&frame.world, name)? {
            return Ok(val);
        }
        if let Some(val) = crate::functions::global(name) {
            return Ok(val);
        }
        if &**name == "self" {
            return Ok(crate::objects::Object::SelfBlocks(frame.clone()).val());
        }
        let fail = Fail::undefined(format!("'{name}' is undefined")).at(|| frame.span(at));
        let near = Near::Variables(frame.world.clone());
        Ok(Val::missing(fail, Some(name.clone()), near))
    }
}

impl Drop for Cx<'_> {
    /// Memos and locals may hold values that hold their world: opened here, so that nothing leaks.
    fn drop(&mut self) {
        for world in self.worlds.take() {
            world.memo.take();
        }
        for locals in self.locals.take() {
            locals.vars.take();
        }
    }
}

/// Turns the error of using something undefined, or unknown, back into such a value.
pub(crate) fn defer(result: Res<Val>) -> Res<Val> {
    match result {
        Err(fail) if fail.is_undefined() => Ok(Val::missing(fail, None, Near::Nothing)),
        other => crate::unknown::settle(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_diag::SourceMap;

    #[test]
    fn steps_run_out() {
        let sources = SourceMap::new();
        let outcome = |fuel: u64, text: &str| {
            let engine = Engine::new();
            let cx = Cx::new(&engine);
            cx.fuel.set(fuel);
            let world = cx.world(Arc::new(crate::scope::Nothing));
            let source = TemplateSource::whole(&sources, sources.add_text("t", text));
            cx.template(&source, &world)
                .map(|_| ())
                .map_err(|fail| fail.0.kind)
        };
        let loops = "{% for a in range(100) %}{% for b in range(100) %}{% endfor %}{% endfor %}";
        assert_eq!(outcome(FUEL, loops), Ok(()));
        assert_eq!(outcome(1000, loops), Err(crate::TemplateErrorKind::Limit));
        assert_eq!(
            outcome(1000, "{{ range(2000) | sum }}"),
            Err(crate::TemplateErrorKind::Limit)
        );
    }
}
