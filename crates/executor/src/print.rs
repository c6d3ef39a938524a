//! Prints: what is written, as a hash.

use hostler_change::Content;
use hostler_events::TaskId;
use hostler_journal::Print;
use hostler_playbook::Task;
use hostler_protocol::{Item, TaskKey};
use hostler_value::Value;
use hostler_yaml::{Node, NodeKind};
use sha2::{Digest, Sha256};

/// Of a task as it is written: what it does, and where and when. Its place in the file does not count.
pub(crate) fn of_task(task: &Task) -> Print {
    let mut hash = Feed::default();
    hash.text(&task.module);
    hash.nodes("name", &task.name);
    for (name, _, value) in &task.args.entries {
        hash.nodes(name, [value]);
    }
    if let Some(l) = &task.r#loop {
        hash.text(&format!("{:?}", l.kind));
        hash.nodes("loop", [&l.items]);
    }
    hash.nodes("when", task.context.conditions());
    hash.nodes("until", &task.until);
    hash.nodes("changed_when", &task.changed_when);
    hash.nodes("failed_when", &task.failed_when);
    hash.nodes("notify", task.notify.iter().map(|it| &it.name));
    hash.text(task.register.as_deref().unwrap_or_default());
    task.listen.iter().for_each(|topic| hash.text(topic));
    for keywords in task.context.levels() {
        hash.nodes("delegate_to", &keywords.delegate_to);
        hash.nodes("environment", &keywords.environment);
        hash.nodes("become", &keywords.r#become);
        hash.nodes("become_user", &keywords.become_user);
    }
    hash.end()
}

/// Of a message with work.
pub(crate) fn of_request(module: &str, items: &[Item]) -> Print {
    let mut hash = Feed::default();
    hash.text(module);
    for item in items {
        hash.value(&item.args);
        match &item.payload {
            None => hash.text("-"),
            Some(Content::Bytes(bytes)) => hash.bytes(bytes),
            Some(Content::Blob { sha256, .. }) => hash.bytes(sha256),
            Some(Content::HostFile(path)) => hash.text(&path.display().to_string()),
        }
    }
    hash.end()
}

/// The key of a message.
pub(crate) fn key(run: &str, task: TaskId, host: &str, step: u32, attempt: u32) -> TaskKey {
    let mut hash = Feed::default();
    hash.text(run);
    hash.text(host);
    for number in [task.0, step, attempt] {
        hash.bytes(&number.to_le_bytes());
    }
    TaskKey(hash.end().0)
}

/// A hash of parts; where each ends counts.
#[derive(Default)]
struct Feed(Sha256);

impl Feed {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn value(&mut self, value: &Value) {
        // Keys keep their order: so does what the agent gets.
        self.text(&serde_json::to_string(value).unwrap_or_default());
    }

    fn nodes<'a>(&mut self, label: &str, nodes: impl IntoIterator<Item = &'a Node>) {
        self.text(label);
        for node in nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Text(source) => self.text(source.text()),
            NodeKind::Data(value) => self.value(value),
            NodeKind::List(items) => {
                self.text("[");
                items.iter().for_each(|item| self.node(item));
                self.text("]");
            }
            NodeKind::Map(map) => {
                self.text("{");
                for (key, value) in &map.entries {
                    self.node(key);
                    self.node(value);
                }
                self.text("}");
            }
            NodeKind::Vault(sealed) => self.text(&format!("{sealed:?}")),
        }
    }

    fn end(self) -> Print {
        let whole: [u8; 32] = self.0.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        Print(half)
    }
}
