//! Words that columns hold.

use hostler_events::{Status, TaskKind};

const STATUSES: [(Status, &str); 6] = [
    (Status::Ok, "ok"),
    (Status::Changed, "changed"),
    (Status::Skipped, "skipped"),
    (Status::Failed, "failed"),
    (Status::Unreachable, "unreachable"),
    (Status::Unknown, "unknown"),
];

pub(crate) fn of_status(status: Status) -> &'static str {
    let found = STATUSES.iter().find(|(it, _)| *it == status);
    found.map_or("unknown", |(_, word)| word)
}

pub(crate) fn status(word: &str) -> Option<Status> {
    let found = STATUSES.iter().find(|(_, it)| *it == word);
    found.map(|(status, _)| *status)
}

pub(crate) fn of_kind(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Task => "task",
        TaskKind::Handler => "handler",
        TaskKind::GatherFacts => "gather_facts",
    }
}

pub(crate) fn kind(word: &str) -> TaskKind {
    match word {
        "handler" => TaskKind::Handler,
        "gather_facts" => TaskKind::GatherFacts,
        _ => TaskKind::Task,
    }
}
