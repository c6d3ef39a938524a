//! One file per module, and the registry.
//!
//! To add a module: write its file, add one word to `modules!` below.

use hostler_change::Outcome;
use hostler_module_api::{Applier, Catalog, Mode, Module, ModuleSpec, execute};
use hostler_value::Value;

mod commands;
mod edited;
mod files;
mod local_time;
mod patching;
mod presence;
mod unique;
mod words;

pub use local_time::{LocalTime, local_time};
pub use words::split_words;

/// A module as the agent sees it.
struct Entry {
    name: &'static str,
    run: fn(&Value, Mode, &mut dyn Applier) -> Outcome,
}

/// Declares the modules: each file has a type `This` that implements [`Module`], and a function `spec`.
macro_rules! modules {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        const MODULES: &[Entry] = &[$(Entry {
            name: <$name::This as Module>::NAME,
            run: execute::<$name::This>,
        }),*];
        // Apart from the others, so that schemas and manuals are not linked into the agent, which asks for none.
        const SPECS: &[fn() -> ModuleSpec] = &[$($name::spec),*];
    };
}

modules! {
    apt,
    authorized_key,
    blockinfile,
    command,
    copy,
    cron,
    file,
    get_url,
    group,
    hostname,
    lineinfile,
    package,
    patch_baseline,
    patch_competitors,
    patch_download,
    patch_install,
    patch_preflight,
    patch_reboot,
    patch_resolve,
    patch_restart,
    patch_rollback,
    patch_scan,
    patch_snapshot,
    patch_verify,
    ping,
    replace,
    restore,
    service,
    setup,
    shell,
    slurp,
    stat,
    sysctl,
    systemd,
    systemd_service,
    tempfile,
    user,
    wait_for,
}

/// What the controller must know about the modules.
pub fn catalog() -> Catalog {
    Catalog::new(specs())
}

/// The specification of each module.
pub fn specs() -> impl Iterator<Item = ModuleSpec> {
    SPECS.iter().map(|spec| spec())
}

/// Runs a module by its short name; `None` if there is no such module.
pub fn run(name: &str, args: &Value, mode: Mode, applier: &mut dyn Applier) -> Option<Outcome> {
    let entry = MODULES.iter().find(|entry| entry.name == name)?;
    Some((entry.run)(args, mode, applier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(MODULES.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn every_argument_is_documented_and_unknown_ones_are_refused() {
        for spec in specs().filter(|spec| !spec.arguments.is_empty()) {
            let schema = serde_json::to_value((spec.schema)()).unwrap();
            assert_eq!(schema["additionalProperties"], false, "{}", spec.name);
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{}: {name}", spec.name);
            }
        }
    }
}
