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
    /// With the number of messages that need it: several hosts' tasks may be delegated to this one.
    by_hash: Mutex<HashMap<[u8; 32], (Origin, usize)>>,
}

impl HostBlobs {
    /// Lets the host ask for a content, until it is withdrawn as often.
    pub(crate) fn offer(&self, sha256: [u8; 32], origin: Origin) {
        let mut offers = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, count) = offers.entry(sha256).or_insert((origin.clone(), 0));
        *known = origin;
        *count += 1;
    }

    /// Where a content is that was let.
    pub(crate) fn origin(&self, sha256: &[u8; 32]) -> Option<Origin> {
        let known = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(sha256).map(|(origin, _)| origin.clone())
    }

    /// Withdraws one offer of a content.
    pub(crate) fn withdraw(&self, sha256: &[u8; 32]) {
        let mut offers = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = offers.get_mut(sha256) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                offers.remove(sha256);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_there_as_long_as_somebody_needs_it() {
        let blobs = HostBlobs::default();
        for _ in 0..2 {
            blobs.offer([1; 32], Origin::Memory(Arc::from(&b"x"[..])));
        }
        blobs.withdraw(&[1; 32]);
        assert!(blobs.open(&[1; 32]).is_ok());
        blobs.withdraw(&[1; 32]);
        assert!(blobs.open(&[1; 32]).is_err());
        blobs.withdraw(&[1; 32]);
    }
}
