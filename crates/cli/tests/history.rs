//! The history of runs: lists, exports, replays, and undoing; on hosts that are directories of this machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const PLAYBOOK: &str = r#"
- name: Web
  hosts: all
  gather_facts: false
  tasks:
    - name: Write the configuration
      copy: {dest: "{{ dir }}/conf", content: "new for {{ inventory_hostname }} {{ '{{' }} 7*7 }}\n", mode: "0600"}
      notify: tell
    - name: Write it again
      lineinfile: {path: "{{ dir }}/conf", line: "second"}
    - name: Make a file
      copy: {dest: "{{ dir }}/made", content: "made\n"}
    - name: Remove a file
      file: {path: "{{ dir }}/removed", state: absent}
    - name: A directory
      file: {path: "{{ dir }}/d", state: directory}
    - name: Run something
      command: echo hello
    - name: In a loop
      copy: {dest: "{{ dir }}/loop-{{ item }}", content: "{{ item }}\n"}
      loop: [a, b]
    - name: Break one
      command: "false"
      when: inventory_hostname == 'web3'
  handlers:
    - name: tell
      command: echo told
"#;

struct Site(tempfile::TempDir);

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Site {
    fn new() -> Self {
        let site = Site(tempfile::tempdir().unwrap());
        let mut inventory = Vec::new();
        for host in ["web1", "web2", "web3"] {
            let directory = site.path(host);
            fs::create_dir(&directory).unwrap();
            let shown = directory.display();
            inventory.push(format!("{host} ansible_connection=local dir={shown}\n"));
            site.write(&format!("{host}/conf"), "{{ 7*7 }} old\n", 0o640);
            site.write(&format!("{host}/removed"), "gone\n", 0o644);
        }
        site.write("hosts", &inventory.concat(), 0o644);
        site.write("site.yml", PLAYBOOK, 0o644);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    fn run(&self, args: &[&str]) -> Ran {
        let out = support::hostler(self.0.path(), args);
        Ran {
            code: out.status.code(),
            out: String::from_utf8(out.stdout).unwrap(),
            err: String::from_utf8(out.stderr).unwrap(),
        }
    }

    fn expect(&self, code: i32, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}\n{}\n{}", ran.out, ran.err);
        ran.out
    }

    fn apply(&self, more: &[&str]) -> String {
        // All "hosts" are this machine, and so are those of tests that run at the same time.
        let mut args = vec!["apply", "site.yml", "-i", "hosts", "--wait", "60"];
        args.extend(more);
        self.expect(2, &args)
    }

    /// The newest run's id.
    fn last(&self) -> String {
        let list = self.expect(0, &["runs", "list", "-n", "1", "--output", "json"]);
        let row: serde_json::Value = serde_json::from_str(&list).unwrap();
        row["run"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_replay_is_what_the_run_printed() {
    let site = Site::new();
    for flags in [
        &["--output", "plain"][..],
        &["--output", "plain", "-D", "-v"],
        &["--output", "json"],
    ] {
        let printed = site.apply(flags);
        let mut args = vec!["runs", "replay", "last"];
        args.extend(flags);
        let again = site.expect(0, &args);
        assert!(printed == again, "{flags:?}\n{printed}\n---\n{again}");
    }
}

#[test]
fn runs_are_listed_shown_and_compared() {
    let site = Site::new();
    site.apply(&[]);
    let first = site.last();
    let list = site.expect(0, &["runs", "list"]);
    assert!(
        list.contains(&first) && list.contains("failed") && list.contains("site.yml"),
        "{list}"
    );
    assert!(list.contains("1 failed, 2 changed"), "{list}");
    assert!(
        list.lines().all(|line| line.chars().count() <= 80),
        "{list}"
    );
    assert_eq!(
        site.expect(0, &["runs", "list", "--state", "finished"]),
        "No runs.\n"
    );
    assert_eq!(
        site.expect(0, &["runs", "list", "--host", "db1"]),
        "No runs.\n"
    );
    assert!(
        site.expect(
            0,
            &["runs", "list", "--since", "1h", "--playbook", "site.yml"]
        )
        .contains(&first)
    );
    let shown = site.expect(0, &["runs", "show"]);
    assert!(shown.contains("TASK Write the configuration"), "{shown}");
    assert!(shown.contains("failed       web3"), "{shown}");
    let one = site.expect(
        0,
        &[
            "runs",
            "show",
            &first,
            "--host",
            "web1",
            "--file",
            &site.path("web1/conf").display().to_string(),
            "--diff",
        ],
    );
    assert!(
        one.contains("-{{ 7*7 }} old") && one.contains("+second"),
        "{one}"
    );
    assert!(!one.contains("Make a file"), "{one}");
    assert_eq!(site.run(&["runs", "show", "--host", "db1"]).code, Some(5));
    let path = site.path("web2/conf").display().to_string();
    let log = site.expect(0, &["runs", "log", &path, "--diff"]);
    assert_eq!(log.matches(&first).count(), 2, "{log}");
    assert!(log.contains("+second"), "{log}");
    assert_eq!(
        site.expect(0, &["runs", "log", "--host", "db1"]),
        "No changes.\n"
    );
    site.apply(&[]);
    let found = site.expect(2, &["runs", "diff", &first, "last"]);
    assert!(found.contains("changed -> ok"), "{found}");
    assert!(
        site.expect(0, &["runs", "diff", "last", "last"])
            .contains("did the same")
    );
    assert_eq!(
        site.run(&["runs", "show", "ffffff"]).code,
        Some(5),
        "no such run"
    );
}

#[test]
fn exports_are_written() {
    let site = Site::new();
    site.apply(&[]);
    site.expect(
        0,
        &[
            "runs", "show", "--html", "r.html", "--junit", "r.xml", "--csv", "r.csv", "--json",
            "r.json",
        ],
    );
    assert!(site.read("r.html").unwrap().contains("<h2>Failures"));
    assert_eq!(
        site.read("r.xml").unwrap().matches("<testsuite ").count(),
        3
    );
    assert!(
        site.read("r.csv")
            .unwrap()
            .starts_with("run,time,play,task,host,")
    );
    let json = site.read("r.json").unwrap();
    assert_eq!(site.expect(0, &["runs", "show", "--json", "-"]), json);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["state"], "failed");
}

#[test]
fn the_schema_in_the_documentation_is_what_is_written() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/run.json");
    let kept = fs::read_to_string(path).unwrap();
    let now = Site::new().expect(0, &["runs", "show", "--schema"]);
    assert!(
        kept.trim_end() == now.trim_end(),
        "write it anew: hostler runs show --schema > docs/schema/run.json"
    );
}

#[test]
fn undoing_puts_everything_back_and_can_be_undone() {
    let site = Site::new();
    site.apply(&[]);
    let run = site.last();
    assert_eq!(site.mode("web1/conf"), 0o600);
    let before = site.read("web1/conf");
    let preview = site.expect(
        0,
        &[
            "undo", &run, "--wait", "60", "--check", "--diff", "--output", "plain",
        ],
    );
    assert!(preview.contains("+{{ 7*7 }} old"), "{preview}");
    assert_eq!(site.read("web1/conf"), before, "a preview changes nothing");
    assert_eq!(site.read("web1/removed"), None);
    let undone = site.expect(0, &["undo", &run, "--wait", "60", "--output", "plain"]);
    assert!(undone.contains("stays as it is"), "{undone}");
    for host in ["web1", "web2", "web3"] {
        assert_eq!(
            site.read(&format!("{host}/conf")).as_deref(),
            Some("{{ 7*7 }} old\n")
        );
        assert_eq!(site.mode(&format!("{host}/conf")), 0o640);
        assert_eq!(
            site.read(&format!("{host}/removed")).as_deref(),
            Some("gone\n")
        );
        for made in ["made", "loop-a", "loop-b"] {
            assert_eq!(site.read(&format!("{host}/{made}")), None);
        }
    }
    let again = site.expect(0, &["undo", &run, "--wait", "60", "--output", "plain"]);
    assert!(
        !again.contains("changed: ["),
        "nothing is left to do: {again}"
    );
    let undoing = site.expect(0, &["runs", "list"]);
    assert!(
        undoing.contains(&format!("undo {}", &run[..10])),
        "{undoing}"
    );
}

#[test]
fn undoing_is_undone() {
    let site = Site::new();
    site.apply(&[]);
    let after = (
        site.read("web2/conf"),
        site.read("web2/made"),
        site.mode("web2/conf"),
    );
    site.expect(0, &["undo", "last", "--wait", "60"]);
    assert_eq!(site.read("web2/made"), None);
    site.expect(0, &["undo", "last", "--wait", "60"]);
    let now = (
        site.read("web2/conf"),
        site.read("web2/made"),
        site.mode("web2/conf"),
    );
    assert_eq!(now, after);
    assert_eq!(site.read("web2/removed"), None);
}

#[test]
fn what_changed_since_is_refused_by_name_and_the_rest_goes_on() {
    let site = Site::new();
    site.apply(&[]);
    let run = site.last();
    site.write("web1/conf", "by hand\n", 0o600);
    let ran = site.run(&[
        "undo",
        &run,
        "--wait",
        "60",
        "--output",
        "plain",
        "--limit",
        "web1,web2",
    ]);
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("/web1/conf has changed since run"),
        "{}",
        ran.out
    );
    assert_eq!(site.read("web1/conf").as_deref(), Some("by hand\n"));
    assert_eq!(
        site.read("web1/made"),
        None,
        "other files of the host are put back"
    );
    assert_eq!(site.read("web2/conf").as_deref(), Some("{{ 7*7 }} old\n"));
    assert!(site.read("web3/made").is_some(), "it was not selected");
}

#[test]
fn a_later_run_is_named() {
    let site = Site::new();
    site.apply(&[]);
    let first = site.last();
    let other = PLAYBOOK.replace("new for", "newer for");
    site.write("site.yml", &other, 0o644);
    site.apply(&[]);
    let second = site.last();
    let ran = site.run(&["undo", &first, "--wait", "60", "--output", "plain"]);
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    assert!(
        ran.out
            .contains(&format!("conf was changed again by run {second}")),
        "{}",
        ran.out
    );
    assert!(site.read("web1/conf").unwrap().starts_with("newer"));
    assert_eq!(site.read("web1/made"), None);
    // The later one first, then the earlier one.
    site.expect(0, &["undo", &second, "--wait", "60"]);
    assert!(site.read("web1/conf").unwrap().starts_with("new for"));
    site.expect(0, &["undo", &first, "--wait", "60"]);
    assert_eq!(site.read("web1/conf").as_deref(), Some("{{ 7*7 }} old\n"));
}

#[test]
fn there_is_nothing_to_undo_of_a_preview_or_of_a_run_without_files() {
    let site = Site::new();
    site.expect(0, &["apply", "site.yml", "-i", "hosts", "--check"]);
    let ran = site.run(&["undo", &site.last()]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("check mode"), "{}", ran.err);
    assert_eq!(
        site.run(&["undo", "last", "--wait", "60"]).code,
        Some(5),
        "a preview is none"
    );
    assert_eq!(site.run(&["undo", "0123456789"]).code, Some(5));
}

#[test]
fn old_runs_are_pruned() {
    let site = Site::new();
    let empty = "- hosts: all\n  gather_facts: false\n  tasks: [{ping: }]\n";
    site.write("ping.yml", empty, 0o644);
    for _ in 0..3 {
        site.expect(0, &["apply", "ping.yml", "-i", "hosts", "--wait", "60"]);
    }
    let dry = site.expect(0, &["runs", "prune", "--keep-runs", "1", "--dry-run"]);
    assert!(dry.contains("2 runs would go"), "{dry}");
    let done = site.expect(0, &["runs", "prune", "--keep-runs", "1"]);
    assert!(done.contains("2 runs removed"), "{done}");
    let list = site.expect(0, &["runs", "list", "--output", "json"]);
    assert_eq!(list.lines().count(), 1, "{list}");
}
