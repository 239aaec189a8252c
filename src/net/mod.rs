//! What every stage that touches a network shares: time, random bytes, bodies, TLS, the HTTP client.
//!
//! No domain words here: this module knows nothing of actions, policies or receipts.

mod body;
mod clock;
mod random;

pub use body::{Body, BodyError, collect, empty, full};
pub use clock::SystemClock;
pub use random::{RandomError, random_bytes};
