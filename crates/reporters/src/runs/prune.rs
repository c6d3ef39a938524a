//! What was removed of the history, as text.

use serde::Serialize;

use crate::sanitize;

/// What was, or would be, removed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PrunedRows {
    /// Nothing was removed, only looked.
    pub dry_run: bool,
    /// Ids of the runs, oldest first.
    pub runs: Vec<String>,
    /// Runs that fit and stay, since they are going on or wait to be resumed.
    pub kept: Vec<String>,
    /// Bytes that the database took before.
    pub before_bytes: u64,
    /// Bytes that it takes now; as before for a dry run.
    pub after_bytes: u64,
}

/// For people, or one line of JSON: `{"event":"pruned",...}`.
pub fn pruned_text(pruned: &PrunedRows, json: bool) -> String {
    if json {
        return super::log::json_lines("pruned", std::slice::from_ref(pruned));
    }
    let verb = if pruned.dry_run {
        "would go"
    } else {
        "removed"
    };
    let mut lines: Vec<String> = pruned
        .runs
        .iter()
        .map(|run| format!("{verb}: {}", sanitize::name(run)))
        .collect();
    lines.extend(pruned.kept.iter().map(|run| {
        format!(
            "stays: {}, which can be resumed or is going on",
            sanitize::name(run)
        )
    }));
    let count = match pruned.runs.len() {
        1 => "1 run".to_owned(),
        count => format!("{count} runs"),
    };
    lines.push(if pruned.dry_run {
        format!(
            "{count} would go; the store takes {}",
            size(pruned.before_bytes)
        )
    } else {
        format!(
            "{count} removed; the store took {} and takes {}",
            size(pruned.before_bytes),
            size(pruned.after_bytes)
        )
    });
    lines.join("\n") + "\n"
}

fn size(bytes: u64) -> String {
    let (unit, shift) = match bytes {
        0..1024 => return format!("{bytes} B"),
        1024..1_048_576 => ("KiB", 10),
        1_048_576..1_073_741_824 => ("MiB", 20),
        _ => ("GiB", 30),
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(10), "10 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(3 << 30), "3.0 GiB");
    }
}
