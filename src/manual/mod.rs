//! The manual.

#[doc = include_str!("log_format.md")]
pub mod log_format {}
