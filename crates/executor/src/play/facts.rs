//! The gathering of facts at the beginning of a play: a task that nobody wrote.

use std::sync::Arc;

use hostler_diag::Span;
use hostler_playbook::{Args, Context, Task};
use hostler_value::Value;
use hostler_yaml::{Node, NodeKind};

use super::{PlayRun, play_scope};
use crate::context::RunContext;

impl PlayRun {
    pub(super) fn gathers_facts(&self, run: &RunContext) -> bool {
        let Some(node) = &self.play.gather_facts else {
            return true;
        };
        let scope = play_scope(run, &self.hosts[0], &self.layer);
        match run
            .engine
            .finalise(node, &scope)
            .map(|value| value.to_bool())
        {
            Ok(Ok(wanted)) => wanted,
            _ => true,
        }
    }

    /// The task that gathers facts, as if it were written in the play.
    pub(super) fn fact_task(&self) -> Task {
        let span = self.play.span;
        let mut entries: Vec<(String, Span, Node)> = Vec::new();
        for (name, node) in [
            ("gather_subset", &self.play.gather_subset),
            ("gather_timeout", &self.play.gather_timeout),
            ("fact_path", &self.play.fact_path),
        ] {
            entries.extend(node.clone().map(|node| (name.to_owned(), node.span, node)));
        }
        let mut keywords = hostler_playbook::Keywords {
            tags: vec!["always".into()],
            ..Default::default()
        };
        // Facts are looked at, not changed: they are gathered in check mode, too.
        keywords.when = None;
        Task {
            name: Some(Node {
                kind: NodeKind::Data(Value::str("Gathering Facts")),
                span,
            }),
            span,
            module: "setup".into(),
            module_span: span,
            args: Args { entries },
            context: Arc::new(Context {
                keywords,
                outer: Some(self.play.context.clone()),
            }),
            r#loop: None,
            register: None,
            until: None,
            retries: None,
            delay: None,
            changed_when: None,
            failed_when: None,
            notify: Vec::new(),
            listen: Vec::new(),
        }
    }
}
