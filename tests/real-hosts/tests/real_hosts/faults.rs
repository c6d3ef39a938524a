//! Things that happen to a host while a task runs on it, and hosts on which little works. `docs/faults.md` lists them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use real_hosts::engine::{Engine, Running};
use real_hosts::{fleet, shell};
use xtask::fleet::{Fault, Fleet, Host, Init};

/// A task that says when it has begun, and goes on when it is let.
const GATE: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Before
      shell: echo before >> /srv/log
    - name: Waits
      shell: echo begun >> /srv/log; until test -e /srv/go; do sleep 0.1; done; echo done >> /srv/log
    - name: After
      shell: echo after >> /srv/log
";

fn write(fleet: &Fleet, text: &str) -> PathBuf {
    let path = fleet.directory().join("gate.yml");
    fs::write(&path, text).expect("write the playbook");
    path
}

/// Starts a run of the playbook in the background.
fn start(engine: &Engine, fleet: &Fleet, home: &str, playbook: &Path, more: &[&str]) -> Running {
    let inventory = fleet.inventory_file(None);
    let (playbook, inventory) = (
        playbook.display().to_string(),
        inventory.display().to_string(),
    );
    let mut args = vec!["apply", &*playbook, "-i", &*inventory];
    args.extend(more);
    engine.start(fleet, home, &args)
}

/// Waits until the log of a host has the line.
fn wait_for_line(host: &Host, line: &str, running: &Running) {
    let end = Instant::now() + Duration::from_secs(120);
    while !log(host).lines().any(|it| it == line) {
        assert!(
            Instant::now() < end,
            "{}: no `{line}`:\n{}",
            host.name,
            running.said()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn log(host: &Host) -> String {
    shell(host, "cat /srv/log 2>/dev/null || true")
}

fn fault(fleet: &Fleet, host: &Host, fault: Fault) {
    fleet
        .fault(host, fault)
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// Process numbers of agents in the host, as it numbers them.
const AGENTS: &str = "for p in /proc/[0-9]*; do case $(readlink $p/exe 2>/dev/null) in */agent-*) echo ${p#/proc/};; esac; done";

#[test]
fn a_killed_agent_leaves_its_task_unknown_and_the_others_alone() {
    let Some((fleet, hosts)) = fleet("killed", 2, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    let running = start(&engine, &fleet, "home", &write(&fleet, GATE), &[]);
    for host in &hosts {
        wait_for_line(host, "begun", &running);
    }
    shell(&hosts[0], &format!("kill -9 $({AGENTS})"));
    shell(&hosts[1], "touch /srv/go");
    let ran = running.finish();
    assert_eq!(ran.count(&hosts[0].name, "unknown"), 1, "{}", ran.output);
    assert_eq!(ran.count(&hosts[1].name, "ok"), 3, "{}", ran.output);
    assert_eq!(log(&hosts[1]), "before\nbegun\ndone\nafter");
    ran.says(&["sent, but not answered"]);
    // What is not known is not run again by itself.
    let again = engine.start(&fleet, "home", &["resume"]).finish();
    assert_ne!(again.code, Some(0), "{}", again.output);
    assert_eq!(log(&hosts[0]), "before\nbegun");
    shell(&hosts[0], "touch /srv/go");
    let wanted = engine
        .start(&fleet, "home", &["resume", "--rerun-unknown"])
        .finish();
    wanted.expect_code(0);
    let lines = log(&hosts[0]);
    assert!(lines.ends_with("done\nafter"), "{lines}");
    assert_eq!(lines.matches("before").count(), 1, "{lines}");
}

#[test]
fn a_restart_of_sshd_in_the_middle_of_a_task_is_survived() {
    let Some((fleet, hosts)) = fleet("restarted", 1, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    let running = start(&engine, &fleet, "home", &write(&fleet, GATE), &[]);
    wait_for_line(&hosts[0], "begun", &running);
    // All of it: who listens, and who holds the session.
    shell(
        &hosts[0],
        "for p in /proc/[0-9]*; do case $(cat $p/comm 2>/dev/null) in sshd*) kill -9 ${p#/proc/};; esac; done; \
         rm -f /run/sshd.pid; /usr/sbin/sshd; touch /srv/go",
    );
    let ran = running.finish();
    ran.expect_code(0);
    assert_eq!(ran.count(&hosts[0].name, "ok"), 3, "{}", ran.output);
    assert_eq!(log(&hosts[0]), "before\nbegun\ndone\nafter");
}

#[test]
fn a_killed_controller_finds_what_the_host_has_done_meanwhile() {
    let Some((fleet, hosts)) = fleet("orphaned", 2, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    let running = start(&engine, &fleet, "home", &write(&fleet, GATE), &[]);
    for host in &hosts {
        wait_for_line(host, "begun", &running);
    }
    running.kill();
    for host in &hosts {
        shell(host, "touch /srv/go");
    }
    let resumed = engine.start(&fleet, "home", &["resume"]).finish();
    resumed.expect_code(0);
    for host in &hosts {
        assert_eq!(log(host), "before\nbegun\ndone\nafter", "{}", host.name);
        let left = shell(host, AGENTS);
        assert_eq!(left, "", "an agent is left on {}", host.name);
    }
}

#[test]
fn a_second_controller_is_kept_out_until_the_first_is_done() {
    let Some((fleet, hosts)) = fleet("second", 1, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    let playbook = write(&fleet, GATE);
    let first = start(&engine, &fleet, "home", &playbook, &[]);
    wait_for_line(&hosts[0], "begun", &first);
    // On the same controller nothing is even contacted.
    let same = start(&engine, &fleet, "home", &playbook, &[]).finish();
    same.expect_code(7);
    same.says(&["lock"]);
    // Another controller learns it from the host.
    let other = start(&engine, &fleet, "other", &playbook, &[]).finish();
    other.expect_code(2);
    other.says(&["locked by", "--break-lock"]);
    assert_eq!(log(&hosts[0]), "before\nbegun");
    let waiting = start(&engine, &fleet, "other", &playbook, &["--wait", "120"]);
    shell(&hosts[0], "touch /srv/go");
    first.finish().expect_code(0);
    waiting.finish().expect_code(0);
    assert_eq!(
        log(&hosts[0]),
        "before\nbegun\ndone\nafter\nbefore\nbegun\ndone\nafter"
    );
}

#[test]
fn a_reboot_in_the_middle_of_a_task_is_told_apart() {
    let Some((fleet, hosts)) = fleet("rebooted", 1, Init::Systemd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    let running = start(&engine, &fleet, "home", &write(&fleet, GATE), &[]);
    wait_for_line(&hosts[0], "begun", &running);
    // Its answer would come from a system that is going down.
    let _gone_with_the_host = hosts[0].shell("systemctl reboot");
    let ran = running.finish();
    assert_eq!(ran.count(&hosts[0].name, "unknown"), 1, "{}", ran.output);
    ran.says(&["reboot"]);
    let lines = log(&hosts[0]);
    assert_eq!(lines, "before\nbegun");
}

const LITTLE: &str = "
- hosts: all
  gather_facts: true
  tasks:
    - name: Works
      shell: echo {{ ansible_facts.kernel | length > 0 }}
      register: works
    - name: Where it may write
      copy: {content: \"x\\n\", dest: /run/x}
    - name: Where it may not
      copy: {content: \"x\\n\", dest: /srv/x}
";

#[test]
fn on_a_read_only_system_everything_works_that_does_not_write_there() {
    let Some((fleet, hosts)) = fleet("readonly", 1, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    fault(&fleet, &hosts[0], Fault::ReadOnly);
    let ran = engine.apply_text(&fleet, LITTLE, &[]);
    ran.expect_code(2);
    let name = &hosts[0].name;
    assert_eq!(
        (ran.count(name, "ok"), ran.count(name, "failed")),
        (3, 1),
        "{}",
        ran.output
    );
    ran.says(&["/srv not writable"]);
    fault(&fleet, &hosts[0], Fault::Heal);
    shell(&hosts[0], "test ! -e /srv/x; touch /srv/y");
}

#[test]
fn noexec_places_and_a_missing_home_do_not_keep_the_agent_out() {
    let Some((fleet, hosts)) = fleet("noexec", 2, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    fault(&fleet, &hosts[0], Fault::Noexec);
    // sshd says so, and starts in the root directory. The key must then be elsewhere.
    shell(
        &hosts[1],
        "mkdir -p /etc/ssh/keys; cp /home/ops/.ssh/authorized_keys /etc/ssh/keys/ops; chmod 644 /etc/ssh/keys/ops; \
         echo 'AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys' > /etc/ssh/sshd_config.d/0-keys.conf; \
         usermod -d /nonexistent ops; kill -HUP $(cat /run/sshd.pid)",
    );
    let text = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Works
      copy: {content: \"x\\n\", dest: /var/lib/x}
      become: true
";
    let ran = engine.apply_text(&fleet, text, &["--limit", &hosts[0].name]);
    ran.expect_code(0);
    let ran = engine.apply_text(
        &fleet,
        text,
        &["--limit", &hosts[1].name, "-e", "ansible_user=ops"],
    );
    ran.expect_code(0);
    for host in &hosts {
        assert_eq!(shell(host, "cat /var/lib/x"), "x", "{}", host.name);
    }
}

/// Limits the memory of everything that a host's sshd starts; none where this machine has no such control group.
fn limit_memory(host: &Host, bytes: u64) -> Option<PathBuf> {
    let (root, file) = [
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ]
    .into_iter()
    .find(|(root, _)| Path::new(root).join("cgroup.procs").exists())?;
    let group = Path::new(root).join(format!("hostler-test-{}", std::process::id()));
    fs::create_dir_all(&group).ok()?;
    fs::write(group.join(file), bytes.to_string()).ok()?;
    let inside = host.root().ok()?.join("run/sshd.pid");
    let inside: u32 = fs::read_to_string(inside).ok()?.trim().parse().ok()?;
    // The number is the host's; ours stands in front of it in NSpid. Other tests have hosts of the same name.
    let leader = host.root().ok()?;
    let space = fs::read_link(leader.parent()?.join("ns/pid")).ok()?;
    let outside = fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let status = fs::read_to_string(process.path().join("status")).ok()?;
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let mut numbers = numbers.split_whitespace();
        let (ours, theirs) = (numbers.next()?, numbers.next_back()?);
        let same = fs::read_link(process.path().join("ns/pid")).is_ok_and(|it| it == space);
        (same && theirs == inside.to_string()).then(|| ours.to_owned())
    })?;
    fs::write(group.join("cgroup.procs"), outside).ok()?;
    Some(group)
}

#[test]
fn a_task_that_eats_all_memory_fails_and_the_agent_lives() {
    let Some((fleet, hosts)) = fleet("memory", 1, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    let group = limit_memory(&hosts[0], 64 << 20);
    let Some(group) = group.filter(|_| engine.is_hostler()) else {
        return;
    };
    let text = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Eats
      shell: head -c 500000000 /dev/zero | tail -c 400000000 > /dev/null
      ignore_errors: true
    - name: The agent lives
      shell: echo after >> /srv/log
";
    let ran = engine.apply_text(&fleet, text, &[]);
    ran.expect_code(0);
    let name = &hosts[0].name;
    assert_eq!(
        (ran.count(name, "ok"), ran.count(name, "ignored")),
        (2, 1),
        "{}",
        ran.output
    );
    assert_eq!(log(&hosts[0]), "after");
    drop(fleet);
    // Empty now; the kernel keeps nothing else in it.
    fs::remove_dir(group).expect("remove the control group");
}
