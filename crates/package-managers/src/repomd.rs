//! The index of an rpm repository, `repomd.xml`, in a cache of dnf or zypper.

use std::path::{Path, PathBuf};

use hostler_module_api::{Follow, Inspect};
use hostler_probes::text;
use hostler_updates::Repository;

/// What the newest of some copies of a repository's index says; without one, what is known is its name.
pub(crate) fn newest(
    host: &dyn Inspect,
    name: &str,
    copies: impl Iterator<Item = PathBuf>,
) -> Repository {
    let time = |path: &Path| Some(host.stat(path, Follow::Yes).ok()??.mtime_ns);
    let newest = copies.filter_map(|it| Some((time(&it)?, it))).max();
    let Some((_, path)) = newest else {
        return Repository {
            name: name.to_owned(),
            ..Repository::default()
        };
    };
    let index = text(host, &path).unwrap_or_default();
    let sha256 = host.checksum(&path, "sha256").ok().flatten();
    Repository {
        name: name.to_owned(),
        sha256: sha256.unwrap_or_default(),
        date_s: date(&index),
        classifies: classifies(&index),
    }
}

/// Does the repository have `updateinfo`?
fn classifies(index: &str) -> bool {
    let types = index.split("<data ").skip(1);
    let mut types = types.filter_map(|it| it.split('>').next());
    types.any(|it| it.contains("type=\"updateinfo") || it.contains("type='updateinfo"))
}

/// The youngest of the times of its parts, seconds since the epoch.
fn date(index: &str) -> Option<i64> {
    let times = index.split("<timestamp>").skip(1);
    let times = times.filter_map(|it| it.split('<').next()?.trim().parse::<f64>().ok());
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seconds; a float saturates"
    )]
    times.map(|it| it as i64).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    const INDEX: &str = "<repomd><revision>1</revision><data type=\"primary\"><timestamp>1700000000</timestamp></data>\
        <data type=\"updateinfo\"><timestamp>1700000005.5</timestamp></data></repomd>";

    #[test]
    fn an_index_says_what_it_is() {
        let host = FakeHost::bare().file("/m/x/repomd.xml", INDEX);
        let it = newest(
            &host,
            "x",
            ["/m/x/repomd.xml".into(), "/m/y".into()].into_iter(),
        );
        assert_eq!((it.date_s, it.classifies), (Some(1_700_000_005), true));
        assert_eq!(it.sha256.len(), 64);
        let none = newest(&host, "y", std::iter::empty());
        assert_eq!((none.sha256.as_str(), none.classifies), ("", false));
        assert!(!classifies("<data type=\"primary\">updateinfo"));
        assert_eq!(date("<timestamp>x<timestamp>"), None);
    }
}
