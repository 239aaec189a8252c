//! Policies: a pure function from call, identity and context to a decision (AARM R3, R4).
//!
//! [`PolicySet::decide`] reads no clock, does no I/O, takes no lock and cannot fail: whatever it is given, it decides,
//! and on doubt it does not forward. Only this stage can make a [`Permit`]; what forwards takes one by value. It must
//! never look at anything that is not in its [`Input`], or the same action would not get the same decision twice.
//!
//! ```text
//! text ─► schema ─► set (index, levels)          once, at load
//! call ─► checks ─► index ─► evaluate ─► combine ─► ruling ─► modify ─► (Decision, Gate)
//! ```
//!
//! The language is described in the manual's page on policies.

mod apply;
mod checks;
mod clock;
mod combine;
mod condition;
mod confidence;
mod datum;
mod destination;
mod domain;
mod evaluate;
mod evidence;
mod exception;
mod explain;
mod field;
mod frames;
mod index;
mod input;
mod limit;
mod lint;
mod listing;
mod mirror;
mod modify;
mod names;
mod number;
mod path;
mod permit;
mod results;
mod ruling;
mod scenario;
mod schema;
mod sequence;
mod set;
mod settings;
mod shipped;
mod splice;
mod tool;
mod truth;
mod verify;
mod weigh;
mod when;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use evidence::{Evidence, action_digest};
pub use explain::{Explanation, RuleExplanation, TestExplanation};
pub use frames::FramePermit;
pub use input::Input;
pub use lint::Finding;
pub use listing::RuleSummary;
pub use permit::{Gate, Permit, PermitKind};
pub use results::{REDACTED, Redaction, ResultFacts, ResultRuling, Withheld};
pub use scenario::{NOON, Scenario, ScenarioResult};
pub use schema::{PolicyError, PolicyErrors, PolicySource};
pub use set::{PolicySet, PolicySummary};
pub use settings::{DefaultPosture, SchemaCheck, Settings, UnknownSchema, UnverifiedIdentity};
pub use shipped::{shipped, shipped_default};
pub use tool::CompiledTool;
pub use verify::{TestReport, run_tests};
