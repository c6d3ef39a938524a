//! Units of systemd, as `systemctl` shows them.

use std::path::{Path, PathBuf};

use hostler_change::{Effect, Program, UnitEffect};
use hostler_module_api::{Follow, Inspect, InspectError};

use crate::unit_file::{ADMIN, unit_file};
use crate::{declared_unit, unit_name};

/// Whose manager is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The host's.
    #[default]
    System,
    /// The user's own.
    User,
    /// What holds for the managers of all users.
    Global,
}

/// What is known of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Properties in systemd's order; empty if the manager does not answer.
    pub properties: Vec<(String, String)>,
    /// What `systemctl` said instead of answering (in a chroot, or where systemd does not run).
    pub complaint: Option<String>,
    /// What `systemctl is-enabled` says, where the properties do not tell.
    pub enabled_word: Option<String>,
    /// There is an init script of this name.
    pub init_script: bool,
    /// The init script is linked to start at boot.
    pub init_script_enabled: bool,
}

/// A `systemctl` command line: options of the scope, then words.
pub fn systemctl<'a>(
    host: &dyn Inspect,
    scope: Scope,
    words: impl IntoIterator<Item = &'a str>,
) -> Program {
    let mut argv = vec!["systemctl".to_owned()];
    match scope {
        Scope::System => {}
        Scope::User => argv.push("--user".into()),
        Scope::Global => argv.push("--global".into()),
    }
    argv.extend(words.into_iter().map(str::to_owned));
    let program = Program {
        argv,
        ..Program::default()
    }
    .env("LC_ALL", "C");
    let identity = host.identity();
    if scope == Scope::System
        || identity
            .env
            .iter()
            .any(|(name, _)| name == "XDG_RUNTIME_DIR")
    {
        return program;
    }
    // A connection without PAM's session has no variable that tells where the user's manager listens.
    program.env("XDG_RUNTIME_DIR", format!("/run/user/{}", identity.uid))
}

/// Asks for a unit. Two programs at most, one where systemd runs. What the manager has not read yet is read from the
/// unit's file; what tasks of a preview would do to the unit counts as done.
///
/// # Errors
/// If `systemctl` cannot be started, or if a package that a preview would install may bring the unit.
pub fn unit(host: &dyn Inspect, scope: Scope, name: &str) -> Result<Unit, InspectError> {
    let mut unit = answered(host, scope, name)?;
    if scope == Scope::System {
        unit.read_file(host, &unit_name(name));
        unit.put_on_top(&declared_unit(host, name));
    }
    if !unit.is_known() && host.supposing() && a_package_is_called(host, name) {
        return Ok(Unit::as_packages_leave_it());
    }
    let by = host.new_packages();
    if !unit.is_known() && !unit.init_script && !by.is_empty() {
        let what = format!("unit {}", unit_name(name));
        return Err(InspectError::Unknown { what, by });
    }
    Ok(unit)
}

/// Would a package be installed after which the unit is called?
fn a_package_is_called(host: &dyn Inspect, unit: &str) -> bool {
    host.declared().iter().any(|it| match &it.effect {
        Effect::Package { name, version } => {
            let first = name.split(['-', ':']).next().unwrap_or(name);
            version.is_some() && first.len() > 2 && unit.contains(first)
        }
        _ => false,
    })
}

/// Links that enabling a unit of the host makes and disabling removes, and what they point to; empty if its file does
/// not tell.
pub fn enabling_links(host: &dyn Inspect, name: &str) -> Vec<(PathBuf, PathBuf)> {
    let name = unit_name(name);
    let file = unit_file(host, &name).filter(|it| !it.masked);
    let links = file.map(|file| {
        let links = file.links(&name).into_iter();
        links.map(|link| (link, file.path.clone())).collect()
    });
    links.unwrap_or_default()
}

/// The link that masks a unit of the host.
pub fn masking_link(name: &str) -> PathBuf {
    Path::new(ADMIN).join(unit_name(name))
}

/// What the host's programs say.
fn answered(host: &dyn Inspect, scope: Scope, name: &str) -> Result<Unit, InspectError> {
    let shown = host.look(&systemctl(host, scope, ["show", name]))?;
    let (stdout, stderr) = (shown.stdout_text(), shown.stderr_text());
    let mut unit = Unit {
        properties: parse_show(&stdout),
        ..Unit::default()
    };
    if !shown.success() || unit.properties.is_empty() {
        unit.properties.clear();
        unit.complaint = Some(format!("{}{}", stdout.trim(), stderr.trim()));
    }
    let script = name.strip_suffix(".service").unwrap_or(name);
    unit.init_script = host.access(Path::new(&format!("/etc/init.d/{script}")), 1);
    unit.init_script_enabled = unit.init_script && starts_at_boot(host, script);
    let told = unit
        .get("UnitFileState")
        .is_some_and(|it| !["", "generated", "bad"].contains(&it));
    if !told && (unit.get("LoadState") != Some("not-found") || unit.init_script) {
        let output = host.look(&systemctl(host, scope, ["is-enabled", name]))?;
        unit.enabled_word = Some(output.stdout_text().trim().to_owned());
    }
    Ok(unit)
}

/// Is an init script linked to start in any run level?
pub fn starts_at_boot(host: &dyn Inspect, script: &str) -> bool {
    "S0123456789".chars().any(|level| {
        let links = crate::names(host, format!("/etc/rc{level}.d"));
        links
            .iter()
            .any(|it| it.strip_prefix('S').and_then(|it| it.get(2..)) == Some(script))
    })
}

impl Unit {
    /// Running, and started at boot.
    fn as_packages_leave_it() -> Self {
        let properties = [
            ("LoadState", "loaded"),
            ("ActiveState", "active"),
            ("UnitFileState", "enabled"),
        ];
        let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Unit {
            properties: properties.into(),
            ..Unit::default()
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.properties.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.properties.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Sets the state of the unit file, in the place where the manager tells it.
    fn set_file_state(&mut self, word: &str) {
        if self.properties.is_empty() {
            self.enabled_word = Some(word.to_owned());
        } else {
            self.set("UnitFileState", word);
        }
    }

    /// A file that is there, of a unit that the manager does not know: it reads it when it is asked to do something.
    /// And the other way round: it forgets a unit that is not running when its file is gone.
    fn read_file(&mut self, host: &dyn Inspect, name: &str) {
        if self.is_known() {
            let fragment = self.get("FragmentPath").filter(|it| !it.is_empty());
            let gone = fragment
                .is_some_and(|path| matches!(host.stat(Path::new(path), Follow::Yes), Ok(None)));
            if gone && self.get("ActiveState") == Some("inactive") {
                self.set("LoadState", "not-found");
                self.set("UnitFileState", "");
                self.enabled_word = None;
            }
            return;
        }
        let Some(file) = unit_file(host, name).filter(|_| !self.init_script) else {
            return;
        };
        if !self.properties.is_empty() {
            self.set("LoadState", if file.masked { "masked" } else { "loaded" });
            self.set("FragmentPath", &file.path.display().to_string());
            self.properties.retain(|(key, _)| key != "LoadError");
            for (key, value) in &file.service {
                self.set(key, value);
            }
        }
        self.set_file_state(file.state(host, name));
    }

    fn put_on_top(&mut self, declared: &UnitEffect) {
        if let (Some(active), false) = (declared.active, self.properties.is_empty()) {
            let (state, sub) = if active {
                ("active", "running")
            } else {
                ("inactive", "dead")
            };
            self.set("ActiveState", state);
            self.set("SubState", sub);
        }
        let word = |enabled: bool| if enabled { "enabled" } else { "disabled" };
        if let Some(masked) = declared.masked.filter(|it| *it != self.is_masked()) {
            if !self.properties.is_empty() {
                self.set("LoadState", if masked { "masked" } else { "loaded" });
            }
            self.set_file_state(if masked {
                "masked"
            } else {
                word(declared.enabled == Some(true))
            });
        }
        // Words such as `static` stay what they are, whatever is done.
        let may_change =
            ["enabled", "enabled-runtime", "linked", "disabled", ""].contains(&self.file_state());
        if let Some(enabled) = declared.enabled.filter(|_| may_change) {
            self.set_file_state(word(enabled));
        }
    }

    /// Does starting it leave it running? Not if it does one thing and ends.
    pub fn stays(&self) -> bool {
        self.get("Type") != Some("oneshot") || self.get("RemainAfterExit") == Some("yes")
    }

    /// A property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The state of the unit file: `enabled`, `disabled`, `static`, `masked`, ...
    pub fn file_state(&self) -> &str {
        let told = self
            .get("UnitFileState")
            .filter(|it| !["", "generated", "bad"].contains(it));
        told.or(self.enabled_word.as_deref()).unwrap_or_default()
    }

    /// Does systemd know it?
    pub fn is_known(&self) -> bool {
        match self.get("LoadState") {
            Some(state) => state != "not-found",
            None => self.complaint.is_some() && self.file_state_is_known(),
        }
    }

    fn file_state_is_known(&self) -> bool {
        let states = [
            "enabled",
            "enabled-runtime",
            "linked",
            "linked-runtime",
            "masked",
            "masked-runtime",
            "static",
            "indirect",
            "disabled",
            "generated",
            "transient",
            "alias",
        ];
        states.contains(&self.file_state())
    }

    /// Is it running or about to?
    pub fn is_running(&self) -> bool {
        matches!(
            self.get("ActiveState"),
            Some("active" | "activating" | "reloading" | "refreshing")
        )
    }

    /// Is it masked?
    pub fn is_masked(&self) -> bool {
        self.get("LoadState") == Some("masked") || self.file_state() == "masked"
    }

    /// Does it start at boot, as far as Ansible is concerned: anything that `is-enabled` answers with success, except
    /// what a permanent `enable` would still change.
    pub fn is_enabled(&self) -> bool {
        match self.file_state() {
            "enabled" | "static" | "generated" | "linked" | "linked-runtime" | "transient" => true,
            "" => self.init_script_enabled,
            _ => false,
        }
    }
}

/// Reads `systemctl show`: `Key=value` lines. Only values of `Exec...` keys span lines, from `{` to a line that ends
/// with `}`.
pub fn parse_show(text: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if open {
            if let Some((_, value)) = out.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
            open = !line.trim_end().ends_with('}');
        } else if let Some((key, value)) = line.split_once('=') {
            let spans = key.starts_with("Exec") && value.trim_start().starts_with('{');
            open = spans && !value.trim_end().ends_with('}');
            out.push((key.to_owned(), value.trim().to_owned()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn reads_values_that_span_lines() {
        let it = parse_show(
            "Id=a.service\nExecStart={ path=/bin/sh ; argv[]=/bin/sh -c echo\nb }\nDescription={x\nActiveState=active\n",
        );
        assert_eq!(it.len(), 4);
        assert!(it[1].1.contains("\nb }"));
        assert_eq!(it[2].1, "{x");
    }

    #[test]
    fn one_program_where_systemd_runs() {
        let host = FakeHost::bare().answers(
            "systemctl show ssh",
            0,
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n",
        );
        let it = unit(&host, Scope::System, "ssh").unwrap();
        assert!(it.is_known() && it.is_running() && it.is_enabled() && !it.is_masked());
    }

    #[test]
    fn in_a_chroot_only_files_tell() {
        let host = FakeHost::bare()
            .answers(
                "systemctl show ssh",
                0,
                "Running in chroot, ignoring request.\n",
            )
            .answers("systemctl is-enabled ssh", 1, "disabled\n");
        let it = unit(&host, Scope::System, "ssh").unwrap();
        assert!(it.is_known() && !it.is_running() && !it.is_enabled());
        assert!(it.complaint.unwrap().contains("chroot"));
    }

    #[test]
    fn init_scripts() {
        let host = FakeHost::bare()
            .answers(
                "systemctl show old",
                0,
                "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n",
            )
            .answers("systemctl is-enabled old", 1, "")
            .dir("/etc/init.d", 0o755)
            .file("/etc/init.d/old", "")
            .attrs("/etc/init.d/old", 0, 0, 0o755)
            .dir("/etc/rc2.d", 0o755)
            .link("/etc/rc2.d/S01old", "../init.d/old");
        let it = unit(&host, Scope::System, "old").unwrap();
        assert!(!it.is_known() && it.init_script && it.is_enabled());
    }
}
