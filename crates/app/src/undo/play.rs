//! The play that undoes a run: one task, `restore` for each file of the host. Paths and the like are data all the way:
//! they are marked `!unsafe`, and reach the task as the items of a loop.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_inventory::{FsLoader, Loader, VarFiles};
use hostler_playbook::{Context, Entry};
use serde::Serialize;

use super::steps::Step;
use crate::inputs::{Inputs, LoadedPlay, LoadedPlaybook};
use crate::plan::hex;

/// Name of the variable that has the steps of each host.
const STEPS: &str = "hostler_undo";

/// A step as `restore` takes it.
#[derive(Serialize)]
struct Item<'a> {
    path: &'a str,
    run: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refuse: Option<&'a str>,
    hidden: bool,
}

impl<'a> Item<'a> {
    fn of(step: &'a Step, run: &'a str) -> Self {
        Item {
            path: &step.path,
            run,
            left: step.left.map(|it| hex(&it)),
            sha256: step.back.map(|it| hex(&it.sha256)),
            uid: step.back.map(|it| it.uid),
            gid: step.back.map(|it| it.gid),
            mode: step.back.map(|it| it.mode),
            refuse: step.refuse.as_deref(),
            hidden: step.hidden,
        }
    }
}

/// What the run of the undoing is called where a run has its playbooks.
pub(super) fn title(run: &str) -> PathBuf {
    PathBuf::from(format!("undo {run}"))
}

/// Adds the play to the inputs.
pub(super) fn add(
    inputs: &mut Inputs,
    run: &str,
    steps: &BTreeMap<String, Vec<Step>>,
    sources: &SourceMap,
) -> Result<(), Vec<Diagnostic>> {
    let items: BTreeMap<&str, Vec<Item<'_>>> = steps
        .iter()
        .map(|(host, steps)| {
            let items = steps.iter().map(|step| Item::of(step, run));
            (host.as_str(), items.collect())
        })
        .collect();
    let text = format!("{STEPS}: !unsafe {}\n", data(&items));
    let id = sources.add_text("<undo>", text.as_str());
    let (root, mut problems) = hostler_yaml::load(sources, id);
    if let Some(root) = root {
        let vars = hostler_inventory::vars_of(&root, &mut problems);
        inputs.extra.extend(vars);
    }
    let title = title(run);
    let text = playbook(run);
    let id = sources.add_file(&title, text.as_str());
    let (root, found) = hostler_yaml::load(sources, id);
    problems.extend(found);
    if let Some(root) = root {
        let (playbook, found) = hostler_playbook::parse(&inputs.catalog, &title, &root);
        problems.extend(found);
        let plays = playbook.plays.iter().map(|play| LoadedPlay {
            play: play.clone(),
            name: format!("Undo run {run}"),
            hosts: steps.keys().cloned().collect(),
            vars_files: Vec::new(),
        });
        let directory = PathBuf::from(".");
        let absolute = std::path::absolute(&directory).unwrap_or_else(|_| directory.clone());
        let inventory = &inputs.loaded.inventory;
        let (var_files, found) = VarFiles::load(inventory, &absolute, sources, &FsLoader);
        problems.extend(found);
        inputs.playbooks.push(LoadedPlaybook {
            plays: plays.collect(),
            playbook,
            directory,
            var_files,
        });
    }
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems);
    }
    inputs.warnings.extend(problems);
    Ok(())
}

/// JSON is YAML, but for characters that YAML wants escaped.
fn data(items: &impl Serialize) -> String {
    let json = serde_json::to_string(items).unwrap_or_default();
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() && char != '\u{7f}' {
            out.push(char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\U{:08x}", u32::from(char));
        }
    }
    out
}

fn playbook(run: &str) -> String {
    // A run's id is made of digits and a dash; whatever it is, it is a name here, and data.
    let run: String = run
        .chars()
        .filter(|it| it.is_ascii_alphanumeric() || *it == '-')
        .collect();
    let arguments = [
        "left", "sha256", "uid", "gid", "mode", "refuse", "run", "hidden",
    ];
    let arguments = arguments
        .map(|name| format!("        {name}: \"{{{{ item.{name} | default(omit) }}}}\"\n"))
        .concat();
    format!(
        "- name: Undo run {run}
  hosts: all
  gather_facts: false
  tasks:
    - name: Put files back
      restore:
        path: \"{{{{ item.path }}}}\"
{arguments}      loop: \"{{{{ {STEPS}[inventory_hostname] }}}}\"
      loop_control:
        label: \"{{{{ item.path }}}}\"
"
    )
}

/// Does a task of these playbooks become another user, as far as can be read?
pub(super) fn becomes(inputs: &Inputs, playbooks: &[PathBuf]) -> bool {
    playbooks.iter().any(|path| {
        let Ok(text) = FsLoader.read(path) else {
            return false;
        };
        let sources = SourceMap::new();
        let (root, _) = hostler_yaml::load_file(&sources, path, text);
        let playbook = root.map(|root| hostler_playbook::parse(&inputs.catalog, path, &root).0);
        playbook.iter().flat_map(|it| &it.plays).any(|play| {
            let tasks = [&play.pre_tasks, &play.tasks, &play.post_tasks];
            says_become(&play.context) || tasks.into_iter().flatten().any(entry_becomes)
        })
    })
}

fn entry_becomes(entry: &Entry) -> bool {
    match entry {
        Entry::Task(task) => says_become(&task.context),
        Entry::Block(block) => {
            let parts = [&block.block, &block.rescue, &block.always];
            says_become(&block.context) || parts.into_iter().flatten().any(entry_becomes)
        }
    }
}

fn says_become(context: &Context) -> bool {
    let said = context.keywords.r#become.as_ref();
    // A template may come to true.
    said.is_some_and(|it| it.to_literal().to_bool().unwrap_or(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_survives_yaml() {
        let hostile = "a\u{7f}\u{85}\u{1b}\u{1f600}\u{feff} {{ 1 + 1 }} \" : # \n";
        let text = format!("x: !unsafe {}\n", data(&[hostile]));
        let sources = SourceMap::new();
        let id = sources.add_text("t", text.as_str());
        let (root, problems) = hostler_yaml::load(&sources, id);
        assert!(problems.is_empty(), "{problems:?}");
        let value = root.unwrap().to_literal();
        let first = value.get("x").and_then(|it| it.as_list()?.first().cloned());
        assert_eq!(
            first
                .and_then(|it| it.as_str().map(str::to_owned))
                .as_deref(),
            Some(hostile)
        );
    }
}
