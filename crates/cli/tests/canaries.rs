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
use hostler_history::{FactFilter, FactKind, RunFilter, StateDir, Store};

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

/// What came after runs: the history, undoing, plans that are carried out, patching. As [`SHOWING`].
const AFTERWARDS: &[(&str, &[&str], i32)] = &[
    ("prepare", &["apply", "prepare.yml", "@hosts"], 0),
    ("apply", &["apply", "site.yml", "@hosts", "-D"], 4),
    (
        "plan",
        &["plan", "short.yml", "@hosts", "-D", "-o", "c.plan"],
        0,
    ),
    (
        "apply the plan",
        &["apply", "--plan", "c.plan", "@passwords", "-D", "-vvvv"],
        0,
    ),
    ("runs", &["runs", "list"], 0),
    ("runs, json", &["runs", "list", "--output", "json"], 0),
    ("run", &["runs", "show", "last", "-D"], 0),
    (
        "run, every form",
        &[
            "runs", "show", "last", "--html", "r.html", "--junit", "r.xml", "--csv", "r.csv",
            "--json", "r.json",
        ],
        0,
    ),
    (
        "first run",
        &["runs", "show", "@first", "-D", "--output", "json"],
        0,
    ),
    (
        "first run, every form",
        &[
            "runs", "show", "@first", "--html", "f.html", "--junit", "f.xml", "--csv", "f.csv",
            "--json", "f.json",
        ],
        0,
    ),
    ("difference", &["runs", "diff", "@first", "last", "-D"], 2),
    (
        "difference, json",
        &["runs", "diff", "@first", "last", "-D", "--output", "json"],
        2,
    ),
    ("replay", &["runs", "replay", "@first", "-D", "-vvvv"], 0),
    (
        "replay, json",
        &[
            "runs", "replay", "@first", "-D", "-vvvv", "--output", "json",
        ],
        0,
    ),
    (
        "replay, terminal",
        &["runs", "replay", "@first", "-D", "--output", "terminal"],
        0,
    ),
    ("log", &["runs", "log", "-D"], 0),
    ("log, json", &["runs", "log", "-D", "--output", "json"], 0),
    (
        "undo, preview",
        &["undo", "last", "@passwords", "-C", "-D", "-vvvv"],
        0,
    ),
    (
        "undo, preview, json",
        &["undo", "last", "@passwords", "-CD", "--output", "json"],
        0,
    ),
    ("undo", &["undo", "last", "@passwords", "-D", "-vvvv"], 0),
    ("undone", &["runs", "show", "last", "-D"], 0),
    (
        "lint",
        &["patch", "lint", "patch/night.yml", "-i", "hosts"],
        0,
    ),
    (
        "secret policy",
        &["patch", "lint", "patch/secret.yml", "-i", "hosts"],
        4,
    ),
    ("scan", &["patch", "scan", "@hosts", "-vvvv"], 4),
    (
        "scan, json",
        &[
            "patch",
            "scan",
            "@hosts",
            "--no-refresh",
            "--output",
            "json",
        ],
        4,
    ),
    (
        "patch plan",
        &[
            "patch",
            "plan",
            "patch/night.yml",
            "@hosts",
            "-o",
            "n.plan",
            "-vvvv",
        ],
        0,
    ),
    (
        "patch plan, json",
        &[
            "patch",
            "plan",
            "patch/red.yml",
            "@hosts",
            "-o",
            "r.plan",
            "--output",
            "json",
        ],
        0,
    ),
    ("patch show", &["patch", "show", "n.plan"], 0),
    (
        "patch explain",
        &[
            "patch",
            "explain",
            "patch/night.yml",
            "@hosts",
            "--host",
            "@host",
        ],
        0,
    ),
    (
        "patch apply",
        &["patch", "apply", "n.plan", "@hosts", "-vvvv"],
        2,
    ),
    ("status", &["patch", "status"], 0),
    (
        "halted, json",
        &[
            "patch", "apply", "r.plan", "@hosts", "-vvvv", "--output", "json",
        ],
        3,
    ),
    ("status, json", &["patch", "status", "--output", "json"], 0),
    ("patch run", &["runs", "show", "last", "-D"], 0),
    (
        "patch run, replay",
        &["runs", "replay", "last", "-vvvv", "--output", "json"],
        0,
    ),
    (
        "report",
        &["patch", "report", "patch/night.yml", "-i", "hosts"],
        0,
    ),
    (
        "reports",
        &[
            "patch",
            "report",
            "patch/night.yml",
            "-i",
            "hosts",
            "-o",
            "reports/",
        ],
        0,
    ),
    (
        "reports of the halted run",
        &[
            "patch",
            "report",
            "patch/red.yml",
            "-i",
            "hosts",
            "-o",
            "red-reports/",
        ],
        0,
    ),
    (
        "resume",
        &[
            "patch",
            "resume",
            "@passwords",
            "--accept-failures",
            "-vvvv",
        ],
        3,
    ),
    ("abort", &["patch", "abort", "last"], 0),
    (
        "prune, preview",
        &["runs", "prune", "--keep-runs", "1", "--dry-run"],
        0,
    ),
    ("prune", &["runs", "prune", "--keep-runs", "4"], 0),
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
        self.write("prepare.yml", include_str!("canaries/prepare.yml"));
        self.write_policies();
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

    /// Policies whose hooks and gates have the secrets in them, as variables beside the policy.
    fn write_policies(&self) {
        fs::create_dir_all(self.path("patch/group_vars/all")).unwrap();
        for name in ["marked.yml", "hidden.yml"] {
            let text = fs::read_to_string(self.path(name)).unwrap();
            self.write(&format!("patch/group_vars/all/{name}"), &text);
        }
        self.write("on-controller", &self.canaries[0].text);
        let policy = include_str!("canaries/policy.yml")
            .replace("@FILE", &self.path("on-controller").display().to_string());
        for (name, status) in [("night", "0"), ("red", "1")] {
            let policy = policy.replace("@NAME", name).replace("@STATUS", status);
            self.write(&format!("patch/{name}.yml"), &policy);
        }
        let password = serde_json::to_string(&self.canaries[2].text).unwrap();
        let command = format!("cmd: !secret {password}");
        let secret = policy.replace("cmd: cat /srv/marked /srv/templated", &command);
        self.write(
            "patch/secret.yml",
            &secret.replace("@NAME", "secret").replace("@STATUS", "0"),
        );
        for (name, text) in [
            ("pre.yml", include_str!("canaries/pre.yml")),
            ("post.yml", include_str!("canaries/post.yml")),
            ("undo.yml", include_str!("canaries/undo.yml")),
        ] {
            self.write(&format!("patch/{name}"), text);
        }
    }

    /// Files that the user wrote secrets into.
    fn written(&self) -> Vec<PathBuf> {
        let names = [
            "marked.yml",
            "hidden.yml",
            "broken-vars.yml",
            "broken.yml",
            "password",
            "hosts",
            "on-controller",
            "patch/secret.yml",
            "patch/group_vars/all/marked.yml",
            "patch/group_vars/all/hidden.yml",
        ];
        names.iter().map(|it| self.path(it)).collect()
    }

    fn store(&self) -> Store {
        let state = self.path(".local/state/hostler");
        Store::open(&StateDir::open(&state).unwrap()).unwrap()
    }

    /// The run that [`AFTERWARDS`] calls so: the one of `site.yml`.
    fn first(&self) -> String {
        let runs = self.store().runs(&RunFilter::default()).unwrap();
        let mut runs = runs
            .iter()
            .filter(|it| it.playbooks.concat().ends_with("site.yml"));
        runs.next().map_or_else(String::new, |it| it.run.0.clone())
    }

    /// All that is in the store behind its seals, but for what a run remembers of its hosts and files for `undo`.
    fn unsealed(&self, finds: &mut Finds) -> usize {
        let store = self.store();
        let mut looked = 0;
        for run in store.runs(&RunFilter::default()).unwrap() {
            for note in store.patch_notes(&run.run).unwrap() {
                finds.search(&self.canaries, "a note of a patch run", note.as_bytes());
                looked += 1;
            }
        }
        for kind in FactKind::ALL {
            for fact in store.facts(&FactFilter::all(kind)).unwrap() {
                let text = format!("{} {}", fact.key, fact.json);
                finds.search(
                    &self.canaries,
                    &format!("a fact: {kind:?}"),
                    text.as_bytes(),
                );
                looked += 1;
            }
        }
        looked
    }

    async fn show(&self, list: &[(&str, &[&str], i32)], finds: &mut Finds) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, arguments, status) in list {
            let (ended, said) = self.run(arguments).await;
            finds.search(&self.canaries, name, &said);
            // What only writes files has nothing to say.
            if ended != *status || (said.is_empty() && !name.ends_with("every form")) {
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
        wrong
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
                "@first" => arguments.push(self.first()),
                "@host" => arguments.push(self.fleet.hosts[0].name.clone()),
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
    let watch = Watch::begin(site.canaries.to_vec(), vec![site.path("tmp")]);
    let mut finds = Finds::default();
    let mut wrong = site.show(SHOWING, &mut finds).await;
    let (seen, looks) = watch.end();
    finds.extend(seen);
    finds.walk(&site.canaries, site.home.path(), &site.written());
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

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_seen_afterwards() {
    let site = Site::new().await;
    let watch = Watch::begin(site.canaries.to_vec(), vec![site.path("tmp")]);
    let mut finds = Finds::default();
    let (before, last) = AFTERWARDS.split_at(AFTERWARDS.len() - 1);
    let mut wrong = site.show(before, &mut finds).await;
    let sealed = site.unsealed(&mut finds);
    // Files of the state directory are looked at before runs are removed, and then again.
    finds.walk(&site.canaries, site.home.path(), &site.written());
    wrong.extend(site.show(last, &mut finds).await);
    let (seen, looks) = watch.end();
    finds.extend(seen);
    finds.walk(&site.canaries, &site.path(".local"), &[]);
    for (root, meant) in site.hosts() {
        finds.walk(&site.canaries, &root, &meant);
    }
    finds.expect_none();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(looks > 10, "processes were looked at {looks} times");
    assert!(sealed > 20, "{sealed} entries of the store were looked at");
    site.fleet.down().await.unwrap();
}

#[test]
fn the_search_finds_what_is_there() {
    let canary = Canary::new("it");
    let text = &canary.text;
    let [first, ..] = text.split('\'').collect::<Vec<_>>()[..] else {
        panic!("a quote in {text}");
    };
    let hex = first
        .bytes()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02X}"));
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
