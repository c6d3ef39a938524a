//! One page for who answers for the hosts: how they stand, how long they were exposed, what is promised to whom.

use hostler_patch::report::{ExceptionRow, HostState, Report};
use hostler_updates::Class;

use super::sheet::{Block, Cell, Tone, cell, line, names, number, table, text, whole};
use super::words;
use crate::export::When;

/// Rows of a list on this page.
const ROWS_MAX: usize = 5;

/// Most rows first, and how many are left.
fn first<T>(rows: &[T], count: u64) -> (&[T], u64) {
    let shown = rows.get(..ROWS_MAX).unwrap_or(rows);
    (shown, count.saturating_sub(shown.len() as u64))
}

pub(super) fn page(report: &Report, when: When<'_>) -> Vec<Block> {
    let mut page = vec![
        compliance(report),
        line(cell(format!(
            "State of {}, period since {}",
            when(report.made_us),
            when(report.since_us)
        ))),
        states(report),
        Block::Trend(report.trend.clone()),
    ];
    if let Some(last) = &report.last_run {
        let started = report.runs.rows.first().map(|it| it.outcome.started_us);
        let at = started
            .map(|it| format!(" ({})", when(it)))
            .unwrap_or_default();
        page.push(line(cell(format!("Last run{at}: {last}"))));
    } else {
        page.push(line(
            cell("No run has patched these hosts yet.").tone(Tone::Dim),
        ));
    }
    page.extend(missing(report));
    page.extend(exposure(report));
    page.extend(reboots(report));
    page.extend(failures(report));
    page.extend(exceptions(&report.exceptions, when));
    page.extend(coverage(report));
    page
}

fn compliance(report: &Report) -> Block {
    let all = report.totals.compliant == report.totals.hosts;
    line(cell(words::compliance(report)).tone(if all { Tone::Good } else { Tone::Warn }))
}

fn states(report: &Report) -> Block {
    let totals = &report.totals;
    let count = |state: HostState, count: u32| {
        let tone = words::state_tone(state);
        cell(count.to_string()).tone_if(count > 0, tone)
    };
    let mut facts = vec![
        ("Compliant", count(HostState::Compliant, totals.compliant)),
        ("Updates missing", count(HostState::Missing, totals.missing)),
        (
            "Installed, not running",
            count(HostState::NotRunning, totals.not_running),
        ),
        ("Unknown", count(HostState::Unknown, totals.unknown)),
    ];
    if totals.excepted > 0 {
        let text = format!("{} of these", totals.excepted);
        facts.push(("With an exception", cell(text)));
    }
    Block::Facts(facts)
}

fn missing(report: &Report) -> Vec<Block> {
    let mut blocks = vec![Block::Section("Missing updates".into())];
    let waiting = match report.waiting {
        0 => None,
        count => Some(line(cell(format!(
            "{count} more are not approved: they wait for a delay, a hold, an exclusion."
        )))),
    };
    if report.missing.is_empty() {
        blocks.push(line(cell("No host is known to lack an approved update.")));
        blocks.extend(waiting);
        return blocks;
    }
    let rows = report.missing.iter().map(|it| {
        let loud = match it.class {
            Class::Security => Tone::Bad,
            Class::Unknown => Tone::Warn,
            Class::Bugfix => Tone::Plain,
        };
        let allowed = it.sla_days.map_or_else(|| "-".to_owned(), words::days);
        vec![
            cell(words::class(it.class)).tone(loud),
            cell(words::severity(it.severity)),
            cell(it.updates.to_string()),
            cell(it.hosts.to_string()),
            cell(words::days(it.oldest_days)),
            cell(allowed),
            cell(it.over_sla.to_string()).tone_if(it.over_sla > 0, Tone::Bad),
        ]
    });
    let columns = [
        whole("class"),
        whole("severity"),
        number("updates"),
        number("hosts"),
        number("oldest"),
        number("allowed"),
        number("too old"),
    ];
    blocks.push(table(columns, rows.collect(), 0));
    blocks.extend(waiting);
    blocks
}

fn exposure(report: &Report) -> Vec<Block> {
    let it = &report.exposure;
    let mut facts: Vec<(&'static str, Cell)> = vec![(
        "Fixed in the period",
        cell(format!(
            "{} (median {}, 95 % within {})",
            it.fixed,
            words::decimal_days(it.median_days),
            words::decimal_days(it.p95_days)
        )),
    )];
    if it.fixed == 0 {
        facts[0].1 = cell("0");
    }
    let open = format!(
        "{} (median {}, oldest {})",
        it.open,
        words::decimal_days(it.open_median_days),
        words::decimal_days(it.oldest_open_days)
    );
    let open = if it.open == 0 { "0".to_owned() } else { open };
    facts.push(("Open now", cell(open).tone_if(it.open > 0, Tone::Warn)));
    if it.installed_not_running > 0 {
        let text = format!("{} of the open ones", it.installed_not_running);
        facts.push(("Installed, not running", cell(text).tone(Tone::Warn)));
    }
    if it.unclassified_open > 0 {
        let text = format!(
            "{}: nobody knows whether they are security updates",
            it.unclassified_open
        );
        facts.push(("Unclassified", cell(text).tone(Tone::Warn)));
    }
    let breaches = report.breaches.count;
    facts.push((
        "Open for too long",
        cell(breaches.to_string()).tone_if(breaches > 0, Tone::Bad),
    ));
    let mut blocks = vec![
        Block::Section("Exposure to security updates".into()),
        Block::Facts(facts),
    ];
    if breaches > 0 {
        let (rows, more) = first(&report.breaches.rows, breaches);
        let rows = rows.iter().map(|it| {
            vec![
                cell(&it.host),
                cell(format!("{} {}", it.package, it.version)),
                cell(words::severity(it.severity)),
                cell(words::days(it.days)).tone(Tone::Bad),
                cell(words::days(it.sla_days)),
                cell(it.owner.as_deref().unwrap_or("-")),
            ]
        });
        let columns = [
            text("host"),
            text("update"),
            whole("severity"),
            number("open"),
            number("allowed"),
            text("exception of").spare(),
        ];
        blocks.push(table(columns, rows.collect(), more));
    }
    blocks
}

fn reboots(report: &Report) -> Vec<Block> {
    let it = &report.reboots;
    let mut facts = Vec::new();
    let waiting = it.hosts.len();
    let oldest = it.hosts.first().map(|it| words::days(it.days));
    let text = match oldest {
        Some(oldest) => format!("{} ({oldest} at most)", crate::words::hosts(waiting)),
        None => "none".to_owned(),
    };
    facts.push((
        "Wait for a reboot",
        cell(text).tone_if(waiting > 0, Tone::Warn),
    ));
    if it.restarts > 0 {
        let text = crate::words::hosts(it.restarts as usize);
        facts.push(("Wait for restarts", cell(text).tone(Tone::Warn)));
    }
    if it.unknown > 0 {
        let text = crate::words::hosts(it.unknown as usize);
        facts.push(("Not known", cell(text).tone(Tone::Warn)));
    }
    vec![
        Block::Section("Pending reboots".into()),
        Block::Facts(facts),
    ]
}

fn failures(report: &Report) -> Vec<Block> {
    let mut blocks = vec![Block::Section("Failures of the period".into())];
    if report.failures.is_empty() {
        blocks.push(line(cell("None.")));
        return blocks;
    }
    let (rows, more) = first(&report.failures, report.failures.len() as u64);
    let rows = rows.iter().map(|it| {
        vec![
            cell(&it.cause).tone(Tone::Bad),
            cell(it.count.to_string()),
            names(&it.hosts),
            cell(it.messages.first().map_or("", String::as_str)),
        ]
    });
    let columns = [
        text("cause"),
        number("times"),
        text("hosts"),
        text("message"),
    ];
    blocks.push(table(columns, rows.collect(), more));
    blocks
}

pub(super) fn exceptions(exceptions: &[ExceptionRow], when: When<'_>) -> Vec<Block> {
    let mut blocks = vec![Block::Section("Exceptions".into())];
    if exceptions.is_empty() {
        blocks.push(line(cell("None.")));
        return blocks;
    }
    let expired = exceptions.iter().filter(|it| it.expired).count();
    if expired > 0 {
        let text = format!("EXPIRED: {expired} of {}", exceptions.len());
        blocks.push(line(cell(text).tone(Tone::Bad)));
    }
    let rows = exceptions.iter().map(|it| {
        let expires = match (it.expires_us, it.days_left) {
            (Some(at), Some(days)) if !it.expired => format!("{} (in {days} days)", when(at)),
            (Some(at), _) => format!("EXPIRED {}", when(at)),
            (None, _) => "never".to_owned(),
        };
        let tone = match it.days_left {
            _ if it.expired => Tone::Bad,
            Some(days) if days >= 14 => Tone::Plain,
            _ => Tone::Warn,
        };
        let why = match &it.ticket {
            Some(ticket) => format!("{} ({ticket})", it.reason),
            None => it.reason.clone(),
        };
        let what = if it.packages.is_empty() {
            "all updates".to_owned()
        } else {
            it.packages.join(", ")
        };
        vec![
            cell(expires).tone(tone),
            cell(&it.owner),
            names(&it.hosts),
            cell(what),
            cell(why),
        ]
    });
    let columns = [
        whole("expires"),
        text("owner"),
        text("hosts"),
        text("updates").spare(),
        text("reason"),
    ];
    blocks.push(table(columns, rows.collect(), 0));
    blocks
}

fn coverage(report: &Report) -> Vec<Block> {
    let it = &report.coverage;
    let mut facts = vec![(
        "Scanned in 7 days",
        cell(format!(
            "{} of {}",
            it.scanned,
            crate::words::hosts(report.totals.hosts as usize)
        )),
    )];
    for (name, hosts) in [
        ("Scanned before that", &it.stale),
        ("Never scanned", &it.never),
        ("Unclassified updates", &it.unclassified),
    ] {
        if !hosts.is_empty() {
            facts.push((name, names(hosts).tone(Tone::Warn)));
        }
    }
    if report.skew.count > 0 {
        let count = report.skew.count.to_string();
        facts.push(("Packages with version skew", cell(count)));
    }
    if report.drift.count > 0 {
        let count = report.drift.count.to_string();
        facts.push(("Changes outside of runs", cell(count).tone(Tone::Warn)));
    }
    vec![
        Block::Section("What is known".into()),
        Block::Facts(facts),
        Block::Small("Definitions", report.definitions.clone()),
    ]
}
