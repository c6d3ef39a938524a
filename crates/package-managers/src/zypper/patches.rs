//! Which packages patches name: `zypper list-patches` tells what they are, `zypper info` what they conflict with, that is
//! every version before the one that is whole.

use std::path::Path;

use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::Severity;

use crate::ask::{ASK_MAX_S, ask_well, script};
use crate::rpm::{Advisories, Named, severity};
use crate::xml::tags;

/// Descriptions of hundreds of patches are long and of no use here. The closing tag proves that the list is whole.
const LIST: &str = r#""$@" | sed 's/></>\n</g' | grep -E '^ *<(update |issue |/update-list)'"#;
/// Of each patch its name and its conflicts.
const CONFLICTS: &str = r#""$@" | grep -E '^(Name|Conflicts) +: |^ +[^ ]+ < [^ ]+ *$' || true"#;
/// Patches that are asked for at once.
const CHUNK: usize = 200;

/// A patch that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patch {
    name: String,
    is_security: bool,
    severity: Option<Severity>,
    cves: Vec<String>,
}

/// What needed patches say of packages.
pub(super) fn advisories(host: &dyn Inspect, metadata: &Path) -> Result<Advisories, ModuleError> {
    let list = super::offline(metadata, ["list-patches"]);
    let said = ask_well(
        host,
        script(LIST, "zypper list-patches", list.argv).env("ZYPP_LOCK_TIMEOUT", "120"),
        ASK_MAX_S,
    )?;
    if !said.contains("</update-list>") {
        return Err(ModuleError::new(
            "zypper list-patches did not come to its end",
        ));
    }
    let patches = patches(&said);
    let mut advisories = Advisories::default();
    for chunk in patches.chunks(CHUNK) {
        let names = chunk.iter().map(|it| it.name.as_str());
        let head = ["info", "--type", "patch", "--conflicts", "--"];
        let mut ask = super::offline(metadata, head.into_iter().chain(names)).argv;
        // Its XML is the same text in one message.
        ask.retain(|it| it != "--xmlout");
        let shown = format!("zypper info --type patch ({} patches)", chunk.len());
        let ask = script(CONFLICTS, &shown, ask).env("ZYPP_LOCK_TIMEOUT", "120");
        add(&mut advisories, chunk, &ask_well(host, ask, ASK_MAX_S)?);
    }
    Ok(advisories)
}

fn patches(said: &str) -> Vec<Patch> {
    let mut patches: Vec<Patch> = Vec::new();
    for tag in tags(said) {
        match (tag.name, patches.last_mut()) {
            ("update", _) if tag.get("kind").as_deref() == Some("patch") => {
                let Some(name) = tag.get("name") else {
                    continue;
                };
                patches.push(Patch {
                    name,
                    is_security: tag.get("category").as_deref() == Some("security"),
                    severity: tag.get("severity").and_then(|it| severity(&it)),
                    cves: Vec::new(),
                });
            }
            ("issue", Some(patch)) if tag.get("type").as_deref() == Some("cve") => {
                patch.cves.extend(tag.get("id"));
            }
            _ => {}
        }
    }
    patches
}

/// Reads `zypper info --conflicts`: `Conflicts   : [2]` and then a line for each, or the only one on that line.
fn add(advisories: &mut Advisories, patches: &[Patch], said: &str) {
    let mut patch = None;
    let mut is_in = false;
    for line in said.lines() {
        let conflict = match line
            .split_once(':')
            .map(|(key, value)| (key.trim_end(), value))
        {
            Some(("Name", name)) => {
                patch = patches.iter().find(|it| it.name == name.trim());
                is_in = false;
                continue;
            }
            Some(("Conflicts", value)) => {
                is_in = true;
                value
            }
            _ if is_in => line,
            _ => continue,
        };
        let (Some(patch), Some((package, evr))) = (patch, conflict.split_once(" < ")) else {
            continue;
        };
        // `libx.x86_64`; of patches for all architectures, and of those made of sources, only the name.
        let package = package.trim();
        let (name, arch) = match package.rsplit_once('.') {
            Some((name, arch)) if is_arch(arch) => (name, Some(arch.to_owned())),
            _ => (package, None),
        };
        if name.starts_with("srcpackage:") {
            continue;
        }
        let named = |id: &str| Named {
            id: id.to_owned(),
            is_security: patch.is_security,
            severity: patch.severity,
            name: name.to_owned(),
            arch: arch.clone(),
            evr: evr.trim().to_owned(),
        };
        advisories.advisories.push(named(&patch.name));
        let cves = patch.cves.iter();
        advisories.cves.extend(cves.map(|it| named(it)));
    }
}

/// Is it an architecture? Names of packages have dots, too.
fn is_arch(text: &str) -> bool {
    matches!(
        text,
        "x86_64"
            | "noarch"
            | "i586"
            | "i686"
            | "aarch64"
            | "ppc64le"
            | "s390x"
            | "armv7hl"
            | "riscv64"
    )
}

#[cfg(test)]
pub(super) fn tests_parse(list: &str, info: &str) -> Advisories {
    let mut advisories = Advisories::default();
    add(&mut advisories, &patches(list), info);
    advisories
}
