//! `patch_download`: package files of a transaction, and of the versions that it replaces.

use std::path::{Path, PathBuf};

use hostler_change::Remove;
use hostler_module_api::prelude::*;
use hostler_package_managers::PackageManager;
use hostler_updates::{Action, Downloaded, Located, Manager, PackageName, VERSION_GONE};

use crate::patching::{ROOT, files, make_dirs, manager, missing_dirs, one_line, run_dir, value_of};

/// Downloads the packages of a transaction into a directory of Hostler's own and verifies their hashes. Files of the
/// versions that are installed now are kept, too, where they can be had: they are the way back.
///
/// ```yaml
/// - patch_download:
///     actions: "{{ planned }}"
///     run: "{{ run_id }}"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// What is to be done to packages.
    actions: Vec<Action>,
    /// Whether the versions that are installed now are kept.
    #[serde(default = "yes")]
    keep_old: bool,
    /// The run.
    run: String,
}

fn yes() -> bool {
    true
}

/// What must stay free besides.
const SLACK: u64 = 64 << 20;
/// Nanoseconds for which what an earlier run left is kept: 30 days.
const KEPT_NS: i64 = 30 * 86_400 * 1_000_000_000;
/// Where package managers keep what they have downloaded, flat.
const CACHES: &[(Manager, &str)] = &[
    (Manager::Apt, "/var/cache/apt/archives"),
    (Manager::Pacman, "/var/cache/pacman/pkg"),
];

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_download")
}

pub(crate) struct This;

/// A file that is wanted.
struct File {
    action: Action,
    /// What is there.
    there: Option<Located>,
    bytes: u64,
}

pub(crate) struct State {
    manager: &'static dyn PackageManager,
    /// New versions that are not installed yet.
    new: Vec<File>,
    /// Versions that are installed; with the file in the manager's own cache, if it is only there.
    old: Vec<(File, Option<PathBuf>)>,
    missing: Vec<PathBuf>,
    /// Bytes free where the files will be.
    free: Option<u64>,
    /// What earlier runs left long ago.
    expired: Vec<PathBuf>,
}

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "patch_download";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        let of_run = run_dir(&args.run)?;
        let manager = manager::manager(host)?;
        let installed = manager.installed(host)?;
        let mut missing = missing_dirs(host, &files::dir())?;
        missing.extend(
            missing_dirs(host, &of_run)?
                .into_iter()
                .filter(|it| !files::dir().starts_with(it)),
        );
        let is_open = |it: &&Action| !manager::is_done(it, &installed);
        let mut state = State {
            manager,
            new: Vec::new(),
            old: Vec::new(),
            missing,
            free: free(host)?,
            expired: Vec::new(),
        };
        for action in args
            .actions
            .iter()
            .filter(|it| it.to.is_some())
            .filter(is_open)
        {
            let file = look(host, manager.kind(), action, action.to.as_deref())?;
            state.new.push(file);
        }
        for action in args
            .actions
            .iter()
            .filter(|it| args.keep_old && it.from.is_some())
        {
            let file = look(host, manager.kind(), action, action.from.as_deref())?;
            let cached = match file.there {
                Some(_) => None,
                None => cached(host, manager.kind(), action)?,
            };
            state.old.push((file, cached));
        }
        state.expired = expired(host, &state, &of_run)?;
        Ok(state)
    }

    fn plan(_: &Args, now: &State) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        let absent = now.new.iter().filter(|it| complaint(it).is_some());
        let of_old = now
            .old
            .iter()
            .filter(|it| it.0.there.is_none() && it.1.is_none());
        let bytes = absent
            .clone()
            .chain(of_old.map(|it| &it.0))
            .map(|it| it.action.download_bytes);
        let need = bytes.fold(0, u64::saturating_add);
        if let Some(free) = now
            .free
            .filter(|free| need > 0 && *free < need.saturating_add(SLACK))
        {
            let msg = format!(
                "the downloads take {need} bytes, and {free} are free at {ROOT} ({SLACK} must stay free)"
            );
            return Err(ModuleError::new(msg));
        }
        // What is wrong is told by the report; doing it again would bring the same.
        plan.once = true;
        make_dirs(&mut plan, &now.missing);
        for path in &now.expired {
            let delta = Delta::field(path.display().to_string(), "state", "expired", "absent");
            let path = path.clone();
            plan.push(
                delta,
                Edit::Remove(Remove {
                    path,
                    recursive: true,
                }),
            );
        }
        for wrong in absent.clone().filter_map(|it| it.there.as_ref()) {
            let delta = Delta::field(wrong.path.as_str(), "state", "another file", "absent");
            let path = PathBuf::from(&wrong.path);
            plan.push(
                delta,
                Edit::Remove(Remove {
                    path,
                    recursive: false,
                }),
            );
        }
        now.keep_old(&mut plan);
        let metadata = files::metadata(now.manager.kind());
        let actions: Vec<Action> = absent.map(|it| it.action.clone()).collect();
        download(&mut plan, now.manager, &actions, &metadata, false);
        // Only the package manager can tell whether these are whole.
        let unhashed = now
            .new
            .iter()
            .filter(|it| complaint(it).is_none() && it.action.sha256.is_none());
        let unhashed: Vec<Action> = unhashed.map(|it| it.action.clone()).collect();
        download(&mut plan, now.manager, &unhashed, &metadata, true);
        Ok(plan)
    }

    fn report(_: &Args, ran: &Ran<'_, State>) -> Report {
        let after = ran.after;
        let mut downloaded = Downloaded::default();
        for file in after.new.iter().filter(|it| complaint(it).is_none()) {
            downloaded.files.extend(file.there.clone());
            let before = ran
                .before
                .new
                .iter()
                .find(|it| it.action.package == file.action.package);
            if before.is_none_or(|it| it.there != file.there) {
                downloaded.bytes += file.bytes;
            }
        }
        for (file, _) in &after.old {
            match &file.there {
                Some(there) => downloaded.kept_for_way_back.push(there.clone()),
                None => downloaded
                    .without_way_back
                    .push(file.action.package.clone()),
            }
        }
        let report = Report::default().with("downloaded", value_of(&downloaded));
        let wrong: Vec<String> = after.new.iter().filter_map(complaint).collect();
        if ran.check || wrong.is_empty() {
            return report;
        }
        let named = wrong[..wrong.len().min(10)].join("; ");
        let shown = match wrong.len().saturating_sub(10) {
            0 => named,
            more => format!("{named}; and {more} more"),
        };
        report.fail(format!("not all packages could be downloaded: {shown}"))
    }

    fn failure_fields(_: &Args, before: &State, error: &ModuleError) -> Map {
        let said = ["stdout", "stderr"].map(|it| error.fields.get(it).and_then(Value::as_str).unwrap_or_default());
        let gone = before.manager.gone().iter().any(|words| said.iter().any(|it| it.contains(words)));
        [(VERSION_GONE, gone)].into_iter().collect()
    }
}

impl State {
    fn keep_old(&self, plan: &mut Plan) {
        let metadata = files::metadata(self.manager.kind());
        let mut to_get = Vec::new();
        for (file, cached) in self.old.iter().filter(|it| it.0.there.is_none()) {
            let Some(cached) = cached else {
                to_get.push(file.action.clone());
                continue;
            };
            let Some(name) = cached.file_name() else {
                continue;
            };
            let write = WriteFile {
                path: files::dir().join(name),
                content: Content::HostFile(cached.clone()),
                attrs: Attrs {
                    mode: Some(0o600),
                    ..Attrs::default()
                },
                backup: false,
                validate: None,
                unsafe_writes: false,
            };
            plan.write(
                vec![Delta::action(
                    subject(&file.action.package),
                    "keep the installed version",
                )],
                write,
            );
        }
        if to_get.is_empty() {
            return;
        }
        for (package, program) in self.manager.download_old(&to_get, &metadata, &files::dir()) {
            // What cannot be had is reported; it is tried each time.
            let run = Run {
                always: true,
                ok_rc: Vec::new(),
                ..Run::new(program)
            };
            let delta = Delta::action(subject(&package), "download the installed version");
            plan.push(delta, Edit::Run(run));
        }
    }
}

fn subject(package: &PackageName) -> String {
    format!("package {package}")
}

fn download(
    plan: &mut Plan,
    manager: &dyn PackageManager,
    actions: &[Action],
    metadata: &Path,
    always: bool,
) {
    if actions.is_empty() {
        return;
    }
    let what = |it: &Action| {
        let version = it.to.as_deref().unwrap_or_default();
        Delta::action(
            subject(&it.package),
            format!("download {}", one_line(version, 100)),
        )
    };
    let mut deltas: Vec<Delta> = actions.iter().map(what).collect();
    for program in manager.download(actions, metadata, &files::dir()) {
        let run = Run {
            always,
            ..Run::new(program)
        };
        plan.push_all(std::mem::take(&mut deltas), Edit::Run(run));
    }
}

fn complaint(file: &File) -> Option<String> {
    files::complaint(&file.action, file.there.as_ref())
}

fn look(
    host: &dyn Inspect,
    manager: Manager,
    action: &Action,
    version: Option<&str>,
) -> Result<File, ModuleError> {
    let (package, version) = (&action.package, version.unwrap_or_default());
    let path = files::find(host, manager, &files::dir(), package, version)?;
    let (mut there, mut bytes) = (None, 0);
    if let Some(path) = path {
        there = files::located(host, &path, package, version)?;
        bytes = host.stat(&path, Follow::No)?.map_or(0, |it| it.size);
    }
    let action = action.clone();
    Ok(File {
        action,
        there,
        bytes,
    })
}

/// The file of the installed version in the package manager's own cache.
fn cached(
    host: &dyn Inspect,
    manager: Manager,
    action: &Action,
) -> Result<Option<PathBuf>, ModuleError> {
    let Some(version) = &action.from else {
        return Ok(None);
    };
    for (_, dir) in CACHES.iter().filter(|it| it.0 == manager) {
        if let Some(path) = files::find(host, manager, Path::new(dir), &action.package, version)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Bytes free where the files will be.
fn free(host: &dyn Inspect) -> Result<Option<u64>, ModuleError> {
    for dir in files::dir().ancestors() {
        if host.stat(dir, Follow::Yes)?.is_some() {
            let space = host.space(dir)?;
            return Ok(space.map(|it| it.blocks_available.saturating_mul(it.fragment_size)));
        }
    }
    Ok(None)
}

/// Files and directories of runs that are long over, and that this run does not need.
fn expired(host: &dyn Inspect, state: &State, of_run: &Path) -> Result<Vec<PathBuf>, ModuleError> {
    let now = host
        .now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    let needed: Vec<&str> = state
        .new
        .iter()
        .chain(state.old.iter().map(|it| &it.0))
        .filter_map(|it| Some(it.there.as_ref()?.path.as_str()))
        .collect();
    let mut expired = Vec::new();
    for dir in [files::dir(), Path::new(ROOT).join("runs")] {
        for name in host.list_dir(&dir)?.unwrap_or_default() {
            let path = dir.join(name);
            let is_needed = path == of_run || needed.iter().any(|it| Path::new(it) == path);
            let old = host
                .stat(&path, Follow::No)?
                .is_some_and(|it| now.saturating_sub(it.ctime_ns) > KEPT_NS);
            if old && !is_needed {
                expired.push(path);
            }
        }
    }
    Ok(expired)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::fake::{action, host, set};
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};
    use hostler_module_api::{Mode, execute};

    const DIR: &str = "/var/lib/hostler/patch/packages";
    const FETCH: &str = "tin fetch /var/lib/hostler/patch/packages a:amd64=2";
    const FETCH_OLD: &str = "tin fetch-old /var/lib/hostler/patch/packages a:amd64=1";

    fn args(sha256: Option<String>) -> Map {
        let mut it = action("a", Some("1"), Some("2"));
        it.sha256 = sha256;
        let mut args: Map = [("run", "r1")].into_iter().collect();
        args.insert("actions", value_of(&[it, action("b", Some("1"), None)]));
        args
    }

    fn sum(content: &str) -> String {
        let mut hasher = hostler_module_api::Hasher::new("sha256").unwrap();
        hasher.update(content.as_bytes());
        hasher.hex()
    }

    fn serving(content: &'static str) -> FakeHost {
        let new = format!("{DIR}/a_2_amd64.deb");
        let old = format!("{DIR}/a_1_amd64.deb");
        let fails = |_: &mut FakeHost| CommandOutput {
            rc: 100,
            ..CommandOutput::default()
        };
        host()
            .on_writes(FETCH, &[(&new, content)])
            .on_writes(FETCH_OLD, &[(&old, "old")])
            .on(
                "tin fetch-old /var/lib/hostler/patch/packages b:amd64=1",
                fails,
            )
    }

    fn got(outcome: &hostler_change::Outcome) -> Downloaded {
        let value = outcome.fields.get("downloaded").unwrap();
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    #[test]
    fn new_files_are_verified_and_old_ones_kept() {
        let done = check_module::<This>(args(Some(sum("new"))), serving("new"));
        let it = got(&done.first);
        assert_eq!((it.files.len(), it.bytes), (1, 3));
        assert_eq!(it.files[0].sha256, sum("new"));
        assert_eq!(it.kept_for_way_back[0].path, format!("{DIR}/a_1_amd64.deb"));
        assert_eq!(it.without_way_back[0].to_string(), "b:amd64");
        assert_eq!(done.host.at(DIR).unwrap().mode, 0o700);
        // Only what could not be had is tried again.
        assert_eq!(done.host.ran.iter().filter(|it| *it == FETCH).count(), 1);
        assert_eq!(got(&done.second).bytes, 0);
    }

    #[test]
    fn another_file_is_a_failure_and_is_fetched_anew() {
        let mut host = serving("evil");
        let mode = Mode::default();
        let first = execute::<This>(&args(Some(sum("new"))).into(), mode, &mut host);
        let msg = first.failed.unwrap().msg;
        assert!(
            msg.starts_with(
                "not all packages could be downloaded: a:amd64 2: the file has SHA-256 "
            ),
            "{msg}"
        );
        let file = format!("{DIR}/a_2_amd64.deb");
        let mut host = host.on_writes(FETCH, &[(&file, "new")]);
        let second = execute::<This>(&args(Some(sum("new"))).into(), mode, &mut host);
        assert_eq!(second.failed, None);
        assert_eq!(host.text(&file).unwrap(), "new");
    }

    #[test]
    fn a_version_that_no_source_has_is_told_apart_from_other_failures() {
        let said = |words: &'static str| {
            let mut host = serving("new").on(FETCH, move |_| CommandOutput {
                rc: 1,
                stderr: format!("E: {words}\nE: not all was fetched\n").into_bytes(),
                ..CommandOutput::default()
            });
            let mode = Mode::default();
            let outcome = execute::<This>(&args(Some(sum("new"))).into(), mode, &mut host);
            assert!(outcome.failed.is_some());
            outcome.fields.get(VERSION_GONE).cloned()
        };
        assert_eq!(said("no such tin here"), Some(true.into()));
        assert_eq!(said("no route to host"), Some(false.into()));
    }

    #[test]
    fn what_has_no_hash_is_left_to_the_package_manager_each_time() {
        let done = check_module::<This>(args(None), serving("new"));
        assert_eq!(done.host.ran.iter().filter(|it| *it == FETCH).count(), 2);
    }

    #[test]
    fn the_managers_own_cache_is_used_and_what_is_installed_needs_no_file() {
        let cached = "/var/cache/apt/archives/a_1_amd64.deb";
        let mut host = serving("new").file(cached, "cached");
        set(&mut host, "a", Some("2"));
        set(&mut host, "b", None);
        let done = check_module::<This>(args(Some(sum("new"))), host);
        assert!(
            !done
                .host
                .ran
                .iter()
                .any(|it| it == FETCH || it == FETCH_OLD)
        );
        assert_eq!(
            done.host.text(&format!("{DIR}/a_1_amd64.deb")).unwrap(),
            "cached"
        );
        assert!(got(&done.first).files.is_empty());
    }

    #[test]
    fn what_earlier_runs_left_goes_after_thirty_days() {
        // Files of the fake host are from 1970.
        let host = serving("new")
            .dir("/var/lib/hostler", 0o700)
            .dir(ROOT, 0o700)
            .dir(DIR, 0o700)
            .dir("/var/lib/hostler/patch/runs", 0o700)
            .dir("/var/lib/hostler/patch/runs/r0", 0o700)
            .dir("/var/lib/hostler/patch/runs/r1", 0o700)
            .file(&format!("{DIR}/x_1_amd64.deb"), "")
            .file(&format!("{DIR}/a_1_amd64.deb"), "");
        let done = check_module::<This>(args(Some(sum("new"))), host);
        assert!(done.host.at("/var/lib/hostler/patch/runs/r0").is_none());
        assert!(done.host.at("/var/lib/hostler/patch/runs/r1").is_some());
        assert!(done.host.at(&format!("{DIR}/x_1_amd64.deb")).is_none());
        assert!(done.host.at(&format!("{DIR}/a_1_amd64.deb")).is_some());
    }

    #[test]
    fn a_run_must_have_a_name_and_a_host_a_manager() {
        let mut bad = args(None);
        bad.insert("run", "../x");
        assert!(check_fails::<This>(bad, host()).contains("run id"));
        assert!(check_fails::<This>(args(None), FakeHost::bare()).contains("package manager"));
    }
}
