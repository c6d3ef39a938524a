//! Recurrence rules: recorded answers of another implementation, and what is refused.

#![expect(clippy::unwrap_used, reason = "tests")]

use hostler_schedule::{Date, Pattern, Rule, Start, Time, Window, Zone, parse_date, parse_rrule};

fn rule(text: &str) -> Rule {
    parse_rrule(text, &Zone::utc()).unwrap_or_else(|it| panic!("{text}: {it}"))
}

fn date(text: &str) -> Date {
    parse_date(text).unwrap()
}

fn at() -> Time {
    Time::constant(22, 0, 0, 0)
}

fn dates(text: &str, anchor: Option<&str>, from: &str, until: &str) -> Vec<String> {
    let found = rule(text).dates(anchor.map(date), at(), date(from), date(until));
    found.iter().map(ToString::to_string).collect()
}

/// Of a window with the rule: begins with the rule in other words.
fn fingerprint(text: &str, from: Date) -> String {
    let start = Start {
        pattern: Pattern::Rules(vec![rule(text)]),
        at: Some(at()),
        offset_days: 0,
        from: Some(from),
        except: Vec::new(),
    };
    Window::new("w", Zone::utc(), start, 3600)
        .unwrap()
        .fingerprint()
}

#[test]
fn windows_in_a_line() {
    let text = "FREQ=MONTHLY;BYDAY=+2TU,-1FR;UNTIL=20271231;WKST=SU;INTERVAL=1";
    assert_eq!(
        fingerprint(text, date("2026-01-01")),
        "FREQ=MONTHLY;UNTIL=20271231T235959;BYDAY=2TU,-1FR;WKST=SU at 22:00 UTC from 2026-01-01 for 1h"
    );
}

/// `20261212`.
fn packed(text: &str) -> Date {
    date(&format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..8]))
}

#[test]
fn another_implementation_names_the_same_dates() {
    let mut count = 0;
    let recorded = include_str!("data/rules.txt");
    for line in recorded.lines().filter(|it| !it.starts_with('#')) {
        let mut words = line.split(' ');
        let text = words.next().unwrap();
        let start = packed(words.next().unwrap());
        let expected: Vec<Date> = words.map(packed).collect();
        let end = start.checked_add(jiff::Span::new().days(3000)).unwrap();
        let rule = rule(text);
        let window = fingerprint(text, start);
        assert_eq!(
            window,
            fingerprint(&window[..window.find(" at ").unwrap()], start)
        );
        let mut found = rule.dates(Some(start), at(), start, end);
        found.truncate(12);
        assert_eq!(found, expected, "{text} from {start}");
        // Whoever asks for the later part gets the later part.
        if let Some(middle) = expected.get(expected.len() / 2) {
            let mut later = rule.dates(Some(start), at(), *middle, end);
            let rest = &expected[expected.len() / 2..];
            later.truncate(rest.len());
            assert_eq!(later, rest, "{text} from {start}, asked from {middle}");
        }
        count += 1;
    }
    assert!(count > 200);
}

#[test]
fn days_that_months_do_not_have() {
    let last = dates(
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        None,
        "2027-11-01",
        "2028-04-30",
    );
    assert_eq!(
        last,
        [
            "2027-11-30",
            "2027-12-31",
            "2028-01-31",
            "2028-02-29",
            "2028-03-31",
            "2028-04-30"
        ]
    );
    let thirty_first = dates(
        "FREQ=MONTHLY;BYMONTHDAY=31",
        None,
        "2026-01-01",
        "2026-12-31",
    );
    assert_eq!(
        thirty_first,
        [
            "2026-01-31",
            "2026-03-31",
            "2026-05-31",
            "2026-07-31",
            "2026-08-31",
            "2026-10-31",
            "2026-12-31"
        ]
    );
    let leap = dates(
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        None,
        "2026-01-01",
        "2036-12-31",
    );
    assert_eq!(leap, ["2028-02-29", "2032-02-29", "2036-02-29"]);
    assert!(
        dates(
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31",
            None,
            "1970-01-01",
            "2199-12-31"
        )
        .is_empty()
    );
}

#[test]
fn until_is_the_last_day_or_the_last_instant() {
    let until = |text: &str| {
        let text = format!("FREQ=DAILY;UNTIL={text}");
        dates(&text, None, "2026-12-30", "2027-01-31").len()
    };
    assert_eq!(until("20261231"), 2);
    assert_eq!(until("20261231T220000"), 2);
    assert_eq!(until("20261231T215959"), 1);
    // In UTC: 21:00Z is 22:00 in Berlin.
    let zone = Zone::parse("Europe/Berlin").unwrap();
    let rule = parse_rrule("FREQ=DAILY;UNTIL=20261231T210000Z", &zone).unwrap();
    let found = rule.dates(None, at(), date("2026-12-30"), date("2027-01-31"));
    assert_eq!(found.len(), 2);
}

#[test]
fn what_is_not_supported_is_said() {
    let refused = |text: &str| parse_rrule(text, &Zone::utc()).unwrap_err().to_string();
    for (text, words) in [
        ("", "no FREQ"),
        ("FREQ=HOURLY", "DAILY, WEEKLY, MONTHLY or YEARLY"),
        (
            "FREQ=WEEKLY;BYWEEKNO=3",
            "\"BYWEEKNO\" of a rule is not supported",
        ),
        (
            "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=1,2",
            "a window for each hour",
        ),
        ("FREQ=MONTHLY;BYDAY=2XX", "MO, TU, WE"),
        ("FREQ=MONTHLY;BYDAY=0TU", "no such number"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "not 1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "not 1 to 31"),
        ("FREQ=YEARLY;BYMONTH=13", "not from 1 to 12"),
        ("FREQ=WEEKLY;BYDAY=2TU", "needs FREQ=MONTHLY"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "cannot be in one rule"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;BYSETPOS=1", "needs another BY part"),
        ("FREQ=DAILY;UNTIL=31.12.2026", "`20261231`"),
        ("2nd tuesday", "no part of a rule"),
    ] {
        let message = refused(text);
        assert!(message.contains(words), "{text}: {message}");
    }
    assert!(refused(&"FREQ=DAILY;".repeat(200)).contains("too long"));
}
