//! The signals, one by one.

mod compaction;
mod fixture;
mod values;
