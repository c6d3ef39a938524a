//! Previews, kept as plan files and applied from them. See `docs/plan-files.md`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::{Reporter, Stamped};
use hostler_preview::{
    Agreed, Body, Builder, Executions, FILE_MAX, Header, InputFile, Key, Made, Mask, PlanFile,
    Preview, Scope, decode, encode,
};
use hostler_transport::ssh_config::LocalUser;
use sha2::{Digest, Sha256};

use crate::apply::{Audience, Terms, run, secrets};
use crate::inputs::{self, Inputs};
use crate::keeping::Keeping;
use crate::mandate::Mandate;
use crate::plan_key;
use crate::plan_run::bind;
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode};

/// A preview that was made, and what a plan file needs of it.
#[derive(Debug)]
pub struct Draft {
    /// How the run ended.
    pub exit: ExitCode,
    /// What it found.
    pub preview: Preview,
    executions: Executions,
    request: ApplyRequest,
}

/// How a plan is to be applied.
#[derive(Clone, Debug, Default)]
pub struct PlanRequest {
    /// Passwords, extra variables, forks and the like; playbooks, inventory and selection come from the plan.
    pub given: ApplyRequest,
    /// What the plan leaves to run time is accepted.
    pub accept_unknown: bool,
}

/// Collects what a preview finds.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Builder>>);

impl Collector {
    fn new(mask: &Mask) -> Self {
        Collector(Arc::new(Mutex::new(Builder::new(mask.clone()))))
    }

    fn finish(self) -> (Preview, Executions) {
        let mut builder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *builder).finish()
    }
}

impl Reporter for Collector {
    fn event(&mut self, event: &Stamped) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .event(event);
    }
}

/// Runs the playbooks of `request` in check mode.
///
/// # Errors
/// All problems of inventory, playbooks and variables, if there is at least one error; nothing was contacted then.
pub async fn preview(
    mut request: ApplyRequest,
    sources: &SourceMap,
    audience: Audience,
) -> Result<Draft, Refusal> {
    request.check = true;
    let inputs = inputs::load(&request, sources)?;
    request.limit.clone_from(&inputs.limit);
    let keeping = Keeping::New(Mandate::Playbooks);
    let (exit, preview, executions) =
        observe(&request, &inputs, sources, audience, keeping).await?;
    Ok(Draft {
        exit,
        preview,
        executions,
        request,
    })
}

/// Looks what a request would change, and changes nothing.
pub(crate) async fn observe(
    request: &ApplyRequest,
    inputs: &Inputs,
    sources: &SourceMap,
    mut audience: Audience,
    keeping: Keeping,
) -> Result<(ExitCode, Preview, Executions), Refusal> {
    let mask = Mask::new(secrets(request));
    let collector = Collector::new(&mask);
    audience.reporters.push(Box::new(collector.clone()));
    let terms = Terms {
        mask,
        keeping,
        ..Terms::default()
    };
    let ran = run(request, inputs, sources, audience, terms).await?;
    let (mut preview, executions) = collector.finish();
    let local = LocalUser::from_env();
    let mut read = texts_read(sources);
    read.extend(ran.files.iter().map(|(path, sha256)| InputFile {
        path: path.display().to_string(),
        sha256: hex(sha256),
    }));
    preview.made = Made {
        user: local.name,
        controller: local.hostname,
        inventory: request.inventory.clone(),
        limit: request.limit.clone(),
        tags: request.tags.clone(),
        skip_tags: request.skip_tags.clone(),
        extra_vars: inputs.extra.keys().map(ToString::to_string).collect(),
        inputs: read.into_iter().collect(),
        origins: ran.origins,
        ..preview.made
    };
    Ok((ran.exit, preview, executions))
}

/// Texts of the user's files that were read so far, with hashes. Texts of the command line have no file.
pub(crate) fn texts_read(sources: &SourceMap) -> BTreeSet<InputFile> {
    let all = sources.all();
    let named = all.iter().filter(|it| !it.name.starts_with('<'));
    named
        .map(|it| InputFile {
            path: it.name.clone(),
            sha256: hex(&Sha256::digest(it.text.as_bytes())),
        })
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn problem(code: &'static str, text: impl Into<String>) -> Vec<Diagnostic> {
    vec![Diagnostic::error(code, text.into())]
}

pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Draft {
    /// Writes a plan file, readable by the user alone: whole, or not at all.
    ///
    /// # Errors
    /// The key or the file cannot be written, or the plan would be too large.
    pub fn save(&self, path: &Path, lasts: Duration) -> Result<(), Vec<Diagnostic>> {
        let failed = |text: String| problem("plan-file", text);
        if self.preview.made.interrupted {
            return Err(failed(
                "the preview was interrupted: no plan was written".into(),
            ));
        }
        let key = plan_key::read_or_make(&self.request.state).map_err(failed)?;
        let made = &self.preview.made;
        let header = Header {
            hostler: made.version.clone(),
            user: made.user.clone(),
            controller: made.controller.clone(),
            created_us: made.at_us,
            expires_us: after(lasts),
            playbooks: made.playbooks.clone(),
            hosts: self.preview.hosts.len(),
            ..Header::default()
        };
        let scope = scope(&self.request, &key).map_err(failed)?;
        let body = Body::new(scope, self.preview.clone(), &self.executions, &key);
        let bytes = encode(header, &body, &key).map_err(|error| failed(error.to_string()))?;
        write_private(path, &bytes)
            .map_err(|error| failed(format!("cannot write {}: {error}", path.display())))
    }
}

/// Mode 0600 from the start, in place by rename.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn scope(request: &ApplyRequest, key: &Key) -> Result<Scope, String> {
    let directory = std::env::current_dir()
        .map_err(|error| format!("the working directory is not known: {error}"))?;
    Ok(Scope {
        directory: directory.display().to_string(),
        playbooks: request
            .playbooks
            .iter()
            .map(|it| it.display().to_string())
            .collect(),
        inventory: request.inventory.clone(),
        limit: request.limit.clone(),
        tags: request.tags.clone(),
        skip_tags: request.skip_tags.clone(),
        start_at_task: request.start_at_task.clone(),
        force_handlers: request.force_handlers,
        extra_vars: u32::try_from(request.extra_vars.len()).unwrap_or(u32::MAX),
        extra_vars_seal: extra_vars_seal(request, key),
        user: request.connect.user.clone(),
        connection: request.connect.connection.clone(),
        becomes: request.r#become.r#become,
        become_method: request.r#become.method.clone(),
        become_user: request.r#become.user.clone(),
    })
}

fn extra_vars_seal(request: &ApplyRequest, key: &Key) -> [u8; 32] {
    let parts: Vec<&[u8]> = std::iter::once(&b"extra vars"[..])
        .chain(request.extra_vars.iter().map(String::as_bytes))
        .collect();
    key.mac(&parts)
}

/// Reads a plan file. Its content is not proven to be this user's.
///
/// # Errors
/// It cannot be read, is no plan, is damaged or too large.
pub fn read_plan(path: &Path) -> Result<PlanFile, Vec<Diagnostic>> {
    let failed = |text: String| problem("plan-file", format!("{}: {text}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    decode(&bytes).map_err(|error| failed(error.to_string()))
}

/// The time from now on, microseconds since the epoch.
pub fn after(time: Duration) -> i64 {
    now_us().saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}

/// Has a plan's time passed?
pub fn is_expired(plan: &PlanFile) -> bool {
    plan.header.expires_us <= now_us()
}

/// A time of a plan for people, in the controller's time zone.
pub fn time_words(at_us: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_microsecond(at_us) else {
        return "a time that cannot be".to_owned();
    };
    let zoned = at.to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Applies a plan: looks at every host again, refuses those that have moved, does what was planned on the others.
/// `watching` are told of the second look, `reporters` of the run.
///
/// # Errors
/// The plan cannot be used, or an input has changed; nothing was contacted then.
pub async fn apply_plan(
    plan: &PlanFile,
    request: PlanRequest,
    sources: &SourceMap,
    watching: Vec<Box<dyn Reporter>>,
    audience: Audience,
) -> Result<ExitCode, Refusal> {
    let key = check_plan(plan, &request)?;
    let mut request = request_of(plan, request.given, &key)?;
    check_files(plan, &texts_read(sources))?;
    request.check = true;
    let inputs = inputs::load(&request, sources)?;
    check_files(plan, &texts_read(sources))?;
    let interrupts = audience.interrupts.clone();
    let watching = Audience {
        reporters: watching,
        interrupts: interrupts.clone(),
        tell: Box::new(|_| {}),
    };
    let second_look = observe(&request, &inputs, sources, watching, Keeping::Nothing);
    let (exit, _, now) = second_look.await?;
    if interrupts.draining() {
        return Ok(exit);
    }
    let mask = Mask::new(secrets(&request));
    let agreed = Agreed::new(plan, &now, &key);
    let mut terms = Terms {
        mask,
        ..Terms::default()
    };
    bind(&mut terms, &agreed);
    terms.keeping = Keeping::New(Mandate::Plan(agreed));
    request.check = false;
    let ran = run(&request, &inputs, sources, audience, terms).await?;
    Ok(ran.exit)
}

/// Who made it, until when it holds, and what it leaves open.
fn check_plan(plan: &PlanFile, request: &PlanRequest) -> Result<Key, Vec<Diagnostic>> {
    let failed = |text: String| problem("plan-file", text);
    let key = plan_key::read(&request.given.state).map_err(failed)?;
    let header = &plan.header;
    let foreign = || {
        let text = format!(
            "the plan file was altered, or made with another key (it says: by {} on {})",
            header.user, header.controller
        );
        let hint = "a plan is applied by the user and on the controller that made it; docs/plan-files.md says how to share the key";
        vec![Diagnostic::error("plan-file", text).hint(hint)]
    };
    let key = key.ok_or_else(foreign)?;
    plan.verify(&key).map_err(|_| foreign())?;
    if is_expired(plan) {
        let text = format!("the plan expired at {}", time_words(header.expires_us));
        let hint = "make a new one; `hostler plan --expires` says how long it holds";
        return Err(vec![Diagnostic::error("plan-expired", text).hint(hint)]);
    }
    if plan.body.has_undecided() && !request.accept_unknown {
        let open = plan.body.preview.unknown.iter().map(|it| {
            let hosts = it.hosts.len();
            let plural = if hosts == 1 { "" } else { "s" };
            Diagnostic::warning(
                "undecided",
                format!(
                    "`{}` is decided at run time on {hosts} host{plural}",
                    it.name
                ),
            )
        });
        let text = "the plan leaves something to run time";
        let hint = "with --accept-unknown it is applied all the same: these tasks may do anything";
        let refusal = Diagnostic::error("plan-undecided", text).hint(hint);
        return Err(std::iter::once(refusal).chain(open).collect());
    }
    Ok(key)
}

/// The same request again, with what a plan does not keep.
fn request_of(
    plan: &PlanFile,
    given: ApplyRequest,
    key: &Key,
) -> Result<ApplyRequest, Vec<Diagnostic>> {
    let scope = &plan.body.scope;
    if extra_vars_seal(&given, key) != scope.extra_vars_seal {
        let names = plan.body.preview.made.extra_vars.join(", ");
        let text = if scope.extra_vars == 0 {
            "the plan was made without extra variables".to_owned()
        } else {
            format!("the plan was made with other extra variables (-e): {names}")
        };
        return Err(problem("plan-input-changed", text));
    }
    let mut connect = given.connect.clone();
    connect.user = connect.user.or_else(|| scope.user.clone());
    connect.connection = connect.connection.or_else(|| scope.connection.clone());
    let mut becoming = given.r#become.clone();
    becoming.r#become |= scope.becomes;
    becoming.method = becoming.method.or_else(|| scope.become_method.clone());
    becoming.user = becoming.user.or_else(|| scope.become_user.clone());
    Ok(ApplyRequest {
        playbooks: scope.playbooks.iter().map(PathBuf::from).collect(),
        inventory: scope.inventory.clone(),
        limit: scope.limit.clone(),
        tags: scope.tags.clone(),
        skip_tags: scope.skip_tags.clone(),
        start_at_task: scope.start_at_task.clone(),
        force_handlers: scope.force_handlers,
        connect,
        r#become: becoming,
        ..given
    })
}

/// Every file that the plan rests on is as it was; and none of `read` is new. All that differ are named.
fn check_files(plan: &PlanFile, read: &BTreeSet<InputFile>) -> Result<(), Vec<Diagnostic>> {
    let planned = &plan.body.preview.made.inputs;
    let mut problems = Vec::new();
    let mut tell = |text: String| problems.push(Diagnostic::error("plan-input-changed", text));
    for file in planned {
        let now = match read.iter().find(|it| it.path == file.path) {
            Some(now) => Ok(now.sha256.clone()),
            None => hash_of(Path::new(&file.path)),
        };
        match now {
            Ok(now) if now == file.sha256 => {}
            Ok(_) => tell(format!("{} has changed since the plan was made", file.path)),
            // The output of a script is compared when it has run.
            Err(_)
                if read.is_empty()
                    && !Path::new(&file.path).is_absolute()
                    && !Path::new(&file.path).exists() => {}
            Err(error) => tell(format!(
                "{} was read by the plan and cannot be now: {error}",
                file.path
            )),
        }
    }
    for file in read
        .iter()
        .filter(|it| !planned.iter().any(|old| old.path == it.path))
    {
        tell(format!("{} is new since the plan was made", file.path));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

pub(crate) fn hash_of(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&piece[..read]);
    }
}
