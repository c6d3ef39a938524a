//! Snapshots of file systems on loop devices of this machine: made, gone back to, removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use real_hosts::engine::Engine;
use real_hosts::may_raise;
use xtask::process::{find_program, run};

/// A file system on a loop device, in a mount namespace of its own: the whole test is a script that runs there.
struct Machine {
    dir: PathBuf,
    program: PathBuf,
}

impl Machine {
    /// `None`, and said so, where this machine cannot do it.
    fn new(name: &str, tools: &[&str], kernel: &str) -> Option<Self> {
        if !may_raise(name) {
            return None;
        }
        let engine = Engine::under_test();
        let missing = tools.iter().find(|it| find_program(it).is_none());
        let known = [Path::new("/proc/filesystems"), Path::new("/proc/misc")]
            .iter()
            .any(|it| fs::read_to_string(it).is_ok_and(|it| it.contains(kernel)));
        if let Some(why) = missing.copied().or((!known).then_some(kernel)) {
            skipped(name, why);
            return None;
        }
        let dir = std::env::temp_dir().join(format!("hostler-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("mnt")).expect("make a directory");
        let inventory = "here ansible_connection=local\n";
        fs::write(dir.join("hosts"), inventory).expect("write the inventory");
        engine.is_hostler().then(|| Machine {
            dir,
            program: engine.program().to_owned(),
        })
    }

    /// Runs a script with `$M` (where to mount), `$D` (a loop device), `$I` (its image) and `play NAME`.
    fn script(&self, text: &str) -> String {
        let head = format!(
            r#"set -e
cd {dir}
M={dir}/mnt I={dir}/image
export HOME={dir} NO_COLOR=1 LC_ALL=C.UTF-8
play() {{ {program} apply -i hosts "$1.yml" 2>&1 || {{ echo "play $1 failed"; exit 1; }}; }}
truncate -s 300M "$I"
D=$(losetup -f --show "$I")
trap 'umount "$M" 2>/dev/null || true; losetup -d "$D"' EXIT
"#,
            dir = self.dir.display(),
            program = self.program.display(),
        );
        let file = self.dir.join("script");
        fs::write(&file, head + text).expect("write the script");
        let output = run(Command::new("unshare").args(["-m", "bash"]).arg(&file));
        let output = output.unwrap_or_else(|failure| panic!("{failure}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn play(&self, name: &str, tasks: &str) {
        let tasks = tasks.replace("MNT", &self.dir.join("mnt").display().to_string());
        let text = format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
        fs::write(self.dir.join(format!("{name}.yml")), text).expect("write a playbook");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
fn skipped(name: &str, why: &str) {
    eprintln!("SKIPPED, NOT TESTED: {name} needs {why}");
}

const MAKE: &str = "    - patch_snapshot: {run: s1, state: present, path: MNT}
      register: made
    - patch_snapshot: {run: s1, state: present, path: MNT}
      register: again
    - debug: {msg: \"made {{ made.changed }} {{ again.changed }} {{ again.snapshot.provider }}\"}
    - copy: {content: \"new\\n\", dest: MNT/version}
";
const BACK: &str = "    - patch_rollback: {run: s1, snapshot: \"{{ made.snapshot }}\"}
      register: back
    - debug: {msg: \"back {{ back.changed }} {{ back.rolled_back.needs_reboot }}\"}
";
const REMOVE: &str = "    - patch_snapshot: {run: s1, state: absent, path: MNT}
      register: gone
    - debug: {msg: \"gone {{ gone.changed }}\"}
";

#[test]
fn a_subvolume_comes_back_by_default_and_by_name() {
    let Some(machine) = Machine::new("btrfs", &["mkfs.btrfs", "btrfs"], "btrfs") else {
        return;
    };
    machine.play("go", &format!("{MAKE}{BACK}{BACK}"));
    let subvolume = r#"
mkfs.btrfs -q -f "$D" >/dev/null
mount "$D" "$M"; btrfs subvolume create "$M/@" >/dev/null; umount "$M"
mount -o subvol=@ "$D" "$M"
echo old >"$M/version"
"#;
    let default = format!(
        r#"{subvolume}
play go
cat "$M/version"
umount "$M"; mount "$D" "$M"
echo then; cat "$M/version"
"#
    );
    let said = machine.script(&default);
    assert!(said.contains("made True False btrfs"), "{said}");
    let (first, second) = (said.find("back True True"), said.find("back False True"));
    assert!(first.is_some() && first < second, "{said}");
    assert!(said.ends_with("new\nthen\nold\n"), "{said}");

    let named = format!(
        r#"{subvolume}
echo "$D $M btrfs subvol=@ 0 0" >fstab
mount --bind fstab /etc/fstab
play go
cat "$M/version"
umount "$M"; mount -o subvol=@ "$D" "$M"
echo then; cat "$M/version"; ls -d /run/hostler-btrfs* 2>/dev/null || echo tidy
"#
    );
    let said = machine.script(&named);
    assert!(
        said.contains("back True True") && said.contains("back False True"),
        "{said}"
    );
    assert!(said.ends_with("new\nthen\nold\ntidy\n"), "{said}");
}

#[test]
fn a_snapshot_that_is_not_needed_goes() {
    let Some(machine) = Machine::new("btrfs-gone", &["mkfs.btrfs", "btrfs"], "btrfs") else {
        return;
    };
    machine.play("go", &format!("{MAKE}{REMOVE}{REMOVE}"));
    let said = machine.script(
        r#"mkfs.btrfs -q -f "$D" >/dev/null
mount "$D" "$M"
echo old >"$M/version"
play go
cat "$M/version"
btrfs subvolume list "$M" | wc -l
"#,
    );
    assert!(
        said.contains("gone True") && said.contains("gone False"),
        "{said}"
    );
    assert!(said.ends_with("new\n0\n"), "{said}");
}
