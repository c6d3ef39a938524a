//! What a run carries out: playbooks alone, a plan, or the undoing of another run. What is more than the request is kept with
//! the run as long as it may be resumed, so that it goes on with the same, whatever became of the files meanwhile.

use hostler_events::RunId;
use hostler_history::StoreError;
use hostler_preview::Agreed;
use serde::{Deserialize, Serialize};

use crate::undo::Undoing;

/// What kind of run it is, as the request says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Carries {
    /// Playbooks.
    #[default]
    Playbooks,
    /// Playbooks, bound by a plan.
    Plan,
    /// The undoing of this run.
    Undo(String),
}

/// What a new run carries out.
#[derive(Debug, Default)]
pub(crate) enum Mandate {
    /// Playbooks.
    #[default]
    Playbooks,
    /// What a plan has for each host.
    Plan(Agreed),
    /// Files to put back.
    Undo(Undoing),
}

impl Mandate {
    /// What kind it is.
    pub(crate) fn carries(&self) -> Carries {
        match self {
            Mandate::Playbooks => Carries::Playbooks,
            Mandate::Plan(_) => Carries::Plan,
            Mandate::Undo(undoing) => Carries::Undo(undoing.run.clone()),
        }
    }

    /// For the run store; nothing for playbooks alone.
    pub(crate) fn pack(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let failed = |why: String| StoreError::Failed {
            what: "what the run is to do cannot be kept".into(),
            why,
        };
        match self {
            Mandate::Playbooks => Ok(None),
            Mandate::Plan(agreed) => {
                let packed = agreed.pack().map_err(|error| failed(error.to_string()))?;
                Ok(Some(packed))
            }
            Mandate::Undo(undoing) => {
                let packed = serde_json::to_vec(undoing);
                Ok(Some(packed.map_err(|error| failed(error.to_string()))?))
            }
        }
    }

    /// The run whose contents it puts back.
    pub(crate) fn needs(&self) -> Option<RunId> {
        match self {
            Mandate::Undo(undoing) => Some(RunId(undoing.run.clone())),
            Mandate::Playbooks | Mandate::Plan(_) => None,
        }
    }
}
