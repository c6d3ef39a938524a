//! The line of the last 90 days.

use std::collections::BTreeMap;

use super::DAY;
use super::material::Material;
use super::model::TrendPoint;
use crate::ledger::Figures;

/// How far back it goes.
const TREND_DAYS: i64 = 90;

/// The last figures of each day (UTC) that has some, and those of now.
pub(super) fn points(material: &Material, now: Figures) -> Vec<TrendPoint> {
    let from = material.now_us.saturating_sub(TREND_DAYS * DAY);
    let mut figures: Vec<(i64, Figures)> = material
        .figures
        .iter()
        .filter(|(at, _)| (from..=material.now_us).contains(at))
        .copied()
        .collect();
    figures.sort_by_key(|(at, _)| *at);
    figures.push((material.now_us, now));
    let mut by_day: BTreeMap<i64, TrendPoint> = BTreeMap::new();
    for (at_us, figures) in figures {
        by_day.insert(at_us.div_euclid(DAY), TrendPoint { at_us, figures });
    }
    by_day.into_values().collect()
}
