//! Private keys and certificates from files: each read and decrypted once per run, not once per host.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hostler_value::Secret;
use russh::keys::{Certificate, PrivateKey, PublicKey};
use tokio::sync::OnceCell;

/// Private keys are a few KiB; a larger file is something else.
const KEY_BYTES_MAX: u64 = 256 << 10;

/// What a key file holds.
#[derive(Debug)]
pub(crate) enum KeyFile {
    /// A usable key.
    Private(Arc<PrivateKey>),
    /// Only the public half is known: a `.pub` file without its key, or a key that needs a passphrase that we do not
    /// have. An agent may hold the private half.
    Public {
        key: Box<PublicKey>,
        /// Why the private half is out of reach.
        why: String,
    },
    /// There is no such file.
    Missing,
    /// The file is there and cannot be used.
    Bad(String),
}

/// A key file with the certificate beside it (`-cert.pub`), if there is one.
#[derive(Debug)]
pub(crate) struct LoadedKey {
    pub(crate) file: KeyFile,
    pub(crate) certificate: Option<Certificate>,
}

/// The keys of a run by path.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    keys: Mutex<HashMap<PathBuf, Arc<OnceCell<Arc<LoadedKey>>>>>,
    certificates: Mutex<HashMap<PathBuf, Option<Arc<Certificate>>>>,
}

impl KeyCache {
    /// The key at `path`. The passphrase of the first asker counts.
    pub(crate) async fn key(&self, path: &Path, passphrase: Option<&Secret>) -> Arc<LoadedKey> {
        let cell = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(keys.entry(path.to_owned()).or_default())
        };
        let load = || async {
            let path = path.to_owned();
            let passphrase = passphrase.cloned();
            // Decryption is slow on purpose (bcrypt), so it must not hold up the async threads.
            let loaded =
                tokio::task::spawn_blocking(move || load_key(&path, passphrase.as_ref())).await;
            Arc::new(loaded.unwrap_or_else(|error| LoadedKey {
                file: KeyFile::Bad(format!("reading the key failed: {error}")),
                certificate: None,
            }))
        };
        Arc::clone(cell.get_or_init(load).await)
    }

    /// The certificate at `path`, if there is a readable one.
    pub(crate) fn certificate(&self, path: &Path) -> Option<Arc<Certificate>> {
        let mut certificates = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        certificates
            .entry(path.to_owned())
            .or_insert_with(|| {
                read_text(path)
                    .ok()
                    .and_then(|t| Certificate::from_openssh(t.trim()).ok())
                    .map(Arc::new)
            })
            .clone()
    }
}

fn load_key(path: &Path, passphrase: Option<&Secret>) -> LoadedKey {
    let certificate = read_text(&with_suffix(path, "-cert.pub"))
        .ok()
        .and_then(|text| Certificate::from_openssh(text.trim()).ok());
    LoadedKey {
        file: load_file(path, passphrase),
        certificate,
    }
}

fn load_file(path: &Path, passphrase: Option<&Secret>) -> KeyFile {
    let text = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match public_half(&with_suffix(path, ".pub")) {
                Some(key) => KeyFile::Public {
                    key: Box::new(key),
                    why: "only its public half is there".to_owned(),
                },
                None => KeyFile::Missing,
            };
        }
        Err(error) => return KeyFile::Bad(error.to_string()),
        Ok(meta) => {
            if let Some(key) = public_half(path) {
                return KeyFile::Public {
                    key: Box::new(key),
                    why: "it is a public key".to_owned(),
                };
            }
            if let Some(problem) = too_open(&meta) {
                return KeyFile::Bad(problem);
            }
            match read_text(path) {
                Ok(text) => text,
                Err(error) => return KeyFile::Bad(error.to_string()),
            }
        }
    };
    match russh::keys::decode_secret_key(&text, passphrase.map(Secret::reveal)) {
        Ok(key) => KeyFile::Private(Arc::new(key)),
        Err(error) => {
            let encrypted = is_encrypted(&text);
            let why = match (encrypted, passphrase) {
                (true, None) => "it is encrypted and no passphrase is given".to_owned(),
                (true, Some(_)) => "the passphrase is wrong".to_owned(),
                (false, _) => {
                    return KeyFile::Bad(format!("it is not a usable private key: {error}"));
                }
            };
            let public = PrivateKey::from_openssh(&text)
                .ok()
                .map(|key| key.public_key().clone())
                .or_else(|| public_half(&with_suffix(path, ".pub")));
            match public {
                Some(key) => KeyFile::Public {
                    key: Box::new(key),
                    why,
                },
                None => KeyFile::Bad(why),
            }
        }
    }
}

fn is_encrypted(text: &str) -> bool {
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
        || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
}

/// OpenSSH refuses a private key of ours that others may read.
fn too_open(meta: &std::fs::Metadata) -> Option<String> {
    let ours = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == meta.uid());
    let mode = meta.mode() & 0o777;
    (ours && mode & 0o077 != 0)
        .then(|| format!("its permissions {mode:04o} are too open (0600 is right)"))
}

fn public_half(path: &Path) -> Option<PublicKey> {
    PublicKey::from_openssh(read_text(path).ok()?.trim()).ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() || meta.len() > KEY_BYTES_MAX {
        return Err(std::io::Error::other("not a key file"));
    }
    std::fs::read_to_string(path)
}
