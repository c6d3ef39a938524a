//! A text file that a module edits in place: `lineinfile`, `blockinfile`, `replace`, `sysctl`, `cron`, ...
//!
//! Python's modules match *bytes*: `\w` is ASCII and `.` is one byte. So file, pattern and inserted text are mapped
//! byte by byte to the characters U+0000 to U+00FF ([`from_bytes`]) and back: no file is refused or damaged because
//! of its encoding.

#[cfg(test)]
mod answers;

use std::path::{Path, PathBuf};

use hostler_change::{FileKind, MakeDir};
use hostler_module_api::prelude::*;
use hostler_python_regex::{Flags, Regex, RegexError};

#[cfg(test)]
pub(crate) use answers::check_answers;

use crate::files::{FileArgs, Wanted, expand_path, real_path, warn_of_other_names};

/// Largest file that is edited. Configuration files are a thousand times smaller; the bound keeps an agent on a small
/// host from filling its memory.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

/// The file as it is.
#[derive(Clone, Debug)]
pub(crate) struct EditedFile {
    /// The path as the user gave it, expanded.
    pub(crate) shown: String,
    /// The file itself, behind symbolic links.
    pub(crate) path: PathBuf,
    /// `None` if there is no file.
    pub(crate) content: Option<Vec<u8>>,
    /// Do owner, group or mode have to be set? For a missing file: would they, after it was made?
    pub(crate) attrs_differ: bool,
    stat: Option<FileStat>,
    wanted: Wanted,
    missing_parents: Vec<PathBuf>,
}

/// How the changed file is to be written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Writing<'a> {
    pub(crate) backup: bool,
    pub(crate) validate: Option<&'a str>,
    pub(crate) unsafe_writes: bool,
}

impl EditedFile {
    /// Looks at the file.
    pub(crate) fn observe(
        path: &str,
        args: &FileArgs<'_>,
        host: &dyn Inspect,
    ) -> Result<Self, ModuleError> {
        let given = expand_path(path, host)?;
        let shown = given.display().to_string();
        let path = real_path(&given, host)?;
        let stat = host.stat(&path, Follow::Yes)?;
        if stat.as_ref().is_some_and(|it| it.kind == FileKind::Dir) {
            let msg = format!("Path {shown} is a directory !");
            return Err(ModuleError::new(msg).field("rc", 256));
        }
        let content = match stat {
            Some(_) => host.read(&path, FILE_BYTES_MAX)?,
            None => None,
        };
        let wanted = Wanted::observe(args, &path, host)?;
        let mut attrs = Plan::none();
        let new = new_file(host);
        wanted.plan(&path, stat.as_ref().unwrap_or(&new), &mut attrs)?;
        Ok(EditedFile {
            missing_parents: missing_parents(&path, host)?,
            attrs_differ: !attrs.is_empty(),
            shown,
            path,
            content,
            stat,
            wanted,
        })
    }

    /// Is there a file?
    pub(crate) fn exists(&self) -> bool {
        self.stat.is_some()
    }

    /// Fails as ansible-core does for a file that should be there.
    pub(crate) fn must_exist(&self, what: &str) -> Result<(), ModuleError> {
        if self.exists() {
            return Ok(());
        }
        let msg = format!("{what} {} does not exist !", self.shown);
        Err(ModuleError::new(msg).field("rc", 257))
    }

    /// What to do so that the file has this content (`None`: the one it has) and the wanted attributes.
    pub(crate) fn plan(
        &self,
        after: Option<Vec<u8>>,
        writing: Writing<'_>,
    ) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        let after = after.filter(|after| self.content.as_ref() != Some(after));
        match (after, &self.stat) {
            (Some(after), _) => self.plan_write(after, writing, &mut plan)?,
            (None, Some(stat)) => self.wanted.plan(&self.path, stat, &mut plan)?,
            (None, None) => {}
        }
        Ok(plan)
    }

    fn plan_write(
        &self,
        after: Vec<u8>,
        writing: Writing<'_>,
        plan: &mut Plan,
    ) -> Result<(), ModuleError> {
        if let Some(validate) = writing.validate.filter(|it| !it.contains("%s")) {
            return Err(ModuleError::new(format!(
                "validate must contain %s: {validate}"
            )));
        }
        for dir in &self.missing_parents {
            let delta = Delta::field(dir.display().to_string(), "state", "absent", "directory");
            let path = dir.clone();
            let attrs = Attrs::default();
            plan.push(delta, Edit::MakeDir(MakeDir { path, attrs }));
        }
        let (attrs, attr_deltas) = match &self.stat {
            Some(stat) => self.wanted.differs(&self.path, stat)?,
            None => self.wanted.of_new(&self.path, FileKind::File)?,
        };
        let mut deltas = vec![Delta::content(
            &self.shown,
            self.content.as_deref(),
            Some(&after),
        )];
        deltas.extend(attr_deltas);
        plan.write(
            deltas,
            WriteFile {
                path: self.path.clone(),
                content: Content::Bytes(after),
                attrs,
                backup: writing.backup,
                validate: writing.validate.map(str::to_owned),
                unsafe_writes: writing.unsafe_writes,
            },
        );
        self.wanted.plan_attributes(&self.path, plan);
        warn_of_other_names(&self.path, self.stat.as_ref(), plan);
        Ok(())
    }

    /// Adds to a message that attributes changed too, as ansible-core words it. In check mode it does not look at the
    /// attributes of a file that is not there.
    pub(crate) fn message(&self, msg: &str, check: bool) -> String {
        const ATTRS: &str = "ownership, perms or SE linux context changed";
        match (self.attrs_differ && (self.exists() || !check), msg) {
            (false, msg) => msg.to_owned(),
            (true, "") => ATTRS.to_owned(),
            (true, msg) => format!("{msg} and {ATTRS}"),
        }
    }
}

/// A report with the path of the copy of what was there before, if there is one.
pub(crate) fn with_backup(report: Report, applied: &[Applied]) -> Report {
    match backup_file(applied) {
        Some(backup) => report.with("backup_file", backup),
        None => report,
    }
}

/// Path of the copy of what was there before.
pub(crate) fn backup_file(applied: &[Applied]) -> Option<&str> {
    applied.iter().find_map(|applied| match applied {
        Applied::Wrote { backup_file } => backup_file.as_deref(),
        _ => None,
    })
}

/// What a file would be just after it was made.
fn new_file(host: &dyn Inspect) -> FileStat {
    let me = host.identity();
    FileStat {
        kind: FileKind::File,
        st_mode: 0o100_000 | (0o666 & !me.umask),
        uid: me.uid,
        gid: me.gid,
        size: 0,
        dev: 0,
        ino: 0,
        nlink: 1,
        rdev: 0,
        blocks: 0,
        block_size: 0,
        atime_ns: 0,
        mtime_ns: 0,
        ctime_ns: 0,
    }
}

/// Directories above a path that are not there, outermost first.
pub(crate) fn missing_parents(
    path: &Path,
    host: &dyn Inspect,
) -> Result<Vec<PathBuf>, ModuleError> {
    let mut missing = Vec::new();
    for dir in path.ancestors().skip(1) {
        if dir.as_os_str().is_empty() || host.stat(dir, Follow::Yes)?.is_some() {
            break;
        }
        missing.push(dir.to_owned());
    }
    missing.reverse();
    Ok(missing)
}

/// Bytes as text, one character each.
pub(crate) fn from_bytes(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The bytes of text that [`from_bytes`] made.
pub(crate) fn to_bytes(text: &str) -> Vec<u8> {
    let byte = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'?');
    text.chars().map(byte).collect()
}

/// Compiles a pattern that matches bytes.
pub(crate) fn bytes_regex(argument: &str, pattern: &str) -> Result<Regex, ModuleError> {
    let flags = Flags {
        ascii: true,
        ..Flags::default()
    };
    let regex = Regex::new(&from_bytes(pattern.as_bytes()), flags);
    regex.map_err(|error| bad_regex(argument, &error))
}

/// A pattern or template that is wrong, or too hard to match.
pub(crate) fn bad_regex(argument: &str, error: &RegexError) -> ModuleError {
    ModuleError::new(format!("argument `{argument}`: {error}"))
}

/// Two arguments that exclude each other, in ansible-core's words.
pub(crate) fn refuse_both(
    (first, first_given): (&str, bool),
    (second, second_given): (&str, bool),
) -> Result<(), ModuleError> {
    if first_given && second_given {
        let msg = format!("parameters are mutually exclusive: {first}|{second}");
        return Err(ModuleError::new(msg));
    }
    Ok(())
}
