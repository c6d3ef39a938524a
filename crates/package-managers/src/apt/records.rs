//! `apt-cache show`: size, hash and more of exact versions.

use std::collections::BTreeMap;

/// A version of a package, as an index describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Its architecture.
    pub(super) architecture: String,
    /// The field `Source`, where it is there.
    pub(super) source: String,
    /// Size of the package file, bytes.
    pub(super) size: u64,
    /// SHA-256 of the package file.
    pub(super) sha256: Option<String>,
    /// Size when it is installed, bytes.
    pub(super) installed_size: u64,
    /// Percentage of hosts that are to get it now, where it is phased.
    pub(super) phased: Option<u8>,
}

/// Reads paragraphs, by package and version; those of installed packages, which have no file, are left out.
pub(super) fn parse(text: &str) -> BTreeMap<(String, String), Vec<Record>> {
    let mut all: BTreeMap<_, Vec<Record>> = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let (mut name, mut version, mut has_file) = ("", "", false);
        let mut record = Record::default();
        for line in paragraph.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match key {
                "Package" => name = value,
                "Version" => version = value,
                "Architecture" => value.clone_into(&mut record.architecture),
                "Source" => value.clone_into(&mut record.source),
                "Size" => record.size = value.parse().unwrap_or(0),
                "SHA256" => record.sha256 = sha256(value),
                "Installed-Size" => {
                    record.installed_size = value.parse::<u64>().unwrap_or(0).saturating_mul(1024);
                }
                "Phased-Update-Percentage" => record.phased = value.parse().ok(),
                "Filename" => has_file = true,
                _ => {}
            }
        }
        if has_file && !name.is_empty() && !version.is_empty() {
            let key = (name.to_owned(), version.to_owned());
            let same = all.entry(key).or_default();
            if !same.contains(&record) {
                same.push(record);
            }
        }
    }
    all
}

fn sha256(text: &str) -> Option<String> {
    let is_hash = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_with_files() {
        let hash = "67E7a883c5d835939638f89a750799282df243ac1446281aa92ef9e19300940b";
        let text = format!(
            "Package: perl\nVersion: 5.36.0-7+deb12u4\nInstalled-Size: 670\nArchitecture: amd64\nDescription: x\n Size: 1\nFilename: pool/p.deb\nSize: 239392\nSHA256: {hash}\nPhased-Update-Percentage: 20\n\nPackage: perl\nStatus: install ok installed\nVersion: 5.36.0-7+deb12u2\n\nPackage: x\nVersion: 1\nFilename: y\nSHA256: ../../etc\nSize: -1\n\n"
        );
        let all = parse(&text);
        assert_eq!(all.len(), 2);
        let perl = &all[&("perl".to_owned(), "5.36.0-7+deb12u4".to_owned())][0];
        assert_eq!(
            (perl.size, perl.installed_size, perl.phased),
            (239_392, 686_080, Some(20))
        );
        assert_eq!(perl.sha256.as_deref(), Some(hash.to_lowercase().as_str()));
        let odd = &all[&("x".to_owned(), "1".to_owned())][0];
        assert_eq!((odd.size, odd.sha256.as_deref()), (0, None));
    }
}
