//! What the readers of all formats share while an inventory is built: names checked, problems collected.

use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceMap, Span};
use hostler_value::Value;
use hostler_yaml::{Node, NodeKind};

use crate::address;
use crate::model::{HostSource, Inventory};

/// Most hosts of an inventory.
pub(crate) const HOSTS_MAX: usize = 1_000_000;

/// An inventory in the making.
pub(crate) struct Builder<'a> {
    pub(crate) sources: &'a SourceMap,
    pub(crate) inventory: Inventory,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The file or list that is being read.
    pub(crate) current: Option<Arc<HostSource>>,
}

impl Builder<'_> {
    pub(crate) fn error(&mut self, code: &str, message: impl Into<String>, span: Span) {
        self.diagnostics
            .push(Diagnostic::error(code, message).at(span));
    }

    /// The group of that name, made if there is none; a name that cannot be used in templates gets a warning.
    pub(crate) fn group(&mut self, name: &str, span: Span) -> usize {
        let known = self.inventory.groups.contains_key(name);
        if !known && !is_identifier(name) {
            self.diagnostics.push(
                Diagnostic::warning(
                    "group-name",
                    format!("the group name `{name}` is not a valid variable name"),
                )
                .at(span)
                .hint("use letters, digits and `_`, so that templates can write `groups.name`"),
            );
        }
        self.inventory.group_entry(name, Some(span))
    }

    pub(crate) fn child(&mut self, parent: usize, child: usize, span: Span) {
        if self.inventory.add_child(parent, child).is_err() {
            let name = |group: usize| self.inventory.groups[group].name.clone();
            let message = format!(
                "making `{}` a child of `{}` closes a circle of groups",
                name(child),
                name(parent)
            );
            self.error("group-cycle", message, span);
        }
    }

    /// The hosts that an expression such as `web[01:20]:2222` stands for, added to the inventory and to `group`.
    pub(crate) fn hosts(&mut self, expression: &str, group: usize, span: Span) -> Vec<usize> {
        let (pattern, port) = match address::parse(expression, true) {
            Some(address) => (address.host, address.port),
            None => (expression, None),
        };
        let names = match address::expand(pattern) {
            Ok(names) => names,
            Err(problem) => {
                self.error("host-range", problem, span);
                return Vec::new();
            }
        };
        if self.inventory.hosts.len() + names.len() > HOSTS_MAX {
            let message = format!("the inventory has more than {HOSTS_MAX} hosts");
            self.error("inventory-limit", message, span);
            return Vec::new();
        }
        let hosts = names.iter().map(|name| self.host(name, port, span));
        let hosts: Vec<usize> = hosts.collect();
        for &host in &hosts {
            self.inventory.add_member(group, host);
        }
        hosts
    }

    /// The host of that name, made if there is none; the port counts for a new host only.
    pub(crate) fn host(&mut self, name: &str, port: Option<u32>, span: Span) -> usize {
        let source = self.current.clone();
        let (host, new) = self.inventory.host_entry(name, source.as_ref(), Some(span));
        if new && let Some(port) = port {
            let node = Node {
                kind: NodeKind::Data(Value::from(port)),
                span,
            };
            self.host_var(host, "ansible_port", node);
        }
        host
    }

    pub(crate) fn host_var(&mut self, host: usize, name: &str, value: Node) {
        let vars = Arc::make_mut(&mut self.inventory.hosts[host].vars);
        vars.insert(name.into(), value);
    }

    pub(crate) fn group_var(&mut self, group: usize, name: &str, value: Node) {
        if name != "ansible_group_priority" {
            let vars = Arc::make_mut(&mut self.inventory.groups[group].vars);
            vars.insert(name.into(), value);
            return;
        }
        match value.to_literal().to_int() {
            Ok(priority) => self.inventory.groups[group].priority = priority,
            Err(wrong) => self.error("group-priority", wrong.to_string(), value.span),
        }
    }

    /// Warns about a variable that no template can name.
    pub(crate) fn check_variable(&mut self, name: &str, span: Span) {
        if !is_identifier(name) {
            self.diagnostics.push(
                Diagnostic::warning(
                    "variable-name",
                    format!("`{name}` is not a valid variable name"),
                )
                .at(span)
                .hint("use letters, digits and `_`, not starting with a digit"),
            );
        }
    }

    /// Sets what a mapping says; `set` gets the name and the value.
    pub(crate) fn each_var(&mut self, vars: &Node, mut set: impl FnMut(&mut Self, &str, Node)) {
        let Some(map) = vars.as_map() else {
            if !vars.is_null() {
                let message = format!(
                    "a mapping of variables is expected, not {}",
                    vars.kind_name()
                );
                self.error("inventory-structure", message, vars.span);
            }
            return;
        };
        for (key, value) in &map.entries {
            if let Some(name) = key.as_str() {
                self.check_variable(name, key.span);
                set(self, name, value.clone());
            } else {
                let message = format!("a variable's name is text, not {}", key.kind_name());
                self.error("inventory-structure", message, key.span);
            }
        }
    }
}

/// Letters, digits and `_`, not starting with a digit.
pub(crate) fn is_identifier(name: &str) -> bool {
    !name.starts_with(|ch: char| ch.is_numeric())
        && !name.is_empty()
        && name.chars().all(|ch| ch == '_' || ch.is_alphanumeric())
}
