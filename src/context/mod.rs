//! What is known about a session.
