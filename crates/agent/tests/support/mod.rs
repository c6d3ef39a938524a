//! A session with the real binary over pipes.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests: they fail by panicking, and each test file uses a part of them"
)]

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use hostler_change::{Content, Outcome};
use hostler_protocol::{Frames, FromAgent, Hello, Item, MAGIC, RunTask, ToAgent, decode, encode};
use hostler_value::{Map, Value};

pub struct Session {
    pub child: Child,
    pub input: Option<ChildStdin>,
    output: ChildStdout,
    frames: Frames,
    next_task: u32,
    /// Reads of the output that gave something.
    pub reads: usize,
    /// Is progress a message too? A slow machine makes a short task long.
    pub hears_progress: bool,
}

impl Session {
    pub fn start() -> Self {
        Session::spawn(&mut agent())
    }

    /// A session with what a command starts.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut magic = [0; MAGIC.len()];
        output.read_exact(&mut magic).unwrap();
        assert_eq!(magic, MAGIC);
        Session {
            input: child.stdin.take(),
            child,
            output,
            frames: Frames::new(),
            next_task: 1,
            reads: 0,
            hears_progress: false,
        }
    }

    /// A session whose hello was read.
    pub fn greeted() -> Self {
        let mut session = Session::start();
        session.hello(0);
        session
    }

    pub fn hello(&mut self, lane: u16) -> Hello {
        match self.receive() {
            (from, FromAgent::Hello(hello)) if from == lane => hello,
            other => panic!("no hello but {other:?}"),
        }
    }

    pub fn send(&mut self, lane: u16, message: &ToAgent) {
        self.send_raw(&encode(lane, message).unwrap());
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn receive(&mut self) -> (u16, FromAgent) {
        self.try_receive().expect("the agent ended")
    }

    /// The next message; `None` if the agent's output ended.
    pub fn try_receive(&mut self) -> Option<(u16, FromAgent)> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            if let Some((lane, body)) = self.frames.next_frame().unwrap() {
                let message = decode(&body).unwrap();
                if self.hears_progress || !matches!(message, FromAgent::Progress { .. }) {
                    return Some((lane, message));
                }
                continue;
            }
            match self.output.read(&mut buffer).unwrap() {
                0 => return None,
                count => {
                    self.reads += 1;
                    self.frames.push(&buffer[..count]);
                }
            }
        }
    }

    pub fn task(&mut self, module: &str, items: Vec<Item>) -> RunTask {
        let task = self.next_task;
        self.next_task += 1;
        RunTask {
            task,
            module: module.into(),
            items,
            check: false,
            preview: None,
            allowed: None,
            diff: true,
            environment: Vec::new(),
            stop_on_failure: false,
            key: None,
            keep_replaced: false,
            watch: false,
        }
    }

    /// Sends a task and gives its number.
    pub fn begin(&mut self, lane: u16, run: RunTask) -> u32 {
        let number = run.task;
        self.send(lane, &ToAgent::Run(run));
        number
    }

    /// Runs a module once.
    pub fn run(&mut self, module: &str, args: &[(&str, Value)]) -> Outcome {
        let run = self.task(module, vec![item(0, args)]);
        self.run_task(0, run).pop().unwrap()
    }

    pub fn run_task(&mut self, lane: u16, run: RunTask) -> Vec<Outcome> {
        let number = self.begin(lane, run);
        self.outcomes(lane, number)
    }

    pub fn outcomes(&mut self, lane: u16, number: u32) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        loop {
            match self.receive() {
                (from, FromAgent::Done { task, outcome, .. }) if (from, task) == (lane, number) => {
                    outcomes.push(*outcome);
                }
                (from, FromAgent::End { task }) if (from, task) == (lane, number) => {
                    return outcomes;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Cuts the connection; gives the process.
    pub fn cut(mut self) -> Child {
        drop(self.input.take());
        self.child
    }

    pub fn end(mut self) -> ExitStatus {
        drop(self.input.take());
        self.child.wait().unwrap()
    }
}

pub fn agent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hostler-agent"))
}

pub fn item(index: u32, args: &[(&str, Value)]) -> Item {
    let args: Map = args
        .iter()
        .map(|(key, value)| (*key, value.clone()))
        .collect();
    Item {
        index,
        args: args.into(),
        payload: None,
    }
}

pub fn item_with(payload: Content, args: &[(&str, Value)]) -> Item {
    Item {
        payload: Some(payload),
        ..item(0, args)
    }
}
