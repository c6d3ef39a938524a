//! Accounts and groups that a preview would have made, changed or removed.

use std::collections::BTreeMap;

use hostler_change::ShadowEffect;
use hostler_module_api::{Account, FIRST_STAND_IN, Group, Inspect, InspectError};
use hostler_value::Cause;

/// Pending entries by name; `None`: removed.
#[derive(Clone, Default)]
pub(super) struct People {
    pub(super) users: BTreeMap<String, Option<Account>>,
    pub(super) groups: BTreeMap<String, Option<Group>>,
    /// Lines of `shadow(5)`, joined.
    pub(super) shadow: BTreeMap<String, ShadowEffect>,
    /// For each number that stands for one that is not known, who decides it.
    stand_ins: Vec<Cause>,
}

impl People {
    /// A number for something whose number is not known, so that it can be looked up by name and number meanwhile. What
    /// leaves the agent says "unknown until that task" in its place.
    pub(super) fn stand_in(&mut self, by: &Cause) -> u32 {
        let count = u32::try_from(self.stand_ins.len()).unwrap_or(u32::MAX);
        self.stand_ins.push(by.clone());
        FIRST_STAND_IN.saturating_add(count)
    }

    /// Who decides a number, if it stands for one that is not known.
    pub(super) fn made_up(&self, value: i64) -> Option<&Cause> {
        let index = value.checked_sub(i64::from(FIRST_STAND_IN))?;
        self.stand_ins.get(usize::try_from(index).ok()?)
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
