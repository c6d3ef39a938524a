//! YAML inventories: groups with `hosts`, `vars` and `children`, nested.

use hostler_diag::Diagnostic;
use hostler_yaml::{Mapping, Node};

use crate::builder::Builder;
use crate::model::UNGROUPED;

const SECTIONS: [&str; 3] = ["hosts", "vars", "children"];

/// Reads a loaded document into the builder.
pub(crate) fn read(builder: &mut Builder<'_>, document: &Node) {
    if document.is_null() {
        return;
    }
    let Some(map) = document.as_map() else {
        let message = format!(
            "a YAML inventory is a mapping of groups, not {}",
            document.kind_name()
        );
        return builder.error("inventory-structure", message, document.span);
    };
    if let Some(plugin) = map.get("plugin").filter(|it| !it.is_null()) {
        let name = plugin.to_literal().to_text();
        let message = format!("the inventory plugin `{name}` is not supported");
        builder.diagnostics.push(
            Diagnostic::error("inventory-plugin", message)
                .at(plugin.span)
                .hint("an executable script that prints the inventory as JSON can take its place"),
        );
        return;
    }
    for (name, body) in &map.entries {
        group(builder, name, body);
    }
}

/// Reads one group; returns its index.
fn group(builder: &mut Builder<'_>, name: &Node, body: &Node) -> Option<usize> {
    let Some(text) = name.as_str().filter(|it| !it.is_empty()) else {
        let message = format!("the name of a group is text, not {}", name.kind_name());
        builder.error("inventory-structure", message, name.span);
        return None;
    };
    let Some(map) = mapping(body) else {
        let message = format!(
            "the group `{text}` must be a mapping, not {}",
            body.kind_name()
        );
        builder.error("inventory-structure", message, body.span);
        return None;
    };
    let group = builder.group(text, name.span);
    // The sections in the order of the file: it decides the order of hosts.
    for (key, section) in &map.entries {
        match key.as_str() {
            Some("vars") => {
                builder.each_var(section, |builder, name, value| {
                    builder.group_var(group, name, value);
                });
            }
            Some("children") => children(builder, group, section),
            Some("hosts") => hosts(builder, group, section),
            _ => unexpected(builder, key, text),
        }
    }
    Some(group)
}

/// A mapping; null is an empty one.
fn mapping(node: &Node) -> Option<&Mapping> {
    const EMPTY: &Mapping = &Mapping {
        entries: Vec::new(),
    };
    if node.is_null() {
        Some(EMPTY)
    } else {
        node.as_map()
    }
}

fn unexpected(builder: &mut Builder<'_>, key: &Node, group: &str) {
    let name = key.to_literal().to_text();
    builder.diagnostics.push(
        Diagnostic::warning(
            "inventory-structure",
            format!("the key `{name}` of the group `{group}` is ignored: only `hosts`, `vars` and `children` count"),
        )
        .at(key.span)
        .suggest(&name, SECTIONS)
        .hint("variables of a group go below `vars`"),
    );
}

fn children(builder: &mut Builder<'_>, parent: usize, section: &Node) {
    if let Some(name) = section.as_str() {
        let child = builder.group(name, section.span);
        return builder.child(parent, child, section.span);
    }
    let Some(map) = mapping(section) else {
        return wrong_section(builder, "children", section);
    };
    for (name, body) in &map.entries {
        if let Some(child) = group(builder, name, body) {
            builder.child(parent, child, name.span);
        }
    }
}

fn hosts(builder: &mut Builder<'_>, group: usize, section: &Node) {
    if let Some(name) = section.as_str() {
        builder.hosts(name, group, section.span);
        return;
    }
    let Some(map) = mapping(section) else {
        return wrong_section(builder, "hosts", section);
    };
    for (name, vars) in &map.entries {
        let Some(expression) = name.as_str().filter(|it| !it.is_empty()) else {
            builder.diagnostics.push(
                Diagnostic::error(
                    "inventory-structure",
                    format!("the name of a host is text, not {}", name.kind_name()),
                )
                .at(name.span)
                .hint("put it in quotes"),
            );
            continue;
        };
        // Once for all hosts of a range, so that a problem is reported once.
        let mut pairs = Vec::new();
        builder.each_var(vars, |_, name, value| pairs.push((name.to_owned(), value)));
        for host in builder.hosts(expression, group, name.span) {
            for (name, value) in &pairs {
                builder.host_var(host, name, value.clone());
            }
        }
    }
}

fn wrong_section(builder: &mut Builder<'_>, name: &str, section: &Node) {
    let mut error = Diagnostic::error(
        "inventory-structure",
        format!("`{name}` must be a mapping, not {}", section.kind_name()),
    )
    .at(section.span);
    if section.as_list().is_some() {
        error = error.hint("write each name with a colon behind it, instead of a dash before it");
    }
    builder.diagnostics.push(error);
}

/// Hosts of a list given on the command line: `web1,web2:2222,`.
pub(crate) fn host_list(builder: &mut Builder<'_>, list: &str, span: hostler_diag::Span) {
    let mut from = span.start;
    for part in list.split(',') {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let name = part.trim();
        let start = from + narrow(part.len() - part.trim_start().len());
        from += narrow(part.len() + 1);
        if name.is_empty() {
            continue;
        }
        let at = hostler_diag::Span::new(span.source, start, start + narrow(name.len()));
        let (host, port) = match crate::address::parse(name, false) {
            Some(address) => (address.host, address.port),
            None => (name, None),
        };
        let host = builder.host(host, port, at);
        builder.inventory.add_member(UNGROUPED, host);
    }
}
