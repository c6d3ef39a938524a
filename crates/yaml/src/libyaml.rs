//! The one place that touches libyaml: a safe stream of events over its C-style parser.
//!
//! The parser borrows the text for its whole life, every event is copied into owned data and freed at once, and the
//! parser is freed on drop.

#![expect(
    unsafe_code,
    reason = "libyaml-rs is C translated to Rust; this module is its fence"
)]

use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use libyaml_rs as raw;

/// A position: bytes from the start of the text. (C libyaml counts characters here; its translation counts bytes.)
pub(crate) type Offset = u64;

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A scalar as the parser read it.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) anchor: Option<String>,
    /// The tag in full (`tag:yaml.org,2002:str`, `!vault`); none for an untagged scalar.
    pub(crate) tag: Option<String>,
    pub(crate) value: String,
    /// May the plain-scalar rules decide its type?
    pub(crate) plain_implicit: bool,
    pub(crate) style: Style,
}

#[derive(Debug)]
pub(crate) enum EventKind {
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias(String),
    Scalar(Scalar),
    SequenceStart {
        anchor: Option<String>,
        tag: Option<String>,
    },
    SequenceEnd,
    MappingStart {
        anchor: Option<String>,
        tag: Option<String>,
    },
    MappingEnd,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
}

/// What libyaml says about text that it cannot read.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    /// What is wrong, such as "did not find expected key".
    pub(crate) problem: String,
    /// Where.
    pub(crate) at: Offset,
    /// What it was reading ("while parsing a block mapping") and where that began.
    pub(crate) context: Option<(String, Offset)>,
}

/// A libyaml parser over one text.
pub(crate) struct Parser<'a> {
    /// From `Box::into_raw`: libyaml keeps a pointer to it inside itself, so it is never moved nor borrowed as a box.
    raw: *mut raw::yaml_parser_t,
    text: PhantomData<&'a str>,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let parser = Box::into_raw(Box::new(MaybeUninit::<raw::yaml_parser_t>::uninit()));
        let parser = parser.cast::<raw::yaml_parser_t>();
        // SAFETY: the allocation is ours and of the right type; `yaml_parser_initialize` writes all of it before
        // anything is read, and does not fail (its allocations abort instead). Pointer and length describe `text`,
        // which outlives the parser by the type's lifetime.
        unsafe {
            let _ = raw::yaml_parser_initialize(parser);
            raw::yaml_parser_set_encoding(parser, raw::YAML_UTF8_ENCODING);
            raw::yaml_parser_set_input_string(parser, text.as_ptr(), text.len() as u64);
        }
        Parser {
            raw: parser,
            text: PhantomData,
        }
    }

    /// The next event. After an error or `StreamEnd` there is nothing more to ask for.
    pub(crate) fn next(&mut self) -> Result<Event, SyntaxError> {
        loop {
            let mut event = MaybeUninit::<raw::yaml_event_t>::uninit();
            // SAFETY: the parser is initialised; the event is written by libyaml (zeroed first) before it is read,
            // and freed by `OwnedEvent`.
            let event = unsafe {
                if raw::yaml_parser_parse(self.raw, event.as_mut_ptr()).fail {
                    return Err(self.error());
                }
                OwnedEvent(event.assume_init())
            };
            if let Some(kind) = event.kind() {
                return Ok(Event {
                    kind,
                    start: event.0.start_mark.index,
                    end: event.0.end_mark.index,
                });
            }
        }
    }

    fn error(&self) -> SyntaxError {
        // SAFETY: initialised in `new` and not borrowed elsewhere.
        let parser = unsafe { &*self.raw };
        // SAFETY: libyaml's messages are static C strings or null.
        let (problem, context) =
            unsafe { (c_text(parser.problem.cast()), c_text(parser.context.cast())) };
        let at = if parser.error == raw::yaml_error_type_t::YAML_READER_ERROR {
            parser.problem_offset
        } else {
            parser.problem_mark.index
        };
        SyntaxError {
            problem: problem.unwrap_or_else(|| "this is not YAML".into()),
            at,
            context: context.map(|text| (text, parser.context_mark.index)),
        }
    }
}

impl Drop for Parser<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised in `new` and deleted once; the box came from `Box::into_raw`, and what it holds has no
        // destructor of its own.
        unsafe {
            raw::yaml_parser_delete(self.raw);
            drop(Box::from_raw(
                self.raw.cast::<MaybeUninit<raw::yaml_parser_t>>(),
            ));
        }
    }
}

struct OwnedEvent(raw::yaml_event_t);

impl Drop for OwnedEvent {
    fn drop(&mut self) {
        // SAFETY: written by `yaml_parser_parse`, deleted once; its strings were copied.
        unsafe { raw::yaml_event_delete(&raw mut self.0) }
    }
}

impl OwnedEvent {
    fn kind(&self) -> Option<EventKind> {
        let event = &self.0;
        // SAFETY: which member of the union is set follows from `type_`; its strings are null or NUL-terminated, and
        // a scalar's value has `length` bytes.
        unsafe {
            Some(match event.type_ {
                // No event is what there is after the end and after an error.
                raw::YAML_STREAM_END_EVENT | raw::YAML_NO_EVENT => EventKind::StreamEnd,
                raw::YAML_DOCUMENT_START_EVENT => EventKind::DocumentStart,
                raw::YAML_DOCUMENT_END_EVENT => EventKind::DocumentEnd,
                raw::YAML_ALIAS_EVENT => {
                    EventKind::Alias(c_text(event.data.alias.anchor).unwrap_or_default())
                }
                raw::YAML_SCALAR_EVENT => EventKind::Scalar(scalar(event)),
                raw::YAML_SEQUENCE_START_EVENT => EventKind::SequenceStart {
                    anchor: c_text(event.data.sequence_start.anchor),
                    tag: c_text(event.data.sequence_start.tag),
                },
                raw::YAML_SEQUENCE_END_EVENT => EventKind::SequenceEnd,
                raw::YAML_MAPPING_START_EVENT => EventKind::MappingStart {
                    anchor: c_text(event.data.mapping_start.anchor),
                    tag: c_text(event.data.mapping_start.tag),
                },
                raw::YAML_MAPPING_END_EVENT => EventKind::MappingEnd,
                _ => return None,
            })
        }
    }
}

/// # Safety
/// `event` is a scalar event.
unsafe fn scalar(event: &raw::yaml_event_t) -> Scalar {
    // SAFETY: a scalar event has this member set; its strings are null or NUL-terminated, and the value has `length`
    // bytes.
    let (data, anchor, tag, bytes) = unsafe {
        let data = &event.data.scalar;
        let bytes = if data.value.is_null() {
            &[]
        } else {
            let length = usize::try_from(data.length).unwrap_or_default();
            std::slice::from_raw_parts(data.value, length)
        };
        (data, c_text(data.anchor), c_text(data.tag), bytes)
    };
    Scalar {
        anchor,
        tag,
        value: String::from_utf8_lossy(bytes).into_owned(),
        plain_implicit: data.plain_implicit,
        style: match data.style {
            raw::yaml_scalar_style_t::YAML_SINGLE_QUOTED_SCALAR_STYLE => Style::Single,
            raw::yaml_scalar_style_t::YAML_DOUBLE_QUOTED_SCALAR_STYLE => Style::Double,
            raw::yaml_scalar_style_t::YAML_LITERAL_SCALAR_STYLE => Style::Literal,
            raw::yaml_scalar_style_t::YAML_FOLDED_SCALAR_STYLE => Style::Folded,
            _ => Style::Plain,
        },
    }
}

/// # Safety
/// `text` is null or a NUL-terminated string.
unsafe fn c_text(text: *const u8) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's: a NUL-terminated string.
    let text = unsafe { CStr::from_ptr(text.cast()) };
    let text = text.to_string_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}
