//! Questions to hosts whose answers have types.

use std::collections::BTreeMap;

use hostler_updates::{Resolution, Scan};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::crew::{Answer, Crew, Work};

/// Why a host gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It could not be reached.
    Unreachable(String),
    /// It was reached, and the question failed there.
    Failed(String),
}

/// An exact version that a host is asked about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct WantedVersion {
    /// Name of the package.
    pub(crate) name: String,
    /// Its architecture.
    pub(crate) arch: String,
    /// The version; `None`: it is to be removed.
    pub(crate) version: Option<String>,
}

/// Scans hosts.
pub(crate) async fn scan(
    crew: &Crew,
    number: u32,
    hosts: &[String],
    refresh: bool,
) -> BTreeMap<String, Result<Scan, NoAnswer>> {
    let arguments = hosts
        .iter()
        .map(|host| (host.clone(), json!({ "refresh": refresh })));
    let work = Work {
        number,
        title: "Scan for updates",
        module: "patch_scan",
        lenient: false,
        arguments: arguments.collect(),
    };
    typed(crew.ask(work).await, "scan")
}

/// Has hosts simulate what it takes to bring exact versions.
pub(crate) async fn resolve(
    crew: &Crew,
    number: u32,
    wanted: BTreeMap<String, Vec<WantedVersion>>,
) -> BTreeMap<String, Result<Resolution, NoAnswer>> {
    let arguments = wanted
        .into_iter()
        .map(|(host, wanted)| (host, json!({ "wanted": wanted })));
    let work = Work {
        number,
        title: "Simulate the updates",
        module: "patch_resolve",
        lenient: false,
        arguments: arguments.collect(),
    };
    typed(crew.ask(work).await, "resolution")
}

/// The return value of this name, in its type.
fn typed<T: DeserializeOwned>(
    answers: BTreeMap<String, Answer>,
    name: &str,
) -> BTreeMap<String, Result<T, NoAnswer>> {
    let one = |answer: Answer| match answer {
        Answer::Done(mut values) => {
            let value = values.get_mut(name).map(serde_json::Value::take);
            let value = value.ok_or_else(|| format!("it returned no `{name}`"));
            let read =
                value.and_then(|it| serde_json::from_value(it).map_err(|error| error.to_string()));
            read.map_err(|why| NoAnswer::Failed(format!("its answer cannot be read: {why}")))
        }
        Answer::Failed(why) | Answer::Gone(why) => Err(NoAnswer::Failed(why)),
        Answer::Unreachable(why) => Err(NoAnswer::Unreachable(format!(
            "{}: {}",
            why.reason, why.detail
        ))),
        Answer::Unknown(why) => Err(NoAnswer::Unreachable(why)),
    };
    answers
        .into_iter()
        .map(|(host, answer)| (host, one(answer)))
        .collect()
}
