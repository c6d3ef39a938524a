//! What a module would do.

use serde::{Deserialize, Serialize};

use crate::{Delta, Edit, Program, Run, WriteFile};

/// An edit and the differences that explain it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The edit.
    pub edit: Edit,
    /// Why. Never empty for an edit that changes what [`Plan::deltas`] shows to people.
    pub deltas: Vec<Delta>,
}

/// An ordered list of edits. Empty: the host is as wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The edits, in the order of application; the first failure stops.
    pub edits: Vec<Planned>,
    /// Things the user should know, such as a deprecated argument.
    pub warnings: Vec<String>,
    /// More edits may follow when these were applied (a package list is refreshed, then versions are compared):
    /// the agent plans again afterwards, and check mode says "more may follow".
    pub incomplete: bool,
    /// The edits transform what is there instead of naming what is wanted (a replaced text may match again): they
    /// are applied once, as ansible-core does, and the host is not held against a second plan.
    pub once: bool,
    /// What must be so before the edits can be carried out, and is not: a group, a service, a package that is not there.
    /// The task fails with the first of these and changes nothing; in a preview it is unknown if a package that an
    /// earlier task would install may bring it.
    pub unmet: Vec<String>,
    /// What the edits do cannot be known without doing them (`command`): see [`crate::Outcome::unforeseen`].
    pub unpredictable: bool,
}

impl Plan {
    /// A plan that does nothing.
    pub fn none() -> Self {
        Plan::default()
    }

    /// Adds an edit with the one difference that explains it.
    pub fn push(&mut self, delta: Delta, edit: Edit) {
        self.edits.push(Planned {
            edit,
            deltas: vec![delta],
        });
    }

    /// Adds an edit that several differences explain.
    pub fn push_all(&mut self, deltas: Vec<Delta>, edit: Edit) {
        self.edits.push(Planned { edit, deltas });
    }

    /// Adds a program that must exit with status 0.
    pub fn run(&mut self, delta: Delta, program: Program) {
        self.push(delta, Edit::Run(Run::new(program)));
    }

    /// Adds a program that runs each time, such as a restart.
    pub fn run_always(&mut self, delta: Delta, program: Program) {
        self.push(
            delta,
            Edit::Run(Run {
                always: true,
                ..Run::new(program)
            }),
        );
    }

    /// Adds a file with the differences that explain it.
    pub fn write(&mut self, deltas: Vec<Delta>, file: WriteFile) {
        self.push_all(deltas, Edit::WriteFile(file));
    }

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Is there nothing to do but what is done each time? True for the second plan of a task that converged.
    pub fn is_settled(&self) -> bool {
        self.edits
            .iter()
            .all(|it| matches!(&it.edit, Edit::Run(run) if run.always))
    }

    /// All differences, in order.
    pub fn deltas(&self) -> impl Iterator<Item = &Delta> {
        self.edits.iter().flat_map(|it| it.deltas.iter())
    }
}
