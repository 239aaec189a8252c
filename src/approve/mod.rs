//! People: asks them, waits for them, and carries their answers back to where actions are decided (AARM R4).
//!
//! ```text
//! STEP_UP ─► request entry ─► told ─► answered ─► answer entry ─► the call comes (or waited) ─► decided again ─► runs once
//! ```
//!
//! A request is in the log before anybody is told of it, and an answer before anything follows from it; both are read
//! back at the next start. An answer holds for one call with exactly these parameters, by this caller, under these
//! policies, for a bounded time, once. This stage makes no [`Permit`](crate::decide::Permit): it hands evidence to
//! `decide`. It must never take silence for consent, an approver's name from a body, or an agent's word for a person's.

mod answer;
mod cleared;
mod controls;
mod deferral;
mod error;
mod grants;
mod ladder;
mod notify;
mod queue;
mod replay;
mod request;
mod scope;
mod seal;
mod splice;
mod standing;
mod tend;
mod view;

use serde::{Deserialize, Serialize};

pub use answer::{Answer, Person};
pub use cleared::{About, Asked, Came, Cleared};
pub use controls::{BREAK_GLASS_MINUTES_MAX, Control, ControlKind, ControlState};
pub use deferral::{Day, DeferralConfig, DeferralStats, ResolverConfig, ResolverError, Window};
pub use error::ApproveError;
pub use grants::{GRANT_MINUTES_MAX, Grant, GrantRequest, GrantView};
pub use notify::{
    ButtonsConfig, MailConfig, MailSecurity, NotifiedPerson, NotifierConfig, NotifyError, Opened, Pressed,
};
pub use queue::{Approvals, OpenError};
pub use request::{Request, Source, Status};
pub use scope::Scope;
pub use seal::{Seal, SealError};
pub use view::{Summary, View};

use crate::model::Severity;

/// The `approve:` section. The seed's keys (`default_timeout`, `timeout_action`) are taken too.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seconds until a request that nobody answers is refused.
    #[serde(alias = "default_timeout")]
    pub timeout_s: u64,
    /// What happens then. There is one answer: silence is never consent (AARM A-4.3).
    pub timeout_action: TimeoutAction,
    /// Seconds after which an unanswered request goes to `escalate_to` too.
    pub escalate_after_s: u64,
    /// People and groups that hear of what nobody answered.
    pub escalate_to: Vec<String>,
    /// Whom to ask where a policy names nobody: people and groups; everybody with the role without any.
    pub approvers: Vec<String>,
    /// From which risk on two different people have to say yes.
    pub two_people_from: Option<Severity>,
    /// Whether the person on whose behalf the agent acts may approve it. A confirmation, and no second pair of eyes.
    pub requester_may_approve: bool,
    /// Milliseconds that a call of a client of the older era, or to a plain HTTP tool, is held open: below every
    /// client's own time-out.
    pub legacy_hold_ms: u64,
    /// Milliseconds that a round of a client of the newer era is held open.
    pub mrtr_hold_ms: u64,
    /// Rounds of a client of the newer era. Clients give up at ten.
    pub mrtr_rounds_max: u32,
    /// How people are told.
    pub notifiers: Vec<NotifierConfig>,
    /// How suspended actions are settled.
    pub deferral: DeferralConfig,
    /// Requests that wait at once.
    pub pending_max: usize,
    /// Of these, of one session (resolution G-18).
    pub pending_per_session_max: usize,
    /// Calls that are held open at once; more are told at once that they wait.
    pub holds_max: usize,
}

/// What silence means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeoutAction {
    /// No.
    #[default]
    #[serde(rename = "DENY", alias = "deny")]
    Deny,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout_s: 3_600,
            timeout_action: TimeoutAction::Deny,
            escalate_after_s: 1_800,
            escalate_to: Vec::new(),
            approvers: Vec::new(),
            two_people_from: None,
            requester_may_approve: false,
            legacy_hold_ms: 3_000,
            mrtr_hold_ms: 20_000,
            mrtr_rounds_max: 9,
            notifiers: Vec::new(),
            deferral: DeferralConfig::default(),
            pending_max: 1_000,
            pending_per_session_max: 16,
            holds_max: 512,
        }
    }
}

/// The longest a request may wait, seconds: a week. Longer, the log would have to be read far back at every start.
pub const TIMEOUT_S_MAX: u64 = 604_800;

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// A sentence for the person who wrote it.
    pub fn check(&self) -> Result<(), String> {
        if self.timeout_s == 0 || self.timeout_s > TIMEOUT_S_MAX {
            return Err(format!("`timeout_s` must be 1 to {TIMEOUT_S_MAX}"));
        }
        if self.legacy_hold_ms > 55_000 || self.mrtr_hold_ms > 55_000 {
            return Err(
                "`legacy_hold_ms` and `mrtr_hold_ms` must stay under the 60 s that clients wait: at most 55000".into(),
            );
        }
        Ok(())
    }
}
