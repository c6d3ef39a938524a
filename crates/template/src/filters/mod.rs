//! Filters, a file per family. Names, parameters and results are those of Jinja and ansible-core.

mod dicts;
mod hashes;
mod jinja;
mod lists;
mod markup;
mod math;
mod numbers;
mod paths;
mod regex;
mod select;
mod serial;
mod sets;
mod strings;

pub(crate) use regex::pattern;
pub(crate) use select::sort_by_key;
pub(crate) use strings::{capitalized, centered, replaced};

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::args::Args;
use crate::context::Cx;
use crate::fail::{Fail, Res};
use crate::value::Val;

/// A filter: input and arguments to a value.
pub(crate) type FilterFn = fn(&Cx<'_>, Val, Args) -> Res<Val>;

/// One family's names.
type Table = &'static [(&'static str, FilterFn)];

const FAMILIES: &[Table] = &[
    dicts::TABLE,
    hashes::TABLE,
    jinja::TABLE,
    lists::TABLE,
    markup::TABLE,
    math::TABLE,
    numbers::TABLE,
    paths::TABLE,
    regex::TABLE,
    select::TABLE,
    serial::TABLE,
    sets::TABLE,
    strings::TABLE,
];

/// Filters of ansible-core and the collections used most that are known and not there, with what to do instead.
const ABSENT: &[(&str, &str)] = &[
    ("fileglob", "list the files with the `find` module"),
    (
        "json_query",
        "use `selectattr`, `map(attribute=...)` and `items` instead",
    ),
    ("ipaddr", "address arithmetic is not available yet"),
    ("ipv4", "address arithmetic is not available yet"),
    ("ipv6", "address arithmetic is not available yet"),
    ("ipwrap", "address arithmetic is not available yet"),
    ("ipsubnet", "address arithmetic is not available yet"),
    ("vault", "Ansible Vault is not supported yet"),
    ("unvault", "Ansible Vault is not supported yet"),
    ("win_basename", "Windows paths are not supported"),
    ("win_dirname", "Windows paths are not supported"),
    ("win_splitdrive", "Windows paths are not supported"),
];

fn table() -> &'static HashMap<&'static str, FilterFn> {
    static ALL: OnceLock<HashMap<&'static str, FilterFn>> = OnceLock::new();
    ALL.get_or_init(|| {
        FAMILIES
            .iter()
            .flat_map(|table| table.iter().copied())
            .collect()
    })
}

/// A plugin's name without the collection that every playbook has.
pub(crate) fn short_name(name: &str) -> &str {
    ["ansible.builtin.", "ansible.legacy."]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// Is there a filter of that name?
pub(crate) fn exists(name: &str) -> bool {
    table().contains_key(short_name(name))
}

/// The filter of that name.
pub(crate) fn find(name: &str) -> Res<FilterFn> {
    let short = short_name(name);
    if let Some(run) = table().get(short) {
        return Ok(*run);
    }
    let last = short.rsplit('.').next().unwrap_or(short);
    if let Some((_, instead)) = ABSENT.iter().find(|(absent, _)| *absent == last) {
        return Err(Fail::syntax(format!("the filter '{name}' is not available")).hint(*instead));
    }
    let fail = Fail::syntax(format!("No filter named '{name}'."));
    Err(
        match hostler_diag::did_you_mean(short, table().keys().copied()) {
            Some(best) => fail.hint(format!("did you mean `{best}`?")),
            None => fail,
        },
    )
}

/// Runs a filter. Something undefined passes through, unless the filter is there to deal with it.
pub(crate) fn invoke(cx: &Cx<'_>, name: &str, run: FilterFn, base: Val, args: Args) -> Res<Val> {
    let copes = matches!(
        short_name(name),
        "default" | "d" | "mandatory" | "ternary" | "type_debug"
    );
    if !copes {
        let undefined = |val: &Val| matches!(val, Val::Undef(undef) if !undef.lenient);
        if undefined(&base) {
            return Ok(base);
        }
        if let Some(val) = args.undefined() {
            return Ok(val.clone());
        }
    }
    crate::unknown::may_filter(cx, name, &base, &args)?;
    run(cx, base, args).map_err(|mut fail| {
        if fail.0.kind == crate::TemplateErrorKind::Runtime && fail.0.span.is_none() {
            fail.0.message = format!(
                "the filter '{}' failed: {}",
                short_name(name),
                fail.0.message
            );
        }
        fail
    })
}
