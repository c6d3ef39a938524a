//! `file`: files, directories, links, their owners and modes.

mod link;
mod times;
mod tree;

use std::path::{Path, PathBuf};

use hostler_module_api::change::{MakeDir, Remove};
use hostler_module_api::prelude::*;

use crate::files::{
    Wanted, expand_path, path_info, real_path, state_name, with_file_args,
};
use times::Stamps;

with_file_args! {
    /// Set what is at a path: a directory, a link, an empty file, nothing; and its owner, group and mode.
    ///
    /// ```yaml
    /// - file:
    ///     path: /etc/some_directory
    ///     state: directory
    ///     mode: "0755"
    /// ```
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "`unsafe_writes` has no effect: no file's content is written here")]
    pub(crate) struct Args {
        /// The path.
        #[serde(alias = "dest", alias = "name")]
        path: String,
        /// What shall be there. Without it: what is there already, and else a file.
        state: Option<State>,
        /// Set owner, group and mode of all that is in a directory too.
        #[serde(default)]
        recurse: bool,
        /// Make links to what does not exist, and in the place of files.
        #[serde(default)]
        force: bool,
        /// Look through a symbolic link at the path.
        #[serde(default = "yes")]
        follow: bool,
        /// What a link points to.
        src: Option<String>,
        /// `preserve`, `now`, or a time in the form of `modification_time_format`.
        modification_time: Option<String>,
        /// Form of that time, as of `strftime(3)`.
        #[serde(default = "usual_format")]
        modification_time_format: String,
        /// `preserve`, `now`, or a time in the form of `access_time_format`.
        access_time: Option<String>,
        /// Form of that time, as of `strftime(3)`.
        #[serde(default = "usual_format")]
        access_time_format: String,
        /// Name to use where the path is a directory. Given by the controller only.
        #[serde(rename = "_original_basename")]
        original_basename: Option<String>,
    }
}

/// What shall be at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    /// Nothing.
    Absent,
    /// A directory, with all above it.
    Directory,
    /// A file that is there already.
    File,
    /// Another name of a file.
    Hard,
    /// A symbolic link.
    Link,
    /// A file; its times are set to now.
    Touch,
}

fn yes() -> bool {
    true
}

fn usual_format() -> String {
    "%Y%m%d%H%M.%S".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("file")
}

/// What was seen.
pub(crate) struct Seen {
    state: State,
    /// The path that was asked for, completed by a name if it is a directory.
    path: PathBuf,
    /// The path that is worked on: links resolved where they are followed.
    place: PathBuf,
    /// What is at `place`, not following.
    now: Option<FileStat>,
    wanted: Wanted,
    stamps: Stamps,
    more: More,
    info: Map,
}

/// What some states look at besides.
enum More {
    Nothing,
    /// Directories on the way that are missing, top first; and everything inside, if recursive.
    Directory {
        missing: Vec<PathBuf>,
        blocked: Option<PathBuf>,
        inside: Vec<(PathBuf, FileStat)>,
    },
    Link(Box<link::Seen>),
    /// For a new file: is its directory there?
    Parent(bool),
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "file";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        let path = full_path(args, host)?;
        let now = host.stat(&path, Follow::No)?;
        let state = wanted_state(args, &path, now.as_ref())?;
        let follows = args.follow && matches!(state, State::File | State::Directory | State::Touch);
        let is_link = now.as_ref().is_some_and(|it| it.kind == FileKind::Link);
        let (place, now) = if follows && is_link {
            let place = real_path(&path, host)?;
            let now = host.stat(&place, Follow::No)?;
            (place, now)
        } else {
            (path.clone(), now)
        };
        let more = match state {
            State::Directory => tree::observe(args, &place, now.as_ref(), host)?,
            State::Link | State::Hard => More::Link(Box::new(link::Seen::observe(args, &path, host)?)),
            State::Touch => {
                let parent = place.parent().unwrap_or(Path::new("/"));
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                let stat = host.stat(parent, Follow::Yes)?;
                More::Parent(stat.is_some_and(|it| it.kind == FileKind::Dir))
            }
            State::Absent | State::File => More::Nothing,
        };
        Ok(Seen {
            state,
            wanted: Wanted::observe(&args.file_args(), &place, host)?,
            stamps: Stamps::observe(args, state, host)?,
            more,
            info: path_info(&place, host)?,
            path,
            place,
            now,
        })
    }

    fn plan(args: &Args, seen: &Seen) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        match seen.state {
            State::Absent => absent(seen, &mut plan),
            State::File => {
                let is = state_name(seen.now.as_ref());
                let Some(now) = seen.now.as_ref().filter(|_| matches!(is, "file" | "hard")) else {
                    let shown = seen.place.display().to_string();
                    let msg = format!("file ({shown}) is {is}, cannot continue");
                    return Err(ModuleError::new(msg).field("path", shown).field("state", is));
                };
                seen.attributes(&seen.place, now, &mut plan)?;
            }
            State::Touch => touch(seen, &mut plan)?,
            State::Directory => tree::plan(seen, &mut plan)?,
            State::Link => link::plan_symbolic(args, seen, &mut plan)?,
            State::Hard => link::plan_hard(args, seen, &mut plan)?,
        }
        Ok(plan)
    }

    fn report(_: &Args, ran: &Ran<'_, Seen>) -> Report {
        let seen = ran.before;
        let place = seen.place.display().to_string();
        let mut fields = Map::new();
        let key = match seen.state {
            State::Link | State::Hard | State::Touch => "dest",
            State::Absent | State::Directory | State::File => "path",
        };
        fields.insert(key, place);
        if let More::Link(link) = &seen.more {
            fields.insert("src", link.src.clone());
        }
        if seen.state == State::Absent {
            fields.insert("state", "absent");
        } else {
            fields.extend(&ran.after.info);
        }
        Report {
            fields,
            ..Report::default()
        }
    }
}

impl Seen {
    /// Plans owner, group, mode, attributes and times of something that is there.
    fn attributes(&self, path: &Path, now: &FileStat, plan: &mut Plan) -> Result<(), ModuleError> {
        self.wanted.plan(path, now, plan)?;
        self.stamps.plan(path, now, plan);
        Ok(())
    }

    fn state_delta(&self, path: &Path, after: &str) -> Delta {
        let before = if path == self.place { state_name(self.now.as_ref()) } else { "absent" };
        Delta::field(path.display().to_string(), "state", before, after)
    }
}

/// The path; where it is a directory and a file is meant, the file of the source's name in it.
fn full_path(args: &Args, host: &dyn Inspect) -> Result<PathBuf, ModuleError> {
    let path = expand_path(&args.path, host)?;
    let path = match path.to_str().map(|text| text.trim_end_matches('/')) {
        Some(text) if !text.is_empty() => PathBuf::from(text),
        _ => path,
    };
    if matches!(args.state, Some(State::Link | State::Absent)) {
        return Ok(path);
    }
    let name = match (&args.original_basename, &args.src) {
        (Some(name), _) if !name.is_empty() => Some(name.clone().into()),
        (_, Some(src)) => expand_path(src, host)?.file_name().map(ToOwned::to_owned),
        _ => None,
    };
    let Some(name) = name else { return Ok(path) };
    let is_dir = host.stat(&path, Follow::Yes)?.is_some_and(|it| it.kind == FileKind::Dir);
    Ok(if is_dir { path.join(name) } else { path })
}

fn wanted_state(args: &Args, path: &Path, now: Option<&FileStat>) -> Result<State, ModuleError> {
    let state = args.state.unwrap_or_else(|| match state_name(now) {
        "link" => State::Link,
        "directory" => State::Directory,
        "hard" => State::Hard,
        "absent" if args.recurse => State::Directory,
        _ => State::File,
    });
    let refuse = |msg: &str| Err(ModuleError::new(msg).field("path", path.display().to_string()));
    if args.recurse && state != State::Directory {
        return refuse("recurse option requires state to be 'directory'");
    }
    if args.src.is_some() && !matches!(state, State::Link | State::Hard) {
        return refuse("src option requires state to be 'link' or 'hard'");
    }
    Ok(state)
}

fn absent(seen: &Seen, plan: &mut Plan) {
    let Some(now) = &seen.now else { return };
    let edit = Edit::Remove(Remove {
        path: seen.place.clone(),
        recursive: now.kind == FileKind::Dir,
    });
    plan.push(seen.state_delta(&seen.place, "absent"), edit);
}

fn touch(seen: &Seen, plan: &mut Plan) -> Result<(), ModuleError> {
    if let Some(now) = &seen.now {
        return seen.attributes(&seen.place, now, plan);
    }
    if matches!(seen.more, More::Parent(false)) {
        let path = seen.place.display().to_string();
        let error = ModuleError::new("Error, could not touch target.").field("path", path);
        return Err(error.hint("the directory that is to hold it does not exist"));
    }
    let (attrs, mut deltas) = seen.wanted.of_new(&seen.place, FileKind::File)?;
    deltas.insert(0, seen.state_delta(&seen.place, "file"));
    let file = WriteFile {
        path: seen.place.clone(),
        content: Content::Bytes(Vec::new()),
        attrs,
        backup: false,
        validate: None,
        unsafe_writes: false,
    };
    plan.write(deltas, file);
    seen.wanted.plan_attributes(&seen.place, plan);
    seen.stamps.plan_fixed(&seen.place, plan);
    Ok(())
}

/// Makes a directory, with its differences.
fn make_dir(seen: &Seen, path: &Path, plan: &mut Plan) -> Result<(), ModuleError> {
    let (attrs, mut deltas) = seen.wanted.of_new(path, FileKind::Dir)?;
    deltas.insert(0, seen.state_delta(path, "directory"));
    let path = path.to_owned();
    plan.push_all(deltas, Edit::MakeDir(MakeDir { path, attrs }));
    Ok(())
}

#[cfg(test)]
mod tests;
