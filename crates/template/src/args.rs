//! Arguments of calls, and how they are bound to parameters.

use std::sync::Arc;

use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::text;
use crate::value::Val;

/// Positional and named arguments.
#[derive(Clone, Default)]
pub(crate) struct Args {
    pub(crate) pos: Vec<Val>,
    pub(crate) named: Vec<(Arc<str>, Val)>,
}

impl Args {
    /// Only positional ones.
    pub(crate) fn of(pos: Vec<Val>) -> Args {
        Args {
            pos,
            named: Vec::new(),
        }
    }

    /// The first argument that is undefined.
    pub(crate) fn undefined(&self) -> Option<&Val> {
        self.all()
            .find(|val| matches!(val, Val::Undef(undef) if !undef.lenient))
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Val> {
        self.pos.iter().chain(self.named.iter().map(|(_, val)| val))
    }

    /// The arguments in the order of `names`; surplus and unknown ones are refused.
    pub(crate) fn bind<const N: usize>(self, names: [&str; N]) -> Res<[Option<Val>; N]> {
        let mut bound = [const { None }; N];
        let given = self.pos.len();
        if given > N {
            bail!("takes at most {N} argument(s) but {given} were given");
        }
        for (slot, val) in bound.iter_mut().zip(self.pos) {
            *slot = Some(val);
        }
        for (name, val) in self.named {
            let Some(at) = names.iter().position(|known| **known == *name) else {
                let fail = Fail::runtime(format!("got an unexpected keyword argument '{name}'"));
                return Err(match hostler_diag::did_you_mean(&name, names) {
                    Some(best) => fail.hint(format!("did you mean `{best}`?")),
                    None => fail,
                });
            };
            if bound[at].is_some() {
                bail!("got multiple values for argument '{name}'");
            }
            bound[at] = Some(val);
        }
        Ok(bound)
    }

    /// No arguments are taken.
    pub(crate) fn none(self) -> Res<()> {
        self.bind([]).map(|[]| ())
    }

    /// Takes a named argument out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Val> {
        let at = self.named.iter().position(|(known, _)| &**known == name)?;
        Some(self.named.remove(at).1)
    }
}

/// A required argument.
pub(crate) fn required(arg: Option<Val>, name: &str) -> Res<Val> {
    arg.ok_or_else(|| Fail::runtime(format!("missing a required argument: '{name}'")))
}

/// Truth of an optional argument.
pub(crate) fn flag(arg: Option<&Val>, default: bool) -> Res<bool> {
    arg.map_or(Ok(default), ops::truth)
}

/// An optional integer.
pub(crate) fn int(arg: Option<&Val>, default: i128) -> Res<i128> {
    match arg {
        None | Some(Val::None) => Ok(default),
        Some(Val::Unknown(unknown)) => Err(Fail::unknown(unknown.clone())),
        Some(val) => match ops::integer(val) {
            Some(int) => Ok(int),
            None => bail!("an integer is required, not {}", val.type_name()),
        },
    }
}

/// An optional count, clipped to what memory allows.
pub(crate) fn count(arg: Option<&Val>, default: usize) -> Res<usize> {
    let int = int(arg, default as i128)?;
    Ok(usize::try_from(int.max(0))
        .unwrap_or(usize::MAX)
        .min(text::TEXT_MAX))
}

/// An optional text.
pub(crate) fn text_or(cx: &Cx<'_>, arg: Option<&Val>, default: &str) -> Res<String> {
    match arg {
        None => Ok(default.to_owned()),
        Some(val) => text::str(cx, val),
    }
}

/// An optional argument where `none` means absent.
pub(crate) fn some(arg: Option<Val>) -> Option<Val> {
    arg.filter(|val| !matches!(val, Val::None))
}
