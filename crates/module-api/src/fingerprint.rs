//! Fingerprints of edits: what a plan file knows edits by.
//!
//! Two edits have one fingerprint if they do the same to a host. Left out is what says nothing about that: the
//! effects that a program declares for previews, what people read instead of its arguments, times that are "now".

use hostler_change::{Allowed, Attrs, Content, Edit, Owner, Planned, Run, Times};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// From here on, numbers of users and groups stand for ones that a tool will pick and a preview does not know (design
/// 0005). Nothing else uses this range: systemd's list of user and group numbers ends its last range below it, and calls
/// it unassigned.
pub const FIRST_STAND_IN: u32 = 0xf000_0000;

/// The fingerprints of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of everything.
    pub exact: [u8; 32],
    /// Of everything but numbers of users and groups.
    pub loose: [u8; 32],
    /// Does it hold a number that a preview made up? Then only `loose` can be compared.
    pub made_up: bool,
}

/// The fingerprints of an edit.
pub fn fingerprint(edit: &Edit) -> Fingerprint {
    let exact = normal(edit.clone());
    let mut loose = exact.clone();
    let made_up = forget_numbers(&mut loose);
    Fingerprint {
        exact: hash(&exact),
        loose: hash(&loose),
        made_up,
    }
}

/// Are all edits among those that a plan allows? Gives the first that is not.
pub fn first_not_allowed<'a>(edits: &'a [Planned], allowed: &Allowed) -> Option<&'a Planned> {
    edits.iter().find(|planned| {
        let print = fingerprint(&planned.edit);
        !allowed.exact.contains(&print.exact) && !allowed.loose.contains(&print.loose)
    })
}

fn hash(edit: &Edit) -> [u8; 32] {
    // Writing plain data to memory cannot fail; if it did, the edit would equal no other.
    let bytes = postcard::to_allocvec(edit).unwrap_or_else(|error| error.to_string().into_bytes());
    Sha256::digest(&bytes).into()
}

/// The edit without what says nothing about what it does. Contents become their hashes.
fn normal(mut edit: Edit) -> Edit {
    match &mut edit {
        Edit::WriteFile(write) => {
            if let Content::Bytes(bytes) = &write.content {
                write.content = Content::Blob {
                    sha256: Sha256::digest(bytes).into(),
                    size: bytes.len() as u64,
                };
            }
        }
        Edit::SetTimes { times, .. } => *times = Times::default(),
        Edit::Run(Run {
            program, effects, ..
        }) => {
            effects.clear();
            program.shown_as = None;
        }
        Edit::Fetch(fetch) => fetch.if_modified_since_s = None,
        Edit::Remove(_) | Edit::MakeDir(_) | Edit::Link(_) | Edit::SetAttrs { .. } => {}
    }
    edit
}

/// Makes all numbers of users and groups alike; true if one of them was made up by a preview.
fn forget_numbers(edit: &mut Edit) -> bool {
    let mut made_up = false;
    match edit {
        Edit::WriteFile(write) => made_up = attrs(&mut write.attrs),
        Edit::MakeDir(dir) => made_up = attrs(&mut dir.attrs),
        Edit::SetAttrs { attrs: of, .. } => made_up = attrs(of),
        Edit::Fetch(fetch) => made_up = attrs(&mut fetch.attrs),
        Edit::Run(run) => {
            for word in &mut run.program.argv {
                if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
                    made_up |= word.parse::<u32>().is_ok_and(|it| it >= FIRST_STAND_IN);
                    "#".clone_into(word);
                }
            }
        }
        Edit::Remove(_) | Edit::Link(_) | Edit::SetTimes { .. } => {}
    }
    made_up
}

fn attrs(attrs: &mut Attrs) -> bool {
    let mut made_up = false;
    for owner in [&mut attrs.owner, &mut attrs.group].into_iter().flatten() {
        if let Owner::Id(id) = owner {
            made_up |= *id >= FIRST_STAND_IN;
            *id = 0;
        }
    }
    made_up
}

#[cfg(test)]
mod tests {
    use hostler_change::{Delta, Effect, MakeDir, Program};

    use super::*;

    fn dir(owner: u32, mode: u32) -> Edit {
        let attrs = Attrs {
            owner: Some(Owner::Id(owner)),
            group: None,
            mode: Some(mode),
        };
        let path = "/srv/app".into();
        Edit::MakeDir(MakeDir { path, attrs })
    }

    fn planned(edit: Edit) -> Vec<Planned> {
        let deltas = vec![Delta::action("x", "y")];
        vec![Planned { edit, deltas }]
    }

    #[test]
    fn numbers_that_a_preview_made_up_are_any() {
        let foreseen = fingerprint(&dir(FIRST_STAND_IN + 3, 0o755));
        assert!(foreseen.made_up);
        let allowed = Allowed {
            exact: Vec::new(),
            loose: vec![foreseen.loose],
        };
        assert_eq!(
            first_not_allowed(&planned(dir(1001, 0o755)), &allowed),
            None
        );
        assert!(first_not_allowed(&planned(dir(1001, 0o777)), &allowed).is_some());
        let known = fingerprint(&dir(1001, 0o755));
        assert!(!known.made_up);
        let allowed = Allowed {
            exact: vec![known.exact],
            loose: Vec::new(),
        };
        assert!(first_not_allowed(&planned(dir(1002, 0o755)), &allowed).is_some());
    }

    #[test]
    fn what_says_nothing_about_the_host_does_not_count() {
        let run = |shown: &str, effects: Vec<Effect>| {
            let program = Program::new(["groupadd", "ops"]).shown_as(shown);
            fingerprint(&Edit::Run(Run::new(program).bringing(effects))).exact
        };
        assert_eq!(
            run("a", vec![]),
            run("b", vec![Effect::NoGroup("x".into())])
        );
    }
}
