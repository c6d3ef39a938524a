//! An agent for the tests of this crate: it speaks the protocol, answers every module with its own name, and has a few
//! "modules" that misbehave. It changes nothing.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use hostler_change::Outcome;
use hostler_protocol::{
    Frames, FromAgent, Hello, LaneError, LaneErrorKind, Lease, MAGIC, RunTask, ToAgent, Unresolved,
    decode, encode,
};
use sha2::{Digest as _, Sha256};

struct Agent {
    sha256: [u8; 32],
    cancelled: u32,
    forgotten: usize,
    /// Tasks that wait for content: its hash to the task and what has come so far.
    blobs: HashMap<[u8; 32], (u16, u32, Sha256, u64)>,
}

#[expect(clippy::print_stderr, reason = "a panic message is what it imitates")]
fn panic_message() {
    eprintln!("thread 'main' panicked at \u{1b}[31msomewhere");
}

fn main() -> std::io::Result<()> {
    let mut agent = Agent {
        sha256: own_hash()?,
        cancelled: 0,
        forgotten: 0,
        blobs: HashMap::new(),
    };
    write(&MAGIC)?;
    Agent::say(0, &agent.hello("first"))?;
    let mut frames = Frames::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = std::io::stdin().read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        frames.push(&buffer[..count]);
        while let Some((lane, body)) = frames.next_frame().map_err(std::io::Error::other)? {
            agent.answer(lane, decode(&body).map_err(std::io::Error::other)?)?;
        }
    }
}

/// By a program, because our own SHA-256 takes a second for a few MiB when it is not optimised.
fn own_hash() -> std::io::Result<[u8; 32]> {
    let path = std::env::current_exe()?;
    let output = std::process::Command::new("sha256sum").arg(path).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(&String::from_utf8_lossy(digits), 16)
            .map_err(std::io::Error::other)?;
    }
    Ok(hash)
}

fn write(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

impl Agent {
    fn say(lane: u16, message: &FromAgent) -> std::io::Result<()> {
        write(&encode(lane, message).map_err(std::io::Error::other)?)
    }

    fn hello(&self, user: &str) -> FromAgent {
        FromAgent::Hello(Hello {
            sha256: self.sha256,
            maker: hostler_protocol::Maker::default(),
            user: user.to_owned(),
            home: "/".to_owned(),
            hostname: "fake".to_owned(),
            boot_id: String::new(),
            clock_us: 0,
            pid: std::process::id(),
            keeps_results: false,
        })
    }

    fn answer(&mut self, lane: u16, message: ToAgent) -> std::io::Result<()> {
        match message {
            ToAgent::Ping(number) => Self::say(lane, &FromAgent::Pong(number)),
            ToAgent::OpenLane {
                lane: new,
                r#become,
            } if r#become.user == "refused" => Self::say(
                0,
                &FromAgent::LaneFailed(LaneError {
                    lane: new,
                    kind: LaneErrorKind::PasswordWrong,
                    message: "sorry\u{1b}[31m".to_owned(),
                }),
            ),
            ToAgent::OpenLane {
                lane: new,
                r#become,
            } => Self::say(new, &self.hello(&r#become.user)),
            ToAgent::Run(task) => self.run(lane, &task),
            ToAgent::Blob(blob) => {
                let Some((_, _, hash, len)) = self.blobs.get_mut(&blob.sha256) else {
                    return Ok(());
                };
                hash.update(&blob.bytes);
                *len += blob.bytes.len() as u64;
                if blob.last
                    && let Some((lane, task, hash, len)) = self.blobs.remove(&blob.sha256)
                {
                    let right = <[u8; 32]>::from(hash.finalize()) == blob.sha256;
                    Self::done(lane, task, 0, &format!("{len} bytes, right: {right}"))?;
                    Self::say(lane, &FromAgent::End { task })?;
                }
                Ok(())
            }
            ToAgent::NoBlob { sha256, reason } => match self.blobs.remove(&sha256) {
                Some((lane, task, ..)) => {
                    Self::done(lane, task, 0, &reason)?;
                    Self::say(lane, &FromAgent::End { task })
                }
                None => Ok(()),
            },
            ToAgent::Resolve { task, key } => Self::resolve(lane, task, key.0[0]),
            ToAgent::Lease { lease, breaks } => Self::lease(lane, &lease.run, breaks.is_some()),
            ToAgent::Forget(keys) => {
                self.forgotten += keys.len();
                Ok(())
            }
            ToAgent::Watch { task, on } => {
                let bytes = format!("watched: {on}").into_bytes();
                Self::say(
                    lane,
                    &FromAgent::Output {
                        task,
                        is_stderr: false,
                        bytes,
                    },
                )
            }
            ToAgent::Cancel { task } => {
                self.cancelled += 1;
                Self::done(lane, task, 0, "cancelled")?;
                Self::say(lane, &FromAgent::End { task })
            }
        }
    }

    /// What came of a task depends on the first byte of its key.
    fn resolve(lane: u16, task: u32, key: u8) -> std::io::Result<()> {
        if key > 1 {
            let why = Unresolved::NeverBegan;
            return Self::say(lane, &FromAgent::Unresolved { task, why });
        }
        Self::done(lane, task, 0, "before")?;
        if key == 0 {
            return Self::say(lane, &FromAgent::End { task });
        }
        let why = Unresolved::AgentDied;
        Self::say(lane, &FromAgent::Unresolved { task, why })
    }

    /// The run `a` has the lock; who is `silent` is not answered.
    fn lease(lane: u16, run: &str, breaks: bool) -> std::io::Result<()> {
        let held_by = (run != "a" && !breaks).then(|| Lease {
            id: "lock\u{1b}[31m".to_owned(),
            run: "a".to_owned(),
            ..Lease::default()
        });
        match run {
            "silent" => Ok(()),
            _ => Self::say(lane, &FromAgent::Leased { held_by }),
        }
    }

    fn done(lane: u16, task: u32, index: u32, words: &str) -> std::io::Result<()> {
        let mut outcome = Outcome::default();
        outcome.fields.insert("said", words);
        Self::say(
            lane,
            &FromAgent::Done {
                task,
                index,
                outcome: Box::new(outcome),
            },
        )
    }

    fn run(&mut self, lane: u16, task: &RunTask) -> std::io::Result<()> {
        match task.module.as_str() {
            "garbage" => write(&[0xaa; 64]),
            "nonsense" => write(&[3, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff]),
            "twice" => {
                Self::done(lane, task.task, 0, "a")?;
                Self::done(lane, task.task, 0, "b")
            }
            "exit" => {
                panic_message();
                std::process::exit(101)
            }
            "close-lane" => Self::say(
                0,
                &FromAgent::LaneClosed {
                    lane,
                    reason: "sudo was killed".to_owned(),
                },
            ),
            "wait" => Ok(()),
            "counts" => {
                let words = format!("{} cancelled, {} forgotten", self.cancelled, self.forgotten);
                Self::done(lane, task.task, 0, &words)?;
                Self::say(lane, &FromAgent::End { task: task.task })
            }
            "unasked-lock" => Self::say(lane, &FromAgent::Leased { held_by: None }),
            "not-known" => Self::say(
                lane,
                &FromAgent::Unresolved {
                    task: task.task,
                    why: Unresolved::NeverBegan,
                },
            ),
            "babbles" => {
                let task = task.task;
                for _ in 0..12 {
                    let bytes = vec![b'x'; 1 << 20];
                    Self::say(
                        lane,
                        &FromAgent::Output {
                            task,
                            is_stderr: true,
                            bytes,
                        },
                    )?;
                }
                for _ in 0..70_000 {
                    let doing = String::new();
                    Self::say(lane, &FromAgent::Progress { task, doing })?;
                }
                Self::done(lane, task, 0, "at last")?;
                Self::say(lane, &FromAgent::End { task })
            }
            "bloats" => {
                let words = "x".repeat(15 << 20);
                for item in &task.items {
                    Self::done(lane, task.task, item.index, &words)?;
                }
                Self::say(lane, &FromAgent::End { task: task.task })
            }
            "blob" => {
                let Some(hostler_change::Content::Blob { sha256, .. }) = task.items[0].payload
                else {
                    return Ok(());
                };
                self.blobs
                    .insert(sha256, (lane, task.task, Sha256::new(), 0));
                Self::say(lane, &FromAgent::NeedBlob { sha256 })
            }
            name => {
                for item in &task.items {
                    Self::done(lane, task.task, item.index, name)?;
                }
                Self::say(lane, &FromAgent::End { task: task.task })
            }
        }
    }
}
