//! `--limit @failed` and its like.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_inventory::{
    FsLoader, Inventory, LimitSet, LimitSets, Loader, NoScripts, NoSets, Pattern, load_inventory,
};

struct Earlier;

impl LimitSets for Earlier {
    fn hosts(&self, set: LimitSet, run: Option<&str>) -> Result<Vec<Arc<str>>, Diagnostic> {
        let hosts: &[&str] = match (set, run) {
            (LimitSet::Failed, None) => &["web2", "db1", "gone"],
            (LimitSet::Failed, Some("0123456789-00ab")) => &["web3"],
            (LimitSet::Unreachable, None) => &["web1"],
            _ => return Err(Diagnostic::error("limit-set", "there is no such run")),
        };
        Ok(hosts.iter().map(|host| Arc::from(*host)).collect())
    }
}

fn inventory(directory: &Path) -> Inventory {
    let path = directory.join("hosts.ini");
    std::fs::write(&path, "[web]\nweb1\nweb2\nweb3\n[db]\ndb1\n").unwrap();
    let given = [path.display().to_string()];
    let (loaded, problems) = load_inventory(&given, &SourceMap::new(), &FsLoader, &NoScripts);
    assert!(problems.is_empty(), "{problems:?}");
    loaded.inventory
}

#[test]
fn sets_compose_with_patterns() {
    let directory = tempfile::tempdir().unwrap();
    let inventory = inventory(directory.path());
    for (limit, expected) in [
        ("@failed", "web2 db1"),
        ("web:&@failed", "web2"),
        ("web:!@failed", "web1 web3"),
        ("@failed,@unreachable", "web2 db1 web1"),
        ("@failed:@unreachable", "web2 db1 web1"),
        ("@failed:0123456789-00ab", "web3"),
        ("db:@failed:0123456789-00ab", "db1 web3"),
        ("@failed:web", "web2 db1 web1 web3"),
    ] {
        let (pattern, problems) = Pattern::parse_limit(limit, &FsLoader, &Earlier);
        assert!(problems.is_empty(), "{limit}: {problems:?}");
        let selection = inventory.select(&pattern);
        assert!(selection.problems.is_empty(), "{limit}");
        assert_eq!(selection.hosts.join(" "), expected, "{limit}");
        assert!(Pattern::names_set(limit), "{limit}");
    }
}

#[test]
fn files_are_read_as_before_and_what_is_missing_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let inventory = inventory(directory.path());
    let file = directory.path().join("failed");
    std::fs::write(&file, "web3\n").unwrap();
    let limit = format!("@{}", file.display());
    let (pattern, problems) = Pattern::parse_limit(&limit, &FsLoader, &NoSets);
    assert!(problems.is_empty());
    assert_eq!(inventory.select(&pattern).hosts.join(" "), "web3");
    assert!(!Pattern::names_set(&limit));
    for wrong in ["@unfinished", "@failed:abcdef12"] {
        let (_, problems) = Pattern::parse_limit(wrong, &FsLoader, &Earlier);
        assert_eq!(problems[0].message, "there is no such run");
    }
    let (_, problems) = Pattern::parse_limit("@failed", &FsLoader, &NoSets);
    assert!(problems[0].message.contains("earlier runs"));
    // The working directory does not count: only a path is a file.
    assert!(FsLoader.read(&file).is_ok());
}
