//! What a decision is made from.

use super::tool::CompiledTool;
use crate::model::{Call, Enforcement, Facts, Identity, SessionContext, Usage};

/// Everything that a decision may depend on, beside the policy set itself (AARM ): same input, same decision.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The call.
    pub call: &'a Call,
    /// Who makes it.
    pub identity: &'a Identity,
    /// What is known about the session, the time included.
    pub context: &'a SessionContext,
    /// What the agent has used of the limits that [`super::PolicySet::meters`] names for this action.
    pub usage: &'a [Usage],
    /// What resolvers found out; [`Facts::NONE`] until they did.
    pub facts: &'a Facts,
    /// The tool as its server listed it; `None` when it did not.
    pub tool: Option<&'a CompiledTool>,
    /// Whether decisions about this server, agent or team are carried out.
    pub enforcement: Enforcement,
}
