//! Playbooks in, plays or diagnostics out.

use std::path::Path;

use hostler_diag::SourceMap;
use hostler_module_api::{Catalog, spec_of};
use hostler_playbook::{Entry, Playbook, parse};
use hostler_value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

/// Arguments like those of `copy`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only their names and kinds matter here")]
struct Copy {
    /// Where.
    #[serde(alias = "path")]
    dest: String,
    /// What.
    content: Option<String>,
    /// Replace.
    force: Option<bool>,
}

/// Arguments like those of `command`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only their names and kinds matter here")]
struct Command {
    /// The line.
    _raw_params: Option<String>,
    /// Where.
    chdir: Option<String>,
}

fn read(text: &str) -> (Playbook, Vec<String>) {
    let sources = SourceMap::new();
    let catalog = Catalog::new([
        spec_of::<Copy>("copy"),
        spec_of::<Command>("command").free_form("_raw_params"),
    ]);
    let (root, mut problems) = hostler_yaml::load_file(&sources, Path::new("p.yml"), text);
    let (playbook, found) = parse(&catalog, Path::new("p.yml"), &root.expect("YAML"));
    problems.extend(found);
    let said = problems.iter().map(|problem| {
        let place = sources.locate(problem.labels[0].span);
        let hints = problem
            .hints
            .iter()
            .fold(String::new(), |all, hint| all + " (" + hint + ")");
        format!(
            "{}:{} {}: {}{hints}",
            place.line, place.column, problem.code, problem.message
        )
    });
    let said = said.collect();
    (playbook, said)
}

fn problems(text: &str) -> Vec<String> {
    read(text).1
}

#[test]
fn all_problems_are_found_at_once_with_their_places() {
    let found = problems(
        "- hosts: all\n  gather_fact: no\n  tasks:\n    - name: a\n      copy: {dets: /x}\n      wehn: x\n    - cpoy:\n        dest: /x\n    - copy: {dest: /x, force: maybe}\n    - name: nothing\n    - copy: dest=/x\n      command: ls\n    - include_tasks: x.yml\n",
    );
    assert_eq!(
        found,
        [
            "2:3 unknown-keyword: `gather_fact` is not a keyword of a play (did you mean `gather_facts`?)",
            "6:7 unknown-module: `wehn` is neither a module nor a keyword of a task (did you mean `when`?)",
            "5:14 unknown-argument: module `copy` has no argument `dets` (did you mean `dest`?)",
            "7:7 unknown-module: `cpoy` is neither a module nor a keyword of a task (did you mean `copy`?)",
            "9:24 bad-argument: module `copy`: expected a boolean, got 'maybe' (str)",
            "10:7 no-module: a task needs a module",
            "11:7 several-modules: a task has one module, this one has `copy` and `command`",
            "13:7 not-available: module `include_tasks` is not available in this version",
        ]
    );
}

#[test]
fn templates_fit_wherever_an_argument_is_checked() {
    assert_eq!(
        problems("- hosts: all\n  tasks:\n    - copy: {dest: '{{ d }}', force: '{{ f }}'}\n"),
        [""; 0]
    );
    assert_eq!(
        problems("- hosts: all\n  tasks:\n    - copy: {content: '{{ d }}'}\n"),
        ["3:7 bad-argument: module `copy`: argument `dest` is required"]
    );
}

#[test]
fn every_form_of_a_task_gives_the_same_arguments() {
    let forms = [
        "copy: dest=/x content='a b'",
        "ansible.builtin.copy: {dest: /x, content: a b}",
        "action: copy dest=/x content='a b'",
        "action: {module: copy, dest: /x, content: a b}",
        "copy: dest=/x\n      args: {content: a b}",
    ];
    for form in forms {
        let (playbook, problems) = read(&format!("- hosts: all\n  tasks:\n    - {form}\n"));
        assert_eq!(problems, [""; 0], "{form}");
        let Entry::Task(task) = &playbook.plays[0].tasks[0] else {
            panic!("a task")
        };
        assert_eq!(task.module, "copy");
        let text = |name: &str| task.args.get(name).map(hostler_yaml::Node::to_literal);
        assert_eq!(text("dest"), Some(Value::str("/x")), "{form}");
        assert_eq!(text("content"), Some(Value::str("a b")), "{form}");
    }
}

#[test]
fn keywords_reach_tasks_through_blocks() {
    let (playbook, problems) = read(
        "- hosts: all\n  become: yes\n  tags: play\n  tasks:\n    - tags: [a, b]\n      when: one\n      block:\n        - command: ls -l chdir=/tmp\n          when: two\n          tags: c\n      rescue:\n        - command: 'true'\n",
    );
    assert_eq!(problems, [""; 0]);
    let Entry::Block(block) = &playbook.plays[0].tasks[0] else {
        panic!("a block")
    };
    let Entry::Task(task) = &block.block[0] else {
        panic!("a task")
    };
    let tags: Vec<&str> = task.context.tags().collect();
    assert_eq!(tags, ["c", "a", "b", "play"]);
    let conditions: Vec<&str> = task
        .context
        .conditions()
        .iter()
        .filter_map(|node| node.as_str())
        .collect();
    assert_eq!(conditions, ["one", "two"]);
    assert!(task.context.nearest(|it| it.r#become.as_ref()).is_some());
    assert_eq!(
        task.args
            .get("_raw_params")
            .and_then(hostler_yaml::Node::as_str),
        Some("ls -l")
    );
    assert_eq!(block.rescue.len(), 1);
}

#[test]
fn a_notified_handler_must_exist() {
    let play = |notify: &str| {
        format!(
            "- hosts: all\n  tasks:\n    - copy: dest=/x\n      notify: {notify}\n  handlers:\n    - name: restart nginx\n      listen: web\n      command: x\n"
        )
    };
    assert_eq!(problems(&play("restart nginx")), [""; 0]);
    assert_eq!(problems(&play("web")), [""; 0]);
    assert_eq!(problems(&play("'{{ any }}'")), [""; 0]);
    assert_eq!(
        problems(&play("restart ngnix")),
        [
            "4:15 unknown-handler: no handler is named `restart ngnix` or listens to it (did you mean `restart nginx`?)"
        ]
    );
}

#[test]
fn what_is_no_playbook_is_said() {
    assert_eq!(
        problems("hosts: all\n"),
        [
            "1:1 playbook-shape: a playbook is a list of plays, this is a mapping (start each play with `- hosts: ...`)"
        ]
    );
    assert_eq!(
        problems("- tasks: []\n"),
        ["1:3 play-without-hosts: a play needs `hosts`"]
    );
    assert_eq!(
        problems("- hosts: all\n  strategy: free\n"),
        [
            "2:13 not-available: strategy `free` is not available in this version (remove it: hosts never wait for each other longer than a task takes)"
        ]
    );
}
