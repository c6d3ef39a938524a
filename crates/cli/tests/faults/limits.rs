//! A controller with little: a name service that never answers (F-09), few file descriptors (F-34).

use std::process::Command;
use std::time::{Duration, Instant};

use crate::site::{Site, path, run};

const PLAYBOOK: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      command: uname -n
      changed_when: false
    - name: Append
      shell: echo here >> /srv/log
";

/// The same command, with this shell line before it.
fn after(line: &str, wrapped: &Command) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{line}; exec \"$@\""), "sh"])
        .arg(wrapped.get_program())
        .args(wrapped.get_args())
        .env_clear()
        .stdin(std::process::Stdio::null());
    for (name, value) in wrapped.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    if let Some(directory) = wrapped.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn with_too_few_file_descriptors_no_host_is_contacted() {
    let site = Site::up(40).await;
    let (playbook, inventory) = (
        path(&site.playbook(PLAYBOOK)),
        path(&site.fleet.inventory_path()),
    );
    let apply = site.hostler(&["apply", &playbook, "-i", &inventory]);
    let ran = run(after("ulimit -n 50", &apply)).await;
    assert_eq!(ran.code, Some(4), "{}", ran.said());
    let said = ran.said();
    assert!(
        said.contains("the limit of open files is 50") && said.contains("ulimit -n 60"),
        "{said}"
    );
    assert!(!said.contains("UNREACHABLE"), "{said}");
    for index in 0..site.fleet.hosts.len() {
        assert_eq!(site.written(index, "srv/log"), None);
    }
    let ran = run(after("ulimit -n 60", &apply)).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said());
    for (index, host) in site.fleet.hosts.iter().enumerate() {
        assert_eq!(ran.bad(&host.name), 0, "{}", ran.said());
        assert_eq!(site.written(index, "srv/log").as_deref(), Some("here\n"));
    }
    site.fleet.down().await.unwrap();
}

/// A network of its own in which every packet is lost, with a name server that is one of those places.
const LOST_NETWORK: &str = "
    ip link set lo up && ip link add lost type veth peer name void && ip link set lost up && ip link set void up &&
    ip address add 192.0.2.1/24 dev lost && ip neighbour add 192.0.2.53 lladdr 02:00:00:00:00:35 dev lost nud permanent &&
    mount --bind resolv.conf \"$(readlink -f /etc/resolv.conf)\" || exit 77";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_service_that_never_answers_costs_its_deadline() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write("resolv.conf", "nameserver 192.0.2.53\n");
    write("site.yml", &PLAYBOOK.replace("/srv/log", "log"));
    write(
        "hosts",
        "here ansible_connection=local\nnowhere ansible_host=nowhere.example.com\n",
    );
    let mut apply = Command::new(env!("CARGO_BIN_EXE_hostler"));
    apply
        .args(["apply", "site.yml", "-i", "hosts"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("NO_COLOR", "1");
    let inner = after(LOST_NETWORK, &apply);
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net", "--mount"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(home.path())
        .env_clear()
        .stdin(std::process::Stdio::null());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let begun = Instant::now();
    let ran = run(command).await;
    if ran.code == Some(77) {
        assert!(
            std::env::var_os("HOSTLER_REQUIRE_FLEET").is_none(),
            "no network of its own: {}",
            ran.said()
        );
        return;
    }
    assert_eq!(ran.code, Some(4), "{}", ran.said());
    assert_eq!((ran.bad("here"), ran.bad("nowhere")), (0, 1));
    assert!(
        ran.said().contains("name resolution") && ran.said().contains("within 5 s"),
        "{}",
        ran.said()
    );
    // The system's resolver would go on asking for longer; nobody waits for it.
    assert!(begun.elapsed() < Duration::from_secs(60));
}
