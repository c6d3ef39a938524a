//! apk-package(5): `1.2.3b_rc2_p1~1f2e3d-r4`: numbers, a letter, suffixes with numbers, a commit, a revision.

use std::cmp::Ordering;

use super::{compare_digits, take_while};

/// Suffixes; those before [`RELEASED`] come before the version that they are put to.
const SUFFIXES: &[&str] = &["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"];
/// How many suffixes are of versions that are not released yet.
const RELEASED: usize = 4;

/// A part of a version. The order of the kinds is that in which they may follow each other: what may come earlier is
/// newer than what may come later or the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    First(&'a [u8]),
    Number(&'a [u8]),
    Letter(u8),
    Suffix(usize),
    SuffixNumber(&'a [u8]),
    Commit(&'a [u8]),
    Revision(&'a [u8]),
    End,
    /// What no rule allows, as it is.
    Rest(&'a [u8]),
}

impl Part<'_> {
    fn rank(self) -> u8 {
        match self {
            Part::First(_) => 0,
            Part::Number(_) => 1,
            Part::Letter(_) => 2,
            Part::Suffix(_) => 3,
            Part::SuffixNumber(_) => 4,
            Part::Commit(_) => 5,
            Part::Revision(_) => 6,
            Part::End => 7,
            Part::Rest(_) => 8,
        }
    }

    fn is_before_release(self) -> bool {
        matches!(self, Part::Suffix(index) if index < RELEASED)
    }
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (Parts::new(a), Parts::new(b));
    loop {
        let (x, y) = (a.next(), b.next());
        let order = match (x, y) {
            (Part::End, Part::End) => return Ordering::Equal,
            (Part::Number(x), Part::Number(y)) if x.starts_with(b"0") || y.starts_with(b"0") => {
                x.cmp(y)
            }
            (Part::First(x), Part::First(y))
            | (Part::Number(x), Part::Number(y))
            | (Part::SuffixNumber(x), Part::SuffixNumber(y))
            | (Part::Revision(x), Part::Revision(y)) => compare_digits(x, y),
            (Part::Letter(x), Part::Letter(y)) => x.cmp(&y),
            (Part::Suffix(x), Part::Suffix(y)) => x.cmp(&y),
            (Part::Commit(x), Part::Commit(y)) => x.cmp(y),
            (Part::Rest(x), Part::Rest(y)) => return x.cmp(y),
            (x, _) if x.is_before_release() => Ordering::Less,
            (_, y) if y.is_before_release() => Ordering::Greater,
            (x, y) => y.rank().cmp(&x.rank()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// What is left of a version, and what came last.
struct Parts<'a> {
    left: &'a [u8],
    last: u8,
}

impl<'a> Parts<'a> {
    fn new(version: &'a str) -> Self {
        Parts {
            left: version.as_bytes(),
            last: u8::MAX,
        }
    }

    fn next(&mut self) -> Part<'a> {
        let left = self.left;
        let part = self.read().unwrap_or_else(|| {
            self.left = &[];
            Part::Rest(left)
        });
        self.last = part.rank();
        part
    }

    fn read(&mut self) -> Option<Part<'a>> {
        let digits = |it: u8| it.is_ascii_digit();
        let number =
            |left: &mut &'a [u8]| Some(take_while(left, digits)).filter(|it| !it.is_empty());
        if self.last == u8::MAX {
            return Some(Part::First(number(&mut self.left)?));
        }
        let Some((&first, rest)) = self.left.split_first() else {
            return Some(Part::End);
        };
        match first {
            b'.' if self.last <= 1 => {
                self.left = rest;
                Some(Part::Number(number(&mut self.left)?))
            }
            b'a'..=b'z' if self.last <= 1 => {
                self.left = rest;
                Some(Part::Letter(first))
            }
            b'_' if self.last <= 4 => {
                self.left = rest;
                let word = take_while(&mut self.left, |it| it.is_ascii_lowercase());
                let index = SUFFIXES.iter().position(|it| it.as_bytes() == word)?;
                Some(Part::Suffix(index))
            }
            b'0'..=b'9' if self.last == 3 => Some(Part::SuffixNumber(number(&mut self.left)?)),
            b'~' if self.last <= 4 => {
                self.left = rest;
                let hash = take_while(&mut self.left, |it| it.is_ascii_hexdigit());
                (!hash.is_empty()).then_some(Part::Commit(hash))
            }
            b'-' if self.last <= 5 && rest.first() == Some(&b'r') => {
                self.left = &rest[1..];
                Some(Part::Revision(number(&mut self.left)?))
            }
            _ => None,
        }
    }
}
