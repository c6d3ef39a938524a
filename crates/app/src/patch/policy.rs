//! A policy with everything that it names: hosts of the inventory, windows, files beside it.

use std::path::{Path, PathBuf};

use hostler_diag::{Diagnostic, SourceMap};
use hostler_inventory::{FsLoader, Inventory, Loader, Pattern};
use hostler_patch::policy::{
    FileText, Files, Hosts, HostsProblem, Members, PolicyFile, Schedule, lint,
};

use crate::inputs::{self, Inputs};
use crate::plan::now_us;
use crate::refusal::Refusal;
use crate::request::ApplyRequest;

/// A policy that can be planned with.
pub(crate) struct Policed {
    pub(crate) file: PolicyFile,
    pub(crate) members: Members,
    pub(crate) schedule: Schedule,
    pub(crate) files: BesidePolicy,
    pub(crate) inputs: Inputs,
    /// What is worth knowing and stops nothing.
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Policed {
    /// Hosts of the policy, those that the limit leaves.
    pub(crate) fn hosts(&self, request: &ApplyRequest) -> Result<Vec<String>, Refusal> {
        let mut hosts: Vec<String> = self.members.targets.iter().cloned().collect();
        if let Some(limit) = &request.limit {
            let within = self.inputs.selected(limit, request)?;
            hosts.retain(|host| within.contains(host));
        }
        if hosts.is_empty() {
            let text = "no host of the policy is left to work on";
            return Err(vec![Diagnostic::error("no-hosts", text)].into());
        }
        Ok(hosts)
    }
}

/// Reads a policy and judges it with the inventory.
///
/// # Errors
/// All problems of the policy and the inventory.
pub(crate) fn load(
    request: &ApplyRequest,
    path: &Path,
    sources: &SourceMap,
) -> Result<Policed, Refusal> {
    let bare = ApplyRequest {
        playbooks: Vec::new(),
        ..request.clone()
    };
    let inputs = inputs::load(&bare, sources)?;
    let text = FsLoader.read(path).map_err(|error| {
        let message = format!("cannot read the policy {}: {error}", path.display());
        vec![Diagnostic::error("unreadable-file", message)]
    })?;
    let (file, mut problems) = PolicyFile::load(sources, path, &text);
    let Some(file) = file else {
        return Err(problems.into());
    };
    let files = BesidePolicy::new(path);
    let known = Known(&inputs.loaded.inventory);
    let checked = lint(&file, &known, &files, now_us());
    problems.extend(checked.diagnostics);
    let schedule = checked
        .schedule
        .filter(|_| !problems.iter().any(Diagnostic::is_error));
    let Some(schedule) = schedule else {
        return Err(problems.into());
    };
    Ok(Policed {
        file,
        members: checked.members,
        schedule,
        files,
        inputs,
        warnings: problems,
    })
}

struct Known<'a>(&'a Inventory);

impl Hosts for Known<'_> {
    fn select(&self, pattern: &str) -> (Vec<String>, Vec<HostsProblem>) {
        let pattern = Pattern::from_list([pattern]);
        let selection = self.0.select(&pattern);
        let problems = selection.problems.iter().map(|it| HostsProblem {
            malformed: it.malformed,
            message: it.message.clone(),
            hint: it
                .suggestion
                .as_ref()
                .map(|name| format!("did you mean `{name}`?")),
        });
        let problems = problems.collect();
        let hosts = selection.hosts.iter().map(ToString::to_string).collect();
        (hosts, problems)
    }
}

/// Files that a policy names: paths are relative to it.
pub(crate) struct BesidePolicy {
    directory: PathBuf,
}

impl BesidePolicy {
    pub(crate) fn new(policy: &Path) -> Self {
        let policy = std::path::absolute(policy).unwrap_or_else(|_| policy.to_owned());
        let directory = policy.parent().unwrap_or(Path::new("/")).to_owned();
        BesidePolicy { directory }
    }

    /// Where a path of the policy leads.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }
}

impl Files for BesidePolicy {
    fn read(&self, path: &str) -> Result<FileText, String> {
        let path = self.path(path);
        let text = FsLoader.read(&path).map_err(|error| error.to_string())?;
        Ok(FileText {
            path: path.display().to_string(),
            text,
        })
    }
}
