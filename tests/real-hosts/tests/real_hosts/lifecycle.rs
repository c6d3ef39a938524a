//! The fleet itself: that it can be trusted to start what is missing and to leave nothing behind.

use std::fs;
use std::process::Command;
use std::time::Duration;

use real_hosts::{fleet, raise, shell};
use xtask::fleet::{Fault, Fleet, Init, Set};
use xtask::made::Archive;
use xtask::process::wait_for;

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

const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

#[test]
fn an_archive_is_what_was_published_and_reboots_go_wrong_as_told() {
    let Some((fleet, hosts)) = fleet("archive", 2, Init::Systemd) else {
        return;
    };
    let archive = Archive::of(&fleet);
    let done =
        |result: xtask::process::Result<()>| result.unwrap_or_else(|failure| panic!("{failure}"));
    done(archive.install(&hosts));
    let simulate = "apt-get -qq update; apt-get -qq -s upgrade | grep ^Inst || true";
    assert_eq!(shell(&hosts[0], simulate), "");
    done(archive.publish(&["lib-2.0", "held-2.0", "gone-2.0"]));
    done(archive.withdraw(&["gone-2.0"]));
    let line = "Inst hostler-made-lib [1.0] (2.0 Debian-Security:12/made-security [amd64])";
    assert_eq!(shell(&hosts[0], simulate).replace("arm64", "amd64"), line);
    assert!(archive.publish(&["lib-9.0"]).is_err());

    let before = shell(&hosts[0], BOOT_ID);
    done(fleet.fault(&hosts[0], Fault::OtherKeyBoot));
    done(fleet.fault(&hosts[1], Fault::NoBoot));
    for host in &hosts {
        let _gone_with_the_host = host.shell("systemctl reboot");
    }
    let again = || {
        hosts[0]
            .shell(BOOT_ID)
            .ok()
            .filter(|id| id.trim() != before)
    };
    assert!(
        wait_for(Duration::from_secs(60), again).is_some(),
        "it came back"
    );
    let key = "cat /etc/ssh/ssh_host_ed25519_key.pub";
    assert!(shell(&hosts[0], key).contains("not the key in known_hosts"));
    let never = || hosts[1].command(&["true"]).err();
    assert!(
        wait_for(Duration::from_secs(60), never).is_some(),
        "it is down"
    );
    for host in &hosts {
        done(fleet.fault(host, Fault::Heal));
    }
    assert!(!shell(&hosts[0], key).contains("not the key"));
    assert_eq!(
        shell(&hosts[1], "systemctl is-active hostler-made"),
        "active"
    );
}
