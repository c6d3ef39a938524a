//! `@failed`, `@unreachable`, `@unfinished` in a `--limit`: hosts of an earlier run.

use std::sync::Arc;

use hostler_diag::Diagnostic;

/// Which hosts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitSet {
    /// `@failed`: failed, unreachable, or with a task of which is not known what it did.
    Failed,
    /// `@unreachable`: could not be reached.
    Unreachable,
    /// `@unfinished`: did not get to the end, for whatever reason.
    Unfinished,
}

impl LimitSet {
    const ALL: [LimitSet; 3] = [
        LimitSet::Failed,
        LimitSet::Unreachable,
        LimitSet::Unfinished,
    ];

    /// As it is written, without `@`.
    pub fn word(self) -> &'static str {
        match self {
            LimitSet::Failed => "failed",
            LimitSet::Unreachable => "unreachable",
            LimitSet::Unfinished => "unfinished",
        }
    }
}

/// Knows the hosts of earlier runs.
pub trait LimitSets {
    /// The hosts of `set` in `run`; `None` is the last run of the same playbooks.
    ///
    /// # Errors
    /// There is no such run, it has no such host, or that cannot be looked up.
    fn hosts(&self, set: LimitSet, run: Option<&str>) -> Result<Vec<Arc<str>>, Diagnostic>;
}

/// There are no earlier runs.
pub struct NoSets;

impl LimitSets for NoSets {
    fn hosts(&self, set: LimitSet, _: Option<&str>) -> Result<Vec<Arc<str>>, Diagnostic> {
        let text = format!("`@{}` needs earlier runs, and there are none", set.word());
        Err(Diagnostic::error("limit-set", text))
    }
}

/// Does a text name such a set?
pub(crate) fn names_one(text: &str) -> bool {
    let mut pieces = text.split([',', ':', ' ']);
    pieces.any(|piece| parse(piece.trim_start_matches(['&', '!'])).is_some())
}

/// A whole part: `@failed`, `@failed=RUN`.
pub(crate) fn parse(part: &str) -> Option<(LimitSet, Option<&str>)> {
    let (word, run) = match part.strip_prefix('@')?.split_once(['=', ':']) {
        Some((word, run)) => (word, Some(run)),
        None => (&part[1..], None),
    };
    let set = LimitSet::ALL.into_iter().find(|set| set.word() == word)?;
    Some((set, run))
}

/// Writes `@failed:RUN` as `@failed=RUN`, which no separator of patterns splits. What stands behind the colon is a run
/// only if it looks like the id of one, or like its beginning: `@failed:web` is two parts.
pub(crate) fn join_runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = LimitSet::ALL.iter().find_map(|set| {
            let behind = from[1..].strip_prefix(set.word())?.strip_prefix(':')?;
            let run = behind.split([',', ':', ' ']).next()?;
            looks_like_run(run).then_some(set.word().len() + 1)
        });
        if let Some(colon) = end {
            out.push_str(&from[..colon]);
            out.push('=');
            rest = &from[colon + 1..];
        } else {
            out.push('@');
            rest = &from[1..];
        }
    }
    out.push_str(rest);
    out
}

/// Hexadecimal digits, perhaps a dash and more of them; at least six in front.
fn looks_like_run(text: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (time, rest) = text.split_once('-').unwrap_or((text, ""));
    time.len() >= 6 && is_hex(time) && is_hex(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_run_belongs_to_the_set() {
        assert_eq!(join_runs("@failed:019a5b-1f"), "@failed=019a5b-1f");
        assert_eq!(
            join_runs("web:&@unfinished:019a5b1c22-0001:!db"),
            "web:&@unfinished=019a5b1c22-0001:!db"
        );
        for same in [
            "@failed:web",
            "@./failed:abcdef0",
            "a@failed",
            "@failed",
            "@",
        ] {
            assert_eq!(join_runs(same), same);
        }
        assert_eq!(parse("@failed=x"), Some((LimitSet::Failed, Some("x"))));
        assert_eq!(parse("@failed.txt"), None);
        assert!(names_one("web:&@failed") && !names_one("@hosts.txt,web"));
    }
}
