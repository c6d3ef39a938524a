//! Patch policies and plans.
//!
//! ```text
//! policy (YAML) ─┐
//! scans of hosts ─┼─ select ─> what is wanted on each host ─ (hosts simulate it) ─> planner ─> Plan ─> forecast, explain
//! ledger ─────────┘
//! ```
//!
//! Pure: hosts are asked elsewhere, and the time now is an argument. A [`plan::Plan`] is immutable and holds everything that
//! carrying it out needs: execution makes no choices.

pub mod amount;
pub mod diff;
pub mod explain;
pub mod file;
pub mod forecast;
pub mod glob;
pub mod known;
pub mod ledger;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod report;
pub mod select;
pub mod simulate;
pub mod text;
