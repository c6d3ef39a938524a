//! A task without a loop, or one item of a loop by itself.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use hostler_change::{Delta, Outcome, Unforeseen};
use hostler_events::{RunEvent, Status};
use hostler_protocol::BecomeMethod;
use hostler_template::Scope;
use hostler_transport::Exit;
use hostler_value::{Map, Value};

use super::written::args_node;
use super::{HostTask, Prepared, RemoteWork, TaskKeywords, When};
use crate::failure::Failure;
use crate::interrupts::Level;
use crate::result::Single;

/// `retries` where only `until` is written, as Ansible documents.
const RETRIES_DEFAULT: i64 = 3;
/// `delay` likewise, in seconds.
const DELAY_DEFAULT: f64 = 5.0;
/// Bytes of each stream that `raw` keeps.
const RAW_KEPT_MAX: usize = 4 << 20;

impl HostTask<'_> {
    /// Condition, keywords, work, judgement; again while `until` is not satisfied. Gives the keywords if it got to them.
    pub(crate) async fn run_single(
        &self,
        scope: &Arc<dyn Scope>,
    ) -> (Single, Option<TaskKeywords>) {
        match self.when(scope) {
            Ok(When::Holds) => {}
            Ok(When::Unmet(condition)) => {
                return (
                    Single::skipped("Conditional result was False", Some(&condition)),
                    None,
                );
            }
            Ok(When::Unknown(unknown)) => return self.look(&unknown, scope).await,
            Err(failure) => return (self.failed(failure), None),
        }
        let mut keywords = match self.keywords(scope) {
            Ok(keywords) => keywords,
            Err(failure) => return (self.failed(failure), None),
        };
        keywords.check &= !self.runs_read_only(&keywords);
        let single = match self.attempts(scope) {
            Ok(None) => self.attempt(&keywords, scope).await,
            Ok(Some((attempts, delay))) => self.until(&keywords, scope, attempts, delay).await,
            Err(failure) => self.failed(failure),
        };
        (single, Some(keywords))
    }

    /// Number of attempts and the pause between them; `None` if the task is tried once.
    fn attempts(&self, scope: &Arc<dyn Scope>) -> Result<Option<(u32, Duration)>, Failure> {
        if self.task.until.is_none() && self.task.retries.is_none() {
            return Ok(None);
        }
        let number = |node: &Option<hostler_yaml::Node>, what: &str, default: f64| match node {
            None => Ok(default),
            Some(node) => {
                let number = self
                    .value(node, scope)?
                    .to_float()
                    .ok()
                    .filter(|it| it.is_finite() && *it >= 0.0);
                number
                    .ok_or_else(|| Failure::new(format!("`{what}` must be a number")).at(node.span))
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a small constant")]
        let retries = number(&self.task.retries, "retries", RETRIES_DEFAULT as f64)?;
        let delay = number(&self.task.delay, "delay", DELAY_DEFAULT)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded and not negative"
        )]
        let attempts = (retries.min(1e6) as u32).saturating_add(1);
        Ok(Some((attempts, Duration::from_secs_f64(delay.min(1e6)))))
    }

    async fn until(
        &self,
        keywords: &TaskKeywords,
        scope: &Arc<dyn Scope>,
        attempts: u32,
        delay: Duration,
    ) -> Single {
        let mut attempt = 1;
        loop {
            let mut single = self.attempt(keywords, scope).await;
            single.attempts = attempt;
            single.value.insert("attempts", attempt);
            if matches!(
                single.status,
                Status::Unreachable | Status::Skipped | Status::Unknown
            ) {
                return single;
            }
            match self.satisfied(&single, scope) {
                // A second attempt would not know more.
                Ok(true) | Err(Failure::Unknown(_)) => return single,
                Err(failure) => return self.failed(failure),
                Ok(false) if self.waits_in_vain(keywords) => return self.would_wait(single),
                Ok(false) if attempt >= attempts || self.run.interrupts.draining() => {
                    if single.status != Status::Failed {
                        single.status = Status::Failed;
                        single.value.insert("failed", true);
                        single.message =
                            Some(format!("`until` is not satisfied after {attempt} attempts"));
                    }
                    return single;
                }
                Ok(false) => {}
            }
            self.run.emit(RunEvent::TaskRetried {
                task: self.id,
                host: self.host.to_owned(),
                attempt,
                attempts,
            });
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.run.interrupts.reached(Level::Drain) => {}
            }
            attempt += 1;
        }
    }

    /// Once: prepare, do, judge.
    async fn attempt(&self, keywords: &TaskKeywords, scope: &Arc<dyn Scope>) -> Single {
        let single = match self.prepare(keywords, scope) {
            Ok(prepared) => self.carry_out(prepared, keywords).await,
            Err(failure) => Err(failure),
        };
        self.judge(single.unwrap_or_else(|failure| self.failed(failure)), scope)
    }

    /// Directories first, then the rest; nothing more after the first failure.
    async fn on_host(&self, keywords: &TaskKeywords, work: &RemoteWork) -> Result<Single, Failure> {
        let mut outcomes = Vec::new();
        if !work.before.is_empty() {
            let made = self
                .on_agent(keywords, "file", work.before.clone(), true)
                .await?;
            outcomes.extend(made.into_values());
        }
        let failed = outcomes.iter().any(|it| it.failed.is_some());
        let alone = keywords.check && !self.run.settings.check;
        if alone && outcomes.iter().any(|it| it.changed) {
            // A single task in check mode sees the host as it is, without the directories that it would make.
            let last = outcomes.len() - 1;
            outcomes[last].incomplete = true;
        } else if !failed && !work.items.is_empty() {
            let mut keywords = keywords.clone();
            // Whether there is a file is seen in the texts.
            keywords.diff |= work.holes.is_some();
            let done = self
                .on_agent(&keywords, &work.module, work.items.clone(), true)
                .await?;
            outcomes.extend(done.into_values());
        }
        Ok(self.result_of(work, outcomes, keywords))
    }

    pub(crate) async fn carry_out(
        &self,
        prepared: Prepared,
        keywords: &TaskKeywords,
    ) -> Result<Single, Failure> {
        match prepared {
            Prepared::Done(single) => Ok(*single),
            Prepared::Agent(work) => self.on_host(keywords, &work).await,
            Prepared::Raw {
                command,
                executable,
            } => self.raw(keywords, &command, executable.as_deref()).await,
        }
    }

    /// `raw`: a command through the login shell, no agent.
    async fn raw(
        &self,
        keywords: &TaskKeywords,
        command: &str,
        shell: Option<&str>,
    ) -> Result<Single, Failure> {
        if keywords.check && !self.run.settings.check {
            return Ok(Single::skipped("skipped, running in check mode", None));
        }
        if keywords.check {
            let outcome = Outcome {
                unforeseen: Some(Unforeseen::Change),
                deltas: vec![Delta::action("raw", format!("run {command}"))],
                ..Outcome::default()
            };
            return Ok(self.foreseen(outcome, keywords));
        }
        if let Some(bound) = self.run.bound()
            && bound.allowed(self.id, self.host).is_some()
        {
            return Err(
                Failure::new("needs something that the plan does not have: a raw command")
                    .hint("make a new plan"),
            );
        }
        let (line, input) = raw_line(command, shell, keywords)?;
        let outcome = if self.is_written_down() {
            self.exchange_raw(keywords, &line, &input).await?
        } else {
            self.run_raw(keywords, &line, &input).await?
        };
        Ok(Single::outcome(outcome, keywords.diff))
    }

    /// Runs a line by the login shell.
    pub(super) async fn run_raw(
        &self,
        keywords: &TaskKeywords,
        line: &str,
        input: &[u8],
    ) -> Result<Outcome, Failure> {
        let link = self.run.fleet.link(&keywords.route);
        let late = async {
            match self.deadline(keywords) {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let output = tokio::select! {
            output = self.run.fleet.raw(&link, line, input, RAW_KEPT_MAX) => output?,
            () = self.run.interrupts.reached(Level::Cancel) => return Err(Failure::cancelled()),
            reason = self.run.interrupts.dropping(self.host) => {
                return Err(Failure::new(format!("the host was given up: {reason}")));
            }
            () = late => return Err(Failure::new("the command did not end within the task's timeout")),
        };
        let rc = match output.exit {
            Exit::Status(status) => status,
            Exit::Signal(_) | Exit::Refused | Exit::Unknown => -1,
        };
        let mut fields = Map::new();
        fields.insert("rc", rc);
        fields.insert(
            "stdout",
            String::from_utf8_lossy(&output.stdout).into_owned(),
        );
        fields.insert(
            "stderr",
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        let failed = (rc != 0).then(|| hostler_change::ModuleFailure {
            msg: "non-zero return code".into(),
            hint: None,
        });
        let warnings = output
            .truncated
            .then(|| format!("output was cut after {RAW_KEPT_MAX} bytes"));
        Ok(Outcome {
            changed: true,
            failed,
            fields,
            warnings: warnings.into_iter().collect(),
            ..Outcome::default()
        })
    }

    /// Evaluated arguments, all of which must be known; those that are `omit` are left out.
    pub(crate) fn args(&self, scope: &Arc<dyn Scope>) -> Result<Map, Failure> {
        let args = self.open_args(scope)?;
        known(&args)?;
        Ok(args)
    }

    /// Evaluated arguments, parts of which may be unknown.
    pub(crate) fn open_args(&self, scope: &Arc<dyn Scope>) -> Result<Map, Failure> {
        let node = args_node(self.task);
        match self.open_value(&node, scope)? {
            Value::Unknown(unknown) => Err(Failure::Unknown(unknown)),
            Value::Map(map) => Ok(map.as_ref().clone()),
            other => Err(Failure::new(format!(
                "arguments must be a mapping, got {}",
                other.type_name()
            ))),
        }
    }
}

/// Fails if part of the arguments is not known.
pub(crate) fn known(args: &Map) -> Result<(), Failure> {
    match Value::from(args.clone()).unknown_part() {
        None => Ok(()),
        Some(unknown) => Err(Failure::Unknown(Arc::new(unknown))),
    }
}

/// The line for the login shell, and what it gets on its input (a password for sudo).
fn raw_line(
    command: &str,
    shell: Option<&str>,
    keywords: &TaskKeywords,
) -> Result<(String, Vec<u8>), Failure> {
    let mut line = String::new();
    for (name, value) in &keywords.environment {
        // Writing to a String cannot fail.
        let _infallible = write!(line, "{name}={} ", quoted(value));
    }
    line.push_str(command);
    if let Some(shell) = shell {
        line = format!("{} -c {}", quoted(shell), quoted(&line));
    }
    let Some(request) = &keywords.r#become else {
        return Ok((line, Vec::new()));
    };
    let user = quoted(&request.user);
    let inner = quoted(&line);
    match (request.method, &request.password) {
        (BecomeMethod::Sudo, None) => Ok((
            format!("sudo -H -n -u {user} -- /bin/sh -c {inner}"),
            Vec::new(),
        )),
        (BecomeMethod::Sudo, Some(password)) => {
            let input = format!("{}\n", password.reveal()).into_bytes();
            Ok((
                format!("sudo -H -S -p '' -u {user} -- /bin/sh -c {inner}"),
                input,
            ))
        }
        (BecomeMethod::Doas, None) => Ok((
            format!("doas -n -u {user} -- /bin/sh -c {inner}"),
            Vec::new(),
        )),
        (BecomeMethod::Su | BecomeMethod::Doas, _) => Err(Failure::new(
            "`raw` can become another user by sudo, or by doas without a password, only",
        )),
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
