//! What a task says, looked at as nodes.

use std::sync::Arc;

use hostler_playbook::Task;
use hostler_value::Value;
use hostler_yaml::{Mapping, Node, NodeKind};

/// A task's arguments as one node, `module_defaults` underneath.
pub(crate) fn args_node(task: &Task) -> Node {
    let mut entries: Vec<(Node, Node)> = Vec::new();
    let mut defaults: Vec<&Node> = task
        .context
        .levels()
        .filter_map(|it| it.module_defaults.as_ref())
        .collect();
    defaults.reverse();
    for node in defaults.iter().filter_map(|node| node.as_map()) {
        for (key, value) in &node.entries {
            let names = key.as_str().map(|it| it.rsplit('.').next().unwrap_or(it));
            if names == Some(task.module.as_str())
                && let Some(map) = value.as_map()
            {
                entries.extend(map.entries.iter().cloned());
            }
        }
    }
    for (name, span, value) in &task.args.entries {
        let key = Node {
            kind: NodeKind::Data(Value::str(name)),
            span: *span,
        };
        entries.push((key, value.clone()));
    }
    Node {
        kind: NodeKind::Map(Arc::new(Mapping { entries })),
        span: task.span,
    }
}

/// Does any text of a task mention a name? For what must not be done before a result is known.
pub(crate) fn mentions(task: &Task, name: &str) -> bool {
    fn in_node(node: &Node, name: &str) -> bool {
        match &node.kind {
            NodeKind::Text(source) => source.text().contains(name),
            NodeKind::List(items) => items.iter().any(|it| in_node(it, name)),
            NodeKind::Map(map) => map
                .entries
                .iter()
                .any(|(key, value)| in_node(key, name) || in_node(value, name)),
            NodeKind::Data(_) | NodeKind::Vault(_) => false,
        }
    }
    let keywords = &task.context.keywords;
    let vars = keywords
        .vars
        .iter()
        .flat_map(|map| map.entries.iter().map(|(_, value)| value));
    let nodes = task.args.entries.iter().map(|(_, _, value)| value);
    let conditions = task.context.conditions();
    nodes
        .chain(vars)
        .chain(conditions)
        .chain(&keywords.environment)
        .chain(&keywords.delegate_to)
        .chain(&keywords.become_user)
        .any(|node| in_node(node, name))
}
