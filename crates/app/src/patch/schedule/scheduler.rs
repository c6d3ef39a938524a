//! Opens the windows of a policy, each occurrence once: looks at the clock, plans, carries out.
//!
//! ```text
//! agenda ─┬─ a run that was interrupted, and a window is open ──> resume it
//!         ├─ an occurrence opened, its plan never begun ────────> carry that plan out
//!         └─ an occurrence that is due ── plan ── open (durable) ─> carry out
//! ```
//!
//! An occurrence is opened in the run store before anything is done in it, with the id of the plan. So after a crash at any
//! point the same plan goes on, and a second scheduler finds it opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_history::StoreError;
use hostler_schedule::{Due, MissedRule, Occurrence, Opening, Watch, due, duration_text};

use super::agenda::Agenda;
use super::diary::{Diary, OpenedOccurrence};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
/// What another process does is looked after so often.
const LOOK_EVERY_US: i64 = 60 * SECOND_US;
/// After something went wrong it is tried again after this long.
const AGAIN_AFTER_US: i64 = 300 * SECOND_US;
/// Occurrences that are longer past are nobody's business any more.
const BACK_US: i64 = 60 * DAY_US;
/// The next occurrence is looked for so far ahead. Those further away are found when they are nearer.
const AHEAD_US: i64 = 40 * DAY_US;
/// Who finds an occurrence open for longer than this says so.
const LATE_US: i64 = 120 * SECOND_US;

/// A plan that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Its id.
    pub(crate) id: String,
    /// Hosts that it patches.
    pub(crate) hosts: usize,
    /// Hosts of the policy that it leaves out.
    pub(crate) left_out: usize,
    /// Hosts among these that did not answer.
    pub(crate) silent: usize,
}

/// How a run of a plan stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunOfPlan {
    /// There is none, and the plan can still be carried out.
    NotBegun,
    /// It was stopped on the way, or left to wait for a window: it can go on.
    Interrupted {
        /// The run.
        run: String,
        /// It was left in order: no host of it is in the middle of anything.
        orderly: bool,
    },
    /// It was halted: somebody must decide.
    Halted(String),
    /// It was halted, and its process died before hosts had come to their end.
    CutOff(String),
    /// Another process has it.
    GoesOn(String),
    /// It is over, or can never be.
    Over,
}

/// How work came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    /// It came to an end: in words, how.
    Ended(String),
    /// It waits for a window and was left until then.
    Waits {
        /// The run.
        run: String,
        /// Microseconds since the epoch.
        until_us: i64,
    },
    /// It could not be done now: in words, why.
    Refused(String),
}

/// What woke a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Time,
    Stop,
}

/// What a scheduler needs of the world.
pub(crate) trait World {
    fn now_us(&self) -> i64;
    /// Waits until the time, or for a shorter while, or until somebody wants an end.
    fn wait(&self, until_us: i64) -> Wake;
    fn stopping(&self) -> bool;
    /// A line for the log.
    fn tell(&self, text: &str);
    fn agenda(&self, policy: &Path) -> Result<Agenda, String>;
    fn run_of(&self, plan: &str) -> Result<RunOfPlan, String>;
    /// Makes a plan and keeps it. In `any_window` its waves may run in each of these stretches of time.
    fn plan(&self, policy: &Path, any_window: Option<&[Occurrence]>) -> Result<Planned, String>;
    /// Carries out a plan that was kept, to its end.
    fn apply(&self, plan: &str) -> Worked;
    /// Goes on with a run.
    fn resume(&self, run: &str) -> Worked;
    /// Brings hosts of a halted run to their end. It stays halted.
    fn finish(&self, run: &str) -> Worked;
    /// Notes that the hosts of the policy missed occurrences, for reports.
    fn report_missed(&self, policy: &Path, ids: &[String]) -> Result<(), String>;
}

/// Attends to one policy.
pub(crate) struct Scheduler<'a, W: World> {
    world: &'a W,
    diary: Diary,
    policy: &'a Path,
    /// Nothing is tried before this time, since something went wrong.
    not_before_us: i64,
    /// Runs that wait for a window, until when.
    waiting: BTreeMap<String, i64>,
    /// Plans whose runs are over: they stay so.
    over: BTreeSet<String>,
    /// What was said since something last happened, so that it is not said each minute.
    said: BTreeSet<String>,
}

/// What came of looking once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// Something was done: look again.
    Worked,
    /// Nothing is to be done before this time.
    Idle(i64),
}

impl<'a, W: World> Scheduler<'a, W> {
    pub(crate) fn new(world: &'a W, diary: Diary, policy: &'a Path) -> Self {
        Scheduler {
            world,
            diary,
            policy,
            not_before_us: i64::MIN,
            waiting: BTreeMap::new(),
            over: BTreeSet::new(),
            said: BTreeSet::new(),
        }
    }

    /// Opens windows until somebody wants an end.
    pub(crate) fn attend(&mut self) {
        while !self.world.stopping() {
            if let Looked::Idle(until_us) = self.look()
                && self.world.wait(until_us) == Wake::Stop
            {
                break;
            }
        }
    }

    /// Does what is due now, and ends. False: something could not be done.
    pub(crate) fn once(&mut self) -> bool {
        while !self.world.stopping() {
            if let Looked::Idle(_) = self.look() {
                break;
            }
        }
        self.not_before_us == i64::MIN
    }

    /// Looks at the clock and does what is due.
    pub(crate) fn look(&mut self) -> Looked {
        let now_us = self.world.now_us();
        if now_us < self.not_before_us {
            return Looked::Idle(self.not_before_us);
        }
        self.not_before_us = i64::MIN;
        match self.try_look(now_us) {
            Ok(looked) => looked,
            Err(why) => self.later(now_us, &why),
        }
    }

    fn later(&mut self, now_us: i64, why: &str) -> Looked {
        self.say(&format!(
            "{why}; tried again in {}",
            duration_text(AGAIN_AFTER_US.unsigned_abs() / 1_000_000)
        ));
        self.not_before_us = now_us + AGAIN_AFTER_US;
        Looked::Idle(self.not_before_us)
    }

    /// Says it, unless it was said since something last happened.
    fn say(&mut self, text: &str) {
        if self.said.insert(text.to_owned()) {
            self.world
                .tell(&format!("{}: {text}", self.policy.display()));
        }
    }

    fn try_look(&mut self, now_us: i64) -> Result<Looked, String> {
        let agenda = self.world.agenda(self.policy)?;
        let words = |error: StoreError| error.to_string();
        let known_since_us = self.diary.known_since(&agenda, now_us).map_err(words)?;
        let from_us = known_since_us.max(now_us - BACK_US);
        let opened = self
            .diary
            .opened(&agenda.policy, from_us - 7 * DAY_US)
            .map_err(words)?;
        let ids: BTreeSet<String> = opened.iter().map(|it| it.id.clone()).collect();
        let starts = agenda.starts(from_us, now_us + AHEAD_US);
        let any = agenda.all(now_us, now_us + AHEAD_US);
        let watch = Watch {
            rule: agenda.missed,
            known_since_us,
            starts: &starts,
            any: &any,
            opened: &ids,
        };
        let due = due(watch, now_us);
        if !due.missed.is_empty() {
            self.missed(&agenda, &due.missed, now_us)?;
        }
        if let Some(looked) = self.unfinished(&agenda, &opened, &due, now_us)? {
            return Ok(looked);
        }
        if let Some(opening) = due.open {
            return self.open(&agenda, &opening, &any);
        }
        self.say_next(&agenda, due.next_us);
        Ok(Looked::Idle(due.next_us.unwrap_or(now_us + DAY_US)))
    }

    fn say_next(&mut self, agenda: &Agenda, next_us: Option<i64>) {
        let window = agenda.first();
        let text = match next_us {
            Some(at_us) => format!("the next window opens at {}", window.zone().show(at_us)),
            None => format!(
                "the window `{}` does not open within {}",
                window.name(),
                duration_text(AHEAD_US.unsigned_abs() / 1_000_000)
            ),
        };
        self.say(&text);
    }

    fn missed(&mut self, agenda: &Agenda, ids: &[String], now_us: i64) -> Result<(), String> {
        if agenda.missed == MissedRule::Report {
            self.world.report_missed(self.policy, ids)?;
        }
        self.diary.miss(ids, now_us).map_err(|it| it.to_string())?;
        for id in ids {
            self.say(&format!(
                "nobody opened {id}, and it is over: it stays missed"
            ));
        }
        Ok(())
    }

    /// Goes on with what was opened before and is not over. As long as a run of the policy is not, an occurrence that is due is
    /// its: the run works in it, and there is no second one beside it.
    fn unfinished(
        &mut self,
        agenda: &Agenda,
        opened: &[OpenedOccurrence],
        due: &Due,
        now_us: i64,
    ) -> Result<Option<Looked>, String> {
        for it in opened.iter().rev() {
            if it.plan.is_empty() || self.over.contains(&it.plan) {
                continue;
            }
            match self.world.run_of(&it.plan)? {
                RunOfPlan::Over => {
                    self.over.insert(it.plan.clone());
                }
                RunOfPlan::GoesOn(by) => {
                    self.say(&format!("{} is worked on by another process: {by}", it.id));
                    return Ok(Some(Looked::Idle(now_us + LOOK_EVERY_US)));
                }
                RunOfPlan::Halted(run) => {
                    // It stays as it is. A later occurrence makes a plan of its own.
                    self.say(&format!(
                        "run {run} of {} is halted: `hostler patch show {run}` says why, `hostler patch resume {run}` goes on",
                        it.id
                    ));
                }
                RunOfPlan::Interrupted { run, orderly } => {
                    if let Some(opening) = &due.open {
                        self.take_over(opening, it, &run, now_us)?;
                    } else if let Some(until_us) = self.waits(agenda, &run, orderly, now_us) {
                        self.say(&format!("run {run} of {} waits for its window", it.id));
                        let next_us = due.next_us.unwrap_or(i64::MAX);
                        return Ok(Some(Looked::Idle(until_us.min(next_us))));
                    }
                    self.say(&format!("goes on with run {run} of {}", it.id));
                    let worked = self.world.resume(&run);
                    return Ok(Some(self.worked(agenda, now_us, &it.plan, worked)));
                }
                RunOfPlan::CutOff(run) => {
                    self.say(&format!(
                        "run {run} of {} is halted, and was cut off: what is under way and owed comes to its end",
                        it.id
                    ));
                    let worked = self.world.finish(&run);
                    return Ok(Some(self.worked(agenda, now_us, &it.plan, worked)));
                }
                RunOfPlan::NotBegun => {
                    self.say(&format!(
                        "{} was opened, and its plan {} not begun: it is carried out now",
                        it.id, it.plan
                    ));
                    let worked = self.world.apply(&it.plan);
                    return Ok(Some(self.worked(agenda, now_us, &it.plan, worked)));
                }
            }
        }
        Ok(None)
    }

    /// Until when a run needs no looking after; `None`: it is to go on now.
    fn waits(&self, agenda: &Agenda, run: &str, orderly: bool, now_us: i64) -> Option<i64> {
        match self.waiting.get(run) {
            Some(until_us) => (*until_us > now_us).then_some(*until_us),
            None => (orderly && !agenda.is_open(now_us)).then_some(now_us + LOOK_EVERY_US),
        }
    }

    /// The occurrence that is due is one for a run of an earlier one.
    fn take_over(
        &mut self,
        due: &Opening,
        earlier: &OpenedOccurrence,
        run: &str,
        now_us: i64,
    ) -> Result<(), String> {
        let opened = self
            .diary
            .open(&due.id, &due.makes_up_for, &earlier.plan, now_us);
        if opened.map_err(|it| it.to_string())? {
            self.waiting.remove(run);
            self.say(&format!("opens {} for run {run} of {}", due.id, earlier.id));
        }
        Ok(())
    }

    fn open(
        &mut self,
        agenda: &Agenda,
        opening: &Opening,
        any: &[Occurrence],
    ) -> Result<Looked, String> {
        self.say(&said_of(agenda, opening));
        let elsewhere = opening.within.id != opening.id;
        let planned = self.world.plan(self.policy, elsewhere.then_some(any))?;
        if self.world.stopping() {
            return Ok(Looked::Idle(self.world.now_us()));
        }
        let now_us = self.world.now_us();
        let is_open = opening.within.open.iter().any(|it| it.holds(now_us));
        if !is_open {
            return Err(format!(
                "{} was over before its plan was made",
                opening.within.id
            ));
        }
        if planned.hosts == 0 && planned.silent > 0 {
            return Err(format!(
                "{}: nothing can be planned, {} of {} hosts do not answer",
                opening.id, planned.silent, planned.left_out
            ));
        }
        let plan = if planned.hosts == 0 { "" } else { &planned.id };
        let opened = self
            .diary
            .open(&opening.id, &opening.makes_up_for, plan, now_us);
        if !opened.map_err(|it| it.to_string())? {
            self.say(&format!("{} was opened by another process", opening.id));
            return Ok(Looked::Worked);
        }
        if planned.hosts == 0 {
            self.say(&format!(
                "{}: nothing is to be done ({} hosts are left out)",
                opening.id, planned.left_out
            ));
            return Ok(Looked::Worked);
        }
        self.say(&format!(
            "{}: plan {} for {} hosts, {} are left out",
            opening.id, planned.id, planned.hosts, planned.left_out
        ));
        for wave in &agenda.approvals {
            self.say(&format!(
                "the wave `{wave}` waits until somebody approves it: `hostler patch approve {} {wave}`",
                planned.id
            ));
        }
        let worked = self.world.apply(&planned.id);
        Ok(self.worked(agenda, now_us, &planned.id, worked))
    }

    /// After work that began at `since_us`: what opened meanwhile is the run's, too.
    fn worked(&mut self, agenda: &Agenda, since_us: i64, plan: &str, worked: Worked) -> Looked {
        let now_us = self.world.now_us();
        if !matches!(worked, Worked::Refused(_)) {
            for it in agenda.starts(since_us, now_us) {
                // What cannot be written now is noticed at the next look, which needs the store first of all.
                let _ = self.diary.open(&it.id, &[], plan, now_us);
            }
        }
        match worked {
            Worked::Ended(how) => {
                self.said.clear();
                self.say(&how);
                Looked::Worked
            }
            Worked::Waits { run, until_us } => {
                self.said.clear();
                self.waiting.insert(run, until_us);
                Looked::Worked
            }
            Worked::Refused(why) => self.later(now_us, &format!("plan {plan}: {why}")),
        }
    }
}

fn said_of(agenda: &Agenda, opening: &Opening) -> String {
    let zone = agenda.first().zone();
    let end = opening.within.open.last().map(|it| zone.show(it.end_us));
    let end = end.unwrap_or_default();
    let mut text = if opening.within.id == opening.id {
        format!("opens {}, until {end}", opening.id)
    } else {
        format!(
            "makes up for {} in {}, until {end}",
            opening.id, opening.within.id
        )
    };
    if opening.late_us > LATE_US && opening.within.id == opening.id {
        let late = opening.late_us.unsigned_abs() / 60_000_000 * 60;
        text = format!("{text} ({} late)", duration_text(late));
    }
    text
}
