//! Reports on a policy: from what the run store knows, without asking any host.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_history::{Fact, FactFilter, FactKind, Store};
use hostler_patch::known::Known;
use hostler_patch::ledger::{Drift, Figures, Fixed, HostExposure, RunOutcome};
use hostler_patch::plan::{LeftOutCode, Plan};
use hostler_patch::policy::{ExceptionRule, PolicyFile, PreflightRules, Seconds};
use hostler_patch::report::{
    Exception, ExceptionRow, HostMaterial, Material, Report, Sla, exception_rows, figures, report,
};
use hostler_patch::select::{self, Request, Selection, exception_ends_us};
use hostler_updates::{DatabaseState, Scan, Severity};

use super::book::{Book, body, fact};
use super::policy::{self, Policed};
use super::ran;
use crate::keeping;
use crate::plan::now_us;
use crate::refusal::Refusal;
use crate::request::ApplyRequest;
use crate::runs::ago_us;

/// Seconds of a day.
const DAY_S: u64 = 86_400;
/// As far back as the trend goes.
const TREND: Duration = Duration::from_secs(90 * DAY_S);

/// What a report is wanted on.
#[derive(Clone, Debug, Default)]
pub struct PatchReportRequest {
    /// Inventory, limit, where runs are kept.
    pub given: ApplyRequest,
    /// The policy; that of the newest plan if not given.
    pub policy: Option<PathBuf>,
    /// Its period.
    pub since: Duration,
}

/// Makes a report. No host is asked; the figures are kept for the trend.
///
/// # Errors
/// Problems of policy or inventory; the run store cannot be used; no policy is given and none was planned.
pub fn patch_report(
    request: &PatchReportRequest,
    sources: &SourceMap,
) -> Result<(Report, Vec<Diagnostic>), Refusal> {
    let (book, policed) = open(request, sources)?;
    let report = make(&book, &policed, &request.given, request.since)?;
    Ok((report, policed.warnings))
}

/// Keeps a point of the trend: how the hosts of a policy stand now.
///
/// # Errors
/// The run store cannot be read or written.
pub(crate) fn keep_point(
    book: &Book,
    policed: &Policed,
    given: &ApplyRequest,
) -> Result<(), Refusal> {
    make(book, policed, given, Duration::ZERO).map(drop)
}

fn make(
    book: &Book,
    policed: &Policed,
    given: &ApplyRequest,
    since: Duration,
) -> Result<Report, Refusal> {
    let material = Reader::new(book, policed)?.material(given, since)?;
    let report = report(&material);
    // The figures of some hosts are none of the policy.
    if given.limit.is_none() {
        keep_figures(book, &report)?;
    }
    Ok(report)
}

/// The exceptions of a policy.
///
/// # Errors
/// As [`patch_report`].
pub fn patch_exceptions(
    request: &PatchReportRequest,
    sources: &SourceMap,
) -> Result<Vec<ExceptionRow>, Refusal> {
    let (_, policed) = open(request, sources)?;
    let targets = policed.members.targets.iter().map(String::as_str);
    Ok(exception_rows(
        &exceptions(&policed),
        &targets.collect(),
        now_us(),
    ))
}

fn open(request: &PatchReportRequest, sources: &SourceMap) -> Result<(Book, Policed), Refusal> {
    let store = keeping::open(&request.given.state).map_err(|error| keeping::refused(&error))?;
    let path = match &request.policy {
        Some(path) => path.clone(),
        None => newest_policy(&store)?,
    };
    let policed = policy::load(&request.given, &path, sources)?;
    Ok((Book::new(store), policed))
}

/// The policy of the newest plan.
fn newest_policy(store: &Store) -> Result<PathBuf, Refusal> {
    let plans = store.facts(&FactFilter::all(FactKind::Plan))?;
    let newest = plans.iter().max_by_key(|it| (it.at_us, it.seq));
    let plan: Option<Plan> = newest.and_then(body);
    plan.map(|it| PathBuf::from(it.policy_path)).ok_or_else(|| {
        let text = "no policy is named, and there is no plan yet to take it from";
        vec![Diagnostic::error("no-policy", text)].into()
    })
}

/// Keeps the figures of a report, if they say something new.
fn keep_figures(book: &Book, report: &Report) -> Result<(), Refusal> {
    let now = figures(report);
    let newest = book
        .store()
        .newest_fact(FactKind::Figures, &report.policy)?;
    let same = newest.is_some_and(|it| {
        let today = it.at_us.div_euclid(1_000_000) / DAY_S.cast_signed()
            == report.made_us.div_euclid(1_000_000) / DAY_S.cast_signed();
        today && body::<Figures>(&it) == Some(now)
    });
    if same {
        return Ok(());
    }
    let point = fact(FactKind::Figures, report.policy.clone(), None, &now);
    book.append(&[point])
}

/// Reads what a report is made of.
struct Reader<'a> {
    store: &'a Store,
    policed: &'a Policed,
    /// The policy without exceptions, and without what only matters when hosts are worked on.
    bare: PolicyFile,
    /// That with its exceptions.
    excepting: PolicyFile,
    known: Known,
    now_us: i64,
}

impl<'a> Reader<'a> {
    fn new(book: &'a Book, policed: &'a Policed) -> Result<Self, Refusal> {
        let mut excepting = policed.file.clone();
        excepting.policy.preflight = PreflightRules::default();
        let mut bare = excepting.clone();
        bare.policy.exceptions.clear();
        Ok(Reader {
            store: book.store(),
            policed,
            bare,
            excepting,
            known: book.known()?,
            now_us: now_us(),
        })
    }

    fn material(&self, given: &ApplyRequest, since: Duration) -> Result<Material, Refusal> {
        let policy = &self.policed.file.policy;
        let since_us = ago_us(since);
        let of_period = |kind| self.since(kind, None, since_us);
        let named = |facts: Vec<Fact>| facts.into_iter().map(|it| (it.key.clone(), it));
        let fixed = named(of_period(FactKind::Fixed)?)
            .filter_map(|(host, it)| Some((host, body::<Fixed>(&it)?)));
        let drift = named(of_period(FactKind::Drift)?)
            .filter_map(|(host, it)| Some((host, it.at_us, body::<Drift>(&it)?)));
        let trend = self.since(FactKind::Figures, Some(&policy.name), ago_us(TREND))?;
        let trend = trend
            .iter()
            .filter_map(|it| Some((it.at_us, body::<Figures>(it)?)));
        Ok(Material {
            policy: policy.name.clone(),
            now_us: self.now_us,
            since_us,
            sla: sla(&policy.report.sla),
            hosts: self.hosts(given)?,
            exceptions: exceptions(self.policed),
            fixed: fixed.collect(),
            drift: drift.collect(),
            figures: trend.collect(),
            runs: self.runs()?,
        })
    }

    fn since(
        &self,
        kind: FactKind,
        key: Option<&str>,
        since_us: i64,
    ) -> Result<Vec<Fact>, Refusal> {
        let filter = FactFilter {
            key,
            since_us: Some(since_us),
            ..FactFilter::all(kind)
        };
        Ok(self.store.facts(&filter)?)
    }

    fn runs(&self) -> Result<Vec<RunOutcome>, Refusal> {
        let runs = ran::outcomes(self.store)?.into_iter().map(|(_, it)| it);
        let own = |it: &RunOutcome| it.policy == self.policed.file.policy.name;
        Ok(runs.filter(own).collect())
    }

    fn hosts(&self, given: &ApplyRequest) -> Result<Vec<HostMaterial>, Refusal> {
        let newest = |kind| -> Result<HashMap<String, Fact>, Refusal> {
            let facts = self.store.newest_facts(kind)?;
            Ok(facts.into_iter().map(|it| (it.key.clone(), it)).collect())
        };
        let (scans, exposures) = (newest(FactKind::Scan)?, newest(FactKind::Exposure)?);
        let hosts = self.policed.hosts(given)?;
        let host = |name: String| {
            let scan = scans
                .get(&name)
                .and_then(|it| Some((it.at_us, body::<Scan>(it)?)));
            let exposure = exposures.get(&name).and_then(body::<HostExposure>);
            self.host(name, scan, exposure.unwrap_or_default())
        };
        Ok(hosts.into_iter().map(host).collect())
    }

    fn host(
        &self,
        name: String,
        scan: Option<(i64, Scan)>,
        exposure: HostExposure,
    ) -> HostMaterial {
        let mut host = HostMaterial {
            host: name,
            exposure,
            ..HostMaterial::default()
        };
        let whole = self.covering(&host.host).find(|it| is_whole(it));
        host.excepted = whole.map(|it| it.owner.clone());
        let Some((at_us, scan)) = scan else {
            return host;
        };
        // That a host must not be worked on does not make it a good one.
        let free = Scan {
            forbidden: None,
            database: DatabaseState::Whole,
            ..scan.clone()
        };
        let chosen = self.select(&self.bare, &host.host, &free);
        if let Some(left_out) = chosen.left_out
            && left_out.code == LeftOutCode::Unclassified
        {
            host.unknown = Some(left_out.reason);
        }
        let wanted = chosen.wanted.iter();
        host.approved = wanted.map(|it| it.package.to_string()).collect();
        if host.excepted.is_none() && !host.approved.is_empty() {
            let left = self.select(&self.excepting, &host.host, &free).wanted;
            let owner = self.covering(&host.host).next();
            host.excepted = owner.filter(|_| left.is_empty()).map(|it| it.owner.clone());
        }
        host.waiting = chosen.waiting;
        host.scan = Some((at_us, scan));
        host
    }

    fn select(&self, file: &PolicyFile, host: &str, scan: &Scan) -> Selection {
        let (members, request) = (&self.policed.members, Request::default());
        select::select(
            file,
            members,
            host,
            scan,
            &self.known,
            &request,
            self.now_us,
        )
    }

    /// Exceptions that count for a host now.
    fn covering<'b>(&'b self, host: &'b str) -> impl Iterator<Item = &'b ExceptionRule> {
        let rules = self.policed.file.policy.exceptions.iter();
        rules
            .zip(&self.policed.members.exceptions)
            .filter(move |(rule, hosts)| {
                hosts.contains(host) && exception_ends_us(rule).is_some_and(|it| it > self.now_us)
            })
            .map(|(rule, _)| rule)
    }
}

fn is_whole(rule: &ExceptionRule) -> bool {
    rule.packages.0.is_empty() && rule.cves.0.is_empty()
}

fn exceptions(policed: &Policed) -> Vec<Exception> {
    let rules = policed.file.policy.exceptions.iter();
    rules
        .zip(&policed.members.exceptions)
        .map(|(rule, hosts)| Exception {
            owner: rule.owner.clone(),
            reason: rule.reason.clone(),
            ticket: rule.ticket.clone(),
            hosts: hosts.iter().cloned().collect(),
            packages: rule
                .packages
                .0
                .iter()
                .chain(&rule.cves.0)
                .cloned()
                .collect(),
            expires_us: exception_ends_us(rule),
        })
        .collect()
}

fn sla(rules: &BTreeMap<Severity, Seconds>) -> Sla {
    let days = |severity| {
        let seconds: &Seconds = rules.get(&severity)?;
        u32::try_from(seconds.0 / DAY_S).ok()
    };
    Sla {
        critical: days(Severity::Critical),
        important: days(Severity::Important),
        moderate: days(Severity::Moderate),
        low: days(Severity::Low),
        unrated: None,
    }
}

/// Where a report of a form goes in a directory: `prod-linux-manager.html`. The name of a policy has only letters, digits and
/// a few marks, but never a slash.
pub fn patch_report_path(directory: &Path, policy: &str, of: &str, extension: &str) -> PathBuf {
    let name: String = policy
        .chars()
        .map(|it| {
            if it.is_alphanumeric() || "-_.".contains(it) {
                it
            } else {
                '_'
            }
        })
        .collect();
    let of = if of.is_empty() {
        String::new()
    } else {
        format!("-{of}")
    };
    directory.join(format!("{name}{of}.{extension}"))
}
