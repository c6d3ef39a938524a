//! Command lines of apt.

use std::path::Path;

use hostler_module_api::prelude::*;

use super::args::{Args, PackageState, Upgrade};
use super::look::Seen;
use super::spec::base_name;

/// Runs apt so that it never asks and never waits for an answer.
fn quiet(mut program: Program, needrestart_is_set: bool) -> Program {
    for (name, value) in [
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBIAN_PRIORITY", "critical"),
        ("APT_LISTCHANGES_FRONTEND", "none"),
        ("LC_ALL", "C"),
    ] {
        program = program.env(name, value);
    }
    if !needrestart_is_set {
        // It lists what should be restarted, and restarts nothing by itself.
        program = program.env("NEEDRESTART_MODE", "l");
    }
    program
}

/// Tries again, with growing pauses: a mirror may fail for a moment, and older versions of apt do not wait for the
/// lock of the lists. The first parameter is how often, the second the longest pause.
const UPDATE: &str = r#"try=1 pause=1
until apt-get -q -o APT::Update::Error-Mode=any update; do
    status=$?
    [ "$try" -ge "$1" ] && exit "$status"
    sleep "$pause"
    try=$((try + 1)) pause=$((pause * 2))
    [ "$pause" -gt "$2" ] && pause=$2
done
"#;

/// Refreshes the lists.
pub(super) fn update(args: &Args, now: &Seen) -> Program {
    let retries = args.update_cache_retries.max(1).to_string();
    let pause = args.update_cache_retry_max_delay.max(1).to_string();
    let program = Program::new(["sh", "-c", UPDATE, "sh", &retries, &pause]).shown_as("apt-get update");
    quiet(program, now.needrestart_is_set)
}

/// Removes downloaded packages.
pub(super) fn clean(now: &Seen) -> Program {
    quiet(Program::new(["apt-get", "clean"]), now.needrestart_is_set)
}

/// Marks packages as wanted for themselves.
pub(super) fn mark_manual(now: &Seen) -> Program {
    let words = ["apt-mark", "manual"].into_iter().chain(now.marked_auto.iter().map(String::as_str));
    quiet(Program::new(words), now.needrestart_is_set)
}

/// Downloads a package into apt's own cache, where only root writes.
pub(super) fn fetch(url: &str, path: &Path) -> Edit {
    Edit::Fetch(hostler_change::Fetch {
        url: url.to_owned(),
        headers: Vec::new(),
        path: path.to_owned(),
        attrs: Attrs { mode: Some(0o644), ..Attrs::default() },
        backup: false,
        checksum: None,
        timeout_s: 60,
        validate_certs: true,
        if_modified_since_s: None,
    })
}

/// The verb and what it is applied to, as both the simulation and the real run have it.
#[derive(Clone)]
pub(super) struct Work {
    /// `install`, `remove`, ...
    verb: Vec<&'static str>,
    /// Options that change what is resolved.
    options: Vec<String>,
    /// Packages.
    packages: Vec<String>,
}

impl Work {
    /// Installs packages.
    pub(super) fn install(args: &Args, packages: Vec<String>) -> Self {
        let mut options = resolving(args);
        if args.autoremove {
            options.push("--auto-remove".into());
        }
        match args.state {
            PackageState::BuildDep => Work { verb: vec!["build-dep"], options, packages },
            PackageState::Fixed => {
                options.push("--fix-broken".into());
                Work { verb: vec!["install"], options, packages }
            }
            _ => Work { verb: vec!["install"], options, packages },
        }
    }

    /// Removes packages.
    pub(super) fn remove(args: &Args, packages: Vec<String>) -> Self {
        let mut options = Vec::new();
        for (wanted, option) in [
            (args.purge, "--purge"),
            (args.force, "--force-yes"),
            (args.autoremove, "--auto-remove"),
            (args.allow_change_held_packages, "--allow-change-held-packages"),
        ] {
            options.extend(wanted.then(|| option.to_owned()));
        }
        Work { verb: vec!["remove"], options, packages }
    }

    /// Upgrades all.
    pub(super) fn upgrade(args: &Args) -> Self {
        let mut options = resolving(args);
        if args.autoremove {
            options.push("--auto-remove".into());
        }
        let verb = match args.upgrade {
            Upgrade::Full | Upgrade::Dist => vec!["dist-upgrade"],
            _ => vec!["upgrade", "--with-new-pkgs"],
        };
        Work { verb, options, packages: Vec::new() }
    }

    /// Tidies up: `autoremove` or `autoclean`.
    pub(super) fn tidy(args: &Args, verb: &'static str) -> Self {
        let options = if args.purge && verb == "autoremove" { vec!["--purge".to_owned()] } else { Vec::new() };
        Work { verb: vec![verb], options, packages: Vec::new() }
    }

    /// What it is about.
    pub(super) fn packages(&self) -> &[String] {
        &self.packages
    }

    /// Is this package one of those that it is about?
    pub(super) fn is_about(&self, package: &str) -> bool {
        self.packages.iter().any(|it| base_name(it) == base_name(package))
    }

    /// Does it ask for this version of the package by name?
    pub(super) fn names_version(&self, package: &str, version: Option<&str>) -> bool {
        let named = |word: &str| word.split_once('=').is_some_and(|(_, it)| Some(it) == version);
        let mut about = self.packages.iter().filter(|it| base_name(it) == base_name(package));
        about.any(|it| named(it))
    }

    /// Does it ask the lists what there is? Removing does not.
    pub(super) fn needs_lists(&self) -> bool {
        !self.verb[0].starts_with("auto") && self.verb[0] != "remove"
    }

    /// Does it remove what nothing needs?
    pub(super) fn tidies(&self) -> bool {
        self.verb[0] == "autoremove" || self.options.iter().any(|it| it == "--auto-remove")
    }

    /// Is what it installs for others' sake marked so? Not by `build-dep`, unless apt is configured so.
    pub(super) fn marks_dependencies(&self) -> bool {
        self.verb[0] != "build-dep"
    }

    /// The same at the same time as more, in the words of `apt-get install`; `None` where that cannot be said.
    pub(super) fn along_with(&self, more: Vec<String>) -> Option<Self> {
        let mut work = self.clone();
        match self.verb[0] {
            _ if more.is_empty() => return None,
            "build-dep" | "autoclean" => return None,
            "remove" => {
                work.verb = vec!["install"];
                work.packages.iter_mut().for_each(|it| it.push('-'));
            }
            "autoremove" => {
                work.verb = vec!["install"];
                work.options.push("--auto-remove".to_owned());
            }
            _ => {}
        }
        work.packages.extend(more);
        Some(work)
    }

    /// Says what would be done, and writes nothing: not even the log of what it was asked to plan.
    pub(super) fn simulated(&self, options: &[&str]) -> Program {
        self.asked("--simulate", options)
    }

    /// Says what would be downloaded.
    pub(super) fn measured(&self, options: &[&str]) -> Program {
        self.asked("--print-uris", options)
    }

    fn asked(&self, how: &str, options: &[&str]) -> Program {
        let start = ["apt-get", "-q", "-y", how].map(str::to_owned).to_vec();
        let shown = Program::new(self.words(start.clone())).shown().to_string();
        let silent = ["-o", "Dir::Log::Planner="].iter().chain(options);
        let words = start.into_iter().chain(silent.map(|it| (*it).to_owned()));
        quiet(Program::new(self.words(words.collect())), true).shown_as(shown)
    }

    /// What people call it.
    pub(super) fn shown(&self) -> String {
        let start = ["apt-get", "-q", "-y"].map(str::to_owned).to_vec();
        Program::new(self.words(start)).shown().to_string()
    }

    /// Does it.
    pub(super) fn real(&self, args: &Args, needrestart_is_set: bool) -> Program {
        let mut words = ["apt-get", "-q", "-y"].map(str::to_owned).to_vec();
        for option in &args.dpkg_options {
            words.extend(["-o".to_owned(), format!("Dpkg::Options::=--{option}")]);
        }
        words.extend(["-o".to_owned(), format!("DPkg::Lock::Timeout={}", args.lock_timeout)]);
        let mut words = self.words(words);
        let shown = Program::new(words.clone()).shown().to_string();
        if let Some(status) = args.policy_rc_d {
            let wrapper = ["sh", "-c", POLICY_RC_D, "sh", &status.to_string()].map(str::to_owned);
            words.splice(0..0, wrapper);
        }
        quiet(Program::new(words).shown_as(shown), needrestart_is_set)
    }

    fn words(&self, mut words: Vec<String>) -> Vec<String> {
        words.extend(self.options.iter().cloned());
        words.extend(self.verb.iter().map(|it| (*it).to_owned()));
        words.extend(self.packages.iter().cloned());
        words
    }
}

/// Puts a `policy-rc.d` that exits with the first parameter in place while the rest is run, and the old one back
/// whatever happens.
const POLICY_RC_D: &str = r#"policy=/usr/sbin/policy-rc.d kept=
if [ -e "$policy" ]; then
    kept=$(mktemp "$policy.XXXXXX") && mv -f "$policy" "$kept" || exit 1
fi
restore() {
    if [ -n "$kept" ]; then mv -f "$kept" "$policy"; else rm -f "$policy"; fi
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit %d\n' "$1" >"$policy" && chmod 755 "$policy" || exit 1
shift
"$@"
"#;

/// Options that bear on which versions are chosen.
fn resolving(args: &Args) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for (wanted, option) in [
        (args.only_upgrade, "--only-upgrade"),
        (args.force, "--force-yes"),
        (args.fail_on_autoremove, "--no-remove"),
        (args.allow_unauthenticated, "--allow-unauthenticated"),
        (args.allow_downgrade, "--allow-downgrades"),
        (args.allow_change_held_packages, "--allow-change-held-packages"),
    ] {
        options.extend(wanted.then(|| option.to_owned()));
    }
    if let Some(release) = &args.default_release {
        options.extend(["-t".to_owned(), release.clone()]);
    }
    if let Some(recommends) = args.install_recommends {
        let word = if recommends { "yes" } else { "no" };
        options.extend(["-o".to_owned(), format!("APT::Install-Recommends={word}")]);
    }
    options
}
