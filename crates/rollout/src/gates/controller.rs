//! Commands of gates on the controller.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::CommandOutcome;

/// Bytes of what a command writes that are kept: the last ones.
const KEPT: usize = 16 * 1024;

/// Ends everything that a command has started when nobody waits for it any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a command line of the policy with the shell. When the future is dropped, the command and what it started is killed.
pub(super) async fn run(line: &str) -> CommandOutcome {
    let not_run = |reason: String| CommandOutcome::NotRun { reason };
    let child = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return not_run(format!("/bin/sh: {error}")),
    };
    let pid = child.id().and_then(|it| i32::try_from(it).ok());
    let mut group = Group(pid.and_then(Pid::from_raw));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (status, out, err) = tokio::join!(child.wait(), tail(out), tail(err));
    // Its number may belong to another one from here on.
    group.0 = None;
    let status = match status {
        Ok(status) => status,
        Err(error) => return not_run(error.to_string()),
    };
    match status.code() {
        Some(rc) => CommandOutcome::Ended {
            rc,
            text: format!("{err}\n{out}"),
        },
        None => not_run(format!("{status}")),
    }
}

async fn tail(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    String::from_utf8_lossy(&kept[kept.len().saturating_sub(KEPT)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_gives_its_status_and_the_end_of_its_words() {
        let outcome = run("echo out; echo err >&2; exit 7").await;
        assert_eq!(
            outcome,
            CommandOutcome::Ended {
                rc: 7,
                text: "err\n\nout\n".to_owned()
            }
        );
        let CommandOutcome::Ended { text, .. } = run("yes | head -c 200000; echo end").await else {
            panic!("it ends");
        };
        assert!(text.len() <= KEPT + 1 && text.ends_with("end\n"));
        assert!(matches!(
            run("kill -9 $$").await,
            CommandOutcome::NotRun { .. }
        ));
    }

    #[tokio::test]
    async fn a_command_that_nobody_waits_for_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        // The child writes its number and holds the other end open: reading ends when it is dead.
        let line = format!(
            "mkfifo {0}; (sleep 1000 & exec sleep 1000) > {0} & exec sleep 1000",
            fifo.display()
        );
        let mut job = Box::pin(run(&line));
        let opened = async {
            loop {
                if let Ok(file) = tokio::fs::File::open(&fifo).await {
                    return file;
                }
                tokio::task::yield_now().await;
            }
        };
        let mut file = tokio::select! {
            _ = &mut job => panic!("it should wait"),
            file = opened => file,
        };
        drop(job);
        let mut rest = Vec::new();
        let end = tokio::time::timeout(
            std::time::Duration::from_secs(20),
            file.read_to_end(&mut rest),
        )
        .await;
        assert!(end.is_ok(), "what the command started is still alive");
    }
}
