//! The package files, made once for all fleets of a store.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::catalog::{RELEASES, Release};
use crate::process::{Context, Result, run};

/// Raise it when a package's content changes, so that they are made anew.
const REVISION: u32 = 2;

/// Makes all package files in `STORE/made`, unless they are there, and returns that directory. Beside each `.deb` is its
/// control paragraph, for indexes.
pub(super) fn all(store: &Path) -> Result<PathBuf> {
    let directory = store.join("made");
    fs::create_dir_all(&directory).context("create the directory of made packages")?;
    let lock = File::create(directory.join("lock")).context("create the lock of made packages")?;
    lock.lock().context("lock the made packages")?;
    let stamp = directory.join("recipe");
    let recipe = format!("{REVISION} {RELEASES:?}");
    if fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == recipe) {
        return Ok(directory);
    }
    let architecture = run(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = String::from_utf8_lossy(&architecture.stdout)
        .trim()
        .to_owned();
    for release in RELEASES {
        build(&directory, release, &architecture)
            .context(format!("make the package {}", release.title()))?;
    }
    fs::write(&stamp, recipe).context("note what the packages were made of")?;
    Ok(directory)
}

/// A release's file name: its title with an end.
pub(super) fn file_name(release: &Release, end: &str) -> String {
    format!("{}_{}.{end}", release.package(), release.version)
}

fn build(directory: &Path, release: &Release, architecture: &str) -> Result<()> {
    let tree = directory.join("tree");
    let _ = fs::remove_dir_all(&tree);
    let control = control(release, architecture);
    put(&tree, "DEBIAN/control", &control, 0o644)?;
    if !release.postinst.is_empty() {
        let script = format!("#!/bin/sh\nset -e\n{}\n", release.postinst);
        put(&tree, "DEBIAN/postinst", &script, 0o755)?;
    }
    contents(&tree, release)?;
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zgzip", "--build"])
        .args([&tree, &directory.join(file_name(release, "deb"))]))?;
    fs::write(directory.join(file_name(release, "control")), control)
        .context("write a control paragraph")?;
    fs::remove_dir_all(&tree).context("remove a package's tree")
}

fn control(release: &Release, architecture: &str) -> String {
    let depends = if release.depends.is_empty() {
        String::new()
    } else {
        format!("Depends: {}\n", release.depends)
    };
    format!(
        "Package: {}\nVersion: {}\nArchitecture: {architecture}\nMaintainer: Hostler <made@hostler.invalid>\n\
         Priority: optional\nSection: misc\n{depends}Description: {}\n",
        release.package(),
        release.version,
        release.what
    )
}

/// The files that the package brings.
fn contents(tree: &Path, release: &Release) -> Result<()> {
    let version = release.version;
    let mark = format!("{version}\n");
    match release.name {
        "lib" => library(tree, version),
        "service" => {
            let sick = if version == "3.0" { "True" } else { "False" };
            let program = include_str!("service.py")
                .replace("@VERSION@", version)
                .replace("@SICK@", sick);
            put(tree, "usr/lib/hostler-made/service.py", &program, 0o755)?;
            let check = "usr/bin/hostler-made-healthy";
            put(tree, check, include_str!("healthy.sh"), 0o755)?;
            let unit = "usr/lib/systemd/system/hostler-made.service";
            put(tree, unit, include_str!("service.unit"), 0o644)
        }
        "conf" => {
            let path = "etc/hostler-made/made.conf";
            let text = format!("# Settings of version {version}.\nlevel = {version}\n");
            put(tree, path, &text, 0o644)?;
            put(tree, "DEBIAN/conffiles", &format!("/{path}\n"), 0o644)
        }
        "kernel" => put(tree, "boot/hostler-made-kernel", &mark, 0o644),
        name => put(
            tree,
            &format!("usr/share/hostler-made/{name}"),
            &mark,
            0o644,
        ),
    }
}

/// Compiles the library: what maps it has to map a real one.
fn library(tree: &Path, version: &str) -> Result<()> {
    let source = tree.join("library.c");
    fs::write(&source, include_str!("library.c")).context("write the library's source")?;
    let target = tree.join("usr/lib/libhostler-made.so.1");
    fs::create_dir_all(target.parent().unwrap_or(tree)).context("create usr/lib")?;
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-nostdlib", "-O1"])
        .args([
            "-Wl,-soname,libhostler-made.so.1",
            &format!("-DVERSION=\"{version}\""),
            "-o",
        ])
        .args([&target, &source]))?;
    fs::remove_file(&source).context("remove the library's source")
}

fn put(tree: &Path, path: &str, content: &str, mode: u32) -> Result<()> {
    let path = tree.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).context(format!("create {}", parent.display()))?;
    }
    fs::write(&path, content).context(format!("write {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))
        .context(format!("chmod {}", path.display()))
}
