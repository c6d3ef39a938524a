//! One command without an agent: what the `raw` module does.

use crate::failure::{Reason, Unreachable};
use crate::link::{CommandReader, Exit, Inbound, Link};

/// What a command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawOutput {
    /// The start of standard output, up to the bound.
    pub stdout: Vec<u8>,
    /// The start of standard error, up to the bound.
    pub stderr: Vec<u8>,
    /// Whether something was left out.
    pub truncated: bool,
    /// How the command ended.
    pub exit: Exit,
}

impl Link {
    /// Runs `command` through the user's login shell, writes `input` to it, and keeps at most `bytes_max` of each
    /// stream (the rest is read and dropped, so that the command never blocks). There is no deadline: put one around.
    ///
    /// # Errors
    /// If the connection is lost before the command has ended.
    pub async fn raw_exec(
        &self,
        command: &str,
        input: &[u8],
        bytes_max: usize,
    ) -> Result<RawOutput, Unreachable> {
        let (reader, mut writer) = self.start(command).await?;
        let input = input.to_vec();
        // Writing and reading at once: a command that answers while it reads would else block both sides.
        let feed = async move {
            if !input.is_empty() {
                // A command that does not read its input has the right to end; its status tells.
                let _may_have_ended = writer.write(input).await;
            }
            writer.finish().await;
        };
        let collect = collect(reader, bytes_max);
        tokio::pin!(feed);
        tokio::pin!(collect);
        let mut fed = false;
        let output = loop {
            tokio::select! {
                output = &mut collect => break output,
                () = &mut feed, if !fed => fed = true,
            }
        };
        match output.exit {
            Exit::Unknown => Err(self.lost("the connection was lost while the command ran")),
            Exit::Refused => Err(Unreachable::new(
                Reason::Agent,
                format!("{}: the server refuses to run commands", self.peer()),
            )),
            Exit::Status(_) | Exit::Signal(_) => Ok(output),
        }
    }
}

async fn collect(mut reader: CommandReader, bytes_max: usize) -> RawOutput {
    let mut output = RawOutput {
        stdout: vec![],
        stderr: vec![],
        truncated: false,
        exit: Exit::Unknown,
    };
    loop {
        match reader.next().await {
            Inbound::Out(bytes) => {
                keep(&mut output.stdout, &bytes, bytes_max, &mut output.truncated);
            }
            Inbound::Err(bytes) => {
                keep(&mut output.stderr, &bytes, bytes_max, &mut output.truncated);
            }
            Inbound::Ended(exit) => {
                output.exit = exit;
                return output;
            }
        }
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8], bytes_max: usize, truncated: &mut bool) {
    let room = bytes_max.saturating_sub(kept.len());
    *truncated |= bytes.len() > room;
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
