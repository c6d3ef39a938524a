//! When windows open.

use std::fmt::Write as _;

use hostler_schedule::{Listed, Zone};

use crate::style::Paint;
use crate::{Options, sanitize};

/// Occurrences for people, by their start.
pub fn windows_text(all: &[Listed], options: &Options) -> String {
    let paint = Paint::new(options.color);
    let utc = Zone::utc();
    let name = |it: &Listed| sanitize::name(&it.occurrence.window);
    let width = all.iter().map(|it| name(it).chars().count()).max();
    let width = width.unwrap_or(0).clamp(6, 30);
    let head = format!(
        "{:<width$}  {:<23} {:<21} {:>7} {:>7} {:>6}  WAVES",
        "WINDOW", "LOCAL", "UTC", "LENGTH", "OPEN", "HOSTS"
    );
    let mut out = format!("{}\n", paint.bold(&head));
    for it in all {
        let name = sanitize::clip(&name(it), width);
        let left = format!("{:>7}", it.left);
        let left = if it.occurrence.open.is_empty() {
            paint.red(&left)
        } else {
            left
        };
        let waves: Vec<String> = it.waves.iter().map(|it| sanitize::name(it)).collect();
        let waves = if waves.is_empty() {
            "(no wave)".to_owned()
        } else {
            waves.join(", ")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{name:<width$}  {:<23} {:<21} {:>7} {left} {:>6}  {waves}{}",
            it.start,
            utc.show(it.occurrence.whole.start_us),
            it.length,
            it.hosts,
            if it.opened { " (opened)" } else { "" },
        );
        for remark in &it.occurrence.remarks {
            let remark = sanitize::line(remark, options.width.saturating_sub(4).max(40));
            let _ = writeln!(out, "    {remark}");
        }
    }
    if all.is_empty() {
        out.push_str("No window opens within ten years.\n");
    }
    out
}

/// A line of JSON for each occurrence.
pub fn windows_json(all: &[Listed]) -> String {
    let line = |it: &Listed| serde_json::to_string(it).unwrap_or_default() + "\n";
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use hostler_schedule::{Interval, Occurrence};

    use super::*;

    #[test]
    fn an_occurrence_a_line() {
        let whole = Interval {
            start_us: 1_797_109_200_000_000,
            end_us: 1_797_109_200_000_000 + 14_400_000_000,
        };
        let occurrence = Occurrence {
            id: "prod/night/2026-12-12".into(),
            window: "night".into(),
            whole,
            open: Vec::new(),
            remarks: vec!["frozen by fair: all of it\u{1b}[2J".into()],
        };
        let listed = Listed {
            waves: vec!["canary".into(), "rest".into()],
            hosts: 200,
            ..Listed::new(occurrence, &Zone::parse("Europe/Berlin").unwrap())
        };
        let options = Options {
            width: 100,
            ..Options::default()
        };
        let text = windows_text(&[listed.clone()], &options);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "night   2026-12-12 22:00 CET    2026-12-12 21:00 UTC       4h      0s    200  canary, rest"
        );
        assert!(lines[2].contains("frozen by fair") && !text.contains('\u{1b}'));
        let json: serde_json::Value = serde_json::from_str(windows_json(&[listed]).trim()).unwrap();
        assert_eq!(json["id"], "prod/night/2026-12-12");
        assert_eq!(json["waves"][1], "rest");
    }
}
