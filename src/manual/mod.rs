//! The manual.

#[doc = include_str!("policies.md")]
pub mod policies {}
