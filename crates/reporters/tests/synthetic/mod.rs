//! A made-up run: 200 hosts, some of which are slow, differ, fail or cannot be reached.

use hostler_change::{Change, Delta};
use hostler_diag::{Location, SourceMap};
use hostler_events::{
    HostState, ItemResult, Recap, RunEvent, RunId, Stamped, Status, TaskId, TaskInfo, TaskKind,
    TaskResult, Unreachable,
};
use hostler_value::{Map, Value};

/// The playbook that failures point into.
const PLAYBOOK: &str = "- name: Web tier
  hosts: web
  tasks:
    - name: Install nginx
      apt: {name: nginx}
    - name: Configure nginx
      template: {src: nginx.conf.j2, dest: /etc/nginx/nginx.conf}
      notify: reload nginx
    - name: Check the configuration
      command: nginx -t
    - name: Tell the balancer
      get_url: {url: http://balancer/ok, dest: /tmp/ok}
      ignore_errors: true
";

/// The texts of the made-up run.
pub(crate) fn sources() -> SourceMap {
    let sources = SourceMap::new();
    sources.add_file(std::path::Path::new("playbooks/web.yml"), PLAYBOOK);
    sources
}

/// A value from pairs.
pub(crate) fn map(pairs: &[(&str, Value)]) -> Value {
    let mut map = Map::new();
    for (key, value) in pairs {
        map.insert(Value::str(key), value.clone());
    }
    Value::from(map)
}

/// A result with this status and nothing else.
pub(crate) fn result(status: Status) -> TaskResult {
    TaskResult {
        forecast: None,
        unknown: Vec::new(),
        status,
        ignored: false,
        rescued: false,
        value: map(&[("changed", Value::Bool(status == Status::Changed))]),
        message: None,
        hint: None,
        location: None,
        deltas: Vec::new(),
        warnings: Vec::new(),
        delegated_to: None,
        unreachable: None,
        censored: false,
        attempts: 1,
        items: None,
        incomplete: false,
        duration_us: 1000,
    }
}

/// A failure with a message and standard error.
pub(crate) fn failure(message: &str, stderr: &str) -> TaskResult {
    TaskResult {
        message: Some(message.to_owned()),
        value: map(&[
            ("changed", Value::Bool(false)),
            ("failed", Value::Bool(true)),
            ("msg", Value::str(message)),
            ("rc", Value::Int(1)),
            ("stderr", Value::str(stderr)),
        ]),
        ..result(Status::Failed)
    }
}

/// A host that cannot be reached.
pub(crate) fn unreachable(reason: &str, detail: &str) -> TaskResult {
    TaskResult {
        message: Some(detail.to_owned()),
        unreachable: Some(Unreachable {
            reason: reason.to_owned(),
            detail: detail.to_owned(),
        }),
        ..result(Status::Unreachable)
    }
}

/// A change of nginx's configuration.
pub(crate) fn config_change(workers: u32) -> TaskResult {
    let before = "user www-data;\nworker_processes 1;\nevents {}\nhttp {\n}\n";
    let after = before.replace("processes 1", &format!("processes {workers}"));
    TaskResult {
        deltas: vec![
            Delta::content(
                "/etc/nginx/nginx.conf",
                Some(before.as_bytes()),
                Some(after.as_bytes()),
            ),
            Delta::field("/etc/nginx/nginx.conf", "mode", "0644", "0640"),
        ],
        ..result(Status::Changed)
    }
}

/// Writes down events with a clock of its own.
pub(crate) struct Recorder {
    pub(crate) events: Vec<Stamped>,
    pub(crate) now_us: i64,
    recap: Recap,
    tasks: u32,
    started_us: i64,
    pub(crate) resumable: bool,
}

impl Recorder {
    pub(crate) fn new(hosts: u32, check: bool) -> Self {
        let mut recorder = Recorder {
            events: Vec::new(),
            now_us: 1_800_000_000_000_000,
            recap: Recap::default(),
            tasks: 0,
            started_us: 1_800_000_000_000_000,
            resumable: false,
        };
        recorder.push(RunEvent::RunStarted {
            run: RunId("run-1".into()),
            version: "0.1.0".into(),
            playbooks: vec!["playbooks/web.yml".into()],
            check,
            diff: false,
            hosts,
            by: String::new(),
            resumed: false,
        });
        recorder
    }

    pub(crate) fn push(&mut self, event: RunEvent) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Stamped {
            at_us: self.now_us,
            seq,
            event,
        });
    }

    pub(crate) fn wait_ms(&mut self, ms: i64) {
        self.now_us += ms * 1000;
    }

    pub(crate) fn play(&mut self, name: &str, hosts: &[String]) {
        self.push(RunEvent::PlayStarted {
            name: name.to_owned(),
            number: 1,
            hosts: hosts.to_vec(),
            batch: None,
        });
    }

    pub(crate) fn task(&mut self, name: &str, module: &str, line: u32, hosts: usize) -> TaskId {
        self.tasks += 1;
        let id = TaskId(self.tasks);
        self.push(RunEvent::TaskStarted(TaskInfo {
            id,
            name: name.to_owned(),
            module: module.to_owned(),
            kind: TaskKind::Task,
            location: Some(Location {
                file: "playbooks/web.yml".into(),
                line,
                column: 7,
            }),
            hosts: u32::try_from(hosts).unwrap(),
            position: Some((self.tasks, 6)),
        }));
        id
    }

    pub(crate) fn start(&mut self, task: TaskId, host: &str) {
        let host = host.to_owned();
        self.push(RunEvent::HostStarted { task, host });
    }

    pub(crate) fn item(&mut self, task: TaskId, host: &str, item: ItemResult) {
        let host = host.to_owned();
        self.push(RunEvent::ItemFinished { task, host, item });
    }

    pub(crate) fn finish(&mut self, task: TaskId, host: &str, result: TaskResult) {
        self.recap.count(host, &result);
        self.push(RunEvent::TaskFinished {
            task,
            host: host.to_owned(),
            result: Box::new(result),
        });
    }

    pub(crate) fn end(&mut self, task: TaskId) {
        self.push(RunEvent::TaskEnded { task });
    }

    /// Everyone does the task with what `result` says.
    pub(crate) fn everyone(
        &mut self,
        task: TaskId,
        hosts: &[String],
        ms_each: i64,
        result: impl Fn(usize) -> TaskResult,
    ) {
        for host in hosts {
            self.start(task, host);
        }
        for (index, host) in hosts.iter().enumerate() {
            self.wait_ms(ms_each);
            self.finish(task, host, result(index));
        }
        self.end(task);
    }

    pub(crate) fn over(mut self, exit_code: u8) -> Vec<Stamped> {
        let elapsed_us = u64::try_from(self.now_us - self.started_us).unwrap();
        let recap = std::mem::take(&mut self.recap);
        self.push(RunEvent::RunFinished {
            recap,
            exit_code,
            elapsed_us,
            bytes: (1_234_567, 345_678),
            round_trips: 1400,
            resumable: self.resumable,
        });
        self.events
    }
}

/// `web001`, `web002`, ...
pub(crate) fn hosts(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("web{n:03}")).collect()
}

/// A run in which things go wrong: hosts are stuck, lost, given up; handlers are owed; Ctrl-C ends it.
pub(crate) fn trouble(count: usize) -> Vec<Stamped> {
    let hosts = hosts(count);
    let mut run = Recorder::new(u32::try_from(count).unwrap(), false);
    run.resumable = true;
    run.play("Web tier", &hosts);
    for host in hosts.iter().skip(1) {
        run.push(RunEvent::HandlerOwed {
            host: host.clone(),
            handler: "reload nginx".into(),
            run: RunId("run-0".into()),
            runs_now: true,
        });
    }
    let install = run.task("Install nginx", "apt", 4, count);
    for host in &hosts {
        run.start(install, host);
    }
    let out = |run: &mut Recorder, host: &str, is_stderr: bool, text: &str| {
        run.push(RunEvent::TaskOutput {
            task: install,
            host: host.to_owned(),
            is_stderr,
            text: text.to_owned(),
        });
    };
    out(
        &mut run,
        &hosts[0],
        false,
        "Reading package lists...\nBuilding dep",
    );
    out(&mut run, &hosts[0], false, "endency tree\x1b[2J\n");
    out(&mut run, &hosts[0], true, "W: no line feed");
    for second in [2, 7] {
        run.wait_ms(second * 1000);
        run.push(RunEvent::TaskProgress {
            task: install,
            host: hosts[0].clone(),
            doing: "apt-get: waits for the lock held by unattended-upgr (pid 812)".into(),
        });
    }
    let last = hosts.last().unwrap().clone();
    run.push(RunEvent::HostChanged {
        host: last.clone(),
        state: HostState::Reconnecting,
    });
    run.wait_ms(4000);
    for host in hosts.iter().skip(1).take(count.saturating_sub(2)) {
        run.finish(install, host, result(Status::Changed));
    }
    run.wait_ms(4000);
    if count > 1 {
        run.finish(install, &last, result(Status::Unknown));
    }
    run.push(RunEvent::HostDropped {
        host: hosts[0].clone(),
        reason: "given up by the user".into(),
    });
    run.finish(
        install,
        &hosts[0],
        failure("cancelled: given up by the user", ""),
    );
    run.end(install);
    for host in hosts.iter().take(count / 2) {
        run.push(RunEvent::HandlerOwed {
            host: host.clone(),
            handler: "restart nginx".into(),
            run: RunId("run-1".into()),
            runs_now: false,
        });
    }
    run.over(99)
}

/// The whole made-up run.
pub(crate) fn web_tier(count: usize, check: bool) -> Vec<Stamped> {
    let hosts = hosts(count);
    let mut run = Recorder::new(u32::try_from(count).unwrap(), check);
    run.play("Web tier", &hosts);
    for host in &hosts {
        let host = host.clone();
        run.push(RunEvent::HostChanged {
            host,
            state: HostState::Connecting,
        });
    }
    let facts = run.task("Gathering Facts", "setup", 1, count);
    for (index, host) in hosts.iter().enumerate() {
        run.wait_ms(12);
        run.push(RunEvent::HostChanged {
            host: host.clone(),
            state: if index % 90 == 16 {
                HostState::Lost
            } else {
                HostState::Idle
            },
        });
        if index % 90 == 16 {
            let detail =
                format!("connect to 10.0.0.{index} port 22: connection timed out after 10 s");
            run.finish(facts, host, unreachable("timeout", &detail));
        } else {
            run.start(facts, host);
            run.finish(facts, host, result(Status::Ok));
        }
    }
    run.end(facts);
    let up: Vec<String> = hosts
        .iter()
        .enumerate()
        .filter(|(index, _)| index % 90 != 16)
        .map(|(_, host)| host.clone())
        .collect();
    install_and_configure(&mut run, &up);
    check_and_restart(&mut run, &up);
    run.over(4)
}

fn install_and_configure(run: &mut Recorder, up: &[String]) {
    let install = run.task("Install nginx", "apt", 4, up.len());
    for host in up {
        run.start(install, host);
    }
    // Most are quick; seven take their time.
    let slow = |index: usize| index % 30 == 3;
    for pass in [false, true] {
        for (index, host) in up
            .iter()
            .enumerate()
            .filter(|(index, _)| slow(*index) == pass)
        {
            run.wait_ms(if pass { 1500 } else { 4 });
            let outcome = if index < up.len() / 2 {
                Status::Changed
            } else {
                Status::Ok
            };
            let deltas = vec![Delta::field(
                "package nginx",
                "version",
                Value::Null,
                "1.22.1-9",
            )];
            run.finish(
                install,
                host,
                TaskResult {
                    deltas,
                    ..result(outcome)
                },
            );
        }
    }
    run.end(install);
    let configure = run.task("Configure nginx", "template", 6, up.len());
    run.everyone(configure, up, 6, |index| {
        config_change(if index % 50 == 0 { 8 } else { 4 })
    });
}

fn check_and_restart(run: &mut Recorder, up: &[String]) {
    let check_task = run.task("Check the configuration", "command", 9, up.len());
    run.everyone(check_task, up, 6, |index| {
        if index % 40 == 7 {
            TaskResult {
                hint: Some("the module that the line names is not installed there".into()),
                ..failure(
                    "non-zero return code",
                    "nginx: [emerg] dlopen() \"/usr/lib/nginx/modules/ngx_http_geoip_module.so\" failed\nnginx: configuration file /etc/nginx/nginx.conf test failed",
                )
            }
        } else {
            result(Status::Ok)
        }
    });
    let left: Vec<String> = up
        .iter()
        .enumerate()
        .filter(|(index, _)| index % 40 != 7)
        .map(|(_, host)| host.clone())
        .collect();
    let tell = run.task("Tell the balancer", "get_url", 11, left.len());
    run.everyone(tell, &left, 5, |index| {
        if index % 9 == 4 {
            TaskResult {
                ignored: true,
                ..failure("HTTP status 503 from http://balancer/ok", "")
            }
        } else {
            result(Status::Ok)
        }
    });
    let restart = run.task("Restart nginx", "service", 8, left.len());
    run.everyone(restart, &left, 5, |_| TaskResult {
        deltas: vec![Delta {
            subject: "unit nginx.service".into(),
            change: Change::Action("restart".into()),
        }],
        ..result(Status::Changed)
    });
}
