//! What dpkg's status file says besides versions: sizes and configuration files.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_module_api::{Inspect, InspectError};

/// Larger than the database of any host.
const STATUS_MAX: u64 = 128 << 20;

/// More of an installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    /// Bytes.
    pub(super) installed_size: u64,
    /// Configuration files with the MD5 sum of what the package brought; obsolete ones left out.
    pub(super) conffiles: Vec<(String, String)>,
}

/// Reads it for wanted packages, by `name:architecture`.
pub(super) fn details(
    host: &dyn Inspect,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Details>, InspectError> {
    let bytes = host.read(Path::new(super::policy::STATUS), STATUS_MAX)?;
    Ok(parse(
        &String::from_utf8_lossy(&bytes.unwrap_or_default()),
        wanted,
    ))
}

fn parse(status: &str, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Details> {
    let mut all = BTreeMap::new();
    for paragraph in status.split("\n\n") {
        let name = paragraph
            .lines()
            .find_map(|it| it.strip_prefix("Package: "));
        let Some(name) = name.filter(|it| wanted(it)) else {
            continue;
        };
        let mut details = Details::default();
        let (mut architecture, mut in_conffiles) = ("", false);
        for line in paragraph.lines() {
            if let Some(entry) = line.strip_prefix(' ') {
                let mut words = entry.rsplit(' ');
                let (md5, path) = (words.next().unwrap_or_default(), entry.rsplit_once(' '));
                // `/etc/x HASH obsolete` does not end with a hash.
                if let (true, Some((path, _)), 32) = (in_conffiles, path, md5.len()) {
                    details.conffiles.push((path.to_owned(), md5.to_owned()));
                }
                continue;
            }
            in_conffiles = line == "Conffiles:";
            if let Some(value) = line.strip_prefix("Installed-Size: ") {
                details.installed_size = value
                    .trim()
                    .parse::<u64>()
                    .unwrap_or(0)
                    .saturating_mul(1024);
            } else if let Some(value) = line.strip_prefix("Architecture: ") {
                architecture = value.trim();
            }
        }
        all.insert(format!("{name}:{architecture}"), details);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conffiles_that_are_current() {
        let status = "Package: a\nArchitecture: amd64\nInstalled-Size: 2\nConffiles:\n /etc/a b 0123456789abcdef0123456789abcdef\n /etc/old 0123456789abcdef0123456789abcdef obsolete\n /etc/new newconffile\nDescription: x\n /etc/no 0123456789abcdef0123456789abcdef\n\nPackage: b\nArchitecture: all\n";
        let all = parse(status, |name| name == "a");
        assert_eq!(all.len(), 1);
        let it = &all["a:amd64"];
        assert_eq!(it.installed_size, 2048);
        assert_eq!(
            it.conffiles,
            [(
                "/etc/a b".to_owned(),
                "0123456789abcdef0123456789abcdef".to_owned()
            )]
        );
    }
}
