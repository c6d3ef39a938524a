//! The syntax tree: what a pattern says, after Python's parsing rules.

use crate::flags::FlagChange;

/// Items matched one after the other.
pub(crate) type Sequence = Vec<Node>;

/// One item of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// One character, by number: a lone surrogate is legal in a pattern and never matches.
    Literal(u32),
    /// `.`
    Any,
    /// `[...]` or a category escape outside one.
    Set { negate: bool, items: Vec<SetItem> },
    /// An assertion about the position.
    At(At),
    /// `a|b|c`
    Branch(Vec<Sequence>),
    /// `(...)`, `(?:...)`, `(?i:...)`
    Group {
        number: Option<usize>,
        change: FlagChange,
        body: Sequence,
    },
    /// `(?>...)`
    Atomic(Sequence),
    /// `x*`, `x{2,5}?`, `x++`
    Repeat {
        min: u32,
        max: Option<u32>,
        kind: RepeatKind,
        body: Box<Node>,
    },
    /// `\1`, `(?P=name)`
    Backref(usize),
    /// `(?(1)yes|no)`
    Conditional {
        group: usize,
        yes: Sequence,
        no: Option<Sequence>,
    },
    /// `(?=...)`, `(?!...)`, `(?<=...)`, `(?<!...)`
    Look {
        behind: bool,
        negate: bool,
        body: Sequence,
    },
}

/// A member of a character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetItem {
    /// Characters from the first to the second, both included.
    Range(u32, u32),
    Category {
        category: Category,
        negate: bool,
    },
}

/// `\d`, `\s`, `\w`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Digit,
    Space,
    Word,
}

/// Positions: `^`, `$`, `\A`, `\Z`, `\b`, `\B`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Beginning,
    End,
    BeginningOfText,
    EndOfText,
    Boundary,
    NonBoundary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RepeatKind {
    Greedy,
    Lazy,
    Possessive,
}

/// Least and greatest number of characters an item can match; `u64::MAX` stands for no limit.
pub(crate) type Width = (u64, u64);

/// The width of a sequence, given those of the groups closed so far.
pub(crate) fn width(sequence: &[Node], groups: &[Option<Width>]) -> Width {
    sequence.iter().fold((0, 0), |(low, high), node| {
        let (l, h) = node_width(node, groups);
        (u64::saturating_add(low, l), u64::saturating_add(high, h))
    })
}

fn node_width(node: &Node, groups: &[Option<Width>]) -> Width {
    let widest = |a: Width, b: Width| (a.0.min(b.0), a.1.max(b.1));
    match node {
        Node::Literal(_) | Node::Any | Node::Set { .. } => (1, 1),
        Node::At(_) | Node::Look { .. } => (0, 0),
        Node::Branch(branches) => branches
            .iter()
            .map(|branch| width(branch, groups))
            .reduce(widest)
            .unwrap_or((0, 0)),
        Node::Group { body, .. } | Node::Atomic(body) => width(body, groups),
        Node::Repeat { min, max, body, .. } => {
            let (low, high) = node_width(body, groups);
            let high = match max {
                None if high > 0 => u64::MAX,
                None => 0,
                Some(max) => high.saturating_mul(u64::from(*max)),
            };
            (low.saturating_mul(u64::from(*min)), high)
        }
        Node::Backref(group) => groups.get(*group).copied().flatten().unwrap_or((0, 0)),
        Node::Conditional { yes, no, .. } => {
            let no = no.as_ref().map_or((0, 0), |no| width(no, groups));
            let yes = width(yes, groups);
            // Without an else branch Python takes the low width as 0 and keeps the high one.
            widest(yes, no)
        }
    }
}
