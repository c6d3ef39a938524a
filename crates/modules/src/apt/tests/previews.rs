//! Previews in which earlier tasks would have done something.

use hostler_change::Effect;
use hostler_change::Outcome;

use super::*;

fn preview(json: serde_json::Value, host: &FakeHost) -> Outcome {
    let check = Mode { check: true, diff: false, forecast: true };
    let before = host.snapshot().clone();
    let mut host = host.clone();
    let outcome = execute::<This>(&args(json), check, &mut host);
    assert!(&before == host.snapshot() && host.ran.is_empty());
    outcome
}

fn package(name: &str, version: Option<&str>) -> Effect {
    Effect::Package { name: name.into(), version: version.map(str::to_owned) }
}

fn declared(outcome: &Outcome) -> Vec<Effect> {
    let edits = outcome.forecast.iter().flat_map(|it| &it.edits);
    let effects = edits.map(|it| match &it.edit {
        Edit::Run(run) => run.effects.clone(),
        _ => Vec::new(),
    });
    effects.flatten().filter(|it| !matches!(it, Effect::Edit(Edit::WriteFile(_)))).collect()
}

fn said(outcome: &Outcome) -> Vec<String> {
    let words = |delta: &Delta| match &delta.change {
        Change::Action(what) => what.clone(),
        Change::Field { name, before, after } => format!("{} {name} {before} {after}", delta.subject),
        _ => String::new(),
    };
    outcome.deltas.iter().map(words).collect()
}

/// Asked to do one thing, with what is pending.
fn answering(host: FakeHost, words: &str, output: &str) -> FakeHost {
    host.answers(&format!("apt-get -q -y --simulate {words}"), 0, output)
        .answers(&format!("apt-get -q -y --print-uris {words}"), 0, "'http://x/jq' jq_1.6-2.1_amd64.deb 10 \n")
}

#[test]
fn an_installation_declares_what_it_brings() {
    let host = answering(debian(), "install jq", INSTALL_JQ);
    let outcome = preview(json!({"name": "jq"}), &host);
    assert_eq!(declared(&outcome), [package("libjq1", Some("1.6-2.1")), package("jq", Some("1.6-2.1"))]);
    let host = answering(debian(), "--purge remove nginx", "Purg nginx [1.22.1-9]\n");
    let outcome = preview(json!({"name": "nginx", "state": "absent", "purge": true}), &host);
    assert_eq!(declared(&outcome), [package("nginx", None), package("nginx", None)]);
    assert_eq!(said(&outcome), ["1 package to remove", "package nginx version 1.22.1-9 None"]);
}

#[test]
fn what_an_earlier_task_would_install_is_there() {
    let pending = debian().declaring(1, package("jq", Some("1.6-2.1"))).declaring(1, package("libjq1", Some("1.6-2.1")));
    assert!(!preview(json!({"name": ["jq", "nginx"]}), &pending).changed);
    // It goes again, though the host does not have it.
    let host = answering(pending.clone(), "install jq- libjq1=1.6-2.1", "Inst libjq1 (1.6-2.1 D [amd64])\n");
    let outcome = preview(json!({"name": "jq", "state": "absent"}), &host);
    assert_eq!(said(&outcome), ["1 package to remove", "package jq version 1.6-2.1 None"]);
    // What both need is installed once.
    let both = format!("{INSTALL_JQ}Inst jo (1.9-1 D [amd64])\n");
    let host = answering(pending.clone(), "install jo jq=1.6-2.1 libjq1=1.6-2.1", &both);
    let outcome = preview(json!({"name": "jo"}), &host);
    assert_eq!(declared(&outcome), [package("jo", Some("1.9-1"))]);
    assert!(!outcome.incomplete && said(&outcome)[0] == "1 package to install", "{outcome:?}");
    // The newest is there already.
    let host = answering(pending.clone(), "install jq libjq1=1.6-2.1", INSTALL_JQ);
    assert!(!preview(json!({"name": "jq", "state": "latest"}), &host).changed);
    let host = answering(pending, "dist-upgrade jq=1.6-2.1 libjq1=1.6-2.1", INSTALL_JQ);
    assert!(!preview(json!({"upgrade": "dist"}), &host).changed);
}

#[test]
fn what_an_earlier_task_would_remove_is_gone() {
    let status = NGINX.replace("Provides", "Conffiles:\n /etc/nginx/nginx.conf 0\nProvides");
    let pending = debian().file("/var/lib/dpkg/status", status).declaring(1, package("nginx", None));
    assert!(!preview(json!({"name": "nginx", "state": "absent"}), &pending).changed);
    let host = answering(pending.clone(), "--purge remove nginx", "Purg nginx [1.22.1-9]\n");
    let outcome = preview(json!({"name": "nginx", "state": "absent", "purge": true}), &host);
    assert_eq!(said(&outcome)[1], "package nginx configuration removed None");
    assert_eq!(declared(&outcome), [package("nginx", None)]);
    let host = answering(pending.clone(), "install nginx", "nginx is already the newest version\n");
    let outcome = preview(json!({"name": "nginx"}), &host);
    assert_eq!(said(&outcome)[1], "package nginx version None 1.22.1-9");
    // What it alone needed.
    let host = answering(pending, "--auto-remove install nginx-", "Remv nginx [1.22.1-9]\nRemv libx [1]\n");
    let host = host.declaring(1, package("libx", Some("1")));
    let host = answering(host, "--auto-remove install libx=1 nginx-", "Remv nginx [1.22.1-9]\nRemv libx [1]\n");
    assert_eq!(said(&preview(json!({"autoremove": true}), &host))[1], "package libx version 1 None");
}

/// As the preview's overlay would show it.
fn with_marks(host: FakeHost, marks: &str) -> FakeHost {
    host.dir("/var/lib/apt", 0o755).file(hostler_probes::AUTO, marks)
}

const LIBJQ_IS_AUTO: &str = "Package: libjq1\nAuto-Installed: 1\n\n";

#[test]
fn what_comes_for_others_sake_is_marked() {
    let host = answering(with_marks(debian(), ""), "install jq", INSTALL_JQ);
    let outcome = preview(json!({"name": "jq"}), &host);
    let edits = &outcome.forecast.unwrap().edits;
    let Edit::Run(run) = &edits[0].edit else { panic!("{edits:?}") };
    let Some(Effect::Edit(Edit::WriteFile(write))) = run.effects.last() else { panic!("{run:?}") };
    assert_eq!(write.content, Content::Bytes(LIBJQ_IS_AUTO.into()));
    let pending = with_marks(debian(), LIBJQ_IS_AUTO);
    let pending = pending.declaring(1, package("jq", Some("1.6-2.1"))).declaring(1, package("libjq1", Some("1.6-2.1")));
    // Wanted for itself now.
    assert!(preview(json!({"name": "libjq1"}), &pending).changed);
    // What needs it goes with it.
    let unmet = "The following packages have unmet dependencies:\n jq : Depends: libjq1 (= 1.6) but it is not going to be installed\n";
    let host = answering(pending.clone(), "remove libjq1", "").answers("apt-get -q -y --simulate install libjq1- jq=1.6-2.1", 100, unmet);
    let outcome = preview(json!({"name": "libjq1", "state": "absent"}), &host);
    assert_eq!(declared(&outcome), [package("jq", None), package("libjq1", None)]);
    assert!(!outcome.incomplete);
    // Nothing needs it any more.
    let host = pending.declaring(2, package("jq", None)).answers("apt-get -q -y --simulate autoremove", 0, "");
    assert_eq!(declared(&preview(json!({"autoremove": true}), &host)), [package("libjq1", None)]);
}

#[test]
fn what_is_pending_may_be_in_the_way() {
    let host = answering(debian(), "install jo", "Remv jq [1]\nInst jo (1.9-1 D [amd64])\n")
        .declaring(1, package("jq", Some("1.6-2.1")))
        .answers("apt-get -q -y --simulate install jo jq=1.6-2.1", 100, "E: Unable to correct problems\n");
    let outcome = preview(json!({"name": "jo"}), &host);
    assert!(outcome.changed && outcome.incomplete);
    assert_eq!(said(&outcome)[1], "package jq version 1.6-2.1 None");
}

#[test]
fn packages_that_upgrade_with_others_keep_their_mark() {
    let host = debian()
        .file("/var/lib/apt/extended_states", "Package: nginx\nAuto-Installed: 1\n")
        .declaring(1, package("nginx", Some("1.22.1-10")));
    let host = answering(host, "install jq", INSTALL_JQ);
    assert!(preview(json!({"name": "jq"}), &host).changed);
}

#[test]
fn lists_that_an_earlier_task_would_refresh() {
    let host = answering(debian().touched(3, "/var/lib/apt/lists"), "install jq", INSTALL_JQ)
        .answers("apt-get -q -y --simulate install nope", 100, "E: Unable to locate package nope\n")
        .answers("apt-get -q -y --simulate install nginx", 0, "nginx is already the newest version\n")
        .answers("apt-cache pkgnames", 0, "jq\n");
    let outcome = preview(json!({"name": "jq"}), &host);
    assert!(outcome.changed && outcome.incomplete);
    assert_eq!(said(&outcome)[2], "package jq version None 1.6-2.1 or newer");
    assert!(!preview(json!({"name": "nginx"}), &host).incomplete, "what is installed needs no lists");
    for json in [json!({"name": "nope"}), json!({"name": "nginx", "state": "latest"}), json!({"name": "zz*"})] {
        let outcome = preview(json, &host);
        assert_eq!((outcome.failed, outcome.unknown[0].task), (None, 3));
    }
    let host = answering(host, "remove nginx", "Remv nginx [1.22.1-9]\n");
    let outcome = preview(json!({"name": "nginx", "state": "absent"}), &host);
    assert!(outcome.changed && !outcome.incomplete, "to remove something needs no lists either");
}

#[test]
fn sources_and_pins_that_an_earlier_task_would_write() {
    let host = answering(debian().touched(2, "/etc/apt/preferences.d/x"), "install jq", INSTALL_JQ);
    let outcome = preview(json!({"name": "jq"}), &host);
    assert!(outcome.changed && outcome.incomplete);
    assert_eq!(said(&outcome)[2], "package jq version None 1.6-2.1 or another");
    let host = debian().touched(2, "/etc/apt/sources.list.d/x.list");
    let outcome = preview(json!({"update_cache": true}), &host);
    assert!(outcome.changed, "the lists of a new source are new");
    let update = [declared(&outcome)];
    assert!(matches!(&update[0][..], [Effect::Edit(Edit::SetTimes { .. })]));
}

#[test]
fn a_package_file_that_is_not_there_yet() {
    let host = debian().touched(5, "/root/x.deb");
    let outcome = preview(json!({"deb": "/root/x.deb"}), &host);
    assert_eq!((outcome.failed, outcome.unknown[0].task), (None, 5));
}

#[test]
fn an_interrupted_dpkg_fails_the_preview_too() {
    let host = answering(debian(), "install jq", INSTALL_JQ).dir("/var/lib/dpkg/updates", 0o755);
    assert!(preview(json!({"name": "jq"}), &host).failed.is_none());
    let host = host.file("/var/lib/dpkg/updates/0000", "");
    let failed = preview(json!({"name": "jq"}), &host).failed.unwrap();
    assert!(failed.msg.starts_with("dpkg was interrupted"));
    assert!(preview(json!({"name": "nginx"}), &host).failed.is_none());
}

#[test]
fn simulations_write_nothing() {
    let wanted = from(json!({"name": "jq"}));
    let work = super::super::command::Work::install(&wanted, vec!["jq".into()]);
    let program = work.simulated(&["-o", "Dir::Cache::pkgcache="]);
    let written: Vec<&str> = program.argv[4..8].iter().map(String::as_str).collect();
    assert_eq!(written, ["-o", "Dir::Log::Planner=", "-o", "Dir::Cache::pkgcache="]);
    assert_eq!(program.shown().to_string(), "apt-get -q -y --simulate install jq");
}
