//! What is to be done to undo a run: for each host and path at most one step, newest change first.

use std::collections::{BTreeMap, HashMap};

use hostler_events::RunId;
use serde::{Deserialize, Serialize};

/// A change of a file that a run made, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Inventory name of the host that the file is on.
    pub place: String,
    /// Its path.
    pub path: String,
    /// What was there; `None` is nothing.
    pub before: Option<FileBefore>,
    /// SHA-256 of what was there afterwards; `None` if the file was gone.
    pub after: Option<[u8; 32]>,
}

/// A file as it was, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileBefore {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
    pub sha256: [u8; 32],
}

/// The last change of a file by a later run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Later {
    pub run: RunId,
    /// SHA-256 of what that run left.
    pub after: Option<[u8; 32]>,
}

/// Puts one file back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub path: String,
    /// SHA-256 of what the run left; `None` if it removed the file.
    pub left: Option<[u8; 32]>,
    /// What is to be there again; `None` is nothing.
    pub back: Option<FileBefore>,
    /// Why it cannot be done.
    pub refuse: Option<String>,
    /// The run showed no content of it, or only with secrets masked: this one shows none either.
    pub hidden: bool,
}

/// What is known besides the changes of the run.
pub(crate) trait Known {
    /// The last change of a file by a run after this one.
    fn later(&self, place: &str, path: &str) -> Option<Later>;
    /// Is a content kept?
    fn has(&self, sha256: &[u8; 32]) -> bool;
    /// Did the run show the content, all of it?
    fn was_shown(&self, place: &str, path: &str) -> bool;
}

/// Steps by host; `changes` are those of the run, oldest first.
pub(crate) fn steps(changes: &[Kept], known: &dyn Known) -> BTreeMap<String, Vec<Step>> {
    let mut chains: HashMap<(&str, &str), Vec<&Kept>> = HashMap::new();
    for change in changes {
        let key = (change.place.as_str(), change.path.as_str());
        chains.entry(key).or_default().push(change);
    }
    let mut all: BTreeMap<String, Vec<Step>> = BTreeMap::new();
    // Newest first: the first that is met of a path is what the run left there.
    for change in changes.iter().rev() {
        let key = (change.place.as_str(), change.path.as_str());
        let step = chains.remove(&key).and_then(|chain| step(&chain, known));
        if let Some(step) = step {
            all.entry(change.place.clone()).or_default().push(step);
        }
    }
    all
}

/// One step for the changes of one path, oldest first; none if they come to nothing.
fn step(chain: &[&Kept], known: &dyn Known) -> Option<Step> {
    let (first, last) = (chain.first()?, chain.last()?);
    if first.before.is_none() && last.after.is_none() {
        return None;
    }
    let mut step = Step {
        path: last.path.clone(),
        left: last.after,
        back: first.before,
        refuse: None,
        hidden: !known.was_shown(&last.place, &last.path),
    };
    let broken = chain
        .windows(2)
        .any(|pair| pair[0].after != pair[1].before.map(|it| it.sha256));
    let later = known.later(&last.place, &last.path);
    // A later run may have put it back already, or have been undone itself.
    let was = first.before.map(|it| it.sha256);
    let another = |it: &Later| it.after != last.after && it.after != was;
    step.refuse = if let Some(later) = later.filter(another) {
        Some(format!(
            "{} was changed again by run {}",
            step.path, later.run.0
        ))
    } else if broken {
        let path = &step.path;
        Some(format!(
            "{path} was changed by something else between two tasks of the run"
        ))
    } else {
        let lacks = |it: &FileBefore| Some(it.sha256) != last.after && !known.has(&it.sha256);
        let lacks = first.before.as_ref().is_some_and(lacks);
        let limit = hostler_change::Replaced::CONTENT_MAX >> 20;
        lacks.then(|| {
            format!(
                "the content of {} before the run was not kept: it was larger than {limit} MiB, or one of too many",
                step.path
            )
        })
    };
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Fake {
        later: Option<Later>,
        lacks: Vec<[u8; 32]>,
    }

    impl Known for Fake {
        fn later(&self, _: &str, _: &str) -> Option<Later> {
            self.later.clone()
        }

        fn has(&self, sha256: &[u8; 32]) -> bool {
            !self.lacks.contains(sha256)
        }

        fn was_shown(&self, _: &str, path: &str) -> bool {
            path != "/secret"
        }
    }

    fn sum(content: u8) -> [u8; 32] {
        [content; 32]
    }

    /// Contents by a number; 0 is no file.
    fn kept(path: &str, before: u8, after: u8) -> Kept {
        let file = FileBefore {
            uid: 1,
            gid: 2,
            mode: 0o644,
            sha256: sum(before),
        };
        Kept {
            place: "web1".into(),
            path: path.into(),
            before: (before > 0).then_some(file),
            after: (after > 0).then(|| sum(after)),
        }
    }

    fn of(changes: &[Kept], known: &Fake) -> Vec<Step> {
        steps(changes, known).remove("web1").unwrap_or_default()
    }

    #[test]
    fn changes_of_one_path_become_one_step_newest_path_first() {
        let changes = [
            kept("/a", 1, 2),
            kept("/b", 0, 3),
            kept("/a", 2, 4),
            kept("/c", 5, 0),
        ];
        let steps = of(&changes, &Fake::default());
        let paths: Vec<&str> = steps.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["/c", "/a", "/b"]);
        assert_eq!(steps[0].left, None);
        assert_eq!(
            (steps[1].left, steps[1].back.unwrap().sha256),
            (Some(sum(4)), sum(1))
        );
        assert_eq!((steps[2].left, steps[2].back), (Some(sum(3)), None));
        assert!(steps.iter().all(|it| it.refuse.is_none() && !it.hidden));
        assert!(of(&[kept("/secret", 1, 2)], &Fake::default())[0].hidden);
    }

    #[test]
    fn what_was_made_and_removed_needs_no_step() {
        assert!(of(&[kept("/a", 0, 1), kept("/a", 1, 0)], &Fake::default()).is_empty());
    }

    #[test]
    fn refuses_by_name() {
        let refused = |changes: &[Kept], known: &Fake| of(changes, known).remove(0).refuse;
        let later = |after| Fake {
            later: Some(Later {
                run: RunId("r2".into()),
                after,
            }),
            ..Fake::default()
        };
        let why = refused(&[kept("/a", 1, 2)], &later(Some(sum(9)))).unwrap();
        assert_eq!(why, "/a was changed again by run r2");
        // A later run came to the same, such as one that undid what was done in between.
        assert_eq!(refused(&[kept("/a", 1, 2)], &later(Some(sum(2)))), None);
        // One undid this run already.
        assert_eq!(refused(&[kept("/a", 1, 2)], &later(Some(sum(1)))), None);
        assert_eq!(refused(&[kept("/a", 0, 2)], &later(None)), None);
        let why = refused(&[kept("/a", 1, 2), kept("/a", 3, 4)], &Fake::default()).unwrap();
        assert!(why.contains("between two tasks"), "{why}");
        let lacks = Fake {
            lacks: vec![sum(1)],
            ..Fake::default()
        };
        assert!(
            refused(&[kept("/a", 1, 2)], &lacks)
                .unwrap()
                .contains("1 MiB")
        );
        assert_eq!(
            refused(&[kept("/a", 1, 1)], &lacks),
            None,
            "attributes alone"
        );
    }
}
