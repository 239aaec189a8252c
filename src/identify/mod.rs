//! Credentials to identity: who acts, on whose behalf, and how we know (AARM R6).
//!
//! Total: whatever is shown, the answer is an [`Identity`]; one that could not be verified says so and why, and the
//! policy decides. Must never invent a person, never pass a credential on, never log one.

use std::future::Future;
use std::pin::Pin;

use crate::model::{Credentials, Identity, Peer};

/// Tells who a caller is.
///
/// On return the identity is complete and will not change during the action. May be called at once from many tasks.
/// Retries are the implementation's own affair. There are no errors: what cannot be verified is an identity with
/// `verification: None` and a `problem`.
pub trait Authenticator: Send + Sync {
    /// Verifies `credentials`.
    fn identify<'a>(
        &'a self,
        credentials: &'a Credentials,
        peer: &'a Peer,
    ) -> Pin<Box<dyn Future<Output = Identity> + Send + 'a>>;
}
