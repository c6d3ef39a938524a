//! Template files: delimiters, whitespace rules, and the `#jinja2:` line that changes them.

use std::sync::Arc;

use hostler_yaml::TemplateSource;
use minijinja::syntax::SyntaxConfig;

use crate::ast::{Newline, Unit};
use crate::engine::Engine;
use crate::fail::{Fail, Res};
use crate::lower::{self, Mode};

/// The first line that changes options for the rest of the file.
const HEADER: &str = "#jinja2:";

/// How a template file is read: the options of the `template` module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileOptions {
    /// Drop the first newline after a block.
    pub trim_blocks: bool,
    /// Drop the blanks before a block that starts a line.
    pub lstrip_blocks: bool,
    /// What a line break in the file becomes.
    pub newline: Newline,
    /// Around statements, `{%` and `%}`.
    pub block: (String, String),
    /// Around expressions, `{{` and `}}`.
    pub variable: (String, String),
    /// Around comments, `{#` and `#}`.
    pub comment: (String, String),
    /// What starts a statement that ends with its line, if anything.
    pub line_statement_prefix: Option<String>,
    /// What starts a comment that ends with its line, if anything.
    pub line_comment_prefix: Option<String>,
}

impl Default for FileOptions {
    fn default() -> Self {
        let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        FileOptions {
            trim_blocks: true,
            lstrip_blocks: false,
            newline: Newline::Lf,
            block: pair("{%", "%}"),
            variable: pair("{{", "}}"),
            comment: pair("{#", "#}"),
            line_statement_prefix: None,
            line_comment_prefix: None,
        }
    }
}

impl FileOptions {
    fn syntax(&self) -> Res<SyntaxConfig> {
        let mut builder = SyntaxConfig::builder();
        let owned = |(start, end): &(String, String)| (start.clone(), end.clone());
        let (start, end) = owned(&self.block);
        builder.block_delimiters(start, end);
        let (start, end) = owned(&self.variable);
        builder.variable_delimiters(start, end);
        let (start, end) = owned(&self.comment);
        builder.comment_delimiters(start, end);
        if let Some(prefix) = &self.line_statement_prefix {
            builder.line_statement_prefix(prefix.clone());
        }
        if let Some(prefix) = &self.line_comment_prefix {
            builder.line_comment_prefix(prefix.clone());
        }
        builder
            .trim_blocks(self.trim_blocks)
            .lstrip_blocks(self.lstrip_blocks);
        builder
            .build()
            .map_err(|error| Fail::syntax(format!("invalid template delimiters: {error}")))
    }

    /// The options with the changes of a `#jinja2:` line.
    fn overridden(&self, line: &str) -> Res<FileOptions> {
        let mut options = self.clone();
        for pair in line.split(',') {
            let Some((key, value)) = pair.split_once(':') else {
                return Err(Fail::syntax(format!(
                    "expected `key: value` in `{HEADER}`, got `{}`",
                    pair.trim()
                )));
            };
            options.set(key.trim(), value.trim())?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Res<()> {
        let refused = || Fail::syntax(format!("invalid value for `{key}` in `{HEADER}`: {value}"));
        let boolean = || match value {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err(refused().hint("write True or False")),
        };
        let text = || {
            let inner = ['\'', '"']
                .iter()
                .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            inner
                .map(|inner| inner.replace("\\n", "\n").replace("\\r", "\r"))
                .ok_or_else(|| refused().hint("write the text in quotes"))
        };
        match key {
            "trim_blocks" => self.trim_blocks = boolean()?,
            "lstrip_blocks" => self.lstrip_blocks = boolean()?,
            // A text result keeps its last newline in any case.
            "keep_trailing_newline" => {
                boolean()?;
            }
            "newline_sequence" => {
                self.newline = match text()?.as_str() {
                    "\n" => Newline::Lf,
                    "\r\n" => Newline::CrLf,
                    "\r" => Newline::Cr,
                    _ => return Err(refused()),
                }
            }
            "block_start_string" => self.block.0 = text()?,
            "block_end_string" => self.block.1 = text()?,
            "variable_start_string" => self.variable.0 = text()?,
            "variable_end_string" => self.variable.1 = text()?,
            "comment_start_string" => self.comment.0 = text()?,
            "comment_end_string" => self.comment.1 = text()?,
            "line_statement_prefix" => self.line_statement_prefix = Some(text()?),
            "line_comment_prefix" => self.line_comment_prefix = Some(text()?),
            _ => return Err(Fail::syntax(format!("invalid key `{key}` in `{HEADER}`"))),
        }
        Ok(())
    }
}

/// The compiled file.
pub(crate) fn unit(
    engine: &Engine,
    source: &TemplateSource,
    options: &FileOptions,
) -> Res<Arc<Unit>> {
    if let Some(unit) = engine.cached_file(source, options) {
        return Ok(unit);
    }
    let text = source.text();
    let (options_here, skipped) = match text.strip_prefix(HEADER) {
        None => (options.clone(), 0),
        Some(rest) => {
            let Some((line, _)) = rest.split_once('\n') else {
                let fail = Fail::syntax(format!("missing newline after the `{HEADER}` line"));
                return Err(fail.at(|| Some(source.locate(0, text.len()))));
            };
            let end = HEADER.len() + line.len();
            let line = line.trim_end_matches('\r');
            let options = options
                .overridden(line)
                .map_err(|fail| fail.at(|| Some(source.locate(0, end))))?;
            (options, end + 1)
        }
    };
    let syntax = options_here
        .syntax()
        .map_err(|fail| fail.at(|| Some(source.locate(0, skipped))))?;
    let mut unit = lower::compile(&text[skipped..], Mode::File, &syntax, options_here.newline)
        .map_err(|(fail, at)| {
            let place = |offset: u32| skipped + offset as usize;
            fail.at(|| Some(source.locate(place(at.start), place(at.end))))
        })?;
    unit.skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
    let unit = Arc::new(unit);
    engine.keep_file(source, options, &unit);
    Ok(unit)
}
