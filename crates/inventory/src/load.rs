//! Inventory sources: files of any format, directories of them, scripts and lists of hosts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceMap, Span};
use hostler_yaml::load;

use crate::builder::Builder;
use crate::loader::{Loader, ScriptRunner};
use crate::model::{HostSource, Inventory};
use crate::var_files::VarFiles;
use crate::{ini, script, yaml};

/// Ends of file names that are no inventories in a directory.
const IGNORED_ENDS: [&str; 12] = [
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
];
/// Names that are no inventories in a directory.
const IGNORED_NAMES: [&str; 3] = ["host_vars", "group_vars", "vars_plugins"];
/// Deepest nesting of inventory directories.
const DEPTH_MAX: u32 = 16;

/// An inventory with the variable files beside it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Hosts and groups.
    pub inventory: Inventory,
    /// Variables from `group_vars` and `host_vars` beside the inventory sources.
    pub var_files: VarFiles,
}

/// Reads inventory sources in order, as given with `-i`: later variables of the same host or group win.
///
/// Reading goes on after a problem; the caller must not run with errors among the diagnostics.
pub fn load_inventory(
    given: &[String],
    sources: &SourceMap,
    loader: &dyn Loader,
    runner: &dyn ScriptRunner,
) -> (Loaded, Vec<Diagnostic>) {
    let mut builder = Builder {
        sources,
        inventory: Inventory::new(),
        diagnostics: Vec::new(),
        current: None,
    };
    let mut directories: Vec<PathBuf> = Vec::new();
    for source in given {
        let path = loader.absolute(Path::new(source));
        if source.contains(',') && !loader.exists(&path) {
            list(&mut builder, source);
            continue;
        }
        read(&mut builder, &path, loader, runner, 0);
        let directory = if loader.is_dir(&path) {
            path
        } else {
            path.parent().map_or_else(|| path.clone(), Path::to_owned)
        };
        // Of the same directory given twice, the later place counts.
        directories.retain(|known| *known != directory);
        directories.push(directory);
    }
    builder.inventory.reconcile();
    warn_same_names(&mut builder);
    let Builder {
        inventory,
        mut diagnostics,
        ..
    } = builder;
    let mut var_files = VarFiles::default();
    for directory in directories {
        let (files, problems) = VarFiles::load(&inventory, &directory, sources, loader);
        diagnostics.extend(problems);
        var_files.extend(files);
    }
    let loaded = Loaded {
        inventory,
        var_files,
    };
    (loaded, diagnostics)
}

fn warn_same_names(builder: &mut Builder<'_>) {
    let inventory = &builder.inventory;
    for host in inventory.hosts() {
        if let Some(group) = inventory.group(&host.name) {
            let message = format!("`{}` is the name of a host and of a group", host.name);
            let mut warning = Diagnostic::warning("same-name", message);
            if let Some(span) = host.span {
                warning = warning.label(span, "the host");
            }
            if let Some(span) = group.span {
                warning = warning.label(span, "the group");
            }
            builder.diagnostics.push(warning);
        }
    }
}

fn list(builder: &mut Builder<'_>, given: &str) {
    let id = builder.sources.add_text("<host list>", given);
    builder.current = Some(Arc::new(HostSource {
        file: PathBuf::from(given),
        dir: None,
    }));
    let end = u32::try_from(given.len()).unwrap_or(u32::MAX);
    yaml::host_list(builder, given, Span::new(id, 0, end));
}

fn read(
    builder: &mut Builder<'_>,
    path: &Path,
    loader: &dyn Loader,
    runner: &dyn ScriptRunner,
    depth: u32,
) {
    if !loader.is_dir(path) {
        return file(builder, path, loader, runner);
    }
    if depth > DEPTH_MAX {
        let message = format!("`{}` is nested too deep for an inventory", path.display());
        builder
            .diagnostics
            .push(Diagnostic::error("inventory-file", message));
        return;
    }
    let mut names = match loader.list_dir(path) {
        Ok(names) => names,
        Err(error) => return unreadable(builder, path, &error),
    };
    names.sort();
    for name in names {
        let ignored = name.starts_with('.')
            || IGNORED_NAMES.contains(&name.as_str())
            || IGNORED_ENDS.iter().any(|end| name.ends_with(end));
        if !ignored {
            read(builder, &path.join(name), loader, runner, depth + 1);
        }
    }
}

fn unreadable(builder: &mut Builder<'_>, path: &Path, error: &std::io::Error) {
    let message = format!("cannot read the inventory `{}`: {error}", path.display());
    builder
        .diagnostics
        .push(Diagnostic::error("inventory-file", message));
}

fn file(builder: &mut Builder<'_>, path: &Path, loader: &dyn Loader, runner: &dyn ScriptRunner) {
    builder.current = Some(Arc::new(HostSource {
        file: path.to_owned(),
        dir: path.parent().map(Path::to_owned),
    }));
    let executable = loader.is_executable(path);
    let text = match loader.read(path) {
        Ok(text) => text,
        // A compiled program is not text.
        Err(_) if executable => return script::read(builder, path, runner),
        Err(error) => return unreadable(builder, path, &error),
    };
    // Executable text without `#!` is an inventory on a file system without permission bits.
    if executable && text.starts_with("#!") {
        return script::read(builder, path, runner);
    }
    let id = builder.sources.add_file(path, text.as_str());
    let extension = path.extension().and_then(|it| it.to_str());
    match extension {
        Some("yml" | "yaml" | "json") => {
            let (node, diagnostics) = load(builder.sources, id);
            builder.diagnostics.extend(diagnostics);
            if let Some(node) = node {
                yaml::read(builder, &node);
            }
        }
        Some("toml") => {
            let start = Span::new(id, 0, 0);
            builder.error(
                "inventory-file",
                "TOML inventories are not supported",
                start,
            );
        }
        // Without an extension either format will do: YAML, if it is a mapping, as in Ansible.
        None => match load(builder.sources, id) {
            (Some(node), diagnostics) if node.as_map().is_some() => {
                builder.diagnostics.extend(diagnostics);
                yaml::read(builder, &node);
            }
            (None, diagnostics) if looks_like_yaml(&text) => {
                builder.diagnostics.extend(diagnostics);
            }
            _ => ini::read(builder, id),
        },
        Some(_) => ini::read(builder, id),
    }
}

/// Does broken text without an extension mean to be YAML?
fn looks_like_yaml(text: &str) -> bool {
    let first = text.lines().map(str::trim_end).find(|line| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with(['#', ';'])
    });
    first.is_some_and(|line| {
        line == "---"
            || line.starts_with("--- ")
            || line.starts_with('{')
            || (line.ends_with(':') && !line.contains(' '))
    })
}
