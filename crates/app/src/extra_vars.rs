//! `-e`: `key=value` words, a JSON or YAML mapping, or `@file`.

use std::path::Path;
use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_inventory::{FsLoader, Loader, Vars};
use hostler_playbook::split_short_form;
use hostler_yaml::{Node, NodeKind, TemplateSource};

/// Reads all `-e` in order; later ones win.
pub(crate) fn extra_vars(given: &[String], sources: &SourceMap) -> (Vars, Vec<Diagnostic>) {
    let mut vars = Vars::new();
    let mut problems = Vec::new();
    for text in given {
        let trimmed = text.trim();
        if let Some(path) = trimmed.strip_prefix('@') {
            match FsLoader.read(Path::new(path)) {
                Ok(text) => {
                    let (root, found) = hostler_yaml::load_file(sources, Path::new(path), text);
                    problems.extend(found);
                    add(root, &mut vars, &mut problems);
                }
                Err(error) => {
                    let message = format!("cannot read extra variables from {path}: {error}");
                    problems.push(Diagnostic::error("unreadable-file", message));
                }
            }
            continue;
        }
        let id = sources.add_text("<extra vars>", text.as_str());
        if trimmed.starts_with(['{', '[']) {
            let (root, found) = hostler_yaml::load(sources, id);
            problems.extend(found);
            add(root, &mut vars, &mut problems);
        } else {
            pairs(
                &TemplateSource::whole(sources, id),
                &mut vars,
                &mut problems,
            );
        }
    }
    (vars, problems)
}

fn add(root: Option<Node>, vars: &mut Vars, problems: &mut Vec<Diagnostic>) {
    let Some(root) = root.filter(|root| !root.is_null()) else {
        return;
    };
    vars.extend(hostler_inventory::vars_of(&root, problems));
}

fn pairs(source: &TemplateSource, vars: &mut Vars, problems: &mut Vec<Diagnostic>) {
    match split_short_form(source, |_| true) {
        Ok(form) => {
            for (key, _, value) in form.pairs {
                let span = value.span();
                vars.insert(
                    Arc::from(key),
                    Node {
                        kind: NodeKind::Text(value),
                        span,
                    },
                );
            }
            if let Some(free) = form.free {
                let message = format!("extra variables are `key=value`, this is `{}`", free.text());
                problems.push(Diagnostic::error("extra-vars", message).at(free.span()));
            }
        }
        Err(open) => {
            problems.push(
                Diagnostic::error("extra-vars", format!("there is {open}")).at(source.span()),
            );
        }
    }
}
