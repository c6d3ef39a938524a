//! Running one command and measuring what it cost.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, Host};
use crate::process::{Context, Result, show};

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// From start to exit.
    pub(super) wall: Duration,
    /// Processor seconds of the whole machine, controller and hosts together.
    pub(super) cpu: f64,
    /// The most memory that the command's processes had resident at once, in bytes. Memory that forked processes
    /// share is counted in each of them.
    pub(super) peak_memory: u64,
    /// Bytes on the wire, both ways, per host.
    pub(super) bytes_per_host: u64,
    /// Packets on the wire, both ways, per host.
    pub(super) packets_per_host: u64,
}

/// Runs `command` with its output in the file `log` and says how it ended and what it cost.
pub(super) fn measure(
    fleet: &Fleet,
    hosts: &[Host],
    command: &mut Command,
    log: &Path,
) -> Result<(ExitStatus, Cost)> {
    let output = File::create(log).context(format!("create {}", log.display()))?;
    let errors = output.try_clone().context("share the log")?;
    command
        .stdin(std::process::Stdio::null())
        .stdout(output)
        .stderr(errors);
    let shown = show(command);
    let wire = fleet.traffic(hosts)?;
    let busy = machine_cpu()?;
    let start = Instant::now();
    let mut child = command.spawn().context(format!("start {shown}"))?;
    let finished = AtomicBool::new(false);
    let (status, peak_memory) = std::thread::scope(|scope| {
        let root = child.id();
        let finished = &finished;
        let sampler = scope.spawn(move || {
            let mut peak = 0;
            while !finished.load(Ordering::Relaxed) {
                peak = peak.max(resident(root));
                std::thread::sleep(Duration::from_millis(50));
            }
            peak
        });
        let status = child.wait();
        finished.store(true, Ordering::Relaxed);
        (status, sampler.join().unwrap_or(0))
    });
    let status = status.context(format!("wait for {shown}"))?;
    let wall = start.elapsed();
    let cpu = machine_cpu()? - busy;
    let after = fleet.traffic(hosts)?;
    let count = u64::try_from(hosts.len().max(1)).unwrap_or(1);
    let bytes_per_host = after.bytes.saturating_sub(wire.bytes) / count;
    let packets_per_host = after.packets.saturating_sub(wire.packets) / count;
    Ok((
        status,
        Cost {
            wall,
            cpu,
            peak_memory,
            bytes_per_host,
            packets_per_host,
        },
    ))
}

/// Busy processor seconds of the machine since it started, from `/proc/stat` (proc(5): hundredths of a second; user,
/// nice, system, idle, iowait, irq, softirq).
fn machine_cpu() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let numbers: Vec<u32> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let busy = [0, 1, 2, 5, 6]
        .into_iter()
        .filter_map(|index| numbers.get(index));
    Ok(busy.map(|ticks| f64::from(*ticks)).sum::<f64>() / 100.0)
}

/// Resident bytes of a process and all its descendants.
fn resident(root: u32) -> u64 {
    let mut total = 0;
    let mut left = vec![root];
    while let Some(process) = left.pop() {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let kibibytes = status.lines().find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
        });
        total += kibibytes.unwrap_or(0) * 1024;
        // Any thread may be the parent of a child.
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
            continue;
        };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            left.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
        }
    }
    total
}
