//! What is wrong with a policy, judged with the hosts of the inventory, the files that it names and the calendar. Everything at
//! once, before anything starts.

use hostler_diag::{Diagnostic, did_you_mean};
use hostler_schedule::{Finding, duration_text, examine, first_meeting};
use hostler_updates::is_cve;

use super::host::{GateRule, HookRule, SnapshotMode};
use super::lint_waves;
use super::members::{Hosts, Members};
use super::windows::{Files, Schedule, window_path};
use super::{PolicyFile, Step};
use crate::select::exception_ends_us;

/// Hooks before, or after, that a policy may have: each has a number in a run.
const HOOKS_MAX: usize = 32;

/// A policy, looked at with everything around it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The hosts behind its patterns.
    pub members: Members,
    /// Its windows; `None` if one of them is wrong.
    pub schedule: Option<Schedule>,
    /// What is wrong. With an error among them, nothing must be started.
    pub diagnostics: Vec<Diagnostic>,
}

/// Looks for everything that is wrong. `now_us`: microseconds since the epoch.
pub fn lint(file: &PolicyFile, hosts: &dyn Hosts, files: &dyn Files, now_us: i64) -> Checked {
    let (members, mut diagnostics) = Members::resolve(file, hosts);
    let (schedule, found) = Schedule::of(file, files);
    diagnostics.extend(found);
    let mut lint = Lint { file, diagnostics };
    if let Some(schedule) = &schedule {
        lint.windows(schedule, &members, now_us);
    }
    lint.names();
    lint.gates();
    lint.groups(&members);
    lint_waves::check(&mut lint, &members);
    lint.hooks(files);
    lint.exceptions(now_us);
    lint.select();
    let mut diagnostics = lint.diagnostics;
    // In the order of the file, so that one reads from top to bottom.
    diagnostics.sort_by_key(|it| it.labels.first().map(|it| it.span.start));
    Checked {
        members,
        schedule,
        diagnostics,
    }
}

/// What is wrong with policies beside each other: equal names, hosts that two of them patch.
pub fn lint_together(policies: &[(&PolicyFile, &Members)]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, (second, of_second)) in policies.iter().enumerate() {
        for (first, of_first) in &policies[..at] {
            let name = [Step::Key("name")];
            let (here, there) = (second.places.span(&name), first.places.span(&name));
            if first.policy.name == second.policy.name {
                let message = format!("two policies have the name `{}`", second.policy.name);
                found.push(
                    Diagnostic::error("policy-twice", message)
                        .at(here)
                        .label(there, "the other one")
                        .hint("runs, windows and reports are known by this name"),
                );
                continue;
            }
            let both: Vec<&str> = of_second
                .targets
                .intersection(&of_first.targets)
                .map(String::as_str)
                .collect();
            if !both.is_empty() {
                let message = format!(
                    "in `{}` as well ({}): {}",
                    first.policy.name,
                    both.len(),
                    crate::planner::few(both.into_iter())
                );
                let targets = [Step::Key("targets")];
                found.push(
                    Diagnostic::warning("policy-overlap", message)
                        .at(second.places.span(&targets))
                        .label(first.places.span(&targets), "and to these")
                        .hint("take them out of one of the policies with `exclude`"),
                );
            }
        }
    }
    found
}

pub(super) struct Lint<'a> {
    pub(super) file: &'a PolicyFile,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Lint<'_> {
    pub(super) fn error(
        &mut self,
        code: &str,
        path: &[Step<'_>],
        message: String,
        hint: Option<String>,
    ) {
        let problem = Diagnostic::error(code, message).at(self.file.places.span(path));
        self.push(problem, hint);
    }

    pub(super) fn warning(
        &mut self,
        code: &str,
        path: &[Step<'_>],
        message: String,
        hint: Option<String>,
    ) {
        let problem = Diagnostic::warning(code, message).at(self.file.places.span(path));
        self.push(problem, hint);
    }

    fn push(&mut self, problem: Diagnostic, hint: Option<String>) {
        self.diagnostics.push(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    fn windows(&mut self, schedule: &Schedule, members: &Members, now_us: i64) {
        for (name, part) in &schedule.windows {
            let path = window_path(self.file, name);
            let length_s = part.window.duration_s();
            if u64::from(part.reserve_s) >= length_s {
                let message = format!(
                    "the reserve ({}) is all of the window ({})",
                    duration_text(part.reserve_s.into()),
                    duration_text(length_s)
                );
                self.error(
                    "policy-window",
                    &path,
                    message,
                    Some("a shorter `reserve`".into()),
                );
            }
            match examine(&part.window, &schedule.freezes, now_us) {
                Some(Finding::NeverStarts) => {
                    let message = format!("the window `{name}` never opens from now on");
                    self.error("policy-window", &path, message, None);
                }
                Some(Finding::StartsLate(first)) => {
                    let when = part.window.zone().show(first.whole.start_us);
                    let message = format!("the window `{name}` first opens on {when}");
                    self.warning("policy-window", &path, message, None);
                }
                Some(Finding::Frozen(remarks)) => {
                    let message = format!("freezes cover all of the window `{name}`");
                    self.error("policy-window", &path, message, remarks.into_iter().next());
                }
                None => {}
            }
        }
        self.limits(schedule, members, now_us);
    }

    /// A host whose own window is never open together with the one of its wave is never patched.
    fn limits(&mut self, schedule: &Schedule, members: &Members, now_us: i64) {
        let policy = &self.file.policy;
        let of_waves: std::collections::BTreeSet<&str> = policy
            .waves
            .iter()
            .filter_map(|it| policy.window_of(it))
            .collect();
        let waves: Vec<_> = schedule
            .windows
            .iter()
            .filter(|(name, _)| of_waves.contains(name.as_str()))
            .collect();
        for (name, limit) in schedule.windows.iter().filter(|(_, it)| it.is_limit) {
            let concerns = members.windows.get(name);
            if concerns.is_none_or(|it| it.is_disjoint(&members.targets)) {
                let message = format!("the window `{name}` limits no host of the policy");
                let path = [Step::Key("windows"), Step::Key(name), Step::Key("hosts")];
                self.warning("policy-window", &path, message, None);
                continue;
            }
            let meets = |wave: &super::SchedulePart| {
                first_meeting(&limit.window, &wave.window, &schedule.freezes, now_us).is_some()
            };
            if !waves.is_empty() && !waves.iter().any(|(_, wave)| meets(wave)) {
                let path = window_path(self.file, name);
                let others: Vec<&str> = waves.iter().map(|(name, _)| name.as_str()).collect();
                let message = format!(
                    "the window `{name}` is never open together with {}: its hosts could never be patched",
                    others.join(" or ")
                );
                self.error("policy-window", &path, message, None);
            }
        }
    }

    /// Names that something refers to.
    fn names(&mut self) {
        self.fit_names();
        let policy = &self.file.policy;
        let windows: Vec<&str> = policy.all_windows().map(|(name, _)| name).collect();
        let gates: Vec<&str> = policy.gates.keys().map(String::as_str).collect();
        if policy.window.is_some() && !policy.windows.is_empty() {
            let message =
                "`window` is for policies with one window, `windows` for those with several".into();
            self.error(
                "policy-window",
                &[Step::Key("windows")],
                message,
                Some("move it there, and give it a name".into()),
            );
        }
        for (at, wave) in policy.waves.iter().enumerate() {
            let path = |key: &'static str| [Step::Key("waves"), Step::Item(at), Step::Key(key)];
            if let Some(name) = &wave.window {
                self.known("window", name, &windows, &path("window"));
            }
            for (item, name) in wave.gates.0.iter().enumerate() {
                let mut path = path("gates").to_vec();
                path.push(Step::Item(item));
                self.known("gate", name, &gates, &path);
            }
        }
        for (group, rule) in &policy.groups {
            if let Some(name) = &rule.gate {
                let path = [Step::Key("groups"), Step::Key(group), Step::Key("gate")];
                self.known("gate", name, &gates, &path);
            }
        }
    }

    /// Names are parts of longer ones (`policy/window/date`) and of command lines.
    fn fit_names(&mut self) {
        let policy = &self.file.policy;
        let all: [(&'static str, Vec<&String>); 4] = [
            ("windows", policy.windows.keys().collect()),
            ("freezes", policy.freezes.keys().collect()),
            ("groups", policy.groups.keys().collect()),
            ("gates", policy.gates.keys().collect()),
        ];
        for (section, names) in all {
            for name in names {
                if let Err((why, hint)) = super::reader::check("name", name) {
                    let path = [Step::Key(section), Step::Key(name)];
                    let problem = Diagnostic::error("policy-name", why);
                    let problem = problem.at(self.file.places.key_span(&path));
                    self.push(problem, hint);
                }
            }
        }
    }

    fn known(&mut self, what: &str, name: &str, known: &[&str], path: &[Step<'_>]) {
        if known.contains(&name) {
            return;
        }
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(best) => format!("did you mean `{best}`?"),
            None if known.is_empty() => format!("the policy has no `{what}s`"),
            None => format!("its {what}s are: {}", known.join(", ")),
        };
        let message = format!("there is no {what} `{name}`");
        self.error("policy-name", path, message, Some(hint));
    }

    fn gates(&mut self) {
        let policy = &self.file.policy;
        for (name, gate) in &policy.gates {
            let path = [Step::Key("gates"), Step::Key(name)];
            let asks = [
                gate.cmd.is_some(),
                gate.http.is_some(),
                gate.prometheus.is_some(),
            ];
            if asks.iter().filter(|it| **it).count() != 1 {
                let message = format!("the gate `{name}` must ask one thing");
                let hint = "one of `cmd`, `http` and `prometheus`".to_owned();
                self.error("policy-gate", &path, message, Some(hint));
            }
            self.gate_time(name, gate);
            for (key, url) in [
                ("http", gate.http.as_ref().map(super::HttpGate::url)),
                (
                    "prometheus",
                    gate.prometheus.as_ref().map(|it| it.url.as_str()),
                ),
            ] {
                if let Some(url) = url
                    && !["http://", "https://"].iter().any(|it| url.starts_with(it))
                {
                    let path = [path[0], path[1], Step::Key(key)];
                    let message = format!("`{}` is no URL", super::reader::short(url));
                    let hint = "it starts with `http://` or `https://`".to_owned();
                    self.error("policy-gate", &path, message, Some(hint));
                }
            }
        }
        let used = |name: &String| {
            policy.waves.iter().any(|it| it.gates.0.contains(name))
                || policy
                    .groups
                    .values()
                    .any(|it| it.gate.as_ref() == Some(name))
        };
        let unused: Vec<String> = policy
            .gates
            .keys()
            .filter(|it| !used(it))
            .cloned()
            .collect();
        for name in unused {
            let path = [Step::Key("gates"), Step::Key(&name)];
            let message = format!("no wave and no group asks the gate `{name}`");
            self.warning("policy-gate", &path, message, None);
        }
    }

    /// A gate that may take longer than the window of its waves is a gate that hangs.
    fn gate_time(&mut self, name: &str, gate: &GateRule) {
        let path = [Step::Key("gates"), Step::Key(name), Step::Key("timeout")];
        if gate.timeout.0 == 0 {
            let message = format!("the gate `{name}` has no time to answer");
            self.error("policy-gate", &path, message, Some("`timeout: 60s`".into()));
            return;
        }
        let tries = u64::from(gate.retries) + 1;
        let longest_s = gate
            .timeout
            .0
            .saturating_mul(tries)
            .saturating_add(gate.every.0.saturating_mul(u64::from(gate.retries)));
        let policy = &self.file.policy;
        let asks = |wave: &&super::WaveRule| wave.gates.0.iter().any(|it| it == name);
        let windows: Vec<(&str, u64)> = policy
            .waves
            .iter()
            .filter(asks)
            .filter_map(|wave| policy.window_of(wave))
            .filter_map(|window| policy.all_windows().find(|(name, _)| *name == window))
            .map(|(window, rule)| (window, rule.duration.0))
            .collect();
        if let Some((window, length)) = windows.into_iter().find(|(_, length)| longest_s >= *length)
        {
            let message = format!(
                "the gate `{name}` may take {} with its retries, the window `{window}` is open for {}",
                duration_text(longest_s),
                duration_text(length)
            );
            let hint = "a shorter `timeout`, or fewer `retries`".to_owned();
            self.error("policy-gate", &path, message, Some(hint));
        }
    }

    fn groups(&mut self, members: &Members) {
        let policy = &self.file.policy;
        for (name, rule) in &policy.groups {
            let path = [Step::Key("groups"), Step::Key(name)];
            let hosts = members
                .groups
                .get(name)
                .map_or(0, std::collections::BTreeSet::len);
            if rule.max_unavailable.is_some() && rule.min_available.is_some() {
                let message = format!("the group `{name}` has two limits");
                let hint = "one of `max_unavailable` and `min_available`".to_owned();
                self.error("policy-group", &path, message, Some(hint));
            }
            if hosts == 0 {
                let path = [path[0], path[1], Step::Key("hosts")];
                let message = format!("the group `{name}` has no hosts");
                self.error("policy-group", &path, message, None);
                continue;
            }
            let touched = members
                .groups
                .get(name)
                .is_some_and(|it| !it.is_disjoint(&members.targets));
            if touched && crate::planner::max_unavailable(rule, hosts) == 0 {
                let message = format!(
                    "of the {hosts} hosts of the group `{name}` none may be unavailable: none could ever be patched"
                );
                self.error("policy-group", &path, message, None);
            }
            if rule.gate.is_some() && hosts == 1 {
                let path = [path[0], path[1], Step::Key("gate")];
                let message = format!(
                    "the group `{name}` has one host, and its gate is asked on another member"
                );
                self.error("policy-group", &path, message, None);
            }
        }
    }

    fn hooks(&mut self, files: &dyn Files) {
        let policy = &self.file.policy;
        let mut all: Vec<(Vec<Step<'static>>, &HookRule)> = Vec::new();
        for (key, hooks) in [("pre", &policy.host.pre), ("post", &policy.host.post)] {
            if hooks.len() > HOOKS_MAX {
                let path = [Step::Key("host"), Step::Key(key), Step::Item(HOOKS_MAX)];
                let message = format!("{} hooks: at most {HOOKS_MAX} are run", hooks.len());
                self.error("policy-hook", &path, message, None);
            }
            for (at, hook) in hooks.iter().enumerate() {
                all.push((
                    vec![Step::Key("host"), Step::Key(key), Step::Item(at)],
                    hook,
                ));
            }
        }
        let snapshot = vec![Step::Key("rollback"), Step::Key("snapshot_hook")];
        match (policy.rollback.snapshot, &policy.rollback.snapshot_hook) {
            (SnapshotMode::Hook, None) => {
                let path = [Step::Key("rollback"), Step::Key("snapshot")];
                let message = "`snapshot: hook` needs a `snapshot_hook`".into();
                self.error("policy-hook", &path, message, None);
            }
            (SnapshotMode::Hook, Some(hook)) if hook.undo.is_none() => {
                let message =
                    "the hook that makes snapshots needs an `undo` that goes back to them".into();
                self.error("policy-hook", &snapshot, message, None);
            }
            (mode, Some(_)) if mode != SnapshotMode::Hook => {
                let message = "`snapshot_hook` is used only with `snapshot: hook`".into();
                self.error("policy-hook", &snapshot, message, None);
            }
            _ => {}
        }
        all.extend(
            policy
                .rollback
                .snapshot_hook
                .iter()
                .map(|it| (snapshot.clone(), it)),
        );
        for (path, hook) in all {
            self.hook(&path, hook, files);
        }
    }

    fn hook(&mut self, path: &[Step<'_>], hook: &HookRule, files: &dyn Files) {
        if hook.tasks.is_some() == hook.cmd.is_some() {
            let message = "a hook runs one thing".into();
            let hint = "one of `tasks` and `cmd`".to_owned();
            self.error("policy-hook", path, message, Some(hint));
            return;
        }
        let undo = hook.undo.as_ref().filter(|_| hook.tasks.is_some());
        let named = [("tasks", hook.tasks.as_ref()), ("undo", undo)];
        for (key, name) in named {
            let Some(name) = name else { continue };
            if let Err(why) = files.read(name) {
                let mut path = path.to_vec();
                path.push(Step::Key(key));
                let message = format!("`{}` cannot be read: {why}", super::reader::short(name));
                let hint = "the path is relative to the policy".to_owned();
                self.error("policy-hook", &path, message, Some(hint));
            }
        }
    }

    fn exceptions(&mut self, now_us: i64) {
        let policy = &self.file.policy;
        for (at, exception) in policy.exceptions.iter().enumerate() {
            let path = [
                Step::Key("exceptions"),
                Step::Item(at),
                Step::Key("expires"),
            ];
            if exception_ends_us(exception).is_some_and(|end| end <= now_us) {
                let message = format!("this exception ended on {}", exception.expires);
                let hint = "its hosts are patched again, and are reported; renew it or remove it"
                    .to_owned();
                self.warning("policy-exception", &path, message, Some(hint));
            }
        }
    }

    fn select(&mut self) {
        let select = &self.file.policy.select;
        let mut cves: Vec<(Vec<Step<'static>>, &str)> = Vec::new();
        for (at, cve) in select.urgent.cves.0.iter().enumerate() {
            let path = ["select", "urgent", "cves"].map(Step::Key);
            cves.push((path.into_iter().chain([Step::Item(at)]).collect(), cve));
        }
        for (at, exception) in self.file.policy.exceptions.iter().enumerate() {
            for (item, cve) in exception.cves.0.iter().enumerate() {
                let path = [
                    Step::Key("exceptions"),
                    Step::Item(at),
                    Step::Key("cves"),
                    Step::Item(item),
                ];
                cves.push((path.to_vec(), cve));
            }
        }
        for (path, cve) in cves {
            if !is_cve(cve) {
                let message = format!("`{}` is no CVE id", super::reader::short(cve));
                self.error(
                    "policy-value",
                    &path,
                    message,
                    Some("`CVE-2026-12345`".into()),
                );
            }
        }
        for (at, name) in select.allow_remove.0.iter().enumerate() {
            if name.contains(['*', '?', '[']) {
                let path = [
                    Step::Key("select"),
                    Step::Key("allow_remove"),
                    Step::Item(at),
                ];
                let message = format!(
                    "`{}` is a pattern: removals are allowed by exact names",
                    super::reader::short(name)
                );
                self.error("policy-value", &path, message, None);
            }
        }
    }
}
