//! What the records of a host say about a presented key.

use std::path::PathBuf;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey};

use super::authority::{self, CertificateFault};
use super::parse::{HostName, Marker, Record};

/// Everything that the files say about one host.
#[derive(Clone, Debug)]
pub struct HostRecords {
    pub(super) name: HostName,
    /// Records for the name with its port.
    pub(super) records: Vec<Record>,
    /// Records for the bare name, which count only if they *match* and nothing is listed for the port.
    pub(super) without_port: Vec<Record>,
    /// Files that exist but could not be read, for the message.
    pub(super) problems: Vec<String>,
}

/// The answer about a presented key or certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key is listed for the host.
    Known,
    /// The certificate is valid and signed by an authority listed for the host.
    CertAuthority,
    /// Nothing is listed for the host.
    Unknown {
        /// Why a presented certificate did not count, or which file could not be read.
        note: Option<String>,
    },
    /// Keys are listed for the host and this is none of them.
    Changed {
        /// File with the first offending line.
        file: PathBuf,
        /// Its line number, from 1.
        line: usize,
    },
    /// The key, or the authority that signed it, is revoked for the host.
    Revoked {
        /// File with the `@revoked` line.
        file: PathBuf,
        /// Its line number, from 1.
        line: usize,
    },
}

impl HostRecords {
    /// The name that was looked up.
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// Whether a certificate authority is listed, so that asking the server for a certificate makes sense.
    pub fn has_authority(&self) -> bool {
        self.effective().any(|r| r.marker == Marker::CertAuthority)
    }

    /// The host key algorithms of the listed keys, in file order without repeats. Offering them first makes the
    /// server present a key that can be recognised (a host known by its RSA key must not look changed).
    pub fn key_algorithms(&self) -> Vec<Algorithm> {
        let mut found = Vec::new();
        for record in self.effective().filter(|r| r.marker == Marker::HostKey) {
            for algorithm in algorithms_of(&record.key_type) {
                if !found.contains(&algorithm) {
                    found.push(algorithm);
                }
            }
        }
        found
    }

    fn effective(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().chain(&self.without_port)
    }

    /// Judges a plain host key. Comments play no part.
    pub fn check_key(&self, key: &PublicKey) -> Verdict {
        let Ok(blob) = key.to_bytes() else {
            return Verdict::Unknown {
                note: Some("the server's key cannot be encoded".to_owned()),
            };
        };
        if let Some(revoked) = self.revocation(&[&blob]) {
            return revoked;
        }
        match judge_plain(&self.records, &blob) {
            Some(verdict) => verdict,
            // Only a match counts here, as in OpenSSH: another server on another port may have another key.
            None if judge_plain(&self.without_port, &blob) == Some(Verdict::Known) => {
                Verdict::Known
            }
            None => self.unknown(None),
        }
    }

    /// Judges a host certificate at `now` (seconds since 1970). Where no authority vouches for it, its bare key is
    /// judged instead, as OpenSSH does.
    pub fn check_certificate(&self, certificate: &Certificate, now: u64) -> Verdict {
        let key = PublicKey::new(certificate.public_key().clone(), "");
        let signer = encoded(certificate.signature_key());
        let blob = encoded(certificate.public_key());
        if let Some(revoked) = self.revocation(&[&blob, &signer]) {
            return revoked;
        }
        let trusted = self
            .effective()
            .any(|r| r.marker == Marker::CertAuthority && r.key == signer);
        let fault = if trusted {
            match authority::check(certificate, self.name.principal(), now) {
                Ok(()) => return Verdict::CertAuthority,
                Err(fault) => fault,
            }
        } else {
            CertificateFault::UnknownAuthority
        };
        match self.check_key(&key) {
            Verdict::Unknown { .. } => self.unknown(Some(&fault)),
            other => other,
        }
    }

    fn unknown(&self, fault: Option<&CertificateFault>) -> Verdict {
        let notes: Vec<String> = fault
            .map(ToString::to_string)
            .into_iter()
            .chain(self.problems.iter().cloned())
            .collect();
        Verdict::Unknown {
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        }
    }

    fn revocation(&self, blobs: &[&[u8]]) -> Option<Verdict> {
        self.effective()
            .find(|r| r.marker == Marker::Revoked && blobs.contains(&r.key.as_slice()))
            .map(|r| Verdict::Revoked {
                file: r.file.to_path_buf(),
                line: r.line,
            })
    }
}

/// The verdict of ordinary host key lines, or `None` if there are none.
fn judge_plain(records: &[Record], blob: &[u8]) -> Option<Verdict> {
    let mut lines = records.iter().filter(|r| r.marker == Marker::HostKey);
    let first = lines.next()?;
    if first.key == blob || lines.any(|r| r.key == blob) {
        return Some(Verdict::Known);
    }
    Some(Verdict::Changed {
        file: first.file.to_path_buf(),
        line: first.line,
    })
}

fn encoded(key: &KeyData) -> Vec<u8> {
    PublicKey::new(key.clone(), "")
        .to_bytes()
        .unwrap_or_default()
}

/// The signature algorithms that a key type can be negotiated with. `ssh-rsa` keys sign with SHA-2 only.
fn algorithms_of(key_type: &str) -> Vec<Algorithm> {
    match key_type {
        "ssh-ed25519" => vec![Algorithm::Ed25519],
        "ecdsa-sha2-nistp256" => vec![Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        }],
        "ecdsa-sha2-nistp384" => vec![Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        }],
        "ecdsa-sha2-nistp521" => vec![Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP521,
        }],
        "ssh-rsa" => {
            vec![
                Algorithm::Rsa {
                    hash: Some(HashAlg::Sha512),
                },
                Algorithm::Rsa {
                    hash: Some(HashAlg::Sha256),
                },
            ]
        }
        _ => Vec::new(),
    }
}
