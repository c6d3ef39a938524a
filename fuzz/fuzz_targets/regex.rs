//! Python's regular expressions: `PATTERN\0TEXT`, within their budgets, and never a place outside the text.
#![no_main]

use hostler_python_regex::{Flags, Regex, escape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let (pattern, text) = data.split_once('\0').unwrap_or((data, "aaa bbb\n"));
    let literal = Regex::new(&escape(text), Flags::default());
    if let Ok(literal) = literal {
        let found = literal.match_start(text).expect("a literal has no limits");
        assert_eq!(found.map(|it| it.as_str()), Some(text));
    }
    let Ok(regex) = Regex::new(pattern, Flags::default()) else {
        return;
    };
    let mut end = 0;
    for found in regex.find_iter(text).take(50) {
        let Ok(found) = found else {
            break;
        };
        assert!(found.start() >= end && text.get(found.range()).is_some());
        end = found.start();
    }
    let _error = regex.full_match(text);
    let _error = regex.sub(r"<\g<0>>", text, 5);
    let _error = regex.sub(pattern, text, 5);
});
