//! Plans for simulations.

use std::collections::BTreeMap;

use hostler_patch::plan::{
    Gate, GateCheck, Group, Hook, HookWork, HostPlan, IfGone, Pin, Plan, Procedure, RebootRule,
    Rollback, SnapshotRule, UnreachableRule, Wave,
};
use hostler_schedule::{Interval, Occurrence};
use hostler_updates::{
    Action, ActionKind, BootClass, Class, Conffiles, Firmware, Manager, Os, PackageName,
    PreflightLimits, WayBack,
};
use serde_json::{Value, json};

use super::fleet::at;

pub(crate) fn action(name: &str, to: Option<&str>) -> Action {
    Action {
        package: PackageName {
            name: name.to_owned(),
            arch: "amd64".to_owned(),
        },
        kind: if to.is_some() {
            ActionKind::Upgrade
        } else {
            ActionKind::Remove
        },
        from: Some("1".to_owned()),
        to: to.map(str::to_owned),
        suites: vec!["security".to_owned()],
        class: Class::Security,
        download_bytes: 1000,
        sha256: None,
        dependency: false,
    }
}

pub(crate) fn action_json(name: &str, to: Option<&str>) -> Value {
    json!(action(name, to))
}

pub(crate) fn host(wave: u32, order: u32, actions: &[(&str, &str)]) -> HostPlan {
    HostPlan {
        os: Os {
            id: "debian".to_owned(),
            version: "13".to_owned(),
            name: "Debian 13".to_owned(),
            codename: String::new(),
        },
        arch: "x86_64".to_owned(),
        boot_class: BootClass {
            firmware: Firmware::Bios,
            virtualisation: "kvm".to_owned(),
            model: String::new(),
        },
        manager: Manager::Apt,
        installed_sha256: String::new(),
        wave,
        order,
        groups: Vec::new(),
        actions: actions
            .iter()
            .map(|(name, to)| action(name, Some(to)))
            .collect(),
        waiting: Vec::new(),
        reboot_reasons: Vec::new(),
        restarts: Vec::new(),
        conffiles: Vec::new(),
        download_bytes: 1000,
        expected_s: 120,
        expected_p95_s: 300,
        way_back: WayBack::default(),
        own_windows: None,
    }
}

pub(crate) fn wave(name: &str, parallel: u32) -> Wave {
    Wave {
        name: name.to_owned(),
        window: None,
        reserve_s: 60,
        parallel,
        ramp: false,
        max_failures: 0,
        soak_s: 0,
        gates: Vec::new(),
        approve: false,
        proves: false,
        uncovered: Vec::new(),
    }
}

pub(crate) fn drain() -> Hook {
    let command = |line: &str| HookWork::Command {
        command: line.to_owned(),
    };
    Hook {
        name: "drain".to_owned(),
        work: command("drain"),
        undo: Some(command("undrain")),
        retries: 1,
        every_s: 5,
    }
}

pub(crate) fn smoke() -> Hook {
    Hook {
        name: "smoke".to_owned(),
        undo: None,
        ..drain()
    }
}

pub(crate) fn gate() -> Gate {
    Gate {
        check: GateCheck::Command {
            command: "check".to_owned(),
            ok_rc: vec![0],
            on_controller: false,
        },
        timeout_s: 30,
        retries: 1,
        every_s: 10,
    }
}

pub(crate) fn group(name: &str, hosts: &[&str], max_unavailable: u32, gate: Option<&str>) -> Group {
    Group {
        name: name.to_owned(),
        hosts: hosts.iter().map(|&it| it.to_owned()).collect(),
        max_unavailable,
        gate: gate.map(str::to_owned),
        unavailable: Vec::new(),
    }
}

/// A window with such occurrences, in seconds since the start.
pub(crate) fn window(name: &str, times: &[(i64, i64)]) -> Vec<Occurrence> {
    times
        .iter()
        .map(|&(start, end)| {
            let whole = Interval {
                start_us: at(start),
                end_us: at(end),
            };
            Occurrence {
                id: format!("policy/{name}/{start}"),
                window: name.to_owned(),
                whole,
                open: vec![whole],
                remarks: Vec::new(),
            }
        })
        .collect()
}

pub(crate) fn plan(waves: Vec<Wave>, hosts: Vec<(&str, HostPlan)>) -> Plan {
    Plan {
        form: hostler_patch::plan::FORM,
        policy: "policy".to_owned(),
        policy_path: "/policy.yml".to_owned(),
        policy_sha256: String::new(),
        made_us: at(0),
        made_by: "ada@controller".to_owned(),
        valid_until_us: at(30 * 86_400),
        zone: "UTC".to_owned(),
        windows: BTreeMap::new(),
        waves,
        groups: Vec::new(),
        gates: BTreeMap::from([("health".to_owned(), gate())]),
        procedure: Procedure {
            preflight: PreflightLimits::default(),
            clock_skew_max_s: 30,
            mask_competitors: true,
            reboot_first: false,
            pre: vec![drain()],
            post: vec![smoke()],
            conffiles: Conffiles::KeepOld,
            restart_allow: Vec::new(),
            restart_deny: Vec::new(),
            reboot: RebootRule::IfRequired,
            reboot_timeout_s: 600,
            logins: 3,
            snapshot: SnapshotRule::None,
        },
        max_failures: 5,
        unreachable: UnreachableRule::CountAsFailure,
        pin: Pin::Proven,
        if_gone: IfGone::Hold,
        boot_critical: vec!["linux-image*".to_owned()],
        proven: Vec::new(),
        rollback: Rollback::default(),
        hosts: hosts
            .into_iter()
            .map(|(name, host)| (name.to_owned(), host))
            .collect(),
        left_out: BTreeMap::new(),
        risks: Vec::new(),
    }
}

/// One wave of these hosts, one after the other, each with one update. It proves, as the only wave of a policy does.
pub(crate) fn small(names: &[&str]) -> Plan {
    let hosts = (0u32..)
        .zip(names)
        .map(|(order, name)| (*name, host(0, order, &[("nginx", "2")])));
    let mut all = wave("all", 1);
    all.proves = true;
    plan(vec![all], hosts.collect())
}

/// A canary, two early ones, and the rest.
pub(crate) fn three_waves(rest: u32) -> Plan {
    let names: Vec<String> = (0..rest).map(|it| format!("r{it:02}")).collect();
    let mut hosts = vec![
        ("canary", host(0, 0, &[("nginx", "2"), ("libc6", "2")])),
        ("e1", host(1, 0, &[("nginx", "2")])),
        ("e2", host(1, 1, &[("libc6", "2")])),
    ];
    for (order, name) in (0u32..).zip(&names) {
        hosts.push((name.as_str(), host(2, order, &[("nginx", "2")])));
    }
    let mut waves = vec![wave("canary", 1), wave("early", 2), wave("rest", 4)];
    waves[0].proves = true;
    waves[0].gates = vec!["health".to_owned()];
    waves[0].soak_s = 600;
    waves[1].max_failures = 1;
    waves[1].proves = true;
    waves[2].max_failures = 1;
    waves[2].ramp = true;
    plan(waves, hosts)
}
