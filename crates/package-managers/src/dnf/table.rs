//! The table of a transaction that dnf would carry out, as dnf 4 and dnf 5 print it.
//!
//! ```text
//! Upgrading:
//!  tool         noarch   1.2-1     updates     6.1 k
//! Installing:
//!  replacement  noarch   3-1       updates     6.0 k
//!      replacing  old.noarch 1-1
//! ```
//!
//! dnf 4 breaks lines whose first columns are wide; dnf 5 names what is replaced in the columns of the table, and epochs
//! of 0.

use crate::rpm::{Row, Section, plain_evr};

/// A transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Its packages.
    pub(super) rows: Vec<Row>,
    /// dnf came to an end with it: there is a table, or nothing to do.
    pub(super) is_whole: bool,
}

impl Table {
    /// Reads what dnf prints.
    pub(super) fn parse(text: &str) -> Self {
        let mut table = Table::default();
        let mut section = None;
        // The words of a row that is not read to its end yet.
        let mut words: Vec<String> = Vec::new();
        let mut row_section = None;
        for line in text.lines() {
            let trimmed = line.trim();
            let depth = line.len() - line.trim_start().len();
            if let Some(replaced) = trimmed.strip_prefix("replacing ") {
                table.end_row(row_section, &mut words);
                table.add_replaced(replaced);
            } else if depth > 1 && !words.is_empty() {
                words.extend(trimmed.split_whitespace().map(str::to_owned));
            } else {
                table.end_row(row_section, &mut words);
                if depth == 1 && section.is_some() {
                    words = trimmed.split_whitespace().map(str::to_owned).collect();
                    row_section = section;
                } else if depth == 0 && !trimmed.is_empty() {
                    table.is_whole |= is_end(trimmed);
                    section = section_of(trimmed, section);
                }
            }
        }
        table.end_row(row_section, &mut words);
        table
    }

    fn end_row(&mut self, section: Option<Section>, words: &mut Vec<String>) {
        let mut fields = std::mem::take(words).into_iter();
        let mut next = || fields.next();
        if let (Some(section), Some(name), Some(arch), Some(evr), Some(repository)) =
            (section, next(), next(), next(), next())
        {
            self.rows.push(Row {
                section,
                name,
                arch,
                evr: plain_evr(&evr).to_owned(),
                repository,
                replaces: Vec::new(),
            });
        }
    }

    fn add_replaced(&mut self, text: &str) {
        let mut words = text.split_whitespace();
        let (Some(row), Some(first), Some(second)) =
            (self.rows.last_mut(), words.next(), words.next())
        else {
            return;
        };
        let replaced = match (words.next(), first.rsplit_once('.')) {
            (Some(evr), _) => Some((first, second, evr)),
            (None, Some((name, arch))) => Some((name, arch, second)),
            (None, None) => None,
        };
        row.replaces.extend(replaced.map(|(name, arch, evr)| {
            (name.to_owned(), arch.to_owned(), plain_evr(evr).to_owned())
        }));
    }
}

fn is_end(line: &str) -> bool {
    line.starts_with("Transaction Summary") || line.starts_with("Nothing to do")
}

fn section_of(line: &str, now: Option<Section>) -> Option<Section> {
    // `Skipping packages with conflicts:` goes on with `(add '--best --allowerasing' ...):`.
    if line.starts_with('(') {
        return now;
    }
    let starts = [
        ("Upgrading", Section::Upgrade),
        ("Installing:", Section::Install),
        ("Installing", Section::Dependency),
        ("Downgrading", Section::Downgrade),
        ("Removing", Section::Remove),
        ("Skipping", Section::Skip),
    ];
    let found = starts.iter().find(|(start, _)| line.starts_with(start));
    found.map(|it| it.1).filter(|section| {
        // Of those that are skipped dnf 4 explains why on the same line.
        line.ends_with(':') || *section == Section::Skip
    })
}
