//! A random sudo password goes through everything that becoming another user does; then what is left of it is searched for,
//! on the controller and on the hosts, in files and in the process list.

#[path = "../../../../crates/cli/tests/support/canary.rs"]
mod canary;

use std::path::PathBuf;

use canary::{Canary, Finds, Watch};
use real_hosts::engine::Engine;
use real_hosts::{fleet, shell};
use xtask::fleet::Init;

const TASKS: &str = "
- hosts: all
  gather_facts: true
  become: true
  vars:
    marked: !secret @marked@
  tasks:
    - name: A command
      command: sleep 0.3
    - name: A shell
      shell: sleep 0.3; id -un
      loop: [1, 2]
    - name: The secret, by standard input
      command: {cmd: sh -c 'sleep 0.3; cat', stdin: \"{{ marked }}\"}
    - name: A file
      copy: {dest: /root/secret, content: \"{{ marked }}\\n\", mode: \"0600\"}
      no_log: true
    - name: Another user, by the same password
      command: id
      become_user: games
    - name: A failure
      shell: cat /root/secret; exit 1
      ignore_errors: true
    - name: Skipped
      command: cat /root/secret
      when: false
    - name: Raw
      raw: sleep 0.3; id -un
    - name: A wrong user
      command: id
      become_user: nobody-of-that-name
      ignore_errors: true
    - name: The password as the playbook sees it
      debug: {msg: \"{{ ansible_become_password | default('none') }} {{ (ansible_become_password | default('none')) | b64encode }}\"}
    - name: All variables
      debug: {var: \"hostvars[inventory_hostname]\"}
";

#[test]
fn a_sudo_password_is_seen_nowhere() {
    let Some((fleet, hosts)) = fleet("canaries", 2, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    let canaries = [Canary::password("become"), Canary::new("marked")];
    for host in &hosts {
        let line = canaries[0].text.replace('\'', "'\\''");
        shell(host, &format!("printf '%s\\n' 'opspw:{line}' | chpasswd"));
    }
    let directory = fleet.directory().to_owned();
    let file = directory.join("sudo-password");
    std::fs::write(&file, format!("{}\n", canaries[0].text)).expect("write the password");
    let variables = directory.join("variables.yml");
    let variable = serde_json::json!({ "ansible_become_password": canaries[0].text });
    std::fs::write(&variables, variable.to_string()).expect("write variables");
    let (file_arg, variables_arg) = (
        file.display().to_string(),
        format!("@{}", variables.display()),
    );
    let playbook = TASKS.replace("@marked@", &serde_json::json!(canaries[1].text).to_string());
    let by_file = [
        "-e",
        "ansible_user=opspw",
        "--become-password-file",
        &file_arg,
    ];
    let by_variable = ["-e", "ansible_user=opspw", "-e", &variables_arg];
    let watch = Watch::begin(canaries.to_vec(), Vec::new());
    let mut finds = Finds::default();
    for (flags, more, code) in [
        (by_file, &["-C", "-D", "-vvvv"][..], 0),
        (by_file, &["-D", "-vvvv"], 0),
        (by_variable, &["-vvvv", "--output", "json"], 0),
        (by_file, &["-vvvv", "--output", "terminal"], 0),
        // A wrong user, so that sudo refuses the password.
        (
            ["-e", "ansible_user=ops", by_file[2], by_file[3]],
            &["-vvvv"],
            0,
        ),
    ] {
        let flags = [&flags[..], more].concat();
        let run = engine.apply_text(&fleet, &playbook, &flags);
        run.expect_code(code);
        finds.search(&canaries, &format!("{flags:?}"), run.output.as_bytes());
    }
    let (seen, looks) = watch.end();
    finds.extend(seen);
    assert!(looks > 20, "processes were looked at {looks} times");
    let playbook = directory.join("playbook.yml");
    for entry in ["home", "hosts"] {
        let mut meant = vec![playbook.clone(), file.clone(), variables.clone()];
        for host in &hosts {
            let root: PathBuf = directory.join("hosts").join(&host.name).join("up");
            meant.push(root.join("root/secret"));
        }
        finds.walk(&canaries, &directory.join(entry), &meant);
    }
    for host in &hosts {
        // What is kept in memory, and of results that nobody fetched.
        let left = shell(
            host,
            "for d in /run /dev/shm /tmp /var/tmp; do find $d -xdev -type f -size -2M ! -name '*.so' -exec cat {} + ; done 2>/dev/null | base64 -w0",
        );
        finds.search(
            &canaries,
            &format!("memory of {}", host.name),
            left.as_bytes(),
        );
        let kept = shell(
            host,
            "find /run/hostler /dev/shm/hostler-* /var/tmp/hostler-* /tmp/hostler-* -printf '%m %y %f\\n' 2>/dev/null || true",
        );
        let odd: Vec<&str> = kept
            .lines()
            .filter(|it| !it.starts_with("700 d") && !it.ends_with(" lock"))
            .collect();
        assert!(odd.is_empty(), "results are left on {}: {kept}", host.name);
    }
    finds.expect_none();
}
