//! Everything that is read before a run: inventory, playbooks, variables. All problems are collected.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_diag::{Diagnostic, Severity, SourceMap};
use hostler_inventory::{FsLoader, Inventory, Loaded, Pattern, VarFiles, Vars, load_inventory};
use hostler_module_api::Catalog;
use hostler_playbook::{Play, Playbook};
use hostler_template::{Engine, Scope, Var};
use hostler_yaml::{Mapping, Node, NodeKind};

use crate::earlier::EarlierRuns;
use crate::extra_vars::extra_vars;
use crate::request::ApplyRequest;
use crate::scripts::Scripts;

/// The inputs of a run.
pub(crate) struct Inputs {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) loaded: Loaded,
    pub(crate) playbooks: Vec<LoadedPlaybook>,
    pub(crate) extra: Vars,
    /// The request's limit; where it named hosts of an earlier run, the hosts that it selects.
    pub(crate) limit: Option<String>,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Inputs {
    /// Names of all hosts that the plays visit.
    pub(crate) fn hosts(&self) -> BTreeSet<String> {
        let plays = self.playbooks.iter().flat_map(|book| &book.plays);
        plays.flat_map(|play| play.hosts.iter().cloned()).collect()
    }

    /// Leaves only hosts that `text` selects, too.
    ///
    /// # Errors
    /// It names something that is not there, or leaves no host.
    pub(crate) fn keep_only(
        &mut self,
        text: &str,
        request: &ApplyRequest,
    ) -> Result<(), Vec<Diagnostic>> {
        let within = self.selected(text, request)?;
        let mut any = false;
        for play in self.playbooks.iter_mut().flat_map(|book| &mut book.plays) {
            play.hosts.retain(|host| within.contains(host));
            any |= !play.hosts.is_empty();
        }
        if any {
            return Ok(());
        }
        let text = format!("`--limit {text}` selects no host of the run");
        Err(vec![Diagnostic::error("limit-matches-nothing", text)])
    }

    /// Names of the hosts that a limit selects.
    ///
    /// # Errors
    /// It names something that is not there, or selects no host.
    pub(crate) fn selected(
        &self,
        text: &str,
        request: &ApplyRequest,
    ) -> Result<HashSet<String>, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let inventory = &self.loaded.inventory;
        let (pattern, _) = limit(text, inventory, request, &mut problems);
        if problems.iter().any(Diagnostic::is_error) {
            return Err(problems);
        }
        let selection = inventory.select(&pattern);
        Ok(selection.hosts.iter().map(ToString::to_string).collect())
    }
}

/// A playbook with the variable files beside it.
pub(crate) struct LoadedPlaybook {
    pub(crate) playbook: Playbook,
    pub(crate) directory: PathBuf,
    pub(crate) var_files: VarFiles,
    pub(crate) plays: Vec<LoadedPlay>,
}

/// A play with its hosts and variable files.
pub(crate) struct LoadedPlay {
    pub(crate) play: Arc<Play>,
    pub(crate) name: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) vars_files: Vec<Arc<Vars>>,
}

/// Modules of the agent and of the controller.
pub(crate) fn catalog() -> Catalog {
    Catalog::new(hostler_modules::specs().chain(hostler_executor::action_specs()))
}

/// Reads everything that `request` names.
///
/// # Errors
/// All problems, if one of them is an error.
pub(crate) fn load(request: &ApplyRequest, sources: &SourceMap) -> Result<Inputs, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let catalog = Arc::new(catalog());
    let given = if request.inventory.is_empty() {
        problems.push(
            Diagnostic::warning(
                "no-inventory",
                "no inventory was given; only localhost is known",
            )
            .hint("name one with -i"),
        );
        Vec::new()
    } else {
        request.inventory.clone()
    };
    for source in given.iter().filter(|source| !source.contains(',')) {
        if !Path::new(source.as_str()).exists() {
            problems.push(
                Diagnostic::error(
                    "no-inventory",
                    format!("inventory `{source}` does not exist"),
                )
                .hint("for a list of host names, end it with a comma"),
            );
        }
    }
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems);
    }
    let (loaded, found) = load_inventory(&given, sources, &FsLoader, &Scripts);
    problems.extend(found);
    let inventory = &loaded.inventory;
    if !given.is_empty() && inventory.hosts().len() == 0 {
        problems.push(Diagnostic::warning(
            "empty-inventory",
            "the inventory has no hosts; only localhost is known, and `all` does not mean it",
        ));
    }
    let limited = request
        .limit
        .as_deref()
        .map(|text| limit(text, inventory, request, &mut problems));
    let (limit, limit_text) = limited.unzip();
    let (extra, found) = extra_vars(&request.extra_vars, sources);
    problems.extend(found);
    let reader = Reader {
        catalog: &catalog,
        inventory,
        limit: limit.as_ref(),
        extra: &extra,
        sources,
    };
    let mut playbooks = Vec::new();
    for path in &request.playbooks {
        playbooks.extend(reader.playbook(path, &mut problems));
    }
    hide_passwords(&loaded, &extra, &playbooks, sources);
    if problems.iter().any(Diagnostic::is_error) {
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
        return Err(problems);
    }
    Ok(Inputs {
        loaded,
        catalog,
        playbooks,
        extra,
        limit: limit_text,
        warnings: problems,
    })
}

/// Variables whose values are passwords, whoever names them.
const PASSWORDS: [&str; 10] = [
    "ansible_password",
    "ansible_ssh_password",
    "ansible_ssh_pass",
    "ansible_become_password",
    "ansible_become_pass",
    "ansible_sudo_pass",
    "ansible_su_pass",
    "ansible_doas_pass",
    "ansible_private_key_passphrase",
    "ansible_ssh_private_key_passphrase",
];

/// Passwords that are written out in variables, as if they were marked `!secret`. One that a template makes is kept out of
/// sight from the moment on that it is used.
fn hide_passwords(
    loaded: &Loaded,
    extra: &Vars,
    playbooks: &[LoadedPlaybook],
    sources: &SourceMap,
) {
    let hide_one = |node: &Node| {
        let text = match &node.kind {
            NodeKind::Text(source) if !source.has_markup() => source.text().to_owned(),
            NodeKind::Data(value) if !value.is_null() => value.to_text(),
            _ => return,
        };
        sources.hide(node.span, text);
    };
    let hide = |vars: &Vars| {
        let passwords = PASSWORDS.iter().filter_map(|name| vars.get(*name));
        passwords.for_each(hide_one);
    };
    let inventory = &loaded.inventory;
    let of_hosts = inventory.hosts().map(|it| &it.vars);
    for vars in of_hosts.chain(inventory.groups().map(|it| &it.vars)) {
        hide(vars);
    }
    let beside = playbooks.iter().map(|it| &it.var_files);
    for files in beside.chain([&loaded.var_files]) {
        for vars in files.groups.values().chain(files.hosts.values()) {
            hide(vars);
        }
    }
    hide(extra);
    for play in playbooks.iter().flat_map(|it| &it.plays) {
        for vars in &play.vars_files {
            hide(vars);
        }
        if let Some(vars) = &play.play.context.keywords.vars {
            let passwords = PASSWORDS.iter().filter_map(|name| vars.get(name));
            passwords.for_each(hide_one);
        }
    }
}

/// `--limit`: what it names must exist. Also gives it as a text that means the same later: `@failed` is other hosts after
/// the next run.
fn limit(
    text: &str,
    inventory: &Inventory,
    request: &ApplyRequest,
    problems: &mut Vec<Diagnostic>,
) -> (Pattern, String) {
    let (pattern, found) = Pattern::parse_limit(text, &FsLoader, &EarlierRuns::of(request));
    let wrong = !found.is_empty();
    problems.extend(found);
    if wrong {
        return (pattern, text.to_owned());
    }
    let selection = inventory.select(&pattern);
    problems.extend(
        selection
            .problems
            .iter()
            .map(|problem| problem.diagnostic(Severity::Error)),
    );
    if selection.hosts.is_empty() && selection.problems.is_empty() {
        problems.push(Diagnostic::error(
            "limit-matches-nothing",
            format!("`--limit {text}` selects no host"),
        ));
    }
    let lasting = if Pattern::names_set(text) {
        selection.hosts.join(",") + ","
    } else {
        text.to_owned()
    };
    (pattern, lasting)
}

struct Reader<'a> {
    catalog: &'a Catalog,
    inventory: &'a Inventory,
    limit: Option<&'a Pattern>,
    extra: &'a Vars,
    sources: &'a SourceMap,
}

impl Reader<'_> {
    fn playbook(&self, path: &Path, problems: &mut Vec<Diagnostic>) -> Option<LoadedPlaybook> {
        let text = read(path, "playbook", problems)?;
        let (root, found) = hostler_yaml::load_file(self.sources, path, text);
        problems.extend(found);
        let (playbook, found) = hostler_playbook::parse(self.catalog, path, &root?);
        problems.extend(found);
        let directory = path
            .parent()
            .filter(|it| !it.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let (var_files, found) = VarFiles::load(self.inventory, &absolute, self.sources, &FsLoader);
        problems.extend(found);
        let engine = Engine::new();
        let plays = playbook.plays.iter();
        let plays = plays
            .map(|play| self.play(play, directory, &engine, problems))
            .collect();
        Some(LoadedPlaybook {
            playbook,
            directory: directory.to_owned(),
            var_files,
            plays,
        })
    }

    fn play(
        &self,
        play: &Arc<Play>,
        directory: &Path,
        engine: &Engine,
        problems: &mut Vec<Diagnostic>,
    ) -> LoadedPlay {
        crate::static_check::syntax(play, engine, problems);
        let scope = self.early_scope(play);
        let hosts = self.hosts(play, engine, &scope, problems);
        let mut vars_files = Vec::new();
        for node in &play.vars_files {
            vars_files.extend(self.vars_file(node, directory, engine, &scope, problems));
        }
        let name = match &play.name {
            Some(name) => {
                let value = engine.finalise(name, &scope);
                value.map_or_else(|_| name.to_literal().to_text(), |it| it.to_text())
            }
            None => play.hosts.to_literal().to_text(),
        };
        LoadedPlay {
            play: play.clone(),
            name,
            hosts,
            vars_files,
        }
    }

    /// What can be known before any host is looked at: extra variables, then the play's own.
    fn early_scope(&self, play: &Play) -> Arc<dyn Scope> {
        let own = play.context.keywords.vars.clone();
        Arc::new(EarlyScope {
            extra: self.extra.clone(),
            own,
        })
    }

    fn hosts(
        &self,
        play: &Play,
        engine: &Engine,
        scope: &Arc<dyn Scope>,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<String> {
        let value = match engine.finalise(&play.hosts, scope) {
            Ok(value) => value,
            Err(error) => {
                problems.push(
                    error
                        .to_diagnostic()
                        .hint("`hosts` can use extra variables (-e) and the play's `vars`"),
                );
                return Vec::new();
            }
        };
        let texts: Vec<String> = match value.as_list() {
            Some(items) => items.iter().map(hostler_value::Value::to_text).collect(),
            None => vec![value.to_text()],
        };
        let pattern = Pattern::from_list(texts.iter().map(String::as_str));
        if pattern.is_empty() {
            problems.push(Diagnostic::error("empty-hosts", "`hosts` is empty").at(play.hosts.span));
        }
        let selection = self.inventory.select_within(&pattern, self.limit);
        for problem in &selection.problems {
            problems.push(problem.diagnostic(Severity::Error).at(play.hosts.span));
        }
        selection.hosts.iter().map(ToString::to_string).collect()
    }

    /// One entry of `vars_files`: a file that must exist, or the first of a list that does.
    fn vars_file(
        &self,
        node: &Node,
        directory: &Path,
        engine: &Engine,
        scope: &Arc<dyn Scope>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Vars>> {
        let mut tried = Vec::new();
        for candidate in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            let name = match engine.finalise(candidate, scope) {
                Ok(value) => value.to_text(),
                Err(error) => {
                    let hint = "names in `vars_files` can use extra variables (-e) and the play's `vars`, not facts";
                    problems.push(error.to_diagnostic().hint(hint));
                    return None;
                }
            };
            let path = [directory.join("vars").join(&name), directory.join(&name)];
            if let Some(path) = path.iter().find(|path| path.is_file()) {
                let text = read(path, "variable file", problems)?;
                let (root, found) = hostler_yaml::load_file(self.sources, path, text);
                problems.extend(found);
                let root = root.filter(|root| !root.is_null())?;
                return Some(Arc::new(hostler_inventory::vars_of(&root, problems)));
            }
            tried.push(name);
        }
        let message = format!("variable file `{}` does not exist", tried.join("`, `"));
        problems.push(Diagnostic::error("no-such-file", message).at(node.span));
        None
    }
}

fn read(path: &Path, what: &str, problems: &mut Vec<Diagnostic>) -> Option<String> {
    use hostler_inventory::Loader;
    match FsLoader.read(path) {
        Ok(text) => Some(text),
        Err(error) => {
            let message = format!("cannot read {what} {}: {error}", path.display());
            problems.push(Diagnostic::error("unreadable-file", message));
            None
        }
    }
}

struct EarlyScope {
    extra: Vars,
    own: Option<Arc<Mapping>>,
}

impl Scope for EarlyScope {
    fn get(&self, name: &str) -> Option<Var> {
        let own = || self.own.as_ref().and_then(|own| own.get(name));
        self.extra.get(name).or_else(own).cloned().map(Var::Written)
    }

    fn names(&self) -> Vec<String> {
        let own = self.own.iter().flat_map(|own| own.entries.iter());
        let own = own.filter_map(|(key, _)| key.as_str().map(str::to_owned));
        self.extra
            .keys()
            .map(ToString::to_string)
            .chain(own)
            .collect()
    }
}
