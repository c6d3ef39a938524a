//! Keys in the live view, on a terminal of its own (script(1) makes one).

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use support::{Site, wait};

const PLAYBOOK: &str = "
- name: Main
  hosts: all
  gather_facts: false
  tasks:
    - name: Slow
      shell: echo begin >> /srv/out; echo it-says-this; sleep 600
";

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_given_up_and_the_terminal_is_as_it_was() {
    let site = Site::new(1, PLAYBOOK).await;
    let log = site.directory.path().join("log");
    let line = format!(
        "{} apply site.yml -i {}; echo status $?; stty -a",
        env!("CARGO_BIN_EXE_hostler"),
        site.fleet.inventory_path().display()
    );
    let out = std::fs::File::create(&log).unwrap();
    let mut child = Command::new("script")
        .args(["-qfc", &line, "/dev/null"])
        .current_dir(site.directory.path())
        .env_clear()
        .env("HOME", site.directory.path())
        .env("TERM", "xterm-256color")
        .env("NO_COLOR", "1")
        .env("SHELL", "/bin/sh")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    site.until("begin\n").await;
    // Each key is waited for by what it shows: the view is drawn ten times a second.
    for (key, shown) in [
        ("?", "Ctrl-C once"),
        ("d", "give up which host?"),
        ("x", "Slow"),
        ("d", "give up which host?"),
        ("1", "? y / n"),
        ("y", "dropped"),
    ] {
        keyboard.write_all(key.as_bytes()).unwrap();
        wait(shown, || said().contains(shown)).await;
    }
    wait("the end", || {
        said().contains("status 2") && said().contains("icanon")
    })
    .await;
    drop(keyboard);
    let ended = tokio::task::spawn_blocking(move || child.wait())
        .await
        .unwrap();
    assert!(ended.unwrap().success());
    let said = said();
    assert!(said.contains("RECAP"), "{said}");
    let (_, modes) = said.split_once("status 2").unwrap();
    assert!(
        modes.contains(" icanon") && modes.contains(" echo "),
        "{modes}"
    );
    site.down().await;
}
