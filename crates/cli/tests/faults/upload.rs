//! The line is cut while the agent's program goes to a host (F-10): no half of it is ever run, and the next run sends it
//! whole.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_faults::{Plan, Way};

use crate::cut::through_a_line;
use crate::site::{Site, path, run};

const PLAYBOOK: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Work
      shell: echo worked >> {{ log }}
";
const FORGET: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Forget the agent
      raw: rm -rf /root/.cache/hostler
";

/// Names and sizes of what is in a host's directory for agents.
fn agents(site: &Site) -> BTreeMap<String, u64> {
    let kind = if site.fleet.overlay { "up" } else { "root" };
    let dir = site.fleet.hosts[0]
        .directory
        .join(kind)
        .join("root/.cache/hostler");
    let Ok(entries) = std::fs::read_dir(dir) else {
        return BTreeMap::new();
    };
    let sized = entries.flatten().map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, entry.metadata().map_or(0, |meta| meta.len()))
    });
    sized
        .filter(|(name, _)| name.starts_with("agent-"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_anywhere_leaves_no_half_agent() {
    let site = Site::up(1).await;
    let shim = through_a_line(&site, 0).await;
    let work = site.playbook(PLAYBOOK);
    let forget = site.home.path().join("forget.yml");
    std::fs::write(&forget, FORGET).unwrap();
    let apply = |playbook: &Path, log: &str| {
        let (playbook, inventory) = (path(playbook), path(&site.fleet.inventory_path()));
        let log = format!("log=/srv/{log}");
        run(site.hostler(&["apply", &playbook, "-i", &inventory, "-e", &log]))
    };
    let ran = apply(&work, "whole").await;
    assert_eq!(ran.code, Some(0), "{}", ran.said());
    let whole = agents(&site);
    assert_eq!(whole.len(), 1, "{whole:?}");
    let bytes = shim.transferred()[0].up;
    assert!(bytes > 100_000, "the agent was not sent: {bytes}");
    for part in 1..8 {
        shim.replan(|_| Plan::PASS);
        let ran = apply(&forget, "forget").await;
        assert_eq!(ran.code, Some(0), "{}", ran.said());
        shim.replan(move |number| match number {
            0 => Plan::up(Way::Cut(bytes * part / 8)),
            _ => Plan::PASS,
        });
        let log = format!("part{part}");
        let ran = apply(&work, &log).await;
        let after = agents(&site);
        assert!(
            after.is_empty() || after == whole,
            "{after:?}: {}",
            ran.said()
        );
        if ran.code != Some(0) {
            assert_eq!(site.written(0, &format!("srv/{log}")), None);
            let ran = apply(&work, &log).await;
            assert_eq!(ran.code, Some(0), "{}", ran.said());
        }
        assert_eq!(agents(&site), whole);
        let log = site.written(0, &format!("srv/{log}"));
        assert_eq!(log.as_deref(), Some("worked\n"));
    }
    site.fleet.down().await.unwrap();
}
