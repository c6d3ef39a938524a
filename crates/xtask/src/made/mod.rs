//! A small Debian archive of made packages, one for each fleet, for everything that happens when hosts are patched: a
//! library whose users must be restarted, a service, a configuration file, a postinst that fails, the wish to be
//! rebooted, a version that disappears. It is on the hosts as a read-only mount ([`MOUNTED_AT`]), so no server has to run
//! and nothing leaves the machine; two suites describe themselves as Debian's own and Debian's security archive do.
//!
//! ```text
//! STORE/made/             the package files, made once
//! FLEET/archive/          pool/, dists/: what is published now; `published` lists it
//! ```

mod build;
mod catalog;
mod index;

use std::fs;
use std::path::{Path, PathBuf};

use catalog::{Release, Suite};

use crate::fleet::{Fleet, Host};
use crate::process::{Context, Failure, Result, in_parallel};

/// Where hosts have the archive.
pub const MOUNTED_AT: &str = "/run/hostler-made";

/// The archive of one fleet.
#[derive(Debug, Clone)]
pub struct Archive {
    store: PathBuf,
    directory: PathBuf,
}

impl Archive {
    /// The archive of `fleet`; nothing is made yet.
    pub fn of(fleet: &Fleet) -> Self {
        Self {
            store: fleet.store().to_path_buf(),
            directory: fleet.archive(),
        }
    }

    /// Publishes the first versions, and installs them on `hosts` as on hosts that have been in use for a while: one
    /// package is held, one configuration file was changed by hand. The made archive is then the hosts' only source.
    pub fn install(&self, hosts: &[Host]) -> Result<()> {
        if self.published()?.is_empty() {
            self.set(&catalog::first().collect::<Vec<_>>())?;
        }
        let wanted: String = catalog::first()
            .map(|it| format!(" {}={}", it.package(), it.version))
            .collect();
        let script = format!(
            "export DEBIAN_FRONTEND=noninteractive\n\
             rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*\n\
             printf 'Types: deb\\nURIs: copy:{MOUNTED_AT}\\nSuites: {} {}\\nComponents: main\\nTrusted: yes\\n' \
                 >/etc/apt/sources.list.d/made.sources\n\
             apt-get -qq update\n\
             apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Options::=--force-unsafe-io install{wanted}\n\
             apt-mark -qq hold hostler-made-held\n\
             grep -q by-hand /etc/hostler-made/made.conf || echo 'owner = by-hand' >>/etc/hostler-made/made.conf\n",
            Suite::Stable.name(),
            Suite::Security.name(),
        );
        // More at once only wait for each other's disk and CPU.
        in_parallel(hosts, 4, |host| {
            host.shell(&script)
                .context(format!("prepare {}", host.name))
        })?;
        Ok(())
    }

    /// Publishes what `words` name (`lib-2.0`, or the set `night`) beside what is there.
    pub fn publish(&self, words: &[&str]) -> Result<()> {
        let mut published = self.published()?;
        for release in resolve(words)? {
            if !published.iter().any(|it| it.title() == release.title()) {
                published.push(release);
            }
        }
        self.set(&published)
    }

    /// Takes what `words` name out of the archive, as if it had never been there: indexes and files.
    pub fn withdraw(&self, words: &[&str]) -> Result<()> {
        let gone: Vec<String> = resolve(words)?.iter().map(|it| it.title()).collect();
        let mut published = self.published()?;
        published.retain(|it| !gone.contains(&it.title()));
        self.set(&published)
    }

    /// Every release there is: whether it is published, its suite, what it is.
    pub fn status(&self) -> Result<String> {
        let published = self.published()?;
        let line = |it: &Release| {
            let there = published.iter().any(|other| other.title() == it.title());
            format!(
                "{:<10} {:<12} {:<14} {}\n",
                if there { "published" } else { "-" },
                it.title(),
                it.suite.name(),
                it.what
            )
        };
        Ok(catalog::RELEASES.iter().map(line).collect())
    }

    fn list(&self) -> PathBuf {
        self.directory.join("published")
    }

    fn published(&self) -> Result<Vec<&'static Release>> {
        let Ok(text) = fs::read_to_string(self.list()) else {
            return Ok(Vec::new());
        };
        resolve(&text.lines().collect::<Vec<_>>())
    }

    fn set(&self, published: &[&Release]) -> Result<()> {
        let made = build::all(&self.store)?;
        fs::create_dir_all(&self.directory).context("create the archive")?;
        index::write(&self.directory, &made, published)?;
        let list: String = published.iter().map(|it| it.title() + "\n").collect();
        write_whole(&self.list(), &list)
    }
}

fn resolve(words: &[&str]) -> Result<Vec<&'static Release>> {
    let mut found = Vec::new();
    for word in words {
        let releases = catalog::named(word).ok_or_else(|| {
            Failure::new(format!(
                "there is no made package `{word}`; `fleet packages status` lists them"
            ))
        })?;
        found.extend(releases);
    }
    Ok(found)
}

fn write_whole(path: &Path, text: &str) -> Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, text).context(format!("write {}", partial.display()))?;
    fs::rename(&partial, path).context(format!("put {} in place", path.display()))
}
