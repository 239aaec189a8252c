//! Tests of the whole stage, through [`super::PolicySet`] only.

mod aarm;
mod checks;
mod corpus;
mod evidence;
mod language;
mod matrix;
mod modification;
mod more;
mod precedence;
mod properties;
mod reference;
mod shipped;
mod unknowns;

/// The set and the tools are shared by every worker.
#[test]
fn what_is_shared_can_be_shared() {
    const fn shared<T: Send + Sync>() {}
    const fn sent<T: Send>() {}
    shared::<super::PolicySet>();
    shared::<super::CompiledTool>();
    sent::<super::Gate>();
}
