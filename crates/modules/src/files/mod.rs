//! What modules that deal with files share: common arguments, modes, owners, paths, and the common return values.
//!
//! A module that writes a file declares its arguments with [`with_file_args!`], and then
//!
//! ```text
//! observe   let path = expand_path(&args.path, host)?;
//!           let wanted = Wanted::observe(&args.file_args(), &path, host)?;
//!           let now = host.stat(&path, Follow::No)?;      let info = path_info(&path, host)?;
//! plan      let (attrs, deltas) = match &state.now {
//!               Some(stat) => state.wanted.differs(&path, stat)?,
//!               None => state.wanted.of_new(&path, FileKind::File)?,
//!           };
//! report    fields.extend(&ran.after.info)
//! ```

mod args;
mod attrs;
mod glob;
mod info;
mod links;
mod mode;
mod path;

pub(crate) use args::{FileArgs, with_file_args};
pub(crate) use attrs::Wanted;
pub(crate) use glob::any_match;
pub(crate) use info::{path_info, state_name};
pub(crate) use links::warn_of_other_names;
pub(crate) use mode::{Mode, mode_text};
pub(crate) use path::{expand_path, expand_text, real_path};
