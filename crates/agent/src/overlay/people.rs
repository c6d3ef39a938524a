//! Accounts and groups that a preview would have made, changed or removed.

use std::collections::BTreeMap;

use hostler_module_api::{Account, Group, Inspect, InspectError};

/// Numbers of accounts and groups whose numbers a tool will pick start here. Nothing else uses this range: systemd's
/// list of user and group numbers ends its last range below it, and calls it unassigned.
pub(super) const FIRST_PLACEHOLDER: u32 = 0xf000_0000;

/// Pending entries by name; `None`: removed.
#[derive(Clone, Default)]
pub(super) struct People {
    pub(super) users: BTreeMap<String, Option<Account>>,
    pub(super) groups: BTreeMap<String, Option<Group>>,
    placeholders: u32,
}

impl People {
    /// A number for something whose number is not known.
    pub(super) fn placeholder(&mut self) -> u32 {
        let number = FIRST_PLACEHOLDER.saturating_add(self.placeholders);
        self.placeholders += 1;
        number
    }

    pub(super) fn accounts(&self, real: &dyn Inspect) -> Result<Vec<Account>, InspectError> {
        Ok(merge(real.accounts()?, &self.users, |it| &it.name))
    }

    pub(super) fn groups(&self, real: &dyn Inspect) -> Result<Vec<Group>, InspectError> {
        Ok(merge(real.groups()?, &self.groups, |it| &it.name))
    }

    pub(super) fn account(
        &self,
        real: &dyn Inspect,
        key: &str,
    ) -> Result<Option<Account>, InspectError> {
        let real = || real.account(key);
        one(key, &self.users, real, |it| &it.name, |it| it.uid)
    }

    pub(super) fn group(
        &self,
        real: &dyn Inspect,
        key: &str,
    ) -> Result<Option<Group>, InspectError> {
        let real = || real.group(key);
        one(key, &self.groups, real, |it| &it.name, |it| it.gid)
    }
}

fn merge<T: Clone>(
    real: Vec<T>,
    pending: &BTreeMap<String, Option<T>>,
    name: fn(&T) -> &String,
) -> Vec<T> {
    let kept = |it: &T| !pending.contains_key(name(it));
    let mut all: Vec<T> = real.into_iter().filter(kept).collect();
    all.extend(pending.values().flatten().cloned());
    all
}

/// By name, else by number.
fn one<T: Clone>(
    key: &str,
    pending: &BTreeMap<String, Option<T>>,
    real: impl FnOnce() -> Result<Option<T>, InspectError>,
    name: fn(&T) -> &String,
    number: fn(&T) -> u32,
) -> Result<Option<T>, InspectError> {
    if let Some(Some(found)) = pending.get(key) {
        return Ok(Some(found.clone()));
    }
    let real = real()?.filter(|it| !pending.contains_key(name(it)));
    if real.as_ref().is_some_and(|it| name(it) == key) {
        return Ok(real);
    }
    let wanted = key.parse::<u32>().ok();
    let mut there = pending.values().flatten();
    let by_number = there.find(|it| Some(number(it)) == wanted);
    Ok(by_number.cloned().or(real))
}
