//! `template`: render a file of the controller and copy what comes out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_module_api::{ModuleSpec, from_value, spec_of};
use hostler_template::{
    Engine, FileOptions, Newline as LineEnd, Rendered, Scope, TemplateError, TemplateLoader,
};
use hostler_value::{Map, Value};
use hostler_yaml::TemplateSource;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::failure::Failure;
use crate::files::{ControllerFiles, Sent, find_file};
use crate::host_task::{AgentItem, HostTask, Prepared, RemoteWork, TaskKeywords, with_locals};

/// Render a template of the controller and put it on the host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "what concerns the file on the host is handed on to `copy` as it is"
)]
struct Args {
    /// Template on the controller: in `templates/` beside the playbook, or beside the playbook itself.
    src: String,
    /// Where to put it on the host.
    dest: String,
    /// Line ends of the result.
    #[serde(default)]
    newline_sequence: Newline,
    /// Start of a statement.
    block_start_string: Option<String>,
    /// End of a statement.
    block_end_string: Option<String>,
    /// Start of an expression.
    variable_start_string: Option<String>,
    /// End of an expression.
    variable_end_string: Option<String>,
    /// Start of a comment.
    comment_start_string: Option<String>,
    /// End of a comment.
    comment_end_string: Option<String>,
    /// Remove the line break after a statement.
    trim_blocks: Option<bool>,
    /// Remove blanks before a statement.
    lstrip_blocks: Option<bool>,
    /// Encoding of the result; only UTF-8.
    output_encoding: Option<String>,
    /// Follow a symbolic link at `dest`.
    follow: Option<bool>,
    /// Replace a file that differs.
    force: Option<bool>,
    /// Keep a copy of what was there.
    backup: Option<bool>,
    /// Command that must accept the file, with `%s` for it.
    validate: Option<String>,
    /// Permissions.
    mode: Option<Value>,
    /// User.
    owner: Option<String>,
    /// Group.
    group: Option<String>,
    /// `SELinux` user.
    seuser: Option<String>,
    /// `SELinux` role.
    serole: Option<String>,
    /// `SELinux` type.
    setype: Option<String>,
    /// `SELinux` level.
    selevel: Option<String>,
    /// File attributes as `chattr` sets them.
    #[serde(alias = "attr")]
    attributes: Option<String>,
    /// Write in place where renaming is impossible.
    unsafe_writes: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
enum Newline {
    #[default]
    #[serde(rename = "\n", alias = "\\n")]
    Lf,
    #[serde(rename = "\r\n", alias = "\\r\\n")]
    CrLf,
    #[serde(rename = "\r", alias = "\\r")]
    Cr,
}

/// Arguments that concern the rendering, not the file on the host.
const OWN: &[&str] = &[
    "src",
    "newline_sequence",
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "trim_blocks",
    "lstrip_blocks",
    "output_encoding",
];

pub(super) fn spec() -> ModuleSpec {
    spec_of::<Args>("template")
}

pub(super) fn prepare(
    host: &HostTask<'_>,
    keywords: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let mut map = host.args(scope)?;
    let files = host.run.files();
    let file = TemplateFile::find(&map, files, host.play.directory())?;
    let rendered = file.render(&host.run.engine, files, scope);
    let rendered = rendered.map_err(|error| host.template_failure(&error))?;
    let holes = rendered.unknown.map(Arc::new);
    if let Some(unknown) = holes.as_ref().filter(|_| !keywords.check) {
        // It would be carried out, not previewed.
        return Err(Failure::Unknown(unknown.clone()));
    }
    for name in OWN {
        map.remove(name);
    }
    let basename = file.path.file_name().unwrap_or_default().to_string_lossy();
    map.insert("_original_basename", basename.as_ref());
    map.insert("src", file.src.as_str());
    let link = host.run.fleet.link(&keywords.route);
    let payload = Sent::bytes(rendered.text.into_bytes()).payload(link.blobs());
    let mut work = RemoteWork::module("copy", Map::new());
    work.items = vec![AgentItem {
        args: map,
        payload: Some(payload),
    }];
    work.holes = holes;
    Ok(Prepared::Agent(work))
}

/// A template of the controller, as a task asks for it.
pub(crate) struct TemplateFile {
    pub(crate) path: PathBuf,
    pub(crate) source: TemplateSource,
    pub(crate) options: FileOptions,
    src: String,
    dest: String,
}

impl TemplateFile {
    /// The file that evaluated arguments name.
    pub(crate) fn find(
        map: &Map,
        files: &ControllerFiles,
        directory: &Path,
    ) -> Result<Self, Failure> {
        let args: Args =
            from_value(&Value::from(map.clone())).map_err(|it| Failure::new(it.to_string()))?;
        if args
            .output_encoding
            .as_deref()
            .is_some_and(|it| !it.eq_ignore_ascii_case("utf-8"))
        {
            return Err(Failure::new(
                "`output_encoding` other than utf-8 is not available",
            ));
        }
        let path = find_file(&args.src, "templates", directory)?;
        Ok(TemplateFile {
            source: files.template(&path)?,
            options: options(&args),
            path,
            src: args.src,
            dest: args.dest,
        })
    }

    /// What comes out of it.
    pub(crate) fn render(
        &self,
        engine: &Engine,
        files: &ControllerFiles,
        scope: &Arc<dyn Scope>,
    ) -> Result<Rendered, TemplateError> {
        let scope = with_locals(scope, template_variables(&self.path, &self.dest));
        let loader = BesideTemplate {
            files,
            directory: self.path.parent().unwrap_or(Path::new("")).to_owned(),
        };
        engine.render_file(&self.source, &self.options, &scope, &loader)
    }
}

fn options(args: &Args) -> FileOptions {
    let mut options = FileOptions::default();
    let set = |slot: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            slot.clone_from(value);
        }
    };
    set(&mut options.block.0, &args.block_start_string);
    set(&mut options.block.1, &args.block_end_string);
    set(&mut options.variable.0, &args.variable_start_string);
    set(&mut options.variable.1, &args.variable_end_string);
    set(&mut options.comment.0, &args.comment_start_string);
    set(&mut options.comment.1, &args.comment_end_string);
    options.trim_blocks = args.trim_blocks.unwrap_or(options.trim_blocks);
    options.lstrip_blocks = args.lstrip_blocks.unwrap_or(options.lstrip_blocks);
    options.newline = match args.newline_sequence {
        Newline::Lf => LineEnd::Lf,
        Newline::CrLf => LineEnd::CrLf,
        Newline::Cr => LineEnd::Cr,
    };
    options
}

/// Variables that Ansible adds for a template.
fn template_variables(path: &Path, dest: &str) -> Vec<(String, Value)> {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    vec![
        ("ansible_managed".into(), "Ansible managed".into()),
        ("template_path".into(), path.display().to_string().into()),
        (
            "template_fullpath".into(),
            full.display().to_string().into(),
        ),
        ("template_destpath".into(), dest.into()),
    ]
}

/// `include`, `import` and `extends` look beside the template.
struct BesideTemplate<'a> {
    files: &'a ControllerFiles,
    directory: PathBuf,
}

impl TemplateLoader for BesideTemplate<'_> {
    fn load(&self, name: &str) -> Result<Option<TemplateSource>, String> {
        let path = self.directory.join(name);
        if !path.exists() {
            return Ok(None);
        }
        self.files
            .template(&path)
            .map(Some)
            .map_err(Failure::into_message)
    }
}
