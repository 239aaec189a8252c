//! The exporter: what becomes of events when receivers fail, stall, lie and come back.

mod bench;
mod conservation;
