//! Session tokens: for whom and how long they count.

use super::*;
use crate::context::Secrets;
use crate::model::{AgentIdentity, Claim, Identity, Timestamp, Verification};

fn identity(human: &str, agent: &str) -> Identity {
    let claim = |value: &str| Claim { value: value.into(), verification: Verification::ApiKey };
    Identity {
        human: Some(claim(human)),
        agent: Some(AgentIdentity { id: claim(agent), instance: None, version: None, listed: None }),
        ..Identity::default()
    }
}

fn tokens() -> SessionTokens {
    SessionTokens::new(&Secrets::new(&[7; 32]))
}

fn grant(intent: &str) -> Grant {
    Grant { human: Some("ann".into()), agent: Some("bot".into()), intent: Some(intent.into()), ..Grant::default() }
}

#[test]
fn a_token_counts_for_the_caller_it_names_until_it_expires() {
    let now = Timestamp::from_secs(1_000);
    let (token, session) = tokens().mint(grant("pay the rent"), now).unwrap();
    let verified = tokens().verify(&token, &identity("ann", "bot"), now).unwrap();
    assert_eq!((verified.session, verified.intent.as_deref()), (session, Some("pay the rent")));
    assert_eq!(tokens().verify(&token, &identity("eve", "bot"), now), Err(TokenError::OtherCaller));
    assert_eq!(tokens().verify(&token, &Identity::default(), now), Err(TokenError::OtherCaller));
    let late = Timestamp::from_secs(1_000 + 3_600);
    assert_eq!(tokens().verify(&token, &identity("ann", "bot"), late), Err(TokenError::Expired));
}

#[test]
fn a_token_that_was_changed_or_signed_elsewhere_does_not_count() {
    let now = Timestamp::from_secs(1_000);
    let (token, _) = tokens().mint(grant("pay the rent"), now).unwrap();
    let other = SessionTokens::new(&Secrets::new(&[8; 32]));
    assert_eq!(other.verify(&token, &identity("ann", "bot"), now), Err(TokenError::Signature));
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(tokens().verify(&changed, &identity("ann", "bot"), now).is_err(), "byte {at}");
    }
    assert!(tokens().verify("", &identity("ann", "bot"), now).is_err());
}

#[test]
fn a_token_for_nobody_or_for_ever_is_not_made() {
    let now = Timestamp::from_secs(1_000);
    assert!(tokens().mint(Grant { intent: Some("x".into()), ..Grant::default() }, now).is_err());
    assert!(tokens().mint(Grant { expires_in_s: Some(86_401), ..grant("x") }, now).is_err());
    assert!(tokens().mint(Grant { expires_in_s: Some(0), ..grant("x") }, now).is_err());
    assert!(tokens().mint(grant(&"x".repeat(8_193)), now).is_err());
}
