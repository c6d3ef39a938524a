//! A task in a preview: what it would do where that is known, and what is not.

use std::sync::Arc;

use hostler_change::{Change, Outcome};
use hostler_events::Status;
use hostler_template::Scope;
use hostler_value::{Map, Unknown, Value};

use super::{HostTask, RemoteWork, TaskKeywords};
use crate::failure::Failure;
use crate::result::Single;

/// Modules that run a program of the playbook's choice.
const COMMANDS: &[&str] = &["command", "shell", "raw"];
/// Modules that change what answers to commands.
pub(super) const SERVING: &[&str] = &["apt", "package", "service", "systemd", "systemd_service"];
/// What `copy` returns about content.
const OF_CONTENT: &[&str] = &["checksum", "md5sum", "size"];

impl HostTask<'_> {
    /// Whether the task runs is not known: what it would do if it does, kept in nobody's mind.
    pub(crate) async fn look(
        &self,
        unknown: &Arc<Unknown>,
        scope: &Arc<dyn Scope>,
    ) -> (Single, Option<TaskKeywords>) {
        let mut single = Single::unknown(unknown.clone());
        let keywords = match self.keywords(scope) {
            Ok(keywords) => keywords,
            Err(failure) => {
                single.may_lack(failure);
                return (single, None);
            }
        };
        if !keywords.check {
            // It would be carried out, not previewed.
            return (single, Some(keywords));
        }
        let looking = HostTask {
            keep: false,
            ..*self
        };
        let seen = match looking.prepare(&keywords, scope) {
            Ok(prepared) => looking.carry_out(prepared, &keywords).await,
            Err(failure) => Err(failure),
        };
        match seen {
            Err(lost @ Failure::Unreachable(_)) => single = self.failed(lost),
            Err(failure) => single.may_lack(failure),
            Ok(seen) => single.may_be(seen),
        }
        (single, Some(keywords))
    }

    /// `--run-read-only`: is this a command that says of itself that it changes nothing, on a host on which nothing is
    /// pending? Commands see the host as it is, not as the preview has it.
    pub(crate) fn runs_read_only(&self, keywords: &TaskKeywords) -> bool {
        let settings = &self.run.settings;
        let wanted = settings.run_read_only && settings.check && keywords.check;
        let task = self.task;
        let asked_otherwise = task.context.nearest(|it| it.check_mode.as_ref()).is_some();
        let never_changes = task.changed_when.as_ref().is_some_and(|node| {
            let literal = node.to_literal();
            literal.as_bool() == Some(false)
                || literal
                    .as_str()
                    .is_some_and(|text| text.trim().eq_ignore_ascii_case("false"))
        });
        let places = [Some(self.host), keywords.delegate_to.as_deref()];
        wanted
            && !asked_otherwise
            && never_changes
            && matches!(task.module.as_str(), "command" | "shell")
            && !places
                .into_iter()
                .flatten()
                .any(|host| self.run.foresight.touched(host))
    }

    /// Is it useless to try again? In a preview the host does not become what the task waits for.
    pub(crate) fn waits_in_vain(&self, keywords: &TaskKeywords) -> bool {
        let foresight = &self.run.foresight;
        self.run.settings.check
            && keywords.check
            && (foresight.touched(self.host) || !foresight.undecided(self.host).is_empty())
    }

    /// The result of a task that waits for what earlier tasks would change.
    pub(crate) fn would_wait(&self, mut single: Single) -> Single {
        let cause = self.run.foresight.cause(self.id);
        single.becomes_unknown(Arc::new(Unknown::until(cause)));
        let words = "`until` is not satisfied before the changes of earlier tasks are made";
        single.message = Some(words.to_owned());
        single
    }

    /// The result of a module that check mode does not run.
    pub(crate) fn foreseen(&self, outcome: Outcome, keywords: &TaskKeywords) -> Single {
        let cause = self.run.foresight.cause(self.id);
        let unknown = Arc::new(Unknown::until(cause.clone()));
        let mut single = Single::would_run(outcome, cause, self.may_fail(), keywords.diff);
        if !COMMANDS.contains(&self.task.module.as_str()) {
            // What it returns is its own business.
            single.whole = Some(unknown);
        }
        if self.expects_failure() && single.status == Status::Changed {
            single.status = Status::Unknown;
            single.unknown = vec![self.run.foresight.cause(self.id)];
            let words = "would run; whether it then counts as changed or as an ignored failure is not known";
            single.message = Some(words.to_owned());
        }
        single
    }

    /// A command that runs although this is a preview asks the host as it is. Where an earlier task would start, stop,
    /// install or remove a service or a package, the real run may get another answer.
    fn doubt_answer(&self, single: &mut Single, keywords: &TaskKeywords) {
        let place = keywords.delegate_to.as_deref().unwrap_or(self.host);
        let Some(cause) = self.run.foresight.decides_answers(place) else {
            return;
        };
        if !COMMANDS.contains(&self.task.module.as_str()) {
            return;
        }
        let unknown = Arc::new(Unknown::until(cause));
        if single.status == Status::Failed {
            single.becomes_unknown(unknown);
        } else {
            single.whole = Some(unknown);
        }
    }

    /// One result out of what the agent did for it.
    pub(crate) fn result_of(
        &self,
        work: &RemoteWork,
        outcomes: Vec<Outcome>,
        keywords: &TaskKeywords,
    ) -> Single {
        let outcome = work.merge(outcomes);
        let preview = self.run.settings.check && keywords.check;
        if preview && outcome.unforeseen.is_some() && outcome.failed.is_none() {
            return self.foreseen(outcome, keywords);
        }
        let mut single = Single::outcome(outcome, keywords.diff);
        if self.run.settings.check && !keywords.check {
            self.doubt_answer(&mut single, keywords);
        }
        if let Some(holes) = &work.holes {
            content_has_holes(&mut single, holes);
            if !keywords.diff {
                let shown = |it: &hostler_change::Delta| !matches!(it.change, Change::Text { .. });
                single.deltas.retain(shown);
            }
        }
        single
    }
}

/// The content that was sent is not known throughout: whether it equals what is there is not known either.
fn content_has_holes(single: &mut Single, holes: &Arc<Unknown>) {
    if !matches!(single.status, Status::Ok | Status::Changed) {
        return;
    }
    let of_content = |change: &Change| match change {
        Change::Text { before, .. } | Change::Opaque { before, .. } => Some(before.is_none()),
        _ => None,
    };
    let changes = || single.deltas.iter().map(|delta| &delta.change);
    let contents: Vec<bool> = changes().filter_map(of_content).collect();
    if contents.is_empty() {
        return;
    }
    let is_new = contents.contains(&true);
    let also_else = changes().any(|change| of_content(change).is_none());
    // Nobody may carry out a text with holes.
    single.forecast = None;
    let unknown = Value::Unknown(holes.clone());
    for name in OF_CONTENT {
        if single.value.contains(name) {
            single.value.insert(*name, unknown.clone());
        }
    }
    if is_new || also_else {
        single.unknown.clone_from(&holes.until);
    } else {
        single.becomes_unknown(holes.clone());
    }
}

impl Single {
    /// It cannot be looked at what it would do if it runs.
    fn may_lack(&mut self, failure: Failure) {
        match failure {
            Failure::Unknown(more) => self.depends_on_too(&more),
            failure => {
                let said = self.message.take().unwrap_or_default();
                let why = failure.into_message();
                self.message = Some(format!("{said}; if it runs it would fail: {why}"));
            }
        }
    }

    /// What it would do if it runs.
    fn may_be(&mut self, seen: Single) {
        if let Some(more) = &seen.whole {
            self.depends_on_too(more);
        }
        if seen.status == Status::Failed {
            self.may_lack(Failure::new(seen.message.clone().unwrap_or_default()));
        }
        self.idle = seen.status == Status::Ok && seen.whole.is_none() && !seen.would_run;
        self.deltas = seen.deltas;
        self.incomplete = seen.incomplete;
        self.variables = seen.variables.map(|variables| {
            let unknown = self.to_value();
            let each = variables.keys().map(|name| (name.clone(), unknown.clone()));
            each.collect::<Map>()
        });
    }

    fn depends_on_too(&mut self, more: &Unknown) {
        let all = self.whole.iter().map(|unknown| &**unknown).chain([more]);
        self.becomes_unknown(Arc::new(Unknown::join(all)));
    }
}
