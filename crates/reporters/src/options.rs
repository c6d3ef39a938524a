//! How output looks: decided once by the shell, the same for every reporter.

/// How output looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Colours and other terminal attributes may be used.
    pub color: bool,
    /// Width of the output in columns.
    pub width: usize,
    /// Height of the terminal in rows; bounds the live view.
    pub rows: usize,
    /// How many `-v`.
    pub verbosity: u8,
    /// `-q`: failures and the recap only.
    pub quiet: bool,
    /// `-D`: show differences.
    pub diff: bool,
}

impl Default for Options {
    /// What a log file gets: no colours, 80 columns.
    fn default() -> Self {
        Options {
            color: false,
            width: 80,
            rows: 24,
            verbosity: 0,
            quiet: false,
            diff: false,
        }
    }
}
