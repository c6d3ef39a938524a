//! Colours by meaning, on or off.

use console::Style;
use hostler_events::Status;

/// Paints text where colours are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    pub(crate) fn new(on: bool) -> Self {
        Paint { on }
    }

    fn apply(self, style: &Style, text: &str) -> String {
        if self.on && !text.is_empty() {
            style.clone().force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }

    /// By how a task ended.
    pub(crate) fn status(self, status: Status, text: &str) -> String {
        let style = match status {
            Status::Ok => Style::new().green(),
            Status::Changed => Style::new().yellow(),
            Status::Skipped => Style::new().cyan(),
            Status::Unknown => Style::new().magenta(),
            Status::Failed => Style::new().red(),
            Status::Unreachable => Style::new().red().bold(),
        };
        self.apply(&style, text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.apply(&Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.apply(&Style::new().dim(), text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.apply(&Style::new().cyan(), text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.apply(&Style::new().green(), text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.apply(&Style::new().red(), text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.apply(&Style::new().yellow(), text)
    }
}
