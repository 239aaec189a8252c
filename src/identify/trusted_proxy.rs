//! What a proxy that the configuration trusts says about its client (AARM's gateway page, resolution G-10).
//!
//! From anybody else these headers are not looked at. They fill what a credential leaves open and never replace what it
//! proves.

use std::sync::Arc;

use super::rejection::{Rejection, is_name};
use crate::model::{AgentIdentity, Claim, Delegation, Identity, Peer, ProxyHeaders, Timestamp, Verification};
use crate::net::AddressRange;

/// Longest delegation chain, as for tokens.
const DELEGATION_DEPTH_MAX: usize = 8;

/// Whether the headers of this peer are believed.
pub(super) fn is_trusted(proxies: &[AddressRange], peer: &Peer) -> bool {
    match peer {
        Peer::Address(address) => proxies.iter().any(|range| range.contains(address.ip())),
        Peer::Process(_) => false,
    }
}

/// Whether the headers name anybody.
pub(super) fn names_somebody(headers: &ProxyHeaders) -> bool {
    headers.human.is_some() || headers.service.is_some() || headers.agent.is_some()
}

/// An identity that rests on the headers alone.
pub(super) fn identity(headers: &ProxyHeaders, now: Timestamp) -> Result<Identity, Rejection> {
    let mut identity =
        Identity { verification: Verification::TrustedProxy, verified_at: Some(now), ..Identity::default() };
    complete(&mut identity, headers)?;
    Ok(identity)
}

/// Fills the parts that are still open.
pub(super) fn complete(identity: &mut Identity, headers: &ProxyHeaders) -> Result<(), Rejection> {
    if headers.ambiguous {
        return Err(Rejection::ProxyHeaders("one of them stands more than once"));
    }
    fill(&mut identity.human, headers.human.as_ref())?;
    fill(&mut identity.service, headers.service.as_ref())?;
    fill(&mut identity.session, headers.session.as_ref())?;
    fill(&mut identity.role, headers.role.as_ref())?;
    if identity.agent.is_none()
        && let Some(id) = claim(headers.agent.as_ref())?
    {
        identity.agent = Some(AgentIdentity { id, instance: None, version: None, listed: None });
    }
    if identity.delegation.is_empty()
        && let Some(chain) = &headers.delegation
    {
        identity.delegation = delegation(chain)?;
    }
    Ok(())
}

fn fill(part: &mut Option<Claim>, value: Option<&Arc<str>>) -> Result<(), Rejection> {
    if part.is_none() {
        *part = claim(value)?;
    }
    Ok(())
}

fn claim(value: Option<&Arc<str>>) -> Result<Option<Claim>, Rejection> {
    match value {
        Some(value) if is_name(value) => {
            Ok(Some(Claim { value: Arc::clone(value), verification: Verification::TrustedProxy }))
        }
        Some(_) => Err(Rejection::ProxyHeaders("not a name")),
        None => Ok(None),
    }
}

/// Reads `a->b->c`: `a` gave to `b`, who gave to `c`.
fn delegation(chain: &str) -> Result<Vec<Delegation>, Rejection> {
    let names: Vec<&str> = chain.split("->").map(str::trim).collect();
    let steps = names.len().saturating_sub(1);
    if !(1..=DELEGATION_DEPTH_MAX).contains(&steps) || !names.iter().all(|name| is_name(name)) {
        return Err(Rejection::Delegation);
    }
    let step = |(delegator, delegatee): (&&str, &&str)| Delegation {
        delegatee: Arc::from(*delegatee),
        delegator: Arc::from(*delegator),
        expires_at: None,
        issued_at: None,
        scope: "".into(),
    };
    Ok(names.iter().zip(names.iter().skip(1)).map(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_from_the_first_to_the_last() {
        let steps = delegation("alice->planner -> builder").unwrap();
        let steps: Vec<_> = steps.iter().map(|step| (&*step.delegator, &*step.delegatee)).collect();
        assert_eq!(steps, [("alice", "planner"), ("planner", "builder")]);
        for chain in ["", "alice", "alice->", "->b", "a->->b", "a->b->c->d->e->f->g->h->i->j"] {
            assert_eq!(delegation(chain), Err(Rejection::Delegation), "{chain}");
        }
    }

    #[test]
    fn headers_fill_and_never_replace() {
        let proven = Claim { value: "alice".into(), verification: Verification::Jwt };
        let mut identity = Identity { human: Some(proven.clone()), ..Identity::default() };
        let headers = ProxyHeaders {
            human: Some("mallory".into()),
            agent: Some("builder".into()),
            role: Some("dev".into()),
            ..ProxyHeaders::default()
        };
        complete(&mut identity, &headers).unwrap();
        assert_eq!(identity.human, Some(proven));
        assert_eq!(identity.agent.map(|agent| agent.id.verification), Some(Verification::TrustedProxy));
        let twice = ProxyHeaders { ambiguous: true, ..headers };
        assert!(matches!(complete(&mut Identity::default(), &twice), Err(Rejection::ProxyHeaders(_))));
    }
}
