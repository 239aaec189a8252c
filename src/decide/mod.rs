//! Policies: a pure function from call, identity and context to a decision.
