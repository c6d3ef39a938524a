//! Content that a host may ask for: only what was registered for its own tasks.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hostler_transport::BlobSource;

/// Where a content is.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A file of the controller.
    File(PathBuf),
    /// In memory: a rendered template.
    Memory(Arc<[u8]>),
}

/// The contents of one host's tasks, by SHA-256.
#[derive(Debug, Default)]
pub(crate) struct HostBlobs {
    by_hash: Mutex<HashMap<[u8; 32], Origin>>,
}

impl HostBlobs {
    /// Lets the host ask for a content.
    pub(crate) fn offer(&self, sha256: [u8; 32], origin: Origin) {
        self.by_hash
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sha256, origin);
    }

    /// Where a content is that was let.
    pub(crate) fn origin(&self, sha256: &[u8; 32]) -> Option<Origin> {
        let known = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(sha256).cloned()
    }

    /// Withdraws all offers: no task needs them any more.
    pub(crate) fn clear(&self) {
        self.by_hash
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl BlobSource for HostBlobs {
    fn open(&self, sha256: &[u8; 32]) -> Result<Box<dyn Read + Send>, String> {
        match self.origin(sha256) {
            None => Err("the controller has no such content for this host".to_owned()),
            Some(Origin::Memory(bytes)) => Ok(Box::new(Cursor::new(bytes))),
            Some(Origin::File(path)) => {
                let file = std::fs::File::open(&path);
                file.map(|file| Box::new(file) as Box<dyn Read + Send>)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))
            }
        }
    }
}
