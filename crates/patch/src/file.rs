//! Plan files. They come from outside: size, form, sums and times are checked before anything of them is used.

use thiserror::Error;

use crate::plan::{FORM, Plan, PlanId};

/// Largest plan file, bytes. A plan of 1000 hosts with 200 packages each has about 60 MB.
pub const PLAN_BYTES_MAX: usize = 256 << 20;
/// Most hosts of a plan.
pub const HOSTS_MAX: usize = 20_000;
/// Most waves, groups, gates of a plan.
const PARTS_MAX: usize = 10_000;
/// Microseconds since the epoch: 1970 up to the year 3000.
const YEARS_US: std::ops::Range<i64> = 0..32_503_680_000_000_000;
/// Most actions of a host.
const ACTIONS_MAX: usize = 20_000;

/// Why a plan file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanFileProblem {
    /// It is too large.
    #[error("the plan is larger than {PLAN_BYTES_MAX} bytes")]
    TooLarge,
    /// It is no plan.
    #[error("this is no plan: {0}")]
    NoPlan(String),
    /// It was made by a program of another version.
    #[error("the plan has form {found}, this program reads form {FORM}: make a new plan")]
    Form {
        /// What it says.
        found: u64,
    },
    /// It contradicts itself.
    #[error("the plan contradicts itself: {0}")]
    Contradiction(String),
}

/// A plan as a file: JSON, on one line.
///
/// # Errors
/// If a figure in it has no form in JSON.
pub fn write(plan: &Plan) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(plan)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a plan file. Its id is made of what was read, so nothing can claim to be another plan. Whether it has expired is
/// [`expired`]'s to say: an old plan can still be shown.
///
/// # Errors
/// If it is no plan, or one that this program does not understand, or one that contradicts itself.
pub fn read(bytes: &[u8]) -> Result<(Plan, PlanId), PlanFileProblem> {
    #[derive(serde::Deserialize)]
    struct Head {
        form: u64,
    }
    if bytes.len() > PLAN_BYTES_MAX {
        return Err(PlanFileProblem::TooLarge);
    }
    let no_plan = |error: &serde_json::Error| PlanFileProblem::NoPlan(error.to_string());
    let head: Head = serde_json::from_slice(bytes).map_err(|error| no_plan(&error))?;
    if head.form != u64::from(FORM) {
        return Err(PlanFileProblem::Form { found: head.form });
    }
    let plan: Plan = serde_json::from_slice(bytes).map_err(|error| no_plan(&error))?;
    consistent(&plan).map_err(PlanFileProblem::Contradiction)?;
    let id = plan.id().map_err(|error| no_plan(&error))?;
    Ok((plan, id))
}

/// Must the plan not be carried out any more?
pub fn expired(plan: &Plan, now_us: i64) -> bool {
    now_us >= plan.valid_until_us
}

/// Whatever the engine takes for granted about a plan.
fn consistent(plan: &Plan) -> Result<(), String> {
    let most = |what: &str, count: usize, most: usize| {
        if count > most {
            Err(format!("{count} {what}, at most {most} are read"))
        } else {
            Ok(())
        }
    };
    most("hosts", plan.hosts.len() + plan.left_out.len(), HOSTS_MAX)?;
    most("waves", plan.waves.len(), PARTS_MAX)?;
    most("groups", plan.groups.len(), PARTS_MAX)?;
    most("gates", plan.gates.len(), PARTS_MAX)?;
    if plan.valid_until_us <= plan.made_us {
        return Err("it ended before it was made".into());
    }
    times(plan)?;
    for (name, host) in &plan.hosts {
        most("packages of a host", host.actions.len(), ACTIONS_MAX)?;
        if plan.left_out.contains_key(name) {
            return Err(format!("{name} is patched and left out"));
        }
        if host.wave as usize >= plan.waves.len() {
            return Err(format!("{name} is in a wave that is not there"));
        }
        if let Some(group) = host
            .groups
            .iter()
            .find(|it| **it as usize >= plan.groups.len())
        {
            return Err(format!("{name} is in group {group}, which is not there"));
        }
        if host.expected_p95_s < host.expected_s {
            return Err(format!("{name} is expected to take longer than at most"));
        }
        for action in &host.actions {
            use hostler_updates::ActionKind::{Downgrade, Install, Remove, Upgrade};
            let fine = match action.kind {
                Upgrade => action.from.is_some() && action.to.is_some(),
                Install => action.from.is_none() && action.to.is_some(),
                Remove => action.from.is_some() && action.to.is_none(),
                Downgrade => false,
            };
            if !fine {
                return Err(format!(
                    "{name}: the action on {} makes no sense",
                    action.package
                ));
            }
        }
        ordered(host.own_windows.as_deref().unwrap_or_default())
            .map_err(|()| format!("the own windows of {name} are out of order"))?;
    }
    references(plan)
}

/// Whatever is referred to is there, and in order.
fn references(plan: &Plan) -> Result<(), String> {
    for wave in &plan.waves {
        let known = wave
            .window
            .as_ref()
            .is_none_or(|it| plan.windows.contains_key(it));
        if !known {
            return Err(format!("wave {} has a window that is not there", wave.name));
        }
        if let Some(gate) = wave.gates.iter().find(|it| !plan.gates.contains_key(*it)) {
            return Err(format!(
                "wave {} asks a gate that is not there: {gate}",
                wave.name
            ));
        }
    }
    for group in &plan.groups {
        let gate = group
            .gate
            .as_ref()
            .filter(|it| !plan.gates.contains_key(*it));
        if let Some(gate) = gate {
            return Err(format!(
                "group {} asks a gate that is not there: {gate}",
                group.name
            ));
        }
        if !group.hosts.is_sorted() {
            return Err(format!(
                "the hosts of group {} are out of order",
                group.name
            ));
        }
    }
    for occurrence in plan.windows.values().flatten() {
        ordered(&occurrence.open).map_err(|()| format!("{} is out of order", occurrence.id))?;
    }
    Ok(())
}

/// Instants that can be reckoned with: nothing runs over when a time is added.
fn times(plan: &Plan) -> Result<(), String> {
    let own = plan.hosts.values().filter_map(|it| it.own_windows.as_ref());
    let windows = plan.windows.values().flatten();
    let open = windows.flat_map(|it| it.open.iter().chain([&it.whole]));
    let spans = open.chain(own.flatten());
    let ends = spans.flat_map(|it| [it.start_us, it.end_us]);
    let mut all = ends.chain([plan.made_us, plan.valid_until_us]);
    match all.find(|it| !YEARS_US.contains(it)) {
        None => Ok(()),
        Some(other) => Err(format!("{other} is no time between 1970 and 3000")),
    }
}

/// Are they in order, without overlaps, none of them empty?
fn ordered(all: &[hostler_schedule::Interval]) -> Result<(), ()> {
    let whole = all.iter().all(|it| it.start_us < it.end_us);
    let apart = all
        .windows(2)
        .all(|pair| pair[0].end_us <= pair[1].start_us);
    if whole && apart { Ok(()) } else { Err(()) }
}
