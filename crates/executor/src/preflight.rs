//! What a check before the run needs to know about how tasks are prepared: their arguments and the controller's files.
//!
//! Nothing here contacts a host. The run prepares tasks with the same code, so that both find the same files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hostler_diag::{Diagnostic, SourceMap};
use hostler_playbook::Task;
use hostler_template::{Engine, Rendered, Scope, TemplateError, Wants};
use hostler_value::Map;
use hostler_yaml::Node;

use crate::actions::template::TemplateFile;
use crate::failure::Failure;
use crate::files::{ControllerFiles, find_file};

/// A task's arguments as one mapping, `module_defaults` underneath.
pub fn task_arguments(task: &Task) -> Node {
    crate::host_task::args_node(task)
}

/// The controller's files, as tasks look for them.
pub struct Preflight {
    files: ControllerFiles,
    found: Mutex<BTreeSet<PathBuf>>,
}

/// A template that a task renders.
pub struct TemplateTask(TemplateFile);

impl Preflight {
    /// Template files are registered in `sources`.
    pub fn new(sources: SourceMap) -> Self {
        Preflight {
            files: ControllerFiles::new(sources),
            found: Mutex::default(),
        }
    }

    /// The file that `copy` would send, for a `src` and the playbook's directory.
    ///
    /// # Errors
    /// It is not there; the message says where it was looked for.
    pub fn file(&self, src: &str, directory: &Path) -> Result<PathBuf, String> {
        let found = find_file(src, "files", directory).map_err(Failure::into_message)?;
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(found.clone());
        Ok(found)
    }

    /// The files and directories that [`Preflight::file`] found.
    pub fn found(&self) -> BTreeSet<PathBuf> {
        let all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }

    /// The template that a `template` task would render, for its evaluated arguments.
    ///
    /// # Errors
    /// It is not there or cannot be read, or the arguments are wrong.
    pub fn template(&self, args: &Map, directory: &Path) -> Result<TemplateTask, String> {
        TemplateFile::find(args, &self.files, directory)
            .map(TemplateTask)
            .map_err(Failure::into_message)
    }

    /// Problems of a template's text: syntax, unknown filters and tests.
    pub fn check(&self, template: &TemplateTask, engine: &Engine) -> Vec<Diagnostic> {
        engine.check_file(&template.0.source, &template.0.options)
    }

    /// What a template wants of the variables around it.
    pub fn wants(&self, template: &TemplateTask, engine: &Engine) -> Wants {
        engine.file_wants(&template.0.source, &template.0.options)
    }

    /// Renders a template for one host.
    ///
    /// # Errors
    /// As when the task runs.
    pub fn render(
        &self,
        template: &TemplateTask,
        engine: &Engine,
        scope: &Arc<dyn Scope>,
    ) -> Result<Rendered, TemplateError> {
        template.0.render(engine, &self.files, scope)
    }
}

impl TemplateTask {
    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}
