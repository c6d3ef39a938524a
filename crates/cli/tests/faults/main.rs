//! Whole runs on hosts that misbehave, over lines that break, with a controller that is killed. `docs/faults.md` lists
//! which fault is tested where.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod bound;
mod cut;
mod isolation;
mod kill;
mod lies;
mod limits;
mod playbook;
mod silent;
mod site;
mod upload;
