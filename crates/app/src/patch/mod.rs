//! Patching: scan, plan, carry out.

mod advisories;
mod aftermath;
mod apply;
mod asking;
mod book;
mod clear;
mod crew;
mod hosts;
mod lint;
mod notes;
mod outcome;
mod plan;
mod policy;
mod ran;
mod report;
mod scan;
mod schedule;
mod status;
mod summary;

pub use apply::{
    PatchApplyRequest, PatchAudience, PatchRan, PatchStand, WatchAll as PatchWatch,
    apply as patch_apply, plan_of as patch_plan_of, read_plan_file as read_patch_plan,
    resume as patch_resume,
};
pub use clear::{DisprovenVersion, clear as patch_clear, disproven as patch_disproven};
pub use hostler_rollout::Order as PatchOrder;
pub use lint::lint as patch_lint;
pub use notes::order as give_patch_order;
pub use plan::{PatchPlanRequest, PatchPlanned, plan as patch_plan, save as save_patch_plan};
pub use report::{PatchReportRequest, patch_exceptions, patch_report, patch_report_path};
pub use scan::{Scanned, scan as patch_scan};
pub use schedule::{
    Audiences, DaemonRequest, InstallRequest, Invocation, Unit, WindowsRequest,
    daemon as patch_daemon, install as patch_install_schedule, windows as patch_windows,
};
pub use status::status as patch_status;
