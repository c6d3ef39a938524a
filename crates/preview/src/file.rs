//! Plan files: a line that names the form, a line of JSON that people can read, and a packed body.
//!
//! ```text
//! hostler-plan 1\n
//! {"format":1,"hostler":"0.1.0","user":"ops",...,"sha256":"..","mac":".."}\n
//! gzip(postcard(Body))
//! ```
//!
//! A file may come from anywhere: everything is bounded before it is unpacked, and nothing in it is believed before its
//! MAC is checked with the key of the user who made it.

use std::collections::HashMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::execution::{Executions, Sealed, seal};
use crate::key::{Key, hex, unhex};
use crate::{Preview, execution};

/// The first line.
const MAGIC: &[u8] = b"hostler-plan ";
/// Version of the form that this program reads and writes.
const FORMAT: u32 = 1;
/// Largest plan file (bytes).
pub const FILE_MAX: u64 = 64 << 20;
/// Longest second line.
const HEADER_MAX: usize = 1 << 20;
/// Largest body (bytes) after unpacking.
const BODY_MAX: u64 = 512 << 20;

/// Why a file is not a plan that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FileError {
    /// It does not begin like one.
    #[error("this is not a plan file")]
    NotAPlan,
    /// It was written by another version.
    #[error("the plan file has form {0}, this version of hostler reads form {FORMAT}")]
    Format(String),
    /// It ends too early, or its content is not what its header says.
    #[error("the plan file is damaged: {0}")]
    Damaged(String),
    /// It would be too large.
    #[error("the plan file is too large: {0}")]
    TooLarge(String),
    /// The MAC is wrong.
    #[error("the plan file was altered, or made by another user or on another controller")]
    Foreign,
}

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Form of the file.
    pub format: u32,
    /// Version of hostler that wrote it.
    pub hostler: String,
    /// Who made it.
    pub user: String,
    /// Where.
    pub controller: String,
    /// When, microseconds since the epoch.
    pub created_us: i64,
    /// From when on it cannot be applied, likewise.
    pub expires_us: i64,
    /// Playbooks, as given.
    pub playbooks: Vec<String>,
    /// Number of hosts.
    pub hosts: usize,
    /// Length of the packed body in bytes.
    pub size: u64,
    /// SHA-256 of the packed body, hex.
    pub sha256: String,
    /// MAC of this line without this field, and of the packed body; hex.
    pub mac: String,
}

/// What was asked for, as far as it is needed to ask for the same again. No secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Directory that paths are relative to.
    pub directory: String,
    /// Playbooks.
    pub playbooks: Vec<String>,
    /// `-i`.
    pub inventory: Vec<String>,
    /// `-l`.
    pub limit: Option<String>,
    /// `-t`.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// `--start-at-task`.
    pub start_at_task: Option<String>,
    /// `--force-handlers`.
    pub force_handlers: bool,
    /// Number of `-e`.
    pub extra_vars: u32,
    /// MAC of all `-e` in order.
    pub extra_vars_seal: [u8; 32],
    /// `-u`.
    pub user: Option<String>,
    /// `-c`.
    pub connection: Option<String>,
    /// `-b`.
    pub becomes: bool,
    /// `--become-method`.
    pub become_method: Option<String>,
    /// `--become-user`.
    pub become_user: Option<String>,
}

/// The content of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// What was asked for.
    pub scope: Scope,
    /// What the preview found.
    pub preview: Preview,
    /// Different executions; most hosts share most of them.
    executions: Vec<Sealed>,
    /// Of each host, its executions by their place above.
    hosts: Vec<(String, Vec<u32>)>,
}

/// A plan file in memory.
#[derive(Clone, Debug)]
pub struct PlanFile {
    /// What it says of itself.
    pub header: Header,
    /// Its content.
    pub body: Body,
    packed: Vec<u8>,
}

impl Body {
    /// Seals executions and shares equal ones.
    pub fn new(scope: Scope, preview: Preview, executions: &Executions, key: &Key) -> Self {
        let mut body = Body {
            scope,
            preview,
            ..Body::default()
        };
        let mut known: HashMap<Sealed, u32> = HashMap::new();
        for (host, own) in executions {
            let numbers = own.iter().map(|execution| {
                let sealed = seal(execution, key);
                *known.entry(sealed).or_insert_with_key(|sealed| {
                    body.executions.push(sealed.clone());
                    u32::try_from(body.executions.len() - 1).unwrap_or(u32::MAX)
                })
            });
            let numbers = numbers.collect();
            body.hosts.push((host.clone(), numbers));
        }
        body
    }

    /// Names of the hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|(host, _)| host.as_str())
    }

    /// Executions of a host, in order; `None` if the plan does not have it.
    pub fn executions(&self, host: &str) -> Option<Vec<&Sealed>> {
        let (_, numbers) = self.hosts.iter().find(|(own, _)| own == host)?;
        Some(
            numbers
                .iter()
                .filter_map(|it| self.executions.get(*it as usize))
                .collect(),
        )
    }

    /// Does it leave something to run time?
    pub fn has_undecided(&self) -> bool {
        self.executions.iter().any(|it| it.undecided)
    }
}

/// The bytes of a plan file. The header's sizes and MAC are filled in here.
///
/// # Errors
/// It would be too large.
pub fn encode(mut header: Header, body: &Body, key: &Key) -> Result<Vec<u8>, FileError> {
    let too_large = |error: &dyn std::fmt::Display| FileError::TooLarge(error.to_string());
    let plain = postcard::to_allocvec(body).map_err(|it| too_large(&it))?;
    if plain.len() as u64 > BODY_MAX {
        return Err(too_large(&format!("{} bytes", plain.len())));
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&plain).map_err(|it| too_large(&it))?;
    let packed = packer.finish().map_err(|it| too_large(&it))?;
    header.format = FORMAT;
    header.size = packed.len() as u64;
    header.sha256 = hex(&Sha256::digest(&packed));
    header.mac = hex(&key.mac(&[&unsigned(&header), &packed]));
    let line = serde_json::to_string(&header).map_err(|it| too_large(&it))?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(format!("{FORMAT}\n{line}\n").as_bytes());
    bytes.extend_from_slice(&packed);
    if bytes.len() as u64 > FILE_MAX {
        return Err(too_large(&format!("{} bytes", bytes.len())));
    }
    Ok(bytes)
}

/// The header as it is signed.
fn unsigned(header: &Header) -> Vec<u8> {
    let header = Header {
        mac: String::new(),
        ..header.clone()
    };
    serde_json::to_vec(&header).unwrap_or_default()
}

/// Reads a plan file. Nothing in it is proven to be its author's before [`PlanFile::verify`].
///
/// # Errors
/// It is no plan, of another form, damaged, or too large.
pub fn decode(bytes: &[u8]) -> Result<PlanFile, FileError> {
    if bytes.len() as u64 > FILE_MAX {
        return Err(FileError::TooLarge(format!("{} bytes", bytes.len())));
    }
    let damaged = |what: &str| FileError::Damaged(what.to_owned());
    let rest = bytes.strip_prefix(MAGIC).ok_or(FileError::NotAPlan)?;
    let (form, rest) = line(rest, 32).ok_or(FileError::NotAPlan)?;
    if form != FORMAT.to_string().as_bytes() {
        return Err(FileError::Format(
            String::from_utf8_lossy(form).into_owned(),
        ));
    }
    let (head, packed) = line(rest, HEADER_MAX).ok_or_else(|| damaged("it has no header"))?;
    let header: Header = serde_json::from_slice(head)
        .map_err(|error| FileError::Damaged(format!("its header cannot be read: {error}")))?;
    if packed.len() as u64 != header.size {
        let text = format!("it holds {} of {} bytes", packed.len(), header.size);
        return Err(FileError::Damaged(text));
    }
    if hex(&Sha256::digest(packed)) != header.sha256 {
        return Err(damaged(
            "its content does not have the hash that its header names",
        ));
    }
    let mut plain = Vec::new();
    GzDecoder::new(packed)
        .take(BODY_MAX + 1)
        .read_to_end(&mut plain)
        .map_err(|error| FileError::Damaged(format!("it cannot be unpacked: {error}")))?;
    if plain.len() as u64 > BODY_MAX {
        return Err(FileError::TooLarge(
            "it unpacks to more than 512 MiB".to_owned(),
        ));
    }
    let (body, left): (Body, &[u8]) = postcard::take_from_bytes(&plain)
        .map_err(|error| FileError::Damaged(format!("its content cannot be read: {error}")))?;
    if !left.is_empty() {
        return Err(damaged("it holds more than a plan"));
    }
    if body.preview.format != Preview::FORMAT {
        return Err(FileError::Format(body.preview.format.to_string()));
    }
    let count = body.executions.len();
    if body
        .hosts
        .iter()
        .flat_map(|(_, own)| own)
        .any(|it| *it as usize >= count)
    {
        return Err(damaged("a host has an execution that is not there"));
    }
    Ok(PlanFile {
        header,
        body,
        packed: packed.to_vec(),
    })
}

fn line(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().take(most).position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

impl PlanFile {
    /// Was it made with this key, and not altered since?
    ///
    /// # Errors
    /// It was not.
    pub fn verify(&self, key: &Key) -> Result<(), FileError> {
        let mac = unhex(&self.header.mac).unwrap_or_default();
        if key.is_mac(&[&unsigned(&self.header), &self.packed], &mac) {
            Ok(())
        } else {
            Err(FileError::Foreign)
        }
    }

    /// Seals executions of now as the plan's are, so that they can be compared.
    pub fn sealed(executions: &[execution::Execution], key: &Key) -> Vec<Sealed> {
        executions.iter().map(|it| seal(it, key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Execution;

    fn key(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    fn body() -> Body {
        let mut executions = Executions::new();
        for host in ["a", "b"] {
            let own = ["p:1:1", "p:2:1"].map(|place| Execution {
                place: place.into(),
                ..Execution::default()
            });
            executions.insert(host.into(), own.to_vec());
        }
        let preview = Preview {
            format: Preview::FORMAT,
            hosts: vec!["a".into(), "b".into()],
            ..Preview::default()
        };
        Body::new(Scope::default(), preview, &executions, &key(1))
    }

    fn bytes() -> Vec<u8> {
        let header = Header {
            user: "ops".into(),
            ..Header::default()
        };
        encode(header, &body(), &key(1)).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_and_shared() {
        let plan = decode(&bytes()).unwrap();
        assert_eq!(plan.body, body());
        assert_eq!(
            plan.body.executions.len(),
            2,
            "equal executions are stored once"
        );
        assert_eq!(plan.body.executions("b").unwrap().len(), 2);
        assert_eq!(plan.body.executions("c"), None);
        assert_eq!(plan.verify(&key(1)), Ok(()));
        assert_eq!(plan.verify(&key(2)), Err(FileError::Foreign));
    }

    #[test]
    fn the_header_is_signed_too() {
        let bytes = bytes();
        let text = String::from_utf8_lossy(&bytes[..300]).into_owned();
        let at = text.find("\"expires_us\":0").unwrap() + "\"expires_us\":".len();
        let mut altered = bytes;
        altered[at] = b'9';
        assert_eq!(
            decode(&altered).unwrap().verify(&key(1)),
            Err(FileError::Foreign)
        );
    }

    #[test]
    fn every_other_file_is_an_error_and_never_a_panic() {
        let good = bytes();
        assert!(matches!(
            decode(b"---\n- hosts: all\n"),
            Err(FileError::NotAPlan)
        ));
        assert!(matches!(
            decode(b"hostler-plan 2\n{}\n"),
            Err(FileError::Format(_))
        ));
        for end in 0..good.len() {
            assert!(decode(&good[..end]).is_err(), "cut at {end}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            let altered = decode(&bad).and_then(|it| it.verify(&key(1)));
            assert!(altered.is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_body_that_is_not_one_is_refused() {
        let wrap = |plain: &[u8]| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::best());
            packer.write_all(plain).unwrap();
            let packed = packer.finish().unwrap();
            let header = Header {
                size: packed.len() as u64,
                sha256: hex(&Sha256::digest(&packed)),
                ..Header::default()
            };
            let mut bytes = b"hostler-plan 1\n".to_vec();
            bytes.extend(serde_json::to_vec(&header).unwrap());
            bytes.push(b'\n');
            bytes.extend(packed);
            bytes
        };
        // Lengths that promise far more than there is, and a body of zeros (an empty plan of another form).
        for plain in [vec![0xff; 64], vec![0x80; 1 << 20], vec![0; 16 << 20]] {
            assert!(decode(&wrap(&plain)).is_err());
        }
    }
}
