//! Control flow of the language, run for real on the local connection: blocks, loops, handlers, serial, failures.
//!
//! Recaps, order of tasks and values were compared once with ansible-core 2.19.14 on the same playbooks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::process::Command;

struct Ran {
    status: i32,
    out: String,
}

/// Runs a playbook on hosts a, b and c, all of them this machine. `DIR` in the text is a fresh directory.
fn run(playbook: &str, args: &[&str]) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let text = playbook.replace("DIR", &directory.path().display().to_string());
    std::fs::write(directory.path().join("p.yml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hostler"))
        .args(["apply", "p.yml", "-i", "a,b,c", "-c", "local"])
        .args(args)
        .current_dir(directory.path())
        .env_clear()
        .env("HOME", Path::new(directory.path()))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let out = String::from_utf8_lossy(&said).into_owned();
    Ran {
        status: output.status.code().unwrap(),
        out,
    }
}

impl Ran {
    /// A host's line of the recap, without blanks: `ok changed unreachable failed skipped rescued ignored`.
    fn recap(&self, host: &str) -> Vec<u32> {
        let recap = self
            .out
            .split("PLAY RECAP")
            .nth(1)
            .unwrap_or_else(|| panic!("{}", self.out));
        let line = recap
            .lines()
            .find(|line| line.starts_with(&format!("{host} ")))
            .unwrap();
        line.split('=')
            .skip(1)
            .map(|part| part.split(' ').next().unwrap().parse().unwrap())
            .collect()
    }

    /// How often a line with this text was printed.
    fn count(&self, text: &str) -> usize {
        self.out.lines().filter(|line| line.contains(text)).count()
    }
}

#[test]
fn an_item_of_set_fact_sees_what_the_items_before_it_set() {
    let ran = run(
        "- hosts: a
  gather_facts: no
  tasks:
    - set_fact: {all: \"{{ all | default([]) + [item] }}\"}
      loop: [x, y, z]
      when: item != 'y'
    - debug: msg=\"<{{ all | join(',') }}>\"
",
        &[],
    );
    assert_eq!((ran.status, ran.count("<x,z>")), (0, 1), "{}", ran.out);
}

#[test]
fn a_block_is_rescued_where_it_failed_and_always_runs() {
    let ran = run(
        "- hosts: all
  gather_facts: no
  tasks:
    - block:
        - name: breaks
          command: /bin/false
          when: inventory_hostname == 'a'
        - debug: msg=inside
      rescue:
        - debug: msg=\"rescued {{ ansible_failed_task.name }} rc={{ ansible_failed_result.rc }}\"
      always:
        - debug: msg=always
    - debug: msg=\"left {{ ansible_play_hosts | join(' ') }}\"
",
        &[],
    );
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert_eq!(ran.recap("a"), [3, 0, 0, 0, 0, 1, 0]);
    assert_eq!(ran.recap("b"), [3, 0, 0, 0, 1, 0, 0]);
    assert_eq!(
        (ran.count("rescued breaks rc=1"), ran.count("always\"")),
        (1, 3)
    );
    assert_eq!(ran.count("left a b c"), 3);
}

#[test]
fn results_of_loops_conditions_and_retries_are_what_playbooks_expect() {
    let ran = run(
        "- hosts: a
  gather_facts: no
  vars: {xs: [1, 2, 3], size: '{{ xs | length }}'}
  tasks:
    - command: echo {{ item }}
      loop: '{{ xs }}'
      register: out
      changed_when: item == 2
    - debug: msg=\"{{ out.results | map(attribute='stdout') | join(',') }} {{ out.changed }}\"
    - shell: echo x >> DIR/tries; wc -l < DIR/tries
      register: tries
      until: tries.stdout | int >= 3
      retries: 5
      delay: 0
    - command: 'false'
      ignore_errors: yes
      register: failed_one
    - set_fact: next={{ size + 1 }}
    - assert:
        that:
          - tries.attempts == 3
          - failed_one is failed and failed_one.rc == 1
          - size is number and next == 4
    - debug: msg={{ item.key }}={{ item.value }}
      with_dict: {k: v}
    - command: 'true'
      failed_when: true
",
        &[],
    );
    assert_eq!(ran.status, 2, "{}", ran.out);
    assert_eq!(ran.recap("a"), [7, 3, 0, 1, 0, 0, 1]);
    assert_eq!((ran.count("1,2,3 True"), ran.count("k=v")), (1, 1));
}

#[test]
fn handlers_run_once_in_order_for_those_that_notified() {
    let ran = run(
        "- hosts: all
  gather_facts: no
  tasks:
    - file: path=DIR/{{ inventory_hostname }} state=directory
      when: inventory_hostname != 'c'
      notify: [second, topic]
    - file: path=DIR/{{ inventory_hostname }}/x state=directory
      when: inventory_hostname != 'c'
      notify: second
    - meta: flush_handlers
    - debug: msg=after
  handlers:
    - name: first
      listen: topic
      debug: msg=first-ran
      changed_when: true
      notify: last
    - name: second
      debug: msg=second-ran
    - name: last
      debug: msg=last-ran
",
        &[],
    );
    assert_eq!(ran.status, 0, "{}", ran.out);
    for text in ["first-ran", "second-ran", "last-ran"] {
        assert_eq!(ran.count(text), 2, "{text}\n{}", ran.out);
    }
    let at = |text: &str| ran.out.find(text).unwrap();
    assert!(at("first-ran") < at("second-ran") && at("last-ran") < at("\"after\""));
}

#[test]
fn a_failure_ends_its_host_and_max_fail_percentage_the_rest() {
    let ran = run(
        "- hosts: all
  gather_facts: no
  serial: 2
  max_fail_percentage: 40
  tasks:
    - fail: msg=no
      when: inventory_hostname == 'b'
    - debug: msg=went-on
- hosts: all
  gather_facts: no
  tasks:
    - debug: msg=second-play
",
        &[],
    );
    assert_eq!(ran.status, 2, "{}", ran.out);
    assert_eq!((ran.count("went-on"), ran.count("second-play")), (0, 0));
    let ran = run(
        "- hosts: all
  gather_facts: no
  tasks:
    - fail: msg=no
      when: inventory_hostname == 'b'
    - debug: msg=went-on
    - debug: msg=once
      run_once: yes
- hosts: all
  gather_facts: no
  tasks:
    - debug: msg=second-play
",
        &[],
    );
    assert_eq!(
        (
            ran.count("went-on"),
            ran.count("once\""),
            ran.count("second-play")
        ),
        (2, 1, 2)
    );
}

#[test]
fn tags_limits_and_extra_variables_choose() {
    let play = "- hosts: '{{ who }}'
  gather_facts: no
  tasks:
    - debug: msg=one
      tags: t1
    - debug: msg=two
      tags: t2
    - debug: msg=always
      tags: always
    - debug: msg=never
      tags: [never, t1]
";
    let ran = run(play, &["-e", "who=all", "-t", "t2", "-l", "b,c"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    let counts = ["one\"", "two\"", "always\"", "never\""].map(|text| ran.count(text));
    assert_eq!(counts, [0, 2, 2, 0]);
    let ran = run(play, &["-e", "{\"who\": \"a\"}"]);
    let counts = ["one\"", "two\"", "always\"", "never\""].map(|text| ran.count(text));
    assert_eq!(counts, [1, 1, 1, 0]);
}

#[test]
fn what_no_log_hides_is_nowhere() {
    let ran = run(
        "- hosts: a
  gather_facts: no
  tasks:
    - command: echo s3cr3t-{{ item }}
      loop: [x]
      no_log: yes
      register: hidden
    - command: cat
      args: {stdin: s3cr3t}
      no_log: yes
      failed_when: true
      ignore_errors: yes
    - assert:
        that: hidden.results[0].stdout == 's3cr3t-x'
",
        &["-vvv", "-D"],
    );
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert_eq!(ran.count("s3cr3t"), 0, "{}", ran.out);
    let json = run(
        "- hosts: a\n  gather_facts: no\n  tasks:\n    - command: echo s3cr3t\n      no_log: yes\n",
        &["--output", "json"],
    );
    assert_eq!((json.status, json.count("s3cr3t")), (0, 0), "{}", json.out);
}

#[test]
fn a_host_cannot_make_the_controller_evaluate_its_words() {
    let ran = run(
        "- hosts: a
  gather_facts: no
  tasks:
    - command: echo '{{ '{{' }} 6 * 7 {{ '}}' }}'
      register: said
    - set_fact: kept={{ said.stdout }}
    - debug: msg=\"{{ kept }} and {{ said.stdout }}\"
",
        &[],
    );
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert_eq!(ran.count("{{ 6 * 7 }} and {{ 6 * 7 }}"), 1, "{}", ran.out);
    assert_eq!(ran.count("42"), 0);
}
