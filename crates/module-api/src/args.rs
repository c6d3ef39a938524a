//! Typed arguments from untyped values, with Ansible's coercions in one place.
//!
//! What a type asks for decides what is accepted: `bool` takes `yes`, `i64` takes `"10"`, `String` takes a number,
//! `Vec` takes a single scalar or comma-separated text, an enum takes the text of a choice, `Option` takes null.
//! `Value` takes anything. (Ansible documents this as the `type` of a module's argument specification.)

use hostler_value::{CoerceError, Map, Value};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

/// Stands for an argument whose value is a template and so is not known before the run. No YAML file can hold this
/// text, and only [`check_static`] gives it a meaning.
pub(crate) const WILD: &str = "\0unknown before the run";

/// Arguments that do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("argument `{path}`: ") })]
pub struct ArgError {
    /// Which argument, as `name`, `name[0]` or `name.key`; empty if it is about all of them.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// An argument that the module does not have.
    pub unknown: Option<String>,
    /// The names that it does have, if `unknown`.
    pub expected: &'static [&'static str],
}

/// Reads typed arguments.
///
/// # Errors
/// The first argument that is unknown, missing or of the wrong kind.
pub fn from_value<A: DeserializeOwned>(args: &Value) -> Result<A, ArgError> {
    read(args, false)
}

/// Checks arguments before the run: [`WILD`] texts fit everywhere.
pub(crate) fn check_static<A: DeserializeOwned>(args: &Value) -> Result<(), ArgError> {
    match read::<A>(args, true) {
        Ok(_) => Ok(()),
        Err(error) if is_wild_at(args, &error.path) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A typed value with rules of its own may refuse what a wild leaf stood in with.
fn is_wild_at(args: &Value, path: &str) -> bool {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    args.get(first).is_some_and(contains_wild)
}

fn contains_wild(value: &Value) -> bool {
    match value {
        Value::Str(text) => text.as_ref() == WILD,
        Value::List(items) => items.iter().any(contains_wild),
        Value::Map(map) => map.values().any(contains_wild),
        _ => false,
    }
}

fn read<A: DeserializeOwned>(args: &Value, wild: bool) -> Result<A, ArgError> {
    A::deserialize(Arg { value: args, wild }).map_err(|failure| *failure.0)
}

/// `path` is filled on the way out. In a box, since what serde generates hands it on at each argument.
#[derive(Debug)]
struct Failure(Box<ArgError>);

impl Failure {
    #[inline(never)]
    fn new(message: String) -> Self {
        Failure(Box::new(ArgError {
            path: String::new(),
            message,
            unknown: None,
            expected: &[],
        }))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Failure::new(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mut failure = Failure::new(format!("there is no argument `{field}`"));
        failure.0.unknown = Some(field.to_owned());
        failure.0.expected = expected;
        failure
    }

    fn missing_field(field: &'static str) -> Self {
        de::Error::custom(format_args!("argument `{field}` is required"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let choices = expected.join(", ");
        de::Error::custom(format_args!("must be one of {choices}, got `{variant}`"))
    }
}

impl From<CoerceError> for Failure {
    fn from(error: CoerceError) -> Self {
        de::Error::custom(error)
    }
}

#[derive(Clone, Copy)]
struct Arg<'a> {
    value: &'a Value,
    wild: bool,
}

impl Arg<'_> {
    fn is_wild(self) -> bool {
        self.wild && self.value.as_str() == Some(WILD)
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            if self.is_wild() {
                return visitor.$visit(0);
            }
            let int = self.value.to_int()?;
            match <$type>::try_from(int) {
                Ok(int) => visitor.$visit(int),
                Err(_) => Err(de::Error::custom(format_args!("{int} is out of range"))),
            }
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Arg<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(bool) => visitor.visit_bool(*bool),
            Value::Int(int) => visitor.visit_i64(*int),
            Value::BigInt(text) | Value::Str(text) => visitor.visit_str(text),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::List(items) => self.visit_list(items, visitor),
            Value::Map(map) => self.visit_map(map, visitor),
            Value::Unknown(unknown) => Err(de::Error::custom(unknown.words())),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let bool = if self.is_wild() {
            false
        } else {
            self.value.to_bool()?
        };
        visitor.visit_bool(bool)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let float = if self.is_wild() {
            0.0
        } else {
            self.value.to_float()?
        };
        visitor.visit_f64(float)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.is_wild() {
            return visitor.visit_str("");
        }
        visitor.visit_string(self.value.to_scalar_text()?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.value.is_null() || self.is_wild() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            _ if self.is_wild() => self.visit_list(&[], visitor),
            Value::List(items) => self.visit_list(items, visitor),
            Value::Str(text) => {
                let items: Vec<Value> = text.split(',').map(|it| Value::str(it.trim())).collect();
                self.visit_list(if text.is_empty() { &[] } else { &items }, visitor)
            }
            Value::Map(_) => Err(de::Error::custom("expected a list, got a mapping")),
            Value::Null => Err(de::Error::custom("expected a list, got nothing")),
            scalar => self.visit_list(std::slice::from_ref(scalar), visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, it: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(it)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            _ if self.is_wild() => self.visit_map(&Map::new(), visitor),
            Value::Map(map) => self.visit_map(map, visitor),
            other => Err(de::Error::custom(format_args!(
                "expected a mapping, got {} ({})",
                other.repr(),
                other.type_name()
            ))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if self.is_wild() {
            let first = variants.first().copied().unwrap_or_default();
            return visitor.visit_enum(first.into_deserializer());
        }
        let text = match self.value {
            // YAML reads the choices `yes` and `no` as booleans.
            Value::Bool(bool) => {
                let names: &[&str] = if *bool {
                    &["yes", "true", "on"]
                } else {
                    &["no", "false", "off"]
                };
                let choice = names.iter().find(|name| variants.contains(name));
                choice.map_or_else(|| self.value.to_text(), |name| (*name).to_owned())
            }
            other => other.to_scalar_text()?,
        };
        visitor.visit_enum(text.into_deserializer())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}

impl<'de> Arg<'_> {
    fn visit_list<V: Visitor<'de>>(self, items: &[Value], visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(Items {
            all: items,
            next: 0,
            wild: self.wild,
        })
    }

    fn visit_map<V: Visitor<'de>>(self, map: &Map, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(Pairs {
            map,
            next: 0,
            wild: self.wild,
        })
    }
}

/// The items of a list; an error in one of them says which.
struct Items<'a> {
    all: &'a [Value],
    next: usize,
    wild: bool,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some(value) = self.all.get(self.next) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        let item = seed.deserialize(Arg {
            value,
            wild: self.wild,
        });
        item.map(Some)
            .map_err(|failure| failure.inside(&format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.all.len() - self.next.min(self.all.len()))
    }
}

/// The pairs of a mapping; an error in a value says of which key.
struct Pairs<'a> {
    map: &'a Map,
    next: usize,
    wild: bool,
}

impl<'de> de::MapAccess<'de> for Pairs<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let Some((key, _)) = self.map.at(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(Arg {
            value: key,
            wild: false,
        })
        .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let pair = self.map.at(self.next.wrapping_sub(1));
        let (key, value) = pair.ok_or_else(|| <Failure as de::Error>::custom("no value"))?;
        let read = seed.deserialize(Arg {
            value,
            wild: self.wild,
        });
        read.map_err(|failure| failure.inside(&key.to_text()))
    }
}

impl Failure {
    /// The same failure, seen from one level further out.
    fn inside(mut self, level: &str) -> Self {
        let path = &mut self.0.path;
        let dot = if path.is_empty() || path.starts_with('[') {
            ""
        } else {
            "."
        };
        *path = format!("{level}{dot}{path}");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Present,
        Yes,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Args {
        #[serde(alias = "dest")]
        path: String,
        #[serde(default)]
        force: bool,
        groups: Option<Vec<String>>,
        state: Option<State>,
        port: Option<u16>,
        any: Option<Value>,
    }

    fn args(pairs: &[(&str, Value)]) -> Value {
        Value::from(
            pairs
                .iter()
                .map(|(key, value)| (*key, value.clone()))
                .collect::<Map>(),
        )
    }

    #[test]
    fn coerces_as_ansible_does() {
        let read: Args = from_value(&args(&[
            ("dest", 12.into()),
            ("force", "yes".into()),
            ("groups", "a, b".into()),
            ("state", true.into()),
            ("port", "8080".into()),
            ("any", Value::list([1.into()])),
        ]))
        .unwrap();
        assert_eq!(
            (read.path.as_str(), read.force, read.port),
            ("12", true, Some(8080))
        );
        assert_eq!(read.groups, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(read.state, Some(State::Yes));
        assert_eq!(read.any, Some(Value::list([1.into()])));
    }

    #[test]
    fn errors_name_the_argument() {
        let say = |pairs: &[(&str, Value)]| from_value::<Args>(&args(pairs)).unwrap_err();
        let path = ("path", Value::str("/x"));
        assert_eq!(
            say(&[path.clone(), ("force", "maybe".into())]).to_string(),
            "argument `force`: expected a boolean, got 'maybe' (str)"
        );
        assert_eq!(say(&[]).to_string(), "argument `path` is required");
        let unknown = say(&[path, ("mdoe", "x".into())]);
        assert_eq!(unknown.unknown.as_deref(), Some("mdoe"));
        assert!(unknown.expected.contains(&"dest"));
    }

    #[test]
    fn templates_fit_everywhere_before_the_run() {
        let wild = Value::str(WILD);
        let names = ["path", "force", "groups", "state", "port", "any"];
        let pairs: Vec<_> = names.iter().map(|name| (*name, wild.clone())).collect();
        assert_eq!(check_static::<Args>(&args(&pairs)), Ok(()));
        assert!(check_static::<Args>(&args(&[("force", wild.clone())])).is_err());
        assert!(check_static::<Args>(&args(&[("path", wild), ("prot", 1.into())])).is_err());
    }
}
