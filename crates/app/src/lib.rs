//! Wires inputs, engine and reporters; one file per use case.
//!
//! - [`apply`]: run playbooks, for real or in check mode.
//! - [`preview`], [`read_plan`], [`apply_plan`]: see first, keep it, do exactly that.
//! - [`resume`], [`abandon`]: go on with a run that did not get to its end, or give it up.
//! - [`Runs`]: the history; [`undo`]: put back the files that a run replaced.
//! - [`list`]: what playbooks would visit, without a connection.
//! - [`check`]: every problem that can be found without a connection.

mod apply;
mod caught;
mod check;
mod connecting;
mod earlier;
mod engine;
mod extra_vars;
mod fingerprints;
mod inputs;
mod keeping;
mod list;
mod locks;
mod mandate;
mod open_files;
mod origins;
mod patch;
mod plan;
mod plan_key;
mod plan_run;
mod refusal;
mod reporting;
mod request;
mod resume;
mod runs;
mod scripts;
mod settings;
mod static_check;
mod stored_request;
mod undiffed;
mod undo;

pub use apply::{Audience, apply};
pub use check::{CheckReport, check};
pub use hostler_executor::{Interrupts, Level, Limits};
pub use list::{PlayListing, TaskListing, list};
pub use patch::{
    Audiences, DaemonRequest, DisprovenVersion, InstallRequest, Invocation, PatchApplyRequest,
    PatchAudience, PatchOrder, PatchPlanRequest, PatchPlanned, PatchRan, PatchReportRequest,
    PatchStand, PatchWatch, Scanned, Unit, WindowsRequest, give_patch_order, patch_apply,
    patch_clear, patch_daemon, patch_disproven, patch_exceptions, patch_install_schedule,
    patch_lint, patch_plan, patch_plan_of, patch_report, patch_report_path, patch_resume,
    patch_scan, patch_status, patch_windows, read_patch_plan, save_patch_plan,
};
pub use plan::{Draft, PlanRequest, after, apply_plan, is_expired, preview, read_plan, time_words};
pub use refusal::Refusal;
pub use request::{
    ApplyRequest, BecomeRequest, ConnectRequest, ExitCode, LockRequest, StateRequest,
};
pub use resume::{Abandoned, ResumeRequest, Unfinished, abandon, find_unfinished, resume};
pub use runs::{
    ListRequest, LogRequest, PruneRequest, RunState, Runs, local_time, local_zone, now,
    short_time_words, time_of_day,
};
pub use stored_request::Passwords;
pub use undo::{UndoRequest, undo};
