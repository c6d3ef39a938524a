//! Versions that went wrong are left out of every later plan, until somebody says that they may be installed.

use std::collections::BTreeMap;

use hostler_diag::Diagnostic;
use hostler_history::{Fact, FactFilter, FactKind, Store};
use hostler_patch::ledger::Disproven;
use serde::Serialize;

use super::book::{Book, body, fact};
use crate::keeping;
use crate::refusal::Refusal;
use crate::request::StateRequest;

/// A version that no plan has in it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DisprovenVersion {
    /// Distribution, its version, and the architecture of the machines: `debian 13 x86_64`.
    pub system: String,
    /// The package, `openssl:amd64`.
    pub package: String,
    /// The version; `None`: its removal.
    pub version: Option<String>,
    /// Hosts on which it went wrong.
    pub hosts: Vec<String>,
    /// When, microseconds since 1970.
    pub at_us: i64,
    /// In which run.
    pub run: Option<String>,
}

/// What went wrong and is not cleared, ordered by package.
///
/// # Errors
/// The store cannot be read.
pub fn disproven(state: &StateRequest) -> Result<Vec<DisprovenVersion>, Refusal> {
    let store = keeping::open(state).map_err(|error| keeping::refused(&error))?;
    Ok(open(&store)?.into_iter().map(|it| it.1).collect())
}

/// Clears versions of a package (`openssl`, or `openssl:amd64` for one architecture): all that went wrong, or one. What
/// was cleared is returned; a version that goes wrong again is disproven again.
///
/// # Errors
/// Nothing is disproven that fits, or the store cannot be written.
pub fn clear(
    state: &StateRequest,
    package: &str,
    version: Option<&str>,
    reason: &str,
) -> Result<Vec<DisprovenVersion>, Refusal> {
    let store = keeping::open(state).map_err(|error| keeping::refused(&error))?;
    let name = |it: &DisprovenVersion| {
        let bare = it.package.rsplit_once(':').map(|it| it.0.to_owned());
        it.package == package || bare.as_deref() == Some(package)
    };
    let fits = |it: &DisprovenVersion| {
        name(it) && version.is_none_or(|version| it.version.as_deref() == Some(version))
    };
    let mut all = open(&store)?;
    all.retain(|(_, it)| fits(it));
    if all.is_empty() {
        let what = version.map_or_else(|| package.to_owned(), |it| format!("{package} {it}"));
        let text = format!("{what} is not among the versions that went wrong");
        let problem = Diagnostic::error("patch-clear", text)
            .hint("`hostler patch clear` without a package lists them");
        return Err(vec![problem].into());
    }
    let cleared = all.iter().map(|(key, it)| {
        let body = Disproven {
            version: it.version.clone(),
            hosts: it.hosts.clone(),
            why: reason.to_owned(),
            cleared_by: Some(keeping::who()),
        };
        fact(FactKind::Disproven, key.clone(), None, &body)
    });
    let facts: Vec<Fact> = cleared.collect();
    Book::new(store).append(&facts)?;
    Ok(all.into_iter().map(|it| it.1).collect())
}

/// The newest word about each version, where it is not that it is cleared; with the keys of their facts.
fn open(store: &Store) -> Result<Vec<(String, DisprovenVersion)>, Refusal> {
    let facts = store.facts(&FactFilter::all(FactKind::Disproven));
    let mut newest: BTreeMap<(String, Option<String>), (Fact, Disproven)> = BTreeMap::new();
    for fact in facts.map_err(|error| keeping::refused(&error))? {
        if let Some(it) = body::<Disproven>(&fact) {
            newest.insert((fact.key.clone(), it.version.clone()), (fact, it));
        }
    }
    let disproven = newest.into_values().filter(|it| it.1.cleared_by.is_none());
    let mut all: Vec<_> = disproven
        .map(|(fact, it)| {
            let (system, package) = fact.key.rsplit_once(' ').unwrap_or(("", &fact.key));
            let shown = DisprovenVersion {
                system: system.to_owned(),
                package: package.to_owned(),
                version: it.version,
                hosts: it.hosts,
                at_us: fact.at_us,
                run: fact.run.as_ref().map(|it| it.0.clone()),
            };
            (fact.key, shown)
        })
        .collect();
    all.sort_by(|a, b| (&a.1.package, &a.1.version).cmp(&(&b.1.package, &b.1.version)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_patch::ledger::package_key;
    use hostler_updates::{Os, PackageName};

    fn went_wrong(book: &Book, package: &str, version: &str) {
        let os = Os {
            id: "debian".into(),
            version: "13".into(),
            name: String::new(),
            codename: String::new(),
        };
        let package = PackageName {
            name: package.into(),
            arch: "amd64".into(),
        };
        let body = Disproven {
            version: Some(version.into()),
            hosts: vec!["web1".into()],
            why: "it went wrong in a patch run".into(),
            cleared_by: None,
        };
        let key = package_key(&os, "x86_64", &package);
        let facts = [fact(FactKind::Disproven, key, None, &body)];
        book.append(&facts).expect("written");
    }

    #[test]
    fn what_is_cleared_may_be_planned_again_until_it_goes_wrong_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateRequest {
            directory: Some(dir.path().to_owned()),
        };
        let store = keeping::open(&state).expect("opened");
        let book = Book::new(store);
        went_wrong(&book, "nginx", "2.0");
        went_wrong(&book, "openssl", "3.1");
        went_wrong(&book, "openssl", "3.2");
        let names = |all: &[DisprovenVersion]| -> Vec<String> {
            let words = all.iter();
            let words = words.map(|it| {
                let version = it.version.as_deref().unwrap_or("-");
                format!("{} {} {version}", it.system, it.package)
            });
            words.collect()
        };
        let all = disproven(&state).expect("read");
        assert_eq!(
            names(&all),
            [
                "debian 13 x86_64 nginx:amd64 2.0",
                "debian 13 x86_64 openssl:amd64 3.1",
                "debian 13 x86_64 openssl:amd64 3.2"
            ]
        );
        for (package, version) in [("openssl", Some("3.3")), ("open", None)] {
            assert!(clear(&state, package, version, "why").is_err());
        }
        let done = clear(
            &state,
            "openssl:amd64",
            Some("3.1"),
            "the gate was red for another reason",
        );
        assert_eq!(done.expect("cleared").len(), 1);
        assert_eq!(disproven(&state).expect("read").len(), 2);
        let known = book.known().expect("read");
        let of_openssl = &known.disproven["debian 13 x86_64 openssl:amd64"];
        let cleared: Vec<bool> = of_openssl
            .iter()
            .map(|it| it.cleared_by.is_some())
            .collect();
        assert_eq!(cleared, [false, true]);
        clear(&state, "nginx", None, "mended").expect("cleared");
        went_wrong(&book, "nginx", "2.0");
        assert_eq!(disproven(&state).expect("read").len(), 2);
    }
}
