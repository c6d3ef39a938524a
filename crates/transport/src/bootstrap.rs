//! Starting the agent: one exec channel that runs the copy on the host, or takes the bytes first.
//!
//! The command is one line of POSIX `sh`, quoted so that any login shell (fish and csh too) hands it to `sh` unread.
//! It talks in lines that start with `hostler-boot`; everything else before the agent's magic is what login scripts
//! print, and is skipped within bounds.
//!
//! ```text
//!   cached:   -> command                     <- MAGIC, frames...
//!   missing:  -> command  <- need  -> bytes  <- MAGIC, frames...
//! ```
//!
//! The copy lives under its own hash in a directory that belongs to the user, is no link and that nobody else may
//! write. Where one place cannot be used (`noexec`, full, not writable) the next one is tried, and if none can, the
//! error names each with its reason.

mod script;

use hostler_protocol::{Frames, FromAgent, Hello, MAGIC};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use self::script::{BootLine, PLACES, boot_line, command, find, hex};
use crate::connect::Deadlines;
use crate::failure::{Phase, Reason, Unreachable, printable};
use crate::gate::hold_briefly;
use crate::link::{CommandReader, CommandWriter, Exit, Inbound, Link};

/// What login scripts may print before the agent speaks.
const NOISE_BYTES_MAX: usize = 64 << 10;
/// How much of standard error is kept for messages.
const STDERR_BYTES_MAX: usize = 4 << 10;

/// The agent binary that the controller carries.
#[derive(Clone, Copy)]
pub struct AgentImage {
    /// The program.
    pub bytes: &'static [u8],
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// What `uname -m` says on hosts that can run it, such as `x86_64`.
    pub machine: &'static str,
}

impl std::fmt::Debug for AgentImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "AgentImage({}, {} bytes, {})",
            self.machine,
            self.bytes.len(),
            hex(&self.sha256)
        )
    }
}

/// A running agent that has said hello.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) reader: CommandReader,
    pub(crate) writer: CommandWriter,
    pub(crate) frames: Frames,
    pub(crate) hello: Hello,
    /// Whether the program had to be sent.
    pub(crate) uploaded: bool,
    /// Exec channels and uploads that were needed; one is the rule.
    pub(crate) round_trips: u64,
}

/// What one exec came to.
enum Attempt {
    Started(Box<Started>),
    /// The place with this number (from 1) does not work; try without it.
    Place {
        number: usize,
        why: String,
    },
    /// No other place works.
    NoPlace {
        why: String,
    },
    /// The copy on the host is damaged; send it anew.
    Damaged {
        why: String,
    },
}

/// Agents starting at once in this process; a host that takes long gives its place back after a moment. Each may be
/// receiving its program, and 200 at once would compete for the same processors and disk where the hosts are virtual.
static STARTING: Semaphore = Semaphore::const_new(32);

/// Starts the agent on `link` within `deadlines.agent`. Waiting for a place does not count.
pub(crate) async fn start(
    link: &Link,
    image: AgentImage,
    deadlines: Deadlines,
) -> Result<Started, Unreachable> {
    let place = STARTING.acquire().await.ok();
    hold_briefly(place, start_now(link, image, deadlines)).await
}

async fn start_now(
    link: &Link,
    image: AgentImage,
    deadlines: Deadlines,
) -> Result<Started, Unreachable> {
    let limit = deadlines.agent;
    let deadline = Instant::now() + limit;
    let mut skip: Vec<(usize, String)> = Vec::new();
    let mut fresh = false;
    // Each round rules out a place or the cached copy, so this ends.
    for round in 1..=PLACES.len() as u64 + 2 {
        let places: Vec<usize> = skip.iter().map(|(number, _)| *number).collect();
        let command = command(&image, &places, fresh);
        let attempt = timeout_at(deadline, Box::pin(attempt(link, image, &command)))
            .await
            .map_err(|_| Unreachable::timeout(Phase::Agent, limit, link.peer()))??;
        match attempt {
            Attempt::Started(mut started) => {
                started.round_trips += round;
                return Ok(*started);
            }
            Attempt::Place { number, why } => skip.push((number, why)),
            Attempt::NoPlace { why } => {
                skip.push((usize::MAX, why));
                break;
            }
            Attempt::Damaged { why } if fresh => {
                return Err(agent_error(link, &format!("the agent does not run: {why}")));
            }
            Attempt::Damaged { .. } => fresh = true,
        }
    }
    let reasons: Vec<String> = skip
        .iter()
        .map(
            |(number, why)| match number.checked_sub(1).and_then(|index| PLACES.get(index)) {
                Some(place) => format!("{}: {why}", place.replace("$u", "UID")),
                None => why.trim_end_matches("; ").to_owned(),
            },
        )
        .collect();
    Err(agent_error(
        link,
        &format!("no place for the agent: {}", reasons.join("; ")),
    ))
}

fn agent_error(link: &Link, words: &str) -> Unreachable {
    Unreachable::new(Reason::Agent, format!("{}: {words}", link.peer()))
}

/// The conversation with one exec, up to the agent's hello.
async fn attempt(link: &Link, image: AgentImage, command: &str) -> Result<Attempt, Unreachable> {
    let (mut reader, writer) = link.start(command).await?;
    let mut writer = Some(writer);
    let mut talk = Talk::default();
    // The upload runs beside the reading: a script that gives up half-way closes the channel and would leave a
    // blocked writer waiting for ever.
    let mut upload: Option<std::pin::Pin<Box<dyn Future<Output = CommandWriter> + Send + '_>>> =
        None;
    loop {
        let sending = async {
            match upload.as_mut() {
                Some(upload) => upload.await,
                None => std::future::pending().await,
            }
        };
        let inbound = tokio::select! {
            inbound = reader.next() => inbound,
            done = sending => {
                writer = Some(done);
                upload = None;
                continue;
            }
        };
        match inbound {
            Inbound::Err(bytes) => push_tail(&mut talk.stderr, &bytes),
            Inbound::Ended(exit) => return ended(link, &exit, &talk),
            Inbound::Out(bytes) => talk.stdout.extend_from_slice(&bytes),
        }
        if let Some(at) = find(&talk.stdout, &MAGIC) {
            let mut frames = Frames::new();
            frames.push(&talk.stdout[at + MAGIC.len()..]);
            let Some(writer) = writer else {
                return Err(agent_error(link, "the agent speaks before it is there"));
            };
            let Talk {
                stderr, uploaded, ..
            } = talk;
            return hello(
                link,
                image,
                Running {
                    reader,
                    writer,
                    frames,
                    stderr,
                    uploaded,
                },
            )
            .await;
        }
        if talk.stdout.len() > NOISE_BYTES_MAX {
            return Err(agent_error(
                link,
                "login scripts print more than 64 KiB before the agent starts",
            ));
        }
        while let Some(line) = talk.next_line() {
            if matches!(line, BootLine::Need) {
                if let Some(mut writer) = writer.take() {
                    talk.uploaded = true;
                    upload = Some(Box::pin(async move {
                        // A failed write shows as the end of the command, with its reason.
                        let _ended_shows = writer.write_static(image.bytes).await;
                        writer
                    }));
                }
            } else if let Some(outcome) = talk.conclude(link, image, line) {
                return outcome;
            }
        }
    }
}

/// What was said so far.
#[derive(Default)]
struct Talk {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Everything in `stdout` before this has been looked at for complete lines.
    scanned: usize,
    /// The place that the script is at, from 1; 0 before it says so.
    place: usize,
    uploaded: bool,
}

impl Talk {
    fn next_line(&mut self) -> Option<BootLine> {
        let rest = &self.stdout[self.scanned..];
        let end = rest.iter().position(|b| *b == b'\n')?;
        let line = boot_line(&rest[..end]);
        self.scanned += end + 1;
        Some(line)
    }

    /// What a line means for the attempt, if it ends it.
    fn conclude(
        &mut self,
        link: &Link,
        image: AgentImage,
        line: BootLine,
    ) -> Option<Result<Attempt, Unreachable>> {
        match line {
            BootLine::Noise | BootLine::Need => None,
            BootLine::At(number) => {
                self.place = number;
                None
            }
            BootLine::Short => {
                let why = format!(
                    "the agent could not be written ({})",
                    reason_of(&self.stderr, "no space?")
                );
                Some(Ok(Attempt::Place {
                    number: self.place,
                    why,
                }))
            }
            BootLine::Machine(machine) => Some(Err(Unreachable::new(
                Reason::Architecture,
                format!(
                    "{}: the host is {}, and this build carries an agent for {} only",
                    link.peer(),
                    printable(&machine, 40),
                    image.machine
                ),
            ))),
            BootLine::Fail(words) => Some(Ok(Attempt::NoPlace {
                why: printable(&words, 1000),
            })),
        }
    }
}

struct Running {
    reader: CommandReader,
    writer: CommandWriter,
    frames: Frames,
    stderr: Vec<u8>,
    uploaded: bool,
}

/// Reads the hello and checks that it is the agent that we carry.
async fn hello(link: &Link, image: AgentImage, running: Running) -> Result<Attempt, Unreachable> {
    let Running {
        mut reader,
        writer,
        mut frames,
        mut stderr,
        uploaded,
    } = running;
    let protocol = |words: String| {
        Unreachable::new(Reason::AgentProtocol, format!("{}: {words}", link.peer()))
    };
    loop {
        if let Some((lane, body)) = frames.next_frame().map_err(|e| protocol(e.to_string()))? {
            let hello = match hostler_protocol::decode::<FromAgent>(&body) {
                Ok(FromAgent::Hello(hello)) if lane == 0 => hello,
                Ok(_) => {
                    return Err(protocol(
                        "the agent's first message is not a hello".to_owned(),
                    ));
                }
                Err(error) => return Err(protocol(error.to_string())),
            };
            if hello.sha256 != image.sha256 {
                return Ok(Attempt::Damaged {
                    why: "its content is not what this build carries".to_owned(),
                });
            }
            let round_trips = u64::from(uploaded);
            return Ok(Attempt::Started(Box::new(Started {
                reader,
                writer,
                frames,
                hello,
                uploaded,
                round_trips,
            })));
        }
        match reader.next().await {
            Inbound::Out(bytes) => frames.push(&bytes),
            Inbound::Err(bytes) => push_tail(&mut stderr, &bytes),
            Inbound::Ended(exit) => {
                let why = format!(
                    "it ended with {exit} ({})",
                    reason_of(&stderr, "no message")
                );
                return Ok(Attempt::Damaged { why });
            }
        }
    }
}

/// The exec ended before the agent spoke.
fn ended(link: &Link, exit: &Exit, talk: &Talk) -> Result<Attempt, Unreachable> {
    let Talk {
        stdout,
        stderr,
        place,
        uploaded,
        ..
    } = talk;
    let place = *place;
    let words = reason_of(stderr, "no message");
    match (exit, place) {
        (Exit::Unknown, _) => Err(link.lost("the connection was lost while the agent started")),
        // A copy that was there and does not run is not worth asking why: it is sent anew.
        (_, 1..) if !*uploaded => Ok(Attempt::Damaged {
            why: format!("it ended with {exit} ({words})"),
        }),
        // 126 and 127 are the shell's answers when it cannot execute a program that is there (noexec, security
        // modules, a missing interpreter).
        (Exit::Status(126 | 127), 1..) => Ok(Attempt::Place {
            number: place,
            why: format!("it cannot be executed ({words})"),
        }),
        (_, 1..) => Err(agent_error(
            link,
            &format!("the agent ended with {exit} before it spoke ({words})"),
        )),
        (_, 0) => {
            let said = if stderr.is_empty() {
                printable(stdout, 200)
            } else {
                words
            };
            Err(agent_error(
                link,
                &format!("the login shell ended with {exit} before the agent started ({said})"),
            ))
        }
    }
}

fn reason_of(stderr: &[u8], fallback: &str) -> String {
    let words = printable(stderr, 300);
    if words.is_empty() {
        fallback.to_owned()
    } else {
        words
    }
}

fn push_tail(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    let surplus = kept.len().saturating_sub(STDERR_BYTES_MAX);
    kept.drain(..surplus);
}
