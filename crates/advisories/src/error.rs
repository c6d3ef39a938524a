//! Why a file of advisories cannot be used.

use std::io;

/// Why a file of advisories cannot be used. Texts are fragments for `cannot use the advisories FILE: ...`.
#[derive(Debug, thiserror::Error)]
pub enum AdvisoryError {
    /// It cannot be read.
    #[error("{0}")]
    Read(io::Error),
    /// It is of a kind that is not read.
    #[error("{0}")]
    Unsupported(&'static str),
    /// It is not what it seems to be; with line and column.
    #[error("{0}")]
    Malformed(String),
    /// It goes beyond a bound of the reader; with line and column.
    #[error("{0}")]
    TooMuch(String),
}

/// Longest text of an error: a wrong value is shown in it, and that may be anything.
const TEXT_MAX: usize = 300;

impl AdvisoryError {
    /// What serde says has the place in it already; what the guard says comes through it as an error of reading.
    pub(crate) fn of(error: serde_json::Error) -> Self {
        if !error.is_io() {
            return AdvisoryError::Malformed(short(&error.to_string()));
        }
        let error = io::Error::from(error);
        match error
            .get_ref()
            .and_then(|it| it.downcast_ref::<crate::guard::Refused>())
        {
            Some(refused) => AdvisoryError::TooMuch(refused.to_string()),
            None => AdvisoryError::Read(error),
        }
    }
}

/// In one line, not endless, without losing the end, where the place is.
fn short(text: &str) -> String {
    let plain: Vec<char> = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    if plain.len() <= TEXT_MAX {
        return plain.into_iter().collect();
    }
    let (head, tail) = (&plain[..TEXT_MAX - 60], &plain[plain.len() - 60..]);
    head.iter().chain(&['…']).chain(tail).collect()
}
