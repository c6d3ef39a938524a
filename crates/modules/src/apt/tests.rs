use super::*;
use hostler_module_api::fake::{Checked, FakeHost, check_fails, check_module};
use hostler_module_api::{Mode, execute};
use serde_json::json;

mod previews;

const OPTIONS: &str =
    "apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=60";
const NGINX: &str =
    "Package: nginx\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.22.1-9\nProvides: httpd\n";
const INSTALL_JQ: &str = "Inst libjq1 (1.6-2.1 Debian:12 [amd64])\nInst jq (1.6-2.1 Debian:12 [amd64])\n";

const JQ_URIS: &str = "After this operation, 441 kB of additional disk space will be used.
'http://deb.debian.org/jq_1.6-2.1_amd64.deb' jq_1.6-2.1_amd64.deb 64432 MD5Sum:1
'http://deb.debian.org/libjq1_1.6-2.1_amd64.deb' libjq1_1.6-2.1_amd64.deb 136460 MD5Sum:2
";

fn args(json: serde_json::Value) -> Value {
    serde_json::from_value(json).unwrap()
}

fn run(json: serde_json::Value, host: FakeHost) -> Checked {
    check_module::<This>(args(json), host)
}

fn debian() -> FakeHost {
    FakeHost::bare()
        .file("/usr/bin/apt-get", "")
        .attrs("/usr/bin/apt-get", 0, 0, 0o755)
        .dir("/var/lib/apt/lists", 0o755)
        .file("/var/lib/dpkg/status", NGINX)
}

fn with(package: &str, version: &str) -> String {
    format!("{NGINX}\nPackage: {package}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n")
}

/// The lists of a fake host are nearly as old as the epoch, and refreshing them finds nothing new.
fn refreshing(mut host: FakeHost) -> FakeHost {
    use hostler_module_api::Applier as _;
    let times = hostler_change::Times { atime_ns: None, mtime_ns: Some(2_000_000_000) };
    let edit = Edit::SetTimes { path: LISTS.into(), times };
    host.apply(&hostler_change::Planned { edit, deltas: Vec::new() }).unwrap();
    host.on("apt-get update", |_| CommandOutput::default())
}

#[test]
fn what_is_installed_needs_no_program() {
    let done = run(json!({"name": ["nginx", "httpd", "nginx=1.22*", "nginx>=1.20"]}), debian());
    assert!(!done.first.changed && done.host.ran.is_empty());
    assert_eq!(done.first.fields.get("cache_updated"), Some(&Value::Bool(false)));
}

#[test]
fn installs_once_and_shows_what_apt_resolves() {
    let host = debian()
        .answers("apt-get -q -y --simulate install jq", 0, INSTALL_JQ)
        .answers("apt-get -q -y --print-uris install jq", 0, JQ_URIS)
        .on(&format!("{OPTIONS} install jq"), |host| {
            host.set_text("/var/lib/dpkg/status", &with("jq", "1.6-2.1"));
            CommandOutput { stdout: b"Setting up jq".to_vec(), ..CommandOutput::default() }
        });
    let done = run(json!({"name": ["nginx", "jq"]}), host);
    assert!(done.check.changed && done.first.changed && !done.second.changed);
    let shown = [
        Delta::action("apt", "2 packages to install; 200 kB to download, 441 kB more disk space"),
        Delta::field("package libjq1", "version", Value::Null, "1.6-2.1"),
        Delta::field("package jq", "version", Value::Null, "1.6-2.1"),
        Delta::action("apt", "new dependencies: libjq1"),
        Delta::action("apt", "from Debian:12: jq, libjq1"),
    ];
    assert_eq!(done.check.deltas, shown);
    assert_eq!(done.check.fields.get("stdout"), Some(&Value::str(INSTALL_JQ)));
    assert_eq!(done.first.fields.get("stdout"), Some(&Value::str("Setting up jq")));
}

#[test]
fn latest_asks_apt_each_time() {
    let simulate = "apt-get -q -y --simulate install nginx";
    let host = debian()
        .answers("apt-get -q -y --print-uris install nginx", 0, "")
        .answers(simulate, 0, "Inst nginx [1.22.1-9] (1.22.1-10 Debian:12 [amd64])\n")
        .on(&format!("{OPTIONS} install nginx"), move |host| {
            host.set_text("/var/lib/dpkg/status", &NGINX.replace("-9", "-10"));
            host.answer(simulate, 0, "0 upgraded\n");
            CommandOutput::default()
        });
    let done = run(json!({"name": "nginx", "state": "latest"}), host);
    assert!(done.first.changed && !done.second.changed);
}

#[test]
fn refreshed_lists_are_a_change_only_if_they_changed_which_a_preview_cannot_know() {
    let done = run(json!({"update_cache": true}), refreshing(debian()));
    assert!(!done.check.changed && done.check.incomplete && !done.first.changed);
    assert_eq!(done.check.fields.get("cache_updated"), Some(&Value::Bool(false)));
    let both = run(json!({"update_cache": true, "name": "nginx"}), refreshing(debian()));
    assert!(!both.first.changed && both.check.incomplete);
}

#[test]
fn lists_that_are_new_enough_are_left_alone() {
    let mut json = json!({"cache_valid_time": 3600});
    let done = run(json.clone(), refreshing(debian()));
    assert!(done.first.changed && !done.second.changed, "the time of the lists is set, so that they are new enough");
    assert_eq!(done.host.ran.len(), 1);
    json["update_cache"] = true.into();
    let mut host = done.host;
    host.ran.clear();
    assert!(!run(json, host).first.changed);
}

#[test]
fn a_package_that_only_fresh_lists_have_is_installed_in_the_second_round() {
    let simulate = "apt-get -q -y --simulate install jq";
    let mut host = debian().answers("apt-get -q -y --print-uris install jq", 0, JQ_URIS);
    host.answer(simulate, 100, "E: Unable to locate package jq\n");
    let host = host
        .on("apt-get update", move |host| {
            host.answer(simulate, 0, INSTALL_JQ);
            CommandOutput::default()
        })
        .on(&format!("{OPTIONS} install jq"), |host| {
            host.set_text("/var/lib/dpkg/status", &with("jq", "1.6-2.1"));
            CommandOutput::default()
        });
    let done = run(json!({"name": "jq", "update_cache": true}), host);
    assert!(done.check.incomplete && done.first.changed);
    assert_eq!(done.check.warnings, ["No package matching 'jq' is available; refreshed package lists decide that"]);
    assert_eq!(done.first.deltas.len(), 6);
}

#[test]
fn removes_and_purges() {
    let host = debian()
        .answers("apt-get -q -y --simulate --purge remove nginx", 0, "Purg nginx [1.22.1-9]\n")
        .on_writes(&format!("{OPTIONS} --purge remove nginx"), &[("/var/lib/dpkg/status", "")]);
    let done = run(json!({"name": ["nginx", "jq"], "state": "absent", "purge": true}), host);
    assert!(done.first.changed && !done.second.changed);
    assert!(!run(json!({"name": "jq", "state": "absent"}), debian()).first.changed);
}

#[test]
fn upgrades_all_and_says_what_is_held() {
    let simulate = "apt-get -q -y --simulate dist-upgrade";
    let held = NGINX.replace("install ok", "hold ok");
    let host = debian()
        .file("/var/lib/dpkg/status", held)
        .answers("apt-get -q -y --print-uris dist-upgrade", 0, "")
        .answers(simulate, 0, "The following packages have been kept back:\n  nginx\nInst tar [1.34] (1.35 Debian:12 [amd64])\n")
        .on(&format!("{OPTIONS} dist-upgrade"), move |host| {
            host.answer(simulate, 0, "The following packages have been kept back:\n  nginx\n");
            CommandOutput { stdout: b"done".to_vec(), ..CommandOutput::default() }
        });
    let done = run(json!({"upgrade": "dist"}), host);
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(done.first.warnings, ["held back (apt-mark hold): nginx"]);
    assert_eq!(done.first.fields.get("msg"), Some(&Value::str("done")));
}

#[test]
fn patterns_and_marks() {
    let host = debian()
        .answers("apt-cache pkgnames", 0, "nginx\nnano\njq\n")
        .file("/var/lib/apt/extended_states", "Package: nginx\nArchitecture: amd64\nAuto-Installed: 1\n")
        .on_writes("apt-mark manual nginx", &[("/var/lib/apt/extended_states", "")]);
    let done = run(json!({"name": "ngi*"}), host.clone());
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(check_fails::<This>(args(json!({"name": "zz*"})), host), "No package(s) matching 'zz*' available");
}

#[test]
fn a_package_file() {
    let fields = "dpkg-deb -f /root/x.deb Package Version Architecture";
    let host = debian()
        .answers(fields, 0, "Package: nginx\nVersion: 2\nArchitecture: amd64\n")
        .answers("apt-get -q -y --print-uris install /root/x.deb", 0, "")
        .answers("apt-get -q -y --simulate install /root/x.deb", 0, "Inst nginx [1.22.1-9] (2 local-deb [amd64])\n")
        .on_writes(&format!("{OPTIONS} install /root/x.deb"), &[("/var/lib/dpkg/status", &NGINX.replace("1.22.1-9", "2"))]);
    let done = run(json!({"deb": "/root/x.deb"}), host);
    assert!(done.first.changed && !done.second.changed);
    let host = debian();
    let check = Mode { check: true, diff: false, forecast: false };
    let outcome = execute::<This>(&args(json!({"deb": "https://example.org/x.deb"})), check, &mut host.clone());
    assert!(outcome.incomplete && outcome.changed);
}

#[test]
fn services_are_kept_from_starting_by_a_wrapper() {
    let wanted = from(json!({"name": "jq", "policy_rc_d": 101}));
    let program = super::command::Work::install(&wanted, vec!["jq".into()]).real(&wanted, false);
    assert_eq!(program.argv[0], "sh");
    assert_eq!(program.argv[4..7], ["101", "apt-get", "-q"]);
    assert!(program.env.contains(&("DEBIAN_FRONTEND".into(), "noninteractive".into())));
}

fn from(json: serde_json::Value) -> Args {
    hostler_module_api::from_value(&args(json)).unwrap()
}

#[test]
fn refusals() {
    let mut host = debian();
    host.answer("apt-get -q -y --print-uris install nginx", 0, "");
    host.answer("apt-get -q -y --simulate install nope", 100, "E: Unable to locate package nope\n");
    host.answer("apt-get -q -y --simulate install nginx=9", 100, "E: Version '9' for 'nginx' was not found\n");
    host.answer("apt-get -q -y --simulate install nginx", 0, "Inst nginx [1.22.1-9] (1.22.1-10 D [amd64])\n");
    host.answer("apt-get -q -y --simulate install tar", 100, "E: Held packages were changed and -y was used without --allow-change-held-packages.\n");
    let say = |json| check_fails::<This>(args(json), host.clone());
    assert_eq!(say(json!({"name": "nope"})), "No package matching 'nope' is available");
    assert_eq!(say(json!({"name": "nginx=9"})), "no available installation candidate for nginx=9");
    assert_eq!(say(json!({"name": "nginx>=2"})), "no available installation candidate for nginx>=2");
    assert_eq!(say(json!({"name": "tar"})), "'apt-get -q -y install tar' failed: Held packages were changed and -y was used without --allow-change-held-packages.");
    assert_eq!(say(json!({"name": "a=b=c"})), "invalid package spec: a=b=c");
    assert_eq!(say(json!({"name": "x", "upgrade": "dist"})), "parameters are mutually exclusive: deb|package|upgrade");
    assert!(say(json!({})).starts_with("one of the following is required"));
    assert!(check_fails::<This>(args(json!({"name": "x"})), FakeHost::bare()).contains("apt-get"));
}
