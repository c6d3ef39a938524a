//! Blocks as GitHub-flavoured Markdown. Nothing that comes from a host can be markup, a link, a mention or an image.

use std::fmt::Write as _;

use super::sheet::{Block, Cell, Table, Tone, Words};
use super::trend;
use crate::{hosts, sanitize};

/// Longest text of one place (columns).
const TEXT_MAX: usize = 4000;

pub(super) fn page(title: &str, blocks: &[Block]) -> String {
    let mut out = format!("# {}\n", escape(&sanitize::line(title, TEXT_MAX)));
    for block in blocks {
        out.push('\n');
        push(&mut out, block);
    }
    out
}

fn push(out: &mut String, block: &Block) {
    // Writing to a String cannot fail.
    let _ = match block {
        Block::Section(title) => writeln!(out, "## {}", escape(&sanitize::line(title, TEXT_MAX))),
        Block::Part(title) => writeln!(out, "### {}", escape(&sanitize::line(title, TEXT_MAX))),
        Block::Line(cell) => writeln!(out, "{}", shown(cell)),
        Block::Facts(facts) => facts
            .iter()
            .try_for_each(|(name, cell)| writeln!(out, "- {name}: {}", shown(cell))),
        Block::Table(table) => {
            push_table(out, table);
            Ok(())
        }
        Block::Trend(points) => {
            let change = trend::change(points);
            if points.len() < 2 || change.is_empty() {
                return;
            }
            writeln!(out, "Compliance: {} {change}", trend::bars(points, 90))
        }
        Block::Small(title, lines) => {
            let _ = writeln!(out, "## {title}\n");
            lines
                .iter()
                .try_for_each(|line| writeln!(out, "- {}", escape(&sanitize::line(line, TEXT_MAX))))
        }
    };
}

fn push_table(out: &mut String, table: &Table) {
    let mut row = |cells: Vec<String>| {
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    row(table.columns.iter().map(|it| it.name.to_owned()).collect());
    let rule = |number: bool| if number { "---:" } else { "---" };
    row(table
        .columns
        .iter()
        .map(|it| rule(it.number).to_owned())
        .collect());
    for cells in &table.rows {
        row(cells.iter().map(shown).collect());
    }
    if table.more > 0 {
        let _ = writeln!(out, "\nand {} more", table.more);
    }
}

fn shown(cell: &Cell) -> String {
    let text = match &cell.words {
        Words::Text(text) => sanitize::line(text, TEXT_MAX),
        Words::Names(all) => {
            let clean: Vec<String> = all.iter().map(|it| sanitize::name(it)).collect();
            hosts::fold_line(&clean, TEXT_MAX)
        }
    };
    let text = escape(&text);
    if cell.tone == Tone::Bad && !text.trim().is_empty() && text.trim() == text {
        format!("**{text}**")
    } else {
        text
    }
}

/// The text as itself. Punctuation that means something gets a backslash (`CommonMark` takes one before any); an at sign
/// becomes a reference, since a backslash does not keep GitHub from taking it for a mention; a colon and the dot after
/// `www` are split from what would make them a link.
fn escape(harmless: &str) -> String {
    let mut out = String::with_capacity(harmless.len());
    for (at, char) in harmless.char_indices() {
        let rest = &harmless[at + char.len_utf8()..];
        let ends_word = rest.is_empty() || rest.starts_with(' ');
        let escaped = match char {
            '@' => {
                out.push_str("&#64;");
                continue;
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '|' | '#' | '!' | '~'
            | '&' | '$' => true,
            ':' => rest.starts_with("//"),
            '.' if ends_in_www(&out) => true,
            // A list, a rule or a heading only at the beginning.
            '-' | '+' | '=' => at == 0 && !rest.is_empty(),
            '.' | ')' => {
                ends_word && at > 0 && harmless[..at].bytes().all(|it| it.is_ascii_digit())
            }
            _ => false,
        };
        if escaped {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

fn ends_in_www(text: &str) -> bool {
    let end = text.len().checked_sub(3).and_then(|at| text.get(at..));
    end.is_some_and(|it| it.eq_ignore_ascii_case("www"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        for (raw, escaped) in [
            ("a|b", "a\\|b"),
            ("<script>", "\\<script\\>"),
            ("![x](http://y)", "\\!\\[x\\](http\\://y)"),
            ("www.evil.example", "www\\.evil.example"),
            ("- item", "\\- item"),
            ("-", "-"),
            ("80.0 % at 06:00", "80.0 % at 06:00"),
            ("1. item", "1\\. item"),
            ("@team see #4", "&#64;team see \\#4"),
            ("3.5.1-1+deb13u1", "3.5.1-1+deb13u1"),
            ("$x$ `y` &lt;", "\\$x\\$ \\`y\\` \\&lt;"),
        ] {
            assert_eq!(escape(raw), escaped);
        }
    }
}
