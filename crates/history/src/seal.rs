//! Compressing, sealing and addressing of what is stored.
//!
//! What may hold secrets is compressed and then sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03: random nonces of
//! 24 bytes are safe) under a key that is derived from the key file; what it is and where it belongs is authenticated with it,
//! so that no entry can be put in another's place. Contents are addressed by an HMAC: without the key nobody can tell
//! whether a guessed text is among them.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::{Result, StoreError};
use crate::key_file::KeyBytes;

/// Shorter plain texts are not compressed.
const COMPRESS_FROM: usize = 64;
/// Longest plain text (bytes) that is read back: more than is ever stored in one entry.
const PLAIN_MAX: u64 = 1 << 30;
const NONCE: usize = 24;
const STORED: u8 = 0;
const DEFLATED: u8 = 1;

/// What kind of thing is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Request = 1,
    Notes = 2,
    Events = 3,
    Text = 4,
    File = 5,
    Replaced = 6,
    PatchNotes = 7,
    Fact = 8,
    Mandate = 9,
}

/// Names a content.
pub(crate) type Address = [u8; 16];

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sealer(Arc<Keys>);

struct Keys {
    cipher: XChaCha20Poly1305,
    address: Hmac<Sha256>,
    check: [u8; 16],
    random: File,
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of every length (RFC 2104)"
)]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("keys of every length are taken")
}

fn first_16(bytes: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|index| bytes[index])
}

impl Sealer {
    pub(crate) fn new(key: &KeyBytes) -> Result<Self> {
        let seal = mac(key.as_slice(), b"hostler run store: seal");
        let address = mac(key.as_slice(), b"hostler run store: address");
        let check = mac(key.as_slice(), b"hostler run store: which key");
        let random = File::open("/dev/urandom")
            .map_err(|error| StoreError::Directory(format!("cannot read /dev/urandom: {error}")))?;
        Ok(Sealer(Arc::new(Keys {
            cipher: XChaCha20Poly1305::new(&seal.into()),
            address: keyed(&address),
            check: first_16(&check),
            random,
        })))
    }

    /// Tells keys apart and nothing else about them.
    pub(crate) fn check(&self) -> [u8; 16] {
        self.0.check
    }

    pub(crate) fn address(&self, kind: Kind, plain: &[u8]) -> Address {
        let mut mac = self.0.address.clone();
        mac.update(&[kind as u8]);
        mac.update(plain);
        first_16(&mac.finalize().into_bytes().into())
    }

    /// Compresses and seals; `place` says where the entry belongs.
    pub(crate) fn seal(&self, kind: Kind, place: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let packed = pack(plain);
        let mut nonce = [0; NONCE];
        (&self.0.random)
            .read_exact(&mut nonce)
            .map_err(|error| StoreError::Directory(format!("cannot read /dev/urandom: {error}")))?;
        let payload = Payload {
            msg: &packed,
            aad: &associated(kind, place),
        };
        let sealed = self
            .0
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::unreadable("an entry is too large to be sealed"))?;
        let mut entry = Vec::with_capacity(NONCE + sealed.len());
        entry.extend_from_slice(&nonce);
        entry.extend_from_slice(&sealed);
        Ok(entry)
    }

    pub(crate) fn open(&self, kind: Kind, place: &[u8], entry: &[u8]) -> Result<Vec<u8>> {
        let broken = || StoreError::unreadable("it is damaged, or of another place");
        let (nonce, sealed) = entry.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        let payload = Payload {
            msg: sealed,
            aad: &associated(kind, place),
        };
        let packed = self
            .0
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| broken())?;
        unpack(&packed)
    }
}

fn associated(kind: Kind, place: &[u8]) -> Vec<u8> {
    let mut out = vec![kind as u8];
    out.extend_from_slice(place);
    out
}

fn pack(plain: &[u8]) -> Vec<u8> {
    if plain.len() >= COMPRESS_FROM {
        let mut encoder = DeflateEncoder::new(vec![DEFLATED], Compression::new(3));
        // Writing to a vector cannot fail.
        if let Ok(packed) = encoder.write_all(plain).and_then(|()| encoder.finish())
            && packed.len() <= plain.len()
        {
            return packed;
        }
    }
    let mut packed = Vec::with_capacity(plain.len() + 1);
    packed.push(STORED);
    packed.extend_from_slice(plain);
    packed
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    match packed.split_first() {
        Some((&STORED, plain)) => Ok(plain.to_vec()),
        Some((&DEFLATED, packed)) => {
            let mut plain = Vec::new();
            DeflateDecoder::new(packed)
                .take(PLAIN_MAX)
                .read_to_end(&mut plain)
                .map_err(StoreError::unreadable)?;
            Ok(plain)
        }
        _ => Err(StoreError::unreadable("it is packed in an unknown way")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&KeyBytes::new([byte; 32])).unwrap()
    }

    #[test]
    fn only_the_same_key_kind_and_place_open_it() {
        let (own, other) = (sealer(1), sealer(2));
        for plain in [&b""[..], b"short", &[b'x'; 5000]] {
            let entry = own.seal(Kind::Notes, b"7", plain).unwrap();
            assert_eq!(own.open(Kind::Notes, b"7", &entry).unwrap(), plain);
            assert!(own.open(Kind::Notes, b"8", &entry).is_err());
            assert!(own.open(Kind::Text, b"7", &entry).is_err());
            assert!(other.open(Kind::Notes, b"7", &entry).is_err());
            let mut bent = entry.clone();
            *bent.last_mut().unwrap() ^= 1;
            assert!(own.open(Kind::Notes, b"7", &bent).is_err());
            assert!(own.open(Kind::Notes, b"7", &entry[..10]).is_err());
        }
        let entry = own.seal(Kind::Notes, b"7", &[b'x'; 5000]).unwrap();
        assert!(entry.len() < 200, "compressed to {} bytes", entry.len());
    }

    #[test]
    fn addresses_depend_on_key_and_kind() {
        let (own, other) = (sealer(1), sealer(2));
        assert_eq!(own.address(Kind::Text, b"a"), own.address(Kind::Text, b"a"));
        assert_ne!(own.address(Kind::Text, b"a"), own.address(Kind::File, b"a"));
        assert_ne!(
            own.address(Kind::Text, b"a"),
            other.address(Kind::Text, b"a")
        );
        assert_ne!(own.check(), other.check());
    }
}
