//! The small texts of policies.

use hostler_schedule::{
    DayOfMonth, Weekday, duration_text, parse_date, parse_date_time, parse_day_of_month,
    parse_days, parse_duration, parse_time, parse_weekday,
};

#[test]
fn durations() {
    for (text, seconds) in [
        ("4h", 14_400),
        ("90m", 5_400),
        ("45s", 45),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1h30m", 5_400),
        ("1d2h3m4s", 93_784),
        ("0s", 0),
    ] {
        assert_eq!(parse_duration(text), Ok(seconds), "{text}");
    }
    for bad in [
        "",
        "4",
        "h",
        "4 h",
        "-4h",
        "4h4h",
        "30m1h",
        "1.5h",
        "4x",
        "99999999999999999999h",
        "9999d",
        "1h5",
    ] {
        assert!(parse_duration(bad).is_err(), "{bad}");
    }
    assert_eq!(duration_text(5_400), "1h30m");
    assert_eq!(duration_text(0), "0s");
    assert_eq!(duration_text(93_784), "1d2h3m4s");
}

#[test]
fn whole_days() {
    assert_eq!(parse_days("4d"), Ok(4));
    assert_eq!(parse_days("1w"), Ok(7));
    assert!(parse_days("4h").is_err());
    assert!(parse_days("32d").is_err());
}

#[test]
fn times_and_dates() {
    assert_eq!(parse_time("22:00").unwrap().to_string(), "22:00:00");
    assert_eq!(parse_time("9:05").unwrap().to_string(), "09:05:00");
    for bad in [
        "22", "24:00", "22:60", "22:0", "22:00:00", "1320", "", "２2:00", "-1:00",
    ] {
        assert!(parse_time(bad).is_err(), "{bad}");
    }
    assert_eq!(parse_date("2026-12-12").unwrap().to_string(), "2026-12-12");
    for bad in [
        "2026-02-30",
        "12.12.2026",
        "2026-1-1",
        "1969-12-31",
        "9999-01-01",
        "2026-12-12T22:00",
        "２026-12-12",
    ] {
        assert!(parse_date(bad).is_err(), "{bad}");
    }
    assert_eq!(
        parse_date_time("2026-12-12T22:00").unwrap().to_string(),
        "2026-12-12T22:00:00"
    );
    assert_eq!(
        parse_date_time("2026-12-12 22:00").unwrap().to_string(),
        "2026-12-12T22:00:00"
    );
    assert!(parse_date_time("2026-12-12T22:00Z").is_err());
}

#[test]
fn days() {
    assert_eq!(parse_weekday("sat"), Ok(Weekday::Saturday));
    assert_eq!(parse_weekday("Saturday"), Ok(Weekday::Saturday));
    assert!(
        parse_weekday("saturdy")
            .unwrap_err()
            .to_string()
            .contains("saturday")
    );
    assert!(parse_weekday("é").is_err());
    assert_eq!(parse_day_of_month("15"), Ok(DayOfMonth::Day(15)));
    assert_eq!(parse_day_of_month("last"), Ok(DayOfMonth::Day(-1)));
    assert_eq!(parse_day_of_month("-1"), Ok(DayOfMonth::Day(-1)));
    assert_eq!(
        parse_day_of_month("2nd tuesday"),
        Ok(DayOfMonth::Weekday(2, Weekday::Tuesday))
    );
    assert_eq!(
        parse_day_of_month("Last Fri"),
        Ok(DayOfMonth::Weekday(-1, Weekday::Friday))
    );
    for bad in [
        "0",
        "32",
        "6th monday",
        "2nd",
        "second",
        "2nd tuesday 4d",
        "",
    ] {
        assert!(parse_day_of_month(bad).is_err(), "{bad}");
    }
}
