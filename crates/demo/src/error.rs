//! Why a demo fleet could not be raised.

use std::io;
use std::path::PathBuf;

/// Why a demo fleet could not be raised.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or directory of the fleet could not be made.
    #[error("cannot prepare {path}")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A host's process could not be started or talked to.
    #[error("cannot start the process of host {host}")]
    Start {
        /// Which host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// A host's process could not make its private root.
    #[error("host {host} gets no private root: {reason}")]
    Root {
        /// Which host.
        host: String,
        /// What failed.
        reason: String,
    },
    /// No loopback port could be had.
    #[error("no loopback port for host {host}")]
    Listen {
        /// Which host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// A key could not be made.
    #[error("cannot make an SSH key")]
    Key(#[source] russh::keys::ssh_key::Error),
}

impl DemoError {
    pub(crate) fn files(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| DemoError::Files { path, source }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            DemoError::Root { .. } => Some(
                "the demo needs user namespaces; where a kernel keeps them from ordinary users \
                 (kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces), run it as root",
            ),
            _ => None,
        }
    }
}
