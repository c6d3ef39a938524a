//! Character sets: `[...]`.

use crate::ast::{Node, SetItem};
use crate::error::RegexError;
use crate::escape::in_set;
use crate::source::{Source, Token};

/// Parse a set; the source stands after its `[`.
pub(crate) fn parse(source: &mut Source) -> Result<Node, RegexError> {
    let here = source.position() - 1;
    let negate = source.accept('^')?;
    let mut items = Vec::new();
    loop {
        let this = next(source, here)?;
        if this == Token::Char(']') && !items.is_empty() {
            break;
        }
        let first = item(source, this)?;
        if !source.accept('-')? {
            items.push(first);
            continue;
        }
        let that = next(source, here)?;
        if that == Token::Char(']') {
            items.extend([first, SetItem::Range('-'.into(), '-'.into())]);
            break;
        }
        let last = item(source, that)?;
        items.push(range(source, (this, first), (that, last))?);
    }
    Ok(Node::Set { negate, items })
}

fn next(source: &mut Source, start: usize) -> Result<Token, RegexError> {
    match source.take()? {
        Some(token) => Ok(token),
        None => Err(source.error("unterminated character set", source.position() - start)),
    }
}

fn item(source: &mut Source, token: Token) -> Result<SetItem, RegexError> {
    match token {
        Token::Char(c) => Ok(SetItem::Range(c.into(), c.into())),
        Token::Escape(c) => in_set(source, c).map(SetItem::from),
    }
}

fn range(
    source: &Source,
    (this, first): (Token, SetItem),
    (that, last): (Token, SetItem),
) -> Result<SetItem, RegexError> {
    if let (SetItem::Range(low, _), SetItem::Range(high, _)) = (first, last)
        && low <= high
    {
        return Ok(SetItem::Range(low, high));
    }
    let message = format!("bad character range {}-{}", this.text(), that.text());
    Err(source.error(message, this.chars() + 1 + that.chars()))
}
