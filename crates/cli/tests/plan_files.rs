//! Plan files from outside, on the local connection: made, shown, applied, and refused where the world has moved.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What was never to be seen: in variables, in a `no_log` task and in an extra variable.
const CANARY: &str = "canary-7f3a9c51e2d84b06";

const PLAYBOOK: &str = "- name: Site
  hosts: all
  gather_facts: false
  vars_files: [secret.yml]
  tasks:
    - name: Directory
      file: {path: '{{ dir }}', state: directory, mode: '0750'}
    - name: Message
      copy: {content: \"hello\\n\", dest: '{{ dir }}/motd', mode: '0644'}
      notify: Note
    - name: Rendered
      template: {src: t.j2, dest: '{{ dir }}/rendered'}
    - name: Hidden
      copy: {content: '{{ secret }} {{ more | default(1) }}', dest: '{{ dir }}/hidden', mode: '0600'}
      no_log: true
    - name: Hidden loop
      copy: {content: '{{ item }}', dest: '{{ dir }}/looped', mode: '0600'}
      loop: ['{{ secret }}']
      no_log: true
    - name: Skipped
      file: {path: '{{ dir }}/skipped', state: directory}
      when: wanted | default(false)
  handlers:
    - name: Note
      copy: {content: \"noted\\n\", dest: '{{ dir }}/note'}
";

struct Site(tempfile::TempDir);

struct Ran {
    status: i32,
    out: String,
}

impl Site {
    fn new(playbook: &str) -> Self {
        let site = Site(tempfile::tempdir().unwrap());
        site.write("site.yml", playbook);
        site.write("secret.yml", &format!("secret: {CANARY}\n"));
        site.write("t.j2", "for {{ inventory_hostname }}\n");
        let root = site.0.path().display();
        let inventory = ["web1", "web2", "web3"]
            .map(|host| format!("{host} ansible_connection=local dir={root}/on-{host}\n"));
        site.write("hosts", &inventory.concat());
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_in(self.0.path(), args)
    }

    fn run_in(&self, directory: &Path, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_hostler"))
            .args(args)
            .current_dir(directory)
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        Ran {
            status: output.status.code().unwrap(),
            out: String::from_utf8_lossy(&said).into_owned(),
        }
    }

    fn plan(&self, more: &[&str]) -> Ran {
        let args = ["plan", "site.yml", "-i", "hosts", "-o", "a.plan"];
        self.run(&[&args, more].concat())
    }

    fn apply(&self, more: &[&str]) -> Ran {
        self.run(&[&["apply", "--plan", "a.plan"], more].concat())
    }
}

#[test]
fn a_plan_is_made_shown_applied_and_does_not_apply_twice() {
    let site = Site::new(PLAYBOOK);
    let made = site.plan(&[]);
    assert_eq!(made.status, 0, "{}", made.out);
    assert!(
        made.out.contains("all 3 hosts: the same 6 changes"),
        "{}",
        made.out
    );
    assert!(
        site.read("on-web1/motd").is_none(),
        "a preview changes nothing"
    );
    let mode = fs::metadata(site.path("a.plan"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = site.run(&["show", "a.plan", "-D"]);
    assert_eq!(shown.status, 0, "{}", shown.out);
    assert!(
        shown.out.contains("+hello") && shown.out.contains("Note: would run"),
        "{}",
        shown.out
    );
    // From another directory, too.
    let elsewhere = tempfile::tempdir().unwrap();
    let plan = site.path("a.plan").display().to_string();
    let applied = site.run_in(elsewhere.path(), &["apply", "--plan", &plan]);
    assert_eq!(applied.status, 0, "{}", applied.out);
    for host in ["web1", "web2", "web3"] {
        assert_eq!(
            site.read(&format!("on-{host}/motd")).as_deref(),
            Some("hello\n")
        );
        assert_eq!(
            site.read(&format!("on-{host}/note")).as_deref(),
            Some("noted\n")
        );
        assert_eq!(
            site.read(&format!("on-{host}/rendered")),
            Some(format!("for {host}\n"))
        );
    }
    let again = site.apply(&[]);
    assert_eq!(again.status, 2, "{}", again.out);
    assert!(
        again.out.contains("/on-web1 changed since the plan"),
        "{}",
        again.out
    );
    let second = site.plan(&[]);
    assert!(
        second.out.contains("all 3 hosts: no changes"),
        "{}",
        second.out
    );
    assert_eq!(
        site.apply(&[]).status,
        0,
        "a plan without changes can be applied"
    );
}

#[test]
fn a_host_that_has_moved_is_refused_by_name_and_others_go_on() {
    let site = Site::new(PLAYBOOK);
    fs::create_dir(site.path("on-web2")).unwrap();
    site.write("on-web2/motd", "monday\n");
    assert_eq!(site.plan(&[]).status, 0);
    site.write("on-web2/motd", "tuesday\n");
    let applied = site.apply(&[]);
    assert_eq!(applied.status, 2, "{}", applied.out);
    let drift = format!(
        "drifted: {} changed since the plan",
        site.path("on-web2/motd").display()
    );
    assert!(applied.out.contains(&drift), "{}", applied.out);
    assert_eq!(site.read("on-web2/motd").as_deref(), Some("tuesday\n"));
    assert!(
        site.read("on-web2/rendered").is_none(),
        "nothing is changed on it"
    );
    assert_eq!(site.read("on-web1/motd").as_deref(), Some("hello\n"));
    assert_eq!(site.read("on-web3/motd").as_deref(), Some("hello\n"));
}

#[test]
fn a_change_that_the_plan_does_not_have_is_refused() {
    let site = Site::new(PLAYBOOK);
    assert_eq!(site.run(&["apply", "site.yml", "-i", "hosts"]).status, 0);
    assert_eq!(site.plan(&[]).status, 0);
    fs::remove_file(site.path("on-web1/motd")).unwrap();
    let applied = site.apply(&[]);
    assert_eq!(applied.status, 2, "{}", applied.out);
    assert!(
        applied
            .out
            .contains("would need a change that the plan does not have: `Message`"),
        "{}",
        applied.out
    );
    assert!(site.read("on-web1/motd").is_none());
}

#[test]
fn changed_inputs_are_named_and_nothing_is_done() {
    for (file, text) in [
        ("site.yml", PLAYBOOK.replace("hello", "bye")),
        ("t.j2", "other\n".to_owned()),
        ("secret.yml", "secret: other\n".to_owned()),
    ] {
        let site = Site::new(PLAYBOOK);
        assert_eq!(site.plan(&[]).status, 0);
        site.write(file, &text);
        let applied = site.apply(&[]);
        assert_eq!(applied.status, 4, "{}", applied.out);
        let told = format!("{file} has changed since the plan was made");
        assert!(applied.out.contains(&told), "{}", applied.out);
        assert!(site.read("on-web1/motd").is_none());
    }
    let site = Site::new(PLAYBOOK);
    assert_eq!(site.plan(&[]).status, 0);
    fs::create_dir(site.path("group_vars")).unwrap();
    site.write("group_vars/all.yml", "wanted: true\n");
    let applied = site.apply(&[]);
    assert_eq!(applied.status, 4, "{}", applied.out);
    assert!(
        applied
            .out
            .contains("all.yml is new since the plan was made"),
        "{}",
        applied.out
    );
}

#[test]
fn expired_foreign_and_damaged_plans_are_refused() {
    let site = Site::new(PLAYBOOK);
    assert_eq!(site.plan(&["--expires", "1s"]).status, 0);
    while !site.run(&["show", "a.plan"]).out.contains("EXPIRED") {}
    let applied = site.apply(&[]);
    assert_eq!(applied.status, 4, "{}", applied.out);
    assert!(
        applied.out.contains("the plan expired at"),
        "{}",
        applied.out
    );

    assert_eq!(site.plan(&[]).status, 0);
    let good = fs::read(site.path("a.plan")).unwrap();
    fs::write(site.path("a.plan"), &good[..good.len() - 9]).unwrap();
    let applied = site.apply(&[]);
    assert_eq!(applied.status, 4, "{}", applied.out);
    assert!(applied.out.contains("damaged"), "{}", applied.out);
    assert_eq!(
        site.run(&["show", "site.yml"]).status,
        4,
        "a playbook is no plan"
    );

    fs::write(site.path("a.plan"), &good).unwrap();
    fs::remove_file(site.path(".local/state/hostler/plan.key")).unwrap();
    assert_eq!(
        site.run(&["plan", "site.yml", "-i", "hosts", "-o", "b.plan"])
            .status,
        0
    );
    let applied = site.apply(&[]);
    assert_eq!(applied.status, 4, "{}", applied.out);
    assert!(applied.out.contains("another key"), "{}", applied.out);
    assert!(site.read("on-web1/motd").is_none());
}

#[test]
fn what_is_left_to_run_time_needs_consent() {
    let playbook = "- hosts: web1
  gather_facts: false
  tasks:
    - name: Ask
      command: echo hi
      register: asked
    - name: Tell
      copy: {content: \"{{ asked.stdout }}\\n\", dest: '{{ dir }}'}
";
    let site = Site::new(playbook);
    let made = site.plan(&[]);
    assert!(made.out.contains("Decided at run time"), "{}", made.out);
    assert!(made.out.contains("unknown until `Ask`"), "{}", made.out);
    let applied = site.apply(&[]);
    assert_eq!(applied.status, 4, "{}", applied.out);
    assert!(
        applied.out.contains("--accept-unknown") && applied.out.contains("`Tell`"),
        "{}",
        applied.out
    );
    assert!(site.read("on-web1").is_none());
    let applied = site.apply(&["--accept-unknown"]);
    assert_eq!(applied.status, 0, "{}", applied.out);
    assert_eq!(site.read("on-web1").as_deref(), Some("hi\n"));
}

#[test]
fn secrets_are_in_no_file_and_extra_variables_must_be_given_again() {
    let site = Site::new(PLAYBOOK);
    let extra = format!("more={CANARY}");
    let made = site.plan(&["-e", &extra, "--html", "a.html", "--output", "json"]);
    assert_eq!(made.status, 0, "{}", made.out);
    let document = made.out.lines().last().unwrap();
    assert!(document.starts_with("{\"event\":\"preview\""), "{document}");
    let shown = site.run(&["show", "a.plan", "-D", "-vv"]).out;
    let unpacked = unpacked(&fs::read(site.path("a.plan")).unwrap());
    assert!(unpacked.contains("hello"), "the plan itself is there");
    for text in [made.out, site.read("a.html").unwrap(), shown, unpacked] {
        assert!(!text.contains(CANARY), "{text}");
    }
    let applied = site.apply(&[]);
    assert_eq!(applied.status, 4, "{}", applied.out);
    assert!(
        applied.out.contains("other extra variables (-e): more"),
        "{}",
        applied.out
    );
    let applied = site.apply(&["-e", &extra]);
    assert_eq!(applied.status, 0, "{}", applied.out);
    assert_eq!(
        site.read("on-web1/hidden"),
        Some(format!("{CANARY} {CANARY}"))
    );
}

/// The body of a plan file, by gzip itself.
fn unpacked(bytes: &[u8]) -> String {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let body = lines.nth(2).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body.gz");
    fs::write(&file, body).unwrap();
    let output = Command::new("gzip").arg("-dc").arg(&file).output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn two_plans_are_compared() {
    let site = Site::new(PLAYBOOK);
    assert_eq!(site.plan(&[]).status, 0);
    let same = site.run(&["plan", "--diff", "a.plan", "a.plan"]);
    assert_eq!(same.status, 0, "{}", same.out);
    assert!(same.out.contains("Both plans do the same"), "{}", same.out);
    site.write("site.yml", &PLAYBOOK.replace("0750", "0700"));
    let args = [
        "plan",
        "site.yml",
        "-i",
        "hosts",
        "-o",
        "b.plan",
        "-l",
        "web1,web2",
    ];
    assert_eq!(site.run(&args).status, 0);
    let other = site.run(&["plan", "--diff", "a.plan", "b.plan"]);
    assert_eq!(other.status, 2, "{}", other.out);
    for told in [
        "hosts only in the first: web3",
        "input changed: site.yml",
        "Directory on",
        "0700",
    ] {
        assert!(other.out.contains(told), "{told}: {}", other.out);
    }
}

#[test]
fn the_schema_in_the_documentation_is_what_is_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/preview.json");
    let site = Site::new(PLAYBOOK);
    let now = site.run(&["plan", "--schema"]).out;
    let kept = fs::read_to_string(path).unwrap();
    assert!(
        now == kept,
        "write it anew: hostler plan --schema > docs/schema/preview.json"
    );
    let schema: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let out = site.plan(&["--output", "json"]).out;
    let line: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    fits(&line["preview"], &schema, &schema, "preview");
}

/// The part of JSON Schema that the generated file uses: types, properties, items, references, choices.
fn fits(value: &serde_json::Value, schema: &serde_json::Value, root: &serde_json::Value, at: &str) {
    assert!(
        matches_schema(value, schema, root),
        "{at}: {value}\ndoes not fit {schema}"
    );
    let schema = resolved(schema, root);
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    {
        for (name, part) in object {
            let inner = properties
                .get(name)
                .unwrap_or_else(|| panic!("{at}.{name} is not in the schema"));
            fits(part, inner, root, &format!("{at}.{name}"));
        }
    }
    if let (Some(items), Some(inner)) = (value.as_array(), schema.get("items")) {
        for item in items {
            fits(item, inner, root, &format!("{at}[]"));
        }
    }
}

fn resolved<'a>(
    schema: &'a serde_json::Value,
    root: &'a serde_json::Value,
) -> &'a serde_json::Value {
    match schema["$ref"].as_str() {
        Some(path) => root.pointer(path.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn matches_schema(
    value: &serde_json::Value,
    schema: &serde_json::Value,
    root: &serde_json::Value,
) -> bool {
    let schema = resolved(schema, root);
    if schema == &serde_json::Value::Bool(true) {
        return true;
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            return choices.iter().any(|it| matches_schema(value, it, root));
        }
    }
    if let Some(constant) = schema.get("const") {
        return value == constant;
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.contains(value);
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    if value.is_object()
        && !required
            .iter()
            .all(|it| value.get(it.as_str().unwrap()).is_some())
    {
        return false;
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    match &schema["type"] {
        serde_json::Value::String(kind) => is(kind),
        serde_json::Value::Array(kinds) => kinds.iter().any(|it| is(it.as_str().unwrap())),
        _ => true,
    }
}
