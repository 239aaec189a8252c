//! Id tokens of people who log in (OpenID Connect Core 1.0, §3.1.3.7): the same checks as for tokens of agents, and the
//! nonce. What comes back are claims; what they stand for is for the caller to say.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::IdentifyError;
use super::jwt::{Issuer, JwtIssuer};
use super::rejection::Rejection;
use super::token::{Token, text};
use crate::model::{Clock, Timestamp};

/// Verifies the id tokens of one issuer.
#[derive(Debug)]
pub struct IdTokenVerifier(Issuer);

impl IdTokenVerifier {
    /// A verifier for tokens of `issuer`, whose audience is the client's id.
    ///
    /// # Errors
    /// [`IdentifyError`]: a value that cannot be used.
    pub fn new(issuer: &JwtIssuer, clock: &Arc<dyn Clock>) -> Result<Self, IdentifyError> {
        Issuer::new(issuer, clock).map(Self)
    }

    /// The claims of a token that was asked for with `nonce`.
    ///
    /// # Errors
    /// A sentence for the operator: why the token does not count.
    pub async fn verify(&self, token: &str, nonce: &str, now: Timestamp) -> Result<Map<String, Value>, String> {
        self.check(token, nonce, now).await.map_err(|rejection| rejection.to_string())
    }

    async fn check(&self, token: &str, nonce: &str, now: Timestamp) -> Result<Map<String, Value>, Rejection> {
        let token = Token::read(token)?;
        let claims = token.claims();
        self.0.verify(&token, now).await?;
        if text(claims, "nonce")?.as_deref() != Some(nonce) {
            return Err(Rejection::Claim("nonce".into()));
        }
        // For several audiences `azp` says whom it was issued to.
        if let Some(party) = text(claims, "azp")?
            && !self.0.is_for(&party)
        {
            return Err(Rejection::Audience);
        }
        serde_json::from_str(claims.text()).map_err(|_| Rejection::Malformed("the claims are not a JSON object"))
    }
}
