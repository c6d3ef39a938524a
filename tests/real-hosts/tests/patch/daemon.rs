//! The scheduler opens a window by itself, is killed in the middle of it, goes on, and never opens it again.

use std::fs;
use std::process::Command;

use crate::night::{Night, notes, until, version};
use real_hosts::shell;
use xtask::process::run;

/// The minute after the next one, as a policy has it.
fn soon() -> (String, String) {
    let output = run(Command::new("date").args(["-u", "-d", "+100 seconds", "+%Y-%m-%d %H:%M"]));
    let output = output.expect("ask for the date");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (day, time) = text.split_once(' ').expect("a day and a time");
    (day.to_owned(), time.to_owned())
}

#[test]
fn a_daemon_opens_each_window_once() {
    let Some(night) = Night::raise("daemon-at-night", 3) else {
        return;
    };
    night.publish(&["lib-2.0"]);
    let (day, time) = soon();
    let path = night.fleet.directory().join("soon.yml");
    let text = format!(
        "kind: PatchPolicy\nname: soon\ntargets: all\nupdates: all\n\
         window: {{zone: UTC, once: {day}, at: \"{time}\", duration: 3h, reserve: 0s}}\n\
         waves: [{{hosts: 1, soak: 1s}}, rest]\n"
    );
    fs::write(&path, text).expect("write the policy");
    let policy = path.display().to_string();
    let daemon = || night.start_patch(&["daemon", &policy, "--output", "json"]);

    let running = daemon();
    until(&running, "the announcement", || {
        running.said().contains("the next window opens at")
    });
    assert!(notes(&running.said()).is_empty(), "nothing is begun before");
    until(&running, "the first installation", || {
        let notes = notes(&running.said());
        notes
            .iter()
            .any(|it| it["note"] == "begun" && it["step"] == "install")
    });
    running.kill();

    let running = daemon();
    until(&running, "the end of the run", || {
        running
            .said()
            .contains("is complete: 3 of 3 hosts are patched")
    });
    assert!(running.said().contains("goes on with run"));
    running.signal("TERM");
    running.finish().expect_code(0);

    // Still open, and opened: neither another daemon nor a timer begins anything.
    let again = night.patch(&["daemon", &policy, "--once", "--output", "json"]);
    again.expect_code(0);
    assert!(notes(&again.output).is_empty() && !again.output.contains("opens soon/"));
    let windows = night.patch(&["windows", &policy, "--output", "json"]);
    windows.expect_code(0);
    assert!(
        windows.output.contains("\"opened\":true"),
        "{}",
        windows.output
    );
    for host in &night.hosts {
        assert_eq!(version(host, "lib"), "2.0", "{}", host.name);
        let once = shell(
            host,
            "grep -c ' upgrade hostler-made-lib' /var/log/dpkg.log",
        );
        assert_eq!(once, "1", "{}", host.name);
    }
}
