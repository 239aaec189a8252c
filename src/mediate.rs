//! The path of an action.
