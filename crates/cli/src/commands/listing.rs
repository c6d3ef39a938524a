//! `--list-hosts`, `--list-tasks`, `--list-tags`, in ansible-playbook's form.

use std::collections::BTreeSet;

use hostler_app::{ApplyRequest, ExitCode, PlayListing, list};
use hostler_diag::SourceMap;
use hostler_reporters::sanitize;

use crate::output::Console;
use crate::problem::Problem;

/// What to list.
#[derive(Clone, Copy, Debug)]
pub(super) struct What {
    pub hosts: bool,
    pub tasks: bool,
    pub tags: bool,
}

impl What {
    pub(super) fn any(self) -> bool {
        self.hosts || self.tasks || self.tags
    }
}

/// Lists what a request would visit.
pub(super) fn show(request: &ApplyRequest, what: What, console: &Console) -> ExitCode {
    let sources = SourceMap::new();
    match list(request, &sources) {
        Ok(plays) => {
            for line in lines(&plays, what) {
                console.line(&line);
            }
            ExitCode::Ok
        }
        Err(diagnostics) => Problem::inputs(diagnostics).tell(&sources, console),
    }
}

fn lines(plays: &[PlayListing], what: What) -> Vec<String> {
    let mut lines = Vec::new();
    let mut book: Option<&str> = None;
    let mut number = 0;
    for play in plays {
        if book != Some(&play.playbook) {
            book = Some(&play.playbook);
            number = 0;
            lines.push(String::new());
            lines.push(format!("playbook: {}", sanitize::name(&play.playbook)));
        }
        number += 1;
        let tags = joined(&play.tags);
        let name = sanitize::name(&play.name);
        lines.push(String::new());
        lines.push(format!("  play #{number}: {name}\tTAGS: [{tags}]"));
        if what.hosts {
            lines.push(format!("    hosts ({}):", play.hosts.len()));
            let hosts = play.hosts.iter();
            lines.extend(hosts.map(|host| format!("      {}", sanitize::name(host))));
        }
        if what.tasks {
            lines.push("    tasks:".to_owned());
            let tasks = play.tasks.iter();
            lines.extend(tasks.map(|task| {
                let name = sanitize::name(&task.name);
                format!("      {name}\tTAGS: [{}]", joined(&task.tags))
            }));
        }
        if what.tags {
            let all: BTreeSet<&String> = play
                .tags
                .iter()
                .chain(play.tasks.iter().flat_map(|task| &task.tags))
                .collect();
            let all: Vec<String> = all.into_iter().cloned().collect();
            lines.push(format!("      TASK TAGS: [{}]", joined(&all)));
        }
    }
    lines
}

fn joined(tags: &[String]) -> String {
    sanitize::name(&tags.join(", "))
}

#[cfg(test)]
mod tests {
    use hostler_app::TaskListing;

    use super::*;

    #[test]
    fn reads_as_ansible_playbook_writes() {
        let task = TaskListing {
            name: "Install".into(),
            tags: vec!["a".into(), "b".into()],
        };
        let play = PlayListing {
            playbook: "site.yml".into(),
            name: "Web".into(),
            hosts: vec!["h1".into()],
            tags: vec![],
            tasks: vec![task],
        };
        let what = What {
            hosts: true,
            tasks: true,
            tags: true,
        };
        assert_eq!(
            lines(&[play], what).join("\n"),
            "\nplaybook: site.yml\n\n  play #1: Web\tTAGS: []\n    hosts (1):\n      h1\n    tasks:\n      Install\tTAGS: [a, b]\n      TASK TAGS: [a, b]"
        );
    }
}
