//! Evidence: the signed log.
