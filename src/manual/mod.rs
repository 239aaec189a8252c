//! The manual: compiled as rustdoc, and served by the console.

#[doc = include_str!("approvals.md")]
pub mod approvals {}

#[doc = include_str!("conformance.md")]
pub mod conformance {}

#[doc = include_str!("console.md")]
pub mod console {}

#[doc = include_str!("drift.md")]
pub mod drift {}

#[doc = include_str!("events.md")]
pub mod events {}

#[doc = include_str!("exporting.md")]
pub mod exporting {}

#[doc = include_str!("identity.md")]
pub mod identity {}

#[doc = include_str!("log_format.md")]
pub mod log_format {}

#[doc = include_str!("oncall.md")]
pub mod oncall {}

#[doc = include_str!("policies.md")]
pub mod policies {}

#[doc = include_str!("protocol.md")]
pub mod protocol {}

#[doc = include_str!("receipts.md")]
pub mod receipts {}

#[doc = include_str!("runbook_checkpoint_age.md")]
pub mod runbook_checkpoint_age {}

#[doc = include_str!("runbook_cursor_age.md")]
pub mod runbook_cursor_age {}

#[doc = include_str!("runbook_dead_letters.md")]
pub mod runbook_dead_letters {}

#[doc = include_str!("runbook_disk.md")]
pub mod runbook_disk {}

#[doc = include_str!("runbook_down.md")]
pub mod runbook_down {}

#[doc = include_str!("runbook_log_write.md")]
pub mod runbook_log_write {}

#[doc = include_str!("runbook_parked.md")]
pub mod runbook_parked {}

#[doc = include_str!("runbook_reload.md")]
pub mod runbook_reload {}

#[doc = include_str!("sessions.md")]
pub mod sessions {}
