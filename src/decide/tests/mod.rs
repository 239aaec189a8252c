//! Tests of the whole stage, through [`super::PolicySet`] only.

mod checks;
mod corpus;
mod language;
mod modification;
mod precedence;
mod properties;
mod shipped;
mod unknowns;
