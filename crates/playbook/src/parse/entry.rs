//! Lists of tasks and blocks.

use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_yaml::{Mapping, Node};

use super::Parser;
use crate::ast::{Block, Entry, Section};
use crate::context::{Context, Keywords};
use crate::keywords::{BLOCK, INNER, SHARED};

impl Parser<'_> {
    /// Reads a list of tasks and blocks.
    pub(super) fn entries(
        &mut self,
        node: &Node,
        section: Section,
        outer: &Arc<Context>,
    ) -> Vec<Entry> {
        let Some(items) = node.as_list() else {
            let found = format!("expected a list of tasks, this is {}", node.kind_name());
            self.push(
                Diagnostic::error("wrong-kind", found)
                    .at(node.span)
                    .hint("start each task with `- `"),
            );
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| self.entry(item, section, outer))
            .collect()
    }

    fn entry(&mut self, node: &Node, section: Section, outer: &Arc<Context>) -> Option<Entry> {
        if node.is_null() {
            return None;
        }
        let map = self.mapping(node, "a task")?;
        if BLOCK.iter().any(|name| map.get(name).is_some()) {
            self.block(node, map, section, outer)
                .map(|block| Entry::Block(Arc::new(block)))
        } else {
            self.task(node, map, section, outer)
                .map(|task| Entry::Task(Arc::new(task)))
        }
    }

    fn block(
        &mut self,
        node: &Node,
        map: &Mapping,
        section: Section,
        outer: &Arc<Context>,
    ) -> Option<Block> {
        let mut keywords = Keywords::default();
        for (key, value) in &map.entries {
            let name = key.as_str().unwrap_or_default();
            if !BLOCK.contains(&name) && !self.shared_keyword(name, value, &mut keywords) {
                self.unknown_keyword(key, "block", &[BLOCK, INNER, SHARED]);
            }
        }
        if map.get("block").is_none() {
            let problem = "`rescue` and `always` belong to a `block`, and there is none";
            self.push(Diagnostic::error("block-shape", problem).at(node.span));
            return None;
        }
        let context = Arc::new(Context {
            keywords,
            outer: Some(outer.clone()),
        });
        let mut part = |name: &str| match map.get(name) {
            Some(list) if !list.is_null() => self.entries(list, section, &context),
            _ => Vec::new(),
        };
        let (block, rescue, always) = (part("block"), part("rescue"), part("always"));
        let name = map.get("name").cloned();
        Some(Block {
            name,
            span: node.span,
            context,
            block,
            rescue,
            always,
        })
    }
}
