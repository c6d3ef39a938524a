//! Policy files: `kind: PatchPolicy`.
//!
//! ```text
//! text ─ yaml ─> Node ─ reader (JSON schema of the types) ─> Policy + Places ─ lint (with the hosts) ─> diagnostics
//! ```

mod docs;
mod host;
mod lint;
mod lint_waves;
mod members;
mod places;
mod reader;
mod scalars;
mod types;
mod waves;
mod windows;

use std::path::{Path, PathBuf};

use hostler_diag::{Diagnostic, SourceId, SourceMap};
use sha2::{Digest, Sha256};

pub use crate::amount::Amount;
pub use docs::{markdown, schema};
pub use host::{
    CommandGate, CommandGateFull, CommandOn, Competing, GateRule, HookRule, HostRules, HttpGate,
    HttpGateFull, PackageDb, PendingReboot, PreflightRules, PrometheusGate, RebootRules,
    RestartServices, RollbackRules, SnapshotMode,
};
pub use lint::{Checked, lint, lint_together};
pub use members::{HostSet, Hosts, HostsProblem, Members};
pub use places::{Places, Step};
pub use scalars::{Bytes, Seconds, Texts};
pub use types::{
    ExceptionRule, FreezeRule, IncludeExclude, Kind, PinRules, Policy, ReportRules, Select,
    Targets, UnknownRule, Updates, Urgent, WindowRule,
};
pub use waves::{Approve, AutoCanary, Dimension, GroupRule, RunRules, WaveHosts, WaveRule};
pub use windows::{FileText, Files, Schedule, SchedulePart};

/// A policy that was read, and where its parts stand.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// What it says.
    pub policy: Policy,
    /// Where.
    pub places: Places,
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of its text, lower-case hex digits.
    pub sha256: String,
}

impl PolicyFile {
    /// Reads a policy. With any error among the diagnostics there is none. What can only be judged with the hosts and the files
    /// that it names is the work of [`lint`].
    pub fn load(
        sources: &SourceMap,
        path: &Path,
        text: &str,
    ) -> (Option<PolicyFile>, Vec<Diagnostic>) {
        let id = sources.add_file(path, text);
        Self::read(sources, id, path, text)
    }

    fn read(
        sources: &SourceMap,
        id: SourceId,
        path: &Path,
        text: &str,
    ) -> (Option<PolicyFile>, Vec<Diagnostic>) {
        let (root, mut diagnostics) = hostler_yaml::load(sources, id);
        let Some(root) = root else {
            return (None, diagnostics);
        };
        let schema = schema();
        let mut reader = reader::Reader::new(&schema, sources);
        let form = reader.read(&root, &schema, "the policy");
        diagnostics.append(&mut reader.diagnostics);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return (None, diagnostics);
        }
        let form = form.unwrap_or_default();
        let policy = match serde_json::from_value::<Policy>(form) {
            Ok(policy) => policy,
            Err(error) => {
                let problem = Diagnostic::error("policy-value", error.to_string());
                diagnostics.push(problem.at(root.span));
                return (None, diagnostics);
            }
        };
        let file = PolicyFile {
            policy,
            places: Places::new(root, sources.clone()),
            path: path.to_owned(),
            sha256: sha256_hex(text.as_bytes()),
        };
        (Some(file), diagnostics)
    }

    /// `monthly.yml:14:5` of a part that is written.
    pub fn rule(&self, path: &[Step<'_>]) -> Option<String> {
        self.places.rule(path)
    }
}

/// SHA-256 in lower-case hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut out, byte| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}
