//! What every stage that touches a network shares: time, random bytes, bodies, TLS, the HTTP client, secrets.
//!
//! No domain words here: this module knows nothing of actions, policies or receipts.

mod address_range;
mod backoff;
mod body;
mod clock;
mod http_client;
mod lines;
mod random;
#[cfg(test)]
pub(crate) mod scratch;
mod secret;
mod sse;
mod streamed;
mod tls;
mod tls_reload;
#[cfg(test)]
mod tls_tests;

pub use address_range::AddressRange;
pub use backoff::Backoff;
pub use body::{Body, BodyError, collect, empty, full};
pub use clock::SystemClock;
pub use http_client::{BodyReadError, HttpClient, HttpClientError, HttpProxy, USER_AGENT, read_body};
pub use lines::{Line, Lines};
pub use random::{RandomError, random_bytes};
pub use secret::{Secret, SecretError, SecretSource};
pub use sse::{Event, EventTooLarge, Events};
pub use streamed::Streamed;
pub use tls::{ClientCertificate, ClientTls, ServerTls, TlsError, crypto_provider};
