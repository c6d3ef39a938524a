//! Where a host is in the procedure.
//!
//! ```text
//! Resolve Preflight Mask Download LookFirst Pre* Baseline Snapshot │ GatesChange FirstReboot FirstBack FirstVerify
//!                        nothing is changed yet: may leave          │ Install Restart Look GatesReboot Reboot Back Verify Post*
//!                                                                   └─► Settle (undo, release) GatesBack End
//! put back: AgainMask AgainPre* RollbackLook Rollback RollbackRestart RollbackReboot RollbackBack RollbackVerify ─► Settle ...
//! ```

use crate::Step;

/// A place in the procedure, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Resolve,
    Preflight,
    Mask,
    Download,
    LookFirst,
    Pre(u32),
    Baseline,
    Snapshot,
    GatesChange,
    FirstReboot,
    FirstBack,
    FirstVerify,
    Install,
    Restart,
    Look,
    GatesReboot,
    Reboot,
    Back,
    Verify,
    Post(u32),
    AgainMask,
    AgainPre(u32),
    RollbackLook,
    Rollback,
    RollbackRestart,
    RollbackReboot,
    RollbackBack,
    RollbackVerify,
    Settle,
    GatesBack,
    End,
}

impl Place {
    /// The place after it, whether it applies or not. `pre` and `post` are how many hooks there are.
    pub(crate) fn following(self, pre: u32, post: u32) -> Self {
        match self {
            Self::Resolve => Self::Preflight,
            Self::Preflight => Self::Mask,
            Self::Mask => Self::Download,
            Self::Download => Self::LookFirst,
            Self::LookFirst if pre > 0 => Self::Pre(0),
            Self::Pre(n) if n + 1 < pre => Self::Pre(n + 1),
            Self::LookFirst | Self::Pre(_) => Self::Baseline,
            Self::Baseline => Self::Snapshot,
            Self::Snapshot => Self::GatesChange,
            Self::GatesChange => Self::FirstReboot,
            Self::FirstReboot => Self::FirstBack,
            Self::FirstBack => Self::FirstVerify,
            Self::FirstVerify => Self::Install,
            Self::Install => Self::Restart,
            Self::Restart => Self::Look,
            Self::Look => Self::GatesReboot,
            Self::GatesReboot => Self::Reboot,
            Self::Reboot => Self::Back,
            Self::Back => Self::Verify,
            Self::Verify if post > 0 => Self::Post(0),
            Self::Post(n) if n + 1 < post => Self::Post(n + 1),
            Self::Verify | Self::Post(_) | Self::RollbackVerify => Self::Settle,
            Self::AgainMask if pre > 0 => Self::AgainPre(0),
            Self::AgainPre(n) if n + 1 < pre => Self::AgainPre(n + 1),
            Self::AgainMask | Self::AgainPre(_) => Self::RollbackLook,
            Self::RollbackLook => Self::Rollback,
            Self::Rollback => Self::RollbackRestart,
            Self::RollbackRestart => Self::RollbackReboot,
            Self::RollbackReboot => Self::RollbackBack,
            Self::RollbackBack => Self::RollbackVerify,
            Self::Settle => Self::GatesBack,
            Self::GatesBack | Self::End => Self::End,
        }
    }

    /// The step that is done there; `None` where gates are asked, at [`Place::Settle`] (which depends on what is owed) and
    /// at the end.
    pub(crate) fn step(self) -> Option<Step> {
        Some(match self {
            Self::Resolve => Step::Resolve,
            Self::Preflight => Step::Preflight,
            Self::Mask | Self::AgainMask => Step::Mask,
            Self::Download => Step::Download,
            Self::LookFirst | Self::Look => Step::Look,
            Self::Pre(n) | Self::AgainPre(n) => Step::Pre(n),
            Self::Baseline | Self::RollbackLook => Step::Baseline,
            Self::Snapshot => Step::Snapshot,
            Self::FirstReboot | Self::Reboot | Self::RollbackReboot => Step::Reboot,
            Self::FirstBack | Self::Back | Self::RollbackBack => Step::Back,
            Self::FirstVerify | Self::Verify | Self::RollbackVerify => Step::Verify,
            Self::Install => Step::Install,
            Self::Restart | Self::RollbackRestart => Step::Restart,
            Self::Post(n) => Step::Post(n),
            Self::Rollback => Step::Rollback,
            Self::GatesChange | Self::GatesReboot | Self::Settle | Self::GatesBack | Self::End => {
                return None;
            }
        })
    }

    /// Is this a place on the way back?
    pub(crate) fn is_rollback(self) -> bool {
        (Self::AgainMask..=Self::RollbackVerify).contains(&self)
    }

    /// May a host on which nothing is installed stop here? Not while it reboots.
    pub(crate) fn may_leave(self) -> bool {
        self <= Self::Install && !matches!(self, Self::FirstBack | Self::FirstVerify)
    }
}
