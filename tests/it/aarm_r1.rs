//! AARM v1.0 R1, pre-execution interception.
