//! Executable inventories: a program that prints JSON for `--list`, and for `--host NAME` if the list has no
//! `_meta.hostvars`.

use std::path::Path;

use hostler_diag::Diagnostic;
use hostler_yaml::{Node, load};

use crate::builder::Builder;
use crate::loader::ScriptRunner;

/// Runs the program and reads its output into the builder.
pub(crate) fn read(builder: &mut Builder<'_>, program: &Path, runner: &dyn ScriptRunner) {
    let shown = program.display().to_string();
    let Some(document) = run(
        builder,
        program,
        &["--list"],
        &format!("<output of {shown} --list>"),
        runner,
    ) else {
        return;
    };
    let Some(map) = document.as_map() else {
        let message = format!(
            "the script prints {}, not a mapping of groups",
            document.kind_name()
        );
        return builder.error("inventory-script", message, document.span);
    };
    let mut hosts = Vec::new();
    for (name, body) in &map.entries {
        match name.as_str() {
            Some("_meta") => {}
            Some(text) => group(builder, text, name, body, &mut hosts),
            None => builder.error("inventory-script", "the name of a group is text", name.span),
        }
    }
    let meta = map.get("_meta").and_then(Node::as_map);
    let host_vars = meta.and_then(|it| it.get("hostvars"));
    for host in hosts {
        let name = builder.inventory.hosts[host].name.clone();
        let vars = if let Some(all) = host_vars {
            all.as_map().and_then(|it| it.get(&name)).cloned()
        } else {
            let title = format!("<output of {shown} --host {name}>");
            run(builder, program, &["--host", &name], &title, runner)
        };
        if let Some(vars) = vars {
            builder.each_var(&vars, |builder, name, value| {
                builder.host_var(host, name, value);
            });
        }
    }
}

/// Runs the program and loads what it prints; a problem is noted.
fn run(
    builder: &mut Builder<'_>,
    program: &Path,
    arguments: &[&str],
    title: &str,
    runner: &dyn ScriptRunner,
) -> Option<Node> {
    let (text, problem) = match runner.run(program, arguments) {
        Ok(text) => (text, None),
        Err(problem) => (String::new(), Some(problem)),
    };
    let id = builder.sources.add_text(title, text);
    if let Some(problem) = problem {
        let message = format!("the inventory script failed: {problem}");
        builder.error(
            "inventory-script",
            message,
            hostler_diag::Span::new(id, 0, 0),
        );
        return None;
    }
    let (node, diagnostics) = load(builder.sources, id);
    builder.diagnostics.extend(diagnostics);
    node
}

fn group(builder: &mut Builder<'_>, name: &str, key: &Node, body: &Node, hosts: &mut Vec<usize>) {
    let group = builder.group(name, key.span);
    let list = if let Some(map) = body.as_map() {
        if let Some(vars) = map.get("vars") {
            builder.each_var(vars, |builder, name, value| {
                builder.group_var(group, name, value);
            });
        }
        if let Some(children) = map.get("children") {
            for child in names(builder, children) {
                let index = builder.group(&child.0, child.1);
                builder.child(group, index, child.1);
            }
        }
        if ["hosts", "vars", "children"]
            .iter()
            .all(|it| map.get(it).is_none())
            && !map.entries.is_empty()
        {
            builder.diagnostics.push(
                Diagnostic::error(
                    "inventory-script",
                    format!("the group `{name}` has none of `hosts`, `vars` and `children`"),
                )
                .at(body.span),
            );
        }
        map.get("hosts")
    } else {
        Some(body)
    };
    let Some(list) = list else {
        return;
    };
    for (host, span) in names(builder, list) {
        let host = builder.host(&host, None, span);
        builder.inventory.add_member(group, host);
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
}

/// The names in a list; anything else is noted.
fn names(builder: &mut Builder<'_>, list: &Node) -> Vec<(String, hostler_diag::Span)> {
    let Some(items) = list.as_list() else {
        let message = format!("a list of names is expected, not {}", list.kind_name());
        builder.error("inventory-script", message, list.span);
        return Vec::new();
    };
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        match item.as_str().filter(|it| !it.is_empty()) {
            Some(name) => names.push((name.to_owned(), item.span)),
            None => builder.error("inventory-script", "a name is text", item.span),
        }
    }
    names
}
