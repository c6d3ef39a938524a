//! Digests, encodings, password hashes, UUIDs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::FilterFn;
use crate::args::{Args, flag, int, some, text_or};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::sha_crypt;
use crate::text;
use crate::value::Val;

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("b64encode", b64encode),
    ("b64decode", b64decode),
    ("hash", hash),
    ("checksum", sha1_of),
    ("sha1", sha1_of),
    ("md5", md5_of),
    ("password_hash", password_hash),
    ("to_uuid", to_uuid),
];

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn utf8_only(cx: &Cx<'_>, encoding: Option<Val>) -> Res<()> {
    let encoding = text_or(cx, encoding.as_ref(), "utf-8")?;
    if matches!(encoding.to_lowercase().as_str(), "utf-8" | "utf8" | "ascii") {
        return Ok(());
    }
    bail!("the encoding '{encoding}' is not available, only utf-8")
}

fn b64encode(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [encoding, urlsafe] = args.bind(["encoding", "urlsafe"])?;
    utf8_only(cx, encoding)?;
    let bytes = text::str(cx, &base)?;
    Ok(Val::str(if flag(urlsafe.as_ref(), false)? {
        URL_SAFE.encode(bytes)
    } else {
        STANDARD.encode(bytes)
    }))
}

fn b64decode(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [encoding, urlsafe] = args.bind(["encoding", "urlsafe"])?;
    utf8_only(cx, encoding)?;
    let urlsafe = flag(urlsafe.as_ref(), false)?;
    let source = text::str(cx, &base)?;
    // Python's decoder skips what is not in the alphabet, line breaks for one.
    let alphabet = |ch: &char| {
        ch.is_ascii_alphanumeric()
            || *ch == '='
            || if urlsafe {
                "-_".contains(*ch)
            } else {
                "+/".contains(*ch)
            }
    };
    let clean: String = source.chars().filter(alphabet).collect();
    let bytes = if urlsafe {
        URL_SAFE.decode(clean)
    } else {
        STANDARD.decode(clean)
    };
    let bytes = bytes.map_err(|_| Fail::runtime("invalid base64: incorrect padding or length"))?;
    String::from_utf8(bytes)
        .map(Val::str)
        .map_err(|_| Fail::runtime("the decoded bytes are not UTF-8 text"))
}

fn hash(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [kind] = args.bind(["hashtype"])?;
    let kind = text_or(cx, kind.as_ref(), "sha1")?;
    let data = text::str(cx, &base)?;
    Ok(Val::str(match kind.as_str() {
        "md5" => hex(&Md5::digest(data)),
        "sha1" => hex(&Sha1::digest(data)),
        "sha224" => hex(&Sha224::digest(data)),
        "sha256" => hex(&Sha256::digest(data)),
        "sha384" => hex(&Sha384::digest(data)),
        "sha512" => hex(&Sha512::digest(data)),
        other => bail!("unsupported hash type {other}"),
    }))
}

fn sha1_of(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    Ok(Val::str(hex(&Sha1::digest(text::str(cx, &base)?))))
}

fn md5_of(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    Ok(Val::str(hex(&Md5::digest(text::str(cx, &base)?))))
}

fn password_hash(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [kind, salt, salt_size, rounds, ident] =
        args.bind(["hashtype", "salt", "salt_size", "rounds", "ident"])?;
    if some(ident).is_some() {
        bail!("`ident` is only for bcrypt, which is not available");
    }
    let kind = match text_or(cx, kind.as_ref(), "sha512")?.as_str() {
        "sha512" | "sha512_crypt" => sha_crypt::Kind::Sha512,
        "sha256" | "sha256_crypt" => sha_crypt::Kind::Sha256,
        other => bail!("the password hash '{other}' is not available, only sha512 and sha256"),
    };
    let size = usize::try_from(int(some(salt_size).as_ref(), 16)?.clamp(1, 16)).unwrap_or(16);
    let salt = if let Some(salt) = some(salt) {
        text::str(cx, &salt)?
    } else {
        let mut random = crate::random::Random::new(cx, None)?;
        (0..size)
            .map(|_| char::from(sha_crypt::ALPHABET[random.below(64)]))
            .collect()
    };
    if salt.is_empty()
        || salt.len() > 16
        || !salt.bytes().all(|byte| sha_crypt::ALPHABET.contains(&byte))
    {
        bail!("invalid salt: 1 to 16 characters of ./0-9A-Za-z");
    }
    let rounds = int(some(rounds).as_ref(), kind.default_rounds().into())?.clamp(1000, 999_999_999);
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    cx.spend(u64::from(rounds) / 10)?;
    Ok(Val::str(sha_crypt::hash(
        kind,
        text::str(cx, &base)?.as_bytes(),
        &salt,
        rounds,
    )))
}

/// The namespace of Ansible's name-based UUIDs: 361E6D51-FAEC-444A-9079-341386DA8E2E.
const NAMESPACE: u128 = 0x361E_6D51_FAEC_444A_9079_3413_86DA_8E2E;

fn to_uuid(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [namespace] = args.bind(["namespace"])?;
    let namespace = match some(namespace) {
        None => NAMESPACE,
        Some(text) => {
            let text = text::str(cx, &text)?;
            let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            match u128::from_str_radix(&digits, 16) {
                Ok(namespace) if digits.len() == 32 => namespace,
                _ => bail!(
                    "Invalid value '{text}' for 'namespace': badly formed hexadecimal UUID string"
                ),
            }
        }
    };
    let mut digest = Sha1::new();
    digest.update(namespace.to_be_bytes());
    digest.update(text::str(cx, &base)?);
    let mut bytes = digest.finalize().to_vec();
    bytes.truncate(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex(&bytes);
    Ok(Val::str(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )))
}
