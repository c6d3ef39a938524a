//! The policies of `playbooks/patching` are as they should be.

use std::path::PathBuf;

use hostler_diag::SourceMap;
use hostler_patch::policy::{FileText, Files, Hosts, HostsProblem, PolicyFile, lint};

struct Site;

impl Hosts for Site {
    fn select(&self, pattern: &str) -> (Vec<String>, Vec<HostsProblem>) {
        let names =
            |prefix: &str, count: u32| (1..=count).map(|it| format!("{prefix}{it}")).collect();
        let all: Vec<String> = names("web", 17);
        let hosts = match pattern {
            "all" => [all, names("db", 3), vec!["box1".into()]].concat(),
            "web" | "web:!db" => all,
            "db" => names("db", 3),
            "appliance" => vec!["box1".into()],
            _ => {
                let problem = HostsProblem {
                    message: format!("nothing is called {pattern}"),
                    hint: None,
                    malformed: false,
                };
                return (Vec::new(), vec![problem]);
            }
        };
        (hosts, Vec::new())
    }
}

struct Beside;

fn directory() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../playbooks/patching"
    ))
}

impl Files for Beside {
    fn read(&self, path: &str) -> Result<FileText, String> {
        let path = directory().join(path);
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let path = path.display().to_string();
        Ok(FileText { path, text })
    }
}

#[test]
fn examples_have_no_faults() {
    for name in ["monthly.yml", "full.yml", "demo.yml"] {
        let sources = SourceMap::new();
        let path = directory().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let (file, mut problems) = PolicyFile::load(&sources, &path, &text);
        if let Some(file) = &file {
            // 2026-11-21: exceptions and freezes have not ended.
            problems.extend(lint(file, &Site, &Beside, 1_795_219_200_000_000).diagnostics);
        }
        let said: Vec<String> = problems.iter().map(|it| format!("{it:?}")).collect();
        assert!(said.is_empty(), "{name}:\n{}", said.join("\n"));
        assert!(file.is_some());
    }
    let lines = std::fs::read_to_string(directory().join("monthly.yml")).unwrap();
    assert!(
        lines.lines().count() <= 24,
        "the small form fits on one screen"
    );
}
