//! Blocks on a terminal: nothing is wider than it.

use console::measure_text_width;

use super::sheet::{Block, Cell, Table, Tone, Words};
use super::trend;
use crate::style::Paint;
use crate::{Options, hosts, sanitize};

/// Where blocks of a section begin.
const INDENT: &str = "  ";
/// Between two columns.
const GAP: usize = 2;
/// A column that is cut has at least so many columns.
const NARROW: usize = 8;
/// Names of facts stand in this many columns at least.
const NAME: usize = 22;

pub(super) fn page(title: &str, all: &[Block], options: &Options) -> String {
    let paint = Paint::new(options.color);
    let title = sanitize::line(title, options.width);
    format!("{}\n{}", paint.bold(&title), blocks(all, options))
}

pub(super) fn blocks(all: &[Block], options: &Options) -> String {
    let screen = Screen {
        paint: Paint::new(options.color),
        width: options.width.max(40),
    };
    let mut out = String::new();
    for block in all {
        for line in screen.block(block) {
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

struct Screen {
    paint: Paint,
    width: usize,
}

impl Screen {
    fn block(&self, block: &Block) -> Vec<String> {
        let room = self.width - INDENT.len();
        match block {
            Block::Section(title) => {
                let title = sanitize::line(title, self.width);
                vec![String::new(), self.paint.bold(&title)]
            }
            Block::Part(title) => {
                let title = sanitize::line(title, room);
                vec![
                    String::new(),
                    format!("{INDENT}{}", self.paint.bold(&title)),
                ]
            }
            Block::Line(cell) => {
                let text = match &cell.words {
                    Words::Text(text) => sanitize::line(text, 4000),
                    Words::Names(_) => shown(cell, room),
                };
                let lines = wrap(&text, room);
                let paint = |it: &String| format!("{INDENT}{}", self.tone(cell.tone, it));
                lines.iter().map(paint).collect()
            }
            Block::Facts(facts) => self.facts(facts),
            Block::Table(table) => self.table(table),
            Block::Trend(points) => {
                let change = trend::change(points);
                // A single day is no trend.
                if points.len() < 2 || change.is_empty() {
                    return Vec::new();
                }
                let bars = trend::bars(points, room.saturating_sub(change.len() + GAP).max(20));
                vec![format!("{INDENT}{}  {change}", self.paint.cyan(&bars))]
            }
            Block::Small(title, lines) => {
                let mut out = vec![String::new(), self.paint.dim(title)];
                for line in lines {
                    for part in wrap(&sanitize::line(line, 4000), room) {
                        out.push(format!("{INDENT}{}", self.paint.dim(&part)));
                    }
                }
                out
            }
        }
    }

    fn facts(&self, facts: &[(&'static str, Cell)]) -> Vec<String> {
        let name = facts
            .iter()
            .map(|it| it.0.len())
            .max()
            .unwrap_or(0)
            .max(NAME);
        let room = self
            .width
            .saturating_sub(INDENT.len() + name + GAP)
            .max(NARROW);
        facts
            .iter()
            .map(|(word, cell)| {
                let text = self.tone(cell.tone, &shown(cell, room));
                format!("{INDENT}{word:<name$}{:GAP$}{text}", "")
            })
            .collect()
    }

    fn table(&self, table: &Table) -> Vec<String> {
        let widths = widths(table, self.width - INDENT.len());
        let mut out = Vec::new();
        let shown_columns = || table.columns.iter().zip(&widths);
        let head: Vec<String> = shown_columns()
            .filter_map(|(column, width)| Some((column, width.as_ref()?)))
            .map(|(column, width)| {
                let name = sanitize::clip(column.name, *width).to_uppercase();
                self.paint.bold(&pad(&name, *width, column.number))
            })
            .collect();
        let gap = " ".repeat(GAP);
        out.push(format!("{INDENT}{}", head.join(&gap)));
        for row in &table.rows {
            let cells: Vec<String> = row
                .iter()
                .zip(shown_columns())
                .filter_map(|(cell, (column, width))| Some((cell, column, width.as_ref()?)))
                .map(|(cell, column, width)| {
                    let text = pad(&shown(cell, *width), *width, column.number);
                    self.tone(cell.tone, &text)
                })
                .collect();
            out.push(format!("{INDENT}{}", cells.join(&gap)));
        }
        if table.more > 0 {
            let text = format!("and {} more", table.more);
            out.push(format!("{INDENT}{}", self.paint.dim(&text)));
        }
        out
    }

    fn tone(&self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Good => self.paint.green(text),
            Tone::Warn => self.paint.yellow(text),
            Tone::Bad => self.paint.red(text),
            Tone::Dim => self.paint.dim(text),
        }
    }
}

/// A cell in so many columns, harmless.
fn shown(cell: &Cell, columns: usize) -> String {
    match &cell.words {
        Words::Text(text) => sanitize::line(text, columns),
        Words::Names(all) => {
            let clean: Vec<String> = all.iter().map(|it| sanitize::name(it)).collect();
            hosts::fold_line(&clean, columns)
        }
    }
}

fn pad(text: &str, columns: usize, right: bool) -> String {
    let missing = " ".repeat(columns.saturating_sub(measure_text_width(text)));
    if right {
        format!("{missing}{text}")
    } else {
        format!("{text}{missing}")
    }
}

/// How wide columns are: as their cells want it. If that is too much, spare columns go (the last first), and then the
/// widest of those that yield give way. `None`: the column is left out.
fn widths(table: &Table, room: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = table.rows.iter().filter_map(|row| row.get(index));
            let wanted = cells.map(|it| measure_text_width(&shown(it, room)));
            Some(wanted.max().unwrap_or(0).max(column.name.len()))
        })
        .collect();
    for (index, column) in table.columns.iter().enumerate().rev() {
        if column.spare && needs(&widths) > room {
            widths[index] = None;
        }
    }
    while needs(&widths) > room {
        let widest = |yields: bool| {
            let columns = table.columns.iter().zip(&widths).enumerate();
            columns
                .filter_map(|(index, (column, width))| Some((index, column, (*width)?)))
                .filter(|(_, column, width)| (column.yields || !yields) && *width > NARROW)
                .max_by_key(|(_, _, width)| *width)
                .map(|(index, _, _)| index)
        };
        let Some(index) = widest(true).or_else(|| widest(false)) else {
            break;
        };
        if let Some(Some(width)) = widths.get_mut(index) {
            *width -= 1;
        }
    }
    widths
}

/// Columns of a terminal that a table of these widths takes.
fn needs(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.map(|it| it + GAP).sum::<usize>().saturating_sub(GAP)
}

/// Lines of at most so many columns, broken between words where that is possible. The text is harmless already.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let word = sanitize::clip(word, columns);
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 1 + measure_text_width(&word) <= columns => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}
