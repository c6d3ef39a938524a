//! What people see of a host's words: no control gets through, to no terminal and no page.
#![no_main]

use hostler_preview::{
    Fate, HandlerPreview, HostGroup, Outcome, PlayPreview, Preview, RestartPreview, TaskGroup,
    TaskPreview,
};
use hostler_reporters::{PageFacts, page, sanitize};
use libfuzzer_sys::fuzz_target;

/// Would break out of a page's text, or of an attribute: those stand in double quotes.
const BREAKS: &str = "<script>\" onx=\"&lt;";

fuzz_target!(|data: &[u8]| {
    let _damaged = hostler_preview::decode(data);
    let raw = String::from_utf8_lossy(data);
    harmless(&sanitize::text(&raw), true);
    harmless(&sanitize::same_length(&raw), true);
    assert_eq!(sanitize::same_length(&raw).len(), raw.len());
    for columns in [1, 20, 200] {
        harmless(&sanitize::line(&raw, columns), false);
        let (_, lines) = sanitize::tail(&raw, 3, columns);
        assert!(lines.len() <= 3);
        lines.iter().for_each(|line| harmless(line, false));
    }
    harmless(&sanitize::name(&raw), false);
    let json = serde_json::to_string(&raw).expect("text is JSON");
    let shown = sanitize::json(&json);
    harmless(&shown, false);
    assert_eq!(
        serde_json::from_str::<String>(&shown).expect("still JSON"),
        raw
    );

    let hostile = format!("{raw}{BREAKS}");
    let page = page(
        &preview(&hostile),
        &PageFacts {
            made: hostile.clone(),
            expires: Some(hostile),
        },
    );
    harmless(&page, true);
    for mark in ["<script", "\" onx="] {
        assert!(!page.contains(mark), "{mark} in {page}");
    }
});

fn harmless(shown: &str, lines: bool) {
    for char in shown.chars() {
        let bad = char.is_control() && !(lines && matches!(char, '\n' | '\t'));
        let bidi = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!bad && !bidi, "{char:?} in {shown:?}");
    }
}

fn preview(text: &str) -> Preview {
    let one = || text.to_owned();
    let list = || vec![text.to_owned()];
    let outcome = Outcome {
        fate: Fate::WouldFail,
        message: Some(one()),
        hint: Some(one()),
        delegated_to: Some(one()),
        ..Outcome::default()
    };
    let mut preview = Preview {
        hosts: list(),
        plays: vec![PlayPreview {
            name: one(),
            number: 1,
            hosts: list(),
            ..PlayPreview::default()
        }],
        tasks: vec![TaskPreview {
            number: 1,
            name: one(),
            module: one(),
            place: one(),
            groups: vec![TaskGroup {
                hosts: list(),
                outcome,
            }],
            ..TaskPreview::default()
        }],
        handlers: vec![HandlerPreview {
            name: one(),
            would_run: list(),
            may_run: list(),
            notified_by: list(),
        }],
        restarts: vec![RestartPreview {
            unit: one(),
            what: one(),
            hosts: list(),
        }],
        groups: vec![HostGroup {
            hosts: list(),
            would_change: vec![1],
            differs: list(),
        }],
        warnings: list(),
        ..Preview::default()
    };
    preview.made.user = one();
    preview.made.controller = one();
    preview.made.playbooks = list();
    preview.made.limit = Some(one());
    preview
}
