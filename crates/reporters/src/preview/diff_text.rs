//! How two plans differ, as lines.

use hostler_preview::{PlanDiff, Preview, compare_plans};

use crate::{Options, hosts, sanitize};

/// What the second plan does otherwise than the first; and whether there is anything.
pub fn plan_diff(a: &Preview, b: &Preview, options: &Options) -> (bool, String) {
    let PlanDiff { general, tasks } = compare_plans(a, b);
    let same = general.is_empty() && tasks.is_empty();
    let mut lines: Vec<String> = Vec::new();
    if same {
        lines.push("Both plans do the same on the same hosts.".to_owned());
    }
    lines.extend(general.iter().map(|it| sanitize::line(it, options.width)));
    for (task, on, what) in &tasks {
        let names: Vec<String> = on.iter().map(|it| sanitize::name(it)).collect();
        let who = hosts::fold_line(&names, 60);
        lines.push(format!("{} on {who}", sanitize::line(task, 80)));
        lines.push(format!("    {}", sanitize::line(what, 1000)));
    }
    (same, lines.join("\n") + "\n")
}
