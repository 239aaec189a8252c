//! Which session a call belongs to: the strongest key it offers.

use aws_lc_rs::hmac;
use serde_json::Value;

use super::intent::TOKEN_PREFIX;
use crate::model::{Call, Correlation, Digest, Identity, Peer, SessionCredential, Transport, Verification};

/// What a session is found by: never a credential itself, and always bound to who calls, so that naming somebody
/// else's session leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey(pub(super) Digest);

impl SessionKey {
    /// The key of a call, and how strong it is. Keyed, so that it can stand in the log and tell nobody anything.
    pub(super) fn of(call: &Call, identity: &Identity, keys: &hmac::Key) -> (Correlation, Self) {
        let (correlation, name) = correlate(call, identity);
        let mut context = hmac::Context::with_key(keys);
        context.update(&caller(call, identity).0);
        context.update(name.as_bytes());
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        (correlation, Self(Digest(key)))
    }
}

/// The correlation ladder (design §6), strongest first.
fn correlate(call: &Call, identity: &Identity) -> (Correlation, String) {
    if let Some(token) = call.credentials.session.verified() {
        return (Correlation::SignedToken, format!("minted\0{}", token.session));
    }
    if let Some(session) = identity.session.as_ref().filter(|claim| claim.verification == Verification::Jwt) {
        return (Correlation::SignedToken, format!("token\0{}", session.value));
    }
    if call.client.transport == Transport::McpStdio {
        // Another process is another pair of pipes, and another session.
        let process = match &call.client.peer {
            Peer::Process(id) => id.to_string(),
            Peer::Address(address) => address.to_string(),
        };
        return (Correlation::Transport, format!("stdio\0{process}"));
    }
    if let Some(session) = &call.client.protocol_session {
        return (Correlation::ProtocolSession, format!("protocol\0{session}"));
    }
    if let Some(session) = asserted_session(call) {
        return (Correlation::ClientAsserted, format!("asserted\0{session}"));
    }
    (Correlation::IdentityAndGap, "gap".into())
}

/// A session the client names in `_meta`. Anyone may name anything, which is why the key is bound to the caller too.
fn asserted_session(call: &Call) -> Option<String> {
    let meta: Value = serde_json::from_slice(call.client.meta.as_ref()?).ok()?;
    let name = ["countersign/session", "session.id", "sessionId"].iter().find_map(|name| meta.get(name)?.as_str())?;
    (!name.is_empty() && name.len() <= 256 && !name.starts_with(TOKEN_PREFIX)).then(|| name.to_owned())
}

/// The session token of a call: from its header, or from `_meta` where a transport has no headers.
pub(super) fn shown_token(call: &Call) -> Option<std::borrow::Cow<'_, str>> {
    if let SessionCredential::Shown(token) = &call.credentials.session {
        return Some(std::borrow::Cow::Borrowed(token));
    }
    let meta = call.client.meta.as_ref()?;
    let mentioned = meta.windows(TOKEN_PREFIX.len()).any(|window| window == TOKEN_PREFIX.as_bytes());
    let meta: Value = if mentioned { serde_json::from_slice(meta).ok()? } else { return None };
    let token = meta.get("countersign/session")?.as_str().filter(|token| token.starts_with(TOKEN_PREFIX))?;
    Some(std::borrow::Cow::Owned(token.to_owned()))
}

/// Who calls, as far as the identity tells. Two identities never share a session.
#[must_use]
pub fn caller(call: &Call, identity: &Identity) -> Digest {
    let claim = |claim: &Option<crate::model::Claim>| claim.as_ref().map(|claim| claim.value.to_string());
    let agent = identity.agent.as_ref().map(|agent| agent.id.value.to_string());
    let nobody = (!identity.verification.is_verified()).then(|| match call.client.peer {
        Peer::Address(address) => address.ip().to_string(),
        Peer::Process(id) => id.to_string(),
    });
    let parts = [claim(&identity.human), claim(&identity.service), agent, nobody];
    let text: Vec<String> = parts.into_iter().map(Option::unwrap_or_default).collect();
    Digest::of_parts(&[b"countersign/caller/v1\0", text.join("\0").as_bytes()])
}
