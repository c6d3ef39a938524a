//! Hashes by the names that playbooks use.

use sha2::Digest;

/// Names that [`Hasher::new`] knows.
pub const ALGORITHMS: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

/// A hash being computed.
pub enum Hasher {
    /// MD5.
    Md5(md5::Md5),
    /// SHA-1.
    Sha1(sha1::Sha1),
    /// SHA-224.
    Sha224(sha2::Sha224),
    /// SHA-256.
    Sha256(sha2::Sha256),
    /// SHA-384.
    Sha384(sha2::Sha384),
    /// SHA-512.
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hash by name; `None` if it is not one of [`ALGORITHMS`].
    pub fn new(algorithm: &str) -> Option<Self> {
        Some(match algorithm {
            "md5" => Hasher::Md5(md5::Md5::new()),
            "sha1" => Hasher::Sha1(sha1::Sha1::new()),
            "sha224" => Hasher::Sha224(sha2::Sha224::new()),
            "sha256" => Hasher::Sha256(sha2::Sha256::new()),
            "sha384" => Hasher::Sha384(sha2::Sha384::new()),
            "sha512" => Hasher::Sha512(sha2::Sha512::new()),
            _ => return None,
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Md5(it) => it.update(bytes),
            Hasher::Sha1(it) => it.update(bytes),
            Hasher::Sha224(it) => it.update(bytes),
            Hasher::Sha256(it) => it.update(bytes),
            Hasher::Sha384(it) => it.update(bytes),
            Hasher::Sha512(it) => it.update(bytes),
        }
    }

    /// The hash as lower-case hex digits.
    pub fn hex(self) -> String {
        match self {
            Hasher::Md5(it) => hex(&it.finalize()),
            Hasher::Sha1(it) => hex(&it.finalize()),
            Hasher::Sha224(it) => hex(&it.finalize()),
            Hasher::Sha256(it) => hex(&it.finalize()),
            Hasher::Sha384(it) => hex(&it.finalize()),
            Hasher::Sha512(it) => hex(&it.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The hash of some bytes; `None` for an unknown algorithm.
pub fn digest(bytes: &[u8], algorithm: &str) -> Option<String> {
    let mut hasher = Hasher::new(algorithm)?;
    hasher.update(bytes);
    Some(hasher.hex())
}
