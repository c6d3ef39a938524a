//! Compliance over time: as a line of characters, and as a drawing.

use hostler_patch::report::TrendPoint;
use maud::{Markup, html};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Compliant hosts of a thousand; `None` without hosts.
fn per_mille(point: &TrendPoint) -> Option<u32> {
    let all = u64::from(point.figures.hosts);
    let compliant = u64::from(point.figures.compliant).min(all);
    (all > 0).then(|| u32::try_from(compliant * 1000 / all).unwrap_or(1000))
}

/// A column for each day, or for several if there is no room; days of which nothing is known are dots.
pub(super) fn bars(points: &[TrendPoint], columns: usize) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return String::new();
    };
    let day = |point: &TrendPoint| point.at_us.div_euclid(DAY);
    let days = usize::try_from(day(last) - day(first) + 1).unwrap_or(1);
    let each = days.div_ceil(columns.max(1)).max(1);
    let mut bars = vec!['·'; days.div_ceil(each)];
    for point in points {
        let index = usize::try_from(day(point) - day(first)).unwrap_or(0) / each;
        if let (Some(bar), Some(it)) = (bars.get_mut(index), per_mille(point)) {
            *bar = BARS[(it as usize * (BARS.len() - 1) + 500) / 1000];
        }
    }
    bars.into_iter().collect()
}

/// `81.2 % -> 94.3 % in 60 days`.
pub(super) fn change(points: &[TrendPoint]) -> String {
    let percent = |it: u32| format!("{}.{} %", it / 10, it % 10);
    let known: Vec<(&TrendPoint, u32)> = points
        .iter()
        .filter_map(|it| Some((it, per_mille(it)?)))
        .collect();
    match known.as_slice() {
        [] => String::new(),
        [(_, only)] => percent(*only),
        [(from, first), .., (to, last)] => {
            let days = to.at_us.div_euclid(DAY) - from.at_us.div_euclid(DAY);
            let s = if days == 1 { "" } else { "s" };
            format!("{} -> {} in {days} day{s}", percent(*first), percent(*last))
        }
    }
}

const WIDTH: i64 = 720;
const HEIGHT: i64 = 120;
const LEFT: i64 = 44;
const TOP: i64 = 8;
const RIGHT: i64 = 8;
const BOTTOM: i64 = 8;

/// A drawing without scripts and without anything from elsewhere. Texts in it are numbers.
pub(super) fn drawing(points: &[TrendPoint]) -> Markup {
    let known: Vec<(i64, u32)> = points
        .iter()
        .filter_map(|it| Some((it.at_us, per_mille(it)?)))
        .collect();
    let from = known.first().map_or(0, |it| it.0);
    let length = known.last().map_or(0, |it| it.0 - from).max(1);
    let x = |at: i64| {
        let room = i128::from(WIDTH - LEFT - RIGHT);
        let offset = i128::from(at - from) * room / i128::from(length);
        LEFT + i64::try_from(offset).unwrap_or(0)
    };
    let y = |it: u32| TOP + (HEIGHT - TOP - BOTTOM) * (1000 - i64::from(it)) / 1000;
    let line: Vec<String> = known
        .iter()
        .map(|(at, it)| format!("{},{}", x(*at), y(*it)))
        .collect();
    html! {
        svg.trend xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(change(points)) {
            @for it in [0, 500, 1000] {
                line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(it)) y2=(y(it)) stroke="#d0d7de" {}
                text x=(LEFT - 6) y=(y(it) + 4) text-anchor="end" font-size="11" fill="#57606a" { (it / 10) " %" }
            }
            polyline points=(line.join(" ")) fill="none" stroke="#0a5a8a" stroke-width="2" {}
            @for (at, it) in &known {
                circle cx=(x(*at)) cy=(y(*it)) r="2.2" fill="#0a5a8a" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_patch::ledger::Figures;

    fn point(day: i64, hosts: u32, compliant: u32) -> TrendPoint {
        TrendPoint {
            at_us: day * DAY,
            figures: Figures {
                hosts,
                compliant,
                ..Figures::default()
            },
        }
    }

    #[test]
    fn days_without_a_point_are_dots() {
        let points = [
            point(1, 4, 0),
            point(3, 4, 2),
            point(4, 0, 0),
            point(5, 4, 4),
        ];
        assert_eq!(bars(&points, 80), "▁·▅·█");
        assert_eq!(bars(&points, 3), "▁▅█");
        assert_eq!(bars(&[], 80), "");
        assert_eq!(change(&points), "0.0 % -> 100.0 % in 4 days");
        assert_eq!(change(&points[..1]), "0.0 %");
        assert_eq!(change(&points[2..3]), "");
    }

    #[test]
    fn nothing_is_drawn_outside() {
        for points in [
            vec![],
            vec![point(5, 1, 1)],
            (0..90).map(|it| point(it, 9, 3)).collect(),
        ] {
            let svg = drawing(&points).into_string();
            assert!(svg.starts_with("<svg"));
            let line = svg.split("points=\"").nth(1).unwrap();
            let line = line.split('"').next().unwrap();
            for pair in line.split_whitespace() {
                let (x, y) = pair.split_once(',').unwrap();
                let (x, y): (i64, i64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=WIDTH).contains(&x) && (0..=HEIGHT).contains(&y));
            }
        }
    }
}
