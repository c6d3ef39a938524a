//! The truth of previews, measured: every playbook of `tests/preview` on fresh hosts.
//!
//! For each: look at every path of the hosts, preview, look again (nothing may have changed), apply, look again. Then the
//! preview's words are laid beside what the real run said (task by task, [`compare`]) and beside the paths that really
//! changed ([`paths`]).

mod compare;
mod corpus;
mod engine;
mod events;
mod paths;
mod report;
mod snapshot;

use std::path::PathBuf;
use std::time::Instant;

use compare::Finding;
use corpus::{Case, Step};
use engine::Engine;
use snapshot::{Moved, Snapshot};

use crate::bench;
use crate::fleet::{AptProxy, Fleet, Guard, Host};
use crate::process::{Context, Result, in_parallel};

pub use report::Report;

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names of playbooks; empty for all.
    pub only: Vec<String>,
    /// Also ansible-core's `--check`, on twin hosts.
    pub with_ansible: bool,
    /// Leave hostler out.
    pub only_others: bool,
    /// The hostler to measure; `None`: the release build of this checkout, or what `$HOSTLER_BIN` says.
    pub hostler: Option<PathBuf>,
    /// What the names of the fleets begin with.
    pub fleet: String,
    /// How many playbooks at the same time.
    pub jobs: usize,
}

/// One playbook, measured with one engine.
#[derive(Debug)]
struct Measured {
    case: Case,
    engine: Engine,
    hosts: usize,
    tasks: compare::Counts,
    paths: paths::Counts,
    /// Paths that the preview itself changed: must be empty.
    touched: Vec<String>,
    findings: Vec<Finding>,
    path_findings: Vec<String>,
    /// Where the real run did not come out as the playbook's head says.
    unexpected: Vec<String>,
}

/// Measures every playbook and returns the report. A playbook that cannot be measured (its hosts do not start) is in the
/// report as an error.
pub fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Report> {
    let cases = corpus::cases(&options.only)?;
    let hostler = options.hostler.clone().unwrap_or_else(bench::hostler);
    let mut work = Vec::new();
    for case in &cases {
        if !options.only_others {
            work.push((case, Engine::Hostler(hostler.clone())));
        }
        if options.with_ansible && case.ansible {
            work.push((case, Engine::Ansible));
        }
    }
    let numbered: Vec<_> = work.iter().enumerate().collect();
    let all = in_parallel(
        &numbered,
        options.jobs.max(1),
        |(number, (case, engine))| {
            let start = Instant::now();
            let measured = measure(&format!("{}-{number}", options.fleet), case, engine);
            let short = match &measured {
                Ok(measured) => measured.in_short(),
                Err(failure) => failure.to_string(),
            };
            let seconds = start.elapsed().as_secs_f64();
            progress(&format!(
                "{} {}: {short} ({seconds:.1} s)",
                engine.name(),
                case.name
            ));
            Ok(measured.map_err(|failure| format!("{} {}: {failure}", engine.name(), case.name)))
        },
    )?;
    let mut report = Report::default();
    for measured in all {
        match measured {
            Ok(measured) => report.add(measured),
            Err(error) => report.could_not(error),
        }
    }
    Ok(report)
}

fn measure(fleet: &str, case: &Case, engine: &Engine) -> Result<Measured> {
    let fleet = Guard(Fleet::named(fleet)?);
    fleet.down()?;
    let hosts = fleet.up(engine.set(), case.hosts, case.init)?;
    prepare(&fleet, &hosts, case, engine)?;
    let fresh = look(&fleet, &hosts)?;
    let preview = engine.run(&fleet, &case.path, true)?;
    let previewed = look(&fleet, &hosts)?;
    let real = engine.run(&fleet, &case.path, false)?;
    let applied = look(&fleet, &hosts)?;

    let mut touched = Vec::new();
    let mut path_counts = paths::Counts::default();
    let mut path_findings = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let by_preview = fresh[index].moved(&previewed[index]);
        touched.extend(
            by_preview
                .iter()
                .map(|moved| format!("{} {}: {}", host.name, moved.path, moved.words())),
        );
        let moved: Vec<Moved> = previewed[index].moved(&applied[index]);
        let (counts, findings) = paths::account(&host.name, &host.root()?, &moved, &preview, &real);
        path_counts += counts;
        path_findings.extend(findings);
    }
    let (tasks, findings) = compare::tasks(&preview, &real);
    let mut unexpected = Vec::new();
    if real.success == case.fails {
        let how = if real.success { "success" } else { "a failure" };
        unexpected.push(format!("the real run ends in {how}"));
    }
    let changes = real
        .entries
        .values()
        .any(|entry| entry.said == events::Said::Change);
    if case.idle && changes {
        unexpected.push("the real run changes something".to_owned());
    }
    Ok(Measured {
        case: case.clone(),
        engine: engine.clone(),
        hosts: hosts.len(),
        tasks,
        paths: path_counts,
        touched,
        findings,
        path_findings,
        unexpected,
    })
}

fn look(fleet: &Fleet, hosts: &[Host]) -> Result<Vec<Snapshot>> {
    hosts.iter().map(|host| Snapshot::of(fleet, host)).collect()
}

/// Brings the hosts into the state that the playbook's head asks for.
fn prepare(fleet: &Fleet, hosts: &[Host], case: &Case, engine: &Engine) -> Result<()> {
    if case.packages {
        let proxy = AptProxy::start(fleet)?;
        hosts.iter().try_for_each(|host| proxy.configure(host))?;
    }
    for step in &case.prepare {
        match step {
            Step::Apply(playbook) => {
                let done = engine.run(fleet, playbook, false)?;
                let fine = done.success || (*playbook == case.path && case.fails);
                fine.then_some(())
                    .context(format!("{} does not apply", playbook.display()))?;
            }
            Step::Shell(script) => {
                for host in hosts {
                    host.shell(script)?;
                }
            }
        }
    }
    if let Some(fault) = case.fault {
        hosts.iter().try_for_each(|host| fleet.fault(host, fault))?;
    }
    Ok(())
}
