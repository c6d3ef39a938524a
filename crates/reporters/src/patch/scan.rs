//! What scanned hosts said: a line each, then what is to be known of some.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hostler_updates::{Class, DatabaseState, RebootNeed, Scan};
use serde_json::json;

use crate::style::Paint;
use crate::{Options, sanitize};

/// What hosts said, or why they said nothing.
type Scans = BTreeMap<String, Result<Scan, String>>;

/// Packages of a host that are named without `-v`.
const NAMED_MAX: usize = 5;

/// The hosts for people. With `-v` every update is named.
pub fn scan_text(hosts: &Scans, options: &Options) -> String {
    let paint = Paint::new(options.color);
    let width = hosts
        .keys()
        .map(|it| sanitize::name(it).chars().count())
        .max();
    let width = width.unwrap_or(0).clamp(4, 40);
    let head = format!(
        "{:<width$}  {:<22} {:>8} {:>5} {:>7}  {:<9} FINDINGS",
        "HOST", "SYSTEM", "SECURITY", "OTHER", "UNKNOWN", "REBOOT"
    );
    let mut out = format!("{}\n", paint.bold(&head));
    for (host, scan) in hosts {
        let name = sanitize::clip(&sanitize::name(host), width);
        match scan {
            Ok(scan) => {
                let line = line(scan, paint);
                let _ = writeln!(out, "{name:<width$}  {line}");
                details(scan, options, &mut out);
            }
            Err(why) => {
                let why = sanitize::line(why, options.width.saturating_sub(width + 2).max(20));
                let _ = writeln!(out, "{name:<width$}  {}", paint.red(&why));
            }
        }
    }
    out.push_str(&sum(hosts, paint));
    out
}

fn count(scan: &Scan, class: Class) -> usize {
    scan.updates.iter().filter(|it| it.class == class).count()
}

fn line(scan: &Scan, paint: Paint) -> String {
    let system = sanitize::line(
        &format!("{} {} {}", scan.os.id, scan.os.version, scan.arch),
        22,
    );
    let number = |class: Class, columns: usize, loud: bool| {
        let count = count(scan, class);
        let text = format!("{count:>columns$}");
        if loud && count > 0 {
            paint.red(&text)
        } else {
            text
        }
    };
    let reboot = match scan.reboot.need {
        RebootNeed::Yes => paint.yellow("needed   "),
        RebootNeed::No => "no       ".to_owned(),
        RebootNeed::Unknown => paint.yellow("unknown  "),
    };
    let mut findings: Vec<String> = Vec::new();
    if let Some(reason) = &scan.forbidden {
        findings.push(format!("patching forbidden: {reason}"));
    }
    if let DatabaseState::Interrupted(_) = scan.database {
        findings.push("package database interrupted".to_owned());
    }
    if !scan.stale.is_empty() {
        findings.push(format!("{} processes run replaced files", scan.stale.len()));
    }
    if !scan.holds.is_empty() {
        findings.push(format!("{} held", scan.holds.len()));
    }
    findings.extend(scan.findings.iter().map(|it| it.code.clone()));
    findings.dedup();
    format!(
        "{system:<22} {} {} {}  {reboot} {}",
        number(Class::Security, 8, true),
        number(Class::Bugfix, 5, false),
        number(Class::Unknown, 7, false),
        sanitize::line(&findings.join("; "), 160),
    )
}

fn details(scan: &Scan, options: &Options, out: &mut String) {
    let most = if options.verbosity > 0 {
        usize::MAX
    } else {
        NAMED_MAX
    };
    let mut updates: Vec<_> = scan.updates.iter().collect();
    updates.sort_by_key(|it| (it.class, it.package.clone()));
    let shown = if options.verbosity > 0 {
        updates.len()
    } else {
        0
    };
    for update in updates.iter().take(shown.min(most)) {
        let text = format!(
            "{} {} -> {} ({}{})",
            update.package,
            update.from.as_deref().unwrap_or("-"),
            update.to,
            match update.class {
                Class::Security => "security",
                Class::Bugfix => "bugfix",
                Class::Unknown => "unclassified",
            },
            update
                .kept_back
                .as_ref()
                .map(|why| format!("; kept back: {why}"))
                .unwrap_or_default(),
        );
        let _ = writeln!(
            out,
            "    {}",
            sanitize::line(&text, options.width.saturating_sub(4).max(40))
        );
    }
    if options.verbosity == 0 {
        return;
    }
    let reasons = scan.reboot.reasons.iter().map(|it| format!("reboot: {it}"));
    let findings = scan.findings.iter().map(|it| it.text.clone());
    for text in reasons.chain(findings) {
        let _ = writeln!(
            out,
            "    {}",
            sanitize::line(&text, options.width.saturating_sub(4).max(40))
        );
    }
}

fn sum(hosts: &Scans, paint: Paint) -> String {
    let scans: Vec<&Scan> = hosts.values().filter_map(|it| it.as_ref().ok()).collect();
    let with = |class: Class| scans.iter().filter(|it| count(it, class) > 0).count();
    let reboots = scans
        .iter()
        .filter(|it| it.reboot.need == RebootNeed::Yes)
        .count();
    let silent = hosts.len() - scans.len();
    let mut text = format!(
        "\n{} hosts: {} with security updates, {} with others, {} with unclassified ones, {} wait for a reboot",
        hosts.len(),
        with(Class::Security),
        with(Class::Bugfix),
        with(Class::Unknown),
        reboots,
    );
    if silent > 0 {
        text.push_str(&paint.red(&format!(", {silent} could not be scanned")));
    }
    text.push('\n');
    text
}

/// The hosts for programs: one JSON object.
pub fn scan_json(hosts: &Scans) -> String {
    let one = |scan: &Result<Scan, String>| match scan {
        Ok(scan) => json!({ "scan": scan }),
        Err(why) => json!({ "error": why }),
    };
    let hosts: BTreeMap<&String, serde_json::Value> =
        hosts.iter().map(|(name, it)| (name, one(it))).collect();
    let text = json!({ "form": 1, "hosts": hosts }).to_string();
    sanitize::json(&text) + "\n"
}
