//! Blocks as one page: no other file, no script, nothing from a network.

use maud::{Markup, html};

use super::sheet::{Block, Cell, Table, Tone, Words};
use super::trend;
use crate::web::{self, names, plain};

/// Rows up to which a table stands open.
const OPEN_MAX: usize = 40;

pub(super) fn page(title: &str, blocks: &[Block]) -> String {
    let body = html! { @for it in blocks { (block(it)) } };
    web::page(title, STYLE, &body)
}

fn block(block: &Block) -> Markup {
    match block {
        Block::Section(title) => html! { h2 { (plain(title)) } },
        Block::Part(title) => html! { h3 { (plain(title)) } },
        Block::Line(cell) => html! { p class=(class(cell.tone)) { (shown(cell)) } },
        Block::Facts(facts) => html! {
            table.facts {
                @for (name, cell) in facts { tr { th { (name) } td class=(class(cell.tone)) { (shown(cell)) } } }
            }
        },
        Block::Table(it) => table(it),
        Block::Trend(points) => html! {
            @if points.len() > 1 {
                figure {
                    (trend::drawing(points))
                    figcaption { "Compliant hosts: " (trend::change(points)) }
                }
            }
        },
        Block::Small(title, lines) => html! {
            h2 { (title) }
            ul.small { @for line in lines { li { (plain(line)) } } }
        },
    }
}

fn table(table: &Table) -> Markup {
    let whole = html! {
        table.hosts {
            thead { tr { @for it in &table.columns { th.number[it.number] { (it.name) } } } }
            tbody {
                @for row in &table.rows {
                    tr {
                        @for (cell, column) in row.iter().zip(&table.columns) {
                            td.number[column.number] { span class=(class(cell.tone)) { (shown(cell)) } }
                        }
                    }
                }
            }
        }
        @if table.more > 0 { p.note { "and " (table.more) " more" } }
    };
    html! {
        @if table.rows.len() > OPEN_MAX {
            details { summary { (table.rows.len()) " rows" } (whole) }
        } @else { (whole) }
    }
}

fn shown(cell: &Cell) -> String {
    match &cell.words {
        Words::Text(text) => plain(text),
        Words::Names(all) => names(all),
    }
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Warn => "change",
        Tone::Bad => "fail",
        Tone::Dim => "same",
    }
}

const STYLE: &str = "
h3{font-size:1rem;margin:.9rem 0 .2rem}.good{color:#11632b}th.number{text-align:right}
figure{margin:1rem 0}figcaption,.small{color:#57606a;font-size:.85rem}svg.trend{width:100%;max-width:720px;height:auto}
.facts th{font-weight:normal;color:#57606a}td{overflow-wrap:anywhere}
";
