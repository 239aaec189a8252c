//! The signals, one by one.

mod fixture;
mod values;
