//! The order of calls: observe, plan, apply, observe and plan again, report.

use hostler_change::{
    Applied, Basis, Change, Delta, Edit, Effect, Forecast, ModuleFailure, Outcome, Plan, Planned,
    Unforeseen,
};
use hostler_value::Value;

use crate::erased::{Erased, Happened, Seen, Typed};
use crate::{Inspect, Module, ModuleError, Report, from_value};

/// How often a module may plan again before it is at fault for not settling.
pub const ROUNDS_MAX: usize = 4;

/// How a task is to be run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// Stop before anything is changed.
    pub check: bool,
    /// Return texts before and after.
    pub diff: bool,
    /// In check mode: return the edits too.
    pub forecast: bool,
}

/// Carries out edits. The agent's applier, and the fake host in tests.
pub trait Applier {
    /// Carries out one edit.
    ///
    /// # Errors
    /// What went wrong; nothing half-done is left of this edit, and later edits of the plan are not tried.
    fn apply(&mut self, edit: &Planned) -> Result<Applied, ModuleError>;

    /// Check mode: keeps the edits of a plan in mind instead of carrying them out, so that [`Applier::host`] shows what
    /// they would have done, also to later tasks of the same preview. True if it does so; it does not unless
    /// implemented.
    ///
    /// # Errors
    /// An edit would fail, or whether it would is not known. None is kept then.
    fn preview(&mut self, _edits: &[Planned]) -> Result<bool, ModuleError> {
        Ok(false)
    }

    /// Check mode: from now on [`Applier::host`] shows nothing where packages that an earlier task would install may
    /// bring something, and [`Applier::preview`] takes only edits that are right all the same. False if there is no
    /// such view.
    fn suppose(&mut self) -> bool {
        false
    }

    /// Check mode: the task would do something that cannot be known.
    fn unforeseen(&mut self) {}

    /// Compares what programs have declared with what the host is now that they have run. Each difference is a sentence.
    fn faults(&self, _declared: &[&Effect]) -> Vec<String> {
        Vec::new()
    }

    /// Check mode: the host's own state of what the edits touch and no earlier edit of the preview did. Called before
    /// [`Applier::preview`]. Nothing unless implemented.
    fn basis(&mut self, _edits: &[Planned]) -> Vec<Basis> {
        Vec::new()
    }

    /// May these edits be carried out? Asked before the first of them.
    ///
    /// # Errors
    /// The run is bound by a plan that does not have one of them.
    fn permits(&self, _edits: &[Planned]) -> Result<(), ModuleError> {
        Ok(())
    }

    /// The host as it is now.
    fn host(&self) -> &dyn Inspect;
}

/// Runs a module with untyped arguments.
pub fn execute<M: Module>(args: &Value, mode: Mode, applier: &mut dyn Applier) -> Outcome {
    let args = match from_value::<M::Args>(args) {
        Ok(args) => args,
        Err(error) => return Outcome::failure(error.to_string()),
    };
    run(&Typed::<M>(args), mode, applier).unwrap_or_else(failed)
}

fn failed(error: ModuleError) -> Outcome {
    let error = error.into_parts();
    if !error.unknown.is_empty() {
        return Outcome {
            fields: [("msg", error.msg)].into_iter().collect(),
            unknown: error.unknown,
            ..Outcome::default()
        };
    }
    Outcome {
        failed: Some(ModuleFailure {
            msg: error.msg,
            hint: error.hint,
        }),
        fields: error.fields,
        ..Outcome::default()
    }
}

fn run(module: &dyn Erased, mode: Mode, applier: &mut dyn Applier) -> Result<Outcome, ModuleError> {
    if mode.check && !module.check_mode() {
        let msg = format!(
            "remote module ({}) does not support check mode",
            module.name()
        );
        return Ok(Outcome {
            skipped: true,
            unforeseen: Some(if module.changes() {
                Unforeseen::Change
            } else {
                Unforeseen::NoChange
            }),
            deltas: vec![Delta::action(module.name(), "run")],
            fields: [("msg", msg)].into_iter().collect(),
            ..Outcome::default()
        });
    }
    if mode.check {
        return foresee(module, mode, applier);
    }
    let before = module.observe(applier.host())?;
    let plan = module.plan(&before)?;
    met(&plan, applier)?;
    if plan.is_empty() {
        let report = module.report(&nothing_done(&before, &before, &plan, false));
        return Ok(outcome(report, &plan, false, mode));
    }
    let mut done = Done {
        applied: Vec::new(),
        deltas: Vec::new(),
        changed: false,
    };
    let result = settle(module, &plan, applier, &mut done);
    let after = match result {
        Ok(after) => after,
        Err(error) => {
            let fields = module.failure_fields(&before, &error);
            let mut outcome = failed(error);
            outcome.fields.extend(&fields);
            outcome.changed = done.changed;
            outcome.deltas = shown(done.deltas.iter(), mode);
            // A warning often says why it failed: who holds a lock, what is held back.
            outcome.warnings.clone_from(&plan.warnings);
            return Ok(outcome);
        }
    };
    let first = &done.applied[..plan.edits.len().min(done.applied.len())];
    let ran = Happened {
        before: &before,
        after: &after,
        plan: &plan,
        applied: first,
        check: false,
    };
    let report = module.report(&ran);
    let mut outcome = outcome(report, &plan, done.changed, mode);
    outcome.deltas = shown(done.deltas.iter(), mode);
    if outcome.failed.is_none() {
        outcome.faults = applier.faults(&declared(&plan));
    }
    Ok(outcome)
}

/// What the programs of a plan declare.
fn declared(plan: &Plan) -> Vec<&Effect> {
    let runs = plan.edits.iter().filter_map(|it| match &it.edit {
        Edit::Run(run) => Some(run),
        _ => None,
    });
    runs.flat_map(|run| &run.effects).collect()
}

/// Check mode.
fn foresee(
    module: &dyn Erased,
    mode: Mode,
    applier: &mut dyn Applier,
) -> Result<Outcome, ModuleError> {
    match foreseen(module, mode, applier) {
        Err(error) if !error.unknown.is_empty() && applier.suppose() => {
            // What would be written is certain if nothing of what is there has a part in it.
            let supposed = foreseen(module, mode, applier).ok();
            supposed.filter(|it| it.changed).ok_or(error)
        }
        other => other,
    }
}

fn foreseen(
    module: &dyn Erased,
    mode: Mode,
    applier: &mut dyn Applier,
) -> Result<Outcome, ModuleError> {
    let before = module.observe(applier.host())?;
    let plan = module.plan(&before)?;
    met(&plan, applier)?;
    let mut report = module.report(&nothing_done(&before, &before, &plan, true));
    let changed = !plan.is_empty();
    let mut forecast = None;
    if plan.unpredictable && changed {
        applier.unforeseen();
    }
    if changed && report.failed.is_none() && (plan.unpredictable || !report.skipped) {
        forecast = mode.forecast.then(|| {
            let basis = applier.basis(&plan.edits);
            let edits = plan.edits.clone();
            Box::new(Forecast { edits, basis })
        });
    }
    if changed && report.failed.is_none() && !report.skipped && !plan.unpredictable {
        let shows = applier.preview(&plan.edits)?;
        // Numbers and paths that come of the change are return values, too.
        if let (true, Ok(after)) = (shows, module.observe(applier.host())) {
            report = module.report(&nothing_done(&before, &after, &plan, true));
        }
    }
    let outcome = outcome(report, &plan, changed, mode);
    let unforeseen = (changed && plan.unpredictable).then_some(Unforeseen::Change);
    Ok(Outcome {
        unforeseen,
        forecast,
        ..outcome
    })
}

fn nothing_done<'a>(
    before: &'a Seen,
    after: &'a Seen,
    plan: &'a Plan,
    check: bool,
) -> Happened<'a> {
    Happened {
        before,
        after,
        plan,
        applied: &[],
        check,
    }
}

/// Fails with what the plan lacks, unless an earlier task of a preview may bring it.
fn met(plan: &Plan, applier: &dyn Applier) -> Result<(), ModuleError> {
    let Some(lacks) = plan.unmet.first() else {
        return Ok(());
    };
    let mut error = ModuleError::new(lacks);
    error.unknown = applier.host().new_packages();
    error.unknown.extend(applier.host().unforeseen());
    Err(error)
}

struct Done {
    applied: Vec<Applied>,
    deltas: Vec<Delta>,
    changed: bool,
}

/// Applies plans until one is settled; gives the last observation.
fn settle(
    module: &dyn Erased,
    first: &Plan,
    applier: &mut dyn Applier,
    done: &mut Done,
) -> Result<Seen, ModuleError> {
    let mut plan = first.clone();
    for round in 0..ROUNDS_MAX {
        applier.permits(&plan.edits)?;
        for edit in &plan.edits {
            let always = matches!(&edit.edit, Edit::Run(run) if run.always);
            if round > 0 && always {
                continue;
            }
            let applied = applier.apply(edit)?;
            // A download may turn out to be what is there already.
            if !matches!(&applied, Applied::Fetched { changed: false, .. }) {
                done.changed = true;
                done.deltas.extend(edit.deltas.iter().cloned());
            }
            done.applied.push(applied);
        }
        let state = module.observe(applier.host())?;
        if first.once {
            return Ok(state);
        }
        plan = module.plan(&state)?;
        met(&plan, applier)?;
        if plan.is_settled() {
            return Ok(state);
        }
    }
    let left: Vec<String> = plan.deltas().take(5).map(describe).collect();
    Err(ModuleError::new(format!(
        "module `{}` applied its changes {ROUNDS_MAX} times and the host still differs: {}",
        module.name(),
        left.join("; ")
    ))
    .hint("something on the host undoes the change, or the module is at fault"))
}

/// A difference in one line, for messages.
pub fn describe(delta: &Delta) -> String {
    match &delta.change {
        Change::Field {
            name,
            before,
            after,
        } => {
            format!("{}: {name} {before} -> {after}", delta.subject)
        }
        Change::Text { .. } | Change::Opaque { .. } => format!("{}: content", delta.subject),
        Change::Action(what) => format!("{}: {what}", delta.subject),
    }
}

fn outcome(report: Report, plan: &Plan, changed: bool, mode: Mode) -> Outcome {
    let Report {
        fields,
        failed,
        skipped,
        changed: overruled,
        facts,
        warnings,
    } = report;
    Outcome {
        changed: overruled.unwrap_or(changed) && !skipped,
        skipped,
        failed,
        fields,
        facts,
        deltas: shown(plan.deltas(), mode),
        warnings: plan.warnings.iter().cloned().chain(warnings).collect(),
        incomplete: plan.incomplete && mode.check,
        ..Outcome::default()
    }
}

/// Texts travel only if somebody will look at them.
fn shown<'a>(deltas: impl Iterator<Item = &'a Delta>, mode: Mode) -> Vec<Delta> {
    let wanted = |delta: &&Delta| mode.diff || !matches!(delta.change, Change::Text { .. });
    deltas.filter(wanted).cloned().collect()
}
