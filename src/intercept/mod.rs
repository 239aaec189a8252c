//! Bytes to calls, and refusals to bytes.
