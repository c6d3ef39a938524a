//! The fleet itself: that it can be trusted to start what is missing and to leave nothing behind.

use std::fs;
use std::process::Command;

use real_hosts::{fleet, raise, shell};
use xtask::fleet::{Fleet, Init, Set};

/// Processes of any kind that hold a host of this fleet.
fn supervisors(fleet: &Fleet) -> Vec<String> {
    let mark = format!("HOSTLER_FLEET_HOST={}/", fleet.directory().display());
    let processes = fs::read_dir("/proc").expect("list processes").flatten();
    processes
        .filter(|process| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&mark)
        })
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

fn links_with(prefix: &str) -> usize {
    let links = fs::read_dir("/sys/class/net")
        .expect("list interfaces")
        .flatten();
    links
        .filter(|link| link.file_name().to_string_lossy().starts_with(prefix))
        .count()
}

#[test]
fn hosts_start_once_come_back_and_leave_nothing() {
    let Some((fleet, hosts)) = fleet("lifecycle", 3, Init::Sshd) else {
        return;
    };
    let slot = fs::read_to_string(fleet.directory().join("slot")).expect("read the slot");
    let prefix = format!("hf{slot}");
    // Three links and the bridge.
    assert_eq!(links_with(&prefix), 4);

    let started = "stat -c %Y /proc/1";
    shell(&hosts[0], "echo kept >/etc/kept");
    let before = shell(&hosts[0], started);
    raise(&fleet, Set::A, 3, Init::Sshd);
    assert_eq!(
        shell(&hosts[0], started),
        before,
        "a running host was started again"
    );

    let victims = supervisors(&fleet);
    assert_eq!(victims.len(), 3, "{victims:?}");
    let killed = Command::new("kill")
        .arg("-KILL")
        .args(&victims)
        .status()
        .expect("start kill");
    assert!(killed.success());
    raise(&fleet, Set::A, 3, Init::Sshd);
    assert_eq!(shell(&hosts[0], "cat /etc/kept"), "kept");

    let directory = fleet.directory().to_path_buf();
    fleet.down().expect("take the fleet down");
    assert_eq!(links_with(&prefix), 0);
    assert_eq!(supervisors(&fleet), Vec::<String>::new());
    assert!(!directory.exists());
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read the mounts");
    assert!(!mounts.contains(&*directory.to_string_lossy()), "{mounts}");
    fleet.down().expect("take the fleet down again");
}

#[test]
fn a_fleet_whose_directory_was_deleted_is_swept_by_the_next() {
    let Some((lost, _)) = fleet("lost", 1, Init::Sshd) else {
        return;
    };
    fs::remove_dir_all(lost.directory()).expect("delete the state");
    assert_eq!(supervisors(&lost).len(), 1);
    let Some(_next) = fleet("next", 1, Init::Sshd) else {
        return;
    };
    assert_eq!(supervisors(&lost), Vec::<String>::new());
}
