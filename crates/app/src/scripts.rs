//! Runs inventory scripts: with a deadline and a bound on what they print.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hostler_inventory::ScriptRunner;

/// Longest run of a script.
const TIME_MAX: Duration = Duration::from_secs(120);
/// Most bytes that a script may print.
const OUTPUT_MAX: u64 = 64 << 20;

/// Runs programs of the user's inventory.
pub(crate) struct Scripts;

impl ScriptRunner for Scripts {
    fn run(&self, program: &Path, arguments: &[&str]) -> Result<String, String> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let stdout = child
            .stdout
            .take()
            .map(|pipe| std::thread::spawn(|| read(pipe)));
        let stderr = child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(|| read(pipe)));
        let start = Instant::now();
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if start.elapsed() > TIME_MAX => {
                    let _already_gone = child.kill();
                    let _reaped = child.wait();
                    return Err(format!("did not end within {} seconds", TIME_MAX.as_secs()));
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let take = |thread: Option<std::thread::JoinHandle<Vec<u8>>>| {
            thread
                .and_then(|thread| thread.join().ok())
                .unwrap_or_default()
        };
        let (stdout, stderr) = (take(stdout), take(stderr));
        if !status.success() {
            let said: String = String::from_utf8_lossy(&stderr)
                .trim()
                .chars()
                .take(500)
                .collect();
            return Err(format!("ended with {status}: {said}"));
        }
        if stdout.len() as u64 > OUTPUT_MAX {
            return Err(format!("printed more than {OUTPUT_MAX} bytes"));
        }
        String::from_utf8(stdout).map_err(|_| "printed something that is not UTF-8".into())
    }
}

fn read(pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut bounded = pipe.take(OUTPUT_MAX + 1);
    // What could be read before an error is judged by the script's exit status.
    let _end_or_error = bounded.read_to_end(&mut bytes);
    let _the_rest = std::io::copy(&mut bounded.into_inner(), &mut std::io::sink());
    bytes
}
