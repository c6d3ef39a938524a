//! The compile flags, from the caller or written inside the pattern.

/// Python's compile flags. `re.UNICODE` is the default and the absence of `ascii`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five independent switches, as in Python"
)]
pub struct Flags {
    /// `re.I`: letters match in either case.
    pub ignore_case: bool,
    /// `re.M`: `^` and `$` also match at line breaks.
    pub multi_line: bool,
    /// `re.S`: `.` also matches a newline.
    pub dot_all: bool,
    /// `re.X`: white space and `#` comments in the pattern are ignored.
    pub verbose: bool,
    /// `re.A`: `\w \d \s \b` and case folding know ASCII only.
    pub ascii: bool,
}

/// Flags written in the pattern as `(?ims-x:...)`: what they switch on and off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FlagChange {
    pub(crate) on: Flags,
    pub(crate) off: Flags,
    /// `u` was written, which switches `ascii` off again.
    pub(crate) unicode: bool,
}

impl FlagChange {
    /// The flags inside the group, given those around it.
    pub(crate) fn apply(self, outer: Flags) -> Flags {
        let set = |outer: bool, on: bool, off: bool| (outer || on) && !off;
        Flags {
            ignore_case: set(outer.ignore_case, self.on.ignore_case, self.off.ignore_case),
            multi_line: set(outer.multi_line, self.on.multi_line, self.off.multi_line),
            dot_all: set(outer.dot_all, self.on.dot_all, self.off.dot_all),
            verbose: set(outer.verbose, self.on.verbose, self.off.verbose),
            ascii: set(outer.ascii, self.on.ascii, self.unicode),
        }
    }
}

impl Flags {
    /// Flags set in either.
    pub(crate) fn union(self, other: Self) -> Self {
        FlagChange {
            on: other,
            ..FlagChange::default()
        }
        .apply(self)
    }

    pub(crate) fn intersects(self, other: Self) -> bool {
        (self.ignore_case && other.ignore_case)
            || (self.multi_line && other.multi_line)
            || (self.dot_all && other.dot_all)
            || (self.verbose && other.verbose)
    }
}
