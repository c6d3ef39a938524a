//! The whole: real command, real agent, hosts of the embedded fleet, and a look at the hosts afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_demo::{Fleet, FleetOptions, write_playbooks};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hostler");

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the command; the fleet's servers go on meanwhile.
async fn hostler(args: Vec<String>) -> Ran {
    // Each fleet has hosts of the same names: their runs must not meet in one run store.
    let inventory = args.iter().skip_while(|arg| *arg != "-i").nth(1);
    let state = Path::new(inventory.unwrap()).with_file_name("state");
    let run = move || {
        Command::new(PROGRAM)
            .args(args)
            .env("HOSTLER_STATE_DIR", state)
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    };
    let out = tokio::task::spawn_blocking(run).await.unwrap();
    Ran {
        code: out.status.code(),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

fn args(playbook: &Path, fleet: &Fleet, more: &[&str]) -> Vec<String> {
    let mut args = vec![
        "apply".to_owned(),
        playbook.display().to_string(),
        "-i".to_owned(),
        fleet.inventory_path().display().to_string(),
    ];
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

async fn fleet(count: usize) -> (Fleet, PathBuf) {
    let options = FleetOptions {
        program: PathBuf::from(PROGRAM),
        ..FleetOptions::default()
    };
    let fleet = Fleet::up(count, &options).await.unwrap();
    let playbook = write_playbooks(&fleet.directory().join("playbooks")).unwrap();
    (fleet, playbook)
}

/// What a host has written.
fn written(fleet: &Fleet, index: usize, path: &str) -> Option<String> {
    let kind = if fleet.overlay { "up" } else { "root" };
    std::fs::read_to_string(fleet.hosts[index].directory.join(kind).join(path)).ok()
}

/// Sum of a count over the recap.
fn sum(recap: &str, field: &str) -> u32 {
    let marker = format!("{field}=");
    recap
        .lines()
        .filter_map(|line| {
            let rest = &line[line.find(&marker)? + marker.len()..];
            rest.split_whitespace().next()?.parse::<u32>().ok()
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_apply_and_apply_again() {
    let (fleet, playbook) = fleet(3).await;
    let preview = hostler(args(&playbook, &fleet, &["--check", "--diff"])).await;
    assert_eq!(
        preview.code,
        Some(0),
        "{}{}",
        preview.stdout,
        preview.stderr
    );
    assert!(
        preview.stdout.contains("+++ after: /etc/motd"),
        "{}",
        preview.stdout
    );
    assert_eq!(
        written(&fleet, 2, "etc/motd"),
        None,
        "a preview writes nothing"
    );
    assert!(
        preview.stdout.contains("+++ after: /srv/acme/conf/app.ini"),
        "a file in a directory that an earlier task would make: {}",
        preview.stdout
    );
    assert_eq!(written(&fleet, 0, "srv/acme/conf/app.ini"), None);
    let first = hostler(args(&playbook, &fleet, &[])).await;
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    assert!(sum(&first.stdout, "changed") > 0);
    let motd = written(&fleet, 0, "etc/motd").unwrap();
    assert!(motd.contains(&fleet.hosts[0].name), "{motd}");
    assert!(written(&fleet, 0, "srv/acme/conf/app.ini").is_some());
    assert!(
        written(&fleet, 2, "srv/acme/conf/app.ini").is_none(),
        "db hosts are no web servers"
    );
    let again = hostler(args(&playbook, &fleet, &[])).await;
    assert_eq!(again.code, Some(0), "{}", again.stdout);
    assert_eq!(sum(&again.stdout, "changed"), 0, "{}", again.stdout);
    fleet.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hosts_converge_and_one_bad_one_delays_nobody() {
    let (fleet, playbook) = fleet(200).await;
    let inventory = std::fs::read_to_string(fleet.inventory_path()).unwrap();
    let broken = inventory.replacen(
        "[all:vars]",
        "[broken]\ngone ansible_host=127.0.0.1 ansible_port=1\n[all:vars]",
        1,
    );
    std::fs::write(fleet.inventory_path(), broken).unwrap();
    let first = hostler(args(&playbook, &fleet, &[])).await;
    assert_eq!(first.code, Some(4), "{}{}", first.stdout, first.stderr);
    assert_eq!(sum(&first.stdout, "unreachable"), 1);
    assert_eq!(sum(&first.stdout, "failed"), 0, "{}", first.stdout);
    for (index, host) in fleet.hosts.iter().enumerate() {
        let motd = written(&fleet, index, "etc/motd").unwrap_or_default();
        assert!(motd.contains(&host.name), "{}: {motd}", host.name);
    }
    let again = hostler(args(&playbook, &fleet, &["--limit", "all:!broken"])).await;
    assert_eq!(again.code, Some(0), "{}", again.stdout);
    assert_eq!(sum(&again.stdout, "changed"), 0, "{}", again.stdout);
    fleet.down().await.unwrap();
}

/// Large contents are fetched by the host when it needs them, after the directories were made.
#[tokio::test(flavor = "multi_thread")]
async fn directories_with_large_files_are_copied_also_by_delegation() {
    let (fleet, _) = fleet(4).await;
    let source = fleet.directory().join("tree/deep");
    std::fs::create_dir_all(&source).unwrap();
    for (name, size) in [("small", 10), ("large", 300_000), ("other", 300_001)] {
        std::fs::write(source.join(name), name.repeat(size)).unwrap();
    }
    let target = fleet.hosts[0].name.clone();
    let playbook = fleet.directory().join("tree.yml");
    let text = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n\
         \x20   - copy: {{src: tree/, dest: /srv/tree/}}\n\
         \x20   - copy: {{src: tree/, dest: \"/srv/of/{{{{ inventory_hostname }}}}/\"}}\n      delegate_to: {target}\n"
    );
    std::fs::write(&playbook, text).unwrap();
    let ran = hostler(args(&playbook, &fleet, &[])).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    for (index, host) in fleet.hosts.iter().enumerate() {
        let own = written(&fleet, index, "srv/tree/deep/large").unwrap();
        assert_eq!(own.len(), 1_500_000);
        let there = written(&fleet, 0, &format!("srv/of/{}/deep/other", host.name)).unwrap();
        assert_eq!(there.len(), 1_500_005);
    }
    fleet.down().await.unwrap();
}

/// Everybody adds lines to one file of one host, and each plans by what it saw.
#[tokio::test(flavor = "multi_thread")]
async fn delegated_edits_of_one_file_take_turns() {
    let (fleet, _) = fleet(8).await;
    let target = fleet.hosts[7].name.clone();
    let playbook = fleet.directory().join("delegated.yml");
    let text = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n\
         \x20   - name: The file\n      copy: {{dest: /srv/members, content: \"\"}}\n      delegate_to: {target}\n      run_once: true\n\
         \x20   - name: A member\n      lineinfile: {{path: /srv/members, line: \"{{{{ inventory_hostname }}}}\"}}\n      delegate_to: {target}\n"
    );
    std::fs::write(&playbook, text).unwrap();
    let names: Vec<&str> = fleet.hosts.iter().map(|it| it.name.as_str()).collect();
    let preview = hostler(args(&playbook, &fleet, &["--check"])).await;
    assert_eq!(
        preview.code,
        Some(0),
        "{}{}",
        preview.stdout,
        preview.stderr
    );
    assert_eq!(sum(&preview.stdout, "changed"), 9, "{}", preview.stdout);
    assert_eq!(written(&fleet, 7, "srv/members"), None);
    let ran = hostler(args(&playbook, &fleet, &["-f", "3"])).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let members = written(&fleet, 7, "srv/members").unwrap();
    assert_eq!(
        members.lines().collect::<Vec<_>>(),
        names,
        "in the inventory's order"
    );
    fleet.down().await.unwrap();
}
