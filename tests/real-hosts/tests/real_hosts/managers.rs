//! Package managers other than apt, as far as Debian packages them: dnf, zypper and pacman, on a host into which they are
//! installed, with repositories that are made there.
//!
//! `HOSTLER_MANAGERS_ROOT=DIR` runs the scenarios in a root directory that has the programs, by `chroot`, instead of on a
//! host: with a newer Debian there, dnf 5 and newer releases of the others can be tried.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a scenario reads from top to bottom, and stops where it cannot go on"
)]

mod pacman;
mod rpm;

use std::collections::BTreeMap;
use std::path::Path;

use hostler_package_managers::{PackageManager, Survey, Wanted};
use hostler_updates::{Action, ActionKind, PackageName, Resolution, Update};
use real_hosts::engine::Engine;
use real_hosts::view::View;
use real_hosts::{fleet, shell};
use xtask::fleet::{AptProxy, Guard, Host, Init};

/// Where a run of Hostler keeps its own.
const METADATA: &str = "/var/lib/hostler/patch/metadata/made";
const NEW: &str = "/var/lib/hostler/patch/packages/new";
const OLD: &str = "/var/lib/hostler/patch/packages/old";

/// What a scenario runs on, as long as this lives.
struct Stage {
    view: View,
    fleet: Option<(Guard, Vec<Host>, AptProxy)>,
}

/// Raises a host and installs Debian packages on it; `None` where that cannot be done, after saying so. `program` is what
/// the scenario is about: a root directory without it is not what this scenario is for.
fn stage(name: &str, program: &str, packages: &str) -> Option<Stage> {
    if let Some(root) = std::env::var_os("HOSTLER_MANAGERS_ROOT") {
        let view = View::of_root(Path::new(&root));
        let has_it = view.shell(&format!("command -v {program} || true"));
        return (!has_it.is_empty()).then_some(Stage { view, fleet: None });
    }
    let (fleet, hosts) = fleet(name, 1, Init::Sshd)?;
    let proxy = AptProxy::start(&fleet).unwrap_or_else(|failure| panic!("{failure}"));
    let host = &hosts[0];
    proxy
        .configure(host)
        .unwrap_or_else(|failure| panic!("{failure}"));
    shell(
        host,
        &format!("apt-get update; apt-get install --yes --no-install-recommends {packages}"),
    );
    let view = View::of_host(host);
    Some(Stage {
        view,
        fleet: Some((fleet, hosts, proxy)),
    })
}

fn package(name: &str, arch: &str) -> PackageName {
    PackageName {
        name: name.into(),
        arch: arch.into(),
    }
}

/// An update by its package's name.
fn update<'a>(updates: &'a [Update], name: &str) -> &'a Update {
    updates
        .iter()
        .find(|it| it.package.name == name)
        .unwrap_or_else(|| panic!("no {name} in {updates:#?}"))
}

/// A transaction in words: `upgrade tool 1 2`.
fn in_words(actions: &[Action]) -> Vec<String> {
    let word = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".into());
    let line = |it: &Action| {
        let kind = match it.kind {
            ActionKind::Upgrade => "upgrade",
            ActionKind::Install => "install",
            ActionKind::Remove => "remove",
            ActionKind::Downgrade => "downgrade",
        };
        format!(
            "{kind} {} {} {}",
            it.package.name,
            word(&it.from),
            word(&it.to)
        )
    };
    actions.iter().map(line).collect()
}

/// What puts a transaction back.
fn reversed(actions: &[Action]) -> Vec<Action> {
    let back = |it: &Action| Action {
        kind: match it.kind {
            ActionKind::Upgrade => ActionKind::Downgrade,
            ActionKind::Install => ActionKind::Remove,
            ActionKind::Remove => ActionKind::Install,
            ActionKind::Downgrade => ActionKind::Upgrade,
        },
        from: it.to.clone(),
        to: it.from.clone(),
        ..it.clone()
    };
    actions.iter().map(back).collect()
}

/// What is installed when exactly these actions have been done.
fn after(
    before: &BTreeMap<PackageName, String>,
    actions: &[Action],
) -> BTreeMap<PackageName, String> {
    let mut after = before.clone();
    for action in actions {
        match &action.to {
            Some(version) => after.insert(action.package.clone(), version.clone()),
            None => after.remove(&action.package),
        };
    }
    after
}

fn wanted(updates: &[(PackageName, &str)]) -> Vec<Wanted> {
    let one = |(package, version): &(PackageName, &str)| Wanted {
        package: package.clone(),
        version: Some((*version).to_owned()),
    };
    updates.iter().map(one).collect()
}

/// Simulates; nothing may be impossible.
fn resolve(manager: &dyn PackageManager, view: &View, wanted: &[Wanted]) -> Resolution {
    let resolution = manager
        .resolve(view, Path::new(METADATA), wanted)
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(resolution.impossible, [], "{resolution:#?}");
    resolution
}

/// Serves `/srv` of the host on a port of its own.
fn serve(view: &View, port: u16) {
    view.shell(&format!(
        "python3 -m http.server {port} --bind 127.0.0.1 --directory /srv >/dev/null 2>&1 & echo $! >/srv/pid
        n=0; until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}))' 2>/dev/null; do
            n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1
        done"
    ));
}

/// Ends the server: from then on nothing can come from a repository.
fn stop(view: &View) {
    view.shell("kill $(cat /srv/pid)");
}

/// The modules, on a host that is no longer apt's.
const MODULES: &str = r#"
- hosts: all
  gather_facts: false
  vars: {run: r1}
  tasks:
    - patch_scan:
    - patch_resolve: {wanted: WANTED}
      register: resolved
    - patch_download: {actions: "{{ resolved.resolution.actions }}", run: "{{ run }}"}
    - patch_install: {actions: "{{ resolved.resolution.actions }}", run: "{{ run }}"}
      register: done
    - debug: {msg: "installed {{ done.installed.actions | length }} left {{ done.installed.conffiles_left }}"}
    - patch_rollback: {actions: "{{ resolved.resolution.actions }}", run: "{{ run }}"}
      register: back
    - debug: {msg: "back {{ back.rolled_back.actions | length }} left {{ back.rolled_back.left | length }}"}
"#;

/// Lets hostler itself scan, resolve, download, install and go back on a host that was just prepared; `wanted` is YAML.
fn by_modules(stage: &Stage, wanted: &str, says: &[&str]) {
    let Some((fleet, hosts, _)) = &stage.fleet else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    shell(
        &hosts[0],
        "mv /usr/bin/apt-get /usr/bin/apt-get.off; echo changed >>/etc/tool.conf",
    );
    let play = MODULES.replace("WANTED", wanted);
    engine
        .apply_text(fleet, &play, &[])
        .expect_code(0)
        .says(says);
}
