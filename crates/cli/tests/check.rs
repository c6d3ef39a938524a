//! `hostler check` on the playbooks of `tests/check`: those below `bad` say at their end what is found in them, in those
//! below `good` nothing is found.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::path::{Path, PathBuf};

use support::hostler;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/check")
}

fn playbooks(kind: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory().join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yml"))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// One line for each problem: `error[code] file:line:column hosts`.
fn found(json: &[u8]) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_slice(json).unwrap();
    let problems = json["problems"].as_array().unwrap();
    let mut lines: Vec<String> = problems
        .iter()
        .map(|problem| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
            let place = &problem["labels"][0];
            let file = text(&place["file"]);
            let file = Path::new(&file).file_name().unwrap().to_string_lossy();
            let hosts = match (&problem["all_hosts"], problem["hosts"].as_array()) {
                (serde_json::Value::Bool(true), _) => "all".to_owned(),
                (_, None) => String::new(),
                (_, Some(hosts)) => hosts.iter().map(text).collect::<Vec<_>>().join(" "),
            };
            let line = format!(
                "{}[{}] {file}:{}:{} {hosts}",
                text(&problem["severity"]),
                text(&problem["code"]),
                place["line"],
                place["column"],
            );
            line.trim_end().to_owned()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn bad_playbooks_are_found_out_as_they_say() {
    let mut wrong = Vec::new();
    for path in playbooks("bad") {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut said: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.starts_with("error[") || line.starts_with("warning["))
            .map(str::to_owned)
            .collect();
        said.sort();
        let name = path.display().to_string();
        let own = path.with_extension("ini");
        let inventory = if own.exists() {
            own.display().to_string()
        } else {
            "hosts.ini".to_owned()
        };
        let args = ["check", &name, "-i", &inventory, "--output", "json"];
        let out = hostler(&directory(), &args);
        let is = found(&out.stdout);
        let has_error = is.iter().any(|line| line.starts_with("error"));
        assert_eq!(
            out.status.code(),
            Some(if has_error { 4 } else { 0 }),
            "{name}"
        );
        if is != said {
            wrong.push(format!("{name}\nexpected {said:#?}\nfound {is:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = playbooks("good");
    for name in [
        "playbooks/baseline.yml",
        "playbooks/site.yml",
        "tests/conformance/accounts.yml",
        "tests/conformance/files.yml",
        "tests/conformance/flow.yml",
        "tests/conformance/text.yml",
    ] {
        all.push(root.join(name));
    }
    for path in all {
        let name = path.display().to_string();
        let out = hostler(&directory(), &["check", &name, "-i", "hosts.ini"]);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.is_empty(), "{name}: {said}");
        assert_eq!(out.status.code(), Some(0), "{name}");
        let out = String::from_utf8_lossy(&out.stdout);
        assert!(out.ends_with("are in order\n"), "{name}: {out}");
    }
}

#[test]
fn people_read_folded_hosts_and_no_secrets() {
    let out = hostler(
        &directory(),
        &[
            "check",
            "bad/undefined.yml",
            "bad/secrets.yml",
            "-i",
            "hosts.ini",
        ],
    );
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("= on: web[01-03]\n"), "{said}");
    assert!(said.contains("= on: all 5 hosts\n"), "{said}");
    assert!(said.contains("while evaluating `address`"), "{said}");
    assert!(said.contains("in this task"), "{said}");
    for secret in [
        "correct horse",
        "s3cr3t",
        "hunter2",
        "b3Blb",
        "plaintext",
        "letmein",
    ] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}

#[test]
fn a_run_that_fails_on_every_host_does_not_begin_and_one_that_fails_on_some_goes_on_for_the_others()
{
    let directory = tempfile::tempdir().unwrap();
    let text = "- hosts: all
  gather_facts: no
  tasks:
    - command: touch began.{{ inventory_hostname }}
      args: {chdir: DIR}
    - debug: msg={{ only_a }}
    - command: touch ended.{{ inventory_hostname }}
      args: {chdir: DIR}
";
    let text = text.replace("DIR", &directory.path().display().to_string());
    std::fs::write(directory.path().join("p.yml"), text).unwrap();
    std::fs::write(directory.path().join("h"), "a only_a=1\nb\n").unwrap();
    let run = |args: &[&str]| {
        let all = ["apply", "p.yml", "-i", "h", "-c", "local"];
        let args: Vec<&str> = all.iter().chain(args).copied().collect();
        let output = hostler(directory.path(), &args);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    };
    let made = |name: &str| directory.path().join(name).exists();

    let (code, said) = run(&["-l", "b"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("'only_a' is undefined"), "{said}");
    assert!(!made("began.b"));

    let (code, said) = run(&[]);
    assert_eq!(code, Some(2), "{said}");
    let warned = "[WARNING]: p.yml:6:21: [b] 'only_a' is undefined";
    assert!(said.contains(warned), "{said}");
    assert!(made("ended.a") && made("began.b") && !made("ended.b"));

    let (code, said) = run(&["-l", "a"]);
    assert_eq!(code, Some(0), "{said}");
}
