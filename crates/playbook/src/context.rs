//! Keywords that are passed on from plays and blocks to tasks.

use std::sync::Arc;

use hostler_yaml::Node;

use crate::ast::Vars;

/// The keywords of one play, block or task that tasks inside inherit. What is not written is `None`.
#[derive(Clone, Debug, Default)]
pub struct Keywords {
    /// `vars`.
    pub vars: Vars,
    /// `when`; all of the chain must hold.
    pub when: Option<Node>,
    /// `tags`; those of the chain add up.
    pub tags: Vec<String>,
    /// `become`.
    pub r#become: Option<Node>,
    /// `become_user`.
    pub become_user: Option<Node>,
    /// `become_method`.
    pub become_method: Option<Node>,
    /// `become_flags`.
    pub become_flags: Option<Node>,
    /// `become_exe`.
    pub become_exe: Option<Node>,
    /// `environment`; those of the chain are merged, the innermost wins.
    pub environment: Option<Node>,
    /// `remote_user`.
    pub remote_user: Option<Node>,
    /// `port`.
    pub port: Option<Node>,
    /// `connection`.
    pub connection: Option<Node>,
    /// `ignore_errors`.
    pub ignore_errors: Option<Node>,
    /// `ignore_unreachable`.
    pub ignore_unreachable: Option<Node>,
    /// `any_errors_fatal`.
    pub any_errors_fatal: Option<Node>,
    /// `no_log`.
    pub no_log: Option<Node>,
    /// `check_mode`.
    pub check_mode: Option<Node>,
    /// `diff`.
    pub diff: Option<Node>,
    /// `delegate_to`.
    pub delegate_to: Option<Node>,
    /// `delegate_facts`.
    pub delegate_facts: Option<Node>,
    /// `run_once`.
    pub run_once: Option<Node>,
    /// `throttle`.
    pub throttle: Option<Node>,
    /// `timeout` in seconds.
    pub timeout: Option<Node>,
    /// `module_defaults`; the innermost entry for a module wins, argument by argument.
    pub module_defaults: Option<Node>,
}

/// Keywords of one level, and the level around it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Of this level.
    pub keywords: Keywords,
    /// The block or play around it.
    pub outer: Option<Arc<Context>>,
}

impl Context {
    /// From this level outwards.
    pub fn levels(&self) -> impl Iterator<Item = &Keywords> {
        std::iter::successors(Some(self), |level| level.outer.as_deref())
            .map(|level| &level.keywords)
    }

    /// The value of a keyword at the innermost level that has it.
    pub fn nearest<'a, T>(
        &'a self,
        keyword: impl Fn(&'a Keywords) -> Option<&'a T>,
    ) -> Option<&'a T> {
        self.levels().find_map(keyword)
    }

    /// All tags, innermost first.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.levels()
            .flat_map(|keywords| keywords.tags.iter())
            .map(String::as_str)
    }

    /// All conditions, outermost first, as they are evaluated.
    pub fn conditions(&self) -> Vec<&Node> {
        let mut all: Vec<&Node> = self.levels().filter_map(|it| it.when.as_ref()).collect();
        all.reverse();
        all
    }
}
