//! Configuration: load, plan, build.
