//! Undoing a run: the files that it replaced are put back, by a run of its own.

mod covered;
mod given;
mod hidden;
mod play;
mod steps;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::RunId;
use hostler_history::StoreError;

use hostler_record::Record;
use serde::{Deserialize, Serialize};

use crate::apply::{Audience, Terms, secrets};
use crate::inputs::{self, Inputs};
use crate::keeping::Keeping;
use crate::mandate::Mandate;
use crate::plan::hex;
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode};
use crate::resume::Again;
use crate::runs::Runs;
use crate::stored_request::StoredRequest;
use steps::{FileBefore, Kept, Known, Later, Step};

/// What is to be undone, and how.
#[derive(Clone, Debug)]
pub struct UndoRequest {
    /// The run, as the user names it.
    pub run: String,
    /// Passwords, connection, limit and the like. What is not given here is as it was for the run.
    pub given: ApplyRequest,
}

/// Contents by the hexadecimal digits of their SHA-256.
type Contents = HashMap<String, Arc<[u8]>>;

/// Puts back the files that a run replaced, where they still are as it left them.
///
/// # Errors
/// There is no such run, it has nothing that could be put back, or its hosts are not in the inventory any more. Nothing
/// was contacted then.
pub async fn undo(
    request: UndoRequest,
    sources: &SourceMap,
    audience: Audience,
) -> Result<ExitCode, Refusal> {
    let runs = Runs::open(&request.given.state)?;
    let run = runs.find_changing(&request.run)?;
    let stored = runs.store.run(&run)?;
    let refuse = |text: String| one(Diagnostic::error("undo", text));
    if stored.summary.check {
        return Err(refuse(format!(
            "run {} was in check mode: it changed nothing",
            run.0
        )));
    }
    let before: StoredRequest =
        serde_json::from_value(stored.request.clone()).map_err(|error| {
            refuse(format!(
                "the request of run {} cannot be read: {error}",
                run.0
            ))
        })?;
    let asked = given::merged(&before, &request.given);
    let mut again = ApplyRequest {
        playbooks: Vec::new(),
        limit: None,
        ..asked.clone()
    };
    let mut inputs = inputs::load(&again, sources)?;
    let within = asked.limit.as_ref();
    let within = within
        .map(|text| inputs.selected(text, &asked))
        .transpose()?;
    let wanted = |place: &String| within.as_ref().is_none_or(|it| it.contains(place));
    let record = runs.record(&run)?;
    let (steps, contents) = plan(&runs, &record, &wanted, &inputs)?;
    let left_out = covered::left_out(&record, &steps, &wanted);
    if steps.is_empty() {
        let mut nothing = Diagnostic::error("undo", format!("run {} replaced no file here", run.0));
        nothing.hints = left_out.into_iter().map(|it| it.message).collect();
        return Err(one(nothing));
    }
    inputs.warnings.extend(left_out);
    // What undoes this undoing must do so, too: the request is kept, the play is not.
    again.r#become.r#become |= play::becomes(&inputs, &asked.playbooks);
    play::add(&mut inputs, &run.0, &steps, sources)?;
    again.playbooks = vec![play::title(&run.0)];
    let undoing = Undoing {
        run: run.0.clone(),
        steps,
    };
    let terms = Terms {
        mask: hostler_preview::Mask::new(secrets(&again)),
        contents,
        keeping: Keeping::New(Mandate::Undo(undoing)),
        ..Terms::default()
    };
    let ran = crate::apply::run(&again, &inputs, sources, audience, terms);
    Ok(ran.await?.exit)
}

/// Files that a run puts back, as they are kept with it. Contents are those that the other run replaced.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Undoing {
    /// The run that is undone.
    pub(crate) run: String,
    steps: BTreeMap<String, Vec<Step>>,
}

/// The inputs of an undoing that goes on: the same steps as before. What it has put back already is known by its hash on
/// the host, and refused is what has changed since.
///
/// # Errors
/// Inventory or variables cannot be read, or the history of the run that is undone is gone.
pub(crate) fn inputs_again(
    again: &Again,
    run: &str,
    asked: &ApplyRequest,
    sources: &SourceMap,
) -> Result<(Inputs, Contents), Refusal> {
    let own = &again.record.summary.run;
    let gone = |what: String| {
        let text = format!("run {} cannot go on: {what}", own.0);
        let hint = format!("`hostler runs abandon {}` gives it up", own.0);
        one(Diagnostic::error("not-resumable", text).hint(hint))
    };
    let kept = again.store.mandate(own)?;
    let kept = kept.ok_or_else(|| gone("the files that it puts back are not kept".into()))?;
    let undoing: Undoing = serde_json::from_slice(&kept).map_err(|error| {
        gone(format!(
            "the files that it puts back cannot be read: {error}"
        ))
    })?;
    let replaced = match again.store.replaced(&RunId(run.to_owned()), None) {
        Err(StoreError::NoSuchRun(_)) => {
            return Err(gone(format!(
                "run {run}, and with it what its files held before, is not in the history any more"
            )));
        }
        replaced => replaced?,
    };
    let before = replaced.into_iter().filter_map(|it| it.file.before);
    let contents = before.filter_map(|it| Some((hex(&it.sha256), it.content?.into())));
    let mut contents: Contents = contents.collect();
    only_wanted(&mut contents, &undoing.steps);
    let bare = ApplyRequest {
        playbooks: Vec::new(),
        ..asked.clone()
    };
    let mut inputs = inputs::load(&bare, sources)?;
    play::add(&mut inputs, run, &undoing.steps, sources)?;
    Ok((inputs, contents))
}

/// What is not put back need not travel.
fn only_wanted(contents: &mut Contents, steps: &BTreeMap<String, Vec<Step>>) {
    let wanted = steps.values().flatten().filter(|it| it.refuse.is_none());
    let wanted: HashSet<String> = wanted
        .filter_map(|it| it.back.map(|back| hex(&back.sha256)))
        .collect();
    contents.retain(|sha256, _| wanted.contains(sha256));
}

fn one(diagnostic: Diagnostic) -> Refusal {
    Refusal::from(vec![diagnostic])
}

/// The steps on the hosts that are wanted, and the contents that they need.
fn plan(
    runs: &Runs,
    record: &Record,
    wanted: &dyn Fn(&String) -> bool,
    inputs: &Inputs,
) -> Result<(BTreeMap<String, Vec<Step>>, Contents), Refusal> {
    let run = &RunId(record.run.clone());
    let mut replaced = runs.store.replaced(run, None)?;
    replaced.retain(|it| wanted(&it.place));
    // Oldest first.
    replaced.reverse();
    let mut contents = Contents::new();
    let mut kept = Vec::new();
    for it in replaced {
        let before = it.file.before.map(|before| {
            if let Some(content) = before.content {
                contents.insert(hex(&before.sha256), content.into());
            }
            FileBefore {
                uid: before.uid,
                gid: before.gid,
                mode: before.mode,
                sha256: before.sha256,
            }
        });
        kept.push(Kept {
            place: it.place,
            path: it.file.path,
            before,
            after: it.file.after,
        });
    }
    let inventory = &inputs.loaded.inventory;
    let mut unknown: Vec<&str> = kept
        .iter()
        .map(|it| it.place.as_str())
        .filter(|place| inventory.host(place).is_none())
        .collect();
    unknown.dedup();
    if let Some(first) = unknown.first() {
        let text = format!(
            "{first} (and {} more) had files replaced and is not in the inventory",
            unknown.len() - 1
        );
        let hint = "name the inventory with -i, or leave the host out with --limit";
        return Err(one(Diagnostic::error("undo", text).hint(hint)));
    }
    let known = Memory {
        later: later(runs, run)?,
        contents: &contents,
        shown: hidden::shown(record),
    };
    let steps = steps::steps(&kept, &known);
    only_wanted(&mut contents, &steps);
    Ok((steps, contents))
}

struct Memory<'a> {
    later: HashMap<(String, String), Later>,
    contents: &'a Contents,
    shown: HashSet<(String, String)>,
}

impl Known for Memory<'_> {
    fn later(&self, place: &str, path: &str) -> Option<Later> {
        self.later
            .get(&(place.to_owned(), path.to_owned()))
            .cloned()
    }

    fn has(&self, sha256: &[u8; 32]) -> bool {
        self.contents.contains_key(&hex(sha256))
    }

    fn was_shown(&self, place: &str, path: &str) -> bool {
        self.shown.contains(&(place.to_owned(), path.to_owned()))
    }
}

/// The newest change of each file that a later run changed.
fn later(runs: &Runs, run: &RunId) -> Result<HashMap<(String, String), Later>, Refusal> {
    let mut all = HashMap::new();
    for it in runs.store.replaced_since(run)? {
        let later = Later {
            run: it.run,
            after: it.after,
        };
        all.insert((it.place, it.path), later);
    }
    Ok(all)
}
