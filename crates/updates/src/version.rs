//! Which of two versions is the newer one, by the rules of each package manager.
//!
//! Own code, held against the tools by tables that they were asked for (`tests/versions`): the rules are small, and what
//! is decided by them (is it patched, has it drifted, was it proven) must not depend on what is installed where.

mod apk;
mod deb;
mod pacman;
mod rpm;

use std::cmp::Ordering;

use crate::Manager;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// dpkg: deb-version(7).
    Deb,
    /// rpm: epoch, version and release, with `~` and `^` (rpm-version(7)).
    Rpm,
    /// apk: apk-package(5).
    Apk,
    /// pacman: vercmp(8).
    Pacman,
}

impl Manager {
    /// By whose rules it compares versions.
    pub fn scheme(self) -> Scheme {
        match self {
            Manager::Apt => Scheme::Deb,
            Manager::Dnf | Manager::Zypper => Scheme::Rpm,
            Manager::Apk => Scheme::Apk,
            Manager::Pacman => Scheme::Pacman,
        }
    }
}

/// Compares two versions. Texts that are no versions are compared too, in some order: what a host says may be anything.
/// Different texts may be equal versions (`1.0` and `1.00`).
pub fn compare(scheme: Scheme, a: &str, b: &str) -> Ordering {
    match scheme {
        Scheme::Deb => deb::compare(a, b),
        Scheme::Rpm => rpm::compare(a, b),
        Scheme::Apk => apk::compare(a, b),
        Scheme::Pacman => pacman::compare(a, b),
    }
}

/// Compares numbers of any length, as digits.
fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| digits.iter().take_while(|it| **it == b'0').count();
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Takes what fits off the front.
fn take_while<'a>(text: &mut &'a [u8], fits: impl Fn(u8) -> bool) -> &'a [u8] {
    let whole: &'a [u8] = text;
    let end = whole
        .iter()
        .position(|it| !fits(*it))
        .unwrap_or(whole.len());
    let (taken, rest) = whole.split_at(end);
    *text = rest;
    taken
}

/// Epoch, version, release: `1:2.0-3`. The epoch is digits before the first colon, the release what follows the last
/// dash.
fn epoch_version_release(text: &str) -> (Option<&str>, &str, Option<&str>) {
    let end = text
        .bytes()
        .position(|it| !it.is_ascii_digit())
        .unwrap_or(text.len());
    let (epoch, rest) = match text[end..].strip_prefix(':') {
        Some(rest) => (Some(&text[..end]), rest),
        None => (None, text),
    };
    match rest.rsplit_once('-') {
        Some((version, release)) => (epoch, version, Some(release)),
        None => (epoch, rest, None),
    }
}
