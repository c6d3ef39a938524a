//! The values that templates compute with while they run.
//!
//! They differ from [`Value`] in what only a template can hold: undefined, lazily evaluated parts of the user's
//! files, tuples, generators, loop state. They live for one evaluation on one thread, so sharing is by `Rc`.
//! Containers that came from data keep the shared original and remember only the children that were looked at.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use hostler_diag::Span;
use hostler_value::{Map, Unknown, Value};
use hostler_yaml::{Node, NodeKind};
use indexmap::IndexMap;

use crate::context::{Cx, World};
use crate::fail::{Fail, Res};
use crate::objects::Object;
use crate::unknown;

/// A value inside a running template.
#[derive(Clone)]
pub(crate) enum Val {
    Undef(Rc<Undef>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    List(Rc<List>),
    Dict(Rc<Dict>),
    Seq(Rc<Seq>),
    Range(Range),
    Omit,
    Object(Rc<Object>),
    /// Not known before a task has run.
    Unknown(Arc<Unknown>),
}

/// May data have parts that are not known?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holes {
    Kept,
    Refused,
}

impl Holes {
    fn allow(self, value: Value) -> Res<Value> {
        if self == Holes::Refused
            && let Some(unknown) = value.unknown_part()
        {
            return Err(Fail::unknown(Arc::new(unknown)));
        }
        Ok(value)
    }
}

/// Something that is not there, and why. Using it is the error; asking whether it is defined is not.
pub(crate) struct Undef {
    /// The error that use raises.
    pub(crate) fail: Fail,
    /// Name for messages (`mandatory`).
    pub(crate) name: Option<Arc<str>>,
    /// What it was looked up in, for "did you mean".
    pub(crate) near: Near,
    /// An inline `if` without `else`: prints nothing, is false.
    pub(crate) lenient: bool,
}

/// Where a missing name was looked for.
#[derive(Clone)]
pub(crate) enum Near {
    Nothing,
    Variables(Rc<World>),
    Keys(Rc<Dict>),
}

/// `range(start, stop, step)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: i128,
    pub(crate) stop: i128,
    pub(crate) step: i128,
}

impl Range {
    pub(crate) fn len(self) -> usize {
        let span = if self.step > 0 {
            self.stop - self.start
        } else {
            self.start - self.stop
        };
        if span <= 0 {
            return 0;
        }
        let step = self.step.abs();
        usize::try_from((span + step - 1) / step).unwrap_or(usize::MAX)
    }

    pub(crate) fn at(self, index: usize) -> Val {
        Val::Int(self.start + self.step * index as i128)
    }
}

/// Immutable sequences: what they are decides how they print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeqKind {
    Tuple,
    /// A pair that `groupby` makes: a tuple with `grouper` and `list`.
    Group,
    /// What `map`, `select` and other lazy filters return.
    Generator,
    DictItems,
    DictKeys,
    DictValues,
}

/// An immutable sequence.
pub(crate) struct Seq {
    pub(crate) kind: SeqKind,
    pub(crate) items: Vec<Val>,
}

/// An item of a container: known, or text of the user's that is evaluated when somebody looks.
#[derive(Clone)]
pub(crate) enum Cell {
    Known(Val),
    Lazy(Node, Rc<World>),
}

impl Cell {
    fn force(&mut self, cx: &Cx<'_>) -> Res<Val> {
        if let Cell::Lazy(node, world) = self {
            let val = cx.node(&node.clone(), &world.clone())?;
            *self = Cell::Known(val);
        }
        match self {
            Cell::Known(val) => Ok(val.clone()),
            Cell::Lazy(..) => Ok(Val::None),
        }
    }
}

/// A list: shared data until somebody changes it.
pub(crate) struct List(RefCell<ListRepr>);

enum ListRepr {
    Data {
        items: Arc<Vec<Value>>,
        seen: Vec<(usize, Val)>,
    },
    Own(Vec<Cell>),
}

impl List {
    pub(crate) fn len(&self) -> usize {
        match &*self.0.borrow() {
            ListRepr::Data { items, .. } => items.len(),
            ListRepr::Own(items) => items.len(),
        }
    }

    /// The item at a position; `None` past the end.
    pub(crate) fn get(&self, cx: &Cx<'_>, index: usize) -> Res<Option<Val>> {
        let lazy = match &mut *self.0.borrow_mut() {
            ListRepr::Data { items, seen } => {
                let Some(item) = items.get(index) else {
                    return Ok(None);
                };
                return Ok(Some(child(seen, index, item)));
            }
            ListRepr::Own(items) => match items.get(index) {
                None => return Ok(None),
                Some(Cell::Known(val)) => return Ok(Some(val.clone())),
                Some(lazy) => lazy.clone(),
            },
        };
        // Evaluated outside the borrow: the text may look at this very list.
        let mut cell = lazy;
        let val = cell.force(cx)?;
        if let ListRepr::Own(items) = &mut *self.0.borrow_mut()
            && let Some(place) = items.get_mut(index)
        {
            *place = cell;
        }
        Ok(Some(val))
    }

    pub(crate) fn items(&self, cx: &Cx<'_>) -> Res<Vec<Val>> {
        let len = self.len();
        cx.spend(len as u64)?;
        (0..len)
            .map(|index| Ok(self.get(cx, index)?.unwrap_or(Val::None)))
            .collect()
    }

    /// Changes it; from here on it is the template's own.
    pub(crate) fn change<T>(&self, cx: &Cx<'_>, how: impl FnOnce(&mut Vec<Val>) -> T) -> Res<T> {
        let mut items = self.items(cx)?;
        let result = how(&mut items);
        *self.0.borrow_mut() = ListRepr::Own(items.into_iter().map(Cell::Known).collect());
        Ok(result)
    }

    /// Adds one item without touching the others.
    pub(crate) fn push(&self, cx: &Cx<'_>, val: Val) -> Res<()> {
        if let ListRepr::Own(items) = &mut *self.0.borrow_mut() {
            items.push(Cell::Known(val));
            return Ok(());
        }
        self.change(cx, |items| items.push(val))
    }

    /// See [`unknown::parts`]. An item that cannot be evaluated is another's business.
    pub(crate) fn unknown_parts(&self, cx: &Cx<'_>, found: &mut Vec<Unknown>) -> Res<()> {
        if let Some(data) = self.untouched() {
            found.extend(data.unknown_part());
            return Ok(());
        }
        for index in 0..self.len() {
            cx.spend(1)?;
            if let Ok(Some(val)) = self.get(cx, index) {
                unknown::parts(cx, &val, found)?;
            }
        }
        Ok(())
    }

    fn untouched(&self) -> Option<Value> {
        match &*self.0.borrow() {
            ListRepr::Data { items, seen } if seen.iter().all(|(_, val)| val.untouched()) => {
                Some(Value::List(items.clone()))
            }
            _ => None,
        }
    }
}

/// A mapping: shared data until somebody changes it, or the names of a scope.
pub(crate) struct Dict(RefCell<DictRepr>);

enum DictRepr {
    Data {
        map: Arc<Map>,
        seen: Vec<(usize, Val)>,
    },
    Own(IndexMap<Key, Cell>),
    Scope(Rc<World>),
}

impl Dict {
    pub(crate) fn len(&self) -> usize {
        match &*self.0.borrow() {
            DictRepr::Data { map, .. } => map.len(),
            DictRepr::Own(map) => map.len(),
            DictRepr::Scope(world) => world.scope.names().len(),
        }
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        match &*self.0.borrow() {
            DictRepr::Data { map, .. } => map.keys().map(Key::of_data).collect(),
            DictRepr::Own(map) => map.keys().cloned().collect(),
            DictRepr::Scope(world) => world
                .scope
                .names()
                .iter()
                .map(|name| Key::Str(name.as_str().into()))
                .collect(),
        }
    }

    pub(crate) fn contains(&self, key: &Key) -> bool {
        match &*self.0.borrow() {
            DictRepr::Data { map, .. } => data_index(map, key).is_some(),
            DictRepr::Own(map) => map.contains_key(key),
            DictRepr::Scope(world) => match key {
                Key::Str(name) => world.scope.get(name).is_some(),
                _ => false,
            },
        }
    }

    /// The value of a text key; `None` if there is no such key.
    pub(crate) fn get_str(&self, cx: &Cx<'_>, key: &str) -> Res<Option<Val>> {
        if let DictRepr::Data { map, seen } = &mut *self.0.borrow_mut() {
            let Some(value) = map.get(key) else {
                return Ok(None);
            };
            if !matches!(value, Value::List(_) | Value::Map(_)) {
                return Ok(Some(Val::data(value)));
            }
            let index = map.keys().position(|name| name.as_str() == Some(key));
            return Ok(index.map(|index| child(seen, index, value)));
        }
        self.get(cx, &Key::Str(key.into()))
    }

    /// The value of a key; `None` if there is no such key.
    pub(crate) fn get(&self, cx: &Cx<'_>, key: &Key) -> Res<Option<Val>> {
        let mut cell = match &mut *self.0.borrow_mut() {
            DictRepr::Data { map, seen } => {
                return Ok(data_index(map, key)
                    .and_then(|index| map.at(index).map(|(_, value)| child(seen, index, value))));
            }
            DictRepr::Own(map) => match map.get(key) {
                None => return Ok(None),
                Some(Cell::Known(val)) => return Ok(Some(val.clone())),
                Some(lazy) => lazy.clone(),
            },
            DictRepr::Scope(world) => {
                let world = world.clone();
                let Key::Str(name) = key else {
                    return Ok(None);
                };
                return cx.variable(&world, name);
            }
        };
        let val = cell.force(cx)?;
        if let DictRepr::Own(map) = &mut *self.0.borrow_mut()
            && let Some(place) = map.get_mut(key)
        {
            *place = cell;
        }
        Ok(Some(val))
    }

    pub(crate) fn entries(&self, cx: &Cx<'_>) -> Res<Vec<(Key, Val)>> {
        let keys = self.keys();
        cx.spend(keys.len() as u64)?;
        keys.into_iter()
            .map(|key| {
                let val = self.get(cx, &key)?.unwrap_or(Val::None);
                Ok((key, val))
            })
            .collect()
    }

    /// Changes it; from here on it is the template's own.
    pub(crate) fn change<T>(
        &self,
        cx: &Cx<'_>,
        how: impl FnOnce(&mut IndexMap<Key, Cell>) -> T,
    ) -> Res<T> {
        if let DictRepr::Own(map) = &mut *self.0.borrow_mut() {
            return Ok(how(map));
        }
        let entries = self.entries(cx)?;
        let mut map = entries
            .into_iter()
            .map(|(key, val)| (key, Cell::Known(val)))
            .collect();
        let result = how(&mut map);
        *self.0.borrow_mut() = DictRepr::Own(map);
        Ok(result)
    }

    /// See [`unknown::parts`]. A value that cannot be evaluated is another's business.
    pub(crate) fn unknown_parts(&self, cx: &Cx<'_>, found: &mut Vec<Unknown>) -> Res<()> {
        if let Some(data) = self.untouched() {
            found.extend(data.unknown_part());
            return Ok(());
        }
        if let DictRepr::Scope(_) = &*self.0.borrow() {
            return Ok(());
        }
        for key in self.keys() {
            cx.spend(1)?;
            if let Ok(Some(val)) = self.get(cx, &key) {
                unknown::parts(cx, &val, found)?;
            }
        }
        Ok(())
    }

    fn untouched(&self) -> Option<Value> {
        match &*self.0.borrow() {
            DictRepr::Data { map, seen } if seen.iter().all(|(_, val)| val.untouched()) => {
                Some(Value::Map(map.clone()))
            }
            _ => None,
        }
    }
}

fn child(seen: &mut Vec<(usize, Val)>, index: usize, value: &Value) -> Val {
    if !matches!(value, Value::List(_) | Value::Map(_)) {
        return Val::data(value);
    }
    if let Some((_, val)) = seen.iter().find(|(at, _)| *at == index) {
        return val.clone();
    }
    let val = Val::data(value);
    seen.push((index, val.clone()));
    val
}

fn data_index(map: &Map, key: &Key) -> Option<usize> {
    match key {
        Key::Str(text) => {
            map.get(text)?;
            map.keys().position(|name| name.as_str() == Some(text))
        }
        other => map.keys().position(|name| Key::of_data(name) == *other),
    }
}

/// A mapping's key. Equality is Python's: `1`, `1.0` and `True` are one key.
#[derive(Clone)]
pub(crate) enum Key {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    Tuple(Rc<Vec<Key>>),
}

impl Key {
    /// The key that a value is, if it can be one.
    pub(crate) fn of(val: &Val) -> Res<Key> {
        Ok(match val {
            Val::Undef(undef) => return Err(undef.trip()),
            Val::Unknown(unknown) => return Err(Fail::unknown(unknown.clone())),
            Val::None => Key::None,
            Val::Bool(bool) => Key::Bool(*bool),
            Val::Int(int) => Key::Int(*int),
            Val::Float(float) => Key::Float(*float),
            Val::Str(text) => Key::Str(text.clone()),
            Val::Seq(seq) if matches!(seq.kind, SeqKind::Tuple | SeqKind::Group) => {
                let keys: Res<Vec<Key>> = seq.items.iter().map(Key::of).collect();
                Key::Tuple(Rc::new(keys?))
            }
            other => {
                return Err(Fail::runtime(format!(
                    "unhashable type: '{}'",
                    other.type_name()
                )));
            }
        })
    }

    fn of_data(value: &Value) -> Key {
        match value {
            Value::Null => Key::None,
            Value::Bool(bool) => Key::Bool(*bool),
            Value::Int(int) => Key::Int((*int).into()),
            Value::Float(float) => Key::Float(*float),
            Value::BigInt(digits) => match digits.parse() {
                Ok(int) => Key::Int(int),
                Err(_) => Key::Str(digits.clone()),
            },
            Value::Str(text) => Key::Str(text.clone()),
            Value::List(items) => Key::Tuple(Rc::new(items.iter().map(Key::of_data).collect())),
            Value::Map(_) | Value::Unknown(_) => Key::Str(value.repr().into()),
        }
    }

    pub(crate) fn val(&self) -> Val {
        match self {
            Key::None => Val::None,
            Key::Bool(bool) => Val::Bool(*bool),
            Key::Int(int) => Val::Int(*int),
            Key::Float(float) => Val::Float(*float),
            Key::Str(text) => Val::Str(text.clone()),
            Key::Tuple(keys) => Val::tuple(keys.iter().map(Key::val).collect()),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Key::None => Value::Null,
            Key::Bool(bool) => Value::Bool(*bool),
            Key::Int(int) => Value::from(*int),
            Key::Float(float) => Value::Float(*float),
            Key::Str(text) => Value::Str(text.clone()),
            Key::Tuple(keys) => Value::list(keys.iter().map(Key::to_value)),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Key::Bool(bool) => Some(f64::from(u8::from(*bool))),
            #[expect(clippy::cast_precision_loss, reason = "only compared with floats")]
            Key::Int(int) => Some(*int as f64),
            Key::Float(float) => Some(*float),
            _ => None,
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Key::None, Key::None) => true,
            (Key::Str(a), Key::Str(b)) => a == b,
            (Key::Int(a), Key::Int(b)) => a == b,
            (Key::Tuple(a), Key::Tuple(b)) => a == b,
            _ => self.number().is_some() && self.number() == other.number(),
        }
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Key::None => state.write_u8(1),
            Key::Str(text) => text.hash(state),
            Key::Tuple(keys) => keys.hash(state),
            number => (number.number().unwrap_or(0.0) + 0.0).to_bits().hash(state),
        }
    }
}

impl Undef {
    /// The error of using it.
    pub(crate) fn trip(&self) -> Fail {
        let mut fail = self.fail.clone();
        if !fail.0.hints.is_empty() {
            return fail;
        }
        let Some(name) = &self.name else {
            return fail;
        };
        let known: Vec<String> = match &self.near {
            Near::Nothing => return fail,
            Near::Variables(world) => world.scope.names(),
            Near::Keys(dict) => dict
                .keys()
                .into_iter()
                .filter_map(|key| match key {
                    Key::Str(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect(),
        };
        if let Some(best) = hostler_diag::did_you_mean(name, known.iter().map(String::as_str)) {
            fail.0.hints.push(format!("did you mean `{best}`?"));
        }
        fail
    }
}

impl Val {
    pub(crate) fn str(text: impl Into<Arc<str>>) -> Val {
        Val::Str(text.into())
    }

    pub(crate) fn int(n: usize) -> Val {
        Val::Int(n as i128)
    }

    pub(crate) fn list(items: Vec<Val>) -> Val {
        Val::List(Rc::new(List(RefCell::new(ListRepr::Own(
            items.into_iter().map(Cell::Known).collect(),
        )))))
    }

    pub(crate) fn tuple(items: Vec<Val>) -> Val {
        Val::seq(SeqKind::Tuple, items)
    }

    pub(crate) fn seq(kind: SeqKind, items: Vec<Val>) -> Val {
        Val::Seq(Rc::new(Seq { kind, items }))
    }

    pub(crate) fn generator(items: Vec<Val>) -> Val {
        Val::seq(SeqKind::Generator, items)
    }

    pub(crate) fn dict(entries: impl IntoIterator<Item = (Key, Val)>) -> Val {
        let map = entries
            .into_iter()
            .map(|(key, val)| (key, Cell::Known(val)))
            .collect();
        Val::Dict(Rc::new(Dict(RefCell::new(DictRepr::Own(map)))))
    }

    /// A mapping with text keys.
    pub(crate) fn record<'k>(entries: impl IntoIterator<Item = (&'k str, Val)>) -> Val {
        Val::dict(
            entries
                .into_iter()
                .map(|(key, val)| (Key::Str(key.into()), val)),
        )
    }

    /// The names of a scope as a mapping.
    pub(crate) fn scope(world: Rc<World>) -> Val {
        Val::Dict(Rc::new(Dict(RefCell::new(DictRepr::Scope(world)))))
    }

    /// Something missing.
    pub(crate) fn missing(fail: Fail, name: Option<Arc<str>>, near: Near) -> Val {
        Val::Undef(Rc::new(Undef {
            fail,
            name,
            near,
            lenient: false,
        }))
    }

    /// What an inline `if` without `else` gives.
    pub(crate) fn nothing(span: Option<Span>) -> Val {
        let mut fail =
            Fail::undefined("the inline if-expression evaluated to false and has no else part");
        fail.0.span = span;
        Val::Undef(Rc::new(Undef {
            fail,
            name: None,
            near: Near::Nothing,
            lenient: true,
        }))
    }

    /// Data, shared.
    pub(crate) fn data(value: &Value) -> Val {
        match value {
            Value::Null => Val::None,
            Value::Bool(bool) => Val::Bool(*bool),
            Value::Int(int) => Val::Int((*int).into()),
            Value::BigInt(digits) => match digits.parse() {
                Ok(int) => Val::Int(int),
                Err(_) => Val::Str(digits.clone()),
            },
            Value::Float(float) => Val::Float(*float),
            Value::Str(text) => Val::Str(text.clone()),
            Value::List(items) => Val::List(Rc::new(List(RefCell::new(ListRepr::Data {
                items: items.clone(),
                seen: Vec::new(),
            })))),
            Value::Map(map) => Val::Dict(Rc::new(Dict(RefCell::new(DictRepr::Data {
                map: map.clone(),
                seen: Vec::new(),
            })))),
            Value::Unknown(unknown) => Val::Unknown(unknown.clone()),
        }
    }

    /// A written list or mapping whose parts are evaluated when somebody looks at them.
    pub(crate) fn lazy(node: &Node, world: &Rc<World>) -> Option<Val> {
        let cell = |node: &Node| match &node.kind {
            NodeKind::Data(value) => Cell::Known(Val::data(value)),
            NodeKind::Text(source) if !source.has_markup() => {
                Cell::Known(Val::Str(source.shared_text()))
            }
            _ => Cell::Lazy(node.clone(), world.clone()),
        };
        Some(match &node.kind {
            NodeKind::List(items) => Val::List(Rc::new(List(RefCell::new(ListRepr::Own(
                items.iter().map(cell).collect(),
            ))))),
            NodeKind::Map(map) => {
                let entries = map
                    .entries
                    .iter()
                    .map(|(key, value)| (Key::of_data(&key.to_literal()), cell(value)));
                Val::Dict(Rc::new(Dict(RefCell::new(DictRepr::Own(
                    entries.collect(),
                )))))
            }
            _ => return None,
        })
    }

    fn untouched(&self) -> bool {
        match self {
            Val::List(list) => list.untouched().is_some(),
            Val::Dict(dict) => dict.untouched().is_some(),
            _ => true,
        }
    }

    /// The value as data; `None` if it is `omit`. Omitted items of containers are left out. Fails if part of it is not
    /// known.
    pub(crate) fn to_value(&self, cx: &Cx<'_>) -> Res<Option<Value>> {
        self.convert(cx, Holes::Refused)
    }

    /// The value for the outside, where parts may be unknown.
    pub(crate) fn result(&self, cx: &Cx<'_>) -> Res<Option<Value>> {
        self.convert(cx, Holes::Kept)
    }

    pub(crate) fn convert(&self, cx: &Cx<'_>, holes: Holes) -> Res<Option<Value>> {
        let _level = cx.level()?;
        let all = |items: Vec<Val>| -> Res<Value> {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                out.extend(item.convert(cx, holes)?);
            }
            Ok(Value::from(out))
        };
        Ok(Some(match self {
            Val::Undef(undef) => return Err(undef.trip()),
            Val::Omit => return Ok(None),
            Val::None => Value::Null,
            Val::Bool(bool) => Value::Bool(*bool),
            Val::Int(int) => Value::from(*int),
            Val::Float(float) => Value::Float(*float),
            Val::Str(text) => Value::Str(text.clone()),
            Val::List(list) => match list.untouched() {
                Some(data) => holes.allow(data)?,
                None => all(list.items(cx)?)?,
            },
            Val::Seq(seq) => all(seq.items.clone())?,
            Val::Range(_) => all(crate::ops::iterate(cx, self)?)?,
            Val::Dict(dict) => {
                if let Some(data) = dict.untouched() {
                    return holes.allow(data).map(Some);
                }
                let mut map = Map::new();
                for (key, val) in dict.entries(cx)? {
                    if let Some(value) = val.convert(cx, holes)? {
                        map.insert(key.to_value(), value);
                    }
                }
                Value::from(map)
            }
            Val::Object(object) => object.to_value(cx, holes)?,
            Val::Unknown(unknown) => holes.allow(Value::Unknown(unknown.clone()))?,
        }))
    }

    /// What Python calls its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Val::Undef(_) => "Undefined",
            Val::None => "NoneType",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Float(_) => "float",
            Val::Str(_) => "str",
            Val::List(_) => "list",
            Val::Dict(_) => "dict",
            Val::Range(_) => "range",
            Val::Omit => "_OmitType",
            Val::Object(object) => object.type_name(),
            Val::Unknown(_) => "unknown",
            Val::Seq(seq) => match seq.kind {
                SeqKind::Tuple => "tuple",
                SeqKind::Group => "_GroupTuple",
                SeqKind::Generator => "generator",
                SeqKind::DictItems => "dict_items",
                SeqKind::DictKeys => "dict_keys",
                SeqKind::DictValues => "dict_values",
            },
        }
    }
}
