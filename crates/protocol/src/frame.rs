//! Frames: a sans-I/O codec that both ends share.

use hostler_value::DEPTH_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bounded::Budget;

/// What an agent writes before its first frame. The first byte cannot occur in UTF-8 text.
pub const MAGIC: [u8; 16] = *b"\xffhostler-agent1\n";

/// Largest message in bytes. A result's streams are bounded well below it.
pub const FRAME_MAX: usize = 16 << 20;

/// Bytes before a message: its length and its lane.
pub const HEADER_LEN: usize = 6;

/// What every message may become.
const SMALL_MEMORY: usize = 4 << 20;
/// How much larger than on the wire a message may be in memory, beyond that.
const GROWTH_MAX: usize = 16;
/// Largest memory that any message may become.
const MEMORY_MAX: usize = 12 * FRAME_MAX;

/// Bytes on the channel that are not ours.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length is beyond the bound.
    #[error("frame of {0} bytes announced; at most {FRAME_MAX} are accepted")]
    TooLong(usize),
    /// A message whose parts would take much more memory than the message.
    #[error("a message of {0} bytes has too many parts: they would take more than {1} bytes")]
    TooManyParts(usize, usize),
    /// A message with a value in a value, and so on, without end.
    #[error("a value is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// A message that does not decode.
    #[error("message cannot be read: {0}")]
    Message(#[from] postcard::Error),
}

/// A message as one frame.
///
/// # Errors
/// If it is larger than [`FRAME_MAX`].
pub fn encode<T: Serialize>(lane: u16, message: &T) -> Result<Vec<u8>, FrameError> {
    let frame = postcard::to_extend(message, vec![0; HEADER_LEN])?;
    let len = frame.len() - HEADER_LEN;
    if len > FRAME_MAX {
        return Err(FrameError::TooLong(len));
    }
    let mut frame = frame;
    frame[..4].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    frame[4..HEADER_LEN].copy_from_slice(&lane.to_le_bytes());
    Ok(frame)
}

/// Reads a message. What it becomes in memory is bounded too, by [`memory_max`].
///
/// # Errors
/// If the bytes are not that message, or it would become too large.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let budget = Budget::new(memory_max(bytes.len()));
    let mut input = postcard::Deserializer::from_bytes(bytes);
    T::deserialize(budget.count(&mut input)).map_err(|error| match () {
        () if budget.exceeded() => FrameError::TooManyParts(bytes.len(), memory_max(bytes.len())),
        () if budget.deepest() >= DEPTH_MAX => FrameError::TooDeep,
        () => FrameError::Message(error),
    })
}

/// Largest memory that a message of so many bytes may become. Real ones take up to ten times what they are on the wire
/// (short names with booleans, as `find` answers); those of a hostile host could take a hundred times that.
fn memory_max(bytes: usize) -> usize {
    (SMALL_MEMORY + GROWTH_MAX * bytes).min(MEMORY_MAX)
}

/// Collects bytes and gives whole frames.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    start: usize,
}

impl Frames {
    /// An empty collector.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame: its lane and its message's bytes; `None` if more bytes are needed.
    ///
    /// # Errors
    /// If the announced length is beyond [`FRAME_MAX`]; the stream cannot be used any more then.
    pub fn next_frame(&mut self) -> Result<Option<(u16, Vec<u8>)>, FrameError> {
        let rest = &self.buffer[self.start..];
        let Some(header) = rest.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let lane = u16::from_le_bytes([header[4], header[5]]);
        if len > FRAME_MAX {
            return Err(FrameError::TooLong(len));
        }
        let Some(body) = rest.get(HEADER_LEN..HEADER_LEN + len) else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.start += HEADER_LEN + len;
        if self.start > 64 << 10 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        Ok(Some((lane, body)))
    }
}

#[cfg(test)]
mod tests {
    use hostler_value::{Map, Value};

    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let mut bytes = encode(3, &"hello".to_owned()).unwrap();
        bytes.extend(encode(0, &7_u32).unwrap());
        let mut frames = Frames::new();
        let mut seen = Vec::new();
        for byte in bytes {
            frames.push(&[byte]);
            while let Some(frame) = frames.next_frame().unwrap() {
                seen.push(frame);
            }
        }
        assert_eq!(seen.len(), 2);
        assert_eq!(
            (seen[0].0, decode::<String>(&seen[0].1).unwrap().as_str()),
            (3, "hello")
        );
        assert_eq!(decode::<u32>(&seen[1].1).unwrap(), 7);
    }

    fn read(value: &Value) -> Result<Value, FrameError> {
        decode(&encode(0, value).unwrap()[HEADER_LEN..])
    }

    #[test]
    fn what_a_message_becomes_is_bounded() {
        let nothing = || Value::list([]);
        // 2 MiB on the wire, and 72 MiB in memory.
        let empty = Value::list((0..1 << 20).map(|_| nothing()));
        assert!(matches!(read(&empty), Err(FrameError::TooManyParts(..))));
        let maps = Value::list((0..1 << 20).map(|_| Value::from(Map::new())));
        assert!(matches!(read(&maps), Err(FrameError::TooManyParts(..))));
        // The same within others that are no values.
        let warnings = vec![String::new(); 1 << 20];
        let bytes = encode(0, &warnings).unwrap();
        let refused = decode::<Vec<String>>(&bytes[HEADER_LEN..]);
        assert!(matches!(refused, Err(FrameError::TooManyParts(..))));
    }

    #[test]
    fn real_messages_fit() {
        // As `find` answers: small names, booleans, numbers.
        let file = |number: i64| {
            let mut map = Map::new();
            for name in ["isuid", "isgid", "isreg", "islnk", "xusr", "rgrp", "woth"] {
                map.insert(name, number % 2 == 0);
            }
            map.insert("path", format!("/srv/{number}"));
            map.insert("size", number);
            map.insert("mtime", 1.5);
            Value::from(map)
        };
        let found = Value::list((0..10_000).map(file));
        assert_eq!(read(&found).unwrap(), found);
        let numbers = Value::list((0..1 << 17).map(Value::Int));
        assert_eq!(read(&numbers).unwrap(), numbers);
        let huge = Value::str("x".repeat(FRAME_MAX - 100));
        assert_eq!(read(&huge).unwrap(), huge);
        let bytes = vec![7_u8; 2 << 20];
        let frame = encode(0, &bytes).unwrap();
        assert_eq!(decode::<Vec<u8>>(&frame[HEADER_LEN..]).unwrap(), bytes);
    }

    #[test]
    fn what_is_too_deep_says_so() {
        let bytes = [[6, 1].repeat(100_000), vec![0]].concat();
        assert!(matches!(decode::<Value>(&bytes), Err(FrameError::TooDeep)));
        let deep = (0..DEPTH_MAX - 1).fold(Value::Null, |inner, _| Value::list([inner]));
        assert_eq!(read(&deep).unwrap(), deep);
    }

    #[test]
    fn a_huge_length_is_refused_before_it_is_allocated() {
        let mut frames = Frames::new();
        frames.push(&[0xff; HEADER_LEN]);
        assert!(matches!(frames.next_frame(), Err(FrameError::TooLong(_))));
    }
}
