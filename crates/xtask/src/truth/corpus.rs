//! The playbooks of `tests/preview` and what each says about the host it needs.
//!
//! A playbook starts with comments: free text, and lines `# key: value`:
//!
//! ```text
//! # host: booted          systemd as process 1; `plain` (the default) has sshd alone
//! # hosts: 2              how many hosts (default 1)
//! # packages: mirror      apt reaches the Debian mirror
//! # prepare: self         the playbook itself is applied first
//! # prepare: setup/x.yml  this playbook is applied first; several lines are done in order
//! # shell: chattr +i /x   a script that root runs on every host, after what is applied
//! # fault: full-disk      what is then broken
//! # ends: failure         a task fails in the real run (default: success)
//! # playbook: ../x.yml    the tasks are in that file, and this one has the head alone
//! # ansible: no           needs modules that ansible-core does not bring; not measured with it
//! # changes: nothing      a real run changes nothing (default: something)
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::fleet::{Fault, Init};
use crate::process::{Context, Failure, Result, checkout};

/// What is done to the hosts before the preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A playbook is applied.
    Apply(PathBuf),
    /// A script is run by root on each host.
    Shell(String),
}

/// One playbook of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    /// The file's name without `.yml`.
    pub(super) name: String,
    /// The playbook.
    pub(super) path: PathBuf,
    /// What runs as process 1 of its hosts.
    pub(super) init: Init,
    /// How many hosts.
    pub(super) hosts: usize,
    /// Whether apt on them reaches the Debian mirror.
    pub(super) packages: bool,
    /// What is done first, in order.
    pub(super) prepare: Vec<Step>,
    /// What is broken last.
    pub(super) fault: Option<Fault>,
    /// Whether the real run has a failure at its end.
    pub(super) fails: bool,
    /// Whether the real run changes nothing.
    pub(super) idle: bool,
    /// Whether ansible-core has its modules.
    pub(super) ansible: bool,
}

/// Where the corpus is.
fn directory() -> PathBuf {
    checkout().join("tests/preview")
}

/// Every playbook of the corpus, or those of these names, by name.
pub(super) fn cases(only: &[String]) -> Result<Vec<Case>> {
    let directory = directory();
    let listing = fs::read_dir(&directory).context(format!("list {}", directory.display()))?;
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    paths.sort();
    let mut cases = paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).context(format!("read {}", path.display()))?;
            parse(path, &text)
        })
        .collect::<Result<Vec<_>>>()?;
    let unknown = only
        .iter()
        .find(|name| cases.iter().all(|case| case.name != **name));
    if let Some(name) = unknown {
        return Err(Failure::new(format!(
            "no playbook `{name}` in {}",
            directory.display()
        )));
    }
    cases.retain(|case| only.is_empty() || only.contains(&case.name));
    Ok(cases)
}

/// Reads the comments at the top of a playbook.
fn parse(path: &Path, text: &str) -> Result<Case> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut case = Case {
        name: name.into_owned(),
        path: path.to_path_buf(),
        init: Init::Sshd,
        hosts: 1,
        packages: false,
        prepare: Vec::new(),
        fault: None,
        fails: false,
        idle: false,
        ansible: true,
    };
    let head = text.lines().map_while(|line| line.strip_prefix('#'));
    for (key, value) in head.filter_map(|line| line.trim().split_once(": ")) {
        let value = value.trim();
        match (key, value) {
            ("host", "plain") => case.init = Init::Sshd,
            ("host", "booted") => case.init = Init::Systemd,
            ("hosts", number) => {
                case.hosts = number
                    .parse()
                    .context(format!("{}: hosts", path.display()))?;
            }
            ("packages", "mirror") => case.packages = true,
            ("playbook", other) => case.path = beside(path, other),
            ("prepare", "self") => case.prepare.push(Step::Apply(case.path.clone())),
            ("prepare", other) => case.prepare.push(Step::Apply(beside(path, other))),
            ("ansible", "no") => case.ansible = false,
            ("shell", script) => case.prepare.push(Step::Shell(script.to_owned())),
            ("fault", "full-disk") => case.fault = Some(Fault::FullDisk),
            ("ends", "failure") => case.fails = true,
            ("changes", "nothing") => case.idle = true,
            // A sentence may have a colon; it has no one-word lower-case key of ours.
            (key, _) if KEYS.contains(&key) => {
                return Err(Failure::new(format!(
                    "{}: `{key}: {value}` is not known",
                    path.display()
                )));
            }
            _ => {}
        }
    }
    Ok(case)
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.parent().unwrap_or(path).join(name)
}

const KEYS: [&str; 10] = [
    "host", "hosts", "packages", "playbook", "prepare", "shell", "fault", "ends", "changes",
    "ansible",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Step, cases, parse};
    use crate::fleet::Init;

    #[test]
    fn the_head_says_what_host_is_needed() {
        let text = "# Why: a sentence.\n# host: booted\n# hosts: 3\n# prepare: self\n# shell: rm -f /etc/x: y\n\
                    # ends: failure\n- hosts: all\n  # host: plain\n";
        let case = parse(Path::new("/c/some-case.yml"), text).unwrap();
        assert_eq!((case.name.as_str(), case.hosts), ("some-case", 3));
        assert_eq!(case.init, Init::Systemd);
        assert!(case.fails && !case.idle && !case.packages);
        assert_eq!(
            case.prepare,
            [
                Step::Apply("/c/some-case.yml".into()),
                Step::Shell("rm -f /etc/x: y".into())
            ]
        );
    }

    #[test]
    fn a_key_with_another_value_is_an_error() {
        assert!(parse(Path::new("/c/x.yml"), "# host: container\n").is_err());
    }

    #[test]
    fn the_corpus_is_readable_and_large_enough() {
        let all = cases(&[]).unwrap();
        assert!(all.len() >= 40, "{} playbooks", all.len());
        for case in all {
            for step in case.prepare {
                assert!(
                    !matches!(&step, Step::Apply(path) if !path.is_file()),
                    "{step:?}"
                );
            }
        }
    }
}
