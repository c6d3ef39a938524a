//! Becoming another user: with and without a password, and with a wrong one.

use real_hosts::engine::Engine;
use real_hosts::{fleet, shell};
use xtask::fleet::{Init, SUDO_PASSWORD};

const WHO: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: As root
      ansible.builtin.command: id -un
      register: root
      become: true
    - name: As the login user
      ansible.builtin.command: id -un
      register: login
    - name: As a third user
      ansible.builtin.copy: {content: \"mine\\n\", dest: /tmp/third, mode: \"0600\"}
      become: true
      become_user: games
    - name: Keep it
      ansible.builtin.copy:
        content: \"{{ root.stdout }} {{ login.stdout }}\\n\"
        dest: /etc/who
        mode: \"0600\"
      become: true
";

#[test]
fn sudo_without_a_password() {
    let Some((fleet, hosts)) = fleet("sudo", 1, Init::Sshd) else {
        return;
    };
    let run = Engine::under_test().apply_text(&fleet, WHO, &["-e", "ansible_user=ops"]);
    run.expect_code(0);
    assert_eq!(
        shell(&hosts[0], "cat /etc/who; stat -c %U:%a /etc/who /tmp/third"),
        "root ops\nroot:600\ngames:600"
    );
}

#[test]
fn sudo_with_a_password() {
    let Some((fleet, hosts)) = fleet("sudo-password", 1, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    let password = format!("ansible_become_password={SUDO_PASSWORD}");
    let run = engine.apply_text(&fleet, WHO, &["-e", "ansible_user=opspw", "-e", &password]);
    run.expect_code(0);
    assert_eq!(
        shell(&hosts[0], "cat /etc/who; stat -c %U:%a /etc/who /tmp/third"),
        "root opspw\nroot:600\ngames:600"
    );
    assert!(
        !run.output.contains(SUDO_PASSWORD),
        "the password was printed:\n{}",
        run.output
    );
}

#[test]
fn a_wrong_and_a_missing_sudo_password_are_said_to_be_that() {
    let Some((fleet, hosts)) = fleet("sudo-wrong", 1, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    for (flags, complaint) in [
        (
            vec![
                "-e",
                "ansible_user=opspw",
                "-e",
                "ansible_become_password=not-it",
            ],
            "password",
        ),
        (vec!["-e", "ansible_user=opspw"], "password"),
    ] {
        let run = engine.apply_text(&fleet, WHO, &flags);
        run.says(&[complaint]);
        // ansible-core 2.19 counts a refused password as a host that it could not reach.
        let name = &hosts[0].name;
        assert_eq!(
            run.count(name, "failed") + run.count(name, "unreachable"),
            1,
            "{}",
            run.output
        );
        assert!(
            matches!(run.code, Some(2 | 4)),
            "{:?}\n{}",
            run.code,
            run.output
        );
        assert_eq!(
            shell(&hosts[0], "ls /etc/who 2>/dev/null || echo none"),
            "none"
        );
    }
}
