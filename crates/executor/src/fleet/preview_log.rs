//! What the tasks of a preview would have done to a host, in order, for all agents that work on it.
//!
//! An agent keeps its own tasks' edits in mind. Those of other users' agents, of other connections to the same host, and
//! of an agent that was lost come with its next task: everything here that it has not seen. Contents are kept once for the
//! whole fleet, by hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hostler_change::{Content, Edit, Effect, Planned, Program, Run};
use hostler_protocol::{Maker, PendingEdit};
use hostler_transport::Lane;
use hostler_value::Cause;
use sha2::{Digest, Sha256};

use super::{BlobOrigin, HostBlobs};

/// Contents up to this size travel with their edit.
const INLINE_MAX: usize = 4096;

/// One agent of a run: a session, and the lane on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgentId {
    pub(crate) session: u64,
    pub(crate) lane: Lane,
}

/// The log of one host.
#[derive(Debug, Default)]
pub(crate) struct PreviewLog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    /// How many entries each agent was given or has made.
    seen: HashMap<AgentId, usize>,
}

#[derive(Debug)]
struct Entry {
    /// Who knows it already; `None` for what no agent had a part in.
    agent: Option<AgentId>,
    edit: PendingEdit,
    contents: Vec<([u8; 32], BlobOrigin)>,
}

/// Contents of edits by hash, shared by the logs of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    by_hash: Mutex<HashMap<[u8; 32], Arc<[u8]>>>,
}

impl Contents {
    fn intern(&self, bytes: &[u8]) -> ([u8; 32], Arc<[u8]>) {
        let sha256: [u8; 32] = Sha256::digest(bytes).into();
        let mut known = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = known.entry(sha256).or_insert_with(|| bytes.into());
        (sha256, shared.clone())
    }
}

impl PreviewLog {
    /// What an agent has not seen. `blobs` is where it asks for contents.
    pub(crate) fn unseen(&self, agent: AgentId, blobs: &HostBlobs) -> Vec<PendingEdit> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = state.entries.len();
        let start = state.seen.insert(agent, end).unwrap_or(0);
        let others = state.entries[start..]
            .iter()
            .filter(|it| it.agent != Some(agent));
        let give = |entry: &Entry| {
            for (sha256, origin) in &entry.contents {
                blobs.offer(*sha256, origin.clone());
            }
            entry.edit.clone()
        };
        others.map(give).collect()
    }

    /// Adds what a task of an agent would have done.
    pub(crate) fn keep(
        &self,
        (agent, maker): (AgentId, Maker),
        by: &Cause,
        edits: &[Planned],
        blobs: &HostBlobs,
        contents: &Contents,
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for planned in edits {
            let mut found = Vec::new();
            let mut edit = planned.edit.clone();
            slim(&mut edit, blobs, contents, &mut found);
            let by = by.clone();
            state.entries.push(Entry {
                agent: Some(agent),
                edit: PendingEdit { by, maker, edit },
                contents: found,
            });
        }
    }

    /// A task would do something that cannot be known, and no agent was asked.
    pub(crate) fn keep_unforeseen(&self, by: Cause) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (maker, edit) = (Maker::default(), Edit::Run(Run::unforeseen()));
        state.entries.push(Entry {
            agent: None,
            edit: PendingEdit { by, maker, edit },
            contents: Vec::new(),
        });
    }

    /// The task that would make a user, if one would.
    pub(crate) fn maker_of(&self, user: &str) -> Option<Cause> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let makes = |effect: &Effect| matches!(effect, Effect::User(it) if it.name == user);
        let mut entries = state.entries.iter().rev();
        let found = entries.find(|entry| match &entry.edit.edit {
            Edit::Run(run) => run.effects.iter().any(makes),
            _ => false,
        });
        found.map(|entry| entry.edit.by.clone())
    }
}

/// Leaves out what is not needed to keep an edit in mind, such as a program with a password on its input.
fn slim(
    edit: &mut Edit,
    blobs: &HostBlobs,
    contents: &Contents,
    found: &mut Vec<([u8; 32], BlobOrigin)>,
) {
    match edit {
        Edit::WriteFile(write) => match &write.content {
            Content::Bytes(bytes) if bytes.len() > INLINE_MAX => {
                let size = bytes.len() as u64;
                let (sha256, shared) = contents.intern(bytes);
                found.push((sha256, BlobOrigin::Memory(shared)));
                write.content = Content::Blob { sha256, size };
            }
            Content::Blob { sha256, .. } => {
                found.extend(blobs.origin(sha256).map(|it| (*sha256, it)));
            }
            Content::Bytes(_) | Content::HostFile(_) => {}
        },
        Edit::Run(run) => {
            run.program = Program::default();
            for effect in &mut run.effects {
                if let Effect::Edit(edit) = effect {
                    slim(edit, blobs, contents, found);
                }
            }
        }
        Edit::Fetch(fetch) => {
            fetch.url.clear();
            fetch.headers.clear();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use hostler_change::{Attrs, Delta, UserEffect, WriteFile};

    use super::*;

    fn planned(edit: Edit) -> Planned {
        let deltas = vec![Delta::action("x", "y")];
        Planned { edit, deltas }
    }

    fn write(path: &str, size: usize) -> Planned {
        planned(Edit::WriteFile(WriteFile {
            path: path.into(),
            content: Content::Bytes(vec![b'x'; size]),
            attrs: Attrs::default(),
            backup: false,
            validate: None,
            unsafe_writes: false,
        }))
    }

    fn agent(session: u64) -> (AgentId, Maker) {
        let lane = Lane::FIRST;
        (AgentId { session, lane }, Maker::default())
    }

    #[test]
    fn each_agent_gets_what_others_did_once() {
        let (log, blobs, contents) = (
            PreviewLog::default(),
            HostBlobs::default(),
            Contents::default(),
        );
        let by = Cause::default();
        let (a, b) = (agent(1), agent(2));
        assert!(log.unseen(a.0, &blobs).is_empty());
        log.keep(a, &by, &[write("/a", 1)], &blobs, &contents);
        assert!(log.unseen(a.0, &blobs).is_empty(), "its own");
        assert_eq!(log.unseen(b.0, &blobs).len(), 1);
        assert!(log.unseen(b.0, &blobs).is_empty(), "once");
        log.keep(b, &by, &[write("/b", 1), write("/c", 1)], &blobs, &contents);
        assert_eq!(log.unseen(a.0, &blobs).len(), 2);
        // After a reconnect all of it, in order.
        let all = log.unseen(agent(3).0, &blobs);
        let paths = all.iter().map(|it| match &it.edit {
            Edit::WriteFile(write) => write.path.display().to_string(),
            _ => String::new(),
        });
        assert_eq!(paths.collect::<Vec<_>>(), ["/a", "/b", "/c"]);
    }

    #[test]
    fn large_contents_are_asked_for_and_programs_are_left_out() {
        let (log, blobs, contents) = (
            PreviewLog::default(),
            HostBlobs::default(),
            Contents::default(),
        );
        let run = Run::new(Program::new(["chpasswd"]).stdin("alice:secret")).bringing(vec![
            Effect::User(UserEffect {
                name: "alice".into(),
                ..UserEffect::default()
            }),
        ]);
        let by = Cause {
            task: 7,
            ..Cause::default()
        };
        let edits = [write("/large", INLINE_MAX + 1), planned(Edit::Run(run))];
        log.keep(agent(1), &by, &edits, &blobs, &contents);
        let other = HostBlobs::default();
        let given = log.unseen(agent(2).0, &other);
        let Edit::WriteFile(large) = &given[0].edit else {
            panic!("{given:?}")
        };
        let Content::Blob { sha256, .. } = &large.content else {
            panic!("{large:?}")
        };
        assert!(other.origin(sha256).is_some());
        let Edit::Run(run) = &given[1].edit else {
            panic!("{given:?}")
        };
        assert_eq!(run.program, Program::default());
        assert_eq!(log.maker_of("alice"), Some(by));
        assert_eq!(log.maker_of("bob"), None);
        log.keep_unforeseen(Cause::default());
        assert_eq!(
            log.unseen(agent(1).0, &other).len(),
            1,
            "nobody knows it yet"
        );
    }
}
