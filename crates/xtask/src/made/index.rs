//! The archive as apt reads it: `dists/SUITE/Release` and `dists/SUITE/main/binary-ARCH/Packages`.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use super::build::file_name;
use super::catalog::{Release, Suite};
use crate::process::{Context, Result, run};

/// Makes the indexes and the pool of `archive` say that exactly `published` is there. Who reads meanwhile sees the old
/// indexes or the new ones.
pub(super) fn write(archive: &Path, made: &Path, published: &[&Release]) -> Result<()> {
    let pool = archive.join("pool");
    fs::create_dir_all(&pool).context("create the pool")?;
    for release in published {
        let name = file_name(release, "deb");
        if !pool.join(&name).exists() {
            fs::copy(made.join(&name), pool.join(&name)).context(format!("publish {name}"))?;
        }
    }
    let number = fs::read_link(archive.join("dists"))
        .ok()
        .and_then(|old| old.to_str()?.strip_prefix("dists.")?.parse::<u32>().ok());
    let fresh = format!("dists.{}", number.map_or(1, |it| it + 1));
    for suite in Suite::ALL {
        let directory = archive.join(&fresh).join(suite.name());
        let members: Vec<&Release> = published
            .iter()
            .copied()
            .filter(|it| it.suite == suite)
            .collect();
        suite_files(&directory, &pool, made, suite, &members)?;
    }
    let link = archive.join("dists.link");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(&fresh, &link).context("link the indexes")?;
    fs::rename(&link, archive.join("dists")).context("put the indexes in place")?;
    if let Some(old) = number {
        fs::remove_dir_all(archive.join(format!("dists.{old}"))).context("remove old indexes")?;
    }
    let kept: Vec<String> = published.iter().map(|it| file_name(it, "deb")).collect();
    for entry in fs::read_dir(&pool).context("list the pool")? {
        let entry = entry.context("list the pool")?;
        if !kept.contains(&entry.file_name().to_string_lossy().into_owned()) {
            fs::remove_file(entry.path()).context("withdraw a package")?;
        }
    }
    Ok(())
}

fn suite_files(
    directory: &Path,
    pool: &Path,
    made: &Path,
    suite: Suite,
    members: &[&Release],
) -> Result<()> {
    let mut packages = String::new();
    for release in members {
        let control = made.join(file_name(release, "control"));
        packages += &fs::read_to_string(&control).context("read a control paragraph")?;
        let name = file_name(release, "deb");
        let content = fs::read(pool.join(&name)).context(format!("read {name}"))?;
        let _ = write!(
            packages,
            "Filename: pool/{name}\nSize: {}\nSHA256: {}\n\n",
            content.len(),
            sha256(&content)
        );
    }
    let architecture = run(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = String::from_utf8_lossy(&architecture.stdout)
        .trim()
        .to_owned();
    let path = format!("main/binary-{architecture}/Packages");
    let target = directory.join(&path);
    fs::create_dir_all(target.parent().unwrap_or(directory)).context("create a suite")?;
    fs::write(&target, &packages).context("write Packages")?;
    let date = run(Command::new("date")
        .args(["-u", "+%a, %d %b %Y %H:%M:%S UTC"])
        .env("LC_ALL", "C"))?;
    let release = format!(
        "Origin: Debian\nLabel: {}\nSuite: {name}\nCodename: {name}\nVersion: 12\nDate: {}\n\
         Architectures: {architecture}\nComponents: main\nSHA256:\n {} {} {path}\n",
        suite.label(),
        String::from_utf8_lossy(&date.stdout).trim(),
        sha256(packages.as_bytes()),
        packages.len(),
        name = suite.name(),
    );
    fs::write(directory.join("Release"), release).context("write Release")
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
