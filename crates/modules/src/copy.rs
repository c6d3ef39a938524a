//! `copy`: content into a file.
//!
//! The controller's `copy` and `template` actions run this module. What they pass:
//!
//! - `Item::payload`: the content. For `copy: src=` the file's bytes, for `template` the rendered text, for
//!   `copy: content=` either the payload or the argument `content` as it is.
//! - `src`: the name as the playbook has it; it is only repeated in the return values. Without a payload and without
//!   `content`, `remote_src` must be true and `src` is a path on the host.
//! - `_original_basename`: the name to take where `dest` is a directory or ends in `/`. The basename of the file (for
//!   a directory's files the path below it). Leave it out for `content`, which then refuses such a `dest`.
//! - `mode: preserve` replaced by the octal mode of the controller's file (with `remote_src` it stays).
//! - all else unchanged: `dest`, `owner`, `group`, `mode`, `directory_mode`, `backup`, `force`, `validate`, `follow`,
//!   `checksum` (SHA-1 of the content), `unsafe_writes`, ...
//!
//! A directory of the controller becomes one item for each file (with `dest` ending in `/` and `follow` false).

mod json;
mod tree;

use std::path::{Path, PathBuf};

use hostler_module_api::change::{MakeDir, TEXT_SHOWN_MAX};
use hostler_module_api::prelude::*;
use hostler_module_api::digest;

use crate::files::{Mode, Wanted, expand_path, path_info, real_path, warn_of_other_names, with_file_args};

with_file_args! {
    /// Put content into a file on the host: a file of the controller, a text, or another file or directory of the
    /// host.
    ///
    /// ```yaml
    /// - copy:
    ///     src: foo.conf
    ///     dest: /etc/foo.conf
    ///     mode: "0644"
    ///     validate: foo --check %s
    /// ```
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Args {
        /// What to copy: a path on the controller, or with `remote_src` on the host.
        src: Option<String>,
        /// The content itself; lists and mappings become JSON.
        content: Option<Value>,
        /// Where to put it.
        dest: String,
        /// Keep a copy of a file that is replaced.
        #[serde(default)]
        backup: bool,
        /// Replace a file with other content.
        #[serde(default = "yes")]
        force: bool,
        /// Command that must accept the new file, named `%s`, before it is put in place.
        validate: Option<String>,
        /// Mode of directories that are made on the way.
        directory_mode: Option<Value>,
        /// `src` is on the host.
        #[serde(default)]
        remote_src: bool,
        /// Look through symbolic links in `src`.
        local_follow: Option<bool>,
        /// Look through a symbolic link at `dest`.
        #[serde(default)]
        follow: bool,
        /// SHA-1 that the content must have.
        checksum: Option<String>,
        /// Decrypt a vaulted `src`; done by the controller.
        #[serde(default = "yes")]
        #[expect(dead_code, reason = "the controller has done it")]
        decrypt: bool,
        /// Name to use where `dest` is a directory. Given by the controller only.
        #[serde(rename = "_original_basename")]
        original_basename: Option<String>,
    }
}

fn yes() -> bool {
    true
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("copy")
}

/// What was seen.
pub(crate) enum Seen {
    /// Content for one file.
    File(Box<OneFile>),
    /// A directory of the host, with all that is in it.
    Tree(Box<tree::Seen>),
}

/// Content for one file, and what is at its place.
pub(crate) struct OneFile {
    content: Content,
    /// For the diff: the new content, if it is small.
    new_text: Option<Vec<u8>>,
    new_size: Option<u64>,
    /// Mode of the source, which a new copy gets if none is asked for.
    source_mode: Option<u32>,
    sums: Sums,
    dest: PathBuf,
    /// Directories that must be made first.
    missing: Vec<PathBuf>,
    directories: Wanted,
    now: Option<FileStat>,
    same: bool,
    old_text: Option<Vec<u8>>,
    /// `force: false` and something is there.
    left_alone: bool,
    wanted: Wanted,
    info: Map,
}

/// Hashes of the new content, as far as they are known.
#[derive(Clone, Debug, Default)]
struct Sums {
    sha1: Option<String>,
    md5: Option<String>,
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "copy";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        if let Some(src) = remote_directory(args, host)? {
            return tree::Seen::observe(args, &src, host).map(|seen| Seen::Tree(Box::new(seen)));
        }
        OneFile::observe(args, host).map(|seen| Seen::File(Box::new(seen)))
    }

    fn plan(args: &Args, seen: &Seen) -> Result<Plan, ModuleError> {
        match seen {
            Seen::File(file) => file.plan(args),
            Seen::Tree(tree) => tree.plan(),
        }
    }

    fn failure_fields(_args: &Args, before: &Seen, _error: &ModuleError) -> Map {
        let Seen::File(before) = before else { return Map::new() };
        before.sums.sha1.iter().map(|sha1| ("checksum", sha1.as_str())).collect()
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        let mut fields = Map::new();
        let info = match (ran.before, ran.after) {
            (Seen::File(before), Seen::File(after)) => {
                before.fields(args, !ran.plan.is_empty(), after, &mut fields);
                &after.info
            }
            (Seen::Tree(before), after) => {
                fields.insert("dest", before.dest.display().to_string());
                match after {
                    Seen::Tree(after) => &after.info,
                    Seen::File(after) => &after.info,
                }
            }
            (Seen::File(_), Seen::Tree(after)) => &after.info,
        };
        if let Some(src) = &args.src {
            fields.insert("src", src);
        }
        // Of a file that is left alone only its place is told.
        if !matches!(ran.before, Seen::File(before) if before.left_alone) {
            fields.extend(info);
        }
        let backups = ran.applied.iter().filter_map(|applied| match applied {
            Applied::Wrote { backup_file } => backup_file.clone(),
            _ => None,
        });
        if let Some(backup) = backups.max().filter(|_| args.backup) {
            fields.insert("backup_file", backup);
        }
        Report {
            fields,
            ..Report::default()
        }
    }
}

/// The source, if it is a directory of the host.
fn remote_directory(args: &Args, host: &dyn Inspect) -> Result<Option<PathBuf>, ModuleError> {
    if !args.remote_src || host.payload().is_some() || args.content.is_some() {
        return Ok(None);
    }
    let Some(src) = &args.src else { return Ok(None) };
    let src = expand_path(src, host)?;
    let is_dir = host.stat(&src, Follow::Yes)?.is_some_and(|it| it.kind == FileKind::Dir);
    Ok(is_dir.then_some(src))
}

/// Where the content comes from.
fn source(args: &Args, host: &dyn Inspect) -> Result<(Content, Option<FileStat>), ModuleError> {
    if args.src.is_some() && args.content.is_some() {
        return Err(ModuleError::new("src and content are mutually exclusive"));
    }
    if let Some(payload) = host.payload() {
        return Ok((payload.clone(), None));
    }
    if let Some(content) = &args.content {
        let text = match content {
            Value::List(_) | Value::Map(_) => json::text(content),
            scalar => scalar.to_text(),
        };
        return Ok((Content::Bytes(text.into_bytes()), None));
    }
    let Some(src) = &args.src else {
        return Err(ModuleError::new("src (or content) is required"));
    };
    if !args.remote_src {
        let msg = format!("the controller sent no content for {src}");
        return Err(ModuleError::new(msg));
    }
    let path = expand_path(src, host)?;
    let Some(stat) = host.stat(&path, Follow::Yes)? else {
        return Err(ModuleError::new(format!("Source {src} not found")));
    };
    if stat.kind != FileKind::File {
        let msg = format!("Cannot copy invalid source '{src}': not a file");
        return Err(ModuleError::new(msg));
    }
    if !host.access(&path, 4) {
        return Err(ModuleError::new(format!("Source {src} not readable")));
    }
    Ok((Content::HostFile(path), Some(stat)))
}

impl OneFile {
    fn observe(args: &Args, host: &dyn Inspect) -> Result<Self, ModuleError> {
        let (content, source_stat) = source(args, host)?;
        let source_mode = source_stat.as_ref().map(FileStat::perm);
        let mut sums = Sums::of(&content, host)?;
        if let (Some(wanted), Some(found)) = (&args.checksum, &sums.sha1)
            && wanted != found
        {
            let msg = "Copied file does not match the expected checksum. Transfer failed.";
            let error = ModuleError::new(msg).field("checksum", found.as_str());
            return Err(error.field("expected_checksum", wanted.as_str()));
        }
        let (mut dest, missing) = destination(args, host)?;
        if args.follow && missing.is_empty() && host.stat(&dest, Follow::Yes)?.is_some() {
            dest = real_path(&dest, host)?;
        }
        let now = host.stat(&dest, Follow::No)?;
        let there = host.stat(&dest, Follow::Yes)?;
        let left_alone = there.is_some() && !args.force;
        let parent = parent_of(&dest);
        if missing.is_empty() && !left_alone {
            check_parent(args, parent, host)?;
        }
        let is_file = there.as_ref().is_some_and(|it| it.kind == FileKind::File);
        let same_bytes = is_file && same_content(&content, source_stat.as_ref(), there.as_ref(), &dest, &mut sums, host)?;
        let is_link = now.as_ref().is_some_and(|it| it.kind == FileKind::Link);
        let small = |size: u64| size <= TEXT_SHOWN_MAX as u64;
        let new_size = size_of(&content, source_stat.as_ref());
        let same = same_bytes && !is_link;
        let show = !same && !left_alone;
        let new_text = match new_size.filter(|size| show && small(*size)) {
            Some(size) => Some(host.content(&content, size + 1)?),
            None => None,
        };
        let readable = there.as_ref().filter(|it| show && is_file && small(it.size));
        let old_text = match readable {
            Some(stat) => host.read(&dest, stat.size + 4096)?,
            None => None,
        };
        let mut common = args.file_args();
        let preserve = common.mode.and_then(Value::as_str) == Some("preserve");
        if preserve {
            common.mode = None;
        }
        let mut wanted = Wanted::observe(&common, &dest, host)?;
        if preserve {
            let bits = source_mode.ok_or_else(|| {
                ModuleError::new("mode `preserve` has no file whose mode could be preserved")
            })?;
            wanted = wanted.with_mode(Some(Mode::Bits(bits)));
        }
        let directory_mode = args.directory_mode.as_ref().map(Mode::read).transpose()?;
        Ok(OneFile {
            directories: wanted.with_mode(directory_mode),
            info: path_info(&dest, host)?,
            content,
            new_text,
            new_size,
            source_mode,
            sums,
            dest,
            missing,
            now,
            same,
            old_text,
            left_alone,
            wanted,
        })
    }

    fn plan(&self, args: &Args) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        if self.left_alone {
            return Ok(plan);
        }
        if let Some(line) = args.validate.as_ref().filter(|line| !line.contains("%s")) {
            return Err(ModuleError::new(format!("validate must contain %s: {line}")));
        }
        for dir in &self.missing {
            let (attrs, mut deltas) = self.directories.of_new(dir, FileKind::Dir)?;
            let shown = dir.display().to_string();
            deltas.insert(0, Delta::field(shown, "state", "absent", "directory"));
            let path = dir.clone();
            plan.push_all(deltas, Edit::MakeDir(MakeDir { path, attrs }));
        }
        let file = self.now.as_ref().filter(|it| it.kind == FileKind::File);
        if self.same {
            if let Some(now) = file {
                self.wanted.plan(&self.dest, now, &mut plan)?;
            }
            return Ok(plan);
        }
        let (mut attrs, deltas) = match file {
            Some(now) => self.wanted.differs(&self.dest, now)?,
            None => self.wanted.of_new(&self.dest, FileKind::File)?,
        };
        // As ansible-core has it, a copy of a file of the host has its mode, unless another is asked for.
        if args.mode.is_none() {
            attrs.mode = attrs.mode.or(self.source_mode);
        }
        let mut all = vec![self.content_delta()];
        all.extend(deltas);
        plan.write(
            all,
            WriteFile {
                path: self.dest.clone(),
                content: self.content.clone(),
                attrs,
                backup: args.backup,
                validate: args.validate.clone(),
                unsafe_writes: args.unsafe_writes,
            },
        );
        self.wanted.plan_attributes(&self.dest, &mut plan);
        warn_of_other_names(&self.dest, file, &mut plan);
        Ok(plan)
    }

    fn content_delta(&self) -> Delta {
        let shown = self.dest.display().to_string();
        let there = self.now.is_some();
        let texts = (self.old_text.as_deref(), self.new_text.as_deref());
        match texts {
            (old, Some(new)) if old.is_some() || !there => Delta::content(shown, old, Some(new)),
            _ => {
                let words = |size: Option<u64>| size.map_or("content".into(), |size| format!("{size} bytes"));
                let before = self.now.as_ref().map(|now| words(Some(now.size)));
                let after = Some(words(self.new_size));
                Delta {
                    subject: shown,
                    change: Change::Opaque { before, after },
                }
            }
        }
    }

    fn fields(&self, args: &Args, changes: bool, after: &OneFile, fields: &mut Map) {
        let dest = self.dest.display().to_string();
        fields.insert("dest", dest.as_str());
        if self.left_alone {
            fields.insert("msg", "file already exists");
            return;
        }
        // Of streamed content the hashes are those of the file that it became.
        let sums = if self.sums.sha1.is_some() { &self.sums } else { &after.sums };
        if let Some(sha1) = &sums.sha1 {
            fields.insert("checksum", sha1);
        }
        if changes || args.remote_src {
            fields.insert("md5sum", sums.md5.clone());
        } else {
            fields.insert("path", dest);
        }
    }
}

impl Sums {
    /// Of content at hand, or of a file of the host.
    fn of(content: &Content, host: &dyn Inspect) -> Result<Self, ModuleError> {
        Ok(match content {
            Content::Bytes(bytes) => Sums {
                sha1: digest(bytes, "sha1"),
                md5: digest(bytes, "md5"),
            },
            Content::HostFile(path) => Sums::of_file(path, host)?,
            Content::Blob { .. } => Sums::default(),
        })
    }

    fn of_file(path: &Path, host: &dyn Inspect) -> Result<Self, ModuleError> {
        Ok(Sums {
            sha1: host.checksum(path, "sha1")?,
            md5: host.checksum(path, "md5")?,
        })
    }
}

fn size_of(content: &Content, source: Option<&FileStat>) -> Option<u64> {
    match content {
        Content::Bytes(bytes) => Some(bytes.len() as u64),
        Content::Blob { size, .. } => Some(*size),
        Content::HostFile(_) => source.map(|it| it.size),
    }
}

/// Does the file hold the content already? A blob is told by its hash, so that it need not be sent.
fn same_content(
    content: &Content,
    source: Option<&FileStat>,
    there: Option<&FileStat>,
    dest: &Path,
    sums: &mut Sums,
    host: &dyn Inspect,
) -> Result<bool, ModuleError> {
    if there.map(|it| it.size) != size_of(content, source) || !host.access(dest, 4) {
        return Ok(false);
    }
    if let Content::Blob { sha256, .. } = content {
        use std::fmt::Write;
        let wanted = sha256.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let same = host.checksum(dest, "sha256")? == Some(wanted);
        if same {
            *sums = Sums::of_file(dest, host)?;
        }
        return Ok(same);
    }
    Ok(host.checksum(dest, "sha1")? == sums.sha1)
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

/// The file to write, and the directories to make first.
fn destination(args: &Args, host: &dyn Inspect) -> Result<(PathBuf, Vec<PathBuf>), ModuleError> {
    let dest = expand_path(&args.dest, host)?;
    let name = args.original_basename.as_deref().filter(|it| !it.is_empty());
    let own_name = args.src.as_deref().filter(|_| args.remote_src);
    let own_name = own_name.and_then(|src| Path::new(src).file_name()?.to_str());
    let name = name.or(own_name);
    let no_name = || ModuleError::new("can not use content with a dir as dest");
    if name.is_some_and(|name| name.split('/').any(|part| part == "..")) {
        return Err(ModuleError::new("the name of the source leads out of dest"));
    }
    let mut missing = Vec::new();
    if args.dest.ends_with('/') {
        let file = dest.join(name.ok_or_else(no_name)?);
        for dir in parent_of(&file).ancestors().filter(|it| !it.as_os_str().is_empty()) {
            match host.stat(dir, Follow::Yes)? {
                None => missing.push(dir.to_owned()),
                Some(stat) if stat.kind == FileKind::Dir => break,
                Some(_) => {
                    let msg = format!("Destination directory {} is not a directory", dir.display());
                    return Err(ModuleError::new(msg));
                }
            }
        }
        missing.reverse();
        return Ok((file, missing));
    }
    let is_dir = host.stat(&dest, Follow::Yes)?.is_some_and(|it| it.kind == FileKind::Dir);
    if is_dir {
        return Ok((dest.join(name.ok_or_else(no_name)?), missing));
    }
    Ok((dest, missing))
}

fn check_parent(args: &Args, parent: &Path, host: &dyn Inspect) -> Result<(), ModuleError> {
    let shown = parent.display();
    let stat = host.stat(parent, Follow::Yes)?;
    if stat.is_none_or(|it| it.kind != FileKind::Dir) {
        return Err(ModuleError::new(format!("Destination directory {shown} does not exist")));
    }
    if !args.unsafe_writes && !host.access(parent, 2) {
        return Err(ModuleError::new(format!("Destination {shown} not writable")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
