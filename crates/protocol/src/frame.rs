//! Frames: a sans-I/O codec that both ends share.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What an agent writes before its first frame. The first byte cannot occur in UTF-8 text.
pub const MAGIC: [u8; 16] = *b"\xffhostler-agent1\n";

/// Largest message in bytes. A result's streams are bounded well below it.
pub const FRAME_MAX: usize = 16 << 20;

/// Bytes before a message: its length and its lane.
pub const HEADER_LEN: usize = 6;

/// Bytes on the channel that are not ours.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length is beyond the bound.
    #[error("frame of {0} bytes announced; at most {FRAME_MAX} are accepted")]
    TooLong(usize),
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

/// Reads a message.
///
/// # Errors
/// If the bytes are not that message.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    Ok(postcard::from_bytes(bytes)?)
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

    #[test]
    fn a_huge_length_is_refused_before_it_is_allocated() {
        let mut frames = Frames::new();
        frames.push(&[0xff; HEADER_LEN]);
        assert!(matches!(frames.next_frame(), Err(FrameError::TooLong(_))));
    }
}
