//! Services, on hosts that systemd has booted.

use real_hosts::engine::Engine;
use real_hosts::{fleet, shell};
use xtask::fleet::Init;

const INSTALL: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Unit
      ansible.builtin.copy:
        dest: /etc/systemd/system/beacon.service
        content: |
          [Service]
          ExecStart=/bin/sleep infinity
          [Install]
          WantedBy=multi-user.target
    - name: Started and enabled
      ansible.builtin.systemd_service: {name: beacon, state: started, enabled: true, daemon_reload: true}
    - name: cron runs anyway
      ansible.builtin.service: {name: cron, state: started}
";

fn one(task: &str) -> String {
    format!("- hosts: all\n  gather_facts: false\n  tasks:\n    - {task}\n")
}

const STATE: &str = "systemctl is-active beacon; systemctl is-enabled beacon || true";

#[test]
fn services_start_stop_restart_and_stay_enabled() {
    let Some((fleet, hosts)) = fleet("services", 2, Init::Systemd) else {
        return;
    };
    let engine = Engine::under_test();
    let name = &hosts[0].name;

    let first = engine.apply_text(&fleet, INSTALL, &[]);
    first.expect_code(0);
    assert_eq!(
        (first.count(name, "ok"), first.count(name, "changed")),
        (3, 2),
        "{}",
        first.output
    );
    for host in &hosts {
        assert_eq!(shell(host, STATE), "active\nenabled");
    }

    let main_process = "systemctl show --property=MainPID --value beacon";
    let before = shell(&hosts[0], main_process);
    let second = engine.apply_text(&fleet, INSTALL, &[]);
    assert_eq!(
        second.expect_code(0).count(name, "changed"),
        0,
        "{}",
        second.output
    );
    assert_eq!(shell(&hosts[0], main_process), before);

    let preview = engine.apply_text(
        &fleet,
        &one("service: {name: beacon, state: stopped}"),
        &["--check"],
    );
    assert_eq!(
        preview.expect_code(0).count(name, "changed"),
        1,
        "{}",
        preview.output
    );
    assert_eq!(shell(&hosts[0], main_process), before);

    let restarted = engine.apply_text(
        &fleet,
        &one("service: {name: beacon, state: restarted}"),
        &[],
    );
    assert_eq!(
        restarted.expect_code(0).count(name, "changed"),
        1,
        "{}",
        restarted.output
    );
    let after = shell(&hosts[0], main_process);
    assert!(
        after != before && after != "0",
        "main process {before}, then {after}"
    );

    let stop = one("systemd_service: {name: beacon, state: stopped, enabled: false}");
    assert_eq!(
        engine
            .apply_text(&fleet, &stop, &[])
            .expect_code(0)
            .count(name, "changed"),
        1
    );
    assert_eq!(
        shell(
            &hosts[0],
            "systemctl is-active beacon || true; systemctl is-enabled beacon || true"
        ),
        "inactive\ndisabled"
    );
    assert_eq!(
        engine
            .apply_text(&fleet, &stop, &[])
            .expect_code(0)
            .count(name, "changed"),
        0
    );
}

#[test]
fn a_unit_that_is_not_there_is_named() {
    let Some((fleet, _)) = fleet("no-service", 1, Init::Systemd) else {
        return;
    };
    let task = one("service: {name: no-such-unit, state: started}");
    let run = Engine::under_test().apply_text(&fleet, &task, &[]);
    run.expect_code(2).says(&["no-such-unit"]);
}
