//! Values that have no counterpart in YAML: functions, loop state, namespaces, dates.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use hostler_value::Value;
use indexmap::IndexMap;
use jiff::civil::DateTime;

use crate::args::Args;
use crate::ast::{For, Macro};
use crate::context::{Cx, Frame};
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::value::{Holes, Val};

/// A built-in function.
pub(crate) type Function = fn(&Cx<'_>, Args) -> Res<Val>;

/// See the module.
pub(crate) enum Object {
    /// `value.method`, not called yet.
    Method(Val, Arc<str>),
    Function(&'static str, Function),
    Macro(Arc<Macro>, Frame),
    /// A block of the template: `self.name` or `super`.
    Block(Frame, Arc<str>, usize),
    SelfBlocks(Frame),
    Namespace(RefCell<IndexMap<Arc<str>, Val>>),
    Cycler(Vec<Val>, Cell<usize>),
    Joiner(Val, Cell<bool>),
    Loop(Loop),
    /// An imported template.
    Module(Vec<(Arc<str>, Val)>),
    Time(DateTime),
    /// A span of time in microseconds.
    Delta(i128),
}

/// The state behind `loop`.
pub(crate) struct Loop {
    pub(crate) items: Rc<Vec<Val>>,
    pub(crate) index: Cell<usize>,
    pub(crate) depth: usize,
    pub(crate) changed: RefCell<Option<Vec<Val>>>,
    /// What `loop(...)` runs again, if the loop is recursive.
    pub(crate) again: Option<(Frame, Arc<For>)>,
}

impl Object {
    pub(crate) fn val(self) -> Val {
        Val::Object(Rc::new(self))
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Object::Method(..) => "method",
            Object::Function(..) => "function",
            Object::Macro(..) => "Macro",
            Object::Block(..) => "BlockReference",
            Object::SelfBlocks(_) => "TemplateReference",
            Object::Namespace(_) => "Namespace",
            Object::Cycler(..) => "Cycler",
            Object::Joiner(..) => "Joiner",
            Object::Loop(_) => "LoopContext",
            Object::Module(_) => "TemplateModule",
            Object::Time(_) => "datetime",
            Object::Delta(_) => "timedelta",
        }
    }

    /// How it prints.
    pub(crate) fn shown(&self) -> String {
        match self {
            Object::Time(time) => crate::time::show(*time),
            Object::Delta(micros) => crate::time::show_delta(*micros),
            Object::Method(_, name) => format!("<method {name}>"),
            Object::Macro(decl, _) => format!("<Macro '{}'>", decl.name),
            Object::Loop(state) => {
                format!(
                    "<LoopContext {}/{}>",
                    state.index.get() + 1,
                    state.items.len()
                )
            }
            other => format!("<{}>", other.type_name()),
        }
    }

    pub(crate) fn is_callable(&self) -> bool {
        matches!(
            self,
            Object::Method(..)
                | Object::Function(..)
                | Object::Macro(..)
                | Object::Block(..)
                | Object::Joiner(..)
                | Object::Loop(Loop { again: Some(_), .. })
        )
    }

    pub(crate) fn equal(&self, other: &Object) -> bool {
        match (self, other) {
            (Object::Time(a), Object::Time(b)) => a == b,
            (Object::Delta(a), Object::Delta(b)) => a == b,
            _ => std::ptr::eq(self, other),
        }
    }

    pub(crate) fn order(&self, other: &Object) -> Option<Ordering> {
        match (self, other) {
            (Object::Time(a), Object::Time(b)) => Some(a.cmp(b)),
            (Object::Delta(a), Object::Delta(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    pub(crate) fn minus(&self, other: &Object) -> Option<Val> {
        match (self, other) {
            (Object::Time(a), Object::Time(b)) => {
                Some(Object::Delta(crate::time::micros(*a) - crate::time::micros(*b)).val())
            }
            (Object::Time(a), Object::Delta(b)) => {
                crate::time::shift(*a, -*b).map(|time| Object::Time(time).val())
            }
            (Object::Delta(a), Object::Delta(b)) => Some(Object::Delta(a - b).val()),
            _ => None,
        }
    }

    pub(crate) fn plus(&self, other: &Object) -> Option<Val> {
        match (self, other) {
            (Object::Time(time), Object::Delta(delta))
            | (Object::Delta(delta), Object::Time(time)) => {
                crate::time::shift(*time, *delta).map(|time| Object::Time(time).val())
            }
            (Object::Delta(a), Object::Delta(b)) => Some(Object::Delta(a + b).val()),
            _ => None,
        }
    }

    pub(crate) fn to_value(&self, cx: &Cx<'_>, holes: Holes) -> Res<Value> {
        match self {
            Object::Time(_) => Ok(Value::from(self.shown())),
            Object::Namespace(fields) => {
                let entries = fields.borrow().clone();
                let dict = Val::dict(
                    entries
                        .into_iter()
                        .map(|(key, val)| (crate::value::Key::Str(key), val)),
                );
                Ok(dict.convert(cx, holes)?.unwrap_or_default())
            }
            other => bail!(
                "type '{}' is unsupported for variable storage",
                other.type_name()
            ),
        }
    }

    /// A named part, if there is one.
    pub(crate) fn attribute(&self, name: &str) -> Option<Val> {
        match self {
            Object::Namespace(fields) => fields.borrow().get(name).cloned(),
            Object::Module(exports) => exports
                .iter()
                .find(|(known, _)| &**known == name)
                .map(|(_, val)| val.clone()),
            Object::SelfBlocks(frame) => frame
                .blocks
                .borrow()
                .contains_key(name)
                .then(|| Object::Block(frame.clone(), name.into(), 0).val()),
            Object::Cycler(items, at) if name == "current" => items.get(at.get()).cloned(),
            Object::Loop(state) => state.attribute(name),
            Object::Macro(decl, _) if name == "name" => Some(Val::Str(decl.name.clone())),
            Object::Time(time) => crate::time::attribute(*time, name),
            Object::Delta(micros) => crate::time::delta_attribute(*micros, name),
            _ => None,
        }
    }

    /// Is there a method of that name?
    pub(crate) fn has_method(&self, name: &str) -> bool {
        match self {
            Object::Cycler(..) => matches!(name, "next" | "reset"),
            Object::Loop(_) => matches!(name, "cycle" | "changed"),
            Object::Time(_) => matches!(
                name,
                "strftime" | "isoformat" | "timestamp" | "date" | "utcoffset"
            ),
            Object::Delta(_) => name == "total_seconds",
            _ => false,
        }
    }

    /// Calls a method that [`Self::has_method`] knows.
    pub(crate) fn call_method(&self, cx: &Cx<'_>, name: &str, args: Args) -> Res<Val> {
        match self {
            Object::Cycler(items, at) => {
                let now = at.get();
                if name == "reset" {
                    at.set(0);
                    return Ok(Val::None);
                }
                at.set((now + 1) % items.len().max(1));
                items
                    .get(now)
                    .cloned()
                    .ok_or_else(|| Fail::runtime("no items for cycling given"))
            }
            Object::Loop(state) => state.call_method(cx, name, args),
            Object::Time(time) => {
                crate::unknown::known(args.all())?;
                crate::time::method(cx, *time, name, args)
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "as Python's total_seconds() does"
            )]
            Object::Delta(micros) => Ok(Val::Float(*micros as f64 / 1e6)),
            other => bail!("'{}' object has no method '{name}'", other.type_name()),
        }
    }
}

impl Loop {
    fn attribute(&self, name: &str) -> Option<Val> {
        let (at, len) = (self.index.get(), self.items.len());
        let neighbour = |index: Option<usize>| match index.and_then(|index| self.items.get(index)) {
            Some(val) => val.clone(),
            None => Val::missing(
                Fail::undefined("there is no neighbouring item"),
                None,
                crate::value::Near::Nothing,
            ),
        };
        Some(match name {
            "index" => Val::int(at + 1),
            "index0" => Val::int(at),
            "revindex" => Val::int(len - at),
            "revindex0" => Val::int(len - at - 1),
            "first" => Val::Bool(at == 0),
            "last" => Val::Bool(at + 1 == len),
            "length" => Val::int(len),
            "depth" => Val::int(self.depth + 1),
            "depth0" => Val::int(self.depth),
            "previtem" => neighbour(at.checked_sub(1)),
            "nextitem" => neighbour(Some(at + 1)),
            _ => return None,
        })
    }

    fn call_method(&self, cx: &Cx<'_>, name: &str, args: Args) -> Res<Val> {
        if name == "cycle" {
            return match args.pos.len() {
                0 => bail!("no items for cycling given"),
                count => Ok(args.pos[self.index.get() % count].clone()),
            };
        }
        let before = self.changed.replace(Some(args.pos.clone()));
        let same = match before {
            Some(before) if before.len() == args.pos.len() => {
                let mut same = true;
                for (a, b) in before.iter().zip(&args.pos) {
                    same = same && ops::equal(cx, a, b)?;
                }
                same
            }
            _ => false,
        };
        Ok(Val::Bool(!same))
    }
}
