//! What playbooks would visit: `--list-hosts`, `--list-tasks`, `--list-tags`.

use hostler_diag::{Diagnostic, SourceMap};
use hostler_playbook::{Entry, Play};

use crate::inputs;
use crate::request::ApplyRequest;

/// A play.
#[derive(Clone, Debug)]
pub struct PlayListing {
    /// Playbook file, as given.
    pub playbook: String,
    /// Name of the play.
    pub name: String,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its tasks that the tags let run, in order.
    pub tasks: Vec<TaskListing>,
}

/// A task.
#[derive(Clone, Debug)]
pub struct TaskListing {
    /// Name, as written; the module's if it has none.
    pub name: String,
    /// Tags, its own and inherited ones, sorted.
    pub tags: Vec<String>,
}

/// Lists plays with hosts and tasks; makes no connection.
///
/// # Errors
/// All problems of the inputs.
pub fn list(
    request: &ApplyRequest,
    sources: &SourceMap,
) -> Result<Vec<PlayListing>, Vec<Diagnostic>> {
    let inputs = inputs::load(request, sources)?;
    let settings = crate::settings::settings(request, 0);
    let mut listings = Vec::new();
    for book in &inputs.playbooks {
        for play in &book.plays {
            let mut tasks = Vec::new();
            for entries in [
                &play.play.pre_tasks,
                &play.play.tasks,
                &play.play.post_tasks,
            ] {
                collect(entries, &settings, &mut tasks);
            }
            listings.push(PlayListing {
                playbook: book.playbook.path.display().to_string(),
                name: play.name.clone(),
                hosts: play.hosts.clone(),
                tags: tags_of(&play.play),
                tasks,
            });
        }
    }
    Ok(listings)
}

fn tags_of(play: &Play) -> Vec<String> {
    let mut tags = play.context.keywords.tags.clone();
    tags.sort();
    tags
}

fn collect(
    entries: &[Entry],
    settings: &hostler_executor::RunSettings,
    tasks: &mut Vec<TaskListing>,
) {
    for entry in entries {
        match entry {
            Entry::Task(task) if settings.selects(task) => {
                let mut tags: Vec<String> = task.context.tags().map(str::to_owned).collect();
                tags.sort();
                tags.dedup();
                let name = task.name.as_ref().map(|name| name.to_literal().to_text());
                tasks.push(TaskListing {
                    name: name.unwrap_or_else(|| task.module.clone()),
                    tags,
                });
            }
            Entry::Task(_) => {}
            Entry::Block(block) => {
                for entries in [&block.block, &block.rescue, &block.always] {
                    collect(entries, settings, tasks);
                }
            }
        }
    }
}
