//! Carrying out a plan, and going on with that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::{Counts, Recap, Reporter, RunEvent};
use hostler_executor::{Interrupts, Level, Limits};
use hostler_history::FactKind;
use hostler_patch::plan::{Plan, PlanId};
use hostler_rollout::{
    Clock, End, Entry, Machine, Note, Order, Outcome, Stand, SystemClock, World, drive,
};
use sha2::Digest;

use super::aftermath;
use super::book::{Book, body};
use super::crew::Crew;
use super::hosts::{PatchHosts, QuietGates};
use super::notes::{self, StoredNotes, StoredOrders, Watch};
use super::{outcome, plan as plans};
use crate::apply::{Audience, Terms, secrets};
use crate::connecting::ssh_config;
use crate::engine::Engine;
use crate::inputs::{self, Inputs};
use crate::keeping::{self, Keeping, Subject, refused, who};
use crate::plan::{hex, now_us, time_words};
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode};
use crate::resume::{Again, ResumeRequest, Unfinished};

/// How often orders are looked for, microseconds.
const ORDERS_EVERY_US: i64 = 2_000_000;

/// Is told notes, some at a time.
pub type WatchAll = Box<dyn FnMut(&[Entry]) + Send>;

/// Who watches a patch run, and can stop it.
pub struct PatchAudience {
    /// Are told what tasks do on hosts, which is more than people want to read.
    pub reporters: Vec<Box<dyn Reporter>>,
    /// The user's wishes: the first lets hosts under way come to their end, the second leaves.
    pub interrupts: Interrupts,
    /// Is told, in a line, what is waited for before the run begins.
    pub tell: Box<dyn Fn(&str) + Send + Sync>,
    /// Is told notes: those of before first, in one piece, then each when it is written.
    pub watch: WatchAll,
}

/// How a plan is carried out.
#[derive(Clone, Debug, Default)]
pub struct PatchApplyRequest {
    /// Inventory, connection, where runs are kept, locks.
    pub given: ApplyRequest,
    /// Waves that are approved from the start.
    pub approve: Vec<String>,
    /// Do not stay for a window that is further away than this; the run is then resumed later. `None`: stay.
    pub stay: Option<Duration>,
    /// Carry it out although the policy has changed since.
    pub accept_changes: bool,
}

/// What came of carrying out a plan.
pub struct PatchRan {
    /// The run.
    pub run: String,
    /// How it stands.
    pub stand: PatchStand,
    /// Outcomes of hosts so far.
    pub outcomes: BTreeMap<String, Outcome>,
    /// The exit status.
    pub exit: ExitCode,
}

/// How a patch run stands when the program goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchStand {
    /// The driver came to an end.
    Stood(Stand),
    /// The user left it; hosts finish what they have begun.
    Left,
    /// It could not go on: the words say why.
    Broken(String),
}

/// Reads a plan file. It comes from outside, and is checked like any input.
///
/// # Errors
/// It cannot be read, or is not a plan of a form that this version knows.
pub fn read_plan_file(path: &Path) -> Result<(Plan, PlanId), Refusal> {
    let refuse = |text: String| {
        Refusal::new(
            ExitCode::UnreachableOrInput,
            Diagnostic::error("patch-plan", text),
        )
    };
    let file = std::fs::File::open(path);
    let file = file.map_err(|error| refuse(format!("cannot read {}: {error}", path.display())))?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(
        &mut std::io::Read::take(file, hostler_patch::file::PLAN_BYTES_MAX as u64 + 1),
        &mut bytes,
    )
    .map_err(|error| refuse(format!("cannot read {}: {error}", path.display())))?;
    let read = hostler_patch::file::read(&bytes);
    let (plan, id) = read.map_err(|error| refuse(format!("{}: {error}", path.display())))?;
    Ok((plan, id))
}

/// Carries out a plan.
///
/// # Errors
/// The plan is over or does not fit the inventory, hosts are locked by other runs, the store cannot be written. Nothing was
/// contacted then.
pub async fn apply(
    plan: Plan,
    request: &PatchApplyRequest,
    sources: &SourceMap,
    audience: PatchAudience,
) -> Result<PatchRan, Refusal> {
    let id = plan.id().map_err(|error| refuse(error.to_string()))?;
    fits(&plan, request.accept_changes)?;
    let given = as_kept(&request.given, &plan);
    let inputs = load(&given, &plan, sources)?;
    let book = Book::new(keeping::open(&given.state).map_err(|error| refused(&error))?);
    plans::keep(&book, &plan, &id)?;
    let keeping = Keeping::Patch { plan: id.0.clone() };
    let approve = request
        .approve
        .iter()
        .cloned()
        .map(|wave| Order::Approve { wave });
    let session = Session {
        plan: Arc::new(plan),
        id,
        given: &given,
        inputs: &inputs,
        book,
        orders: approve.collect(),
        stay: request.stay,
        before: Vec::new(),
    };
    session.run(keeping, sources, audience).await
}

/// Goes on with a patch run. `orders` are given to it first.
///
/// # Errors
/// As [`apply`]; inputs have changed since.
pub async fn resume(
    unfinished: Unfinished,
    request: ResumeRequest,
    mut orders: Vec<Order>,
    stay: Option<Duration>,
    sources: &SourceMap,
    audience: PatchAudience,
) -> Result<PatchRan, Refusal> {
    let before = notes::read(&unfinished.store, &unfinished.record.summary.run)?;
    if was_stopped(&before) {
        let go_on = Order::Resume {
            accept_failures: false,
        };
        orders.insert(0, go_on);
    }
    go_on(unfinished, request, orders, stay, sources, audience).await
}

/// Brings the hosts of a halted run, whose process has died, to their end. It stays halted.
///
/// # Errors
/// As [`resume`].
pub(crate) async fn finish(
    unfinished: Unfinished,
    request: ResumeRequest,
    sources: &SourceMap,
    audience: PatchAudience,
) -> Result<PatchRan, Refusal> {
    go_on(unfinished, request, Vec::new(), None, sources, audience).await
}

async fn go_on(
    unfinished: Unfinished,
    request: ResumeRequest,
    orders: Vec<Order>,
    stay: Option<Duration>,
    sources: &SourceMap,
    audience: PatchAudience,
) -> Result<PatchRan, Refusal> {
    let Unfinished {
        store,
        record,
        stored,
        ..
    } = unfinished;
    let plan_id = stored.patch.clone().unwrap_or_default();
    let fact = store
        .newest_fact(FactKind::Plan, &plan_id)
        .map_err(|error| refused(&error))?;
    let plan: Plan = fact.as_ref().and_then(body).ok_or_else(|| {
        refuse(format!(
            "the plan {plan_id} of this run is not in the run store any more"
        ))
    })?;
    let before = notes::read(&store, &record.summary.run)?;
    let given = as_kept(&stored.request(&request.given), &plan);
    let inputs = load(&given, &plan, sources)?;
    let session = Session {
        plan: Arc::new(plan),
        id: PlanId(plan_id),
        given: &given,
        inputs: &inputs,
        book: Book::new(store.clone()),
        orders,
        stay,
        before,
    };
    let again = Again {
        store,
        record,
        stored,
        refused: BTreeSet::new(),
        accept_changes: request.accept_changes,
        rerun_unknown: request.rerun_unknown,
    };
    session
        .run(Keeping::Again(Box::new(again)), sources, audience)
        .await
}

/// Did somebody halt the run, and nobody let it go on since?
fn was_stopped(entries: &[Entry]) -> bool {
    let mut stopped = false;
    for entry in entries {
        match &entry.note {
            Note::Halted {
                cause: hostler_rollout::HaltCause::Ordered { .. },
            } => stopped = true,
            Note::Ordered {
                order: Order::Resume { .. },
                ..
            } => stopped = false,
            _ => {}
        }
    }
    stopped
}

/// The plan that a run carries out.
///
/// # Errors
/// It is no patch run, or its plan is not kept any more.
pub fn plan_of(unfinished: &Unfinished) -> Result<Plan, Refusal> {
    let Some(id) = &unfinished.stored.patch else {
        let text = format!(
            "run {} does not patch: `hostler resume` goes on with it",
            unfinished.record.summary.run.0
        );
        return Err(refuse(text));
    };
    kept_plan(&unfinished.store, id)
}

pub(super) fn kept_plan(store: &hostler_history::Store, id: &str) -> Result<Plan, Refusal> {
    let fact = store
        .newest_fact(FactKind::Plan, id)
        .map_err(|error| refused(&error))?;
    let plan = fact.as_ref().and_then(body);
    plan.ok_or_else(|| {
        refuse(format!(
            "the plan {id} of this run is not in the run store any more"
        ))
    })
}

fn refuse(text: String) -> Refusal {
    Refusal::new(
        ExitCode::UnreachableOrInput,
        Diagnostic::error("patch-plan", text),
    )
}

/// May the plan be carried out now?
fn fits(plan: &Plan, accept_changes: bool) -> Result<(), Refusal> {
    if hostler_patch::file::expired(plan, now_us()) {
        return Err(refuse(format!(
            "the plan expired at {}: make a new one",
            time_words(plan.valid_until_us)
        )));
    }
    let now = std::fs::read(&plan.policy_path);
    let same = now.is_ok_and(|text| {
        hex(&<[u8; 32]>::from(sha2::Sha256::digest(&text))) == plan.policy_sha256
    });
    if same || accept_changes {
        return Ok(());
    }
    let text = format!(
        "the policy {} is not any more what the plan was made of",
        plan.policy_path
    );
    let hint = "make a new plan; with --accept-changes this one is carried out all the same";
    Err(Refusal::new(
        ExitCode::UnreachableOrInput,
        Diagnostic::error("patch-plan", text).hint(hint),
    ))
}

/// The request as it is kept: the policy stands where runs have their playbooks.
fn as_kept(given: &ApplyRequest, plan: &Plan) -> ApplyRequest {
    let reconnect =
        Duration::from_secs(u64::from(plan.procedure.reboot_timeout_s)).max(given.limits.reconnect);
    ApplyRequest {
        playbooks: vec![PathBuf::from(&plan.policy_path)],
        limits: Limits {
            reconnect,
            host: None,
            ..given.limits
        },
        ..given.clone()
    }
}

fn load(given: &ApplyRequest, plan: &Plan, sources: &SourceMap) -> Result<Inputs, Refusal> {
    let bare = ApplyRequest {
        playbooks: Vec::new(),
        limit: None,
        ..given.clone()
    };
    let inputs = inputs::load(&bare, sources)?;
    let inventory = &inputs.loaded.inventory;
    let missing: Vec<&String> = plan
        .hosts
        .keys()
        .filter(|host| inventory.host(host).is_none())
        .collect();
    match missing.first() {
        None => Ok(inputs),
        Some(first) => {
            let text = format!(
                "{first} (and {} more hosts of the plan) is not in the inventory",
                missing.len() - 1
            );
            let problem = Diagnostic::error("patch-plan", text)
                .hint("name the inventory that the plan was made from: -i INVENTORY");
            Err(Refusal::new(ExitCode::UnreachableOrInput, problem))
        }
    }
}

/// A plan that is carried out now.
struct Session<'a> {
    plan: Arc<Plan>,
    id: PlanId,
    given: &'a ApplyRequest,
    inputs: &'a Inputs,
    book: Book,
    orders: Vec<Order>,
    stay: Option<Duration>,
    before: Vec<Entry>,
}

impl Session<'_> {
    async fn run(
        self,
        keeping: Keeping,
        sources: &SourceMap,
        audience: PatchAudience,
    ) -> Result<PatchRan, Refusal> {
        let (config, problems) = ssh_config(self.given)?;
        let hosts: Vec<String> = self.plan.hosts.keys().cloned().collect();
        let subject = Subject {
            request: self.given,
            sources,
            files: BTreeSet::new(),
            hosts: hosts.clone(),
        };
        let PatchAudience {
            reporters,
            interrupts,
            tell,
            mut watch,
        } = audience;
        // Of its own: a wish to stop ends the rollout, not the steps of hosts that are under way.
        let inner = Interrupts::default();
        let inner_audience = Audience {
            reporters,
            interrupts: inner.clone(),
            tell,
        };
        let terms = Terms {
            mask: hostler_preview::Mask::new(secrets(self.given)),
            keeping,
            ..Terms::default()
        };
        let engine = Engine::start(&subject, self.inputs, config, inner_audience, terms).await?;
        engine.tell_warnings(self.inputs, problems);
        engine.emit(RunEvent::PlayStarted {
            name: format!("Patch {}", self.plan.policy),
            number: 1,
            hosts,
            batch: None,
        });
        watch(&self.before);
        let stand = engine
            .watched(self.drive(&engine, watch, &interrupts, &inner))
            .await;
        let stand = stand.unwrap_or_else(PatchStand::Broken);
        self.end(engine, stand).await
    }

    async fn drive(
        &self,
        engine: &Engine,
        mut watch: WatchAll,
        interrupts: &Interrupts,
        inner: &Interrupts,
    ) -> PatchStand {
        let broken = |text: String| PatchStand::Broken(text);
        let Some(writer) = engine.kept().writer() else {
            return broken("the run is not kept".into());
        };
        let run = writer.run().clone();
        let crew = match Crew::new(
            engine.run.clone(),
            self.inputs.catalog.clone(),
            Path::new(&self.plan.policy_path),
            engine.hidden(),
        ) {
            Ok(crew) => crew,
            Err(problems) => {
                return broken(
                    problems
                        .iter()
                        .map(|it| it.message.clone())
                        .collect::<Vec<_>>()
                        .join("; "),
                );
            }
        };
        let hosts = Arc::new(PatchHosts::new(
            engine.run.clone(),
            crew,
            self.plan.hosts.keys(),
        ));
        let mut machine = Machine::new(self.plan.clone(), self.id.clone(), run.0.clone(), who());
        for entry in &self.before {
            if let Err(misfit) = machine.take(entry) {
                return broken(misfit.to_string());
            }
        }
        let told: Watch = Box::new(move |entry| watch(std::slice::from_ref(entry)));
        let orders = StoredOrders::new(
            self.book.store().clone(),
            &run,
            &self.id.0,
            interrupts.clone(),
            self.orders.clone(),
        );
        let world = World {
            gates: Arc::new(QuietGates::new(hosts.clone())),
            hosts,
            clock: Arc::new(SystemClock) as Arc<dyn Clock>,
            notes: Box::new(StoredNotes::new(writer.clone(), told)),
            orders: Box::new(orders),
            orders_every_us: ORDERS_EVERY_US,
            stay_us: self
                .stay
                .map(|it| i64::try_from(it.as_micros()).unwrap_or(i64::MAX)),
        };
        let by = who();
        let driven = drive(&mut machine, world, &by);
        tokio::select! {
            stand = driven => match stand {
                Ok(stand) => PatchStand::Stood(stand),
                Err(error) => PatchStand::Broken(error.to_string()),
            },
            () = interrupts.reached(Level::Cancel) => PatchStand::Left,
            () = inner.reached(Level::Drain) => PatchStand::Broken("the lock of this run was taken away".into()),
        }
    }

    async fn end(self, engine: Engine, stand: PatchStand) -> Result<PatchRan, Refusal> {
        let run = engine.kept().run.clone();
        let entries = notes::read(self.book.store(), &run)?;
        let outcomes = outcomes(&entries);
        let complete = matches!(
            stand,
            PatchStand::Stood(Stand::Ended(End::Complete | End::Aborted))
        );
        if complete {
            outcome::keep(&self.book, &self.plan, &self.id, &run, &entries)?;
        } else {
            outcome::keep_verdicts(&self.book, &run, &entries)?;
        }
        if matches!(stand, PatchStand::Stood(_)) {
            let looked =
                aftermath::look(&engine, self.inputs, &self.plan, &self.book, &outcomes).await;
            // The run is as good as it was.
            if let Err(problems) = looked {
                engine.tell_problems(problems);
            }
        }
        let writer = engine.kept().writer();
        let unwritten = writer.is_some_and(|it| it.broken().is_some());
        let exit = match () {
            () if unwritten || engine.run.journal_broken().is_some() => ExitCode::JournalBroken,
            () if engine.lost_lock() => ExitCode::Locked,
            () => exit_of(&stand, &outcomes),
        };
        let (exit, _) = engine
            .finish(exit, recap(&self.plan, &outcomes), !complete)
            .await;
        Ok(PatchRan {
            run: run.0,
            stand,
            outcomes,
            exit,
        })
    }
}

/// The last outcome of each host.
pub(super) fn outcomes(entries: &[Entry]) -> BTreeMap<String, Outcome> {
    let came = entries.iter().filter_map(|it| match &it.note {
        Note::Came { host, outcome } => Some((host.clone(), outcome.clone())),
        _ => None,
    });
    came.collect()
}

fn exit_of(stand: &PatchStand, outcomes: &BTreeMap<String, Outcome>) -> ExitCode {
    let any = |is: fn(&Outcome) -> bool| outcomes.values().any(is);
    match stand {
        PatchStand::Broken(_) => ExitCode::Unexpected,
        PatchStand::Left
        | PatchStand::Stood(Stand::Ended(End::Halted(hostler_rollout::HaltCause::Ordered {
            ..
        }))) => ExitCode::Interrupted,
        PatchStand::Stood(Stand::Ended(End::Halted(_) | End::Aborted)) => ExitCode::Halted,
        PatchStand::Stood(Stand::Waiting { .. }) => ExitCode::Deferred,
        PatchStand::Stood(Stand::Ended(End::Complete)) => match () {
            () if any(|it| matches!(it, Outcome::Unreachable { .. })) => {
                ExitCode::UnreachableOrInput
            }
            () if any(|it| matches!(it, Outcome::Failed { .. } | Outcome::RolledBack { .. })) => {
                ExitCode::HostFailed
            }
            () if any(|it| !matches!(it, Outcome::Done)) => ExitCode::Deferred,
            () => ExitCode::Ok,
        },
    }
}

/// Counts for the list of runs: a host is one task.
fn recap(plan: &Plan, outcomes: &BTreeMap<String, Outcome>) -> Recap {
    let mut recap = Recap::default();
    for host in plan.hosts.keys() {
        let one = |count: fn(&mut Counts)| {
            let mut counts = Counts::default();
            count(&mut counts);
            counts
        };
        let counts = match outcomes.get(host) {
            Some(Outcome::Done | Outcome::InstalledPendingReboot { .. }) => one(|it| {
                it.ok = 1;
                it.changed = 1;
            }),
            Some(Outcome::Failed { .. } | Outcome::RolledBack { .. }) => one(|it| it.failed = 1),
            Some(Outcome::Unreachable { .. }) => one(|it| it.unreachable = 1),
            Some(
                Outcome::Held { .. } | Outcome::Deferred { .. } | Outcome::PlanMismatch { .. },
            ) => one(|it| it.skipped = 1),
            None => Counts::default(),
        };
        recap.hosts.insert(host.clone(), counts);
    }
    recap
}
