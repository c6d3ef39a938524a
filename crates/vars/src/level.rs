//! The levels of precedence, and where a value was found.

use std::sync::Arc;

use hostler_diag::Span;
use hostler_template::Var;

/// Where a variable can come from, weakest first. This is Ansible's documented order, as far as hostler has the levels;
/// role defaults, role variables and role and include parameters have their place in it when roles come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Variables of `all` in the inventory.
    InventoryAll,
    /// Variables of a group in the inventory.
    InventoryGroup,
    /// `group_vars/all` beside the inventory.
    InventoryAllFile,
    /// `group_vars/all` beside the playbook.
    PlaybookAllFile,
    /// `group_vars/*` beside the inventory.
    InventoryGroupFile,
    /// `group_vars/*` beside the playbook.
    PlaybookGroupFile,
    /// Variables of the host in the inventory.
    InventoryHost,
    /// `host_vars/*` beside the inventory.
    InventoryHostFile,
    /// `host_vars/*` beside the playbook.
    PlaybookHostFile,
    /// Facts.
    Facts,
    /// `vars` of the play.
    PlayVars,
    /// Answers to the play's `vars_prompt`.
    PlayPrompt,
    /// `vars_files` of the play.
    PlayVarsFile,
    /// `vars` of a block or of the task.
    TaskVars,
    /// `include_vars`.
    IncludeVars,
    /// `set_fact` and `register`.
    SetFact,
    /// Extra variables (`-e`).
    ExtraVars,
    /// What hostler itself sets: `inventory_hostname`, `groups`, `hostvars`, ...
    Magic,
    /// The item of a loop and what belongs to it.
    Loop,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Level::InventoryAll => "inventory, group `all`",
            Level::InventoryAllFile => "group_vars/all beside the inventory",
            Level::PlaybookAllFile => "group_vars/all beside the playbook",
            Level::InventoryGroup => "inventory, group",
            Level::InventoryGroupFile => "group_vars beside the inventory",
            Level::PlaybookGroupFile => "group_vars beside the playbook",
            Level::InventoryHost => "inventory, host",
            Level::InventoryHostFile => "host_vars beside the inventory",
            Level::PlaybookHostFile => "host_vars beside the playbook",
            Level::Facts => "facts",
            Level::PlayVars => "vars of the play",
            Level::PlayPrompt => "vars_prompt of the play",
            Level::PlayVarsFile => "vars_files of the play",
            Level::TaskVars => "vars of the task or its block",
            Level::IncludeVars => "include_vars",
            Level::SetFact => "set_fact or register",
            Level::ExtraVars => "extra vars",
            Level::Magic => "magic variable",
            Level::Loop => "loop",
        })
    }
}

/// A value that a level has for a variable.
#[derive(Clone)]
pub struct Found {
    /// The level.
    pub level: Level,
    /// The group, at the levels of groups.
    pub group: Option<Arc<str>>,
    /// Where it is written; none for data.
    pub span: Option<Span>,
    /// The value as the level holds it.
    pub var: Var,
}

impl Found {
    pub(crate) fn new(level: Level, var: Var) -> Self {
        let span = match &var {
            Var::Written(node) => Some(node.span),
            Var::Data(_) | Var::Nested(_) => None,
        };
        Found {
            level,
            group: None,
            span,
            var,
        }
    }
}
