//! Plans and what follows from them as plain text for a terminal of any width. What came from hosts is shown without control
//! characters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hostler_schedule::{Zone, duration_text};

use crate::diff::PlanDiff;
use crate::explain::{Explanation, what_is_done};
use crate::forecast::{Back, Forecast, back};
use crate::plan::{HostPlan, LeftOutCode, Plan, PlanId};
use crate::planner::few;
use crate::select::shown;

/// Adds a line. Writing to a String cannot fail.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($text:tt)*) => {{ let _ = writeln!($out, $($text)*); }};
}

/// Most lines of a list.
const LINES_MAX: usize = 20;

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| bytes >= 1 << shift);
    match unit {
        Some((shift, unit)) => {
            // One place after the point, rounded up: 9.1 GiB.
            let tenths = (u128::from(bytes) * 10).div_ceil(1 << shift);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap_or_else(|_| Zone::utc())
}

fn duration(seconds: u64) -> String {
    // Seconds matter only where there is nothing else.
    let rounded = if seconds > 600 {
        seconds.div_ceil(60) * 60
    } else {
        seconds
    };
    duration_text(rounded)
}

/// Two instants: the date and the zone once, where that is enough.
fn span(zone: &Zone, start_us: i64, end_us: i64) -> String {
    let (start, end) = (zone.show(start_us), zone.show(end_us));
    let parts = |text: &str| -> Option<(String, String, String)> {
        let mut words = text.splitn(3, ' ').map(str::to_owned);
        Some((words.next()?, words.next()?, words.next()?))
    };
    match (parts(&start), parts(&end)) {
        (Some((day, from, zone)), Some((last_day, to, last_zone))) if zone == last_zone => {
            if day == last_day {
                format!("{day} {from} to {to} {zone}")
            } else {
                format!("{day} {from} to {last_day} {to} {zone}")
            }
        }
        _ => format!("{start} to {end}"),
    }
}

/// A wave's name at the start of a line.
fn wave_title(name: &str) -> String {
    match name.strip_prefix("wave ") {
        Some(number) => format!("Wave {number}"),
        None => format!("Wave {name}"),
    }
}

/// A wave's name within a sentence.
pub(crate) fn wave_name(name: &str) -> String {
    if name.starts_with("wave ") {
        name.to_owned()
    } else {
        format!("wave {name}")
    }
}

/// A window's name; the only one of a small policy has none.
pub(crate) fn window_name(name: &str) -> String {
    if name == "window" {
        "the window".into()
    } else {
        format!("window {name}")
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|it| it.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn many(count: u32, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

fn hosts(count: usize) -> String {
    if count == 1 {
        "1 host".into()
    } else {
        format!("{count} hosts")
    }
}

/// A plan on one page: waves, what is installed, who is left out.
pub fn plan(plan: &Plan, id: &PlanId) -> String {
    let zone = zone(&plan.zone);
    let mut out = String::new();
    line!(out, "Plan {} of policy {}", id.short(), plan.policy);
    line!(
        out,
        "made {} by {}, valid until {}",
        zone.show(plan.made_us),
        shown(&plan.made_by),
        zone.show(plan.valid_until_us)
    );
    for (name, occurrences) in &plan.windows {
        for occurrence in occurrences.iter().take(3) {
            let open: Vec<String> = occurrence
                .open
                .iter()
                .map(|it| span(&zone, it.start_us, it.end_us))
                .collect();
            let open = if open.is_empty() {
                "frozen".into()
            } else {
                open.join(", ")
            };
            line!(out, "{}: {open}", window_name(name));
            for remark in &occurrence.remarks {
                line!(out, "  {}", shown(remark));
            }
        }
    }
    if !plan.waves.is_empty() {
        line!(out);
    }
    waves(&mut out, plan);
    packages(&mut out, plan);
    left_out(&mut out, plan);
    waiting(&mut out, plan);
    risks(&mut out, &plan.risks);
    out
}

fn waves(out: &mut String, plan: &Plan) {
    for (index, wave) in plan.waves.iter().enumerate() {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let names = plan.hosts_of(number);
        let window = wave
            .window
            .as_deref()
            .map_or("at any time".into(), window_name);
        line!(
            out,
            "{}: {}, {window}, {} at a time, halts at failure #{}",
            wave_title(&wave.name),
            hosts(names.len()),
            wave.parallel,
            wave.max_failures + 1
        );
        line!(out, "  {}", few_hosts(&names));
        let mut then: Vec<String> = Vec::new();
        if wave.soak_s > 0 {
            then.push(format!("soaks {}", duration(wave.soak_s)));
        }
        if !wave.gates.is_empty() {
            then.push(format!("gates: {}", wave.gates.join(", ")));
        }
        if wave.approve {
            then.insert(0, "must be approved".into());
        }
        if !then.is_empty() {
            line!(out, "  {}", then.join("; "));
        }
    }
    if !plan.waves.is_empty() {
        line!(out, "The run halts at failure #{}.", plan.max_failures + 1);
    }
}

fn few_hosts(names: &[&str]) -> String {
    const MOST: usize = 8;
    let first: Vec<&str> = names.iter().take(MOST).copied().collect();
    match names.len().saturating_sub(MOST) {
        0 => first.join(" "),
        more => format!("{} and {more} more", first.join(" ")),
    }
}

/// Hosts with each version, the most frequent ones first.
fn packages(out: &mut String, plan: &Plan) {
    let mut all: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for host in plan.hosts.values() {
        for action in &host.actions {
            let from = action.from.as_deref().unwrap_or("not installed");
            let to = action.to.as_deref().unwrap_or("removed");
            let key = (action.package.to_string(), from.to_owned(), to.to_owned());
            *all.entry(key).or_default() += 1;
        }
    }
    if all.is_empty() {
        return;
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    line!(out);
    line!(out, "Packages");
    for ((package, from, to), count) in all.iter().take(LINES_MAX) {
        line!(
            out,
            "  {} {} → {}  ({})",
            shown(package),
            shown(from),
            shown(to),
            hosts(*count)
        );
    }
    if all.len() > LINES_MAX {
        line!(out, "  and {} more", all.len() - LINES_MAX);
    }
}

fn left_out(out: &mut String, plan: &Plan) {
    let mut all: BTreeMap<(LeftOutCode, &str, Option<&str>), Vec<&str>> = BTreeMap::new();
    let mut fine = 0_usize;
    for (host, why) in &plan.left_out {
        if why.code == LeftOutCode::UpToDate {
            fine += 1;
            continue;
        }
        let key = (why.code, why.reason.as_str(), why.rule.as_deref());
        all.entry(key).or_default().push(host);
    }
    if all.is_empty() && fine == 0 {
        return;
    }
    line!(out);
    line!(out, "Left out");
    if fine > 0 {
        line!(out, "  {} up to date", hosts(fine));
    }
    for ((code, reason, rule), names) in all {
        let rule = rule.map_or_else(String::new, |it| format!("  [{it}]"));
        line!(
            out,
            "  {} ({}): {}{rule}",
            few(names.into_iter()),
            code.words(),
            shown(reason)
        );
    }
}

fn waiting(out: &mut String, plan: &Plan) {
    let mut all: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for waiting in plan.hosts.values().flat_map(|it| &it.waiting) {
        let key = (
            waiting.package.clone(),
            waiting.version.clone(),
            waiting.reason.clone(),
        );
        *all.entry(key).or_default() += 1;
    }
    if all.is_empty() {
        return;
    }
    line!(out);
    line!(out, "Waiting");
    for ((package, version, reason), count) in all.iter().take(LINES_MAX) {
        line!(
            out,
            "  {} {}  ({}): {}",
            shown(package),
            shown(version),
            hosts(*count),
            shown(reason)
        );
    }
    if all.len() > LINES_MAX {
        line!(out, "  and {} more", all.len() - LINES_MAX);
    }
}

fn risks(out: &mut String, risks: &[String]) {
    if risks.is_empty() {
        return;
    }
    line!(out);
    line!(out, "Risks");
    for risk in risks {
        line!(out, "  {}", shown(risk));
    }
}

/// One host of a plan. `None`: it is not in it.
pub fn host(plan: &Plan, name: &str) -> Option<String> {
    let Some(host) = plan.hosts.get(name) else {
        let explanation = crate::explain::explain(plan, name, None, None, plan.made_us)?;
        return Some(self::explanation(&explanation));
    };
    let mut out = String::new();
    let wave = plan.waves.get(host.wave as usize);
    line!(
        out,
        "{name}: {} in {}, turn {}",
        what_is_done(host),
        wave.map_or_else(String::new, |it| wave_name(&it.name)),
        host.order + 1
    );
    line!(
        out,
        "  {}, {}; about {}, at most {}; downloads {}",
        shown(&host.os.name),
        shown(&host.arch),
        duration(host.expected_s.into()),
        duration(host.expected_p95_s.into()),
        size(host.download_bytes)
    );
    line!(out, "  way back: {}", back_text(plan, host));
    let parts = [
        ("reboots", &host.reboot_reasons),
        ("restarts", &host.restarts),
    ];
    for (what, lines) in parts.iter().filter(|(_, it)| !it.is_empty()) {
        line!(out, "  {what}: {}", few(lines.iter().map(String::as_str)));
    }
    for conffile in &host.conffiles {
        line!(
            out,
            "  changed by hand: {} of {}",
            shown(&conffile.path),
            shown(&conffile.package)
        );
    }
    for action in &host.actions {
        line!(
            out,
            "  {} {} → {}{}",
            shown(&action.package.to_string()),
            shown(action.from.as_deref().unwrap_or("not installed")),
            shown(action.to.as_deref().unwrap_or("removed")),
            if action.dependency {
                "  (comes along)"
            } else {
                ""
            }
        );
    }
    for waiting in &host.waiting {
        line!(
            out,
            "  waits: {} {}: {}",
            shown(&waiting.package),
            shown(&waiting.version),
            shown(&waiting.reason)
        );
    }
    Some(out)
}

/// How far a host can be put back, in words.
pub fn back_text(plan: &Plan, host: &HostPlan) -> String {
    match back(plan, host) {
        Back::Full => "full".into(),
        Back::Packages => format!(
            "packages ({} of {})",
            host.way_back.packages, host.way_back.of
        ),
        Back::KernelOnly => "only an older kernel".into(),
        Back::None => "none".into(),
    }
}

/// A forecast: the first screen of "what will tonight do".
pub fn forecast(forecast: &Forecast, zone: &Zone) -> String {
    let mut out = String::new();
    nights(&mut out, forecast, zone);
    host_counts(&mut out, forecast);
    let work = &forecast.work;
    line!(
        out,
        "Packages {} ({} different)   reboots {}   service restarts {}   downloads {}",
        work.packages,
        work.distinct,
        work.reboots,
        work.restarts,
        size(work.download_bytes)
    );
    if let (Some(likely), Some(slow)) = (forecast.ends_us, forecast.ends_p95_us) {
        line!(
            out,
            "Ends about {}, at the latest about {}; halts at failure #{} of the run",
            zone.show(likely),
            zone.show(slow),
            forecast.max_failures + 1
        );
    }
    line!(out);
    wave_lines(&mut out, forecast, zone);
    for group in &forecast.groups {
        let away = if group.away.is_empty() {
            String::new()
        } else {
            format!(
                ", {} not there now",
                few(group.away.iter().map(String::as_str))
            )
        };
        line!(
            out,
            "Group {}: at most {} of {} unavailable at a time, {} may be (margin {}{away})",
            group.name,
            group.worst,
            group.hosts,
            group.max_unavailable,
            group.margin
        );
    }
    let back = &forecast.way_back;
    let none = if back.none.is_empty() {
        String::new()
    } else {
        format!(" ({})", few(back.none.iter().map(String::as_str)))
    };
    line!(
        out,
        "Way back: full {}, packages {}, only a kernel {}, none {}{none}",
        back.full,
        back.packages,
        back.kernel_only,
        back.none.len()
    );
    risks(&mut out, &forecast.risks);
    out
}

fn nights(out: &mut String, forecast: &Forecast, zone: &Zone) {
    if forecast.nights.is_empty() {
        line!(out, "Nothing would be done.");
    }
    for night in &forecast.nights {
        let when = match &night.occurrence {
            Some(it) => format!(
                "{}, {}",
                capital(&window_name(&it.window)),
                span(zone, it.whole.start_us, it.whole.end_us)
            ),
            None => "Without a window".into(),
        };
        line!(
            out,
            "{when}: {} ({}), {}, until about {}",
            hosts(night.hosts as usize),
            night.waves.join(", "),
            many(night.reboots, "reboot"),
            zone.show(night.ends_us)
        );
        for remark in night.occurrence.iter().flat_map(|it| &it.remarks) {
            line!(out, "  {}", shown(remark));
        }
    }
}

fn host_counts(out: &mut String, forecast: &Forecast) {
    let counts = &forecast.hosts;
    let mut parts = vec![
        format!("Hosts {}", counts.all),
        format!("will be patched {}", counts.patched),
    ];
    if counts.no_time > 0 {
        parts.push(format!("no time for {}", counts.no_time));
    }
    if counts.blocked > 0 {
        parts.push(format!("blocked by their group {}", counts.blocked));
    }
    for (code, count) in &counts.left_out {
        parts.push(format!("{} {count}", code.words()));
    }
    line!(out, "{}", parts.join("   "));
}

fn wave_lines(out: &mut String, forecast: &Forecast, zone: &Zone) {
    for wave in &forecast.waves {
        let time = match (wave.starts_us, wave.ends_us) {
            (Some(start), Some(end)) => span(zone, start, end),
            _ => "no time".into(),
        };
        let approve = if wave.approve { ", after approval" } else { "" };
        line!(
            out,
            "{}: {}, {time}{approve}; {} at a time, halts at failure #{}",
            wave_title(&wave.name),
            hosts(wave.hosts as usize),
            wave.parallel,
            wave.max_failures + 1
        );
        if wave.soak_s > 0 || !wave.gates.is_empty() {
            let gates = if wave.gates.is_empty() {
                String::new()
            } else {
                format!(", gates {}", wave.gates.join(", "))
            };
            line!(out, "  soaks {}{gates}", duration(wave.soak_s));
        }
        if !wave.misfits.is_empty() {
            let more = match wave.parallel_that_fits {
                Some(parallel) => format!("; with {parallel} at a time all would"),
                None => String::new(),
            };
            line!(
                out,
                "  {} do not fit: {}{more}",
                hosts(wave.misfits.len()),
                few(wave.misfits.iter().map(String::as_str))
            );
        }
        for class in &wave.uncovered {
            line!(out, "  no canary for {}", shown(class));
        }
    }
}

/// The answer to "why was it not patched".
pub fn explanation(explanation: &Explanation) -> String {
    let mut out = String::new();
    line!(out, "{}: {}", explanation.host, shown(&explanation.answer));
    if let Some(rule) = &explanation.rule {
        line!(out, "  decided at {rule}");
    }
    for detail in &explanation.details {
        line!(out, "  {}", shown(detail));
    }
    out
}

/// What differs between two plans.
pub fn diff(diff: &PlanDiff) -> String {
    let mut out = String::new();
    if diff.about.is_empty() && diff.hosts.is_empty() {
        line!(out, "The plans do the same.");
    }
    for about in &diff.about {
        line!(out, "{}", shown(about));
    }
    for (host, lines) in &diff.hosts {
        line!(out, "{host}");
        for it in lines {
            line!(out, "  {}", shown(it));
        }
    }
    out
}
