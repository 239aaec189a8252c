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
#[cfg(feature = "cel")]
mod when;

/// A policy that this program cannot evaluate is not taken for one that it can.
#[cfg(not(feature = "cel"))]
#[test]
fn a_condition_in_cel_needs_the_feature() {
    let text = "rules:\n  - id: r\n    when: tool == 'x'\n    action: DENY\n";
    let errors = super::PolicySet::compile(&[super::fixture::source(text)], &super::Settings::default()).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "test.yaml:3: `when` needs a program that was built with the feature `cel`; build with `--features cel`, as the \
         container image is, or write it with `match`, `any`, `all` and `not`"
    );
}

/// The set and the tools are shared by every worker.
#[test]
fn what_is_shared_can_be_shared() {
    const fn shared<T: Send + Sync>() {}
    const fn sent<T: Send>() {}
    shared::<super::PolicySet>();
    shared::<super::CompiledTool>();
    sent::<super::Gate>();
}
