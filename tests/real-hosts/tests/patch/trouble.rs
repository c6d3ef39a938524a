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
    let said = ran.notes_say("watched", &["\"green\":false", "healthy"]);
    assert!(said, "{}", ran.story());
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
    one_cve(&night, &policy);
    let (file, plan) = night.plan(&policy);
    let canary = night.wave(&plan, 0)[0];
    shell(canary, "touch /srv/wait");
    let running = night.start_apply(&file);
    until(&running, "the canary's update", || installing(canary));
    night.publish(&["gone-2.1"]);
    night.withdraw(&["gone-2.0"]);
    shell(canary, "rm /srv/wait");
    let ran = Ran::of(running.finish());
    // Hosts that were held are not done.
    ran.expect_code(8);
    assert_eq!(version(canary, "gone"), "2.0");
    for host in night.wave(&plan, 1) {
        assert_eq!(
            version(host, "gone"),
            "1.0",
            "held, not newer: {}",
            ran.story()
        );
        let (word, why) = ran.outcome(host);
        assert!(word == "held" && why.contains("gone"), "{why}");
    }
}

/// A CVE that only a file on the controller knows: the plan for it has its package and no other, and who waits is told.
fn one_cve(night: &Night, policy: &str) {
    let path = |name: &str| night.fleet.directory().join(name).display().to_string();
    let (tracker, file) = (path("tracker.json"), path("urgent.json"));
    let codename = shell(&night.hosts[0], ". /etc/os-release; echo $VERSION_CODENAME");
    let hole = |fixed: &str| serde_json::json!({"releases": {codename.as_str(): {"status": "resolved", "fixed_version": fixed}}});
    let holes = serde_json::json!({
        "hostler-made-gone": {"CVE-2026-10001": hole("1.5"), "CVE-2026-10002": hole("2.1"), "CVE-2026-10003": hole("1.0")},
        "hostler-made-slow": {"CVE-2026-10004": hole("2.0")},
    });
    std::fs::write(&tracker, holes.to_string()).expect("write the tracker");
    let plan = |cve: &str| {
        let args = [
            "plan",
            policy,
            "--cve",
            cve,
            "--advisories",
            &tracker,
            "--out",
            &file,
        ];
        night.patch(&args).expect_code(0);
        let text = std::fs::read_to_string(&file).expect("read the plan");
        serde_json::from_str::<serde_json::Value>(&text).expect("a plan is JSON")
    };
    let urgent = plan("CVE-2026-10001");
    for host in &night.hosts {
        let actions = &urgent["hosts"][&host.name]["actions"];
        let names: Vec<&str> = actions
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["package"]["name"].as_str())
            .collect();
        assert_eq!(names, ["hostler-made-gone"], "{urgent}");
    }
    // One has its fix already, the other gets it with no version that there is.
    for cve in ["CVE-2026-10002", "CVE-2026-10003"] {
        let none = plan(cve);
        assert_eq!(none["hosts"], serde_json::json!({}), "{none}");
    }
    let args = [
        "explain",
        policy,
        "--package",
        "CVE-2026-10004",
        "--advisories",
        &tracker,
    ];
    let said = night.patch(&args);
    said.expect_code(0);
    assert_eq!(
        said.output.matches("hostler-made-slow").count(),
        night.hosts.len(),
        "{}",
        said.output
    );
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
        assert_eq!(version(host, "lib"), "2.0", "{}", ran.story());
    }
    let after: Vec<String> = night.hosts[2..].iter().map(untouched).collect();
    assert_eq!(
        before,
        after,
        "no second database was taken:\n{}",
        ran.story()
    );
}

const DRAIN: &str = "host: {pre: [{tasks: hooks/drain.yml, undo: hooks/undrain.yml}]}\n";

#[test]
fn a_window_that_ends_in_the_middle_lets_packages_finish_and_starts_nothing() {
    let Some(night) = Night::raise("window-ends", 3) else {
        return;
    };
    night.publish(&["slow-2.0", "lib-2.0"]);
    let policy = night.monthly(4 * 3600, TWO_WAVES, DRAIN);
    let (_, plan) = night.plan(&policy);
    let needed = |host: &Host| plan["hosts"][&host.name]["expected_p95_s"].as_u64();
    let needed = night
        .hosts
        .iter()
        .filter_map(needed)
        .max()
        .expect("a prediction");
    // Time for one host and a little more; and its packages take all of that.
    let open_for = Duration::from_secs(needed + 10);
    let begun = std::time::Instant::now();
    let policy = night.monthly(open_for.as_secs(), TWO_WAVES, DRAIN);
    let (file, plan) = night.plan(&policy);
    let first = night.wave(&plan, 0)[0];
    let boot = boot_id(first);
    shell(first, "touch /srv/wait");
    let others = night.others(&[first]);
    let before: Vec<String> = others.iter().map(|host| untouched(host)).collect();
    let running = night.start_apply(&file);
    until(&running, "the first host's update", || installing(first));
    let over = || (begun.elapsed() > open_for).then_some(());
    assert!(wait_for(open_for * 2, over).is_some(), "the window ends");
    assert!(installing(first), "packages are not stopped");
    // They want a reboot that nobody foresaw.
    shell(first, "touch /run/reboot-required; rm /srv/wait");
    let ran = Ran::of(running.finish());
    ran.expect_code(8);
    let (word, _) = ran.outcome(first);
    assert_eq!(word, "installed_pending_reboot", "{}", ran.story());
    assert_eq!(version(first, "slow"), "2.0");
    assert_eq!(runs(first), "service 1.0, library 1.0");
    assert_eq!(boot_id(first), boot);
    assert_eq!(drains(first).len(), 1);
    for host in &others {
        assert_eq!(ran.outcome(host).0, "deferred", "{}", ran.story());
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
    ran.expect_code(2);
    let outcomes: Vec<(String, String)> =
        night.hosts.iter().map(|host| ran.outcome(host)).collect();
    let words: Vec<&str> = outcomes.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(words, ["done", "failed", "failed", "done"], "{outcomes:?}");
    assert!(outcomes[1].1.contains("host_key"), "{}", outcomes[1].1);
    assert!(
        outcomes[2].1.contains("reboot_timeout"),
        "{}",
        outcomes[2].1
    );
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
    assert!(!tried.is_empty(), "{}", ran.story());
    for (host, was) in tried {
        assert_eq!(ran.outcome(host).0, "rolled_back", "{}", ran.story());
        assert_eq!(&versions(host), was, "{}", short(&versions(host)));
        assert_eq!(shell(host, "dpkg --audit"), "");
        assert_eq!(runs(host), "service 1.0, library 1.0");
        assert_eq!(shell(host, "ls /srv/drained 2>/dev/null || echo no"), "no");
        let conffile = shell(host, "cat /etc/hostler-made/made.conf");
        assert!(conffile.contains("owner = by-hand"), "{conffile}");
    }
}

/// Whether the postinst of `slow` waits.
fn installing(host: &Host) -> bool {
    let ask = "dpkg-query -W -f='${db:Status-Status}' hostler-made-slow";
    shell(host, ask) == "half-configured"
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
    let Some(night) = Night::raise("killed-at-night", 4) else {
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
