//! Reading a message within bounds of memory.
//!
//! A byte of a message can become a value of a hundred bytes (an empty list in a list), so a bound on frames is none on
//! what they become. This stands between the format and the types, and counts what each element of a sequence or mapping,
//! and each part behind a pointer, will take, before it is made.

use std::cell::Cell;
use std::fmt;
use std::mem::size_of;

use serde::Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Name of the type whose levels are counted.
const VALUE: &str = "Value";

/// What a message may still become, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<usize>,
    exceeded: Cell<bool>,
    depth: Cell<u32>,
    deepest: Cell<u32>,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Budget {
            left: Cell::new(bytes),
            exceeded: Cell::new(false),
            depth: Cell::new(0),
            deepest: Cell::new(0),
        }
    }

    /// Was it spent?
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded.get()
    }

    /// How many values stood in each other at most.
    pub(crate) fn deepest(&self) -> u32 {
        self.deepest.get()
    }

    /// What is read through this counts.
    pub(crate) fn count<T>(&self, inner: T) -> Counted<'_, T> {
        Counted {
            inner,
            budget: self,
        }
    }

    fn spend<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let Some(left) = self.left.get().checked_sub(bytes) else {
            self.exceeded.set(true);
            return Err(E::custom("too many parts"));
        };
        self.left.set(left);
        Ok(())
    }
}

/// A deserializer, seed, access or visitor that counts.
pub(crate) struct Counted<'b, T> {
    inner: T,
    budget: &'b Budget,
}

macro_rules! forward {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$name(self.budget.count(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Counted<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.budget.count(visitor);
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.budget.count(visitor);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.budget.count(visitor);
        self.inner.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.budget.count(visitor);
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.budget.count(visitor);
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let budget = self.budget;
        let visitor = budget.count(visitor);
        if name != VALUE {
            return self.inner.deserialize_enum(name, variants, visitor);
        }
        let depth = budget.depth.get() + 1;
        budget.depth.set(depth);
        budget.deepest.set(budget.deepest.get().max(depth));
        let value = self.inner.deserialize_enum(name, variants, visitor);
        budget.depth.set(depth - 1);
        value
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    ($($name:ident: $type:ty),*) => {$(
        fn $name<E: Error>(self, it: $type) -> Result<V::Value, E> {
            self.inner.$name(it)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Counted<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128,
        visit_u8: u8, visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128, visit_f32: f32, visit_f64: f64,
        visit_char: char
    }

    fn visit_str<E: Error>(self, it: &str) -> Result<V::Value, E> {
        self.budget.spend(it.len())?;
        self.inner.visit_str(it)
    }

    fn visit_borrowed_str<E: Error>(self, it: &'de str) -> Result<V::Value, E> {
        self.budget.spend(it.len())?;
        self.inner.visit_borrowed_str(it)
    }

    fn visit_string<E: Error>(self, it: String) -> Result<V::Value, E> {
        self.budget.spend(it.len())?;
        self.inner.visit_string(it)
    }

    fn visit_bytes<E: Error>(self, it: &[u8]) -> Result<V::Value, E> {
        self.budget.spend(it.len())?;
        self.inner.visit_bytes(it)
    }

    fn visit_borrowed_bytes<E: Error>(self, it: &'de [u8]) -> Result<V::Value, E> {
        self.budget.spend(it.len())?;
        self.inner.visit_borrowed_bytes(it)
    }

    fn visit_byte_buf<E: Error>(self, it: Vec<u8>) -> Result<V::Value, E> {
        self.budget.spend(it.len())?;
        self.inner.visit_byte_buf(it)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<V::Value, D::Error> {
        // It may be boxed.
        self.budget.spend(size_of::<V::Value>())?;
        let input = self.budget.count(input);
        self.inner.visit_some(input)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, input: D) -> Result<V::Value, D::Error> {
        let input = self.budget.count(input);
        self.inner.visit_newtype_struct(input)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.budget.count(access);
        self.inner.visit_seq(access)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.budget.count(access);
        self.inner.visit_map(access)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.budget.count(access);
        self.inner.visit_enum(access)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Counted<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<S::Value, D::Error> {
        let input = self.budget.count(input);
        self.inner.deserialize(input)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        // Elements of no more than eight bytes are numbers: they take what they take on the wire, about.
        let size = size_of::<T::Value>();
        self.budget.spend(if size > 8 { size } else { 1 })?;
        self.inner.next_element_seed(self.budget.count(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.budget
            .spend(size_of::<T::Value>() + size_of::<usize>())?;
        self.inner.next_key_seed(self.budget.count(seed))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.budget.spend(size_of::<T::Value>())?;
        self.inner.next_value_seed(self.budget.count(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'b, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Counted<'b, A> {
    type Error = A::Error;
    type Variant = Counted<'b, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), A::Error> {
        let budget = self.budget;
        let (tag, variant) = self.inner.variant_seed(seed)?;
        Ok((tag, budget.count(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        // A variant with one large part has it behind a pointer, mostly.
        let size = size_of::<T::Value>();
        self.budget.spend(if size > 8 { size } else { 0 })?;
        self.inner.newtype_variant_seed(self.budget.count(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.budget.count(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.budget.count(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}
