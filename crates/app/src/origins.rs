//! Where the variables come from that a preview's tasks name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_executor::RunContext;
use hostler_preview::Origin;
use hostler_value::Map;
use hostler_vars::{Level, PlayLayer};

use crate::inputs::Inputs;

/// Variables of one name and origin, with their hosts.
type Found = BTreeMap<(String, String), BTreeSet<String>>;

/// Collects origins, in previews only.
pub(crate) struct Used {
    found: Found,
    wanted: bool,
    playbooks: BTreeSet<String>,
}

impl Used {
    pub(crate) fn new(run: &RunContext, inputs: &Inputs) -> Self {
        let playbooks = inputs.playbooks.iter();
        Used {
            found: Found::new(),
            wanted: run.settings.check,
            playbooks: playbooks
                .map(|it| it.playbook.path.display().to_string())
                .collect(),
        }
    }

    /// Looks up, for each host of a play, every variable that a playbook or a template names.
    pub(crate) fn look(&mut self, run: &RunContext, layer: &Arc<PlayLayer>, hosts: &[String]) {
        if !self.wanted {
            return;
        }
        let names = self.names(run);
        for host in hosts {
            let scope = run.vars.scope(host, layer, &[], Map::new());
            for name in &names {
                let all = scope.explain(name);
                let Some(first) = all.first() else {
                    continue;
                };
                // What the engine sets itself is no input.
                if matches!(first.level, Level::Magic | Level::Facts | Level::Loop) {
                    continue;
                }
                let group = first
                    .group
                    .as_ref()
                    .map(|it| format!(" {it}"))
                    .unwrap_or_default();
                let place = first.span.map(|span| run.sources.locate(span));
                let place = place
                    .map(|it| format!(", {}:{}", it.file, it.line))
                    .unwrap_or_default();
                let origin = format!("{}{group}{place}", first.level);
                self.found
                    .entry((name.clone(), origin))
                    .or_default()
                    .insert(host.clone());
            }
        }
    }

    /// Words that could be names of variables, in playbooks and templates.
    fn names(&self, run: &RunContext) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for source in run.sources.all() {
            let template = source.path.as_ref().is_some_and(|path| {
                path.extension().is_some_and(|it| it == "j2")
                    || path.components().any(|it| it.as_os_str() == "templates")
            });
            if template || self.playbooks.contains(&source.name) {
                let words = source
                    .text
                    .split(|char: char| !char.is_alphanumeric() && char != '_');
                names.extend(words.filter(|it| is_name(it)).map(str::to_owned));
            }
        }
        names
    }

    pub(crate) fn origins(self) -> Vec<Origin> {
        let found = self.found.into_iter();
        found
            .map(|((variable, origin), hosts)| Origin {
                variable,
                origin,
                hosts: hosts.into_iter().collect(),
            })
            .collect()
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|char: char| char.is_alphabetic() || char == '_')
}
