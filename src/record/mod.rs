//! Evidence: the signed log.

pub mod entry;
pub mod redact;

#[cfg(test)]
mod samples;
