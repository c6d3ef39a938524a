//! Accounts and groups that a preview would have made, changed or removed.

use std::collections::BTreeMap;

use hostler_change::ShadowEffect;
use hostler_module_api::{Account, Group, Inspect, InspectError};
use hostler_value::Cause;

/// Numbers of accounts and groups whose numbers a tool will pick start here. Nothing else uses this range: systemd's
/// list of user and group numbers ends its last range below it, and calls it unassigned.
pub(super) const FIRST_PLACEHOLDER: u32 = 0xf000_0000;

/// Pending entries by name; `None`: removed.
#[derive(Clone, Default)]
pub(super) struct People {
    pub(super) users: BTreeMap<String, Option<Account>>,
    pub(super) groups: BTreeMap<String, Option<Group>>,
    /// Lines of `shadow(5)`, joined.
    pub(super) shadow: BTreeMap<String, ShadowEffect>,
    /// For each number that stands for one that is not known, who decides it.
    placeholders: Vec<Cause>,
}

impl People {
    /// A number for something whose number is not known.
    pub(super) fn placeholder(&mut self, by: &Cause) -> u32 {
        let count = u32::try_from(self.placeholders.len()).unwrap_or(u32::MAX);
        self.placeholders.push(by.clone());
        FIRST_PLACEHOLDER.saturating_add(count)
    }

    /// Who decides a number, if it stands for one that is not known.
    pub(super) fn made_up(&self, value: i64) -> Option<&Cause> {
        let index = value.checked_sub(i64::from(FIRST_PLACEHOLDER))?;
        self.placeholders.get(usize::try_from(index).ok()?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.shadow.is_empty()
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
