//! `ssh_config(5)` and the `ssh` options that inventories carry, as far as fleets use them.
//!
//! [`SshOptions`] holds what is known about one host, first value wins. It is filled from the strongest source to the
//! weakest: the inventory's own variables (set by the caller), `ssh` options from `ansible_ssh_common_args` and its
//! kin ([`SshOptions::apply_cli_options`]), then the configuration files ([`SshConfig::apply`]).
//!
//! ``text
//!   file -> lexer -> Section tree (read once per run) -> apply(host) -> SshOptions -> connect::resolve
//! ``

mod cli;
mod file;
mod keyword;
mod lexer;
mod options;
mod tokens;

pub use cli::OptionError;
pub use file::{ConfigProblem, Severity, SshConfig};
pub use lexer::{QuoteError, split_shell_words};
pub use options::{AddressFamily, ConfigFileChoice, JumpHost, Proxy, SshOptions};
pub(crate) use tokens::expand_host_name;
pub use tokens::{LocalUser, TokenError, Tokens};
