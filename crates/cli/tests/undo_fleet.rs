//! Undoing on hosts of the embedded fleet: over SSH, with the real agent, files looked at from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use hostler_demo::{Fleet, FleetOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hostler");
const HOSTS: usize = 4;

/// What is at a path of a host: content, permission bits, and owner and group as the host's namespaces map them.
type Seen = Option<(Vec<u8>, u32, u32, u32)>;

fn seen(fleet: &Fleet, index: usize, path: &str) -> Seen {
    let kind = if fleet.overlay { "up" } else { "root" };
    let path = fleet.hosts[index].directory.join(kind).join(path);
    let metadata = std::fs::symlink_metadata(&path).ok()?;
    if !metadata.is_file() {
        // Where something was removed, an overlay has a device file.
        return None;
    }
    let content = std::fs::read(&path).unwrap_or_default();
    Some((
        content,
        metadata.permissions().mode() & 0o7777,
        metadata.uid(),
        metadata.gid(),
    ))
}

fn all(fleet: &Fleet) -> Vec<Seen> {
    let paths = ["srv/app.ini", "srv/big", "srv/gone", "srv/extra"];
    (0..HOSTS)
        .flat_map(|host| paths.map(|path| seen(fleet, host, path)))
        .collect()
}

async fn hostler(fleet: &Fleet, args: &[&str]) -> (Option<i32>, String) {
    let state = fleet.directory().join("state");
    let mut command = Command::new(PROGRAM);
    command
        .args(args)
        .env("NO_COLOR", "1")
        .env("HOSTLER_STATE_DIR", state);
    let out = tokio::task::spawn_blocking(move || command.output().unwrap());
    let out = out.await.unwrap();
    let text =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code(), text)
}

/// Four files; `word` is in each that both runs have.
fn playbook(word: &str, second: bool) -> String {
    let mode = if second { "0640" } else { "0604" };
    let more = if second {
        "    - file: {path: /srv/gone, state: absent}\n    - copy: {dest: /srv/extra, content: extra}\n"
    } else {
        "    - copy: {dest: /srv/gone, content: \"was here\\n\", mode: \"0611\"}\n"
    };
    // Larger than what travels in a message with its task.
    let big = format!(
        "{word} {}",
        "{{ inventory_hostname }} and more\\n".repeat(4000)
    );
    format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n\
         \x20   - copy: {{dest: /srv/app.ini, content: \"{word} {{{{ inventory_hostname }}}}\\n\", mode: \"{mode}\"}}\n\
         \x20   - copy: {{dest: /srv/big, content: \"{big}\"}}\n{more}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_as_they_were() {
    let options = FleetOptions {
        program: PathBuf::from(PROGRAM),
        ..FleetOptions::default()
    };
    let fleet = Fleet::up(HOSTS, &options).await.unwrap();
    let book = fleet.directory().join("site.yml").display().to_string();
    let inventory = fleet.inventory_path().display().to_string();
    let apply = ["apply", &book, "-i", &inventory];
    let nothing = all(&fleet);
    std::fs::write(&book, playbook("first", false)).unwrap();
    let (code, text) = hostler(&fleet, &apply).await;
    assert_eq!(code, Some(0), "{text}");
    let first = all(&fleet);
    assert!(
        first.iter().filter(|it| it.is_some()).count() == 3 * HOSTS,
        "{text}"
    );
    std::fs::write(&book, playbook("second", true)).unwrap();
    let (code, text) = hostler(&fleet, &apply).await;
    assert_eq!(code, Some(0), "{text}");
    let second = all(&fleet);
    assert_ne!(first, second);
    let (_, list) = hostler(&fleet, &["runs", "list", "--output", "json"]).await;
    let ids: Vec<String> = list
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|row| row["run"].as_str().unwrap().to_owned())
        .collect();
    let (code, text) = hostler(&fleet, &["undo", &ids[0], "--check", "-D"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(all(&fleet), second, "a preview changes nothing");
    let (code, text) = hostler(&fleet, &["undo", &ids[1], "--output", "plain"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains(&format!("/srv/app.ini was changed again by run {}", ids[0])),
        "{text}"
    );
    assert_eq!(all(&fleet), second, "everything was changed again");
    let (code, text) = hostler(&fleet, &["undo", &ids[0]]).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(all(&fleet), first, "{text}");
    let (code, text) = hostler(&fleet, &["undo", &ids[1]]).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(all(&fleet), nothing, "{text}");
    fleet.down().await.unwrap();
}
