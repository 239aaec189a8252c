//! The signals, one by one, and what gets past them.

mod adaptive;
mod compaction;
mod distance;
mod fixture;
mod memory;
mod session;
mod table;
mod values;
