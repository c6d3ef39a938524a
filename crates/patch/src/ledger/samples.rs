//! Scans that tests look at.

use hostler_updates::{
    BootClass, Class, DatabaseState, Kernel, Manager, Os, PackageName, Reboot, RebootNeed, Scan,
    StaleProcess, Update,
};

/// A healthy host with security updates `(package, from, to)`.
pub(crate) fn scan(installed: &str, updates: &[(&str, &str, &str)]) -> Scan {
    Scan {
        taken_us: 0,
        boot_id: "boot".into(),
        uptime_s: 1,
        os: Os {
            id: "debian".into(),
            version: "13".into(),
            name: "Debian GNU/Linux 13".into(),
            codename: String::new(),
        },
        arch: "x86_64".into(),
        kernel: Kernel::default(),
        boot_class: BootClass::default(),
        manager: Manager::Apt,
        installed_sha256: installed.into(),
        installed: 400,
        repositories: Vec::new(),
        updates: updates.iter().map(|it| update(*it)).collect(),
        holds: Vec::new(),
        reboot: Reboot {
            need: RebootNeed::No,
            reasons: Vec::new(),
        },
        stale: Vec::new(),
        database: DatabaseState::Whole,
        space: Vec::new(),
        competitors: Vec::new(),
        conffiles: Vec::new(),
        forbidden: None,
        users: Vec::new(),
        findings: Vec::new(),
    }
}

fn update((name, from, to): (&str, &str, &str)) -> Update {
    Update {
        package: PackageName {
            name: name.into(),
            arch: "amd64".into(),
        },
        from: Some(from.into()),
        to: to.into(),
        suites: vec!["stable-security".into()],
        class: Class::Security,
        security_version: None,
        severity: None,
        advisories: Vec::new(),
        cves: Vec::new(),
        download_bytes: 1,
        kept_back: None,
        phased_percent: None,
        source: None,
    }
}

/// A daemon that runs a replaced library.
pub(crate) fn stale() -> Vec<StaleProcess> {
    vec![StaleProcess {
        pid: 7,
        command: "cron".into(),
        unit: Some("cron.service".into()),
        files: vec!["/usr/lib/libssl.so.3".into()],
    }]
}
