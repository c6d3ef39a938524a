//! Values on the wire and in JSON.
//!
//! Self-describing formats (JSON, YAML) get the plain form; others (postcard) get a tagged one. Reading is bounded
//! in depth, since a target may send anything.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Map, Value};

/// Deepest nesting that is read, from any format.
pub const DEPTH_MAX: u32 = 100;
/// Largest number of items reserved before they were read.
const RESERVE_MAX: usize = 1024;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

struct Level;

impl Level {
    fn enter<E: de::Error>() -> Result<Self, E> {
        let depth = DEPTH.get();
        if depth >= DEPTH_MAX {
            return Err(E::custom(format_args!(
                "value is nested deeper than {DEPTH_MAX} levels"
            )));
        }
        DEPTH.set(depth + 1);
        Ok(Level)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

const VARIANTS: &[&str] = &[
    "Null", "Bool", "Int", "BigInt", "Float", "Str", "List", "Map", "Unknown",
];

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() {
            return match self {
                Value::Null => out.serialize_unit(),
                Value::Bool(bool) => out.serialize_bool(*bool),
                Value::Int(int) => out.serialize_i64(*int),
                Value::BigInt(digits) => match digits.parse::<i128>() {
                    Ok(int) => out.serialize_i128(int),
                    Err(_) => out.serialize_str(digits),
                },
                Value::Float(float) => out.serialize_f64(*float),
                Value::Str(text) => out.serialize_str(text),
                Value::List(items) => out.collect_seq(items.iter()),
                Value::Map(map) => map.serialize(out),
                // Never read back as one: what JSON brings in is data.
                Value::Unknown(unknown) => {
                    let mut map = out.serialize_map(Some(1))?;
                    map.serialize_entry("unknown_until", &unknown.until)?;
                    map.end()
                }
            };
        }
        match self {
            Value::Null => out.serialize_unit_variant("Value", 0, "Null"),
            Value::Bool(bool) => out.serialize_newtype_variant("Value", 1, "Bool", bool),
            Value::Int(int) => out.serialize_newtype_variant("Value", 2, "Int", int),
            Value::BigInt(digits) => {
                out.serialize_newtype_variant("Value", 3, "BigInt", digits.as_ref())
            }
            Value::Float(float) => out.serialize_newtype_variant("Value", 4, "Float", float),
            Value::Str(text) => out.serialize_newtype_variant("Value", 5, "Str", text.as_ref()),
            Value::List(items) => {
                out.serialize_newtype_variant("Value", 6, "List", &Items(items.as_slice()))
            }
            Value::Map(map) => out.serialize_newtype_variant("Value", 7, "Map", map.as_ref()),
            Value::Unknown(it) => out.serialize_newtype_variant("Value", 8, "Unknown", it.as_ref()),
        }
    }
}

struct Items<'a>(&'a [Value]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut seq = out.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            seq.serialize_element(item)?;
        }
        seq.end()
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let readable = out.is_human_readable();
        let mut map = out.serialize_map(Some(self.len()))?;
        for (key, value) in self {
            if readable {
                map.serialize_entry(&key_text(key), value)?;
            } else {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

/// JSON keys are text: as Python's `json` writes `null`, `true` and numbers.
fn key_text(key: &Value) -> String {
    match key {
        Value::Null => "null".into(),
        Value::Bool(bool) => bool.to_string(),
        other => other.to_text(),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let _level = Level::enter()?;
        if input.is_human_readable() {
            input.deserialize_any(Plain)
        } else {
            input.deserialize_enum("Value", VARIANTS, Tagged)
        }
    }
}

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(MapVisitor)
    }
}

struct Tagged;

impl<'de> Visitor<'de> for Tagged {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tagged value")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (tag, body) = data.variant_seed(Tag)?;
        Ok(match tag {
            0 => {
                body.unit_variant()?;
                Value::Null
            }
            1 => Value::Bool(body.newtype_variant()?),
            2 => Value::Int(body.newtype_variant()?),
            3 => Value::BigInt(body.newtype_variant::<String>()?.into()),
            4 => Value::Float(body.newtype_variant()?),
            5 => Value::Str(body.newtype_variant::<String>()?.into()),
            6 => Value::List(Arc::new(body.newtype_variant_seed(ListSeed)?)),
            7 => Value::Map(Arc::new(body.newtype_variant()?)),
            _ => Value::Unknown(Arc::new(body.newtype_variant()?)),
        })
    }
}

struct Tag;

impl<'de> DeserializeSeed<'de> for Tag {
    type Value = u32;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<u32, D::Error> {
        struct Index;
        impl Visitor<'_> for Index {
            type Value = u32;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a variant below 9")
            }
            fn visit_u64<E: de::Error>(self, index: u64) -> Result<u32, E> {
                u32::try_from(index)
                    .ok()
                    .filter(|index| (*index as usize) < VARIANTS.len())
                    .ok_or_else(|| E::custom("unknown variant"))
            }
            fn visit_u32<E: de::Error>(self, index: u32) -> Result<u32, E> {
                self.visit_u64(index.into())
            }
        }
        input.deserialize_identifier(Index)
    }
}

struct ListSeed;

impl<'de> DeserializeSeed<'de> for ListSeed {
    type Value = Vec<Value>;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Vec<Value>, D::Error> {
        struct Seq;
        impl<'de> Visitor<'de> for Seq {
            type Value = Vec<Value>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<Value>, A::Error> {
                read_items(seq)
            }
        }
        input.deserialize_seq(Seq)
    }
}

fn read_items<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Vec<Value>, A::Error> {
    let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(RESERVE_MAX));
    while let Some(item) = seq.next_element()? {
        items.push(item);
    }
    Ok(items)
}

struct MapVisitor;

impl<'de> Visitor<'de> for MapVisitor {
    type Value = Map;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = access.next_entry::<Value, Value>()? {
            map.insert(key, value);
        }
        Ok(map)
    }
}

struct Plain;

impl<'de> Visitor<'de> for Plain {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }
    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Int(it))
    }
    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(Value::from(it))
    }
    fn visit_i128<E>(self, it: i128) -> Result<Value, E> {
        Ok(Value::from(it))
    }
    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(Value::Float(it))
    }
    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::str(it))
    }
    fn visit_string<E>(self, it: String) -> Result<Value, E> {
        Ok(Value::from(it))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        Value::deserialize(input)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Value, A::Error> {
        read_items(seq).map(Value::from)
    }
    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        MapVisitor.visit_map(access).map(Value::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        let mut map = Map::new();
        map.insert(
            "a",
            Value::list([Value::Int(1), Value::Null, Value::Float(1.5)]),
        );
        map.insert(Value::Int(80), "http");
        map.insert(
            "big",
            Value::BigInt("123456789012345678901234567890".into()),
        );
        map.insert("t", true);
        Value::from(map)
    }

    #[test]
    fn the_wire_form_keeps_kinds() {
        let bytes = postcard::to_allocvec(&sample()).unwrap();
        assert_eq!(postcard::from_bytes::<Value>(&bytes).unwrap(), sample());
    }

    #[test]
    fn json_is_plain() {
        let text = serde_json::to_string(&sample()).unwrap();
        assert_eq!(
            text,
            r#"{"a":[1,null,1.5],"80":"http","big":123456789012345678901234567890,"t":true}"#
        );
        let back: Value = serde_json::from_str(r#"{"a":[1,null,1.5],"s":"x"}"#).unwrap();
        assert_eq!(back.get("a").unwrap().as_list().unwrap().len(), 3);
    }

    #[test]
    fn hostile_depth_is_refused() {
        let mut bytes = vec![];
        for _ in 0..100_000 {
            bytes.extend([6, 1]);
        }
        bytes.push(0);
        assert!(postcard::from_bytes::<Value>(&bytes).is_err());
        assert!(postcard::from_bytes::<Value>(&[9]).is_err());
    }
}
