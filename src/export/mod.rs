//! Events to destinations.
