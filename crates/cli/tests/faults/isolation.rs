//! Eight hostile hosts of forty (F-23, F-25, F-33): the others finish as if nothing were, within bounded memory.

use hostler_faults::{End, Evil, EvilSshd, Lie};

use crate::site::Site;

const PLAYBOOK: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      command: uname -n
      register: name
      changed_when: false
      timeout: '{{ patience | default(600) }}'
    - name: Write
      copy: {content: \"{{ name.stdout }}\\n\", dest: /srv/name}
      notify: Handle
      timeout: '{{ patience | default(600) }}'
    - name: Append
      shell: echo {{ item }} >> /srv/log
      loop: [1, 2, 3]
      timeout: '{{ patience | default(600) }}'
  handlers:
    - name: Handle
      shell: echo handled >> /srv/log
      timeout: '{{ patience | default(600) }}'
";

#[tokio::test(flavor = "multi_thread")]
async fn eight_hostile_hosts_of_forty_harm_nobody() {
    let site = Site::up(32).await;
    let evils = [
        Evil::BeforeBanner(End::Stall),
        Evil::InKeyExchange(End::Stall),
        Evil::AfterBanner(End::Stall),
        Evil::FloodsOutput,
        Evil::Agent(Lie::Garbage),
        Evil::Agent(Lie::EndlessOutput),
        Evil::Agent(Lie::HugeValue),
        Evil::Agent(Lie::CutAtTask),
    ];
    let mut hosts = Vec::new();
    for (number, evil) in evils.into_iter().enumerate() {
        let host = EvilSshd::start(evil).await.unwrap();
        hosts.push((format!("evil{number}"), host));
    }
    site.add(hosts.iter().map(|(name, host)| (name.clone(), host)));
    let ran = site.apply(&site.playbook(PLAYBOOK), &[]).await;
    for (index, host) in site.fleet.hosts.iter().enumerate() {
        assert_eq!(ran.bad(&host.name), 0, "{}", ran.said());
        assert_eq!(ran.count(&host.name, "ok"), 4, "{}", ran.said());
        let name = site.written(index, "srv/name").unwrap_or_default();
        assert_eq!(name, format!("{}\n", host.name));
        let log = site.written(index, "srv/log").unwrap_or_default();
        assert_eq!(log, "1\n2\n3\nhandled\n", "{}", host.name);
    }
    for (number, (name, _)) in hosts.iter().enumerate() {
        // Values as large as a frame are a host's own business, if there is time for them.
        if number != 6 {
            assert_eq!(ran.bad(name), 1, "{name}: {}", ran.said());
        }
    }
    // One of them gave five answers as large as a frame, 16 MiB, which are registered, written down and told.
    assert!(ran.peak_kib < 1 << 20, "{} KiB", ran.peak_kib);
    site.fleet.down().await.unwrap();
}
