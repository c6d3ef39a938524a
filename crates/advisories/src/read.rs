//! Files of advisories, told apart by what is in them.

use std::io::{BufReader, Read};

use serde::de::DeserializeSeed as _;
use serde_json::Deserializer;

use crate::error::AdvisoryError;
use crate::guard::Guard;
use crate::index::Index;
use crate::{debian, osv};

/// So much is looked at to tell what a file is.
const HEAD: u64 = 64 << 10;
/// Read at a time.
const AT_A_TIME: usize = 64 << 10;

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tracker,
    OsvArray,
    /// One record, or several one after the other.
    OsvRecords,
}

impl Index {
    /// Takes in a file: the JSON of Debian's security tracker, or OSV records (one, an array, or one after the other).
    ///
    /// # Errors
    /// It cannot be read, is of another kind, is not what it seems to be, or goes beyond a bound. What was taken in of it until
    /// then stays: the index is not to be used.
    pub fn read(&mut self, mut file: impl Read) -> Result<(), AdvisoryError> {
        let mut head = Vec::new();
        let read = file.by_ref().take(HEAD).read_to_end(&mut head);
        read.map_err(AdvisoryError::Read)?;
        let mark = if head.starts_with(b"\xEF\xBB\xBF") {
            3
        } else {
            0
        };
        let head = head.get(mark..).unwrap_or_default();
        let kind = kind(head)?;
        let depth = match kind {
            Kind::Tracker => debian::RECORD_DEPTH,
            Kind::OsvArray => 1,
            Kind::OsvRecords => 0,
        };
        let guard = Guard::new(head.chain(file), depth);
        let mut json = Deserializer::from_reader(BufReader::with_capacity(AT_A_TIME, guard));
        match kind {
            Kind::Tracker => {
                let all = debian::Tracker(self).deserialize(&mut json);
                all.and_then(|()| json.end()).map_err(AdvisoryError::of)
            }
            Kind::OsvArray => {
                let all = osv::Records(self).deserialize(&mut json);
                all.and_then(|()| json.end()).map_err(AdvisoryError::of)
            }
            Kind::OsvRecords => {
                for record in json.into_iter::<osv::Record>() {
                    osv::take(self, &record.map_err(AdvisoryError::of)?)?;
                }
                Ok(())
            }
        }
    }
}

/// What a file is, by how it begins.
fn kind(head: &[u8]) -> Result<Kind, AdvisoryError> {
    let unsupported = |text| Err(AdvisoryError::Unsupported(text));
    if head.starts_with(b"PK\x03\x04") {
        return unsupported(
            "a zip archive is not read: `unzip -p FILE > records.json` makes a file that is",
        );
    }
    if head.starts_with(b"\x1F\x8B") || head.starts_with(b"\xFD7zXZ") || head.starts_with(b"BZh") {
        return unsupported("a compressed file is not read: unpack it first");
    }
    let text = head.trim_ascii_start();
    match text.first() {
        None => unsupported("it is empty"),
        Some(b'<') => unsupported(
            "XML (OVAL) is not read: give the JSON of Debian's security tracker, or OSV records",
        ),
        Some(b'[') => Ok(Kind::OsvArray),
        Some(b'{') => Ok(of_object(text.get(1..).unwrap_or_default())),
        Some(_) => {
            unsupported("it is neither the JSON of Debian's security tracker nor OSV records")
        }
    }
}

/// A tracker has objects in its object, and a record begins with a text, as a rule its id.
fn of_object(text: &[u8]) -> Kind {
    let Some(key) = text.trim_ascii_start().strip_prefix(b"\"") else {
        return Kind::Tracker;
    };
    let mut end = 0;
    while let Some(byte) = key.get(end) {
        match byte {
            b'\\' => end += 2,
            b'"' => break,
            _ => end += 1,
        }
    }
    let name = key.get(..end).unwrap_or_default();
    let rest = key.get(end + 1..).unwrap_or_default().trim_ascii_start();
    let value = rest
        .strip_prefix(b":")
        .unwrap_or_default()
        .trim_ascii_start();
    let is_package =
        value.starts_with(b"{") && !osv::OBJECTS.iter().any(|it| it.as_bytes() == name);
    if is_package {
        Kind::Tracker
    } else {
        Kind::OsvRecords
    }
}
