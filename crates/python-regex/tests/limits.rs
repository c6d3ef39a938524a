//! Hostile patterns and texts end in a typed error, and ordinary ones are not stopped by it.

use hostler_python_regex::{Flags, PATTERN_CHARS_MAX, Regex, RegexError};

fn compile(pattern: &str) -> Result<Regex, RegexError> {
    Regex::new(pattern, Flags::default())
}

#[test]
fn catastrophic_backtracking_is_an_error() {
    let regex = compile(r"^(a|b|ab)*(?=c)\1$").unwrap();
    assert_eq!(
        regex.search(&"ab".repeat(40)).unwrap_err(),
        RegexError::BacktrackLimit
    );
}

#[test]
fn an_error_ends_the_iteration() {
    let regex = compile(r"^(a|b|ab)*(?=c)\1$").unwrap();
    let text = "ab".repeat(40);
    let found: Vec<_> = regex.find_iter(&text).collect();
    assert_eq!(found.len(), 1);
    assert!(found[0].is_err());
}

#[test]
fn a_large_file_without_a_match_is_searched_to_its_end() {
    let text = "option = value # comment\n".repeat(80_000);
    for pattern in [
        r"(?m)^(\w+)\1 = (?!value)",
        r"\bnothing\b(?=x)",
        r"(?<=x)y$",
    ] {
        assert!(
            compile(pattern).unwrap().search(&text).unwrap().is_none(),
            "{pattern}"
        );
    }
}

#[test]
fn long_patterns_are_refused() {
    let error = compile(&"a".repeat(PATTERN_CHARS_MAX + 1)).unwrap_err();
    let chars = PATTERN_CHARS_MAX + 1;
    assert_eq!(
        error,
        RegexError::TooLong {
            chars,
            max: PATTERN_CHARS_MAX
        }
    );
    assert!(compile(&"a".repeat(PATTERN_CHARS_MAX)).is_ok());
    let template = "x".repeat(PATTERN_CHARS_MAX + 1);
    assert!(compile("a").unwrap().sub(&template, "a", 0).is_err());
}

#[test]
fn deep_nesting_is_refused() {
    for unit in ["(", "(?:", "(?=", "(?i:", "((?:a)|"] {
        let pattern = format!("{}a{}", unit.repeat(4_000), ")".repeat(4_000));
        assert!(
            matches!(compile(&pattern), Err(RegexError::TooComplex(_))),
            "{unit}"
        );
    }
}

#[test]
fn forty_nested_groups_compile() {
    let pattern = format!("{}a{}", "(".repeat(40), ")".repeat(40));
    let regex = compile(&pattern).unwrap();
    assert_eq!(regex.search("ba").unwrap().unwrap().group(40), Some("a"));
}

#[test]
fn patterns_that_grow_huge_are_refused() {
    for pattern in [
        "((a{1000}){1000}){1000}",
        r"(?:\w{500}){500}",
        r"(?=(?:\w{500}){500})",
        "(a){4294967294}",
    ] {
        assert!(
            matches!(compile(pattern), Err(RegexError::TooComplex(_))),
            "{pattern}"
        );
    }
}
