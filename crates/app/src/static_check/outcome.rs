//! What the check of one task on one host came to.

use hostler_diag::Diagnostic;

/// How sure it is that something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    /// A condition that only the run decides stands before it.
    Maybe,
    /// It happens if a task changes or fails that could.
    Likely,
    /// It happens.
    Sure,
}

/// A problem of a task on a host.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) diagnostic: Diagnostic,
    pub(super) certainty: Certainty,
    /// The variable that is not defined, if that is the problem.
    pub(super) undefined: Option<String>,
    /// Whoever comes here has it: it does not hang on any host's variables.
    pub(super) for_all: bool,
    /// The run itself will warn of it.
    pub(super) known_to_run: bool,
}

/// What a check of a task on a host came to.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) problems: Vec<Problem>,
    /// Is it done at all? `None` if it is skipped.
    pub(super) done: Option<Certainty>,
    /// Does the host leave the play here?
    pub(super) leaves: Option<Certainty>,
    /// Does the host fail here because the playbook says so?
    pub(super) fails: Option<Certainty>,
    /// Handlers that it may notify; `None` stands for a name that only the run knows.
    pub(super) notifies: Vec<Option<String>>,
}

impl Outcome {
    /// Notes what the run would tell, too.
    pub(super) fn told_by_run(&mut self, diagnostic: Diagnostic) {
        self.problems.push(Problem {
            diagnostic,
            certainty: Certainty::Sure,
            undefined: None,
            for_all: false,
            known_to_run: true,
        });
    }
}
