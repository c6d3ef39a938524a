//! What a run may do that carries out a plan: the plan as the second look found it on each host. The run keeps it, so that it
//! can go on when plan file and key are gone.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::execution::{Execution, Executions};
use crate::file::{FileError, PlanFile};
use crate::key::Key;
use crate::{Fate, Sealed, moved};

/// Version of the packed form.
const FORM: u32 = 1;

/// What is agreed on with whoever made the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// What each execution comes to, by host. Those that the plan leaves to run time are [`Execution::free`].
    pub executions: Executions,
    /// Hosts that are not as the plan found them, and why: they take no part.
    pub refused: BTreeMap<String, Vec<String>>,
}

impl Agreed {
    /// Holds a second look against the plan.
    pub fn new(plan: &PlanFile, now: &Executions, key: &Key) -> Self {
        let mut agreed = Agreed::default();
        for (host, executions) in now {
            let planned = plan.body.executions(host);
            let reasons = match &planned {
                None => vec!["the plan does not have this host".to_owned()],
                Some(planned) => differences(planned, executions, key),
            };
            if !reasons.is_empty() {
                agreed.refused.insert(host.clone(), reasons);
            }
            let planned = planned.unwrap_or_default();
            agreed
                .executions
                .insert(host.clone(), bound(&planned, executions));
        }
        agreed
    }

    /// Hosts of `of` that are not as they were when this was agreed on, and why, by another look.
    pub fn moved(&self, now: &Executions, of: &HashSet<String>) -> BTreeMap<String, Vec<String>> {
        // Nothing of this is kept: any key will do.
        let key = Key::new([0; 32]);
        let mut moved = BTreeMap::new();
        for (host, executions) in now.iter().filter(|(host, _)| of.contains(*host)) {
            let Some(agreed) = self.executions.get(host) else {
                continue;
            };
            let agreed = PlanFile::sealed(agreed, &key);
            let reasons = differences(&agreed.iter().collect::<Vec<_>>(), executions, &key);
            if !reasons.is_empty() {
                moved.insert(host.clone(), reasons);
            }
        }
        moved
    }

    /// For the run store.
    ///
    /// # Errors
    /// It would be too large.
    pub fn pack(&self) -> Result<Vec<u8>, FileError> {
        let packed = postcard::to_allocvec(&(FORM, self));
        packed.map_err(|error| FileError::TooLarge(error.to_string()))
    }

    /// What [`Agreed::pack`] made.
    ///
    /// # Errors
    /// It is damaged, or of another form.
    pub fn unpack(bytes: &[u8]) -> Result<Self, FileError> {
        let damaged = |error: postcard::Error| FileError::Damaged(error.to_string());
        let (form, rest): (u32, &[u8]) = postcard::take_from_bytes(bytes).map_err(damaged)?;
        if form != FORM {
            return Err(FileError::Format(form.to_string()));
        }
        postcard::from_bytes(rest).map_err(damaged)
    }
}

/// What is not as planned. A host that cannot be reached is for the run to tell.
fn differences(planned: &[&Sealed], now: &[Execution], key: &Key) -> Vec<String> {
    if now.iter().any(|it| it.fate == Fate::Unreachable) {
        return Vec::new();
    }
    let sealed = PlanFile::sealed(now, key);
    moved(planned, &sealed.iter().collect::<Vec<_>>())
}

/// What was found, with the plan's word on what is left to run time. That may not have come up in the second look.
fn bound(planned: &[&Sealed], found: &[Execution]) -> Vec<Execution> {
    let same = |a: &Execution, b: &Sealed| a.place == b.place && a.nth == b.nth;
    let mut all = found.to_vec();
    for execution in &mut all {
        let planned = planned.iter().find(|it| same(execution, it));
        execution.free = planned.is_some_and(|it| it.free);
    }
    for planned in planned.iter().filter(|it| it.free) {
        if !found.iter().any(|it| same(it, planned)) {
            all.push(Execution {
                place: planned.place.clone(),
                nth: planned.nth,
                name: planned.name.clone(),
                undecided: planned.undecided,
                free: true,
                ..Execution::default()
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Header, Preview, Scope, decode, encode};

    fn execution(place: &str, free: bool) -> Execution {
        Execution {
            place: place.into(),
            free,
            ..Execution::default()
        }
    }

    fn plan(executions: &Executions, key: &Key) -> PlanFile {
        let preview = Preview {
            format: Preview::FORMAT,
            ..Preview::default()
        };
        let body = Body::new(Scope::default(), preview, executions, key);
        decode(&encode(Header::default(), &body, key).unwrap()).unwrap()
    }

    #[test]
    fn the_plan_says_what_is_free_and_the_rest_is_as_found() {
        let key = Key::new([3; 32]);
        let planned = vec![execution("p:1", true), execution("p:2", false)];
        let planned: Executions = [("a".to_owned(), planned)].into();
        let plan = plan(&planned, &key);
        let found = vec![execution("p:2", true), execution("p:3", true)];
        let found: Executions = [("a".to_owned(), found.clone()), ("b".to_owned(), found)].into();
        let agreed = Agreed::new(&plan, &found, &key);
        let free = |host: &str| {
            let all = agreed.executions[host].iter();
            all.map(|it| (it.place.clone(), it.free))
                .collect::<Vec<_>>()
        };
        let wanted = [("p:2", false), ("p:3", false), ("p:1", true)];
        assert_eq!(
            free("a"),
            wanted.map(|(place, free)| (place.to_owned(), free))
        );
        assert!(free("b").iter().all(|(_, free)| !free));
        assert_eq!(agreed.refused["b"], ["the plan does not have this host"]);
        assert!(!agreed.refused.contains_key("a"));
        assert_eq!(Agreed::unpack(&agreed.pack().unwrap()).unwrap(), agreed);
        assert!(matches!(Agreed::unpack(&[9]), Err(FileError::Format(_))));
        assert!(Agreed::unpack(&[1, 200]).is_err());
    }
}
