//! Ansible's conversions between kinds: what a module argument accepts and what a condition means.

use crate::Value;

/// A value that cannot be what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoerceError {
    /// What was asked for, such as "a boolean".
    pub wanted: &'static str,
    /// The value, as Python would show it, shortened.
    pub got: String,
}

impl std::fmt::Display for CoerceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {}, got {}", self.wanted, self.got)
    }
}

impl std::error::Error for CoerceError {}

impl Value {
    fn cannot(&self, wanted: &'static str) -> CoerceError {
        let shown: String = self.repr().chars().take(80).collect();
        CoerceError {
            wanted,
            got: format!("{shown} ({})", self.type_name()),
        }
    }

    /// A boolean as module arguments accept it: `yes/on/1/true/t/y` and their opposites in any case, 0 and 1.
    pub fn to_bool(&self) -> Result<bool, CoerceError> {
        match self {
            Value::Bool(bool) => Ok(*bool),
            Value::Int(0) => Ok(false),
            Value::Int(1) => Ok(true),
            Value::Float(float) if *float == 0.0 => Ok(false),
            Value::Float(float) if (*float - 1.0).abs() < f64::EPSILON => Ok(true),
            Value::Str(text) => match text.trim().to_ascii_lowercase().as_str() {
                "yes" | "on" | "1" | "true" | "t" | "y" | "1.0" => Ok(true),
                "no" | "off" | "0" | "false" | "f" | "n" | "0.0" => Ok(false),
                _ => Err(self.cannot("a boolean")),
            },
            _ => Err(self.cannot("a boolean")),
        }
    }

    /// An integer: a number without fraction, or text that is one in base ten.
    pub fn to_int(&self) -> Result<i64, CoerceError> {
        match self {
            Value::Int(int) => Ok(*int),
            Value::Bool(bool) => Ok((*bool).into()),
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => {
                #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
                let int = *float as i64;
                Ok(int)
            }
            Value::Str(text) => text.trim().parse().map_err(|_| self.cannot("an integer")),
            _ => Err(self.cannot("an integer")),
        }
    }

    /// A number: an integer, a float, or text that reads as one.
    pub fn to_float(&self) -> Result<f64, CoerceError> {
        match self {
            Value::Float(float) => Ok(*float),
            #[expect(clippy::cast_precision_loss, reason = "as Python's float() does")]
            Value::Int(int) => Ok(*int as f64),
            Value::BigInt(text) | Value::Str(text) => {
                text.trim().parse().map_err(|_| self.cannot("a number"))
            }
            _ => Err(self.cannot("a number")),
        }
    }

    /// Text of a scalar; lists and mappings are refused.
    pub fn to_scalar_text(&self) -> Result<String, CoerceError> {
        match self {
            Value::List(_) | Value::Map(_) | Value::Unknown(_) => Err(self.cannot("a string")),
            scalar => Ok(scalar.to_text()),
        }
    }

    /// Python's truth: empty text, empty collections, zero and null are false. Who may meet a value that is not known
    /// asks for that first.
    pub fn truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(bool) => *bool,
            Value::Int(int) => *int != 0,
            Value::BigInt(_) | Value::Unknown(_) => true,
            Value::Float(float) => *float != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Map(map) => !map.is_empty(),
        }
    }
}
