//! What every run has, whatever it does with it: a place in the run store, reporters, connections; and its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use hostler_diag::Diagnostic;
use hostler_events::{Recap, Reporters, RunEvent};
use hostler_executor::{Fleet, Interrupts, Level, RunContext, SecretSink};
use hostler_preview::Mask;
use hostler_transport::ssh_config::SshConfig;
use hostler_value::Secret;
use tokio::sync::mpsc;

use crate::apply::{Audience, Terms};
use crate::caught::caught;
use crate::connecting::{connector, image};
use crate::inputs::Inputs;
use crate::keeping::{self, Kept, Subject};
use crate::refusal::Refusal;
use crate::reporting::{self, HiddenTexts};
use crate::request::{ApplyRequest, ExitCode};
use crate::settings::{settings, var_store};
use crate::undiffed::Undiffed;

/// Is told a line for the user.
type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// A run that has begun.
pub(crate) struct Engine {
    /// What its plays share.
    pub(crate) run: Arc<RunContext>,
    mask: Mask,
    kept: Kept,
    reporting: JoinHandle<()>,
    tell: Tell,
    began: Instant,
    check: bool,
}

impl Engine {
    /// Begins a run: in the run store, with its hosts leased, with reporters that listen.
    ///
    /// # Errors
    /// The store cannot be written, or other runs have hosts locked. Nothing was contacted then.
    pub(crate) async fn start(
        subject: &Subject<'_>,
        inputs: &Inputs,
        config: SshConfig,
        audience: Audience,
        terms: Terms,
    ) -> Result<Self, Refusal> {
        let request = subject.request;
        let Audience {
            mut reporters,
            interrupts,
            tell,
        } = audience;
        if let Some(problem) = crate::open_files::too_few(subject.hosts.len()) {
            return Err(vec![problem].into());
        }
        let mut kept = keeping::begin(subject, terms.keeping, &interrupts, &*tell).await?;
        if !request.diff {
            reporters = reporters.into_iter().map(Undiffed::boxed).collect();
        }
        reporters.extend(kept.reporter());
        let began = Instant::now();
        let settings = settings(request, subject.hosts.len());
        let reporters = Reporters::new(reporters);
        let (events, reporting) = reporting::start(reporters, subject.sources, &terms.mask);
        let vars = Arc::new(var_store(inputs, &settings, request));
        let run = RunContext::new(
            settings,
            inputs.catalog.clone(),
            vars,
            Fleet::new(connector(request, config), image()),
            subject.sources.clone(),
            events,
            interrupts,
        );
        let mask = terms.mask.clone();
        let mut run = run.telling_secrets(learning(terms.mask));
        if let Some(bound) = terms.bound {
            run = run.bound_by(bound);
        }
        if let Some(recording) = kept.recording(request.check, &request.locks) {
            run = run.recorded(recording);
        }
        let engine = Engine {
            run: Arc::new(run.with_contents(terms.contents)),
            mask,
            kept,
            reporting,
            tell,
            began,
            check: request.check,
        };
        engine.emit(started(request, subject.hosts.len(), &engine.kept));
        Ok(engine)
    }

    /// Tells the reporters. Only one that panicked does not listen any more; the run goes on without it.
    pub(crate) fn emit(&self, event: RunEvent) {
        let _nobody_listens = self.run.events.send(event);
    }

    /// Tells what is wrong with the inputs and stops nothing.
    pub(crate) fn tell_warnings(&self, inputs: &Inputs, problems: Vec<Diagnostic>) {
        self.tell_problems(inputs.warnings.iter().cloned().chain(problems));
    }

    /// Tells what is wrong and stops nothing.
    pub(crate) fn tell_problems(&self, problems: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in problems {
            let place = diagnostic.labels.first();
            let location = place.map(|label| self.run.sources.locate(label.span));
            self.emit(RunEvent::Warned {
                diagnostic,
                location,
                host: None,
            });
        }
    }

    /// Does the work, and listens to the user meanwhile. A panic is told, and is the error.
    pub(crate) async fn watched<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        let (events, interrupts) = (&self.run.events, &self.run.interrupts);
        let guard = self.kept.guard(interrupts, events.clone());
        let watch = tokio::spawn(tell_of_interrupts(interrupts.clone(), events.clone()));
        let done = caught(work).await;
        watch.abort();
        guard.abort();
        if let Err(panic) = &done {
            let reason = format!("a defect of hostler ended the run: {panic}");
            self.emit(RunEvent::Stopping { reason });
        }
        done
    }

    /// Was its lock taken away?
    pub(crate) fn lost_lock(&self) -> bool {
        self.kept.lost_lock()
    }

    /// For what is shown or kept beside the events.
    pub(crate) fn hidden(&self) -> HiddenTexts {
        HiddenTexts::new(&self.run.sources, &self.mask)
    }

    /// How it is kept.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Ends the connections, the reporters and the run in the store. `unfinished`: some of its hosts did not get to the
    /// end. Gives the exit code and the files that were sent to hosts.
    pub(crate) async fn finish(
        self,
        exit: ExitCode,
        recap: Recap,
        unfinished: bool,
    ) -> (ExitCode, Vec<(PathBuf, [u8; 32])>) {
        let (sent, received, round_trips) = self.run.close().await;
        let end = keeping::End {
            exit,
            recap,
            elapsed_us: u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            resumable: self.kept.resumable(self.check, unfinished),
        };
        self.emit(end.event((sent, received), round_trips));
        let files = self.run.files_sent();
        let Engine {
            run,
            mut kept,
            reporting,
            tell,
            check,
            ..
        } = self;
        drop(run);
        // The reporters have the last word before the program ends; a panic of theirs is no failure of the run.
        let _reporter_panicked = reporting.join();
        // Events are stored, too: the end of the run comes after the last of them.
        let unwritten = kept.finish(end).filter(|_| !check);
        if let Some(why) = &unwritten {
            tell(&format!("The end of the run could not be written: {why}"));
        }
        (unwritten.map_or(exit, |_| ExitCode::JournalBroken), files)
    }
}

/// Passwords that the run comes upon are hidden from then on.
fn learning(mask: Mask) -> SecretSink {
    Arc::new(move |secret: &Secret| mask.learn([secret.clone()]))
}

fn started(request: &ApplyRequest, hosts: usize, kept: &Kept) -> RunEvent {
    let playbooks = request.playbooks.iter();
    RunEvent::RunStarted {
        run: kept.run.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        playbooks: playbooks.map(|path| path.display().to_string()).collect(),
        check: request.check,
        diff: request.diff,
        hosts: u32::try_from(hosts).unwrap_or(u32::MAX),
        by: keeping::who(),
        resumed: kept.resumed,
    }
}

/// Says at once that the user's wish was heard, and what the next Ctrl-C does.
async fn tell_of_interrupts(interrupts: Interrupts, events: mpsc::UnboundedSender<RunEvent>) {
    interrupts.reached(Level::Drain).await;
    let reason = "interrupted by the user: running tasks finish, no new ones start; Ctrl-C again cancels them";
    let _nobody_listens = events.send(RunEvent::Stopping {
        reason: reason.into(),
    });
    interrupts.reached(Level::Cancel).await;
    let reason = "cancelled by the user: running tasks are ended on their hosts; Ctrl-C again leaves at once";
    let _nobody_listens = events.send(RunEvent::Stopping {
        reason: reason.into(),
    });
}
