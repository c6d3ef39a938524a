//! The loop over what the controller sends.

use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hostler_protocol::{FrameError, Frames, FromAgent, MAGIC, ToAgent, decode};

use crate::blobs::Blobs;
use crate::crash::keep_panics;
use crate::hello;
use crate::host::Shared;
use crate::kept::Kept;
use crate::lane::Lanes;
use crate::outbox::Outbox;
use crate::overlay::Overlay;
use crate::task::Tasks;

/// How long tasks that end with the connection may take to clean up: longer than a program has from the request to end to
/// the order.
const PATIENCE: Duration = Duration::from_secs(12);
/// The step in which it is waited until the last answers are written.
const STEP: Duration = Duration::from_millis(5);

/// Serves the controller on standard input and output until the input ends.
pub(crate) fn serve() -> ExitCode {
    keep_panics();
    // What ends the session that started us (a terminal that is hung up, a log-out) shall not end a task. It fails
    // for the leader of a process group; sshd has given that one a session of its own.
    let _ = rustix::process::setsid();
    crate::lane::make_input_raw();
    let identity = hello::identity();
    let kept = Kept::open();
    let hello = match hello::hello(&identity, kept.works()) {
        Ok(hello) => hello,
        Err(error) => return give_up(&format!("cannot read /proc/self/exe: {error}")),
    };
    let sha256 = hello.sha256;
    let outbox = Arc::new(Outbox::default());
    outbox.raw(&MAGIC);
    outbox.send(&FromAgent::Hello(hello));
    let pump = thread::spawn({
        let outbox = outbox.clone();
        move || outbox.pump(io::stdout().lock())
    });
    let shared = Arc::new(Shared {
        blobs: Blobs::new(outbox.clone()),
        outbox: outbox.clone(),
        identity,
        overlay: Overlay::default(),
        kept,
    });
    let mut agent = Agent {
        tasks: Arc::new(Tasks::new(hostler_modules::run)),
        lanes: Lanes::new(outbox.clone(), sha256),
        shared: shared.clone(),
    };
    let result = agent.read_all(io::stdin().lock());
    outbox.expect_end();
    agent.lanes.close_all();
    agent.tasks.end_all(&shared, PATIENCE);
    // They may have tasks to finish, and the death of who started it is the end of many a sudo.
    agent.lanes.wait();
    outbox.close();
    match result {
        Ok(()) => {
            // The other end may be there and not read.
            let deadline = Instant::now() + PATIENCE;
            while !pump.is_finished() && Instant::now() < deadline {
                thread::sleep(STEP);
            }
            ExitCode::SUCCESS
        }
        Err(error) => give_up(&error.to_string()),
    }
}

/// Standard error is for the controller too: it shows the end of it when an agent is gone.
fn give_up(what: &str) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "hostler-agent: {what}");
    ExitCode::from(2)
}

struct Agent {
    tasks: Arc<Tasks>,
    lanes: Lanes,
    shared: Arc<Shared>,
}

impl Agent {
    fn read_all(&mut self, mut input: impl Read) -> Result<(), FrameError> {
        let mut frames = Frames::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match input.read(&mut buffer) {
                // A terminal that was hung up ends with an error, a pipe with zero bytes.
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Ok(()),
            };
            frames.push(&buffer[..count]);
            while let Some((lane, body)) = frames.next_frame()? {
                if lane == 0 && body.is_empty() {
                    // The end of an input that cannot be closed: a terminal.
                    return Ok(());
                } else if lane == 0 {
                    self.obey(decode(&body)?);
                } else {
                    self.lanes.pass_on(lane, &body);
                }
            }
        }
    }

    fn obey(&mut self, message: ToAgent) {
        match message {
            ToAgent::Run(run) => self.tasks.start(run, &self.shared),
            ToAgent::Blob(blob) => self.shared.blobs.receive(&blob),
            ToAgent::NoBlob { sha256, reason } => self.shared.blobs.refuse(sha256, reason),
            ToAgent::OpenLane { lane, r#become } => self.lanes.open(lane, r#become),
            ToAgent::Cancel { task } => self.tasks.cancel(task, &self.shared),
            ToAgent::Resolve { task, key } => self.tasks.resolve(task, key, &self.shared),
            ToAgent::Lease { lease, breaks } => {
                let held_by = self.shared.kept.lease(lease, breaks.as_deref());
                self.shared.outbox.send(&FromAgent::Leased { held_by });
            }
            ToAgent::Forget(keys) => self.shared.kept.forget(&keys),
            ToAgent::Watch { task, on } => self.tasks.watch(task, on),
            ToAgent::Ping(number) => self.shared.outbox.send(&FromAgent::Pong(number)),
        }
    }
}
