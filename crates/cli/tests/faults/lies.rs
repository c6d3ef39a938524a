//! Agents that lie (F-25, F-26): each hurts nobody but its own host, and the controller believes none of it that
//! concerns another one.

use hostler_faults::{Evil, EvilSshd, Lie};

use crate::site::Site;

const PLAYBOOK: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: First
      command: echo hello
      register: first
      timeout: '{{ patience | default(600) }}'
    - name: Second
      copy: {content: \"{{ first.stdout | default('nothing') }}\\n\", dest: /srv/second}
      timeout: '{{ patience | default(600) }}'
    - name: Third
      shell: echo third >> /srv/third
      timeout: '{{ patience | default(600) }}'
    - name: What the others said
      debug: {msg: \"{{ ansible_play_hosts_all | map('extract', hostvars, 'first') | map(attribute='stdout', default='') | map('length') | sum }}\"}
      when: inventory_hostname == 'web001'
";

/// How a host with this lie ends: true, well (what it says is its own business); false, not; none, either way.
fn ends_well(lie: Lie) -> Option<bool> {
    match lie {
        Lie::None | Lie::OtherTasks | Lie::OtherHost | Lie::FarClock | Lie::Replaced => Some(true),
        // Whether the first two matter depends on what is asked of the host; how long megabytes take is the machine's
        // business.
        Lie::Locked | Lie::Forgets | Lie::HugeValue | Lie::ManyWarnings => None,
        _ => Some(false),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lie_hurts_its_own_host_alone() {
    let site = Site::up(3).await;
    let mut liars = Vec::new();
    for lie in Lie::ALL {
        let host = EvilSshd::start(Evil::Agent(*lie)).await.unwrap();
        let name = format!("{lie:?}").to_lowercase();
        liars.push((name, *lie, host));
    }
    site.add(liars.iter().map(|(name, _, host)| (name.clone(), host)));
    let ran = site.apply(&site.playbook(PLAYBOOK), &[]).await;
    assert!(
        matches!(ran.code, Some(2 | 4)),
        "{:?}:\n{}",
        ran.code,
        ran.said()
    );
    for (index, host) in site.fleet.hosts.iter().enumerate() {
        assert_eq!(ran.bad(&host.name), 0, "{}", ran.said());
        assert_eq!(
            site.written(index, "srv/second").as_deref(),
            Some("hello\n")
        );
        assert_eq!(site.written(index, "srv/third").as_deref(), Some("third\n"));
    }
    for (name, lie, _) in &liars {
        let bad = ran.bad(name);
        match ends_well(*lie) {
            Some(true) => assert_eq!(bad, 0, "{lie:?}:\n{}", ran.said()),
            Some(false) => assert_eq!(bad, 1, "{lie:?}:\n{}", ran.said()),
            None => {}
        }
    }
    assert!(
        !ran.said().contains("yyyy"),
        "output that nobody asked for is shown"
    );
    let broke = ran.said().matches("broke the protocol").count();
    assert!(broke > 5, "{broke}");
    for words in ["has too many parts", "nested deeper than"] {
        assert!(ran.said().contains(words), "{words}:\n{}", ran.said());
    }
    let harmful = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    let said = ran.said();
    let found: Vec<char> = said.chars().filter(|c| harmful(*c)).collect();
    assert!(found.is_empty(), "{found:?} in:\n{said}");
    let raised = said
        .lines()
        .filter(|line| line.starts_with("ok: [localhost]"));
    assert_eq!(raised.count(), 0, "a host writes lines of its own:\n{said}");
    assert!(
        ran.peak_kib < 1 << 20,
        "{} KiB for {} hosts",
        ran.peak_kib,
        liars.len()
    );
    site.fleet.down().await.unwrap();
}
