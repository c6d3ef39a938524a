//! Memory, from `/proc/meminfo`.

/// Sizes in MiB, rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: i64,
    /// Not used for anything.
    pub free: i64,
    /// File contents that may be dropped.
    pub cached: i64,
    /// Buffers of block devices.
    pub buffers: i64,
    /// Swap space.
    pub swap_total: i64,
    /// Swap space not used.
    pub swap_free: i64,
    /// Memory that is also in swap space.
    pub swap_cached: i64,
}

/// Reads `/proc/meminfo`.
pub fn parse_meminfo(text: &str) -> Memory {
    let mut it = Memory::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let kib: i64 = value
            .split_whitespace()
            .next()
            .and_then(|it| it.parse().ok())
            .unwrap_or(0);
        let place = match key {
            "MemTotal" => &mut it.total,
            "MemFree" => &mut it.free,
            "Cached" => &mut it.cached,
            "Buffers" => &mut it.buffers,
            "SwapTotal" => &mut it.swap_total,
            "SwapFree" => &mut it.swap_free,
            "SwapCached" => &mut it.swap_cached,
            _ => continue,
        };
        *place = kib / 1024;
    }
    it
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let it = parse_meminfo(
            "MemTotal:       2048000 kB\nMemFree:  1024 kB\nCached:     10239 kB\nSwapTotal: 0 kB\nx\n",
        );
        assert_eq!(
            (it.total, it.free, it.cached, it.swap_total),
            (2000, 1, 9, 0)
        );
    }
}
