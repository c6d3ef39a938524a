//! Making a plan: hosts are scanned, the policy chooses, hosts simulate what that takes, the planner decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hostler_advisories::Index;
use hostler_diag::{Diagnostic, SourceMap};
use hostler_patch::plan::{Plan, PlanId};
use hostler_patch::planner::{self, Answer, Asked, Scanned};
use hostler_patch::select::{self, Request, Selection};
use hostler_updates::Scan;

use super::advisories::{self, Advisories};
use super::asking::{self, NoAnswer, WantedVersion};
use super::book::{Book, fact};
use super::crew::Crew;
use super::policy::{self, Policed};
use super::report;
use super::scan::start;
use crate::apply::Audience;
use crate::keeping::{self, Keeping, who};
use crate::plan::now_us;
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode};

/// The planner asks hosts again at most so often: what is wanted only gets less.
const ROUNDS_MAX: u32 = 20;

/// What is to be planned.
#[derive(Clone, Debug, Default)]
pub struct PatchPlanRequest {
    /// Inventory, limit, connection, where runs are kept.
    pub given: ApplyRequest,
    /// The policy.
    pub policy: PathBuf,
    /// Only updates that close one of these CVEs; they count as urgent.
    pub cves: Vec<String>,
    /// Files that say which versions close which CVEs, besides those of the policy.
    pub advisories: Vec<PathBuf>,
    /// Only reboots that are pending.
    pub only_reboots: bool,
    /// How long the plan may be carried out, seconds; a fortnight if not given.
    pub valid_for_s: Option<u64>,
}

/// A plan that was made.
pub struct PatchPlanned {
    /// The plan.
    pub plan: Plan,
    /// Its id.
    pub id: PlanId,
    /// What hosts said, those that did.
    pub scans: BTreeMap<String, Scan>,
    /// What is wrong with the policy and stops nothing.
    pub warnings: Vec<Diagnostic>,
    /// The exit status.
    pub exit: ExitCode,
}

/// Makes a plan. Nothing is changed on hosts; the run store learns what they said.
///
/// # Errors
/// Problems of policy or inventory (nothing was contacted then); the run store cannot be written.
pub async fn plan(
    request: &PatchPlanRequest,
    sources: &SourceMap,
    audience: Audience,
) -> Result<PatchPlanned, Refusal> {
    let given = &request.given;
    let mut policed = policy::load(given, &request.policy, sources)?;
    let hosts = policed.hosts(given)?;
    // Hosts that the limit leaves out are none of this plan's, rather than such that did not answer.
    policed.members.targets = hosts.iter().cloned().collect();
    let advisories = judged(request, &policed)?;
    policed.warnings.extend(advisories.warnings);
    let book = Book::new(keeping::open(&given.state).map_err(|error| keeping::refused(&error))?);
    let (engine, crew) = start(
        given,
        &policed.inputs,
        &request.policy,
        &hosts,
        Keeping::Nothing,
        sources,
        audience,
    )
    .await?;
    let planned = engine
        .watched(ask(
            request,
            &policed,
            &advisories.index,
            &hosts,
            &crew,
            &book,
        ))
        .await;
    let interrupted = engine.run.interrupts.draining();
    drop(crew);
    let exit = if interrupted {
        ExitCode::Interrupted
    } else {
        ExitCode::Ok
    };
    let (exit, _) = engine
        .finish(exit, hostler_events::Recap::default(), false)
        .await;
    let (plan, scans) = planned.map_err(|panic| problem("defect", panic))??;
    if interrupted {
        return Err(Refusal::new(
            ExitCode::Interrupted,
            Diagnostic::error("interrupted", "interrupted by the user: there is no plan"),
        ));
    }
    let id = plan
        .id()
        .map_err(|error| problem("plan", error.to_string()))?;
    Ok(PatchPlanned {
        plan,
        id,
        scans,
        warnings: policed.warnings,
        exit,
    })
}

/// What the files of advisories say; CVE ids that are none are refused, as they would only find nothing.
fn judged(request: &PatchPlanRequest, policed: &Policed) -> Result<Advisories, Refusal> {
    if let Some(wrong) = request.cves.iter().find(|it| !hostler_updates::is_cve(it)) {
        let text = format!("`{}` is no CVE id", wrong.escape_debug());
        let problem = Diagnostic::error("cve", text).hint("`CVE-2026-12345`");
        return Err(vec![problem].into());
    }
    advisories::of_policy(policed, &request.advisories)
}

fn problem(code: &'static str, text: String) -> Refusal {
    vec![Diagnostic::error(code, text)].into()
}

async fn ask(
    request: &PatchPlanRequest,
    policed: &Policed,
    advisories: &Index,
    hosts: &[String],
    crew: &Crew,
    book: &Book,
) -> Result<(Plan, BTreeMap<String, Scan>), Refusal> {
    let asked_us = now_us();
    let mut answers = asking::scan(crew, 1, hosts, true).await;
    for scan in answers.values_mut().filter_map(|it| it.as_mut().ok()) {
        hostler_advisories::describe(advisories, scan);
    }
    let answered_us = now_us();
    let scans: BTreeMap<String, Scan> = answers
        .iter()
        .filter_map(|(host, answer)| Some((host.clone(), answer.as_ref().ok()?.clone())))
        .collect();
    book.learn(&scans)?;
    report::keep_point(book, policed, &request.given)?;
    let known = book.known()?;
    let wish = Request {
        cves: request.cves.clone(),
        only_reboots: request.only_reboots,
    };
    let mut asked: BTreeMap<String, Asked> = answers
        .into_iter()
        .map(|(host, answer)| {
            let asked = match answer {
                Err(NoAnswer::Unreachable(why)) => Asked::Unreachable(why),
                Err(NoAnswer::Failed(why)) => Asked::Failed(why),
                Ok(scan) => Asked::Scanned(Box::new(Scanned {
                    skew_s: planner::clock_skew_s(scan.taken_us, asked_us, answered_us),
                    selection: select::select(
                        &policed.file,
                        &policed.members,
                        &host,
                        &scan,
                        &known,
                        &wish,
                        answered_us,
                    ),
                    resolution: None,
                    scan,
                })),
            };
            (host, asked)
        })
        .collect();
    let made_by = who();
    for round in 0..ROUNDS_MAX {
        let input = planner::Input {
            file: &policed.file,
            members: &policed.members,
            schedule: &policed.schedule,
            files: &policed.files,
            known: &known,
            request: &wish,
            hosts: &asked,
            made_by: &made_by,
            now_us: answered_us,
            valid_for_s: request.valid_for_s.unwrap_or(planner::VALID_FOR_S),
        };
        let answer = planner::plan(&input).map_err(|error| problem("plan", error.to_string()))?;
        match answer {
            Answer::Plan(plan) => return Ok((*plan, scans)),
            Answer::Ask(questions) => {
                for (host, answer) in simulate(crew, round + 2, &questions).await {
                    take(&mut asked, &host, questions.get(&host), answer);
                }
            }
        }
    }
    Err(problem(
        "plan",
        "the hosts' answers do not come to an end".into(),
    ))
}

async fn simulate(
    crew: &Crew,
    number: u32,
    questions: &BTreeMap<String, Selection>,
) -> BTreeMap<String, Result<hostler_updates::Resolution, NoAnswer>> {
    let wanted = questions.iter().map(|(host, selection)| {
        let wanted = selection.wanted.iter().map(|it| WantedVersion {
            name: it.package.name.clone(),
            arch: it.package.arch.clone(),
            version: Some(it.version.clone()),
        });
        (host.clone(), wanted.collect())
    });
    asking::resolve(crew, number, wanted.collect()).await
}

/// Puts an answer in its place.
fn take(
    asked: &mut BTreeMap<String, Asked>,
    host: &str,
    question: Option<&Selection>,
    answer: Result<hostler_updates::Resolution, NoAnswer>,
) {
    let Some(known) = asked.get_mut(host) else {
        return;
    };
    match answer {
        Err(NoAnswer::Unreachable(why)) => *known = Asked::Unreachable(why),
        Err(NoAnswer::Failed(why)) => *known = Asked::Failed(why),
        Ok(resolution) => {
            if let Asked::Scanned(scanned) = known {
                scanned.resolution = Some(resolution);
                if let Some(question) = question {
                    scanned.selection = question.clone();
                }
            }
        }
    }
}

/// Keeps a plan in the run store, where it is found by its id.
pub(super) fn keep(book: &Book, plan: &Plan, id: &PlanId) -> Result<(), Refusal> {
    book.append(&[fact(
        hostler_history::FactKind::Plan,
        id.0.clone(),
        None,
        plan,
    )])
}

/// Writes a plan to a file that others may read, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn save(plan: &Plan, path: &Path) -> Result<(), Refusal> {
    let bytes =
        hostler_patch::file::write(plan).map_err(|error| problem("plan", error.to_string()))?;
    let failed = |error: std::io::Error| {
        let text = format!("cannot write {}: {error}", path.display());
        Refusal::new(ExitCode::Error, Diagnostic::error("plan-file", text))
    };
    let directory = path
        .parent()
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    std::io::Write::write_all(&mut file, &bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
