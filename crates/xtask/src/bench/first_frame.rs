//! From starting the agent to its first frame: what every connection waits for once it is logged in.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fleet::Host;
use crate::process::{Context, Failure, Result};

/// What an agent greets with; its first frame follows.
const MAGIC: &[u8] = b"\xffhostler-agent";
const RUNS: usize = 101;

/// The median of many starts of the copy that was sent to `host`, on this machine.
pub(super) fn median(host: &Host) -> Result<Duration> {
    let cache = host.upper().join("root/.cache/hostler");
    let mut names = fs::read_dir(&cache).context(format!("list {}", cache.display()))?;
    let agent = names
        .find_map(|entry| {
            let entry = entry.ok()?;
            let ours = entry.file_name().to_string_lossy().starts_with("agent-");
            ours.then(|| entry.path())
        })
        .context(format!("no agent in {}", cache.display()))?;
    let mut times = (0..RUNS)
        .map(|_| once(&agent))
        .collect::<Result<Vec<_>>>()?;
    times.sort();
    Ok(times[RUNS / 2])
}

fn once(agent: &Path) -> Result<Duration> {
    let shown = agent.display();
    let start = Instant::now();
    let mut child = Command::new(agent)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context(format!("start {shown}"))?;
    let mut stdout = child.stdout.take().context("the agent has no stdout")?;
    // Some bytes of the frame: it is written in one piece.
    let mut greeting = vec![0; MAGIC.len() + 8];
    let read = stdout.read_exact(&mut greeting);
    let time = start.elapsed();
    // Its end of input, which it ends at.
    drop(child.stdin.take());
    drop(stdout);
    child.wait().context(format!("wait for {shown}"))?;
    read.context(format!("read from {shown}"))?;
    if !greeting.starts_with(MAGIC) {
        return Err(Failure::new(format!("{shown} does not greet")));
    }
    Ok(time)
}
