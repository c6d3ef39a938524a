//! Nights in which something goes wrong: what must not happen then does not.

use std::time::Duration;

use real_hosts::shell;
use xtask::fleet::{Fault, Host};
use xtask::process::wait_for;

use crate::night::{
    Night, Ran, boot_id, drains, notes, runs, short, until, untouched, version, versions,
};
use crate::web::Web;

/// One host, then the others, without waiting.
const TWO_WAVES: &str = "[{name: first, hosts: 1, soak: 1s}, {name: rest, hosts: rest}]";
const ONE_WAVE: &str = "[{name: all, hosts: rest, parallel: 10, ramp: false, max_failures: 10}]";

#[test]
fn a_canary_that_is_sick_saves_the_others() {
    let Some(night) = Night::raise("sick-canary", 4) else {
        return;
    };
    let web = Web::start();
    night.publish(&["lib-2.0", "service-3.0"]);
    // Without the check on the host itself it is the wave's gate that sees it.
    let check = "    - {cmd: hostler-made-healthy, retries: 10, every: 2s}\n";
    let policy = night.full(&web, &[(check, "    - {cmd: \"true\"}\n")]);
    let (file, plan) = night.plan(&policy);
    let canaries = night.wave(&plan, 0);
    assert_eq!(canaries.len(), 2, "{plan}");
    let others = night.others(&canaries);
    let before: Vec<String> = others.iter().map(|host| untouched(host)).collect();
    let ran = night.apply(&file);
    ran.expect_code(3);
    let halted = ran.notes.iter().find(|it| it["note"] == "halted");
    let cause = &halted.expect("it was halted")["cause"];
    assert_eq!(cause["cause"], "gate", "{cause}");
    assert!(cause["evidence"].to_string().contains("healthy"), "{cause}");
    for canary in &canaries {
        assert_eq!(version(canary, "service"), "3.0");
    }
    let after: Vec<String> = others.iter().map(|host| untouched(host)).collect();
    assert_eq!(before, after);

    // Whoever goes on all the same is told no, and nothing begins.
    let again = Ran::of(night.start_resume().finish());
    again.expect_code(3);
    assert_eq!(
        before,
        others
            .iter()
            .map(|host| untouched(host))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_version_that_was_replaced_is_not_followed() {
    let Some(night) = Night::raise("archive-moves", 3) else {
        return;
    };
    night.publish(&["gone-2.0", "slow-2.0"]);
    let policy = night.monthly(4 * 3600, TWO_WAVES, "");
    let (file, plan) = night.plan(&policy);
    let canary = night.wave(&plan, 0)[0];
    shell(canary, "touch /srv/wait");
    let running = night.start_apply(&file);
    until(&running, "the canary's update", || {
        version(canary, "gone") == "2.0"
    });
    night.publish(&["gone-2.1"]);
    night.withdraw(&["gone-2.0"]);
    shell(canary, "rm /srv/wait");
    let ran = Ran::of(running.finish());
    ran.expect_code(0);
    assert_eq!(version(canary, "gone"), "2.0");
    for host in night.wave(&plan, 1) {
        assert_eq!(
            version(host, "gone"),
            "1.0",
            "held, not newer: {}",
            ran.output
        );
    }
    assert!(ran.output.contains("gone"), "it is told what was held");
}

#[test]
fn a_group_that_has_lost_a_member_loses_no_other() {
    let Some(night) = Night::raise("quorum", 5) else {
        return;
    };
    let web = Web::start();
    night.publish(&["lib-2.0"]);
    let lost = &night.hosts[4];
    night.fault(lost, Fault::Refuse);
    let policy = night.full(&web, &[("approve: manual", "approve: auto")]);
    let (file, _) = night.plan(&policy);
    let before: Vec<String> = night.hosts[2..].iter().map(untouched).collect();
    let ran = night.apply(&file);
    for host in &night.hosts[..2] {
        assert_eq!(version(host, "lib"), "2.0", "{}", ran.output);
    }
    let after: Vec<String> = night.hosts[2..].iter().map(untouched).collect();
    assert_eq!(
        before, after,
        "no second database was taken:\n{}",
        ran.output
    );
}

#[test]
fn what_does_not_fit_into_the_window_waits() {
    let Some(night) = Night::raise("window-ends", 3) else {
        return;
    };
    night.publish(&["slow-2.0", "lib-2.0"]);
    let policy = night.monthly(4 * 3600, TWO_WAVES, "");
    let (_, plan) = night.plan(&policy);
    let needed = |host: &Host| plan["hosts"][&host.name]["expected_p95_s"].as_u64();
    let needed = night
        .hosts
        .iter()
        .filter_map(needed)
        .max()
        .expect("a prediction");
    // There is time for the first host, and a little more; then the first host takes that little.
    let policy = night.monthly(needed + 15, TWO_WAVES, "");
    let (file, plan) = night.plan(&policy);
    let first = night.wave(&plan, 0)[0];
    shell(first, "touch /srv/wait");
    let others = night.others(&[first]);
    let before: Vec<String> = others.iter().map(|host| untouched(host)).collect();
    let running = night.start_apply(&file);
    until(&running, "the first host's update", || {
        version(first, "lib") == "2.0"
    });
    let passed = std::time::Instant::now();
    let too_late = || (passed.elapsed() > Duration::from_secs(16)).then_some(());
    wait_for(Duration::from_secs(20), too_late);
    shell(first, "rm /srv/wait");
    let ran = Ran::of(running.finish());
    ran.expect_code(4);
    assert_eq!(ran.outcome(first).0, "done", "{}", ran.output);
    assert_eq!(version(first, "slow"), "2.0");
    for host in &others {
        assert_eq!(ran.outcome(host).0, "deferred", "{}", ran.output);
    }
    let after: Vec<String> = others.iter().map(|host| untouched(host)).collect();
    assert_eq!(before, after);
}

#[test]
fn hosts_come_back_late_with_another_key_or_not_at_all() {
    let Some(night) = Night::raise("reboots", 4) else {
        return;
    };
    night.publish(&["kernel-2.0"]);
    let policy = night.monthly(4 * 3600, ONE_WAVE, "reboot: {timeout: 45s, logins: 2}\n");
    let (file, _) = night.plan(&policy);
    let before: Vec<String> = night.hosts.iter().map(boot_id).collect();
    let faults = [Fault::LateBoot, Fault::OtherKeyBoot, Fault::NoBoot];
    for (host, fault) in night.hosts.iter().zip(faults) {
        night.fault(host, fault);
    }
    let ran = night.apply(&file);
    ran.expect_code(5);
    let outcomes: Vec<(String, String)> =
        night.hosts.iter().map(|host| ran.outcome(host)).collect();
    let words: Vec<&str> = outcomes.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(
        words,
        ["done", "failed", "unreachable", "done"],
        "{outcomes:?}"
    );
    assert!(outcomes[1].1.contains("key"), "{}", outcomes[1].1);
    for host in &night.hosts {
        night.fault(host, Fault::Heal);
        assert_eq!(version(host, "kernel"), "2.0");
    }
    for index in [0, 1, 3] {
        assert_ne!(boot_id(&night.hosts[index]), before[index]);
    }
}

#[test]
fn a_broken_package_is_taken_back() {
    let Some(night) = Night::raise("way-back", 4) else {
        return;
    };
    let web = Web::start();
    night.publish(&[
        "lib-2.0",
        "conf-2.0",
        "broken-2.0",
        "extra-2.0",
        "added-2.0",
    ]);
    // What the policy excepts is what is to go wrong here.
    let policy = night.full(
        &web,
        &[(
            "packages: [hostler-made-broken]",
            "packages: [hostler-made-slow]",
        )],
    );
    let (file, plan) = night.plan(&policy);
    let canaries = night.wave(&plan, 0);
    let others = night.others(&canaries);
    let was: Vec<_> = canaries.iter().map(|host| versions(host)).collect();
    let before: Vec<String> = others.iter().map(|host| untouched(host)).collect();
    let ran = night.apply(&file);
    ran.expect_code(3);
    let after: Vec<String> = others.iter().map(|host| untouched(host)).collect();
    assert_eq!(before, after);
    let tried: Vec<_> = canaries
        .iter()
        .zip(&was)
        .filter(|(host, _)| !drains(host).is_empty())
        .collect();
    assert!(!tried.is_empty(), "{}", ran.output);
    for (host, was) in tried {
        assert_eq!(ran.outcome(host).0, "rolled_back", "{}", ran.output);
        assert_eq!(&versions(host), was, "{}", short(&versions(host)));
        assert_eq!(shell(host, "dpkg --audit"), "");
        assert_eq!(runs(host), "service 1.0, library 1.0");
        assert_eq!(shell(host, "ls /srv/drained 2>/dev/null || echo no"), "no");
        let conffile = shell(host, "cat /etc/hostler-made/made.conf");
        assert!(conffile.contains("owner = by-hand"), "{conffile}");
    }
}

/// Every step of the procedure, in its order.
const STEPS: &[&str] = &[
    "preflight",
    "mask",
    "download",
    "pre",
    "baseline",
    "install",
    "restart",
    "reboot",
    "back",
    "verify",
    "post",
    "undo",
    "release",
];

#[test]
fn a_controller_that_is_killed_at_every_step_does_everything_once() {
    let Some(night) = Night::raise("killed-at-night", 3) else {
        return;
    };
    let web = Web::start();
    night.publish(&["lib-2.0", "kernel-2.0"]);
    for host in &night.hosts {
        shell(
            host,
            "echo '@reboot root echo boot >>/var/log/boots' >/etc/cron.d/boots",
        );
    }
    let policy = night.full(&web, &[("approve: manual", "approve: auto")]);
    let (file, plan) = night.plan(&policy);
    let canary = night.wave(&plan, 0)[0].name.clone();
    let begun = |output: &str, step: &str| {
        notes(output).iter().any(|it| {
            let name = it["step"].as_str().map(str::to_owned).or_else(|| {
                it["step"]
                    .as_object()
                    .and_then(|it| it.keys().next().cloned())
            });
            it["note"] == "begun" && it["host"] == canary.as_str() && name.as_deref() == Some(step)
        })
    };
    let mut running = night.start_apply(&file);
    for step in STEPS {
        until(&running, step, || begun(&running.said(), step));
        running.kill();
        running = night.start_resume();
    }
    let ran = Ran::of(running.finish());
    ran.expect_code(0);
    for host in &night.hosts {
        let name = &host.name;
        assert_eq!(version(host, "lib"), "2.0", "{name}");
        assert_eq!(version(host, "kernel"), "2.0", "{name}");
        assert_eq!(runs(host), "service 1.0, library 2.0", "{name}");
        assert_eq!(drains(host).len(), 1, "{name}");
        let once = "grep -c ' upgrade hostler-made-kernel' /var/log/dpkg.log; cat /var/log/boots; \
                    ls /srv/drained /run/reboot-required 2>/dev/null || true; systemctl is-enabled apt-daily.timer";
        assert_eq!(shell(host, once), "1\nboot\nenabled", "{name}");
    }
}
