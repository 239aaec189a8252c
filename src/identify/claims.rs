//! From the claims of a verified token to the parts of an identity.

use std::sync::Arc;

use serde::Deserialize;

use super::one_or_many;
use super::rejection::{Rejection, is_name};
use crate::model::json::{Kind, View};
use crate::model::{AgentIdentity, Claim, Delegation, Identity, Timestamp, Verification};

/// Longest delegation chain: AARM's examples have three steps, and each is repeated in every entry.
const DELEGATION_DEPTH_MAX: usize = 8;

/// Most scopes of one token.
const SCOPES_MAX: usize = 128;

/// Which claim says what. Each is a list of places, the first that is there wins; a place is a member's name, or a JSON
/// pointer (RFC 6901) when it starts with `/`. An empty list: no claim says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimNames {
    /// The person. A `sub` that is the client itself (client credentials, RFC 9068 §2.2) is no person.
    #[serde(deserialize_with = "one_or_many")]
    pub human: Vec<String>,
    /// The service.
    #[serde(deserialize_with = "one_or_many")]
    pub service: Vec<String>,
    /// The agent.
    #[serde(deserialize_with = "one_or_many")]
    pub agent: Vec<String>,
    /// The session the token was issued for.
    #[serde(deserialize_with = "one_or_many")]
    pub session: Vec<String>,
    /// What the token permits: one text with spaces, or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub scope: Vec<String>,
    /// The role; several roles become one text with spaces.
    #[serde(deserialize_with = "one_or_many")]
    pub role: Vec<String>,
    /// The actor claim (RFC 8693 §4.1).
    #[serde(deserialize_with = "one_or_many")]
    pub delegation: Vec<String>,
}

impl Default for ClaimNames {
    /// The registered names (RFC 7519, RFC 8693, RFC 9068, OpenID Connect) and the two common spellings of the scope.
    fn default() -> Self {
        let places = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            human: places(&["sub"]),
            service: places(&["client_id", "azp"]),
            agent: places(&["/act/sub", "client_id", "azp"]),
            session: places(&["session_id"]),
            scope: places(&["scope", "scp"]),
            role: places(&["role", "roles"]),
            delegation: places(&["act"]),
        }
    }
}

/// The times of a token, seconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub(super) issued_at: Option<Timestamp>,
    pub(super) expires: Timestamp,
}

impl ClaimNames {
    /// The identity that the claims of a verified token state.
    pub(super) fn identity(&self, claims: View<'_>, lifetime: Lifetime) -> Result<Identity, Rejection> {
        let service = claim(claims, &self.service)?;
        let client = claim(claims, &["client_id".into(), "azp".into()])?;
        // INVARIANT: a program is never taken for a person.
        let human = claim(claims, &self.human)?.filter(|human| Some(human) != client.as_ref());
        let agent = claim(claims, &self.agent)?;
        let scope = words(claims, &self.scope)?;
        let role = words(claims, &self.role)?.join(" ");
        let delegation = self.delegation(claims, &scope.join(" "), lifetime)?;
        if human.is_none() && service.is_none() && agent.is_none() {
            return Err(Rejection::NamesNobody);
        }
        Ok(Identity {
            human,
            service,
            agent: agent.map(|id| AgentIdentity { id, instance: None, version: None, listed: None }),
            session: claim(claims, &self.session)?,
            scope: scope.into_iter().map(Arc::from).collect(),
            role: (!role.is_empty()).then(|| signed(&role)),
            delegation,
            verification: Verification::Jwt,
            expires: Some(lifetime.expires),
            ..Identity::default()
        })
    }

    /// The chain from the subject to the current actor. RFC 8693 nests it the other way round: the outermost `act` is
    /// the current actor, the innermost the first who received the authority.
    fn delegation(&self, claims: View<'_>, scope: &str, lifetime: Lifetime) -> Result<Vec<Delegation>, Rejection> {
        let mut actors = Vec::new();
        let mut at = find(claims, &self.delegation).map(|(_, actor)| actor);
        while let Some(actor) = at {
            let subject = actor.get("sub").and_then(|subject| subject.as_str()).filter(|subject| is_name(subject));
            actors.push(subject.ok_or(Rejection::Delegation)?);
            if actors.len() > DELEGATION_DEPTH_MAX {
                return Err(Rejection::Delegation);
            }
            at = actor.get("act");
        }
        if actors.is_empty() {
            return Ok(Vec::new());
        }
        let subject = claims.get("sub").and_then(|subject| subject.as_str()).ok_or(Rejection::Delegation)?;
        let mut delegator: Arc<str> = subject.as_ref().into();
        let mut chain = Vec::with_capacity(actors.len());
        for (step, actor) in actors.iter().rev().enumerate() {
            let delegatee: Arc<str> = actor.as_ref().into();
            // The token states scope and times of its own step; earlier steps are known by name only.
            let last = step + 1 == actors.len();
            chain.push(Delegation {
                delegatee: Arc::clone(&delegatee),
                delegator,
                expires_at: last.then_some(lifetime.expires),
                issued_at: lifetime.issued_at.filter(|_| last),
                scope: if last { scope.into() } else { "".into() },
            });
            delegator = delegatee;
        }
        Ok(chain)
    }
}

/// The first place that is there, `null` counting as absent.
fn find<'a, 'n>(claims: View<'a>, places: &'n [String]) -> Option<(&'n str, View<'a>)> {
    places.iter().find_map(|place| {
        let value = if place.starts_with('/') { claims.pointer(place) } else { claims.get(place) };
        value.filter(|value| value.kind() != Kind::Null).map(|value| (place.as_str(), value))
    })
}

fn claim(claims: View<'_>, places: &[String]) -> Result<Option<Claim>, Rejection> {
    let Some((place, value)) = find(claims, places) else { return Ok(None) };
    match value.as_str() {
        Some(text) if is_name(&text) => Ok(Some(signed(&text))),
        _ => Err(Rejection::Claim(place.into())),
    }
}

/// The words of one text or of a list of texts.
fn words(claims: View<'_>, places: &[String]) -> Result<Vec<String>, Rejection> {
    let Some((place, value)) = find(claims, places) else { return Ok(Vec::new()) };
    let wrong = || Rejection::Claim(place.into());
    let texts = match value.kind() {
        Kind::Array => value.children().map(|text| text.as_str()).collect(),
        _ => value.as_str().map(|text| vec![text]),
    };
    let texts: Vec<_> = texts.ok_or_else(wrong)?;
    let words: Vec<String> = texts.iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect();
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    if words.len() > SCOPES_MAX || !words.iter().all(|word| is_name(word)) {
        return Err(wrong());
    }
    Ok(words)
}

fn signed(text: &str) -> Claim {
    Claim { value: text.into(), verification: Verification::Jwt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json::{Limits, scan};

    fn identity(names: &ClaimNames, claims: &str) -> Result<Identity, Rejection> {
        let (text, document) = scan(claims.as_bytes(), Limits::default()).unwrap();
        let (issued_at, expires) = (Some(Timestamp::from_secs(1)), Timestamp::from_secs(9));
        names.identity(document.root(text), Lifetime { issued_at, expires })
    }

    fn value(claim: Option<&Claim>) -> Option<&str> {
        claim.map(|claim| &*claim.value)
    }

    #[test]
    fn the_registered_claims_are_understood() {
        let claims = r#"{"sub":"alice","client_id":"desk","act":{"sub":"builder"},"scope":"read  write",
            "roles":["dev","ops"],"session_id":"s1"}"#;
        let identity = identity(&ClaimNames::default(), claims).unwrap();
        assert_eq!(value(identity.human.as_ref()), Some("alice"));
        assert_eq!(value(identity.service.as_ref()), Some("desk"));
        assert_eq!(value(identity.agent.as_ref().map(|agent| &agent.id)), Some("builder"));
        assert_eq!(value(identity.session.as_ref()), Some("s1"));
        assert_eq!(value(identity.role.as_ref()), Some("dev ops"));
        assert_eq!(identity.scope, [Arc::from("read"), Arc::from("write")]);
        assert!(identity.human.is_some_and(|human| human.verification == Verification::Jwt));
    }

    #[test]
    fn a_client_acting_for_itself_is_no_person() {
        let identity = identity(&ClaimNames::default(), r#"{"sub":"desk","client_id":"desk"}"#).unwrap();
        assert_eq!((value(identity.human.as_ref()), value(identity.service.as_ref())), (None, Some("desk")));
        assert_eq!(value(identity.agent.as_ref().map(|agent| &agent.id)), Some("desk"));
    }

    #[test]
    fn names_and_pointers_can_be_configured() {
        let names = "{agent: [/ext/agents/0, 'https://example.com/agent'], human: [], service: svc}";
        let names: ClaimNames = serde_saphyr::from_str(names).unwrap();
        let found = identity(&names, r#"{"sub":"x","svc":"desk","https://example.com/agent":"a"}"#).unwrap();
        assert_eq!(value(found.agent.as_ref().map(|agent| &agent.id)), Some("a"));
        assert_eq!((value(found.human.as_ref()), value(found.service.as_ref())), (None, Some("desk")));
        let found = identity(&names, r#"{"svc":"desk","ext":{"agents":["b"]}}"#).unwrap();
        assert_eq!(value(found.agent.as_ref().map(|agent| &agent.id)), Some("b"));
        assert!(serde_saphyr::from_str::<ClaimNames>("{person: sub}").is_err());
    }

    #[test]
    fn claims_that_are_not_short_texts_are_refused() {
        for (claims, refused) in [
            (r#"{"sub":7}"#, Rejection::Claim("sub".into())),
            (r#"{"sub":""}"#, Rejection::Claim("sub".into())),
            (r#"{"sub":"a\nb"}"#, Rejection::Claim("sub".into())),
            (r#"{"sub":"a","scope":[1]}"#, Rejection::Claim("scope".into())),
            (r#"{"sub":"a","role":{}}"#, Rejection::Claim("role".into())),
            (r#"{"sub":null}"#, Rejection::NamesNobody),
        ] {
            assert_eq!(identity(&ClaimNames::default(), claims), Err(refused), "{claims}");
        }
        let long = format!(r#"{{"sub":"{}"}}"#, "a".repeat(257));
        assert_eq!(identity(&ClaimNames::default(), &long), Err(Rejection::Claim("sub".into())));
    }

    #[test]
    fn a_delegation_chain_runs_from_the_subject_to_the_current_actor() {
        let claims = r#"{"sub":"alice","scope":"read","act":{"sub":"builder","act":{"sub":"planner"}}}"#;
        let identity = identity(&ClaimNames::default(), claims).unwrap();
        let steps: Vec<_> = identity.delegation.iter().map(|step| (&*step.delegator, &*step.delegatee)).collect();
        assert_eq!(steps, [("alice", "planner"), ("planner", "builder")]);
        let last = &identity.delegation[1];
        assert_eq!((&*last.scope, last.expires_at), ("read", Some(Timestamp::from_secs(9))));
        assert_eq!((&*identity.delegation[0].scope, identity.delegation[0].expires_at), ("", None));
    }

    #[test]
    fn a_chain_too_deep_or_unreadable_is_refused() {
        let nested = |depth: usize| {
            let act = (0..depth).fold(String::new(), |inner, step| {
                let act = if inner.is_empty() { String::new() } else { format!(r#","act":{inner}"#) };
                format!(r#"{{"sub":"a{step}"{act}}}"#)
            });
            format!(r#"{{"sub":"alice","act":{act}}}"#)
        };
        assert_eq!(identity(&ClaimNames::default(), &nested(8)).unwrap().delegation.len(), 8);
        assert_eq!(identity(&ClaimNames::default(), &nested(9)), Err(Rejection::Delegation));
        for claims in [r#"{"sub":"a","act":{"iss":"x"}}"#, r#"{"sub":"a","act":"b"}"#, r#"{"act":{"sub":"b"}}"#] {
            assert_eq!(identity(&ClaimNames::default(), claims), Err(Rejection::Delegation), "{claims}");
        }
    }
}
