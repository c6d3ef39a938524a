//! Random secrets go through everything that a run does, on hosts of the embedded fleet; then everything that is left of it
//! is searched for them. A new way to show or keep what happened is one more line of [`SHOWING`]. With `CANARY_KEEP=DIR` what
//! each said is kept there.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "support/canary.rs"]
mod canary;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use canary::{Canary, Finds, Watch};
use hostler_demo::{Fleet, FleetOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hostler");

/// What is run, in this order, and how it must end. `@hosts` and so on are arguments that [`Site::arguments`] fills in.
const SHOWING: &[(&str, &[&str], i32)] = &[
    ("check", &["check", "site.yml", "-i", "hosts"], 0),
    (
        "preview",
        &["apply", "site.yml", "@hosts", "--check", "--diff", "-vvvv"],
        4,
    ),
    (
        "preview, json",
        &["apply", "site.yml", "@hosts", "-CD", "--output", "json"],
        4,
    ),
    (
        "plan",
        &[
            "plan",
            "site.yml",
            "@hosts",
            "-D",
            "-o",
            "a.plan",
            "--html",
            "plan.html",
        ],
        4,
    ),
    (
        "plan, json",
        &["plan", "site.yml", "@hosts", "-D", "--output", "json"],
        4,
    ),
    ("show", &["show", "a.plan", "-D", "--html", "show.html"], 0),
    (
        "show, json",
        &["show", "a.plan", "-D", "--output", "json"],
        0,
    ),
    ("apply", &["apply", "site.yml", "@hosts", "-D", "-vvvv"], 4),
    (
        "apply again",
        &["apply", "site.yml", "@hosts", "-D", "-vvvv"],
        4,
    ),
    (
        "apply, terminal",
        &[
            "apply", "site.yml", "@hosts", "-D", "-vvvv", "--output", "terminal",
        ],
        4,
    ),
    (
        "apply, json",
        &[
            "apply", "site.yml", "@hosts", "-D", "-vvvv", "--output", "json",
        ],
        4,
    ),
    (
        "apply, on a screen",
        &["@screen", "apply", "site.yml", "@hosts", "-D", "-vvvv"],
        4,
    ),
    ("resume", &["resume", "@passwords", "-D", "-vvvv"], 4),
    (
        "another plan",
        &["plan", "short.yml", "@hosts", "-o", "b.plan"],
        0,
    ),
    (
        "apply the plan",
        &["apply", "--plan", "b.plan", "-vvvv", "-D"],
        0,
    ),
    ("wrong names", &["apply", "names.yml", "@hosts", "-vvvv"], 4),
    (
        "wrong arguments",
        &["apply", "wrong.yml", "@hosts", "-vvvv"],
        4,
    ),
    (
        "wrong arguments, json",
        &["check", "wrong.yml", "-i", "hosts", "--output", "json"],
        4,
    ),
    (
        "broken YAML",
        &["apply", "broken.yml", "@hosts", "-vvvv"],
        4,
    ),
    (
        "broken variables",
        &["apply", "site.yml", "@hosts", "-e", "@broken-vars.yml"],
        4,
    ),
    (
        "names",
        &[
            "apply",
            "site.yml",
            "@hosts",
            "--list-tasks",
            "--list-hosts",
        ],
        0,
    ),
];

struct Site {
    fleet: Fleet,
    home: tempfile::TempDir,
    /// `!secret` in a variable file; in tasks with `no_log`; a password in the inventory.
    canaries: [Canary; 3],
}

impl Site {
    async fn new() -> Self {
        let options = FleetOptions {
            program: PathBuf::from(PROGRAM),
            ..FleetOptions::default()
        };
        let site = Site {
            fleet: Fleet::up(2, &options).await.unwrap(),
            home: tempfile::tempdir().unwrap(),
            canaries: [
                Canary::new("marked"),
                Canary::new("no_log"),
                Canary::password("password"),
            ],
        };
        site.write_all();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Files that the user wrote with the secrets in them.
    fn write_all(&self) {
        let [marked, hidden, password] = &self.canaries;
        let yaml = |text: &str| serde_json::to_string(text).unwrap();
        self.write(
            "marked.yml",
            &format!(
                "marked: !secret {0}\nkeys: !secret\n  - first line\n  - {0}\nurl: \"http://u:{{{{ marked | urlencode }}}}@h/\"\n",
                yaml(&marked.text)
            ),
        );
        // A value that no file marks: only `no_log` keeps it out of sight.
        self.write(
            "hidden.yml",
            &format!("hidden: !unsafe {}\n", yaml(&hidden.text)),
        );
        self.write(
            "broken-vars.yml",
            &format!("x: 1\nmarked: !secret {} [\ny: {{\n", yaml(&marked.text)),
        );
        self.write("password", &format!("{}\n", password.text));
        self.write(
            "marked.j2",
            "pw={{ marked }}\nurl={{ url }}\nb64={{ marked | b64encode }}\n",
        );
        self.write("site.yml", include_str!("canaries/site.yml"));
        self.write("short.yml", include_str!("canaries/short.yml"));
        self.write("wrong.yml", include_str!("canaries/wrong.yml"));
        self.write(
            "names.yml",
            "- hosts: all\n  vars_files: [marked.yml]\n  tasks:\n    - copy: {dest: /srv/x, contents: '{{ marked }}'}\n",
        );
        self.write(
            "broken.yml",
            &format!(
                "- hosts: all\n  vars:\n    pw: !secret {}\n   x: ]\n",
                yaml(&marked.text)
            ),
        );
        let inventory = fs::read_to_string(self.fleet.inventory_path()).unwrap();
        let more = format!(
            "[gone]\nlost ansible_host=127.0.0.1 ansible_port=1 ansible_password='{0}'\n[all:vars]\nansible_become_password='{0}'\n",
            password.text
        );
        self.write("hosts", &inventory.replacen("[all:vars]\n", &more, 1));
        fs::create_dir(self.path("tmp")).unwrap();
        for file in ["hosts", "password", "hidden.yml", "marked.yml"] {
            fs::set_permissions(self.path(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn arguments(&self, given: &[&str]) -> Vec<String> {
        let mut arguments = Vec::new();
        for argument in given {
            match *argument {
                "@hosts" => arguments.extend([
                    "-i".to_owned(),
                    self.path("hosts").display().to_string(),
                    "--connection-password-file".to_owned(),
                    self.path("password").display().to_string(),
                ]),
                "@passwords" => arguments.extend([
                    "--connection-password-file".to_owned(),
                    self.path("password").display().to_string(),
                ]),
                other => arguments.push(other.to_owned()),
            }
        }
        arguments
    }

    /// Runs the command and gives everything that it said.
    async fn run(&self, given: &[&str]) -> (i32, Vec<u8>) {
        let on_screen = given.first() == Some(&"@screen");
        let arguments = self.arguments(given.strip_prefix(&["@screen"]).unwrap_or(given));
        let mut command = Command::new(PROGRAM);
        if on_screen {
            let line: Vec<String> = std::iter::once(PROGRAM.to_owned())
                .chain(arguments)
                .map(|it| format!("'{it}'"))
                .collect();
            command = Command::new("script");
            command.args(["-qec", &line.join(" "), "/dev/null"]);
        } else {
            command.args(arguments);
        }
        command
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("TMPDIR", self.path("tmp"))
            .env("TERM", "xterm-256color")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), said)
    }

    /// What hosts have written, without the files that are to hold a secret.
    fn hosts(&self) -> impl Iterator<Item = (PathBuf, Vec<PathBuf>)> + '_ {
        self.fleet.hosts.iter().map(|host| {
            let kind = if self.fleet.overlay { "up" } else { "root" };
            let root = host.directory.join(kind);
            let meant = ["marked", "templated", "hidden", "looped", "lines"];
            let meant = meant.map(|it| root.join("srv").join(it));
            (root, meant.into())
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_seen_anywhere() {
    let site = Site::new().await;
    let written: Vec<PathBuf> = [
        "marked.yml",
        "hidden.yml",
        "broken-vars.yml",
        "broken.yml",
        "password",
        "hosts",
    ]
    .iter()
    .map(|it| site.path(it))
    .collect();
    let watch = Watch::begin(site.canaries.to_vec(), vec![site.path("tmp")]);
    let mut finds = Finds::default();
    let mut wrong = Vec::new();
    for (name, arguments, status) in SHOWING {
        let (ended, said) = site.run(arguments).await;
        finds.search(&site.canaries, name, &said);
        if ended != *status || said.is_empty() {
            wrong.push(format!(
                "{name}: ended with {ended}:\n{}",
                String::from_utf8_lossy(&said)
            ));
        }
        if let Ok(directory) = std::env::var("CANARY_KEEP") {
            let file = name.replace(|it: char| !it.is_ascii_alphanumeric(), "-");
            fs::write(Path::new(&directory).join(file), &said).unwrap();
        }
    }
    let (seen, looks) = watch.end();
    finds.extend(seen);
    finds.walk(&site.canaries, site.home.path(), &written);
    for (root, meant) in site.hosts() {
        let missing = meant.iter().filter(|file| !file.is_file());
        wrong.extend(missing.map(|file| format!("no run wrote {}", file.display())));
        finds.walk(&site.canaries, &root, &meant);
    }
    finds.expect_none();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(looks > 10, "processes were looked at {looks} times");
    site.fleet.down().await.unwrap();
}

#[test]
fn the_search_finds_what_is_there() {
    let canary = Canary::new("it");
    let text = &canary.text;
    let [first, ..] = text.split('\'').collect::<Vec<_>>()[..] else {
        panic!("a quote in {text}");
    };
    let hex: String = first.bytes().map(|byte| format!("{byte:02X}")).collect();
    let forms = [
        text.clone(),
        serde_json::to_string(text).unwrap(),
        format!("x{hex}y"),
        // As `base64` writes `ab` and a word.
        base64(format!("ab{first}!").as_bytes()),
        base64(format!("a{first}").as_bytes()),
        base64(first.as_bytes()),
    ];
    for form in &forms {
        let mut finds = Finds::default();
        finds.search(std::slice::from_ref(&canary), "here", form.as_bytes());
        let found = std::panic::catch_unwind(|| finds.expect_none());
        assert!(found.is_err(), "{form}");
    }
    let mut finds = Finds::default();
    finds.search(&[canary], "here", Canary::new("another").text.as_bytes());
    finds.expect_none();
}

/// By the system's program, so that the search is not held against itself.
fn base64(bytes: &[u8]) -> String {
    use std::io::Write;
    let mut child = Command::new("base64")
        .args(["-w", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
