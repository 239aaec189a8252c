//! Session tokens: what the user wants, signed by this instance for one caller.
//!
//! `cst1.<claims>.<signature>`, both base64url without padding: the claims as JSON, and HMAC-SHA-256 over `cst1.<claims>`
//! with a key that never leaves this instance. Whoever holds a token can only use it as the caller it names, so it is no
//! credential: stolen, it opens nothing.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::context::Secrets;
use crate::model::{Identity, SessionId, SessionToken, Timestamp};
use crate::net::random_bytes;

/// What every token begins with.
pub(in crate::context) const TOKEN_PREFIX: &str = "cst1.";

/// What the key is for.
const PURPOSE: &str = "countersign/session-token/v1";

/// Longest token, bytes: headers are bounded too.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Longest intent in a token, bytes: with base64 it fits a header.
const INTENT_BYTES_MAX: usize = 8 << 10;

/// Longest life of a token, seconds: a working day.
const LIFE_S_MAX: u64 = 86_400;

/// Why a token is not made, or does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It expired.
    #[error("the session token has expired")]
    Expired,
    /// It is for somebody else.
    #[error("the session token names another caller")]
    OtherCaller,
    /// It was not signed here, or was changed.
    #[error("the session token was not signed by this instance, or was changed")]
    Signature,
    /// It is no token.
    #[error("the session token cannot be read")]
    Syntax,
    /// The request for a token cannot be met.
    #[error("a session token needs {0}")]
    Request(&'static str),
}

/// Whom a token is for, and what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grant {
    /// The person on whose behalf the agent will act.
    pub human: Option<String>,
    /// The service the agent runs in.
    pub service: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// What the user wants, in the user's words.
    pub intent: Option<String>,
    /// The class of what the user wants (`meeting_prep`), by which policies set boundaries.
    pub intent_class: Option<String>,
    /// Seconds until it expires; 3,600 when missing, at most a day.
    pub expires_in_s: Option<u64>,
    /// The session that this is one more turn of; a new one when missing.
    pub session_id: Option<SessionId>,
}

/// Signs and verifies session tokens.
#[derive(Debug)]
pub struct SessionTokens {
    key: hmac::Key,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    exp_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    human: Option<String>,
    iat_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    sid: SessionId,
}

impl SessionTokens {
    /// Tokens of the instance whose secret this is.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secrets.derive(PURPOSE)) }
    }

    /// Signs a token; returns it with its session.
    ///
    /// # Errors
    /// [`TokenError::Request`]: it names nobody, says too much, or lives too long.
    pub fn mint(&self, grant: Grant, now: Timestamp) -> Result<(String, SessionId), TokenError> {
        let life_s = grant.expires_in_s.unwrap_or(3_600);
        if grant.human.is_none() && grant.service.is_none() && grant.agent.is_none() {
            return Err(TokenError::Request("a caller: `human`, `service` or `agent`"));
        }
        if life_s == 0 || life_s > LIFE_S_MAX {
            return Err(TokenError::Request("`expires_in_s` from 1 to 86400"));
        }
        if grant.intent.as_ref().is_some_and(|intent| intent.len() > INTENT_BYTES_MAX) {
            return Err(TokenError::Request("an `intent` of at most 8192 bytes"));
        }
        let sid = match grant.session_id {
            Some(session) => session,
            None => SessionId::mint(now, random_bytes().map_err(|_| TokenError::Request("random bytes"))?),
        };
        let claims = Claims {
            agent: grant.agent,
            exp_us: now.as_micros().saturating_add(life_s.saturating_mul(1_000_000)),
            human: grant.human,
            iat_us: now.as_micros(),
            intent: grant.intent,
            intent_class: grant.intent_class,
            service: grant.service,
            sid: sid.clone(),
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| TokenError::Syntax)?;
        let signed = format!("{TOKEN_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        Ok((format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref())), sid))
    }

    /// Verifies a token that `identity` showed.
    ///
    /// # Errors
    /// [`TokenError`]: it does not count.
    pub fn verify(&self, token: &str, identity: &Identity, now: Timestamp) -> Result<SessionToken, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Syntax);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Syntax)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Syntax)?;
        // Compares in constant time, and before anything of the token is read.
        hmac::verify(&self.key, signed.as_bytes(), &signature).map_err(|_| TokenError::Signature)?;
        let claims = signed.strip_prefix(TOKEN_PREFIX).ok_or(TokenError::Syntax)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenError::Syntax)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| TokenError::Syntax)?;
        if now.as_micros() >= claims.exp_us {
            return Err(TokenError::Expired);
        }
        let is = |claimed: &Option<String>, known: Option<&Arc<str>>| {
            claimed.as_deref().is_none_or(|claimed| known.is_some_and(|known| **known == *claimed))
        };
        let fits = is(&claims.human, identity.human.as_ref().map(|claim| &claim.value))
            && is(&claims.service, identity.service.as_ref().map(|claim| &claim.value))
            && is(&claims.agent, identity.agent.as_ref().map(|agent| &agent.id.value));
        if !fits {
            return Err(TokenError::OtherCaller);
        }
        Ok(SessionToken {
            session: claims.sid,
            intent: claims.intent.map(Arc::from),
            class: claims.intent_class.map(Arc::from),
            issued_us: claims.iat_us,
        })
    }
}
