//! Plays, blocks, tasks and handlers: parser and static check.
