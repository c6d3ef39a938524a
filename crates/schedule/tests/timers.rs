//! Windows as systemd timers say them; where the machine has systemd, what it makes of that.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::process::Command;

use hostler_schedule::{
    Pattern, Start, Window, Zone, occurrences, on_calendar, parse_date, parse_time,
};

fn window(rule: &str, offset_days: u16) -> Window {
    let zone = Zone::parse("Europe/Berlin").unwrap();
    let start = Start {
        pattern: Pattern::parse_rrule(rule, &zone).unwrap(),
        at: Some(parse_time("22:00").unwrap()),
        offset_days,
        from: rule
            .contains("INTERVAL")
            .then(|| parse_date("2026-01-03").unwrap()),
        except: Vec::new(),
    };
    Window::new("w", zone, start, 3600).unwrap()
}

/// Rule, offset, expressions, exact.
const CASES: [(&str, u16, &str, bool); 20] = [
    ("FREQ=DAILY", 0, "*-*-*", true),
    ("FREQ=DAILY;BYMONTH=3,10", 0, "*-03,10-*", true),
    ("FREQ=WEEKLY;BYDAY=SA,SU", 0, "Sat,Sun *-*-*", true),
    ("FREQ=WEEKLY;BYDAY=SA", 2, "Mon *-*-*", true),
    ("FREQ=WEEKLY;BYDAY=SA;BYMONTH=3", 2, "*-*-*", false),
    ("FREQ=WEEKLY;BYDAY=SA;INTERVAL=2", 0, "*-*-*", false),
    ("FREQ=WEEKLY;BYDAY=SA;UNTIL=20270101", 0, "Sat *-*-*", false),
    ("FREQ=MONTHLY;BYDAY=2TU", 0, "Tue *-*-08..14", true),
    ("FREQ=MONTHLY;BYDAY=2TU", 4, "Sat *-*-12..18", true),
    ("FREQ=MONTHLY;BYDAY=4TU", 1, "*-*-*", false),
    ("FREQ=MONTHLY;BYDAY=5WE", 0, "Wed *-*-29..31", true),
    ("FREQ=MONTHLY;BYDAY=-1FR", 0, "Fri *-*~07/1", true),
    (
        "FREQ=MONTHLY;BYDAY=1MO,3MO",
        0,
        "Mon *-*-01..07|Mon *-*-15..21",
        true,
    ),
    ("FREQ=MONTHLY;BYMONTHDAY=31", 0, "*-*-31", true),
    ("FREQ=MONTHLY;BYMONTHDAY=15,-1", 0, "*-*-15|*-*~01", true),
    ("FREQ=MONTHLY;BYMONTHDAY=15", 4, "*-*-19", true),
    ("FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR", 0, "Fri *-*-13", true),
    (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        0,
        "*-*-*",
        false,
    ),
    (
        "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU",
        0,
        "Sun *-03,10~07/1",
        true,
    ),
    ("FREQ=YEARLY;BYDAY=20MO", 0, "*-*-*", false),
];

#[test]
fn expressions_of_rules() {
    for (rule, offset, expected, exact) in CASES {
        let found = on_calendar(&window(rule, offset));
        let lines: Vec<String> = expected
            .split('|')
            .map(|it| format!("{it} 22:00:00 Europe/Berlin"))
            .collect();
        assert_eq!(
            (found.lines, found.exact),
            (lines, exact),
            "{rule} + {offset}d"
        );
    }
}

/// What systemd makes of an expression, in UTC: `2026-03-27 21:00`.
fn elapses(line: &str, count: usize) -> Option<BTreeSet<String>> {
    let output = Command::new("systemd-analyze")
        .args(["calendar", "--base-time=2026-01-01 00:00:00 UTC"])
        .arg(format!("--iterations={count}"))
        .arg(line)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    let said = String::from_utf8(output.stdout).unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {words}");
    let times = said.lines().filter_map(|it| {
        let (what, time) = it.split_once(": ")?;
        let is_time = what.contains("Next elapse") || what.contains("Iter.");
        // `Fri 2026-03-27 21:00:00 UTC`
        is_time.then(|| time.trim()[4..20].to_owned())
    });
    Some(times.collect())
}

#[test]
fn systemd_elapses_at_all_starts() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("not checked: this machine has no systemd-analyze");
        return;
    }
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
    for (rule, offset, ..) in CASES {
        let window = window(rule, offset);
        let timer = on_calendar(&window);
        let all = occurrences(
            "p",
            &window,
            &[],
            at("2026-01-01T00:00:00Z"),
            at("2026-06-30T00:00:00Z"),
        );
        let starts: BTreeSet<String> = all
            .iter()
            .map(|it| {
                let at = jiff::Timestamp::from_microsecond(it.whole.start_us).unwrap();
                at.strftime("%Y-%m-%d %H:%M").to_string()
            })
            .collect();
        let elapsed: BTreeSet<String> = timer
            .lines
            .iter()
            .flat_map(|it| elapses(it, 190).unwrap())
            .collect();
        let elapsed: BTreeSet<String> = elapsed
            .into_iter()
            .filter(|it| it.as_str() < "2026-06-30")
            .collect();
        assert!(
            starts.is_subset(&elapsed),
            "{rule}: {:?}",
            starts.difference(&elapsed)
        );
        if timer.exact {
            assert_eq!(starts, elapsed, "{rule}");
        }
    }
}
