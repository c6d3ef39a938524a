//! `group_vars/` and `host_vars/`: which files hold the variables of a group or host, and what they say.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_yaml::{Node, load_file};
use indexmap::IndexMap;

use crate::loader::Loader;
use crate::model::{Inventory, Vars};

/// Extensions in the order in which Ansible looks for them; the first that is there counts.
const EXTENSIONS: [&str; 4] = ["", "yml", "yaml", "json"];

/// Deepest nesting of directories below `group_vars/NAME/`.
const DEPTH_MAX: u32 = 16;

/// Variables from the files in one directory's `group_vars` and `host_vars`.
#[derive(Clone, Debug, Default)]
pub struct VarFiles {
    /// By group name.
    pub groups: IndexMap<Arc<str>, Arc<Vars>>,
    /// By host name.
    pub hosts: IndexMap<Arc<str>, Arc<Vars>>,
}

impl VarFiles {
    /// Reads the files for the inventory's groups and hosts, and for the implicit localhost.
    pub fn load(
        inventory: &Inventory,
        directory: &Path,
        sources: &SourceMap,
        loader: &dyn Loader,
    ) -> (Self, Vec<Diagnostic>) {
        let mut reader = Reader {
            sources,
            loader,
            diagnostics: Vec::new(),
        };
        let mut files = VarFiles::default();
        let groups = inventory.groups().map(|it| it.name.clone());
        files.groups = reader.kind(&directory.join("group_vars"), groups);
        let mut hosts: Vec<Arc<str>> = inventory.hosts().map(|it| it.name.clone()).collect();
        for name in crate::model::LOCALHOST {
            if inventory.host(name).is_none() {
                hosts.push(name.into());
            }
        }
        files.hosts = reader.kind(&directory.join("host_vars"), hosts.into_iter());
        (files, reader.diagnostics)
    }

    /// Lays stronger files over these: variables of the same name are replaced.
    pub fn extend(&mut self, stronger: VarFiles) {
        let VarFiles { groups, hosts } = stronger;
        for (mine, theirs) in [(&mut self.groups, groups), (&mut self.hosts, hosts)] {
            for (name, vars) in theirs {
                let slot = mine.entry(name).or_default();
                Arc::make_mut(slot)
                    .extend(vars.iter().map(|(name, node)| (name.clone(), node.clone())));
            }
        }
    }
}

struct Reader<'a> {
    sources: &'a SourceMap,
    loader: &'a dyn Loader,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn kind(
        &mut self,
        directory: &Path,
        names: impl Iterator<Item = Arc<str>>,
    ) -> IndexMap<Arc<str>, Arc<Vars>> {
        let mut found = IndexMap::new();
        if !self.loader.is_dir(directory) {
            return found;
        }
        let present: HashSet<String> = match self.loader.list_dir(directory) {
            Ok(names) => names.into_iter().collect(),
            Err(error) => {
                self.unreadable(directory, &error);
                return found;
            }
        };
        for name in names {
            // What is listed has no slash in it, so no name leads out of the directory.
            let Some(file) = EXTENSIONS.iter().find_map(|extension| {
                let file = match *extension {
                    "" => name.to_string(),
                    extension => format!("{name}.{extension}"),
                };
                present.contains(&file).then_some(file)
            }) else {
                continue;
            };
            let path = directory.join(file);
            let files = if self.loader.is_dir(&path) {
                self.directory(&path, 0)
            } else {
                vec![path]
            };
            let mut vars = Vars::new();
            for path in files {
                self.file(&path, &mut vars);
            }
            if !vars.is_empty() {
                found.insert(name, Arc::new(vars));
            }
        }
        found
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        let message = format!("cannot read the variables in `{}`: {error}", path.display());
        self.diagnostics
            .push(Diagnostic::error("vars-file", message));
    }

    fn directory(&self, directory: &Path, depth: u32) -> Vec<PathBuf> {
        let mut names = self.loader.list_dir(directory).unwrap_or_default();
        names.sort();
        let mut files = Vec::new();
        for name in names {
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let path = directory.join(&name);
            let extension = Path::new(&name).extension().and_then(|it| it.to_str());
            if self.loader.is_dir(&path) {
                if extension.is_none() && depth < DEPTH_MAX {
                    files.extend(self.directory(&path, depth + 1));
                }
            } else if EXTENSIONS.contains(&extension.unwrap_or_default()) {
                files.push(path);
            }
        }
        files
    }

    fn file(&mut self, path: &Path, vars: &mut Vars) {
        let text = match self.loader.read(path) {
            Ok(text) => text,
            Err(error) => return self.unreadable(path, &error),
        };
        let (node, diagnostics) = load_vars(self.sources, path, text);
        self.diagnostics.extend(diagnostics);
        vars.extend(node);
    }
}

/// Loads a file of variables: a mapping with text keys, or nothing. Also for `vars_files` and `include_vars`.
pub fn load_vars(sources: &SourceMap, path: &Path, text: String) -> (Vars, Vec<Diagnostic>) {
    let vaulted = text.starts_with("$ANSIBLE_VAULT");
    let (node, mut diagnostics) = load_file(sources, path, text);
    let Some(node) = node else {
        return (Vars::new(), diagnostics);
    };
    if vaulted {
        diagnostics.push(
            Diagnostic::error(
                "vaulted-file",
                "a file that is vaulted as a whole is not supported",
            )
            .at(node.span)
            .hint("vault single values with `!vault` instead"),
        );
        return (Vars::new(), diagnostics);
    }
    let vars = vars_of(&node, &mut diagnostics);
    (vars, diagnostics)
}

/// The variables of a mapping node; null has none, anything else is noted.
pub fn vars_of(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Vars {
    let mut vars = Vars::new();
    let Some(map) = node.as_map() else {
        if !node.is_null() {
            let message = format!(
                "a mapping of variables is expected, not {}",
                node.kind_name()
            );
            diagnostics.push(Diagnostic::error("vars-structure", message).at(node.span));
        }
        return vars;
    };
    for (key, value) in &map.entries {
        if let Some(name) = key.as_str() {
            vars.insert(name.into(), value.clone());
        } else {
            let message = format!("a variable's name is text, not {}", key.kind_name());
            diagnostics.push(Diagnostic::error("vars-structure", message).at(key.span));
        }
    }
    vars
}
