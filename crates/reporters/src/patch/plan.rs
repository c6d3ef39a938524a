//! A plan, for people: what happens where in which order, and why a host is left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hostler_patch::plan::{HostPlan, LeftOutCode, Plan, PlanId};
use hostler_updates::ActionKind;

use super::run::TimeOfDay;
use crate::style::Paint;
use crate::{Options, sanitize};

/// Hosts of a wave that are named without `-v`.
const HOSTS_MAX: usize = 12;
/// Columns of a text of a host.
const TEXT_MAX: usize = 300;

/// The plan. `time` gives the date and the time of an instant.
pub fn plan_text(plan: &Plan, id: &PlanId, options: &Options, time: TimeOfDay) -> String {
    let paint = Paint::new(options.color);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}  {}: {} hosts in {} waves, {} left out; good until {}",
        paint.bold(&format!("Plan {}", id.short())),
        sanitize::name(&plan.policy),
        plan.hosts.len(),
        plan.waves.len(),
        plan.left_out.len(),
        time(plan.valid_until_us),
    );
    for (index, wave) in (0_u32..).zip(&plan.waves) {
        let hosts = plan.hosts_of(index);
        let _ = writeln!(
            out,
            "\n{}  {} hosts",
            paint.bold(&format!("Wave {}", sanitize::name(&wave.name))),
            hosts.len()
        );
        let _ = writeln!(out, "  {}", when(plan, index, time));
        let failures = match wave.max_failures {
            0 => "halts at the first failure".to_owned(),
            allowed => format!(
                "halts at failure {} ({allowed} allowed)",
                u64::from(allowed) + 1
            ),
        };
        let ramp = if wave.ramp { " after 1, 2, 4, ..." } else { "" };
        let soak = if wave.soak_s > 0 {
            format!("; soaks {}", span(wave.soak_s))
        } else {
            String::new()
        };
        let gates = if wave.gates.is_empty() {
            String::new()
        } else {
            format!("; gates {}", wave.gates.join(", "))
        };
        let approve = if wave.approve {
            "; somebody must approve it"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "  {} at the same time{ramp}; {failures}{soak}{}{approve}",
            wave.parallel,
            sanitize::line(&gates, TEXT_MAX)
        );
        for line in &wave.uncovered {
            let _ = writeln!(
                out,
                "  {}",
                paint.yellow(&format!("no canary: {}", sanitize::line(line, TEXT_MAX)))
            );
        }
        wave_hosts(plan, &hosts, options, &mut out);
    }
    left_out(plan, options, paint, &mut out);
    for group in &plan.groups {
        let _ = writeln!(
            out,
            "Group {}: {} of {} may be away at the same time, {} are already",
            sanitize::name(&group.name),
            group.max_unavailable,
            group.hosts.len(),
            group.unavailable.len()
        );
    }
    for risk in &plan.risks {
        let _ = writeln!(
            out,
            "{}",
            paint.yellow(&format!("Risk: {}", sanitize::line(risk, TEXT_MAX)))
        );
    }
    out
}

fn when(plan: &Plan, wave: u32, time: TimeOfDay) -> String {
    let wave = usize::try_from(wave).ok().and_then(|it| plan.waves.get(it));
    let Some(window) = wave.and_then(|it| it.window.as_ref()) else {
        return "at any time".to_owned();
    };
    let occurrences = plan
        .windows
        .get(window)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let open = occurrences.iter().find_map(|it| it.open.first());
    match open {
        Some(open) => format!(
            "window {}: {} to {}",
            sanitize::name(window),
            time(open.start_us),
            time(open.end_us)
        ),
        None => format!(
            "window {}: not open while the plan is good",
            sanitize::name(window)
        ),
    }
}

/// Hosts that get the same stand in one line.
fn wave_hosts(plan: &Plan, hosts: &[&str], options: &Options, out: &mut String) {
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for host in hosts {
        if let Some(planned) = plan.hosts.get(*host) {
            alike.entry(work(planned)).or_default().push(host);
        }
    }
    let most = if options.verbosity > 0 {
        usize::MAX
    } else {
        HOSTS_MAX
    };
    for (work, hosts) in alike {
        let mut names: Vec<String> = hosts
            .iter()
            .take(most)
            .map(|it| sanitize::name(it))
            .collect();
        if hosts.len() > names.len() {
            names.push(format!("and {} more", hosts.len() - names.len()));
        }
        let _ = writeln!(
            out,
            "  {}\n    {}",
            names.join(", "),
            sanitize::line(&work, TEXT_MAX.max(options.width))
        );
        if options.verbosity > 0
            && let Some(planned) = hosts.first().and_then(|it| plan.hosts.get(*it))
        {
            actions(planned, out);
        }
    }
}

fn work(planned: &HostPlan) -> String {
    let count = |kind: ActionKind| planned.actions.iter().filter(|it| it.kind == kind).count();
    let mut parts = vec![format!("{} updates", count(ActionKind::Upgrade))];
    for (kind, words) in [
        (ActionKind::Install, "new"),
        (ActionKind::Remove, "removed"),
    ] {
        if count(kind) > 0 {
            parts.push(format!("{} {words}", count(kind)));
        }
    }
    if planned.download_bytes > 0 {
        parts.push(format!("{:.1} MiB", megabytes(planned.download_bytes)));
    }
    parts.push(format!("about {}", span(u64::from(planned.expected_s))));
    if !planned.reboot_reasons.is_empty() {
        parts.push("reboot".to_owned());
    }
    if !planned.restarts.is_empty() {
        parts.push(format!("restarts {}", planned.restarts.join(" ")));
    }
    if !planned.conffiles.is_empty() {
        parts.push(format!(
            "{} changed configuration files",
            planned.conffiles.len()
        ));
    }
    let way = &planned.way_back;
    parts.push(match (way.of, way.packages, way.snapshot) {
        (_, _, Some(_)) => "way back: snapshot".to_owned(),
        (0, ..) => "way back: not needed".to_owned(),
        (of, have, _) if of == have => "way back: packages".to_owned(),
        (_, 0, _) => "NO WAY BACK".to_owned(),
        (of, have, _) => format!("way back: {have} of {of} packages"),
    });
    if !planned.waiting.is_empty() {
        parts.push(format!("{} wait", planned.waiting.len()));
    }
    parts.join(", ")
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn actions(planned: &HostPlan, out: &mut String) {
    for action in &planned.actions {
        let text = format!(
            "{} {} -> {}",
            action.package,
            action.from.as_deref().unwrap_or("-"),
            action.to.as_deref().unwrap_or("(removed)")
        );
        let _ = writeln!(out, "      {}", sanitize::line(&text, TEXT_MAX));
    }
    for waiting in &planned.waiting {
        let text = format!(
            "{} {} waits: {}",
            waiting.package, waiting.version, waiting.reason
        );
        let _ = writeln!(out, "      {}", sanitize::line(&text, TEXT_MAX));
    }
}

fn left_out(plan: &Plan, options: &Options, paint: Paint, out: &mut String) {
    if plan.left_out.is_empty() {
        out.push('\n');
        return;
    }
    let _ = writeln!(out, "\n{}", paint.bold("Left out"));
    let mut alike: BTreeMap<(bool, String), Vec<&String>> = BTreeMap::new();
    for (host, why) in &plan.left_out {
        let harmless = why.code == LeftOutCode::UpToDate;
        let rule = why
            .rule
            .as_ref()
            .map(|it| format!(" ({it})"))
            .unwrap_or_default();
        alike
            .entry((harmless, format!("{}{rule}", why.reason)))
            .or_default()
            .push(host);
    }
    let most = if options.verbosity > 0 {
        usize::MAX
    } else {
        HOSTS_MAX
    };
    for ((harmless, reason), hosts) in alike {
        let mut names: Vec<String> = hosts
            .iter()
            .take(most)
            .map(|it| sanitize::name(it))
            .collect();
        if hosts.len() > names.len() {
            names.push(format!("and {} more", hosts.len() - names.len()));
        }
        let line = format!(
            "{}: {}",
            names.join(", "),
            sanitize::line(&reason, TEXT_MAX)
        );
        let _ = writeln!(
            out,
            "  {}",
            if harmless { line } else { paint.yellow(&line) }
        );
    }
    out.push('\n');
}

/// `45 s`, `3 min`, `1 h 04 min`, `2 days`.
fn span(seconds: u64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        7200..172_800 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}
