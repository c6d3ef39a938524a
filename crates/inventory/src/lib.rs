//! Hosts, groups, ranges, variable files and host patterns.
//!
//! ```text
//!  -i FILE|DIR|LIST ──load──▶ ini, yaml, script ──builder──▶ Inventory ──pattern──▶ hosts
//!                      └────▶ var_files: group_vars/, host_vars/
//! ```
//!
//! Values stay [`Node`](hostler_yaml::Node)s, so they are templates until somebody looks at them and know their place.
//! What to do is learned from Ansible's inventory plugins and compared with them (`tests/`).

mod address;
mod builder;
mod glob;
mod ini;
mod limit_sets;
mod literal;
mod load;
mod loader;
mod model;
mod pattern;
mod script;
mod shell;
mod var_files;
mod yaml;

pub use limit_sets::{LimitSet, LimitSets, NoSets};
pub use load::{Loaded, load_inventory};
pub use loader::{FsLoader, Loader, NoScripts, ScriptRunner};
pub use model::{Group, Host, HostSource, Inventory, Vars, is_localhost, short_name};
pub use pattern::{Pattern, PatternProblem, Selection};
pub use var_files::{VarFiles, load_vars, vars_of};
