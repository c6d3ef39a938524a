//! Content that agents ask for: files of the controller and rendered templates too large to go with their task.

use std::io::Read;
use std::sync::Arc;

use hostler_protocol::{Blob, ToAgent};
use tokio::sync::mpsc;

/// Where a session finds the content that its host may ask for. Only what was registered for that host's tasks may be
/// opened: a host that names another hash is refused.
pub trait BlobSource: Send + Sync {
    /// Opens the content with this SHA-256, or says why not. May block; it is called off the async threads.
    ///
    /// # Errors
    /// One line for the host's task, without paths of the controller that the user did not write.
    fn open(&self, sha256: &[u8; 32]) -> Result<Box<dyn Read + Send>, String>;
}

/// A source without content.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBlobs;

impl BlobSource for NoBlobs {
    fn open(&self, _: &[u8; 32]) -> Result<Box<dyn Read + Send>, String> {
        Err("the controller has no such content".to_owned())
    }
}

/// Streams one blob into the session's queue, as fast as the queue takes it. Blocking.
pub(super) fn send_blob(
    source: &Arc<dyn BlobSource>,
    lane: u16,
    sha256: [u8; 32],
    queue: &mpsc::Sender<Vec<u8>>,
) {
    let send = |message: &ToAgent| match hostler_protocol::encode(lane, message) {
        Ok(frame) => queue.blocking_send(frame).is_ok(),
        Err(_) => false,
    };
    let refuse = |reason: String| {
        let _session_may_be_over = send(&ToAgent::NoBlob { sha256, reason });
    };
    let mut content = match source.open(&sha256) {
        Ok(content) => content,
        Err(reason) => return refuse(reason),
    };
    let mut offset = 0;
    // One piece ahead, so that the last one is known to be the last.
    let mut piece = match read_piece(&mut content) {
        Ok(piece) => piece,
        Err(error) => return refuse(error.to_string()),
    };
    loop {
        let next = match read_piece(&mut content) {
            Ok(next) => next,
            Err(error) => return refuse(error.to_string()),
        };
        let len = piece.len() as u64;
        let last = next.is_empty();
        if !send(&ToAgent::Blob(Blob {
            sha256,
            offset,
            bytes: piece,
            last,
        })) || last
        {
            return;
        }
        offset += len;
        piece = next;
    }
}

/// Up to a whole piece; empty at the end.
fn read_piece(content: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(Blob::PIECE_MAX);
    content
        .take(Blob::PIECE_MAX as u64)
        .read_to_end(&mut piece)?;
    Ok(piece)
}
