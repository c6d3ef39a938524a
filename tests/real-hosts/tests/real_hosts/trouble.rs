//! Broken hosts: each is reported for what it is, and the others are changed as if nothing were.

use real_hosts::engine::Engine;
use real_hosts::{fleet, shell};
use xtask::fleet::{Fault, Init};

const MARK: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Mark
      ansible.builtin.copy: {content: \"here\\n\", dest: /etc/mark}
    - name: Look
      ansible.builtin.command: cat /etc/mark
      changed_when: false
";

#[test]
fn broken_hosts_are_told_apart_and_delay_nobody() {
    let Some((fleet, hosts)) = fleet("trouble", 6, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    let broken = [
        (1, Fault::Refuse),
        (2, Fault::WrongKey),
        (3, Fault::Hang),
        (4, Fault::FullDisk),
    ];
    for (index, fault) in broken {
        fleet
            .fault(&hosts[index], fault)
            .unwrap_or_else(|failure| panic!("{failure}"));
    }

    let run = engine.apply_text(&fleet, MARK, &["--timeout", "4"]);
    run.expect_code(4);
    for index in [0, 5] {
        let name = &hosts[index].name;
        assert_eq!(
            (run.count(name, "ok"), run.count(name, "changed")),
            (2, 1),
            "{}",
            run.output
        );
        assert_eq!(shell(&hosts[index], "cat /etc/mark"), "here");
    }
    for host in &hosts[1..=3] {
        let name = &host.name;
        assert_eq!(
            (run.count(name, "unreachable"), run.count(name, "ok")),
            (1, 0),
            "{}",
            run.output
        );
        assert_eq!(shell(host, "ls /etc/mark 2>/dev/null || echo none"), "none");
    }
    let full = &hosts[4];
    assert_eq!(
        run.count(&full.name, "failed") + run.count(&full.name, "unreachable"),
        1,
        "{}",
        run.output
    );
    assert_eq!(shell(full, "ls /etc/mark 2>/dev/null || echo none"), "none");
    if engine.is_hostler() {
        run.says(&["refused", "host key", "no space left"]);
        assert!(
            run.output.to_lowercase().contains("time"),
            "nothing says that a host timed out:\n{}",
            run.output
        );
        let alone = engine.apply_text(
            &fleet,
            MARK,
            &["--limit", &format!("{},{}", hosts[0].name, full.name)],
        );
        alone.expect_code(2);
        assert_eq!(alone.count(&full.name, "failed"), 1, "{}", alone.output);
    }

    for (index, _) in broken {
        fleet
            .fault(&hosts[index], Fault::Heal)
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
    engine.apply_text(&fleet, MARK, &[]).expect_code(0);
    for host in &hosts {
        assert_eq!(shell(host, "cat /etc/mark"), "here");
    }
}
