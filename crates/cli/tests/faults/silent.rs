//! An agent that is stopped in the middle of a task, while its connection lives (F-33): it counts as lost, and what it did is
//! handed over once it goes on.

use crate::site::Site;

/// The task stops the agent that runs it, which goes on after the time in which that must have been noticed.
const PLAYBOOK: &str = "
- hosts: all
  gather_facts: false
  tasks:
    - name: Stop
      shell: |
        echo once >> /srv/log
        agent=$PPID
        (sleep 55; kill -CONT $agent) > /dev/null 2>&1 < /dev/null &
        kill -STOP $agent
        echo stopped
      register: it
      when: inventory_hostname == 'web001'
    - name: After it
      shell: echo '{{ it.stdout | default('others') }}' >> /srv/log
";

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_agent_is_lost_and_nothing_is_done_twice() {
    let site = Site::up(3).await;
    let ran = site.apply(&site.playbook(PLAYBOOK), &["-vvv"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said());
    for (index, host) in site.fleet.hosts.iter().enumerate() {
        let log = site.written(index, "srv/log").unwrap_or_default();
        let expected = if host.name == "web001" {
            "once\nstopped\n"
        } else {
            "others\n"
        };
        assert_eq!(log, expected, "{}: {}", host.name, ran.said());
    }
    site.fleet.down().await.unwrap();
}
