//! Previews beside what then happens, on a handful of the playbooks of `tests/preview`. `cargo xtask preview-truth` measures all
//! of them.

use real_hosts::engine::Engine;
use real_hosts::may_raise;
use xtask::truth::{self, Options};

/// What needs neither systemd nor a mirror, and is quick.
const HANDFUL: [&str; 20] = [
    "baseline-again",
    "baseline-first",
    "become-other-users",
    "blocks-and-rescue",
    "broken-kinds",
    "broken-missing-directory",
    "broken-wrong-user",
    "copy-trees",
    "cron-per-user",
    "file-trees",
    "groups-and-memberships",
    "handlers",
    "lines-blocks-replace",
    "loops",
    "partial-fleet",
    "rolling-config-delegated",
    "several-plays",
    "stat-and-when",
    "template-changes",
    "users-and-sudo",
];

/// Nothing is touched by a preview, nothing that happens is missed, and nearly all that is predicted comes true.
#[test]
fn previews_tell_the_truth() {
    let engine = Engine::under_test();
    if !may_raise("previews_tell_the_truth") || !engine.is_hostler() {
        return;
    }
    let options = Options {
        only: HANDFUL.map(str::to_owned).to_vec(),
        hostler: Some(engine.program().to_path_buf()),
        fleet: "test-preview".to_owned(),
        jobs: 2,
        ..Options::default()
    };
    let report = truth::run(&options, &|_| ()).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.holds(), "{}", report.markdown());
}
