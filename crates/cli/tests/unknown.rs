//! What is not known before a task has run, in previews on the local connection.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::process::Command;

struct Preview {
    directory: tempfile::TempDir,
    status: i32,
    out: String,
}

/// Previews tasks (and handlers, if the text has any) on host a, which is this machine. `DIR` in the text is a fresh
/// directory, with a file `there` in it.
fn preview(tasks: &str, args: &[&str]) -> Preview {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("- hosts: a\n  gather_facts: no\n  tasks:\n{tasks}");
    let text = text.replace("DIR", &directory.path().display().to_string());
    std::fs::write(directory.path().join("p.yml"), text).unwrap();
    std::fs::write(directory.path().join("there"), "old\n").unwrap();
    let template = "port {{ r.stdout }}\n{% if r.stdout == 'x' %}\nx\n{% endif %}\nend\n";
    std::fs::write(directory.path().join("t.j2"), template).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hostler"))
        .args(["apply", "p.yml", "-i", "a,", "-c", "local", "--check"])
        .args(args)
        .current_dir(directory.path())
        .env_clear()
        .env("HOME", Path::new(directory.path()))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let out = String::from_utf8_lossy(&said).into_owned();
    Preview {
        directory,
        status: output.status.code().unwrap(),
        out,
    }
}

impl Preview {
    /// What is said of a task of that name: the lines below its title.
    fn said(&self, task: &str) -> String {
        let title = format!("[{task}] *");
        let part = self.out.split(&title).nth(1);
        let part = part.unwrap_or_else(|| panic!("no task {task} in:\n{}", self.out));
        let titles = ["TASK [", "RUNNING HANDLER [", "PLAY RECAP"];
        let is_title = |line: &&str| titles.iter().any(|title| line.starts_with(title));
        let lines = part.lines().skip(1).take_while(|line| !is_title(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn is(&self, task: &str, wanted: &str) {
        let said = self.said(task);
        assert!(
            said.contains(wanted),
            "{task}: {said:?} is not {wanted:?} in:\n{}",
            self.out
        );
    }

    fn recap(&self) -> &str {
        let recap = self.out.split("PLAY RECAP").nth(1).unwrap();
        recap.lines().nth(1).unwrap().split(':').nth(1).unwrap()
    }

    fn has(&self, file: &str) -> bool {
        self.directory.path().join(file).exists()
    }
}

/// A command that says nothing about itself, and what it prints.
const COMMAND: &str = "    - name: Build
      shell: touch DIR/ran; echo x
      register: r
";

#[test]
fn a_command_would_run_and_its_result_is_unknown() {
    let seen = preview(
        &format!(
            "{COMMAND}
    - name: changed
      debug: msg=seen
      when: r is changed
    - name: succeeded
      debug: msg=seen
      when: r is succeeded and r.rc == 0
    - name: printed
      debug: msg=seen
      when: \"'x' in r.stdout\"
    - name: silent
      command: uptime
      changed_when: false
      register: silent
    - name: not changed
      debug: msg=seen
      when: silent is changed
    - name: says itself
      command: uptime
      changed_when: \"'new' in self.stdout\"
      register: self
    - name: may fail
      command: uptime
      ignore_errors: yes
      register: tried
    - name: failed
      debug: msg=seen
      when: tried is failed
    - name: judged
      command: uptime
      register: judged
      failed_when: \"'bad' in judged.stdout\"
    - name: raw one
      raw: uptime
      register: raw
    - name: raw result
      debug: msg=\"<{{{{ raw.stdout }}}}>\"
    - name: makes a file
      tempfile: {{}}
      register: made
    - name: uses it
      file: path={{{{ made.path }}}} mode=0600
"
        ),
        &[],
    );
    assert_eq!(seen.status, 0, "{}", seen.out);
    assert!(!seen.has("ran"), "a preview runs nothing");
    seen.is("Build", "changed: [a]");
    seen.is("changed", "seen");
    seen.is("succeeded", "seen");
    seen.is("printed", "unknown: [a] unknown until `Build`");
    seen.is("silent", "ok: [a]");
    seen.is("not changed", "skipping: [a]");
    seen.is(
        "says itself",
        "unknown: [a] would run; whether that changes",
    );
    seen.is("may fail", "unknown: [a] would run; whether it then counts");
    seen.is("failed", "unknown: [a] unknown until `may fail`");
    seen.is("judged", "changed: [a]");
    seen.is("raw one", "changed: [a]");
    seen.is("raw result", "<«unknown until `raw one`»>");
    seen.is("makes a file", "changed: [a]");
    seen.is("uses it", "unknown: [a] unknown until `makes a file`");
}

#[test]
fn creates_and_removes_decide() {
    let seen = preview(
        "    - name: done already
      command: make
      args: {creates: DIR/there}
      register: done
    - name: known
      debug: msg=\"{{ done.rc }} {{ done is changed }} {{ done.stdout }}\"
    - name: to do
      command: make
      args: {creates: DIR/nope}
      register: todo
    - name: unknown text
      debug: msg=seen
      when: todo.stdout == ''
    - name: nothing to remove
      command: rm DIR/nope
      args: {removes: DIR/nope}
",
        &[],
    );
    seen.is("done already", "ok: [a]");
    seen.is("known", "0 False skipped, since");
    seen.is("to do", "changed: [a]");
    seen.is("unknown text", "unknown: [a] unknown until `to do`");
    seen.is("nothing to remove", "ok: [a]");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one playbook, a line for each rule")]
fn what_depends_on_it_is_unknown_too() {
    let seen = preview(
        &format!(
            "{COMMAND}
    - name: when
      file: path=DIR/new state=directory
      when: r.stdout == 'x'
      register: w
    - name: its register
      debug: msg=seen
      when: w is changed
    - name: false wins
      debug: msg=seen
      when:
        - r.stdout == 'x'
        - false
    - name: no difference
      file: path=DIR/there state=file
      when: r.stdout == 'x'
    - name: would fail if
      fail: msg=alas
      when: r.stdout == ''
    - name: loop
      debug: msg={{{{ item }}}}
      loop: '{{{{ r.stdout_lines }}}}'
    - name: one item
      file: path=DIR/{{{{ item }}}} state=directory
      loop: [a, '{{{{ r.stdout }}}}']
      register: parts
    - name: item results
      debug: msg=\"{{{{ parts.results | length }}}} {{{{ parts is changed }}}}\"
    - name: item when
      file: path=DIR/{{{{ item }}}} state=directory
      loop: [b, c]
      when: item == 'b' or r.stdout == 'x'
    - name: until
      command: probe
      register: tries
      until: tries.stdout == 'up'
      retries: 1000
    - name: argument
      file: path=DIR/{{{{ r.stdout }}}} state=touch
    - name: set
      set_fact: name='n-{{{{ r.stdout }}}}' other=1
    - name: print
      debug: msg='{{{{ name }}}} {{{{ other }}}}'
    - name: perhaps set
      set_fact: other=2
      when: r.stdout == 'x'
    - name: print again
      debug: msg='{{{{ other }}}}'
    - name: assert
      assert: {{that: r.stdout == 'x'}}
    - block:
        - name: in a block
          debug: msg=seen
      when: r.stdout == 'x'
    - name: delegated
      ping:
      delegate_to: '{{{{ r.stdout }}}}'
    - name: environment
      ping:
      environment: {{A: '{{{{ r.stdout }}}}'}}
    - name: user
      ping:
      become: yes
      become_user: '{{{{ r.stdout }}}}'
    - name: for real
      command: touch DIR/real
      check_mode: no
      when: r.stdout == 'x'
    - name: for real with it
      command: touch DIR/real{{{{ r.stdout }}}}
      check_mode: no
    - meta: end_host
      when: r.stdout == 'x'
    - name: afterwards
      command: touch DIR/known
      check_mode: no
"
        ),
        &["--diff"],
    );
    assert_eq!(seen.status, 0, "{}", seen.out);
    let unknown = "unknown: [a] unknown until `Build`";
    seen.is(
        "when",
        &format!("perhaps:\n--- before: {}", seen.directory.path().display()),
    );
    for task in [
        "when",
        "its register",
        "loop",
        "argument",
        "assert",
        "in a block",
        "delegated",
        "environment",
        "user",
        "for real",
        "for real with it",
        "no difference",
    ] {
        seen.is(task, unknown);
    }
    assert!(!seen.said("no difference").contains("perhaps"));
    seen.is("false wins", "skipping: [a]");
    seen.is("would fail if", "; if it runs it would fail: alas");
    seen.is(
        "one item",
        "unknown: [a] => (item=«unknown until `Build`») unknown until `Build`",
    );
    seen.is("one item", "changed: [a] => (item=a)");
    seen.is("item results", "2 True");
    seen.is("item when", "changed: [a] => (item=b)");
    seen.is("item when", "unknown: [a] => (item=c)");
    seen.is("until", "changed: [a]");
    seen.is("set", "ok: [a]");
    seen.is("print", "n-«unknown until `Build`» 1");
    seen.is("print again", "«unknown until `Build`»");
    assert!(
        seen.out
            .contains("whether this is done is unknown until `Build`")
    );
    assert!(seen.has("known") && !seen.has("real") && !seen.has("realx"));
    assert!(!seen.has("new") && !seen.has("b"));
}

#[test]
fn a_failure_that_an_undecided_task_may_prevent_is_none() {
    let playbook = |first: &str| {
        format!(
            "{first}
    - name: reads
      slurp: src=DIR/made
      ignore_errors: '{{{{ false }}}}'
    - name: looks
      stat: path=DIR/made
      register: made
    - name: waits
      stat: path=DIR/made
      register: waited
      until: waited.stat.exists
      retries: 1000
    - name: insists
      assert: {{that: made.stat.exists}}
    - name: goes on
      debug: msg=seen
"
        )
    };
    let seen = preview(&playbook(COMMAND), &[]);
    assert_eq!(seen.status, 0, "{}", seen.out);
    seen.is(
        "reads",
        "unknown: [a] unknown until `Build`: File not found",
    );
    seen.is("waits", "unknown: [a] `until` is not satisfied before");
    seen.is(
        "insists",
        "would fail (Assertion failed) unless `Build` changes that",
    );
    seen.is("goes on", "seen");
    // Nothing undecided: it fails as it will.
    let seen = preview(&playbook("    - debug: msg=first"), &[]);
    assert_eq!(seen.status, 2, "{}", seen.out);
    seen.is("reads", "fatal: [a]: FAILED!");
    // The playbook's own faults are certain.
    let wrong = "    - stat: path=DIR
      register: found
    - debug: msg='{{ found.nope }}'
";
    let seen = preview(&format!("{COMMAND}{wrong}"), &[]);
    assert_eq!(seen.status, 2, "{}", seen.out);
}

#[test]
fn handlers_run_for_certain_or_perhaps() {
    let seen = preview(
        &format!(
            "{COMMAND}      notify: sure
    - name: perhaps
      file: path=DIR/p state=directory
      when: r.stdout == 'x'
      notify: [sure, maybe]
    - name: would not change anything
      file: path=DIR/there state=file
      when: r.stdout == 'x'
      notify: never
  handlers:
    - name: sure
      file: path=DIR/sure state=directory
    - name: maybe
      file: path=DIR/maybe state=directory
    - name: never
      debug: msg=seen
"
        ),
        &["--diff"],
    );
    assert_eq!(seen.status, 0, "{}", seen.out);
    seen.is("sure", "changed: [a]");
    seen.is("maybe", "perhaps:");
    seen.is("maybe", "unknown: [a] unknown until `Build`");
    assert!(!seen.out.contains("[never]"), "{}", seen.out);
    assert!(seen.recap().ends_with("unknown=3"), "{}", seen.recap());
}

#[test]
fn texts_show_their_holes() {
    let seen = preview(
        &format!(
            "{COMMAND}
    - name: new file
      copy: {{dest: DIR/new, content: 'port {{{{ r.stdout }}}}'}}
      register: new
    - name: its checksum
      debug: msg={{{{ new.checksum }}}}
    - name: there it is
      stat: path=DIR/new
      register: found
    - assert: {{that: found.stat.exists}}
    - name: old file
      copy: {{dest: DIR/there, content: 'port {{{{ r.stdout }}}}'}}
    - name: old file with mode
      copy: {{dest: DIR/there, mode: '0600', content: 'port {{{{ r.stdout }}}}'}}
    - name: rendered
      template: {{src: t.j2, dest: DIR/rendered}}
    - name: for real
      copy: {{dest: DIR/real, content: 'port {{{{ r.stdout }}}}'}}
      check_mode: no
"
        ),
        &["--diff"],
    );
    assert_eq!(seen.status, 0, "{}", seen.out);
    seen.is("new file", "+port «unknown until `Build`»");
    seen.is("new file", "changed: [a]");
    seen.is("its checksum", "«unknown until `Build`»");
    seen.is("old file", "perhaps:");
    seen.is("old file", "+port «unknown until `Build`»");
    seen.is("old file", "unknown: [a] unknown until `Build`");
    seen.is("old file with mode", "changed: [a]");
    let wanted =
        "+port «unknown until `Build`»\n+«unknown until `Build`: the outcome of an `if`»\n+end";
    seen.is("rendered", wanted);
    seen.is("for real", "unknown: [a] unknown until `Build`");
    assert!(!seen.has("real") && !seen.has("new"));
    // Without --diff the same, without the texts.
    let seen = preview(
        &format!(
            "{COMMAND}    - name: old file\n      copy: {{dest: DIR/there, content: '{{{{ r.stdout }}}}'}}\n"
        ),
        &[],
    );
    seen.is("old file", "unknown: [a] unknown until `Build`");
}

#[test]
fn commands_that_only_read_may_be_run() {
    let tasks = "    - name: reads
      command: cat DIR/there
      changed_when: false
      register: read
    - name: result
      debug: msg=\"<{{ read.stdout }}>\"
    - name: shell that changes
      shell: touch DIR/ran
    - name: reads again
      shell: cat DIR/there
      changed_when: false
      register: again
    - name: second result
      debug: msg=\"<{{ again.stdout }}>\"
";
    let seen = preview(tasks, &["--run-read-only"]);
    seen.is("result", "<old>");
    // After a change that is pending the host is not as it will be.
    seen.is("second result", "<«unknown until `reads again`»>");
    assert!(!seen.has("ran"));
    let seen = preview(tasks, &[]);
    seen.is("result", "<«unknown until `reads`»>");
}
