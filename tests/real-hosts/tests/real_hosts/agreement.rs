//! The same playbook by the engine under test and by ansible-core, on twin hosts: they must leave the same.

use real_hosts::engine::Engine;
use real_hosts::snapshot::Snapshot;
use real_hosts::{fleet, raise};
use xtask::fleet::{Init, Set};

fn twins_agree(name: &str, playbook: &str) {
    const COUNT: usize = 2;
    let Some((fleet, own)) = fleet(name, COUNT, Init::Sshd) else {
        return;
    };
    let twins = raise(&fleet, Set::B, COUNT, Init::Sshd);
    let engine = Engine::under_test();
    let oracle = Engine::ansible();
    // Twice: the first run has to agree in what it changes, the second in that it changes nothing.
    for _ in 0..2 {
        let mine = engine.apply_to(&fleet, Set::A, playbook);
        let theirs = oracle.apply_to(&fleet, Set::B, playbook);
        theirs.expect_code(0);
        mine.expect_code(0);
        assert_eq!(
            mine.recap_lines(),
            theirs.recap_lines(),
            "recap, ours first"
        );
        for (host, twin) in own.iter().zip(&twins) {
            let mine = Snapshot::of(&fleet, host).neutral(&own);
            let theirs = Snapshot::of(&fleet, twin).neutral(&twins);
            let differences = mine.changes(&theirs);
            assert!(
                differences.is_empty(),
                "{} and {}, ours first:\n{}",
                host.name,
                twin.name,
                differences.join("\n")
            );
        }
    }
}

#[test]
fn the_baseline_agrees_with_ansible_core() {
    twins_agree("twins-baseline", "baseline.yml");
}

#[test]
fn the_site_agrees_with_ansible_core() {
    twins_agree("twins-site", "site.yml");
}
