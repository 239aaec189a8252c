//! The exporter: what becomes of events when receivers fail, stall, lie and come back.

mod archive;
mod backlog;
mod bench;
mod compliance;
mod connection;
mod conservation;
mod elasticsearch;
mod kills;
mod otlp;
mod retention;
mod rows;
mod s3;
mod sentinel;
mod splunk_hec;
mod stub;
mod syslog;
mod webhook;
