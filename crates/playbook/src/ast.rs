//! What a playbook says, with the place of every part.

use std::path::PathBuf;
use std::sync::Arc;

use hostler_diag::Span;
use hostler_yaml::{Mapping, Node};

use crate::Context;

/// A playbook file.
#[derive(Clone, Debug)]
pub struct Playbook {
    /// Where it was read from; files it names are looked up relative to its directory.
    pub path: PathBuf,
    /// Its plays, in order.
    pub plays: Vec<Arc<Play>>,
}

/// A play.
#[derive(Clone, Debug)]
pub struct Play {
    /// `name`.
    pub name: Option<Node>,
    /// Where it starts.
    pub span: Span,
    /// `hosts`: a pattern or a list of patterns; may be a template.
    pub hosts: Node,
    /// Keywords and variables that its tasks inherit.
    pub context: Arc<Context>,
    /// `vars_files`: each a file name or a list of which the first that exists is read.
    pub vars_files: Vec<Node>,
    /// `gather_facts`; missing means yes.
    pub gather_facts: Option<Node>,
    /// `gather_subset`.
    pub gather_subset: Option<Node>,
    /// `gather_timeout`, in seconds.
    pub gather_timeout: Option<Node>,
    /// `fact_path`.
    pub fact_path: Option<Node>,
    /// `serial`.
    pub serial: Option<Node>,
    /// `max_fail_percentage`.
    pub max_fail_percentage: Option<Node>,
    /// `force_handlers`.
    pub force_handlers: Option<Node>,
    /// `order` of hosts.
    pub order: Option<Node>,
    /// `pre_tasks`.
    pub pre_tasks: Vec<Entry>,
    /// `tasks`.
    pub tasks: Vec<Entry>,
    /// `post_tasks`.
    pub post_tasks: Vec<Entry>,
    /// `handlers`, blocks flattened, in order of definition (which is the order they run in).
    pub handlers: Vec<Arc<Task>>,
}

/// Where a task is listed; handlers are flushed after each of the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `pre_tasks`.
    PreTasks,
    /// `tasks`.
    Tasks,
    /// `post_tasks`.
    PostTasks,
    /// `handlers`.
    Handlers,
}

/// A task or a block.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A task.
    Task(Arc<Task>),
    /// A block.
    Block(Arc<Block>),
}

/// A block with its rescue and always parts.
#[derive(Clone, Debug)]
pub struct Block {
    /// `name`.
    pub name: Option<Node>,
    /// Where it starts.
    pub span: Span,
    /// Keywords and variables that its tasks inherit.
    pub context: Arc<Context>,
    /// `block`.
    pub block: Vec<Entry>,
    /// `rescue`.
    pub rescue: Vec<Entry>,
    /// `always`.
    pub always: Vec<Entry>,
}

/// A task or handler.
#[derive(Clone, Debug)]
pub struct Task {
    /// `name`.
    pub name: Option<Node>,
    /// Where it starts.
    pub span: Span,
    /// The module's short name.
    pub module: String,
    /// Where the module is named.
    pub module_span: Span,
    /// Its arguments.
    pub args: Args,
    /// Own and inherited keywords and variables.
    pub context: Arc<Context>,
    /// `loop` or `with_*`.
    pub r#loop: Option<Loop>,
    /// `register`.
    pub register: Option<String>,
    /// `until`.
    pub until: Option<Node>,
    /// `retries`.
    pub retries: Option<Node>,
    /// `delay`, in seconds.
    pub delay: Option<Node>,
    /// `changed_when`.
    pub changed_when: Option<Node>,
    /// `failed_when`.
    pub failed_when: Option<Node>,
    /// `notify`.
    pub notify: Vec<Notify>,
    /// `listen`, for handlers.
    pub listen: Vec<String>,
}

/// A handler's name or topic in `notify`.
#[derive(Clone, Debug)]
pub struct Notify {
    /// The text; may be a template.
    pub name: Node,
}

/// Arguments as written: `key: value` pairs, whatever the form was.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Name, place of the name, and value.
    pub entries: Vec<(String, Span, Node)>,
}

impl Args {
    /// The value of an argument; of several equal ones the last.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries
            .iter()
            .rev()
            .find(|(key, _, _)| key == name)
            .map(|(_, _, value)| value)
    }
}

/// What a task is repeated for.
#[derive(Clone, Debug)]
pub struct Loop {
    /// Which keyword.
    pub kind: LoopKind,
    /// Its value.
    pub items: Node,
    /// `loop_control`.
    pub control: LoopControl,
}

/// Keywords that repeat a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopKind {
    /// `loop` and `with_list`: the list as it is.
    List,
    /// `with_items`: one level of nested lists is flattened.
    Items,
    /// `with_dict`: items with `key` and `value`.
    Dict,
}

/// `loop_control`.
#[derive(Clone, Debug, Default)]
pub struct LoopControl {
    /// `loop_var`; missing means `item`.
    pub loop_var: Option<String>,
    /// `index_var`.
    pub index_var: Option<String>,
    /// `label`.
    pub label: Option<Node>,
    /// `pause` between items, in seconds.
    pub pause: Option<Node>,
    /// `extended`: also set `ansible_loop`.
    pub extended: Option<Node>,
    /// `extended_allitems`: whether that has `allitems`; missing means yes.
    pub extended_allitems: Option<Node>,
    /// `break_when`.
    pub break_when: Option<Node>,
}

impl LoopControl {
    /// Name of the variable that holds the item.
    pub fn item_name(&self) -> &str {
        self.loop_var.as_deref().unwrap_or("item")
    }
}

/// Variables as a play, block or task has them.
pub(crate) type Vars = Option<Arc<Mapping>>;
