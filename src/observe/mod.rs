//! Telemetry that agents send about themselves.
