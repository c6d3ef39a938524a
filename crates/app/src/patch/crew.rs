//! Asks hosts, and has work done on them: each time a play of one task, run by the executor like any other. So it is
//! journaled, finished on the host without a connection, asked for after one was lost, and told to the reporters.
//!
//! Arguments travel as data: they reach the task through a variable of the play, and are never templates.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hostler_diag::Diagnostic;
use hostler_events::{Status, TaskResult, Unreachable};
use hostler_executor::{PlayInputs, RunContext, RunState, Seen, TaskNumbers, run_play};
use hostler_inventory::{FsLoader, Loader, VarFiles};
use hostler_module_api::Catalog;
use hostler_playbook::Play;
use hostler_value::{Map, Value};
use hostler_vars::PlayLayer;
use sha2::Digest;

use crate::reporting::HiddenTexts;

/// Name of the variable that has the arguments of each host.
const ARGUMENTS: &str = "hostler_patch";

/// What came of asking a host.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The return values of the module.
    Done(serde_json::Value),
    /// It failed there, with this message.
    Failed(String),
    /// It failed there, with this message, because no source has a version of a package any more.
    Gone(String),
    /// The host could not be reached.
    Unreachable(Unreachable),
    /// The connection was lost, and the host does not know what came of it.
    Unknown(String),
}

/// Has work done on hosts.
pub(crate) struct Crew {
    run: Arc<RunContext>,
    numbers: TaskNumbers,
    catalog: Arc<Catalog>,
    /// The policy, an absolute path: where its variable files and hooks are.
    policy: PathBuf,
    /// What hosts say goes into notes and reports without passing the reporters: secrets are taken out here.
    hidden: Mutex<HiddenTexts>,
    plays: Mutex<HashMap<String, Arc<Play>>>,
}

/// One task for some hosts.
pub(crate) struct Work<'a> {
    /// Number of the play: the same when the run is resumed, and unlike that of any other work for these hosts.
    pub(crate) number: u32,
    /// For people.
    pub(crate) title: &'a str,
    /// The module.
    pub(crate) module: &'a str,
    /// Its failure is an answer like others: the return values are looked at.
    pub(crate) lenient: bool,
    /// Arguments by host, each a JSON object.
    pub(crate) arguments: BTreeMap<String, serde_json::Value>,
}

impl Crew {
    /// For a run. `policy` is the file that the work is done for, `hidden` the run's secrets.
    ///
    /// # Errors
    /// Variable files beside the policy that cannot be read.
    pub(crate) fn new(
        run: Arc<RunContext>,
        catalog: Arc<Catalog>,
        policy: &Path,
        hidden: HiddenTexts,
    ) -> Result<Self, Vec<Diagnostic>> {
        let policy = std::path::absolute(policy).unwrap_or_else(|_| policy.to_owned());
        let directory = policy.parent().unwrap_or(Path::new("/"));
        let inventory = run.vars.inventory();
        let (files, problems) = VarFiles::load(&inventory, directory, &run.sources, &FsLoader);
        if problems.iter().any(Diagnostic::is_error) {
            return Err(problems);
        }
        run.vars.set_playbook(directory, files);
        // Each host goes its own way, so that none waits for another.
        run.never_leave_behind();
        Ok(Crew {
            run,
            numbers: TaskNumbers::default(),
            catalog,
            policy,
            hidden: Mutex::new(hidden),
            plays: Mutex::default(),
        })
    }

    /// Takes the run's secrets out of a text of a host.
    pub(crate) fn hide(&self, text: &mut String) {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        hidden.text(text);
    }

    /// What was seen as an answer, with words that may be shown. Return values stay as they are: they have a form.
    fn answer(&self, seen: Seen) -> Answer {
        let mut answer = Answer::from(seen);
        match &mut answer {
            Answer::Done(_) => {}
            Answer::Failed(words) | Answer::Gone(words) | Answer::Unknown(words) => {
                self.hide(words);
            }
            Answer::Unreachable(lost) => self.hide(&mut lost.detail),
        }
        answer
    }

    /// Does the work on its hosts, side by side. Every one of them has an answer.
    pub(crate) async fn ask(&self, work: Work<'_>) -> BTreeMap<String, Answer> {
        let hosts: Vec<String> = work.arguments.keys().cloned().collect();
        let names = names(&work.arguments);
        let text = playbook(&work, &names);
        let play = match self.play(&text, |crew, text| crew.parse("<patch>", text)) {
            Ok(play) => play,
            Err(problem) => return all_failed(&hosts, &problem),
        };
        let arguments =
            match serde_json::to_value(&work.arguments).and_then(serde_json::from_value::<Value>) {
                Ok(arguments) => arguments,
                Err(error) => return all_failed(&hosts, &error.to_string()),
            };
        let mut seen = self
            .run_part(work.number, work.title, play, &hosts, arguments)
            .await;
        let answer = |host: &String| {
            let last = seen.iter().rposition(|it| it.host == *host);
            let answer = last.map(|index| self.answer(seen.swap_remove(index)));
            (host.clone(), answer.unwrap_or_else(interrupted))
        };
        hosts.iter().map(answer).collect()
    }

    /// Runs a tasks file on a host. The first task that failed is the answer; where none did, nothing is returned.
    pub(crate) async fn run_tasks(
        &self,
        number: u32,
        host: &str,
        title: &str,
        path: &str,
        sha256: &str,
    ) -> Answer {
        let text = match FsLoader.read(Path::new(path)) {
            Ok(text) => text,
            Err(error) => return Answer::Failed(format!("cannot read {path}: {error}")),
        };
        if crate::plan::hex(&<[u8; 32]>::from(sha2::Sha256::digest(text.as_bytes()))) != sha256 {
            return Answer::Failed(format!(
                "{path} has changed since the plan was made: it is not run"
            ));
        }
        let key = format!("{path}\0{text}");
        let play = match self.play(&key, |crew, _| crew.tasks_play(path, &text)) {
            Ok(play) => play,
            Err(problem) => return Answer::Failed(problem),
        };
        let hosts = [host.to_owned()];
        let seen = self
            .run_part(number, title, play, &hosts, Value::Null)
            .await;
        let bad = seen.into_iter().find(|it| is_fatal(&it.result));
        bad.map_or(Answer::Done(serde_json::Value::Null), |it| self.answer(it))
    }

    async fn run_part(
        &self,
        number: u32,
        title: &str,
        play: Arc<Play>,
        hosts: &[String],
        arguments: Value,
    ) -> Vec<Seen> {
        let mut state = RunState::of_part(self.numbers.clone(), number);
        let given: Map = [(ARGUMENTS, arguments)].into_iter().collect();
        let own = play.context.keywords.vars.as_deref();
        let layer = Arc::new(PlayLayer::new(title, own, given));
        let directory = self.policy.parent().unwrap_or(Path::new("/"));
        let inputs = PlayInputs {
            name: title.to_owned(),
            play,
            hosts: hosts.to_vec(),
            directory: directory.to_owned(),
            playbook: self.policy.display().to_string(),
            layer,
        };
        run_play(&self.run, inputs, &mut state).await;
        state.take_seen()
    }

    /// The play of a text; parsed once.
    fn play(
        &self,
        key: &str,
        parse: impl FnOnce(&Self, &str) -> Result<Arc<Play>, String>,
    ) -> Result<Arc<Play>, String> {
        let mut plays = self.plays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(play) = plays.get(key) {
            return Ok(play.clone());
        }
        let play = parse(self, key)?;
        plays.insert(key.to_owned(), play.clone());
        Ok(play)
    }

    fn parse(&self, name: &str, text: &str) -> Result<Arc<Play>, String> {
        let sources = &self.run.sources;
        let id = sources.add_text(name, text);
        let (root, mut problems) = hostler_yaml::load(sources, id);
        if let Some(root) = root {
            let (playbook, found) = hostler_playbook::parse(&self.catalog, &self.policy, &root);
            problems.extend(found);
            let mut plays = playbook.plays.into_iter();
            if let (Some(play), false) = (plays.next(), problems.iter().any(Diagnostic::is_error)) {
                return Ok(play);
            }
        }
        Err(words(&problems))
    }

    /// A tasks file as the tasks of a play. Its lines keep their places but for the three above them.
    fn tasks_play(&self, path: &str, text: &str) -> Result<Arc<Play>, String> {
        let mut play =
            String::from("- hosts: all\n  gather_facts: false\n  become: true\n  tasks:\n");
        for line in text.lines().filter(|line| line.trim_end() != "---") {
            // Writing to a String cannot fail.
            let _ = writeln!(play, "  {line}");
        }
        self.parse(path, &play)
    }
}

/// Names of the arguments of all hosts.
fn names(arguments: &BTreeMap<String, serde_json::Value>) -> Vec<String> {
    let objects = arguments.values().filter_map(serde_json::Value::as_object);
    let mut names: Vec<String> = objects.flat_map(|it| it.keys().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

fn playbook(work: &Work<'_>, names: &[String]) -> String {
    let (module, title) = (work.module, serde_json::Value::from(work.title));
    let mut text = format!(
        "- name: {title}\n  hosts: all\n  gather_facts: false\n  become: true\n  tasks:\n    - name: {title}\n"
    );
    if work.lenient {
        text.push_str("      failed_when: false\n");
    }
    if names.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "      {module}: {{}}");
        return text;
    }
    let _ = writeln!(text, "      {module}:");
    for name in names {
        let _ = writeln!(
            text,
            "        {name}: \"{{{{ {ARGUMENTS}[inventory_hostname].{name} | default(omit) }}}}\""
        );
    }
    text
}

fn is_fatal(result: &TaskResult) -> bool {
    let bad = matches!(
        result.status,
        Status::Failed | Status::Unreachable | Status::Unknown
    );
    bad && !result.ignored && !result.rescued
}

fn all_failed(hosts: &[String], why: &str) -> BTreeMap<String, Answer> {
    let failed = |host: &String| (host.clone(), Answer::Failed(why.to_owned()));
    hosts.iter().map(failed).collect()
}

/// A host without a result: no more tasks started.
fn interrupted() -> Answer {
    Answer::Unknown("the run was stopped before the host answered".to_owned())
}

fn words(problems: &[Diagnostic]) -> String {
    let errors = problems.iter().filter(|it| it.is_error());
    let all: Vec<&str> = errors.map(|it| it.message.as_str()).collect();
    all.join("; ")
}

/// Does a failed `patch_download` return that no source has a version any more?
fn is_gone(returned: &Value) -> bool {
    let told = returned.get(hostler_updates::VERSION_GONE);
    told.and_then(Value::as_bool) == Some(true)
}

impl From<Seen> for Answer {
    fn from(seen: Seen) -> Self {
        let result = seen.result;
        let message = || {
            result
                .message
                .clone()
                .unwrap_or_else(|| "no message".to_owned())
        };
        match result.status {
            Status::Ok | Status::Changed | Status::Skipped => {
                match serde_json::to_value(&seen.registered) {
                    Ok(value) => Answer::Done(value),
                    Err(error) => Answer::Failed(error.to_string()),
                }
            }
            Status::Failed if is_gone(&seen.registered) => Answer::Gone(message()),
            Status::Failed => Answer::Failed(message()),
            Status::Unreachable => {
                Answer::Unreachable(result.unreachable.clone().unwrap_or_else(|| Unreachable {
                    reason: "lost".to_owned(),
                    detail: message(),
                }))
            }
            Status::Unknown => Answer::Unknown(message()),
        }
    }
}
