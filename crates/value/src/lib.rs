//! The dynamic value that playbooks compute with.
//!
//! Values are what YAML scalars and collections, facts and task results become. They are cheap to clone (strings
//! and collections are shared) and keep the order of keys. Text forms follow Python, since playbooks see them:
//! [`Value::to_text`] is `str()`, [`Value::repr`] is `repr()`.

mod coerce;
mod map;
pub mod order;
mod schema;
mod secret;
mod serial;
mod text;
mod unknown;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use coerce::CoerceError;
pub use map::Map;
pub use secret::Secret;
pub use serial::DEPTH_MAX;
pub use unknown::{Cause, Unknown};

/// A value of the playbook language.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `null`, Python's `None`.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// An integer that does not: decimal digits, with a leading `-` if negative.
    BigInt(Arc<str>),
    /// A floating point number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// A list.
    List(Arc<Vec<Value>>),
    /// An ordered mapping; keys may be of any kind.
    Map(Arc<Map>),
    /// Not known before a task has run; only in previews.
    Unknown(Arc<Unknown>),
}

impl Value {
    /// Text.
    pub fn str(text: impl AsRef<str>) -> Self {
        Value::Str(Arc::from(text.as_ref()))
    }

    /// A list.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Value::List(Arc::new(items.into_iter().collect()))
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Str(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(items) = self {
            Some(items)
        } else {
            None
        }
    }

    /// The mapping, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        if let Value::Map(map) = self {
            Some(map)
        } else {
            None
        }
    }

    /// The integer, if it is one that fits 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(int) = self {
            Some(*int)
        } else {
            None
        }
    }

    /// The truth value, if it is one (no coercion).
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(bool) = self {
            Some(*bool)
        } else {
            None
        }
    }

    /// Is it null?
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The value of a text key, if it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// What Python calls its type; for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) => "str",
            Value::List(_) => "list",
            Value::Map(_) => "dict",
            Value::Unknown(_) => "unknown",
        }
    }
}

/// Structural equality: `1`, `1.0` and `True` are three different values, unlike in Python.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::BigInt(a), Value::BigInt(b)) | (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Unknown(a), Value::Unknown(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// Text hashes exactly as `str` does, so that a mapping can be asked with a `&str`.
impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Str(text) => text.hash(state),
            Value::Null => state.write_u8(0),
            Value::Bool(bool) => bool.hash(state),
            Value::Int(int) => int.hash(state),
            Value::BigInt(digits) => digits.hash(state),
            Value::Float(float) => (float + 0.0).to_bits().hash(state),
            Value::List(items) => items.hash(state),
            Value::Map(map) => map.iter().for_each(|(key, value)| {
                key.hash(state);
                value.hash(state);
            }),
            Value::Unknown(unknown) => unknown.hash(state),
        }
    }
}

macro_rules! value_from {
    ($($from:ty => |$it:ident| $make:expr),* $(,)?) => { $(
        impl From<$from> for Value {
            fn from($it: $from) -> Self { $make }
        }
    )* };
}

value_from! {
    bool => |it| Value::Bool(it),
    i64 => |it| Value::Int(it),
    i32 => |it| Value::Int(it.into()),
    u32 => |it| Value::Int(it.into()),
    u16 => |it| Value::Int(it.into()),
    u64 => |it| i64::try_from(it).map_or_else(|_| Value::BigInt(it.to_string().into()), Value::Int),
    usize => |it| Value::from(it as u64),
    i128 => |it| i64::try_from(it).map_or_else(|_| Value::BigInt(it.to_string().into()), Value::Int),
    f64 => |it| Value::Float(it),
    &str => |it| Value::str(it),
    &String => |it| Value::str(it),
    String => |it| Value::Str(it.into()),
    Arc<str> => |it| Value::Str(it),
    Map => |it| Value::Map(Arc::new(it)),
    Vec<Value> => |it| Value::List(Arc::new(it)),
    Vec<String> => |it| Value::list(it.into_iter().map(Value::from)),
    &[String] => |it| Value::list(it.iter().map(Value::from)),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(it: Option<T>) -> Self {
        it.map_or(Value::Null, Into::into)
    }
}
