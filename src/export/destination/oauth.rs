//! Access tokens: asked for once, used until shortly before they end, withdrawn when a receiver refuses them.

use std::time::Duration;

use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::SendError;
use super::http::{Answer, exchange};
use crate::net::Secret;

/// A token is replaced this long before it expires: no request may outlive it.
const EXPIRY_MARGIN: Duration = Duration::from_mins(5);

/// Shortest time that a token is used, whatever its expiry says.
const LIFE_MIN: Duration = Duration::from_secs(10);

/// The token in use.
#[derive(Default)]
pub(super) struct TokenCache(Mutex<Option<(Secret, Instant)>>);

/// A token, and whether it was asked for just now.
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) is_fresh: bool,
}

#[derive(Deserialize)]
struct Reply {
    access_token: String,
    /// Seconds: a number, or text from some machines.
    expires_in: serde_json::Value,
}

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default)]
    error: serde_json::Value,
}

impl TokenCache {
    /// The token of this moment. `request` is the question for another one, made only when it is needed.
    ///
    /// # Errors
    /// [`SendError::Refused`] when the authority does not know us, else [`SendError::Later`].
    pub(super) async fn token(
        &self,
        request: impl Future<Output = Result<RequestBuilder, SendError>>,
    ) -> Result<Token, SendError> {
        let mut current = self.0.lock().await;
        if let Some((secret, until)) = &*current
            && *until > Instant::now()
        {
            return Ok(Token { secret: secret.clone(), is_fresh: false });
        }
        let reply = read(&exchange(request.await?).await?)?;
        let seconds = reply.expires_in.as_u64().or_else(|| reply.expires_in.as_str()?.parse().ok()).unwrap_or(0);
        let life = Duration::from_secs(seconds).saturating_sub(EXPIRY_MARGIN).max(LIFE_MIN);
        let secret = Secret::new(&reply.access_token);
        *current = Some((secret.clone(), Instant::now() + life));
        Ok(Token { secret, is_fresh: true })
    }

    /// What a receiver's 401 means: a token can be withdrawn before it expires, so another one is tried before giving up.
    pub(super) async fn refused(&self, token: &Token, answer: &Answer) -> SendError {
        *self.0.lock().await = None;
        let problem = answer.problem();
        if token.is_fresh { SendError::Refused(problem) } else { SendError::later(problem) }
    }
}

fn read(answer: &Answer) -> Result<Reply, SendError> {
    match answer.status.as_u16() {
        200 => {
            serde_json::from_slice(&answer.body).map_err(|_| SendError::later("the authority's answer holds no token"))
        }
        429 | 500.. => Err(answer.failure()),
        // The body repeats ids and may repeat more: only its code is told.
        status => {
            let failure: Failure = answer.json().unwrap_or_default();
            Err(SendError::Refused(format!("no token: HTTP {status} {}", failure.error.as_str().unwrap_or_default())))
        }
    }
}

/// A form that asks for a token.
///
/// # Errors
/// [`SendError::Later`]: never, as far as is known.
pub(super) fn form(client: &reqwest::Client, url: &Url, fields: &[(&str, &str)]) -> Result<RequestBuilder, SendError> {
    let mut body = Url::parse("http://form/").map_err(|error| SendError::later(error.to_string()))?;
    body.query_pairs_mut().extend_pairs(fields);
    let body = body.query().unwrap_or_default().to_owned();
    Ok(client.post(url.clone()).header("Content-Type", "application/x-www-form-urlencoded").body(body))
}
