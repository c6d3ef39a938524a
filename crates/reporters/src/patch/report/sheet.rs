//! A report as blocks, before it is known where they are shown. Texts are raw: who shows them makes them harmless.

use hostler_patch::report::TrendPoint;

/// How something is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    Warn,
    Bad,
    Dim,
}

/// A text, or names that are folded to the room there is.
#[derive(Clone, Debug)]
pub(super) enum Words {
    Text(String),
    Names(Vec<String>),
}

/// A place of a table, or of a list of facts.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) words: Words,
    pub(super) tone: Tone,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Numbers stand to the right.
    pub(super) number: bool,
    /// It is cut where there is too little room.
    pub(super) yields: bool,
    /// It is left out before others are cut.
    pub(super) spare: bool,
}

impl Column {
    pub(super) const fn spare(mut self) -> Self {
        self.spare = true;
        self
    }
}

pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// Rows that are not in it.
    pub(super) more: u64,
}

pub(super) enum Block {
    /// Begins a section.
    Section(String),
    /// Begins a part of one.
    Part(String),
    Line(Cell),
    Facts(Vec<(&'static str, Cell)>),
    Table(Table),
    /// Compliance over time.
    Trend(Vec<TrendPoint>),
    /// What is read once, if ever.
    Small(&'static str, Vec<String>),
}

pub(super) fn cell(text: impl Into<String>) -> Cell {
    Cell {
        words: Words::Text(text.into()),
        tone: Tone::Plain,
    }
}

pub(super) fn names(all: &[String]) -> Cell {
    Cell {
        words: Words::Names(all.to_vec()),
        tone: Tone::Plain,
    }
}

impl Cell {
    pub(super) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// With this tone if something is so.
    pub(super) fn tone_if(self, so: bool, tone: Tone) -> Self {
        if so { self.tone(tone) } else { self }
    }
}

pub(super) const fn text(name: &'static str) -> Column {
    Column {
        name,
        number: false,
        yields: true,
        spare: false,
    }
}

/// A column that is never cut.
pub(super) const fn whole(name: &'static str) -> Column {
    Column {
        name,
        number: false,
        yields: false,
        spare: false,
    }
}

pub(super) const fn number(name: &'static str) -> Column {
    Column {
        name,
        number: true,
        yields: false,
        spare: false,
    }
}

pub(super) fn table(
    columns: impl IntoIterator<Item = Column>,
    rows: Vec<Vec<Cell>>,
    more: u64,
) -> Block {
    Block::Table(Table {
        columns: columns.into_iter().collect(),
        rows,
        more,
    })
}

pub(super) fn line(cell: Cell) -> Block {
    Block::Line(cell)
}
