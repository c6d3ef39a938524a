//! What a policy wants on a host: exact versions, and for everything else the reason why not.

use std::collections::BTreeMap;

use hostler_schedule::{Time, Zone, duration_text, parse_date};
use hostler_updates::{Class, DatabaseState, PackageName, RebootNeed, Scan, Update};
use serde::{Deserialize, Serialize};

use crate::glob;
use crate::known::Known;
use crate::plan::{LeftOut, LeftOutCode, RebootRule, Waiting};
use crate::policy::{
    Competing, ExceptionRule, Members, PackageDb, PendingReboot, PolicyFile, Seconds, Step,
    UnknownRule, Updates,
};

/// A package in an exact version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wanted {
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: String,
    /// Is it one of the CVEs that cannot wait?
    pub urgent: bool,
}

/// What a person asks for besides the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Only updates that close one of these; they count as urgent.
    pub cves: Vec<String>,
    /// Only hosts with a pending reboot, and nothing but the reboot.
    pub only_reboots: bool,
}

/// What is wanted on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Sorted. The host is asked what these bring with them (`patch_resolve`).
    pub wanted: Vec<Wanted>,
    /// Updates that wait, sorted.
    pub waiting: Vec<Waiting>,
    /// Why nothing is done there at all.
    pub left_out: Option<LeftOut>,
    /// Why it is rebooted even if nothing is installed.
    pub reboot_due: Vec<String>,
    /// What an engineer should know, a line each, without the host's name.
    pub risks: Vec<String>,
}

/// Most updates of one host that are looked at: more is no package manager's answer.
const UPDATES_MAX: usize = 20_000;

/// What the policy wants on a host that was scanned. `now_us`: microseconds since the epoch.
pub fn select(
    file: &PolicyFile,
    members: &Members,
    host: &str,
    scan: &Scan,
    known: &Known,
    request: &Request,
    now_us: i64,
) -> Selection {
    let chooser = Chooser {
        file,
        members,
        host,
        scan,
        known,
        request,
        now_us,
    };
    chooser.choose()
}

/// When an exception ends: the first instant after its last day. `None`: its date is none (the reader refuses such).
pub fn exception_ends_us(exception: &ExceptionRule) -> Option<i64> {
    let next = parse_date(&exception.expires).ok()?.tomorrow().ok()?;
    Some(
        Zone::utc()
            .resolve(next.to_datetime(Time::midnight()))
            .at_us,
    )
}

struct Chooser<'a> {
    file: &'a PolicyFile,
    members: &'a Members,
    host: &'a str,
    scan: &'a Scan,
    known: &'a Known,
    request: &'a Request,
    now_us: i64,
}

/// What becomes of an update.
enum Verdict {
    Take(Wanted),
    Wait(String, String),
    /// It is none of the policy's business (a bugfix for a policy of security updates).
    Pass,
}

impl Chooser<'_> {
    fn choose(&self) -> Selection {
        let mut selection = Selection {
            risks: self.risks(),
            ..Selection::default()
        };
        if let Some(left_out) = self.forbidden() {
            selection.left_out = Some(left_out);
            return selection;
        }
        selection.reboot_due = self.reboot_due();
        let mut passed = 0_usize;
        if self.file.policy.updates != Updates::None && !self.request.only_reboots {
            for update in self.scan.updates.iter().take(UPDATES_MAX) {
                // A package that is not installed only comes with another one.
                if update.from.is_none() {
                    continue;
                }
                match self.judge(update) {
                    Verdict::Take(wanted) => selection.wanted.push(wanted),
                    Verdict::Wait(version, reason) => selection.waiting.push(Waiting {
                        package: update.package.to_string(),
                        version,
                        reason,
                    }),
                    Verdict::Pass => passed += 1,
                }
            }
        }
        selection.wanted.sort();
        selection.wanted.dedup_by(|a, b| a.package == b.package);
        selection.waiting.sort();
        selection.waiting.dedup();
        selection.left_out = self.nothing_to_do(&selection, passed);
        selection
    }

    /// Why the host must not be touched, whatever waits for it.
    fn forbidden(&self) -> Option<LeftOut> {
        let out = |code, reason: String, rule: Option<String>| Some(LeftOut { code, reason, rule });
        if let Some(why) = &self.scan.forbidden {
            let reason = format!("a file on the host forbids it: {}", shown(why));
            return out(LeftOutCode::Forbidden, reason, None);
        }
        let exceptions = self.exceptions();
        let whole =
            |it: &&(usize, &ExceptionRule)| it.1.packages.0.is_empty() && it.1.cves.0.is_empty();
        if let Some((at, exception)) = exceptions.iter().find(whole) {
            let rule = self.file.rule(&[Step::Key("exceptions"), Step::Item(*at)]);
            let reason = format!(
                "by {} until {}: {}",
                exception.owner, exception.expires, exception.reason
            );
            return out(LeftOutCode::Excepted, reason, rule);
        }
        let preflight = &self.file.policy.preflight;
        if let DatabaseState::Interrupted(what) = &self.scan.database
            && preflight.package_db == PackageDb::Fail
        {
            let rule = self
                .file
                .rule(&[Step::Key("preflight"), Step::Key("package_db")]);
            let reason = format!("its package database is not whole: {}", shown(what));
            return out(LeftOutCode::Unfit, reason, rule);
        }
        if self.scan.reboot.need == RebootNeed::Yes
            && preflight.pending_reboot == PendingReboot::Fail
        {
            let rule = self
                .file
                .rule(&[Step::Key("preflight"), Step::Key("pending_reboot")]);
            let reason = format!(
                "a reboot is pending: {}",
                reasons(&self.scan.reboot.reasons)
            );
            return out(LeftOutCode::Unfit, reason, rule);
        }
        self.unclassified()
    }

    /// Nothing on the host says what its updates are for, and the policy wants to know.
    fn unclassified(&self) -> Option<LeftOut> {
        let policy = &self.file.policy;
        let asks = matches!(policy.updates, Updates::Security | Updates::Bugfix);
        let unknown = self
            .scan
            .updates
            .iter()
            .filter(|it| it.class == Class::Unknown)
            .count();
        let silent = !self.scan.repositories.iter().any(|it| it.classifies);
        let fails = policy.select.unknown_classification == UnknownRule::Fail;
        if !(asks && fails && silent && unknown > 0) || self.request.only_reboots {
            return None;
        }
        let path = [Step::Key("select"), Step::Key("unknown_classification")];
        Some(LeftOut {
            code: LeftOutCode::Unclassified,
            reason: format!(
                "none of its {} sources says which updates are security updates: {unknown} updates of unknown kind",
                self.scan.repositories.len()
            ),
            rule: self
                .file
                .rule(&path)
                .or_else(|| self.file.rule(&[Step::Key("updates")])),
        })
    }

    fn nothing_to_do(&self, selection: &Selection, passed: usize) -> Option<LeftOut> {
        let rehearsal = self.file.policy.updates == Updates::None && !self.request.only_reboots;
        let always = self.file.policy.reboot.mode == RebootRule::Always;
        if rehearsal || always || !selection.wanted.is_empty() || !selection.reboot_due.is_empty() {
            return None;
        }
        if selection.waiting.is_empty() && !self.request.cves.is_empty() {
            return Some(self.none_closes(&self.request.cves));
        }
        if selection.waiting.is_empty() {
            let besides = if passed > 0 {
                format!("; {passed} other updates are not wanted by the policy")
            } else {
                String::new()
            };
            return Some(LeftOut {
                code: LeftOutCode::UpToDate,
                reason: format!("nothing that the policy wants is missing{besides}"),
                rule: None,
            });
        }
        let first = &selection.waiting[0];
        let more = match selection.waiting.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some(LeftOut {
            code: LeftOutCode::AllWaiting,
            reason: format!(
                "all that it lacks waits: {} {}: {}{more}",
                shown(&first.package),
                shown(&first.version),
                first.reason
            ),
            rule: None,
        })
    }

    /// No update closes one of the CVEs that were asked for: it has none of them, or nobody knows.
    fn none_closes(&self, cves: &[String]) -> LeftOut {
        let all = shown(&cves.join(", "));
        let (code, reason) = if self.names_no_cves() {
            let reason = format!(
                "its package lists name no CVE ids, and no advisory file does: whether it lacks a fix of {all} cannot be told"
            );
            (LeftOutCode::Unclassified, reason)
        } else {
            let reason = format!("no update that waits there is known to close {all}");
            (LeftOutCode::UpToDate, reason)
        };
        LeftOut {
            code,
            reason,
            rule: None,
        }
    }

    fn names_no_cves(&self) -> bool {
        let code = hostler_updates::Finding::NO_ADVISORIES;
        self.scan.findings.iter().any(|it| it.code == code)
    }

    fn reboot_due(&self) -> Vec<String> {
        let policy = &self.file.policy;
        let wanted = policy.preflight.pending_reboot == PendingReboot::RebootFirst
            && policy.reboot.mode != RebootRule::Never;
        if wanted && self.scan.reboot.need == RebootNeed::Yes {
            let reasons = self.scan.reboot.reasons.iter();
            return reasons
                .map(|it| format!("pending: {}", shown(it)))
                .collect();
        }
        Vec::new()
    }

    fn judge(&self, update: &Update) -> Verdict {
        let urgent = self.is_urgent(update);
        if !self.request.cves.is_empty() && !urgent {
            return Verdict::Pass;
        }
        let version = match self.version_of(update, urgent) {
            Ok(version) => version,
            Err(Some(reason)) => return Verdict::Wait(update.to.clone(), reason),
            Err(None) => return Verdict::Pass,
        };
        match self.obstacle(update, &version, urgent) {
            Some(reason) => Verdict::Wait(version, reason),
            None => Verdict::Take(Wanted {
                package: update.package.clone(),
                version,
                urgent,
            }),
        }
    }

    /// The version that the policy's kind of updates leads to; else why there is none (nothing to say if it is another kind).
    fn version_of(&self, update: &Update, urgent: bool) -> Result<String, Option<String>> {
        let policy = &self.file.policy;
        let newest = || Ok(update.to.clone());
        if urgent || policy.updates == Updates::All {
            return newest();
        }
        match update.class {
            Class::Unknown => match policy.select.unknown_classification {
                UnknownRule::TreatAsSecurity => newest(),
                UnknownRule::Fail | UnknownRule::Skip => Err(Some(
                    "its source does not say whether it is a security update".into(),
                )),
            },
            // The newest version holds the fixes of the ones before it; if it came by another way than security, the
            // last one that was published as a security update is enough.
            Class::Security if policy.updates == Updates::Security => Ok(update
                .security_version
                .as_ref()
                .unwrap_or(&update.to)
                .clone()),
            Class::Security => newest(),
            Class::Bugfix if policy.updates == Updates::Bugfix => newest(),
            Class::Bugfix => match &update.security_version {
                Some(version) => Ok(version.clone()),
                None => Err(None),
            },
        }
    }

    /// The first rule that stands against a version.
    fn obstacle(&self, update: &Update, version: &str, urgent: bool) -> Option<String> {
        let select = &self.file.policy.select;
        let name = update.package.name.as_str();
        if let Some((_, pattern)) = glob::first_match(&select.exclude.0, name) {
            return Some(format!("excluded by `{pattern}`"));
        }
        if !select.include.0.is_empty() && glob::first_match(&select.include.0, name).is_none() {
            return Some("not among the packages of `include`".into());
        }
        if let Some(exception) = self.exception_of(update) {
            return Some(exception_text(exception));
        }
        let held = |hold: &&hostler_updates::Hold| {
            glob::matches(&hold.package, name)
                || glob::matches(&hold.package, &update.package.to_string())
        };
        if let Some(hold) = self.scan.holds.iter().find(held) {
            return Some(format!("held by {}", shown(&hold.by)));
        }
        let scan = self.scan;
        if let Some(it) = self
            .known
            .disproven(&scan.os, &scan.arch, &update.package, version)
        {
            return Some(format!(
                "it went wrong before: {} (`hostler patch clear` lets it be planned again)",
                shown(&it.why)
            ));
        }
        if let (Some(least), Some(severity)) = (select.severity_at_least, update.severity)
            && severity < least
            && !urgent
        {
            let word = |it: hostler_updates::Severity| format!("{it:?}").to_lowercase();
            return Some(format!(
                "its severity is {}, {} is wanted",
                word(severity),
                word(least)
            ));
        }
        self.delayed(
            update,
            version,
            if urgent {
                select.urgent.delay
            } else {
                select.delay
            },
        )
    }

    /// A version that has not been known for long enough.
    fn delayed(&self, update: &Update, version: &str, delay: Seconds) -> Option<String> {
        if delay.0 == 0 || !self.request.cves.is_empty() {
            return None;
        }
        let wanted = duration_text(delay.0);
        let seen = |version| {
            self.known
                .first_seen(&self.scan.os, &update.package, version)
        };
        // A security update that a newer version follows was there before that one.
        let Some(first_us) = seen(version).or_else(|| seen(&update.to)) else {
            return Some(format!(
                "delay: seen for the first time today, {wanted} wanted"
            ));
        };
        let age_s = self.now_us.saturating_sub(first_us).max(0) / 1_000_000;
        let age_s = u64::try_from(age_s).unwrap_or(0);
        // Days are told as days: a delay of a week needs no seconds.
        let coarse = if age_s >= 86_400 {
            age_s / 86_400 * 86_400
        } else {
            age_s / 60 * 60
        };
        (age_s < delay.0).then(|| {
            format!(
                "delay: first seen {} ago, {wanted} wanted",
                duration_text(coarse)
            )
        })
    }

    fn is_urgent(&self, update: &Update) -> bool {
        let urgent = &self.file.policy.select.urgent.cves.0;
        update.cves.iter().any(|cve| {
            let same = |it: &String| it.eq_ignore_ascii_case(cve);
            urgent.iter().any(same) || self.request.cves.iter().any(same)
        })
    }

    /// Exceptions that hold for the host today.
    fn exceptions(&self) -> Vec<(usize, &ExceptionRule)> {
        let all = self.file.policy.exceptions.iter().enumerate();
        all.filter(|(at, exception)| {
            let hosts = self.members.exceptions.get(*at);
            hosts.is_some_and(|hosts| hosts.contains(self.host))
                && exception_ends_us(exception).is_some_and(|end| self.now_us < end)
        })
        .collect()
    }

    /// The exception that covers an update: by its package, or because all that it closes is excepted.
    fn exception_of(&self, update: &Update) -> Option<&ExceptionRule> {
        let all = self.exceptions();
        let covers = |exception: &ExceptionRule| {
            let package = glob::first_match(&exception.packages.0, &update.package.name).is_some();
            let package = package || exception.packages.0.is_empty();
            let excepted = |cve: &String| {
                exception
                    .cves
                    .0
                    .iter()
                    .any(|it| it.eq_ignore_ascii_case(cve))
            };
            let cves = exception.cves.0.is_empty()
                || (!update.cves.is_empty() && update.cves.iter().all(excepted));
            package && cves
        };
        all.into_iter().map(|(_, it)| it).find(|it| covers(it))
    }

    fn risks(&self) -> Vec<String> {
        let mut risks = Vec::new();
        let policy = &self.file.policy;
        if self.scan.uptime_s > 365 * 86_400 {
            risks.push(format!(
                "has not been booted for {} days",
                self.scan.uptime_s / 86_400
            ));
        }
        if self.scan.reboot.need == RebootNeed::Unknown
            && policy.reboot.mode == RebootRule::IfRequired
        {
            risks.push("cannot tell whether it needs a reboot".into());
        }
        if let DatabaseState::Interrupted(_) = self.scan.database {
            risks.push("has an interrupted package database, which is repaired first".into());
        }
        if !self.scan.competitors.is_empty()
            && policy.preflight.competing_updaters == Competing::Warn
        {
            let names: Vec<&str> = self
                .scan
                .competitors
                .iter()
                .map(|it| it.name.as_str())
                .collect();
            risks.push(format!("updates itself, too: {}", shown(&names.join(", "))));
        }
        if !self.scan.users.is_empty() {
            risks.push(format!(
                "has users logged in: {}",
                shown(&self.scan.users.join(", "))
            ));
        }
        if !policy.select.urgent.cves.0.is_empty() && self.names_no_cves() {
            risks.push("names no CVE ids: which of its updates are urgent cannot be told".into());
        }
        if policy.select.severity_at_least.is_some() {
            let without = |it: &&Update| it.class == Class::Security && it.severity.is_none();
            let count = self.scan.updates.iter().filter(without).count();
            if count > 0 {
                risks.push(format!(
                    "{count} security updates say no severity and pass for it"
                ));
            }
        }
        risks
    }
}

impl Selection {
    /// The same without some of what is wanted, each with the reason.
    #[must_use]
    pub fn without(&self, dropped: &BTreeMap<PackageName, String>) -> Selection {
        let mut shorter = self.clone();
        shorter.wanted.retain(|wanted| {
            let Some(reason) = dropped.get(&wanted.package) else {
                return true;
            };
            shorter.waiting.push(Waiting {
                package: wanted.package.to_string(),
                version: wanted.version.clone(),
                reason: reason.clone(),
            });
            false
        });
        shorter.waiting.sort();
        shorter.waiting.dedup();
        shorter
    }
}

fn exception_text(exception: &ExceptionRule) -> String {
    format!(
        "excepted by {} until {}: {}",
        exception.owner, exception.expires, exception.reason
    )
}

fn reasons(all: &[String]) -> String {
    match all {
        [] => "no reason is given".into(),
        [one] => shown(one),
        [one, more @ ..] => format!("{} (and {} more)", shown(one), more.len()),
    }
}

/// A text of a host for a sentence: one line, no control characters, not endless.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 160;
    let line: String = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .take(MOST)
        .collect();
    if text.chars().count() > MOST {
        format!("{line}…")
    } else {
        line
    }
}
