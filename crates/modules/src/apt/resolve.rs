//! What apt would do: it resolves and says so, as if what earlier tasks of a preview would do were done at the same time.

use hostler_module_api::prelude::*;
use hostler_probes::{
    Pending, Space, Step, Transaction, auto_installed, parse_simulation, parse_space, read_only_options,
};
use hostler_value::Cause;

use super::args::Args;
use super::command::Work;
use super::look::Seen;
use super::spec::{self, Spec, base_name};

/// Something for apt to do.
pub(super) struct Job {
    /// Packages that it is about, if it is about any by name.
    pub(super) work: Work,
    pub(super) program: Program,
    /// What it would do.
    pub(super) simulated: Result<Transaction, Refusal>,
    /// More that it would do, in words.
    pub(super) more: Vec<String>,
    /// What the simulation said.
    pub(super) printed: String,
    /// What it would fetch and take.
    pub(super) space: Space,
    /// `extended_states` afterwards, if it changes.
    pub(super) marks: Option<String>,
    /// apt could not be told of what earlier tasks of the preview would do.
    pub(super) is_vague: bool,
}

impl Job {
    /// Would it change anything?
    pub(super) fn does_something(&self) -> bool {
        self.simulated.as_ref().is_ok_and(|it| !it.steps.is_empty())
    }
}

/// Why apt would not do it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) msg: String,
    output: CommandOutput,
}

impl From<Refusal> for ModuleError {
    fn from(it: Refusal) -> Self {
        let error = ModuleError::new(it.msg).field("rc", it.output.rc);
        error.field("stdout", it.output.stdout_text()).field("stderr", it.output.stderr_text())
    }
}

/// A failure; not one if earlier tasks of a preview decide it.
pub(super) fn unknown(msg: String, by: Vec<Cause>) -> ModuleError {
    ModuleError::unknown(msg, by)
}

/// Lets apt say what it would do.
pub(super) fn add(work: &Work, args: &Args, host: &dyn Inspect, seen: &mut Seen) -> Result<(), ModuleError> {
    let options = read_only_options(host);
    let mut words = pending_words(work, host, seen);
    let mut asked = work.along_with(words.clone());
    let mut output = host.look(&asked.as_ref().unwrap_or(work).simulated(&options))?;
    let mut dependants = Vec::new();
    if asked.is_some() && !output.success() && !work.needs_lists() {
        // They cannot stay without what is removed.
        dependants = unmet_names(&output.stdout_text());
        words.retain(|it| !dependants.iter().any(|name| name == base_name(it)));
        asked = work.along_with(words);
        output = host.look(&asked.as_ref().unwrap_or(work).simulated(&options))?;
    }
    let mut is_vague = false;
    if !output.success() && asked.is_some() {
        // What is pending may be what is in the way: protected from this task, as it would not be if it were done.
        (asked, is_vague) = (None, true);
        output = host.look(&work.simulated(&options))?;
    }
    let stdout = output.stdout_text();
    let more = stdout.lines().filter(|it| it.starts_with("Del ")).map(|it| it.replacen("Del", "delete", 1)).collect();
    let selected = stdout.lines().find(|it| it.starts_with("Note, selecting") && it.contains(" for regex "));
    let simulated = if !output.success() {
        Err(refusal(work, output))
    } else if let Some(line) = selected {
        let name = line.rsplit('\'').nth(1).unwrap_or_default();
        Err(Refusal { msg: format!("No package matching '{name}' is available"), output })
    } else {
        let mut transaction = parse_simulation(&stdout);
        subtract(&mut transaction, work, &dependants, host, seen);
        Ok(transaction)
    };
    let decided_by = seen.decided_by();
    if work.needs_lists() && !seen.update_due && !decided_by.is_empty() {
        match &simulated {
            Err(refusal) => return Err(unknown(refusal.msg.clone(), decided_by)),
            Ok(transaction) if transaction.steps.is_empty() && !is_all_pending(work, seen) => {
                return Err(unknown("which versions there are".to_owned(), decided_by));
            }
            Ok(_) => {}
        }
    }
    let mut space = Space::default();
    // Asked for addresses with nothing to install, apt writes down what was asked for by name.
    let installs = stdout.lines().any(|it| it.starts_with("Inst "));
    if let Ok(transaction) = &simulated
        && installs
        && transaction.steps.iter().any(|it| it.after.is_some())
    {
        let output = host.look(&asked.as_ref().unwrap_or(work).measured(&options))?;
        let is_step = |name: &str| transaction.steps.iter().any(|it| base_name(&it.package) == name);
        space = parse_space(&output.stdout_text(), is_step);
        space.disk = space.disk.filter(|_| asked.is_none());
    }
    let marks = simulated.as_ref().ok().and_then(|it| marks(it, work, host));
    let program = work.real(args, seen.needrestart_is_set);
    seen.jobs.push(Job { work: work.clone(), program, simulated, more, printed: stdout, space, marks, is_vague });
    Ok(())
}

/// What earlier tasks of a preview would do to other packages, in the words of `apt-get install`. A package that is
/// installed for others' sake comes with them: naming it would make it wanted for itself.
fn pending_words(work: &Work, host: &dyn Inspect, seen: &Seen) -> Vec<String> {
    let mut others = seen.dpkg.pending().filter(|it| !work.is_about(it.0)).peekable();
    if others.peek().is_none() {
        return Vec::new();
    }
    let auto = auto_installed(host);
    let words = |(name, change): (&str, &Pending)| match (&change.real, &change.then) {
        (_, Some(_)) if auto.contains(name) => None,
        (_, Some(version)) => Some(format!("{name}={version}")),
        (_, None) => Some(format!("{name}-")),
    };
    others.filter_map(words).collect()
}

/// Which packages are there only for others' sake, afterwards.
fn marks(transaction: &Transaction, work: &Work, host: &dyn Inspect) -> Option<String> {
    let steps = &transaction.steps;
    let is_dependency = |it: &&Step| it.before.is_none() && it.after.is_some() && !work.is_about(&it.package);
    let new: Vec<&str> = steps.iter().filter(is_dependency).map(|it| it.package.as_str()).collect();
    let gone: Vec<&str> = steps.iter().filter(|it| it.after.is_none()).map(|it| it.package.as_str()).collect();
    let has_new = !new.is_empty() && work.marks_dependencies();
    hostler_probes::marked(host, if has_new { &new } else { &[] }, &gone)
}

/// Packages whose dependencies are not met, as apt lists them: ` jq : Depends: libjq1 (= 1.6) but it is not going to be
/// installed`.
fn unmet_names(output: &str) -> Vec<String> {
    let lines = output.lines().skip_while(|it| !it.ends_with("unmet dependencies:")).skip(1);
    let lines = lines.take_while(|it| it.starts_with(' '));
    lines.filter_map(|it| Some(it.split_once(" : ")?.0.trim().to_owned())).collect()
}

/// Were all packages that it is about installed by earlier tasks of the preview?
fn is_all_pending(work: &Work, seen: &Seen) -> bool {
    let installed = |name: &str| seen.dpkg.pending().any(|(it, change)| it == name && change.then.is_some());
    !work.packages().is_empty() && work.packages().iter().all(|it| installed(base_name(it)))
}

/// Takes off what earlier tasks of a preview would have done, and adds what apt does not see: the host itself is as it
/// was before them.
fn subtract(transaction: &mut Transaction, work: &Work, dependants: &[String], host: &dyn Inspect, seen: &Seen) {
    let auto = auto_installed(host);
    for (name, change) in seen.dpkg.pending() {
        let steps = &mut transaction.steps;
        let is_new = change.real.is_none() && change.then.is_some();
        let removed = Step { package: name.to_owned(), before: None, after: None, purged: false, origin: None, architecture: None };
        if is_new && dependants.iter().any(|it| it == base_name(name)) {
            steps.push(removed);
        } else if is_new && work.tidies() && auto.contains(name) && steps.iter().all(|it| it.package != name) {
            // apt was not told of it, and nothing that it was told of needs it.
            steps.push(removed);
        } else if !work.is_about(name) {
            steps.retain(|it| it.package != name || it.after != change.then);
        } else if steps.iter().all(|it| it.package != name) {
            // To remove what only the preview installed, to install what only the preview removed, or to go back to the
            // version that the host has.
            let after = if work.needs_lists() { change.real.clone() } else { None };
            let step = Step { package: name.to_owned(), before: None, after, purged: false, origin: None, architecture: None };
            let goes_back = step.after != change.then && work.names_version(name, step.after.as_deref());
            steps.extend((step.after.is_some() != change.then.is_some() || goes_back).then_some(step));
        }
    }
    for step in &mut transaction.steps {
        step.before = seen.dpkg.installed(&step.package).map(|it| it.version.clone());
    }
    transaction.steps.retain(|it| it.before != it.after || it.purged);
}

/// apt's refusal in Ansible's words where it has some.
fn refusal(work: &Work, output: CommandOutput) -> Refusal {
    let stderr = output.stderr_text();
    let stdout = output.stdout_text();
    let errors: Vec<&str> = stderr.lines().chain(stdout.lines()).filter_map(|it| it.strip_prefix("E: ")).collect();
    let quoted = |line: &str| line.split('\'').nth(1).unwrap_or_default().to_owned();
    let known = errors.iter().find_map(|line| {
        if let Some(name) = line.strip_prefix("Unable to locate package ") {
            Some(format!("No package matching '{name}' is available"))
        } else if line.contains("has no installation candidate") {
            Some(format!("no available installation candidate for {}", quoted(line)))
        } else if line.starts_with("Version '") && line.ends_with("was not found") {
            let package = line.split('\'').nth(3).unwrap_or_default();
            Some(format!("no available installation candidate for {package}={}", quoted(line)))
        } else {
            None
        }
    });
    let reason = if errors.is_empty() { stderr.trim().to_owned() } else { errors.join("; ") };
    Refusal { msg: known.unwrap_or_else(|| format!("'{}' failed: {reason}", work.shown())), output }
}

/// A candidate that is older than "at least" must not be installed.
pub(super) fn refuse_too_old(unmet: &[Spec], seen: &mut Seen) {
    let Some(job) = seen.jobs.last_mut() else { return };
    let Ok(transaction) = &job.simulated else { return };
    for spec in unmet {
        let spec::Version::AtLeast(least) = &spec.version else { continue };
        let step = transaction.steps.iter().find(|it| it.package == spec.name);
        let offered = step.and_then(|it| it.after.as_deref());
        if offered.is_none_or(|it| hostler_probes::compare_versions(it, least).is_lt()) {
            let msg = format!("no available installation candidate for {}>={least}", spec.name);
            job.simulated = Err(Refusal { msg, output: CommandOutput::default() });
            return;
        }
    }
}
