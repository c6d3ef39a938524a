//! Where output goes and how it looks: decided once from flags, environment and terminal.

use std::io::{IsTerminal, Write};

use hostler_app::Interrupts;
use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::Reporter;
use hostler_reporters::{
    JsonLines, Options, Plain, Terminal, diagnostics_as_json, render_diagnostics, sanitize,
};

use crate::environment::Environment;
use crate::keys::Keys;
use crate::run_args::{Output, OutputArgs};
use crate::sturdy::Sturdy;

/// The decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    form: Output,
    options: Options,
    /// Standard output is a terminal that can be drawn on.
    screen: bool,
    error_color: bool,
}

impl Console {
    /// Decides for these flags.
    pub(crate) fn new(args: &OutputArgs, diff: bool, environment: &Environment) -> Self {
        let able = !environment.dumb_terminal;
        let screen = std::io::stdout().is_terminal() && able;
        let color = |terminal: bool| {
            !environment.no_color && (environment.force_color || (terminal && able))
        };
        let (rows, columns) = if screen {
            console::Term::stdout().size()
        } else {
            (24, 80)
        };
        let form = match (args.output, screen) {
            (Output::Auto, true) => Output::Terminal,
            (Output::Auto, false) => Output::Plain,
            (asked, _) => asked,
        };
        let width = if screen || form != Output::Terminal {
            usize::from(columns)
        } else {
            // A file can be read at any width.
            120
        };
        Console {
            form,
            options: Options {
                color: color(screen),
                width: width.max(40),
                rows: usize::from(rows),
                verbosity: args.verbose,
                quiet: args.quiet,
                diff,
            },
            screen,
            error_color: color(std::io::stderr().is_terminal()),
        }
    }

    /// Does a program read the output?
    pub(crate) fn is_json(&self) -> bool {
        self.form == Output::Json
    }

    /// The same with differences shown or not.
    #[must_use]
    pub(crate) fn with_diff(mut self, diff: bool) -> Self {
        self.options.diff = diff;
        self
    }

    /// The reporter for a run.
    pub(crate) fn reporter(&self, sources: &SourceMap) -> Box<dyn Reporter> {
        let out = std::io::stdout();
        match self.form {
            Output::Json => Box::new(JsonLines::new(out)),
            Output::Plain => Box::new(Plain::new(out, self.options)),
            Output::Terminal | Output::Auto if self.screen => {
                Box::new(Terminal::new(self.options, sources.clone()))
            }
            Output::Terminal | Output::Auto => {
                Box::new(Terminal::to_writer(self.options, sources.clone(), out))
            }
        }
    }

    /// The reporters for a run that can be stopped: what [`Console::reporter`] gives, with keys where there is a live view.
    pub(crate) fn reporters(
        &self,
        sources: &SourceMap,
        interrupts: &Interrupts,
    ) -> Vec<Box<dyn Reporter>> {
        if self.options.verbosity >= 2 {
            interrupts.watch_output(true);
        }
        let mut all: Vec<Box<dyn Reporter>> = Vec::new();
        let view: Box<dyn Reporter> = if self.has_live_view() {
            let view = Terminal::new(self.options, sources.clone());
            if let Some(keys) = Keys::start(view.control(), interrupts.clone()) {
                all.push(Box::new(keys));
            }
            Box::new(view)
        } else {
            self.reporter(sources)
        };
        let quiet = Options {
            quiet: true,
            ..self.options
        };
        let instead: Box<dyn Reporter> = if self.is_json() {
            Box::new(JsonLines::new(std::io::stdout()))
        } else {
            Box::new(Plain::new(std::io::stdout(), quiet))
        };
        all.push(Box::new(Sturdy::new(view, instead)));
        all
    }

    /// Writes lines that are neither events nor problems: where no program reads them.
    pub(crate) fn teller(&self) -> Box<dyn Fn(&str) + Send + Sync> {
        let to_stderr = self.is_json();
        Box::new(move |text| {
            let text = sanitize::text(text);
            // A closed pipe is the reader's wish.
            let _ = if to_stderr {
                writeln!(std::io::stderr(), "{text}")
            } else {
                writeln!(std::io::stdout(), "{text}")
            };
        })
    }

    pub(crate) fn has_live_view(&self) -> bool {
        self.screen && matches!(self.form, Output::Terminal | Output::Auto)
    }

    /// How output looks.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Does a summary belong below the events of a preview? Scripts that read ansible-playbook's lines want none.
    pub(crate) fn sums_up(&self) -> bool {
        !self.options.quiet && (self.form != Output::Plain || self.options.diff)
    }

    /// What is seen of a preview while it runs, if what it found is shown at its end.
    pub(crate) fn progress(&self, sources: &SourceMap) -> Vec<Box<dyn Reporter>> {
        if self.is_json() {
            vec![self.reporter(sources)]
        } else {
            self.progress_only(sources)
        }
    }

    /// The live view alone, if there is a screen.
    pub(crate) fn progress_only(&self, sources: &SourceMap) -> Vec<Box<dyn Reporter>> {
        if self.has_live_view() {
            vec![Box::new(Terminal::progress(self.options, sources.clone()))]
        } else {
            Vec::new()
        }
    }

    /// Writes text to standard output.
    #[expect(clippy::unused_self, reason = "output goes through the console")]
    pub(crate) fn text(&self, text: &str) {
        // A closed pipe is the reader's wish.
        let _ = write!(std::io::stdout(), "{text}");
    }

    /// Writes problems: to standard error for people, to standard output for programs.
    pub(crate) fn diagnostics(&self, diagnostics: &[Diagnostic], sources: &SourceMap) {
        if self.is_json() {
            self.line(&format!(
                "{{\"event\":\"problems\",\"problems\":{}}}",
                diagnostics_as_json(diagnostics, sources)
            ));
            return;
        }
        let options = Options {
            color: self.error_color,
            ..self.options
        };
        let text = render_diagnostics(diagnostics, sources, &options);
        // Without standard error there is nobody to tell; the exit status still does.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Writes a line to standard output.
    #[expect(clippy::unused_self, reason = "output goes through the console")]
    pub(crate) fn line(&self, text: &str) {
        // A closed pipe is the reader's wish.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
