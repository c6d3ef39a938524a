//! Files of the controller that tasks send to hosts: found, read and hashed once per run.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hostler_change::Content;
use hostler_diag::SourceMap;
use hostler_yaml::TemplateSource;
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::fleet::HostBlobs;

/// Contents up to this size travel with their task; larger ones only if the host asks for them.
const INLINE_MAX: usize = 32 << 10;
/// Largest template file.
const TEMPLATE_MAX: u64 = 8 << 20;

/// A file as it is sent.
#[derive(Clone)]
pub(crate) enum Sent {
    /// With the task.
    Inline(Arc<[u8]>),
    /// On request.
    OnRequest {
        path: PathBuf,
        sha256: [u8; 32],
        size: u64,
    },
}

/// The files of a run.
pub(crate) struct ControllerFiles {
    sources: SourceMap,
    templates: Mutex<HashMap<PathBuf, TemplateSource>>,
    contents: Mutex<HashMap<PathBuf, Sent>>,
    /// Contents that are no files, by their SHA-256 in hex digits.
    given: HashMap<String, Arc<[u8]>>,
}

impl ControllerFiles {
    pub(crate) fn new(sources: SourceMap) -> Self {
        ControllerFiles {
            sources,
            templates: Mutex::default(),
            contents: Mutex::default(),
            given: HashMap::new(),
        }
    }

    /// Takes contents that are no files, by their SHA-256 in hex digits.
    pub(crate) fn give(&mut self, contents: HashMap<String, Arc<[u8]>>) {
        self.given.extend(contents);
    }

    /// A content that was given.
    pub(crate) fn given(&self, sha256: &str) -> Option<&Arc<[u8]>> {
        self.given.get(sha256)
    }

    /// The files that were sent so far, with the hash of their content.
    pub(crate) fn sent(&self) -> Vec<(PathBuf, [u8; 32])> {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let hashed = |(path, sent): (&PathBuf, &Sent)| {
            let sha256 = match sent {
                Sent::Inline(bytes) => Sha256::digest(bytes).into(),
                Sent::OnRequest { sha256, .. } => *sha256,
            };
            (path.clone(), sha256)
        };
        contents.iter().map(hashed).collect()
    }

    /// A template file, registered so that errors can point into it.
    pub(crate) fn template(&self, path: &Path) -> Result<TemplateSource, Failure> {
        let mut templates = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = templates.get(path) {
            return Ok(source.clone());
        }
        let cannot =
            |why: String| Failure::new(format!("cannot read template {}: {why}", path.display()));
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|error| cannot(error.to_string()))?;
        file.take(TEMPLATE_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| cannot(error.to_string()))?;
        if bytes.len() as u64 > TEMPLATE_MAX {
            return Err(cannot(format!("it is larger than {TEMPLATE_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8".into()))?;
        let source = TemplateSource::whole(&self.sources, self.sources.add_file(path, text));
        templates.insert(path.to_owned(), source.clone());
        Ok(source)
    }

    /// A file's content as it is sent to hosts.
    pub(crate) fn content(&self, path: &Path) -> Result<Sent, Failure> {
        if let Some(sent) = self
            .contents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
        {
            return Ok(sent.clone());
        }
        let cannot = |error: std::io::Error| {
            Failure::new(format!("cannot read {}: {error}", path.display()))
        };
        let mut file = std::fs::File::open(path).map_err(cannot)?;
        let size = file.metadata().map_err(cannot)?.len();
        let sent = if size <= INLINE_MAX as u64 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(cannot)?;
            Sent::Inline(bytes.into())
        } else {
            let mut hasher = Sha256::new();
            let mut piece = vec![0; 256 << 10];
            let mut size = 0;
            loop {
                let read = file.read(&mut piece).map_err(cannot)?;
                if read == 0 {
                    break;
                }
                size += read as u64;
                hasher.update(&piece[..read]);
            }
            Sent::OnRequest {
                path: path.to_owned(),
                sha256: hasher.finalize().into(),
                size,
            }
        };
        self.contents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), sent.clone());
        Ok(sent)
    }
}

/// Finds a file as Ansible does: in `subdirectory` beside the playbook, then beside the playbook itself.
pub(crate) fn find_file(name: &str, subdirectory: &str, base: &Path) -> Result<PathBuf, Failure> {
    let candidates = if Path::new(name).is_absolute() {
        vec![PathBuf::from(name)]
    } else {
        vec![base.join(subdirectory).join(name), base.join(name)]
    };
    let found = candidates.iter().find(|path| path.exists()).cloned();
    found.ok_or_else(|| {
        let tried: Vec<String> = candidates
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        Failure::new(format!(
            "could not find `{name}` on the controller; searched in: {}",
            tried.join(", ")
        ))
    })
}

impl Sent {
    /// Bytes that the controller made, such as a rendered template.
    pub(crate) fn bytes(bytes: Vec<u8>) -> SentBytes {
        SentBytes(bytes)
    }

    /// As a task carries it; what is not inline is offered to the host.
    pub(crate) fn payload(&self, blobs: &HostBlobs) -> Content {
        match self {
            Sent::Inline(bytes) => Content::Bytes(bytes.to_vec()),
            Sent::OnRequest { path, sha256, size } => {
                blobs.offer(*sha256, crate::fleet::BlobOrigin::File(path.clone()));
                Content::Blob {
                    sha256: *sha256,
                    size: *size,
                }
            }
        }
    }
}

/// Bytes in memory on their way to a host.
pub(crate) struct SentBytes(Vec<u8>);

impl SentBytes {
    /// As a task carries them.
    pub(crate) fn payload(self, blobs: &HostBlobs) -> Content {
        if self.0.len() <= INLINE_MAX {
            return Content::Bytes(self.0);
        }
        let sha256: [u8; 32] = Sha256::digest(&self.0).into();
        let size = self.0.len() as u64;
        blobs.offer(sha256, crate::fleet::BlobOrigin::Memory(self.0.into()));
        Content::Blob { sha256, size }
    }
}
