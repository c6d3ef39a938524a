//! The agent of an evil server. It runs in this process: the server takes the boot command and lets it speak.

use std::sync::atomic::{AtomicUsize, Ordering};

use hostler_change::{Before, ModuleFailure, Outcome, Replaced};
use hostler_protocol::{
    Frames, FromAgent, Hello, LaneError, LaneErrorKind, Lease, MAGIC, Maker, RunTask, ToAgent,
    Unresolved, decode, encode,
};
use hostler_value::{Map, Value};
use russh::Channel;
use russh::server::Msg;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::lie::{Lie, TEXT};

/// What the controller has asked for.
pub(crate) struct Spoken {
    /// The hash of the agent that it wants.
    sha256: [u8; 32],
    /// Which connection of the server it is, from 1.
    connection: usize,
}

impl Spoken {
    /// Finds the hash in the boot command, where it stands as `s=HEX;`.
    pub(crate) fn to(command: &[u8], connection: usize) -> Self {
        let text = String::from_utf8_lossy(command);
        let mut sha256 = [0; 32];
        let digits = text.split("s=").nth(1).unwrap_or_default().as_bytes();
        for (byte, pair) in sha256.iter_mut().zip(digits.chunks(2)) {
            let pair = String::from_utf8_lossy(pair);
            *byte = u8::from_str_radix(&pair, 16).unwrap_or_default();
        }
        Spoken { sha256, connection }
    }
}

/// How an agent came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The controller has closed, or the channel broke.
    ByController,
    /// It closes its channel.
    Exit,
    /// It wants the whole connection cut.
    CutTheLine,
}

struct Agent {
    stream: russh::ChannelStream<Msg>,
    lie: Lie,
    spoken: Spoken,
}

type Said = std::io::Result<()>;

/// Speaks for an agent until one side has enough.
pub(crate) async fn speak(
    channel: Channel<Msg>,
    spoken: Spoken,
    lie: Lie,
    tasks: &AtomicUsize,
) -> Ended {
    let mut agent = Agent {
        stream: channel.into_stream(),
        lie,
        spoken,
    };
    agent.converse(tasks).await.unwrap_or(Ended::ByController)
}

impl Agent {
    async fn converse(&mut self, tasks: &AtomicUsize) -> std::io::Result<Ended> {
        self.stream.write_all(&MAGIC).await?;
        if self.lie == Lie::NoHello {
            self.say(0, &FromAgent::Pong(1)).await?;
        }
        let hello = self.hello();
        self.say(0, &FromAgent::Hello(hello.clone())).await?;
        match self.lie {
            Lie::TwoHellos => self.say(0, &FromAgent::Hello(hello)).await?,
            Lie::LockUnasked => {
                self.say(0, &FromAgent::Leased { held_by: None }).await?;
            }
            _ => {}
        }
        let mut frames = Frames::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let got = self.stream.read(&mut buffer).await?;
            if got == 0 {
                return Ok(Ended::ByController);
            }
            frames.push(&buffer[..got]);
            while let Some((lane, body)) = frames.next_frame().map_err(std::io::Error::other)? {
                let message: ToAgent = decode(&body).map_err(std::io::Error::other)?;
                if matches!(message, ToAgent::Run(_)) {
                    tasks.fetch_add(1, Ordering::SeqCst);
                }
                if let Some(ended) = self.answer(lane, message).await? {
                    return Ok(ended);
                }
            }
        }
    }

    async fn say(&mut self, lane: u16, message: &FromAgent) -> Said {
        let frame = encode(lane, message).map_err(std::io::Error::other)?;
        self.stream.write_all(&frame).await
    }

    fn text(&self, plain: &str) -> String {
        if self.lie == Lie::Texts {
            format!("{plain}{TEXT}")
        } else {
            plain.to_owned()
        }
    }

    fn hello(&self) -> Hello {
        let host = if self.lie == Lie::OtherHost {
            "web001"
        } else {
            "evil"
        };
        let boot = match self.lie {
            Lie::Reboots => self.spoken.connection,
            _ => 1,
        };
        Hello {
            sha256: if self.lie == Lie::WrongHash {
                [0xee; 32]
            } else {
                self.spoken.sha256
            },
            maker: Maker::default(),
            user: self.text("root"),
            home: self.text("/root"),
            hostname: self.text(host),
            boot_id: self.text(&format!("00000000-0000-4000-8000-{boot:012}")),
            clock_us: if self.lie == Lie::FarClock {
                i64::MAX
            } else {
                now_us()
            },
            pid: 1,
            keeps_results: true,
        }
    }

    async fn answer(&mut self, lane: u16, message: ToAgent) -> std::io::Result<Option<Ended>> {
        match message {
            ToAgent::Run(task) => return self.run(lane, &task).await,
            ToAgent::Ping(number) if self.lie != Lie::Silence => {
                self.say(lane, &FromAgent::Pong(number)).await?;
            }
            ToAgent::OpenLane { lane: new, .. } if self.lie == Lie::Texts => {
                let failed = LaneError {
                    lane: new,
                    kind: LaneErrorKind::Failed,
                    message: TEXT.to_owned(),
                };
                self.say(0, &FromAgent::LaneFailed(failed)).await?;
            }
            ToAgent::OpenLane { lane: new, .. } => {
                let hello = self.hello();
                self.say(new, &FromAgent::Hello(hello)).await?;
            }
            ToAgent::Lease { .. } => {
                let held_by = (self.lie == Lie::Locked).then(|| Lease {
                    id: TEXT.to_owned(),
                    run: TEXT.to_owned(),
                    who: TEXT.to_owned(),
                    since_us: i64::MIN,
                });
                self.say(lane, &FromAgent::Leased { held_by }).await?;
            }
            ToAgent::Resolve { task, .. } => {
                let why = Unresolved::NeverBegan;
                self.say(lane, &FromAgent::Unresolved { task, why }).await?;
            }
            ToAgent::Cancel { task } if self.lie != Lie::Silence => {
                self.say(lane, &FromAgent::End { task }).await?;
            }
            _ => {}
        }
        Ok(None)
    }

    async fn done(&mut self, lane: u16, task: u32, index: u32, outcome: Outcome) -> Said {
        let outcome = Box::new(outcome);
        let done = FromAgent::Done {
            task,
            index,
            outcome,
        };
        self.say(lane, &done).await
    }

    async fn finish(&mut self, lane: u16, task: &RunTask, outcome: &Outcome) -> Said {
        for item in &task.items {
            self.done(lane, task.task, item.index, outcome.clone())
                .await?;
        }
        self.say(lane, &FromAgent::End { task: task.task }).await
    }

    async fn run(&mut self, lane: u16, task: &RunTask) -> std::io::Result<Option<Ended>> {
        let number = task.task;
        let plain = Outcome::default();
        match self.lie {
            Lie::OversizedFrame => self.stream.write_all(&[0xff; 6]).await?,
            Lie::HalfFrame => {
                let length = u32::try_from(hostler_protocol::FRAME_MAX).unwrap_or_default();
                self.stream.write_all(&length.to_le_bytes()).await?;
                self.stream.write_all(&vec![0; 8 << 20]).await?;
            }
            Lie::UnknownMessage => {
                self.stream
                    .write_all(&[3, 0, 0, 0, 0, 0, 200, 1, 0])
                    .await?;
            }
            Lie::Garbage => self.stream.write_all(&[0xaa; 4096]).await?,
            Lie::OtherTasks => {
                for other in 1000..1200 {
                    self.done(lane, other, 0, plain.clone()).await?;
                    self.say(lane, &FromAgent::End { task: other }).await?;
                }
                self.finish(lane, task, &plain).await?;
            }
            Lie::SameItemTwice => {
                self.done(lane, number, 0, plain.clone()).await?;
                self.done(lane, number, 0, plain).await?;
            }
            Lie::OtherItem => self.done(lane, number, 4_000_000_000, plain).await?,
            Lie::OtherLane => {
                self.done(7, number, 0, plain).await?;
                self.say(7, &FromAgent::End { task: number }).await?;
            }
            Lie::EndlessOutput | Lie::EndlessProgress | Lie::EndlessPongs | Lie::EndlessDone => {
                return self.endless(lane, number).await;
            }
            Lie::DeepValue | Lie::LongList | Lie::ManyParts => {
                let frame = crafted(lane, number, self.lie);
                self.stream.write_all(&frame).await?;
            }
            Lie::NeverBegan => {
                let why = Unresolved::NeverBegan;
                self.say(lane, &FromAgent::Unresolved { task: number, why })
                    .await?;
            }
            Lie::EndWithoutDone => self.say(lane, &FromAgent::End { task: number }).await?,
            Lie::Silence => {}
            Lie::Exit => return Ok(Some(Ended::Exit)),
            Lie::CutAtTask | Lie::Reboots => return Ok(Some(Ended::CutTheLine)),
            Lie::Forgets if self.spoken.connection == 1 => {
                self.done(lane, number, 0, plain).await?;
                return Ok(Some(Ended::CutTheLine));
            }
            Lie::UnknownContent => self.say(lane, &need(1)).await?,
            Lie::ManyContents => {
                for content in 0..200 {
                    self.say(lane, &need(content)).await?;
                }
            }
            Lie::ClosesLane => {
                let reason = TEXT.to_owned();
                let closed = FromAgent::LaneClosed { lane: 9, reason };
                self.say(0, &closed).await?;
            }
            _ => {
                let outcome = self.outcome();
                self.finish(lane, task, &outcome).await?;
            }
        }
        Ok(None)
    }

    /// What an agent answers whose answers are in order, but for what is in them.
    fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::default();
        match self.lie {
            Lie::HugeValue => {
                let text = "h".repeat(hostler_protocol::FRAME_MAX - 1000);
                outcome.fields.insert("stdout", Value::str(text));
            }
            Lie::ManyWarnings => {
                outcome.warnings = (0..100_000)
                    .map(|number| format!("warning {number} of very many that nobody needs"))
                    .collect();
            }
            Lie::Texts => {
                for name in ["msg", "stdout", "stderr", "path", "dest", TEXT] {
                    outcome.fields.insert(name, TEXT);
                }
                outcome.facts = Some(Map::from_iter([(TEXT, TEXT), ("hostname", TEXT)]));
                outcome.warnings = vec![TEXT.to_owned()];
                outcome.faults = vec![TEXT.to_owned()];
                outcome.changed = true;
                outcome.failed = Some(ModuleFailure {
                    msg: TEXT.to_owned(),
                    hint: Some(TEXT.to_owned()),
                });
            }
            Lie::OtherHost => {
                let name = Value::str("web001");
                outcome.facts = Some(Map::from_iter([
                    ("hostname", name.clone()),
                    ("nodename", name.clone()),
                    ("inventory_hostname", name.clone()),
                    ("host", name),
                ]));
            }
            Lie::Replaced => {
                outcome.changed = true;
                outcome.replaced = vec![Replaced {
                    path: format!("../../../{TEXT}"),
                    before: Some(Before {
                        uid: 0,
                        gid: 0,
                        mode: 0o6777,
                        sha256: [1; 32],
                        content: Some(b"not what the hash says".to_vec()),
                    }),
                    after: Some([2; 32]),
                }];
            }
            _ => {}
        }
        outcome
    }

    async fn endless(&mut self, lane: u16, task: u32) -> std::io::Result<Option<Ended>> {
        let mut other = 1_000_000;
        loop {
            let message = match self.lie {
                Lie::EndlessOutput => FromAgent::Output {
                    task,
                    is_stderr: false,
                    bytes: vec![b'y'; 60_000],
                },
                Lie::EndlessProgress => FromAgent::Progress {
                    task,
                    doing: format!("step {other} of very many"),
                },
                Lie::EndlessPongs => FromAgent::Pong(u64::from(other)),
                _ => FromAgent::Done {
                    task: other,
                    index: 0,
                    outcome: Box::default(),
                },
            };
            other += 1;
            self.say(lane, &message).await?;
        }
    }
}

fn now_us() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_micros()).unwrap_or_default()
}

fn need(number: u8) -> FromAgent {
    FromAgent::NeedBlob {
        sha256: [number; 32],
    }
}

/// A `Done` whose fields hold a value that is nested too deep, a list that says that it is endless, or very many empty ones.
/// Made by hand: nobody's own types can be brought to say it, or not as fast.
fn crafted(lane: u16, task: u32, lie: Lie) -> Vec<u8> {
    let mut honest = Outcome::default();
    honest.fields.insert("x", Value::Null);
    let done = FromAgent::Done {
        task,
        index: 0,
        outcome: Box::new(honest),
    };
    let mut frame = encode(lane, &done).unwrap_or_default();
    // The key `x` is a text of one byte, behind it stands the tag of the null.
    let Some(at) = frame.windows(2).rposition(|pair| pair == [1, b'x']) else {
        return frame;
    };
    let rest = frame.split_off(at + 3);
    frame.pop();
    if lie == Lie::DeepValue {
        frame.extend([6, 1].repeat(100_000));
        frame.push(0);
    } else if lie == Lie::ManyParts {
        // A list of 2^19 lists of nothing.
        frame.extend([6, 0x80, 0x80, 0x20]);
        frame.extend([6, 0].repeat(1 << 19));
    } else {
        // A list of 2^63 items (varint), of which some come.
        frame.push(6);
        frame.extend([0x80; 9]);
        frame.push(1);
        frame.extend([0; 64]);
    }
    frame.extend(rest);
    let length = u32::try_from(frame.len() - hostler_protocol::HEADER_LEN).unwrap_or_default();
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame
}
