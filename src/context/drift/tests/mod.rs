//! The signals, one by one, and what gets past them.

mod adaptive;
mod distance;
mod fixture;
mod memory;
mod session;
mod values;
