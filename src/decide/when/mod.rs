//! Conditions in CEL (`when:`), for what the typed tests of `match` cannot say.
//!
//! ```text
//! when: 'arguments.items.exists(i, i.price * i.count > 1000)'
//! ```
//!
//! Parsed and checked at load ([`check`]): a variable, field or function that is not known, or an expression past the
//! bounds, does not load. Evaluated on the same facts that typed tests see ([`bind`]): no clock, no I/O, no order of
//! members, so the same input always gets the same answer.
//!
//! What cannot be answered never widens access. A value that is not there, not known or of another type leaves a rule
//! that permits unknown (it suspends), and lets one that restricts match. An evaluation past its bounds, or that breaks
//! off in the middle of arithmetic, refuses the action, like every other evaluation error.
//!
//! # How the work is bounded
//!
//! Nothing in an accepted expression can make a value that is larger than what it was made from: no `map`, no maps, and
//! macros only go over fields, lists of constants and what `filter` leaves. So with `n` the longest list, one
//! evaluation takes at most `c0 + c1 n + c2 n²` steps, where `ck` is the number of nodes inside `k` macros, known at load;
//! each is weighed by the size of what it may look at. The product is compared with [`WORK_MAX`] before anything runs,
//! and taken from the budget of the decision.

#[cfg(not(feature = "cel"))]
mod absent;
#[cfg(feature = "cel")]
mod bind;
#[cfg(feature = "cel")]
mod check;
#[cfg(feature = "cel")]
mod object;
#[cfg(feature = "cel")]
mod program;

#[cfg(not(feature = "cel"))]
pub(super) use absent::When;
#[cfg(feature = "cel")]
pub(super) use program::When;

use super::schema::Phase;

/// What one evaluation may take, in steps of some 100 ns.
#[cfg(feature = "cel")]
const WORK_MAX: u64 = 100_000;

/// What is wrong with an expression, and what to do.
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) advice: String,
}

/// What the rule around an expression is.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "cel"), expect(dead_code, reason = "only a program with CEL looks at it"))]
pub(super) struct Place {
    pub(super) phase: Phase,
    /// Whether a match makes the outcome no wider: not ALLOW, not MODIFY, not what confirms a denied action.
    pub(super) restricts: bool,
}

/// What an expression said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "cel"), expect(dead_code, reason = "only a program with CEL looks at it"))]
pub(super) enum Said<'s> {
    Holds(bool),
    /// This is not there, not known, or of another type than the expression takes it for.
    Unknown(&'s str),
}
