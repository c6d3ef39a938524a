//! Reading one `known_hosts` file into records, and matching a host name against them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::wildcard::{self, ListMatch};

/// A name as `known_hosts` files spell it: the host in lower case, in brackets with its port unless that is 22.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    with_port: String,
    plain: Option<String>,
}

impl HostName {
    /// The name of a server reached at `host` (as the user wrote it, not its address) and `port`.
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.to_lowercase();
        if port == 22 {
            Self {
                with_port: host,
                plain: None,
            }
        } else {
            Self {
                with_port: format!("[{host}]:{port}"),
                plain: Some(host),
            }
        }
    }

    /// A `HostKeyAlias`: looked up as it is, without a port.
    pub fn alias(alias: &str) -> Self {
        Self {
            with_port: alias.to_lowercase(),
            plain: None,
        }
    }

    /// The form that is searched first and written to files.
    pub fn as_str(&self) -> &str {
        &self.with_port
    }

    /// The form without the port, which OpenSSH tries when nothing is listed for the port itself.
    pub(super) fn without_port(&self) -> Option<Self> {
        self.plain.as_ref().map(|plain| Self {
            with_port: plain.clone(),
            plain: None,
        })
    }

    /// The bare host, as it must stand among the principals of a host certificate.
    pub(super) fn principal(&self) -> &str {
        self.plain.as_deref().unwrap_or(&self.with_port)
    }
}

/// The marker before the names of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// An ordinary host key.
    HostKey,
    /// `@cert-authority`: the key signs host certificates for the names.
    CertAuthority,
    /// `@revoked`: the key must never be accepted for the names.
    Revoked,
}

/// One usable line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the line says about the key.
    pub marker: Marker,
    /// The key type as written, for example `ssh-ed25519`.
    pub key_type: String,
    /// The key in SSH wire form (RFC 4253 §6.6).
    pub key: Vec<u8>,
    /// The file that the line is in.
    pub file: Arc<Path>,
    /// The line's number, from 1.
    pub line: usize,
}

/// One file, parsed once per run. Lines that cannot be read are skipped, as OpenSSH does.
#[derive(Debug, Default)]
pub struct KnownHostsFile {
    records: Vec<Record>,
    /// Exact names to record numbers, so that a large fleet's file is not scanned per host.
    exact: HashMap<String, Vec<usize>>,
    /// Lines with wildcards or negation.
    patterns: Vec<(Vec<String>, usize)>,
    /// Hashed names: salt, HMAC-SHA1 of the name under it, record number.
    hashed: Vec<(Vec<u8>, Vec<u8>, usize)>,
}

impl KnownHostsFile {
    /// Parses the text of the file at `path`. Never fails: bad lines do not count.
    pub fn parse(path: &Path, text: &str) -> Self {
        let path: Arc<Path> = Arc::from(PathBuf::from(path));
        let mut file = Self::default();
        for (number, line) in text.lines().enumerate() {
            file.add_line(&path, number + 1, line);
        }
        file
    }

    fn add_line(&mut self, path: &Arc<Path>, line: usize, text: &str) -> Option<()> {
        // Fields are separated by any run of blanks; what follows the key is a comment.
        let mut fields = text.split([' ', '\t', '\r']).filter(|f| !f.is_empty());
        let mut names = fields.next()?;
        if names.starts_with('#') {
            return None;
        }
        let marker = match names {
            "@cert-authority" => Marker::CertAuthority,
            "@revoked" => Marker::Revoked,
            other if other.starts_with('@') => return None,
            _ => Marker::HostKey,
        };
        if marker != Marker::HostKey {
            names = fields.next()?;
        }
        let key_type = fields.next()?;
        let key = BASE64.decode(fields.next()?).ok()?;
        if wire_key_type(&key)? != key_type {
            return None;
        }
        let index = self.records.len();
        if !self.add_names(names, index) {
            return None;
        }
        self.records.push(Record {
            marker,
            key_type: key_type.to_owned(),
            key,
            file: Arc::clone(path),
            line,
        });
        Some(())
    }

    /// Files the names of record `index`; false if they cannot match anything.
    fn add_names(&mut self, names: &str, index: usize) -> bool {
        if let Some(hashed) = names.strip_prefix("|1|") {
            let Some((salt, hash)) = hashed.split_once('|') else {
                return false;
            };
            let (Ok(salt), Ok(hash)) = (BASE64.decode(salt), BASE64.decode(hash)) else {
                return false;
            };
            self.hashed.push((salt, hash, index));
            return true;
        }
        let names: Vec<String> = names
            .split(',')
            .filter(|n| !n.is_empty())
            .map(str::to_lowercase)
            .collect();
        if names
            .iter()
            .any(|n| n.contains(['*', '?']) || n.starts_with('!'))
        {
            self.patterns.push((names, index));
        } else {
            for name in names {
                self.exact.entry(name).or_default().push(index);
            }
        }
        true
    }

    /// The records whose names cover `name` exactly as spelled (no fallback to the name without port), in file order.
    pub fn records_for<'a>(&'a self, name: &HostName) -> impl Iterator<Item = &'a Record> {
        let text = name.as_str();
        let mut found: Vec<usize> = self.exact.get(text).cloned().unwrap_or_default();
        for (patterns, index) in &self.patterns {
            if wildcard::matches_list(patterns.iter().map(String::as_str), text) == ListMatch::Yes {
                found.push(*index);
            }
        }
        for (salt, hash, index) in &self.hashed {
            if hash_name(salt, text) == *hash {
                found.push(*index);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .filter_map(|index| self.records.get(index))
    }
}

/// HMAC-SHA1 of a host name under a salt, as `ssh-keygen -H` stores it.
pub(super) fn hash_name(salt: &[u8], name: &str) -> Vec<u8> {
    // HMAC takes a key of any length, so this cannot fail; an empty hash matches nothing.
    Hmac::<Sha1>::new_from_slice(salt)
        .map(|mac| {
            mac.chain_update(name.as_bytes())
                .finalize()
                .into_bytes()
                .to_vec()
        })
        .unwrap_or_default()
}

/// The type string at the start of a wire-form key.
fn wire_key_type(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    std::str::from_utf8(rest.get(..length)?).ok()
}
