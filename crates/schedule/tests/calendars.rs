//! Calendars: what freezes come from .ics files, and what is refused in them.

#![expect(clippy::unwrap_used, reason = "tests")]

use hostler_schedule::{Calendar, Freeze, Interval, Zone};

fn us(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn calendar(events: &str) -> Result<Calendar, String> {
    let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\n{events}\nEND:VCALENDAR\n");
    let berlin = Zone::parse("Europe/Berlin").unwrap();
    Calendar::parse(&text.replace('\n', "\r\n"), &berlin).map_err(|it| it.to_string())
}

/// `2026-12-24T23:00Z/2026-12-26T23:00Z Christmas`, a line each.
fn events(text: &str) -> Vec<String> {
    let range = Interval {
        start_us: us("2026-01-01T00:00:00Z"),
        end_us: us("2028-01-01T00:00:00Z"),
    };
    let show = |at_us: i64| {
        let at = jiff::Timestamp::from_microsecond(at_us).unwrap();
        at.strftime("%Y-%m-%dT%H:%MZ").to_string()
    };
    let found = calendar(text).unwrap().events(range);
    found
        .iter()
        .map(|it| {
            format!(
                "{}/{} {}",
                show(it.span.start_us),
                show(it.span.end_us),
                it.summary
            )
        })
        .collect()
}

#[test]
fn all_day_is_from_local_midnight_to_local_midnight() {
    let text = "BEGIN:VEVENT\nUID:1\nSUMMARY:Christmas\\, freeze\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227\nEND:VEVENT";
    assert_eq!(
        events(text),
        ["2026-12-23T23:00Z/2026-12-26T23:00Z Christmas, freeze"]
    );
    // One day, said in three ways; the day on which clocks change has 23 hours.
    for end in [
        "",
        "DURATION:P1D\n",
        "DTEND;VALUE=DATE:20260330\n",
        "DTEND;VALUE=DATE:20260329\n",
    ] {
        let text = format!("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20260329\n{end}SUMMARY:x\nEND:VEVENT");
        assert_eq!(
            events(&text),
            ["2026-03-28T23:00Z/2026-03-29T22:00Z x"],
            "{end}"
        );
    }
}

#[test]
fn zones_of_events() {
    let at = |start: &str| {
        events(&format!(
            "BEGIN:VEVENT\n{start}\nDURATION:PT2H30M\nSUMMARY:x\nEND:VEVENT"
        ))
    };
    let nine = ["2026-07-01T07:00Z/2026-07-01T09:30Z x"];
    assert_eq!(at("DTSTART:20260701T090000"), nine);
    assert_eq!(at("DTSTART:20260701T070000Z"), nine);
    assert_eq!(at("DTSTART;TZID=Europe/Paris:20260701T090000"), nine);
    assert_eq!(
        at("DTSTART;TZID=\"W. Europe Standard Time\":20260701T090000"),
        nine
    );
    assert_eq!(
        at("DTSTART;TZID=Eastern Standard Time:20260701T030000"),
        nine
    );
    assert_eq!(
        at("DTSTART;TZID=/mozilla.org/20050126_1/America/New_York:20260701T030000"),
        nine
    );
    // A definition of the zone is not read: its name decides.
    let defined = "BEGIN:VTIMEZONE\nTZID:Europe/Paris\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0900\nTZOFFSETTO:+0900\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\nDTSTART;TZID=Europe/Paris:20260701T090000\nDURATION:PT2H30M\nSUMMARY:x\nEND:VEVENT";
    assert_eq!(events(defined), nine);
    let unknown =
        "BEGIN:VEVENT\nSUMMARY:x\nDTSTART;TZID=Customized Time Zone:20260701T090000\nEND:VEVENT";
    let message = calendar(unknown).unwrap_err();
    assert!(
        message.starts_with("line 5: the time zone \"Customized Time Zone\" is not known"),
        "{message}"
    );
}

#[test]
fn series_with_exceptions() {
    let series = "BEGIN:VEVENT\nUID:weekly\nSUMMARY:Payroll\nDTSTART;TZID=Europe/Berlin:20260301T220000\nDTEND;TZID=Europe/Berlin:20260302T020000\nRRULE:FREQ=MONTHLY;BYDAY=1SU;COUNT=5\nEXDATE;TZID=Europe/Berlin:20260405T220000\nRDATE;VALUE=PERIOD:20260815T100000Z/PT1H\nEND:VEVENT\n";
    assert_eq!(
        events(series),
        [
            "2026-03-01T21:00Z/2026-03-02T01:00Z Payroll",
            "2026-05-03T20:00Z/2026-05-04T00:00Z Payroll",
            "2026-06-07T20:00Z/2026-06-08T00:00Z Payroll",
            "2026-07-05T20:00Z/2026-07-06T00:00Z Payroll",
            "2026-08-15T10:00Z/2026-08-15T11:00Z Payroll",
        ]
    );
    // May is moved, June cancelled; the exceptions come before their series.
    let moved = "BEGIN:VEVENT\nUID:weekly\nRECURRENCE-ID:20260503T200000Z\nDTSTART:20260510T200000Z\nDTEND:20260510T210000Z\nEND:VEVENT\n";
    let cancelled = "BEGIN:VEVENT\nUID:weekly\nSUMMARY:Payroll\nRECURRENCE-ID;TZID=Europe/Berlin:20260607T220000\nDTSTART;TZID=Europe/Berlin:20260607T220000\nSTATUS:CANCELLED\nEND:VEVENT\n";
    assert_eq!(
        events(&format!("{moved}{cancelled}{series}")),
        [
            "2026-03-01T21:00Z/2026-03-02T01:00Z Payroll",
            "2026-05-10T20:00Z/2026-05-10T21:00Z Payroll",
            "2026-07-05T20:00Z/2026-07-06T00:00Z Payroll",
            "2026-08-15T10:00Z/2026-08-15T11:00Z Payroll",
        ]
    );
}

#[test]
fn the_start_is_the_first_time_even_if_its_rule_does_not_name_it() {
    let text = "BEGIN:VEVENT\nSUMMARY:x\nDTSTART;VALUE=DATE:20260302\nRRULE:FREQ=WEEKLY;BYDAY=SA;COUNT=3\nEND:VEVENT";
    let starts: Vec<String> = events(text).iter().map(|it| it[..10].to_owned()).collect();
    assert_eq!(starts, ["2026-03-01", "2026-03-06", "2026-03-13"]);
}

#[test]
fn what_is_cancelled_or_replaced_freezes_nothing() {
    let event = |more: &str| {
        format!("BEGIN:VEVENT\nUID:a\nSUMMARY:x\nDTSTART;VALUE=DATE:20260302\n{more}END:VEVENT\n")
    };
    assert!(events(&event("STATUS:CANCELLED\n")).is_empty());
    let newer = event("SEQUENCE:1\nSTATUS:CANCELLED\n");
    assert!(events(&format!("{}{newer}", event(""))).is_empty());
    // An alarm in an event is not the event's.
    let alarm = event("BEGIN:VALARM\nDURATION:PT5M\nDTSTART:nonsense\nEND:VALARM\n");
    assert_eq!(events(&alarm).len(), 1);
    let instant =
        calendar("BEGIN:VEVENT\nSUMMARY:reminder\nDTSTART:20260302T100000Z\nEND:VEVENT").unwrap();
    assert_eq!(
        instant.warnings(),
        ["line 3: the event \"reminder\" has no duration and freezes nothing"]
    );
}

#[test]
fn only_what_matches() {
    let text = "BEGIN:VEVENT\nSUMMARY:Change Freeze Q4\nDTSTART;VALUE=DATE:20261201\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:Summer party\nDTSTART;VALUE=DATE:20260701\nEND:VEVENT";
    let all = calendar(text).unwrap();
    assert_eq!(all.len(), 2);
    let matching = all.clone().matching("freeze");
    assert_eq!(matching.len(), 1);
    let freeze = Freeze::calendar("corp", matching);
    let range = Interval {
        start_us: us("2026-01-01T00:00:00Z"),
        end_us: us("2027-01-01T00:00:00Z"),
    };
    let names: Vec<String> = freeze
        .spans(range)
        .into_iter()
        .map(|(_, why)| why)
        .collect();
    assert_eq!(names, ["corp (Change Freeze Q4)"]);
    assert!(all.matching("nothing like it").is_empty());
}

#[test]
fn lines_are_unfolded_and_texts_are_plain() {
    let text = "BEGIN:VEVENT\nSUMM\n ARY:Year\\nend \u{1b}[31mfre\n\teze\\; a\\\\b\nDTSTART;VALUE=DATE;X-A=\"a:b;c\":20261201\nEND:VEVENT";
    assert_eq!(
        events(text),
        ["2026-11-30T23:00Z/2026-12-01T23:00Z Year end  [31mfreeze; a\\b"]
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let event = |lines: &str| {
        calendar(&format!("BEGIN:VEVENT\nSUMMARY:x\n{lines}\nEND:VEVENT")).unwrap_err()
    };
    for (lines, words) in [
        ("UID:1", "line 3: the event has no DTSTART"),
        (
            "DTSTART:tomorrow",
            "line 5: \"tomorrow\" is no date or time",
        ),
        ("DTSTART:20260230", "line 5:"),
        (
            "DTSTART:20260301\nDTEND:20260228",
            "line 6: the event ends before it begins",
        ),
        (
            "DTSTART:20260301\nDTEND:20260301T100000",
            "must both be days",
        ),
        ("DTSTART:20260301\nDURATION:PT1H", "whole days"),
        (
            "DTSTART:20260301T100000\nDURATION:-PT1H",
            "line 6: \"-PT1H\" is no duration",
        ),
        ("DTSTART:20260301T100000\nDURATION:P", "is no duration"),
        (
            "DTSTART:20260301T100000\nDURATION:P99999D",
            "longer than ten years",
        ),
        (
            "DTSTART:20260301\nRRULE:FREQ=SECONDLY",
            "line 6: FREQ \"SECONDLY\" is not supported",
        ),
        (
            "DTSTART:20260301T100000\nRRULE:FREQ=DAILY;BYHOUR=11",
            "another time than DTSTART",
        ),
        ("DTSTART:20260301\nEXRULE:FREQ=DAILY", "line 6: EXRULE"),
        (
            "DTSTART:20260301\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260301",
            "line 6: RECURRENCE-ID with RANGE",
        ),
        (
            "DTSTART:20260301\nnonsense",
            "line 6: \"nonsense\" is no line of a calendar",
        ),
    ] {
        let message = event(lines);
        assert!(message.contains(words), "{lines}: {message}");
    }
    assert!(
        calendar("END:VEVENT")
            .unwrap_err()
            .contains("line 3: END:VEVENT without its BEGIN")
    );
    assert!(
        calendar("BEGIN:VEVENT")
            .unwrap_err()
            .contains("without its BEGIN")
    );
    let parse = |text: &str| Calendar::parse(text, &Zone::utc()).unwrap_err().to_string();
    assert!(parse("").contains("no calendar"));
    assert!(parse("<html>").contains("no line of a calendar"));
    assert!(parse("BEGIN:VCALENDAR\nVERSION:2.0").contains("line 1: \"VCALENDAR\" has no END"));
}

#[test]
fn what_is_too_large_is_refused() {
    let many = "BEGIN:VEVENT\nDTSTART:20260301\nEND:VEVENT\n".repeat(2_001);
    assert!(
        calendar(&many)
            .unwrap_err()
            .contains("more than 2000 events")
    );
    let dates = vec!["20260301"; 20_001].join("\nEXDATE:");
    let text = format!("BEGIN:VEVENT\nDTSTART:20260301\nEXDATE:{dates}\nEND:VEVENT");
    assert!(calendar(&text).unwrap_err().contains("20000 dates"));
    assert!(
        calendar(&format!("X:{}", "a".repeat(70_000)))
            .unwrap_err()
            .contains("line 3: the line is too long")
    );
    assert!(
        calendar(&format!(
            "X:a{}",
            "\n aaaaaaaaaaaaaaaaaaaaaaa".repeat(4_000)
        ))
        .unwrap_err()
        .contains("too long")
    );
    assert!(
        calendar(&"X:a\n".repeat(2 << 20))
            .unwrap_err()
            .contains("MiB")
    );
    assert!(
        calendar(&"BEGIN:VEVENT\n".repeat(10))
            .unwrap_err()
            .contains("too deeply")
    );
}

/// The worst that fits: the times of all events over ten years are still found quickly.
#[test]
fn a_calendar_full_of_series_is_bearable() {
    let event = "BEGIN:VEVENT\nSUMMARY:x\nDTSTART:19000101T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=10000\nEND:VEVENT\n";
    let calendar = calendar(&event.repeat(200)).unwrap();
    let range = Interval {
        start_us: us("2026-01-01T00:00:00Z"),
        end_us: us("2027-01-01T00:00:00Z"),
    };
    assert!(calendar.events(range).is_empty());
}
