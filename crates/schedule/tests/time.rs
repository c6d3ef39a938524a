//! Windows in zones: daylight saving, midnight, the ends of months and years, freezes, admission.

#![expect(clippy::unwrap_used, reason = "tests")]

use hostler_schedule::{
    Admission, Finding, Freeze, Interval, Occurrence, Pattern, Start, Window, Zone, admits,
    examine, first_meeting, intersect, next_occurrences, occurrences, parse_date, parse_duration,
    parse_time,
};

fn us(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn utc(at_us: i64) -> String {
    jiff::Timestamp::from_microsecond(at_us)
        .unwrap()
        .to_string()
}

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

fn start(pattern: Pattern, at: &str) -> Start {
    Start {
        pattern,
        at: Some(parse_time(at).unwrap()),
        offset_days: 0,
        from: None,
        except: Vec::new(),
    }
}

fn window(zone_name: &str, pattern: Pattern, at: &str, duration: &str) -> Window {
    let seconds = parse_duration(duration).unwrap();
    Window::new("night", zone(zone_name), start(pattern, at), seconds).unwrap()
}

fn between(window: &Window, from: &str, until: &str) -> Vec<Occurrence> {
    occurrences("prod", window, &[], us(from), us(until))
}

fn once(zone_name: &str, date: &str, at: &str, duration: &str) -> Occurrence {
    let window = window(
        zone_name,
        Pattern::Once(vec![parse_date(date).unwrap()]),
        at,
        duration,
    );
    let year: i16 = date[..4].parse().unwrap();
    let found = between(
        &window,
        &format!("{year}-01-01T00:00:00Z"),
        &format!("{}-02-01T00:00:00Z", year + 1),
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, format!("prod/night/{date}"));
    found.into_iter().next().unwrap()
}

#[test]
fn a_start_in_the_gap_of_spring_moves_by_the_gap() {
    let found = once("Europe/Berlin", "2026-03-29", "02:30", "4h");
    assert_eq!(utc(found.whole.start_us), "2026-03-29T01:30:00Z");
    assert_eq!(found.whole.length_us(), 4 * 3_600_000_000);
    assert_eq!(
        found.remarks,
        ["starts at 03:30 since 02:30 does not exist on 2026-03-29: the clocks go forward"]
    );
    // Each day of that week has one start.
    let daily = window("Europe/Berlin", Pattern::daily(), "02:30", "1h");
    let all = between(&daily, "2026-03-27T00:00:00Z", "2026-03-31T00:00:00Z");
    let starts: Vec<String> = all.iter().map(|it| utc(it.whole.start_us)).collect();
    assert_eq!(
        starts,
        [
            "2026-03-27T01:30:00Z",
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:30:00Z",
            "2026-03-30T00:30:00Z"
        ]
    );
}

#[test]
fn of_two_equal_local_times_the_first_counts() {
    let found = once("Europe/Berlin", "2026-10-25", "02:30", "30m");
    assert_eq!(utc(found.whole.start_us), "2026-10-25T00:30:00Z");
    assert!(
        found.remarks[0].starts_with("02:30 happens twice on 2026-10-25"),
        "{found:?}"
    );
    let daily = window("Europe/Berlin", Pattern::daily(), "02:30", "30m");
    let all = between(&daily, "2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z");
    assert_eq!(all.len(), 1);
}

#[test]
fn four_hours_are_four_hours_when_clocks_change() {
    let spring = once("Europe/Berlin", "2026-03-28", "23:00", "4h");
    assert_eq!(utc(spring.whole.end_us), "2026-03-29T02:00:00Z");
    assert_eq!(
        spring.remarks,
        ["the clocks go forward by 1h while it is open: 4h are over at 2026-03-29 04:00 CEST"]
    );
    let autumn = once("Europe/Berlin", "2026-10-24", "23:00", "4h");
    assert_eq!(utc(autumn.whole.end_us), "2026-10-25T01:00:00Z");
    assert_eq!(
        autumn.remarks,
        ["the clocks go back by 1h while it is open: 4h are over at 2026-10-25 02:00 CET"]
    );
}

#[test]
fn half_an_hour_of_daylight_saving() {
    let spring = once("Australia/Lord_Howe", "2026-10-04", "02:15", "1h");
    assert_eq!(utc(spring.whole.start_us), "2026-10-03T15:45:00Z");
    assert!(
        spring.remarks[0].starts_with("starts at 02:45 since 02:15"),
        "{spring:?}"
    );
    let autumn = once("Australia/Lord_Howe", "2026-04-05", "01:45", "1h");
    assert_eq!(utc(autumn.whole.start_us), "2026-04-04T14:45:00Z");
    assert!(
        autumn.remarks.iter().any(|it| it.contains("back by 30m")),
        "{autumn:?}"
    );
}

#[test]
fn a_zone_without_daylight_saving() {
    let daily = window("Asia/Tokyo", Pattern::daily(), "02:30", "1h");
    let all = between(&daily, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    assert_eq!(all.len(), 365);
    assert!(all.iter().all(|it| it.remarks.is_empty()));
    assert!(
        all.iter()
            .all(|it| utc(it.whole.start_us).contains("T17:30:00Z"))
    );
}

#[test]
fn a_day_that_a_zone_leaves_out_is_no_second_start() {
    // Samoa went over the date line: 2011-12-30 was not there.
    let daily = window("Pacific/Apia", Pattern::daily(), "22:00", "2h");
    let all = between(&daily, "2011-12-29T00:00:00Z", "2012-01-02T00:00:00Z");
    let pairs = all
        .windows(2)
        .map(|it| it[1].whole.start_us - it[0].whole.end_us);
    assert!(pairs.into_iter().all(|apart| apart >= 0), "{all:#?}");
    let dates: Vec<&str> = all.iter().map(|it| &it.id[11..]).collect();
    assert_eq!(
        dates,
        ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]
    );
}

#[test]
fn over_midnight_and_over_the_end_of_the_year() {
    let found = once("America/New_York", "2026-12-31", "22:00", "4h");
    assert_eq!(utc(found.whole.start_us), "2027-01-01T03:00:00Z");
    assert_eq!(utc(found.whole.end_us), "2027-01-01T07:00:00Z");
    // Who asks in the middle of it sees it.
    let weekly = window(
        "Europe/Berlin",
        Pattern::weekly(&[hostler_schedule::Weekday::Saturday]),
        "22:00",
        "4h",
    );
    let open = between(&weekly, "2026-12-13T00:30:00Z", "2026-12-13T00:31:00Z");
    assert_eq!(open[0].id, "prod/night/2026-12-12");
    assert!(between(&weekly, "2026-12-13T01:00:00Z", "2026-12-13T01:01:00Z").is_empty());
}

#[test]
fn the_second_tuesday_and_four_days_later() {
    let text = "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=22;BYMINUTE=0";
    let berlin = zone("Europe/Berlin");
    let start = Start {
        pattern: Pattern::parse_rrule(text, &berlin).unwrap(),
        at: None,
        offset_days: 4,
        from: None,
        except: Vec::new(),
    };
    let night = Window::new("saturday-night", berlin.clone(), start, 4 * 3600).unwrap();
    let all = occurrences(
        "prod-linux",
        &night,
        &[],
        us("2024-01-01T00:00:00Z"),
        us("2033-01-01T00:00:00Z"),
    );
    assert_eq!(all.len(), 9 * 12);
    let mut seen = std::collections::BTreeSet::new();
    for it in &all {
        let local = berlin.to_local(it.whole.start_us);
        assert_eq!(local.weekday(), hostler_schedule::Weekday::Saturday);
        assert_eq!((local.hour(), local.minute()), (22, 0));
        seen.insert(local.day() - 4);
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        [8, 9, 10, 11, 12, 13, 14]
    );
    assert!(
        all.iter()
            .any(|it| it.id == "prod-linux/saturday-night/2026-12-12")
    );
    // The words say the same as the rule.
    let words = Window::new(
        "saturday-night",
        berlin,
        Start {
            pattern: Pattern::parse_monthly("2nd tuesday").unwrap(),
            at: Some(parse_time("22:00").unwrap()),
            offset_days: 4,
            from: None,
            except: Vec::new(),
        },
        4 * 3600,
    )
    .unwrap();
    let again = occurrences(
        "prod-linux",
        &words,
        &[],
        us("2024-01-01T00:00:00Z"),
        us("2033-01-01T00:00:00Z"),
    );
    assert_eq!(all, again);
}

#[test]
fn an_offset_goes_over_the_end_of_the_month_and_excepted_dates_are_those_of_starts() {
    let utc_zone = zone("UTC");
    let start = Start {
        pattern: Pattern::parse_monthly("last").unwrap(),
        at: Some(parse_time("01:00").unwrap()),
        offset_days: 1,
        from: None,
        except: vec![parse_date("2028-03-01").unwrap()],
    };
    let window = Window::new("w", utc_zone, start, 3600).unwrap();
    let ids: Vec<String> = between(&window, "2028-01-15T00:00:00Z", "2028-04-15T00:00:00Z")
        .into_iter()
        .map(|it| it.id)
        .collect();
    assert_eq!(ids, ["prod/w/2028-02-01", "prod/w/2028-04-01"]);
}

#[test]
fn freezes_are_cut_out_and_named() {
    let berlin = zone("Europe/Berlin");
    let weekly = window(
        "Europe/Berlin",
        Pattern::weekly(&[hostler_schedule::Weekday::Saturday]),
        "22:00",
        "4h",
    );
    let freezes = [
        Freeze::parse("year-end", "2026-12-15", "2027-01-10", &berlin).unwrap(),
        Freeze::parse("fair", "2026-12-12T23:00", "2026-12-13T00:00", &berlin).unwrap(),
        Freeze::parse("fair-2", "2026-12-12T23:30", "2026-12-13T00:30", &berlin).unwrap(),
    ];
    let all = occurrences(
        "p",
        &weekly,
        &freezes,
        us("2026-12-12T00:00:00Z"),
        us("2027-01-17T12:00:00Z"),
    );
    let minutes: Vec<i64> = all
        .iter()
        .map(|it| it.open.iter().map(Interval::length_us).sum::<i64>() / 60_000_000)
        .collect();
    assert_eq!(minutes, [150, 0, 0, 0, 0, 240]);
    assert_eq!(all[0].open.len(), 2);
    assert_eq!(
        all[0].remarks,
        [
            "frozen by fair: 2026-12-12 23:00 CET to 2026-12-13 00:00 CET",
            "frozen by fair-2: 2026-12-12 23:30 CET to 2026-12-13 00:30 CET"
        ]
    );
    // The last day of a freeze is frozen to its end, in the freeze's zone.
    let sunday = once("UTC", "2027-01-10", "22:00", "2h");
    let cut = hostler_schedule::subtract(&sunday.open, &[freezes[0].spans(sunday.whole)[0].0]);
    assert_eq!(utc(cut[0].start_us), "2027-01-10T23:00:00Z");
    assert!(Freeze::parse("x", "2027-01-10", "2026-12-15", &berlin).is_err());
}

#[test]
fn a_host_is_admitted_if_it_will_be_done_in_time() {
    let hour = 3_600_000_000;
    let open = [
        Interval {
            start_us: 0,
            end_us: hour,
        },
        Interval {
            start_us: 2 * hour,
            end_us: 4 * hour,
        },
    ];
    assert_eq!(admits(&open, 0, 3000, 600), Admission::Now);
    assert_eq!(admits(&open, 0, 3001, 600), Admission::Later(2 * hour));
    assert_eq!(admits(&open, hour, 60, 0), Admission::Later(2 * hour));
    assert_eq!(admits(&open, 3 * hour, 3600, 0), Admission::Now);
    assert_eq!(admits(&open, 3 * hour, 3600, 1), Admission::Never);
    assert_eq!(admits(&open, 0, 7200, 1), Admission::Never);
    assert_eq!(admits(&open, 0, u64::MAX, u64::MAX), Admission::Never);
    assert_eq!(admits(&[], 0, 0, 0), Admission::Never);
}

#[test]
fn windows_of_a_host_and_of_the_policy_are_intersected() {
    let now = us("2026-11-21T00:00:00Z");
    let policy = window("Europe/Berlin", Pattern::daily(), "22:00", "4h");
    let host = window("America/New_York", Pattern::daily(), "18:00", "3h");
    let meeting = first_meeting(&policy, &host, &[], now).unwrap();
    assert_eq!(utc(meeting.start_us), "2026-11-20T23:00:00Z");
    assert_eq!(utc(meeting.end_us), "2026-11-21T01:00:00Z");
    let never = window("Europe/Berlin", Pattern::daily(), "10:00", "2h");
    assert_eq!(first_meeting(&policy, &never, &[], now), None);
    let both = intersect(
        &[meeting],
        &[Interval {
            start_us: now,
            end_us: meeting.start_us,
        }],
    );
    assert!(both.is_empty());
}

#[test]
fn what_can_never_be_is_found() {
    let now = us("2026-11-21T00:00:00Z");
    let berlin = zone("Europe/Berlin");
    let never = window(
        "UTC",
        Pattern::parse_rrule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31", &berlin).unwrap(),
        "01:00",
        "1h",
    );
    assert_eq!(examine(&never, &[], now), Some(Finding::NeverStarts));
    let past = window(
        "UTC",
        Pattern::Once(vec![parse_date("2026-11-01").unwrap()]),
        "01:00",
        "1h",
    );
    assert_eq!(examine(&past, &[], now), Some(Finding::NeverStarts));
    let leap = window(
        "UTC",
        Pattern::parse_rrule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", &berlin).unwrap(),
        "01:00",
        "1h",
    );
    assert!(
        matches!(examine(&leap, &[], now), Some(Finding::StartsLate(it)) if it.id.ends_with("2028-02-29"))
    );
    let daily = window("UTC", Pattern::daily(), "01:00", "1h");
    assert_eq!(examine(&daily, &[], now), None);
    let ever = Freeze::parse("for ever", "2026-01-01", "2099-12-31", &berlin).unwrap();
    assert!(
        matches!(examine(&daily, &[ever], now), Some(Finding::Frozen(why)) if why[0].contains("for ever"))
    );
}

#[test]
fn windows_that_make_no_sense_are_refused() {
    let made = |pattern: Pattern, at: Option<&str>, duration_s: u64, from: Option<&str>| {
        let start = Start {
            pattern,
            at: at.map(|it| parse_time(it).unwrap()),
            offset_days: 0,
            from: from.map(|it| parse_date(it).unwrap()),
            except: Vec::new(),
        };
        Window::new("w", Zone::utc(), start, duration_s).map_err(|it| it.to_string())
    };
    let rule = |text: &str| Pattern::parse_rrule(text, &Zone::utc()).unwrap();
    let refused = |it: Result<Window, String>, words: &str| {
        let message = it.unwrap_err();
        assert!(message.contains(words), "{message}");
    };
    refused(
        made(Pattern::daily(), Some("22:00"), 0, None),
        "no duration",
    );
    refused(
        made(Pattern::daily(), Some("22:00"), 8 * 86_400, None),
        "at most 7d",
    );
    refused(
        made(Pattern::daily(), Some("22:00"), 86_401, None),
        "still open when it starts again",
    );
    assert!(made(Pattern::daily(), Some("22:00"), 86_400, None).is_ok());
    refused(made(Pattern::daily(), None, 60, None), "at what time");
    refused(
        made(rule("FREQ=DAILY;BYHOUR=3"), Some("22:00"), 60, None),
        "different times",
    );
    refused(
        made(rule("FREQ=DAILY;INTERVAL=2"), Some("22:00"), 60, None),
        "needs its first date",
    );
    assert!(
        made(
            rule("FREQ=DAILY;INTERVAL=2"),
            Some("22:00"),
            60,
            Some("2026-01-01")
        )
        .is_ok()
    );
    refused(
        made(rule("FREQ=MONTHLY"), Some("22:00"), 60, None),
        "needs its first date",
    );
    refused(
        made(Pattern::weekly(&[]), Some("22:00"), 60, None),
        "no day of the week",
    );
    refused(
        made(Pattern::monthly(&[]), Some("22:00"), 60, None),
        "never starts",
    );
    refused(
        made(Pattern::Once(Vec::new()), Some("22:00"), 60, None),
        "no date",
    );
    let both = Pattern::monthly(&[
        hostler_schedule::DayOfMonth::Day(-1),
        hostler_schedule::DayOfMonth::Day(1),
    ]);
    refused(made(both, Some("22:00"), 2 * 86_400, None), "still open");
}

#[test]
fn zones_are_places() {
    let refused = |name: &str| Zone::parse(name).unwrap_err().to_string();
    assert!(refused("Europe/Berln").contains("did you mean `Europe/Berlin`?"));
    assert!(refused("Berlin").contains("did you mean `Europe/Berlin`?"));
    assert!(refused("new york").contains("America/New_York"));
    for fixed in ["+02:00", "UTC+2", "GMT-5", "Etc/GMT+5", "EST", "-0500"] {
        assert!(refused(fixed).contains("fixed offset"), "{fixed}");
    }
    for bad in [
        "",
        "../../../etc/passwd",
        "/etc/localtime",
        "Europe",
        "\0",
        "posixrules\n",
    ] {
        assert!(Zone::parse(bad).is_err(), "{bad:?}");
    }
    for good in [
        "UTC",
        "Etc/UTC",
        "Europe/Berlin",
        "America/Argentina/Buenos_Aires",
    ] {
        assert_eq!(zone(good).name(), good);
    }
}

#[test]
fn the_next_ones() {
    let monthly = window("UTC", Pattern::parse_monthly("15").unwrap(), "01:00", "1h");
    let next = next_occurrences("p", &monthly, &[], us("2026-11-15T01:30:00Z"), 10);
    assert_eq!(next.len(), 10);
    assert_eq!(next[0].id, "p/night/2026-11-15");
    assert_eq!(next[9].id, "p/night/2027-08-15");
    let daily = window("UTC", Pattern::daily(), "01:00", "1h");
    assert_eq!(
        next_occurrences("p", &daily, &[], us("2026-11-15T01:30:00Z"), 3).len(),
        3
    );
}

#[test]
fn a_day_of_23_hours_does_not_swallow_a_window_of_24() {
    let daily = window("Europe/Berlin", Pattern::daily(), "22:00", "24h");
    let found = between(&daily, "2026-03-27T00:00:00Z", "2026-03-31T00:00:00Z");
    let ids: Vec<&str> = found.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(
        ids,
        ["26", "27", "28", "29", "30"].map(|day| format!("prod/night/2026-03-{day}"))
    );
    for pair in found.windows(2) {
        assert_eq!(pair[0].whole.end_us, pair[1].whole.start_us, "always open");
    }
    // One that looks only at its second day sees the same.
    let later = between(&daily, "2026-03-28T22:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(later[0], found[2]);
}
