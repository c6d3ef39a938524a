//! From a scalar's tag and text to a node's kind.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use hostler_value::Value;

use crate::integer;
use crate::resolve::{self, Kind};
use crate::timestamp;

/// What a scalar is.
pub(crate) enum Meaning {
    /// Text, as it stands.
    Text,
    /// Something else.
    Data(Value),
    /// `<<`
    Merge,
    /// A vault envelope.
    Vault,
    /// Text that must not be shown, and is never a template.
    Secret,
}

/// Tags of PyYAML and Ansible without `tag:yaml.org,2002:`.
pub(crate) const STANDARD: &str = "tag:yaml.org,2002:";

/// The meaning of an untagged plain scalar, or of one marked `!unsafe`.
pub(crate) fn plain(text: &str) -> Result<Meaning, String> {
    convert(resolve::resolve(text), text)
}

fn convert(kind: Kind, text: &str) -> Result<Meaning, String> {
    Ok(Meaning::Data(match kind {
        Kind::Text => return Ok(Meaning::Text),
        Kind::Merge => return Ok(Meaning::Merge),
        Kind::Value => return Err("a lone `=` has no meaning here".into()),
        Kind::Null => Value::Null,
        Kind::Bool => {
            Value::Bool(resolve::bool_of(text).ok_or_else(|| format!("`{text}` is not a boolean"))?)
        }
        Kind::Int => integer::parse(text)?,
        Kind::Float => Value::Float(resolve::float(text)?),
        Kind::Timestamp => Value::from(timestamp::to_text(text)?),
    }))
}

/// The meaning of a scalar with the standard tag `name`; none if there is no such scalar tag.
pub(crate) fn tagged(name: &str, text: &str) -> Option<Result<Meaning, String>> {
    let kind = match name {
        "str" | "python/unicode" => Kind::Text,
        "null" => Kind::Null,
        "bool" => Kind::Bool,
        "int" => Kind::Int,
        "float" => Kind::Float,
        "timestamp" => Kind::Timestamp,
        "binary" => return Some(binary(text)),
        _ => return None,
    };
    Some(convert(kind, text))
}

/// Python's `base64.decodebytes` ignores what is not in the alphabet. The bytes must be text, since values have no
/// bytes of their own.
fn binary(text: &str) -> Result<Meaning, String> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    let clean: String = text
        .chars()
        .filter(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '+' | '/' | '='))
        .collect();
    let bytes = engine
        .decode(clean)
        .map_err(|_| "this is not base64".to_string())?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Meaning::Data(Value::from(text))),
        Err(_) => Err("binary data that is not UTF-8 text is not supported".into()),
    }
}
