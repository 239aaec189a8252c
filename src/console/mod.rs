//! Admin API, health, metrics and the console.
