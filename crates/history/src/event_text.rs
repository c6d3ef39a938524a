//! Events as text: JSON lines, in which long texts are replaced by the address of a content that is stored once.
//!
//! The place of a long text is taken by an object with the one key [`MARK`] (U+0001 and a word). A key of an event that
//! begins with U+0001 gets another one, so that nothing that a host sends can look like such an object.

use hostler_events::{RunEvent, Stamped, Status, TaskKind};
use serde_json::{Map, Value as Json};

use crate::error::{Result, StoreError};
use crate::seal::{Address, Kind, Sealer};

/// Texts of this many bytes and more are stored as contents.
const LONG: usize = 1024;
const ESCAPE: char = '\u{1}';
const MARK: &str = "\u{1}content";

/// An event that is ready to be written.
pub(crate) struct PreparedEvent {
    pub(crate) at_us: i64,
    pub(crate) line: Vec<u8>,
    pub(crate) contents: Vec<(Address, String)>,
    pub(crate) row: Row,
}

/// What tables besides the one of events learn from it.
pub(crate) enum Row {
    None,
    Task {
        task: u32,
        play: String,
        name: String,
        module: String,
        kind: TaskKind,
    },
    Result {
        task: u32,
        host: String,
        status: Status,
        flags: u32,
        duration_us: u64,
        subjects: Vec<String>,
    },
    Item {
        task: u32,
        host: String,
        item: u32,
        subjects: Vec<String>,
    },
}

/// Bits of a result.
pub(crate) const IGNORED: u32 = 1;
pub(crate) const RESCUED: u32 = 2;

impl PreparedEvent {
    /// Bytes that it holds in memory, about.
    pub(crate) fn size(&self) -> usize {
        let contents: usize = self.contents.iter().map(|(_, text)| text.len()).sum();
        self.line.len() + contents + 200
    }
}

/// Makes an event ready. `play` is the name of the play that goes on.
pub(crate) fn prepare(stamped: &Stamped, play: &str, sealer: &Sealer) -> Result<PreparedEvent> {
    let mut contents = Vec::new();
    let line = match serde_json::to_value(stamped) {
        Ok(mut json) => {
            shorten(&mut json, sealer, &mut contents);
            serde_json::to_vec(&json)
        }
        // An integer beyond 64 bits: text can hold it, a JSON value in memory cannot.
        Err(_) => serde_json::to_vec(stamped),
    };
    Ok(PreparedEvent {
        at_us: stamped.at_us,
        line: line.map_err(StoreError::unreadable)?,
        contents,
        row: row(&stamped.event, play),
    })
}

fn row(event: &RunEvent, play: &str) -> Row {
    let subjects = |status: Status, deltas: &[hostler_change::Delta]| {
        let mut all: Vec<String> = deltas.iter().map(|it| it.subject.clone()).collect();
        all.sort_unstable();
        all.dedup();
        // It changed something and does not say what: texts are only told in diff mode, and `no_log` tells nothing.
        if all.is_empty() && status == Status::Changed {
            all.push(String::new());
        }
        all
    };
    match event {
        RunEvent::TaskStarted(info) => Row::Task {
            task: info.id.0,
            play: play.to_owned(),
            name: info.name.clone(),
            module: info.module.clone(),
            kind: info.kind,
        },
        RunEvent::TaskFinished { task, host, result } => Row::Result {
            task: task.0,
            host: host.clone(),
            status: result.status,
            flags: u32::from(result.ignored) * IGNORED + u32::from(result.rescued) * RESCUED,
            duration_us: result.duration_us,
            // The items of a loop have told theirs.
            subjects: if result.items.is_some() {
                Vec::new()
            } else {
                subjects(result.status, &result.deltas)
            },
        },
        RunEvent::ItemFinished { task, host, item } => Row::Item {
            task: task.0,
            host: host.clone(),
            item: item.index,
            subjects: subjects(item.status, &item.deltas),
        },
        _ => Row::None,
    }
}

fn shorten(json: &mut Json, sealer: &Sealer, contents: &mut Vec<(Address, String)>) {
    match json {
        Json::String(text) if text.len() >= LONG => {
            let text = std::mem::take(text);
            let address = sealer.address(Kind::Text, text.as_bytes());
            let mut mark = Map::new();
            mark.insert(MARK.into(), Json::String(hex(&address)));
            contents.push((address, text));
            *json = Json::Object(mark);
        }
        Json::Array(items) => {
            for item in items {
                shorten(item, sealer, contents);
            }
        }
        Json::Object(map) => {
            if map.keys().any(|key| key.starts_with(ESCAPE)) {
                let escaped = std::mem::take(map).into_iter().map(|(key, value)| {
                    if key.starts_with(ESCAPE) {
                        (format!("{ESCAPE}{key}"), value)
                    } else {
                        (key, value)
                    }
                });
                *map = escaped.collect();
            }
            for value in map.values_mut() {
                shorten(value, sealer, contents);
            }
        }
        _ => {}
    }
}

/// Reads a line back; `content` gives the text of an address.
pub(crate) fn read(
    line: &[u8],
    content: &mut impl FnMut(Address) -> Result<String>,
) -> Result<Stamped> {
    if !line.contains(&b'\\') || !contains_escape(line) {
        return serde_json::from_slice(line).map_err(StoreError::unreadable);
    }
    let mut json = serde_json::from_slice(line).map_err(StoreError::unreadable)?;
    lengthen(&mut json, content)?;
    serde_json::from_value(json).map_err(StoreError::unreadable)
}

/// JSON writes U+0001 as an escape; whether this is in a key or a text does not matter here.
fn contains_escape(line: &[u8]) -> bool {
    line.windows(6).any(|window| window == b"\\u0001")
}

fn lengthen(json: &mut Json, content: &mut impl FnMut(Address) -> Result<String>) -> Result<()> {
    match json {
        Json::Array(items) => items
            .iter_mut()
            .try_for_each(|item| lengthen(item, content)),
        Json::Object(map) => {
            if let Some(address) = map.get(MARK) {
                let address = address.as_str().and_then(unhex);
                let address =
                    address.ok_or_else(|| StoreError::unreadable("an event with a bad address"))?;
                *json = Json::String(content(address)?);
                return Ok(());
            }
            if map.keys().any(|key| key.starts_with(ESCAPE)) {
                let plain = std::mem::take(map).into_iter().map(|(key, value)| {
                    let key = key.strip_prefix(ESCAPE).map(str::to_owned).unwrap_or(key);
                    (key, value)
                });
                *map = plain.collect();
            }
            map.values_mut()
                .try_for_each(|value| lengthen(value, content))
        }
        _ => Ok(()),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Address> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut address = Address::default();
    for (index, byte) in address.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(address)
}
