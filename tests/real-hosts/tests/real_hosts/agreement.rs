//! The same playbook by the engine under test and by ansible-core, on twin hosts: they must leave the same.

use real_hosts::engine::Engine;
use real_hosts::snapshot::Snapshot;
use real_hosts::{fleet, raise};
use xtask::fleet::{Init, Set};

/// Applies `playbook` (a path in the checkout) `runs` times with each engine, each time comparing recaps and hosts. The
/// first run has to agree in what it changes, a second in what it leaves alone.
fn twins_agree(name: &str, playbook: &str, runs: usize) {
    let count = if runs > 1 { 2 } else { 1 };
    let Some((fleet, own)) = fleet(name, count, Init::Sshd) else {
        return;
    };
    let twins = raise(&fleet, Set::B, count, Init::Sshd);
    let engine = Engine::under_test();
    let oracle = Engine::ansible();
    for _ in 0..runs {
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
    twins_agree("twins-baseline", "playbooks/baseline.yml", 2);
}

#[test]
fn the_site_agrees_with_ansible_core() {
    twins_agree("twins-site", "playbooks/site.yml", 2);
}

// The playbooks in tests/conformance write what they registered to a file, which is compared like every other.

#[test]
fn files_agree_with_ansible_core() {
    twins_agree("twins-files", "tests/conformance/files.yml", 1);
}

#[test]
fn text_agrees_with_ansible_core() {
    twins_agree("twins-text", "tests/conformance/text.yml", 1);
}

#[test]
fn accounts_agree_with_ansible_core() {
    twins_agree("twins-accounts", "tests/conformance/accounts.yml", 1);
}

#[test]
fn the_flow_agrees_with_ansible_core() {
    twins_agree("twins-flow", "tests/conformance/flow.yml", 1);
}
