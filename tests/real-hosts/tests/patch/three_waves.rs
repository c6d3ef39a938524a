//! A night in which all goes well: twenty hosts, three waves, everything that a policy can say.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::night::{Night, Ran, boot_id, drains, notes, run_of, runs, short, until, versions};
use crate::web::Web;
use real_hosts::shell;
use xtask::fleet::Host;

#[test]
fn twenty_hosts_in_three_waves() {
    let Some(night) = Night::raise("three-waves", 20) else {
        return;
    };
    let web = Web::start();
    night.publish(&["night"]);
    let policy = night.full(&web, &[]);
    night.patch(&["lint", &policy]).expect_code(0);
    let (file, plan) = night.plan(&policy);

    // A canary for each role, a fifth, the rest.
    let waves = [0, 1, 2].map(|wave| night.wave(&plan, wave));
    assert_eq!(waves.each_ref().map(Vec::len), [2, 4, 14], "{plan}");
    let is_db = |host: &&&Host| night.hosts[17..].iter().any(|db| db.name == host.name);
    assert_eq!(waves[0].iter().filter(is_db).count(), 1);

    let before: BTreeMap<&str, String> = night
        .hosts
        .iter()
        .map(|host| (host.name.as_str(), boot_id(host)))
        .collect();
    let running = night.start_apply(&file);
    // The last wave waits for somebody.
    let passed = |wave: u64| {
        let notes = notes(&running.said());
        notes
            .iter()
            .any(|it| it["note"] == "wave_passed" && it["wave"] == wave)
    };
    until(&running, "the end of the second wave", || passed(1));
    for host in &waves[2] {
        assert_eq!(drains(host), [], "{}", host.name);
    }
    let run = run_of(&running);
    night.patch(&["approve", &run, "rest"]).expect_code(0);
    Ran::of(running.finish()).expect_code(0);

    for host in &night.hosts {
        let name = host.name.as_str();
        assert_eq!(
            short(&versions(host)),
            "added 2.0, broken 1.0, conf 2.0, extra 2.0, gone 1.0, held 1.0, kernel 2.0, lib 2.0, service 2.0, slow 1.0",
            "{name}"
        );
        assert_eq!(runs(host), "service 2.0, library 2.0", "{name}");
        assert_ne!(boot_id(host), before[name], "{name} was rebooted");
        assert_eq!(drains(host).len(), 1, "{name}");
        let conffile = shell(host, "cat /etc/hostler-made/made.conf");
        assert!(conffile.contains("owner = by-hand") && conffile.contains("level = 1.0"));
        let left = "ls /srv/drained /run/reboot-required 2>/dev/null || true; \
                    systemctl is-active apt-daily.timer; systemctl is-enabled apt-daily.timer";
        assert_eq!(shell(host, left), "active\nenabled", "{name}");
    }
    in_order(&waves);
    budgets(&night);
    assert!(
        web.asked.load(Ordering::Relaxed) >= 2,
        "alerts were asked for"
    );

    // Nothing is left to do, and every host says why.
    let (_, again) = night.plan(&policy);
    assert_eq!(again["hosts"], serde_json::json!({}));
    assert_eq!(
        again["left_out"].as_object().map(serde_json::Map::len),
        Some(20)
    );
    let report = night.patch(&["report"]);
    report.expect_code(0);
}

/// No host of a wave is drained before the wave before it is over.
fn in_order(waves: &[Vec<&Host>; 3]) {
    let times =
        |wave: &[&Host]| -> Vec<(f64, f64)> { wave.iter().flat_map(|host| drains(host)).collect() };
    for pair in waves.windows(2) {
        let last = times(&pair[0]).iter().map(|it| it.1).fold(0.0, f64::max);
        let first = times(&pair[1])
            .iter()
            .map(|it| it.0)
            .fold(f64::MAX, f64::min);
        assert!(last < first, "{last} {first}");
    }
}

/// Of the three databases never two at a time, of the seventeen others never more than three.
fn budgets(night: &Night) {
    for (hosts, most) in [(&night.hosts[17..], 1), (&night.hosts[..17], 3)] {
        let times: Vec<(f64, f64)> = hosts.iter().flat_map(drains).collect();
        for (at, _) in &times {
            let out = times
                .iter()
                .filter(|(from, to)| from <= at && at < to)
                .count();
            assert!(out <= most, "{out} at {at}: {times:?}");
        }
    }
}
