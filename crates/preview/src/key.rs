//! The key that plan files are sealed with.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A key of a user on a controller. What a plan file holds of edits and contents can be compared with it, and guessed
/// by nobody without it.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// A key of these bytes, which must be random.
    pub fn new(bytes: [u8; 32]) -> Self {
        Key(bytes)
    }

    /// HMAC-SHA-256 (RFC 2104) of several parts, none of which can be moved into another.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.begin();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Is this the MAC of these parts? Takes the same time for every wrong one.
    pub fn is_mac(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        let mut own = self.begin();
        for part in parts {
            own.update(&(part.len() as u64).to_be_bytes());
            own.update(part);
        }
        own.verify_slice(mac).is_ok()
    }

    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of every length (RFC 2104)"
    )]
    fn begin(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.0).expect("keys of every length are taken")
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Bytes of hex digits.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
