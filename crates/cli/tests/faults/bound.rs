//! The controller is killed (SIGKILL) at writes of its journal while it applies a plan file, or undoes a run: what is
//! resumed comes to the same end.

use std::collections::BTreeMap;
use std::path::Path;

use crate::site::{Ran, Site, path, run};

/// With it, every write is tried; without, each of so many.
const ALL: &str = "HOSTLER_FAULTS_ALL";
const HOSTS: usize = 4;
const RESUMES_MAX: usize = 3;
const PLACES: [&str; 2] = ["journal-commit-before", "journal-commit-after"];

/// What a plan has in full (files, a loop, a handler that runs twice and does something else each time), and what it leaves to run time:
/// command lines that leave a line each.
const PLANNED: &str = "
- name: As planned
  hosts: all
  gather_facts: false
  pre_tasks:
    - name: Directory
      file: {path: '{{ dir }}', state: directory}
    - name: First time
      set_fact: {times: first}
    - name: Early
      copy: {content: \"early\\n\", dest: '{{ dir }}/early'}
      notify: Mark
  tasks:
    - name: Second time
      set_fact: {times: second}
    - name: One
      shell: echo one >> {{ dir }}/log; echo result of {{ inventory_hostname }}
      register: one
    - name: File
      copy: {content: \"for {{ inventory_hostname }}\\n\", dest: '{{ dir }}/file'}
      notify: [Handler, Mark]
    - name: Loop
      copy: {content: \"{{ item }}\\n\", dest: '{{ dir }}/{{ item }}'}
      loop: [a, b, c]
    - name: Line
      lineinfile: {path: '{{ dir }}/file', line: a second line}
    - name: Two
      shell: echo two, {{ one.stdout }} >> {{ dir }}/log
  handlers:
    - name: Handler
      shell: echo handled >> {{ dir }}/log
    - name: Mark
      copy: {content: \"{{ times }}\\n\", dest: '{{ dir }}/{{ times }}'}
- name: In batches
  hosts: all
  gather_facts: false
  serial: 3
  tasks:
    - name: Again
      shell: echo second play >> {{ dir }}/log
    - name: Last
      copy: {content: \"last\\n\", dest: '{{ dir }}/last'}
";

/// All files below a directory of every host, by host and path.
fn tree(site: &Site, dir: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let kind = if site.fleet.overlay { "up" } else { "root" };
    let of_host = |directory: &Path| {
        let mut files = BTreeMap::new();
        let entries = std::fs::read_dir(directory.join(kind).join(dir)).into_iter();
        for entry in entries.flatten().flatten() {
            // Where something was removed, an overlay has a device file.
            if entry.file_type().unwrap().is_file() {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                files.insert(entry.file_name().to_string_lossy().into_owned(), text);
            }
        }
        files
    };
    let hosts = site.fleet.hosts.iter();
    hosts
        .map(|host| (host.name.clone(), of_host(&host.directory)))
        .collect()
}

async fn hostler(site: &Site, args: &[&str], failpoint: Option<&str>) -> Ran {
    let mut command = site.hostler(args);
    if let Some(failpoint) = failpoint {
        command.env("HOSTLER_FAILPOINT", failpoint);
    }
    run(command).await
}

/// Goes on with a killed run until it is over. False: there was nothing to go on with.
async fn go_on(site: &Site, mut again: Option<String>, what: &str) -> bool {
    for attempt in 0.. {
        let ran = hostler(site, &["resume"], again.take().as_deref()).await;
        match ran.code {
            None => {}
            Some(0) => return true,
            Some(4) if ran.said().contains("there is no run to resume") => return attempt > 0,
            code => assert!(attempt < RESUMES_MAX, "{what}: {code:?}\n{}", ran.said()),
        }
    }
    unreachable!("it ends or fails")
}

fn step(some: usize) -> usize {
    std::env::var_os(ALL).map_or(some, |_| 1)
}

struct Planned {
    site: Site,
    playbook: String,
    inventory: String,
    plan: String,
}

impl Planned {
    async fn new() -> Self {
        let site = Site::up(HOSTS).await;
        let playbook = path(&site.playbook(PLANNED));
        Planned {
            playbook,
            inventory: path(&site.fleet.inventory_path()),
            plan: path(&site.home.path().join("change.plan")),
            site,
        }
    }

    async fn plan(&self, dir: &str) {
        let dir = format!("dir=/srv/{dir}");
        let (playbook, inventory, plan) = (&self.playbook, &self.inventory, &self.plan);
        let args = ["plan", playbook, "-i", inventory, "-e", &dir, "-o", plan];
        let ran = hostler(&self.site, &args, None).await;
        assert_eq!(ran.code, Some(0), "{}", ran.said());
    }

    async fn apply(&self, dir: &str, failpoint: Option<&str>) -> Ran {
        let dir = format!("dir=/srv/{dir}");
        let args = [
            "apply",
            "--plan",
            &self.plan,
            "--accept-unknown",
            "-e",
            &dir,
        ];
        hostler(&self.site, &args, failpoint).await
    }

    /// What every host must have; none if nothing was done anywhere.
    fn assert_right(&self, dir: &str, what: &str) {
        for (host, files) in tree(&self.site, &format!("srv/{dir}")) {
            let log = format!("one\ntwo, result of {host}\nhandled\nsecond play\n");
            let file = format!("for {host}\na second line\n");
            let wanted = [
                ("a", "a\n"),
                ("b", "b\n"),
                ("c", "c\n"),
                ("early", "early\n"),
                ("file", &file),
                ("first", "first\n"),
                ("last", "last\n"),
                ("log", &log),
                ("second", "second\n"),
            ];
            let wanted = wanted.map(|(name, text)| (name.to_owned(), text.to_owned()));
            assert_eq!(files, BTreeMap::from(wanted), "{what}: {host}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_killed_at_every_write_is_resumed_to_the_same_end() {
    let planned = Planned::new().await;
    planned.plan("right").await;
    let ran = planned.apply("right", None).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said());
    planned.assert_right("right", "uninterrupted");
    let (mut killed, mut last, mut missed) = (0, 0, 0);
    for number in (1..).step_by(step(13)) {
        for place in PLACES {
            let failpoint = format!("{place}:{number}:kill");
            let dir = format!("{place}-{number}");
            planned.plan(&dir).await;
            let ran = planned.apply(&dir, Some(&failpoint)).await;
            if ran.code.is_some() {
                assert_eq!(ran.code, Some(0), "{failpoint}: {}", ran.said());
                missed += 1;
            } else {
                (killed, last, missed) = (killed + 1, number, 0);
                // The run has all that it needs.
                let plan = std::fs::read(&planned.plan).unwrap();
                std::fs::remove_file(&planned.plan).unwrap();
                let again = (killed % 3 == 0).then(|| format!("{place}:{}:kill", 1 + number % 7));
                let nothing_done = !go_on(&planned.site, again, &failpoint).await
                    && tree(&planned.site, &format!("srv/{dir}"))
                        .values()
                        .all(BTreeMap::is_empty);
                if nothing_done {
                    std::fs::write(&planned.plan, plan).unwrap();
                    let ran = planned.apply(&dir, None).await;
                    assert_eq!(ran.code, Some(0), "{failpoint}: {}", ran.said());
                }
            }
            planned.assert_right(&dir, &failpoint);
        }
        if missed > 1 {
            break;
        }
    }
    report(&format!(
        "plan, {HOSTS} hosts: about {last} commits, killed {killed} runs"
    ));
    assert!(killed >= 4, "only {killed} runs were killed");
    planned.site.fleet.down().await.unwrap();
}

/// Two versions of the same files; the second makes one more and removes one.
fn version(word: &str, extra: &str, gone: &str) -> String {
    format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n\
         \x20   - file: {{path: /srv/u, state: directory}}\n\
         \x20   - copy: {{dest: '/srv/u/{{{{ item }}}}', content: \"{word} {{{{ item }}}} of {{{{ inventory_hostname }}}}\\n\"}}\n\
         \x20     loop: [a, b, c]\n\
         \x20   - file: {{path: /srv/u/{gone}, state: absent}}\n\
         \x20   - copy: {{dest: /srv/u/{extra}, content: extra}}\n"
    )
}

struct Undone {
    site: Site,
    /// How hosts are after each of two runs.
    versions: [BTreeMap<String, BTreeMap<String, String>>; 2],
}

impl Undone {
    async fn new() -> Self {
        let site = Site::up(HOSTS).await;
        let mut versions = Vec::new();
        for text in [
            version("first", "one", "two"),
            version("second", "two", "one"),
        ] {
            let playbook = site.playbook(&text);
            let ran = site.apply(&playbook, &[]).await;
            assert_eq!(ran.code, Some(0), "{}", ran.said());
            versions.push(tree(&site, "srv/u"));
        }
        let versions: [_; 2] = versions.try_into().unwrap();
        assert_ne!(versions[0], versions[1]);
        Undone { site, versions }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undoing_that_is_killed_at_every_write_is_resumed_to_the_same_end() {
    let undone = Undone::new().await;
    let site = &undone.site;
    let (mut killed, mut last, mut missed, mut times) = (0, 0, 0, 0);
    for number in (1..).step_by(step(2)) {
        for place in PLACES {
            // Each undoes the one before: a killed and resumed undoing can be undone like any other.
            let wanted = &undone.versions[times % 2];
            times += 1;
            let failpoint = format!("{place}:{number}:kill");
            let ran = hostler(site, &["undo", "last"], Some(&failpoint)).await;
            if ran.code.is_some() {
                assert_eq!(ran.code, Some(0), "{failpoint}: {}", ran.said());
                missed += 1;
            } else {
                (killed, last, missed) = (killed + 1, number, 0);
                let again = (killed % 3 == 0).then(|| format!("{place}:{}:kill", 1 + number % 5));
                let resumed = go_on(site, again, &failpoint).await;
                if !resumed && tree(site, "srv/u") != *wanted {
                    let ran = hostler(site, &["undo", "last"], None).await;
                    assert_eq!(ran.code, Some(0), "{failpoint}: {}", ran.said());
                }
            }
            assert_eq!(tree(site, "srv/u"), *wanted, "{failpoint}");
        }
        if missed > 2 {
            break;
        }
    }
    report(&format!(
        "undo, {HOSTS} hosts: about {last} commits, killed {killed} runs"
    ));
    assert!(killed >= 6, "only {killed} runs were killed");
    undone.site.fleet.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_undoing_refuses_what_has_changed_and_the_history_keeps_what_it_needs() {
    let undone = Undone::new().await;
    let site = &undone.site;
    // Begun and its hosts leased, nothing sent.
    let ran = hostler(site, &["undo", "last"], Some("journal-commit-after:2:kill")).await;
    assert_eq!(ran.code, None, "{}", ran.said());
    assert_eq!(tree(site, "srv/u"), undone.versions[1]);
    let kind = if site.fleet.overlay { "up" } else { "root" };
    let moved = site.fleet.hosts[0].directory.join(kind).join("srv/u/b");
    std::fs::write(moved, "by hand\n").unwrap();
    // Of three runs only the first one may go: the third puts back what the second replaced.
    let pruned = hostler(site, &["runs", "prune", "--keep-runs", "1"], None).await;
    assert_eq!(pruned.code, Some(0), "{}", pruned.said());
    let list = hostler(site, &["runs", "list", "--output", "json"], None).await;
    assert_eq!(list.stdout.lines().count(), 2, "{}", list.said());
    let resumed = hostler(site, &["resume"], None).await;
    assert_eq!(resumed.code, Some(2), "{}", resumed.said());
    assert!(
        resumed.said().contains("/srv/u/b has changed since run "),
        "{}",
        resumed.said()
    );
    let mut wanted = undone.versions[0].clone();
    let host = &site.fleet.hosts[0].name;
    let first = wanted.get_mut(host).unwrap();
    first.insert("b".into(), "by hand\n".into());
    assert_eq!(tree(site, "srv/u"), wanted);
    undone.site.fleet.down().await.unwrap();
}

#[expect(clippy::print_stderr, reason = "the figures are wanted")]
fn report(line: &str) {
    eprintln!("{line}");
}
