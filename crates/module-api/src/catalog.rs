//! What is known about each module before a run.

use std::collections::BTreeMap;

use hostler_value::{Map, Value};
use schemars::{JsonSchema, Schema};
use serde::de::{self, DeserializeOwned, Visitor};

use crate::ArgError;
use crate::args::{WILD, check_static};

/// What the static check and the manual need to know about a module.
#[derive(Clone, Debug)]
pub struct ModuleSpec {
    /// Short name.
    pub name: &'static str,
    /// Collections under which playbooks name it, besides none: `ansible.builtin`, `ansible.posix`, ...
    pub collections: &'static [&'static str],
    /// All argument names, aliases included; empty if any name is accepted (`set_fact`).
    pub arguments: &'static [&'static str],
    /// The argument that text without `key=` goes to (`command: ls /`).
    pub free_form: Option<&'static str>,
    /// JSON schema of the arguments, with their documentation.
    pub schema: fn() -> Schema,
    check: fn(&Value) -> Result<(), ArgError>,
}

/// Collections that ansible-core's own modules answer to.
const BUILTIN: &[&str] = &["ansible.builtin", "ansible.legacy"];

/// The specification of a module of ansible-core, from its argument type.
pub fn spec_of<A: DeserializeOwned + JsonSchema>(name: &'static str) -> ModuleSpec {
    ModuleSpec {
        name,
        collections: BUILTIN,
        arguments: field_names::<A>(),
        free_form: None,
        schema: || schemars::schema_for!(A),
        check: check_static::<A>,
    }
}

impl ModuleSpec {
    /// Makes it answer to other collections than ansible-core's.
    #[must_use]
    pub fn of_collections(mut self, collections: &'static [&'static str]) -> Self {
        self.collections = collections;
        self
    }

    /// Lets text without `key=` go to an argument.
    #[must_use]
    pub fn free_form(mut self, argument: &'static str) -> Self {
        self.free_form = Some(argument);
        self
    }

    /// Lets any argument name pass.
    #[must_use]
    pub fn any_arguments(mut self) -> Self {
        self.arguments = &[];
        self.check = |_| Ok(());
        self
    }

    /// Checks arguments whose templated parts are `None`.
    ///
    /// # Errors
    /// The first argument that is unknown, missing or of the wrong kind.
    pub fn check(&self, args: &[(String, Option<Value>)]) -> Result<(), ArgError> {
        let known = |value: &Option<Value>| value.clone().unwrap_or_else(|| Value::str(WILD));
        let map: Map = args
            .iter()
            .map(|(key, value)| (key.as_str(), known(value)))
            .collect();
        (self.check)(&Value::from(map))
    }
}

/// All modules, by every name that playbooks may use.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    by_name: BTreeMap<String, ModuleSpec>,
}

impl Catalog {
    /// A catalog of these modules.
    pub fn new(specs: impl IntoIterator<Item = ModuleSpec>) -> Self {
        let mut by_name = BTreeMap::new();
        for spec in specs {
            for collection in spec.collections {
                by_name.insert(format!("{collection}.{}", spec.name), spec.clone());
            }
            by_name.insert(spec.name.to_owned(), spec);
        }
        Catalog { by_name }
    }

    /// The module that a playbook means by a name.
    pub fn get(&self, name: &str) -> Option<&ModuleSpec> {
        self.by_name.get(name)
    }

    /// All names, for "did you mean" and completion.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Each module once.
    pub fn modules(&self) -> impl Iterator<Item = &ModuleSpec> {
        self.by_name
            .iter()
            .filter(|(name, spec)| *name == spec.name)
            .map(|(_, spec)| spec)
    }
}

/// Asks a struct for the names (and aliases) of its fields, as serde's derive knows them.
fn field_names<A: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    let _ = A::deserialize(Capture(&mut names));
    names
}

struct Capture<'a>(&'a mut &'static [&'static str]);

impl<'de> de::Deserializer<'de> for Capture<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only a struct has field names"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(de::Error::custom("names are all that was wanted"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Arguments.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their names matter here")]
    struct Args {
        /// Where.
        #[serde(alias = "dest", alias = "name")]
        path: String,
        /// How.
        mode: Option<Value>,
    }

    #[test]
    fn names_include_aliases_and_collections() {
        let catalog = Catalog::new([spec_of::<Args>("file")]);
        let spec = catalog.get("ansible.builtin.file").unwrap();
        for name in ["path", "dest", "name", "mode"] {
            assert!(spec.arguments.contains(&name), "{name}");
        }
        assert!(catalog.get("fiel").is_none());
        assert!(spec.check(&[("dest".into(), None)]).is_ok());
        assert!(spec.check(&[("mode".into(), None)]).is_err());
    }
}
