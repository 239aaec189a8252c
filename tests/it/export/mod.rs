//! The exporter: what becomes of events when receivers fail, stall, lie and come back.

mod aitf;
mod all_at_once;
mod archive;
mod aws_keys;
mod aws_streams;
mod backlog;
mod bench;
mod chronicle;
mod compliance;
mod connection;
mod conservation;
mod datadog;
mod elasticsearch;
mod kills;
mod otlp;
mod retention;
mod rows;
mod s3;
mod seed_page;
mod sentinel;
mod sigv4;
mod splunk_hec;
mod stub;
mod sumologic;
mod syslog;
mod webhook;
