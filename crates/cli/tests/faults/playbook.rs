//! A playbook whose every step leaves a line on its host, so that a step that was done twice or not at all shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::site::{Ran, Site};

/// `dir` is a directory of the run's own on every host.
const PLAYBOOK: &str = "
- name: Everything once
  hosts: all
  gather_facts: false
  tasks:
    - name: Directory
      file: {path: '{{ dir }}', state: directory}
    - name: One
      shell: echo one >> {{ dir }}/log; echo result of {{ inventory_hostname }}
      register: one
      notify: Early
    - name: Fact
      set_fact: {kept: '{{ one.stdout }}, kept'}
    - name: Loop
      shell: echo loop {{ item }} >> {{ dir }}/log
      loop: [a, b, c]
      register: looped
    - block:
        - name: In the block
          shell: echo block >> {{ dir }}/log
          notify: [Early, Late]
        - name: Fails on some
          shell: echo fails >> {{ dir }}/log; false
          when: \"'db' in group_names\"
        - name: Not after a failure
          shell: echo block ends >> {{ dir }}/log
      rescue:
        - name: Rescue
          shell: echo rescued >> {{ dir }}/log
      always:
        - name: Always
          shell: echo always >> {{ dir }}/log
    - name: Once
      shell: echo once >> {{ dir }}/once; echo only
      run_once: true
      register: once
    - name: Delegated
      shell: echo from {{ inventory_hostname }} >> {{ dir }}/delegated
      delegate_to: web001
    - name: Uses it all
      shell: echo '{{ kept }}, {{ looped.results | map(attribute=\"item\") | join(\"+\") }}, {{ once.stdout }}' >> {{ dir }}/log
    - name: File
      copy: {content: '{{ kept }}', dest: '{{ dir }}/file'}
      notify: Late
  handlers:
    - name: Early
      shell: echo handled early >> {{ dir }}/log
    - name: Late
      shell: echo handled late >> {{ dir }}/log
- name: In batches
  hosts: web
  gather_facts: false
  serial: 5
  tasks:
    - name: Again
      shell: echo second play, {{ one.stdout }} >> {{ dir }}/log
";
/// Writes the playbook.
pub(crate) fn write(site: &Site) -> PathBuf {
    site.playbook(PLAYBOOK)
}

/// What is in a run's directory on every host. Lines that hosts add to another one's file come in any order.
pub(crate) type State = BTreeMap<String, BTreeMap<&'static str, Vec<String>>>;

/// Reads what the run with this directory has left.
pub(crate) fn state(site: &Site, dir: &str) -> State {
    let read = |index: usize, file: &'static str| {
        let text = site.written(index, &format!("srv/{dir}/{file}"))?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if file == "delegated" {
            lines.sort();
        }
        Some((file, lines))
    };
    let of_host = |index| {
        ["log", "once", "delegated", "file"]
            .into_iter()
            .filter_map(|file| read(index, file))
            .collect()
    };
    let hosts = site.fleet.hosts.iter().enumerate();
    hosts
        .map(|(index, host)| (host.name.clone(), of_host(index)))
        .collect()
}

/// What is different, host by host.
pub(crate) fn difference(wanted: &State, found: &State) -> String {
    let mut text = String::new();
    // A task that runs once runs on the first host that there is.
    let once = found.values().filter_map(|files| files.get("once"));
    let once: Vec<&String> = once.flatten().collect();
    if once != ["once"] {
        writeln!(text, "run once: {once:?}").unwrap();
    }
    for (host, files) in wanted {
        for (file, lines) in files.iter().filter(|(file, _)| **file != "once") {
            let here = found.get(host).and_then(|files| files.get(file));
            if here != Some(lines) {
                writeln!(
                    text,
                    "{host} {file}:\n  wanted {lines:?}\n  found  {here:?}"
                )
                .unwrap();
            }
        }
    }
    text
}

/// A host that is right: what each step leaves, in order.
pub(crate) fn assert_right(state: &State) {
    for (host, files) in state {
        let (fails, ends): (&[&str], &[&str]) = if host.starts_with("db") {
            (&["fails", "rescued"], &[])
        } else {
            (&["block ends"], &["x"])
        };
        let mut lines = vec!["one", "loop a", "loop b", "loop c", "block"];
        lines.extend(fails);
        let used = format!("result of {host}, kept, a+b+c, only");
        lines.extend(["always", &used]);
        lines.extend(["handled early", "handled late"]);
        let second = format!("second play, result of {host}");
        lines.extend(ends.iter().map(|_| &*second));
        assert_eq!(files["log"], lines, "{host}");
        assert_eq!(files["file"], [format!("result of {host}, kept")]);
    }
    let all = |file| state.values().filter_map(move |files| files.get(file));
    assert_eq!(all("once").map(Vec::len).sum::<usize>(), 1);
    assert_eq!(all("delegated").map(Vec::len).sum::<usize>(), state.len());
}

/// The run is over and nothing is wrong with it.
pub(crate) fn is_over(ran: &Ran) -> bool {
    ran.code == Some(0)
}
