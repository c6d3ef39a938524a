//! The scheduler at work: `hostler patch daemon`. A thread for each policy, so that none waits for another's run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_executor::{Interrupts, Level};
use hostler_history::{FactKind, RunFilter, RunRecord, RunState, Store};
use hostler_patch::ledger;
use hostler_patch::plan::{LeftOutCode, Plan, PlanId};
use hostler_rollout::{End, Entry, HaltCause, Note, Order, Stand};
use hostler_schedule::{Interval, Occurrence, merge};
use tokio::runtime::Handle;

use super::agenda::Agenda;
use super::diary::Diary;
use super::scheduler::{Planned, RunOfPlan, Scheduler, Wake, Worked, World};
use crate::apply::Audience;
use crate::keeping::{self, refused};
use crate::patch::apply::{
    PatchApplyRequest, PatchAudience, PatchRan, PatchStand, apply, finish, resume,
};
use crate::patch::book::{Book, body, fact};
use crate::patch::plan::{self as plans, PatchPlanRequest};
use crate::patch::{notes, policy};
use crate::plan::{now_us, time_words};
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode};
use crate::resume::{ResumeRequest, find_unfinished};

/// Newest runs of a policy among which the one of a plan is looked for.
const RUNS_MAX: usize = 100;
/// A clock that jumps, and an edited policy, are noticed after this long at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Who is started by a timer does not stay for what is further away than this.
const STAY: Duration = Duration::from_secs(600);
/// A run that waits for an approval is looked after so often by who is started by a timer.
const APPROVAL_US: i64 = 900_000_000;
/// Name of the window that stands for all windows of a policy, in plans that make up for a missed occurrence.
const ANY_WINDOW: &str = "any-window";

/// Which policies are attended to.
#[derive(Clone, Debug, Default)]
pub struct DaemonRequest {
    /// Inventory, connection, where runs are kept.
    pub given: ApplyRequest,
    /// The policies.
    pub policies: Vec<PathBuf>,
    /// Do what is due, and end.
    pub once: bool,
    /// The first wish lets hosts under way come to their end and ends the daemon.
    pub interrupts: Interrupts,
}

/// Who watches what the daemon does.
pub trait Audiences: Sync {
    /// Watches the making of a plan.
    fn planning(&self, sources: &SourceMap, interrupts: &Interrupts) -> Audience;
    /// Watches a run.
    fn carrying_out(
        &self,
        sources: &SourceMap,
        interrupts: &Interrupts,
        plan: &Plan,
    ) -> PatchAudience;
    /// A line for the log.
    fn tell(&self, text: &str);
}

/// Opens the windows of policies, until somebody wants an end. Must not be called inside of the runtime that the handle is of.
///
/// # Errors
/// A policy or the inventory is wrong, a policy has no window, two policies have one name; the run store cannot be used.
pub fn daemon(
    request: &DaemonRequest,
    runtime: &Handle,
    sources: &SourceMap,
    audiences: &dyn Audiences,
) -> Result<ExitCode, Refusal> {
    let mut names: Vec<String> = Vec::new();
    for path in &request.policies {
        let policed = policy::load(&request.given, path, sources)?;
        policed.hosts(&request.given)?;
        let agenda = Agenda::load(path, sources)?;
        if names.contains(&agenda.policy) {
            let text = format!("two policies have the name `{}`", agenda.policy);
            return Err(vec![Diagnostic::error("policy-name", text)].into());
        }
        names.push(agenda.policy);
    }
    let store = keeping::open(&request.given.state).map_err(|error| refused(&error))?;
    let world = Real {
        request,
        runtime,
        audiences,
        store: store.clone(),
    };
    let attend = |path: &PathBuf| {
        let mut scheduler = Scheduler::new(&world, Diary::new(store.clone()), path);
        if request.once {
            return scheduler.once();
        }
        scheduler.attend();
        true
    };
    let fine = std::thread::scope(|scope| {
        let threads = request
            .policies
            .iter()
            .map(|path| scope.spawn(move || attend(path)));
        let threads: Vec<_> = threads.collect();
        // All are waited for.
        let ends = threads.into_iter().map(|it| it.join().unwrap_or(false));
        let failed = ends.filter(|fine| !fine).count();
        failed == 0
    });
    Ok(if fine { ExitCode::Ok } else { ExitCode::Error })
}

struct Real<'a> {
    request: &'a DaemonRequest,
    runtime: &'a Handle,
    audiences: &'a dyn Audiences,
    store: Store,
}

impl Real<'_> {
    fn stay(&self) -> Option<Duration> {
        self.request.once.then_some(STAY)
    }

    fn plan_of(&self, id: &str) -> Result<Option<Plan>, String> {
        let fact = self.store.newest_fact(FactKind::Plan, id);
        let fact = fact.map_err(|error| error.to_string())?;
        Ok(fact.as_ref().and_then(body))
    }

    /// The newest run that carries out the plan.
    fn find_run(&self, plan: &str, policy: &str) -> Result<Option<RunRecord>, String> {
        let words = |error: hostler_history::StoreError| error.to_string();
        let filter = RunFilter {
            playbook: Some(policy.to_owned()),
            without_checks: true,
            limit: Some(RUNS_MAX),
            ..RunFilter::default()
        };
        for summary in self.store.runs(&filter).map_err(words)? {
            let record = self.store.run(&summary.run).map_err(words)?;
            if record
                .request
                .get("patch")
                .and_then(serde_json::Value::as_str)
                == Some(plan)
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn worked(ran: Result<PatchRan, Refusal>) -> Worked {
        let ran = match ran {
            Ok(ran) => ran,
            Err(refusal) => return Worked::Refused(words(&refusal.diagnostics)),
        };
        let run = ran.run;
        let how = match ran.stand {
            PatchStand::Stood(Stand::Waiting { until_us }) => {
                let until_us = until_us.unwrap_or_else(|| now_us() + APPROVAL_US);
                return Worked::Waits { run, until_us };
            }
            PatchStand::Broken(why) => return Worked::Refused(format!("run {run}: {why}")),
            PatchStand::Left => format!("run {run} was left: what hosts have begun they finish"),
            PatchStand::Stood(Stand::Ended(End::Halted(_))) => format!("run {run} is halted"),
            PatchStand::Stood(Stand::Ended(End::Aborted)) => format!("run {run} was aborted"),
            PatchStand::Stood(Stand::Ended(End::Complete)) => {
                let done =
                    |it: &&hostler_rollout::Outcome| matches!(it, hostler_rollout::Outcome::Done);
                let done = ran.outcomes.values().filter(done).count();
                format!(
                    "run {run} is complete: {done} of {} hosts are patched",
                    ran.outcomes.len()
                )
            }
        };
        Worked::Ended(how)
    }
}

impl World for Real<'_> {
    fn now_us(&self) -> i64 {
        now_us()
    }

    fn wait(&self, until_us: i64) -> Wake {
        let time = Duration::from_micros(u64::try_from(until_us - now_us()).unwrap_or(0));
        let time = time.min(LOOK_EVERY);
        self.runtime.block_on(async {
            tokio::select! {
                () = self.request.interrupts.reached(Level::Drain) => Wake::Stop,
                () = tokio::time::sleep(time) => Wake::Time,
            }
        })
    }

    fn stopping(&self) -> bool {
        self.request.interrupts.draining()
    }

    fn tell(&self, text: &str) {
        self.audiences.tell(text);
    }

    fn agenda(&self, policy: &Path) -> Result<Agenda, String> {
        Agenda::load(policy, &SourceMap::new()).map_err(|problems| words(&problems))
    }

    fn run_of(&self, plan: &str) -> Result<RunOfPlan, String> {
        let Some(kept) = self.plan_of(plan)? else {
            return Ok(RunOfPlan::Over);
        };
        let Some(record) = self.find_run(plan, &kept.policy_path)? else {
            let valid = kept.valid_until_us > now_us();
            return Ok(if valid {
                RunOfPlan::NotBegun
            } else {
                RunOfPlan::Over
            });
        };
        let summary = &record.summary;
        let run = summary.run.0.clone();
        if let (RunState::Running, Some(held)) = (summary.state, &summary.held) {
            return Ok(RunOfPlan::GoesOn(held.to_string()));
        }
        if !summary.resumable {
            return Ok(RunOfPlan::Over);
        }
        let entries = notes::read(&self.store, &summary.run);
        let entries = entries.map_err(|refusal| words(&refusal.diagnostics))?;
        Ok(match stop_of(&entries) {
            Stop::Closed => RunOfPlan::Over,
            // Its process is gone: hosts may be in the middle of something, and drained.
            Stop::Halted | Stop::Ordered if summary.exit_code.is_none() => RunOfPlan::CutOff(run),
            Stop::Halted | Stop::Ordered => RunOfPlan::Halted(run),
            Stop::None => {
                let left = [ExitCode::Deferred, ExitCode::Interrupted].map(|it| it as u8);
                let orderly = summary.exit_code.is_some_and(|it| left.contains(&it));
                if orderly && kept.valid_until_us <= now_us() {
                    RunOfPlan::Over
                } else {
                    RunOfPlan::Interrupted { run, orderly }
                }
            }
        })
    }

    fn plan(&self, policy: &Path, any_window: Option<&[Occurrence]>) -> Result<Planned, String> {
        let sources = SourceMap::new();
        let interrupts = &self.request.interrupts;
        let wanted = PatchPlanRequest {
            given: self.request.given.clone(),
            policy: policy.to_owned(),
            ..PatchPlanRequest::default()
        };
        let audience = self.audiences.planning(&sources, interrupts);
        let planned = self
            .runtime
            .block_on(plans::plan(&wanted, &sources, audience));
        let planned = planned.map_err(|refusal| words(&refusal.diagnostics))?;
        for it in &planned.warnings {
            self.tell(&format!("{}: {}", policy.display(), it.message));
        }
        let (plan, id) = match any_window {
            None => (planned.plan, planned.id),
            Some(windows) => in_any(planned.plan, windows)?,
        };
        let kept = plans::keep(&Book::new(self.store.clone()), &plan, &id);
        kept.map_err(|refusal| words(&refusal.diagnostics))?;
        Ok(Planned {
            id: id.0,
            hosts: plan.hosts.len(),
            left_out: plan.left_out.len(),
            silent: plan
                .left_out
                .values()
                .filter(|it| is_silent(it.code))
                .count(),
        })
    }

    fn apply(&self, plan: &str) -> Worked {
        let plan = match self.plan_of(plan) {
            Ok(Some(plan)) => plan,
            Ok(None) => return Worked::Refused("it is not kept any more".to_owned()),
            Err(why) => return Worked::Refused(why),
        };
        let sources = SourceMap::new();
        let request = PatchApplyRequest {
            given: self.request.given.clone(),
            approve: Vec::new(),
            stay: self.stay(),
            accept_changes: false,
        };
        let audience = self
            .audiences
            .carrying_out(&sources, &self.request.interrupts, &plan);
        Self::worked(
            self.runtime
                .block_on(apply(plan, &request, &sources, audience)),
        )
    }

    fn resume(&self, run: &str) -> Worked {
        self.go_on(run, true)
    }

    fn finish(&self, run: &str) -> Worked {
        self.go_on(run, false)
    }

    fn report_missed(&self, policy: &Path, ids: &[String]) -> Result<(), String> {
        let said = |refusal: Refusal| words(&refusal.diagnostics);
        let policed = policy::load(&self.request.given, policy, &SourceMap::new()).map_err(said)?;
        let missed = ledger::Missed {
            occurrence: ids.last().cloned().unwrap_or_default(),
            reason: "nobody opened its window".to_owned(),
        };
        let facts: Vec<_> = policed
            .members
            .targets
            .iter()
            .map(|host| fact(FactKind::Missed, host.clone(), None, &missed))
            .collect();
        Book::new(self.store.clone()).append(&facts).map_err(said)
    }
}

impl Real<'_> {
    /// `lift`: a halt that was ordered ends.
    fn go_on(&self, run: &str, lift: bool) -> Worked {
        let sources = SourceMap::new();
        let done = || -> Result<PatchRan, Refusal> {
            let unfinished = find_unfinished(&self.request.given.state, Some(run))?;
            let plan = crate::patch::apply::plan_of(&unfinished)?;
            let request = ResumeRequest {
                given: self.request.given.clone(),
                ..ResumeRequest::default()
            };
            let audience = self
                .audiences
                .carrying_out(&sources, &self.request.interrupts, &plan);
            let stay = self.stay();
            self.runtime.block_on(async {
                if lift {
                    resume(unfinished, request, Vec::new(), stay, &sources, audience).await
                } else {
                    finish(unfinished, request, &sources, audience).await
                }
            })
        };
        Self::worked(done())
    }
}

/// Why a run goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    None,
    /// By somebody's order; going on lifts it.
    Ordered,
    /// By failures or a gate; only accepting them lifts it.
    Halted,
    Closed,
}

/// A run that its own process halted because it was asked to end goes on by itself. What people, gates and failures have
/// halted does not.
fn stop_of(entries: &[Entry]) -> Stop {
    let mut stop = Stop::None;
    let mut by_process = false;
    let mut halted = false;
    for entry in entries {
        match &entry.note {
            Note::Ordered { id, order, .. } => match order {
                Order::Halt { .. } => by_process = id.starts_with("interrupt-"),
                // Somebody has decided, also of a run that its process had halted.
                Order::Rollback { .. } => {
                    by_process = false;
                    if halted && stop == Stop::None {
                        stop = Stop::Ordered;
                    }
                }
                Order::Resume { accept_failures } if *accept_failures || stop == Stop::Ordered => {
                    stop = Stop::None;
                    halted = false;
                }
                Order::Resume { .. } => halted &= stop == Stop::Halted,
                Order::Abort { .. } => by_process = false,
                Order::Approve { .. } => {}
            },
            Note::Halted { cause } => {
                halted = true;
                match cause {
                    HaltCause::Ordered { .. } if by_process => {}
                    HaltCause::Ordered { .. } => stop = Stop::Ordered,
                    _ => stop = Stop::Halted,
                }
            }
            Note::Closed { .. } => return Stop::Closed,
            _ => {}
        }
    }
    stop
}

fn is_silent(code: LeftOutCode) -> bool {
    matches!(code, LeftOutCode::Unreachable | LeftOutCode::ScanFailed)
}

/// The plan with all its waves in any window of the policy.
fn in_any(mut plan: Plan, windows: &[Occurrence]) -> Result<(Plan, PlanId), String> {
    let all = merge(windows.iter().flat_map(|it| it.open.clone()).collect());
    let occurrence = |it: Interval| Occurrence {
        id: format!("{}/{ANY_WINDOW}/{}", plan.policy, time_words(it.start_us)),
        window: ANY_WINDOW.to_owned(),
        whole: it,
        open: vec![it],
        remarks: Vec::new(),
    };
    let all = all
        .into_iter()
        .filter(|it| it.start_us < plan.valid_until_us);
    let all: Vec<Occurrence> = all.map(occurrence).collect();
    plan.windows.insert(ANY_WINDOW.to_owned(), all);
    for wave in plan.waves.iter_mut().filter(|it| it.window.is_some()) {
        wave.window = Some(ANY_WINDOW.to_owned());
    }
    let id = plan.id().map_err(|error| error.to_string())?;
    Ok((plan, id))
}

fn words(problems: &[Diagnostic]) -> String {
    let errors = problems.iter().filter(|it| it.is_error());
    let one = |it: &Diagnostic| match it.hints.first() {
        Some(hint) => format!("{} ({hint})", it.message),
        None => it.message.clone(),
    };
    errors.map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(notes: &[Note]) -> Stop {
        let entries: Vec<Entry> = notes.iter().map(|it| Entry::new(0, it.clone())).collect();
        stop_of(&entries)
    }

    fn order(id: &str, order: Order) -> Note {
        Note::Ordered {
            id: id.to_owned(),
            by: "me".to_owned(),
            order,
        }
    }

    #[test]
    fn who_was_asked_to_end_goes_on_and_who_was_halted_does_not() {
        let halt = || Order::Halt {
            reason: String::new(),
        };
        let halted = || Note::Halted {
            cause: HaltCause::Ordered {
                by: String::new(),
                reason: String::new(),
            },
        };
        let red = || Note::Halted {
            cause: HaltCause::Gate {
                wave: 0,
                evidence: String::new(),
            },
        };
        let resume = |accept_failures| order("own", Order::Resume { accept_failures });
        let by_process = || order("interrupt-1", halt());
        let by_person = || order("order-1", halt());
        assert_eq!(stopped(&[by_process(), halted()]), Stop::None);
        assert_eq!(stopped(&[by_person(), halted()]), Stop::Ordered);
        assert_eq!(stopped(&[by_person(), halted(), resume(false)]), Stop::None);
        assert_eq!(
            stopped(&[by_process(), halted(), resume(false), by_person(), halted()]),
            Stop::Ordered
        );
        let rollback = || order("order-2", Order::Rollback { hosts: Vec::new() });
        assert_eq!(
            stopped(&[by_process(), halted(), rollback()]),
            Stop::Ordered
        );
        assert_eq!(
            stopped(&[by_process(), halted(), resume(false), rollback(), halted()]),
            Stop::Ordered
        );
        assert_eq!(
            stopped(&[by_process(), halted(), rollback(), resume(false)]),
            Stop::None
        );
        assert_eq!(stopped(&[red()]), Stop::Halted);
        assert_eq!(stopped(&[red(), resume(false)]), Stop::Halted);
        assert_eq!(stopped(&[red(), resume(true)]), Stop::None);
        let end = hostler_rollout::RunEnd::Complete;
        assert_eq!(stopped(&[red(), Note::Closed { end }]), Stop::Closed);
    }
}
