//! Where keys come from, and what happens when that place fails.

use jsonwebtoken::Algorithm;

use super::issuer::{KeyServer, Step, TestKey, claims_with, key_set};
use super::{House, NOW_S};
use crate::net::scratch::Scratch;

const UNAVAILABLE: &str = "the keys of `https://issuer.example` are not available";

/// A token that outlives every clock change of these tests; `number` makes it one the cache has not seen.
fn token(key: &TestKey, number: u64) -> String {
    key.sign(&claims_with(&serde_json::json!({"exp": NOW_S + 100_000, "jti": number.to_string()})))
}

fn house(scratch: Scratch, source: &str) -> House {
    let config = format!(
        "jwt: [{{issuer: 'https://issuer.example', audience: 'https://proxy.example', algorithms: [EdDSA], {source}}}]"
    );
    House::with(scratch, &config, None)
}

fn file_house(keys: &[&TestKey]) -> House {
    let scratch = Scratch::new();
    let path = scratch.write_at("keys.json", key_set(keys), 1);
    house(scratch, &format!("jwks_file: '{}', jwks_stale_s_max: 600", path.display()))
}

fn unknown(id: &str) -> String {
    format!("the issuer has no key `{id}` for this algorithm")
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let (old, new) = (TestKey::new("old", Algorithm::EdDSA), TestKey::new("new", Algorithm::EdDSA));
    let house = file_house(&[&old]);
    assert_eq!(house.problem(&token(&new, 1)).await, unknown("new"));
    house.scratch.write_at("keys.json", key_set(&[&new]), 2);
    // Looked at just before: not again within five seconds.
    assert_eq!(house.problem(&token(&new, 1)).await, unknown("new"));
    house.advance_s(5);
    assert_eq!(house.bearer(&token(&new, 1)).await.problem, None);
    assert_eq!(house.problem(&token(&old, 2)).await, unknown("old"));
}

#[tokio::test]
async fn a_withdrawn_key_stops_counting_once_the_file_was_looked_at() {
    let (old, new) = (TestKey::new("old", Algorithm::EdDSA), TestKey::new("new", Algorithm::EdDSA));
    let house = file_house(&[&old, &new]);
    house.scratch.write_at("keys.json", key_set(&[&new]), 2);
    house.advance_s(5);
    // A held key never waits; the look at the file goes on beside it.
    assert_eq!(house.bearer(&token(&old, 1)).await.problem, None);
    house.authenticator.settled().await;
    assert_eq!(house.problem(&token(&old, 2)).await, unknown("old"));
    assert_eq!(house.bearer(&token(&old, 1)).await.problem, None, "verified before: cached");
    house.advance_s(60);
    assert_eq!(house.problem(&token(&old, 1)).await, unknown("old"));
}

#[tokio::test]
async fn a_bad_file_leaves_the_old_keys_until_they_are_too_old() {
    let key = TestKey::new("k", Algorithm::EdDSA);
    let house = file_house(&[&key]);
    house.scratch.write_at("keys.json", "{\"keys\": [", 2);
    house.advance_s(599);
    assert_eq!(house.bearer(&token(&key, 1)).await.problem, None);
    house.authenticator.settled().await;
    house.advance_s(5);
    assert_eq!(house.problem(&token(&key, 2)).await, UNAVAILABLE);
    house.scratch.write_at("keys.json", key_set(&[&key]), 3);
    house.advance_s(5);
    assert_eq!(house.bearer(&token(&key, 2)).await.problem, None);
}

#[tokio::test]
async fn an_address_is_asked_once_and_again_when_the_set_ages() {
    let key = TestKey::new("k", Algorithm::EdDSA);
    let server = KeyServer::start().await;
    let house = house(Scratch::new(), &format!("jwks_url: '{}', jwks_refresh_s: 300", server.url));
    assert_eq!(server.requests(), 0, "nobody is asked before a token comes");
    server.then(Step::Answer(200, key_set(&[&key])));
    assert_eq!(house.bearer(&token(&key, 1)).await.problem, None);
    house.advance_s(299);
    assert_eq!(house.bearer(&token(&key, 2)).await.problem, None);
    house.authenticator.settled().await;
    assert_eq!(server.requests(), 1);
    house.advance_s(1);
    server.then(Step::Answer(200, key_set(&[&key])));
    assert_eq!(house.bearer(&token(&key, 3)).await.problem, None);
    house.authenticator.settled().await;
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn made_up_key_ids_do_not_become_requests() {
    let (old, new) = (TestKey::new("old", Algorithm::EdDSA), TestKey::new("new", Algorithm::EdDSA));
    let server = KeyServer::start().await;
    let house = house(Scratch::new(), &format!("jwks_url: '{}'", server.url));
    server.then(Step::Answer(200, key_set(&[&old])));
    assert_eq!(house.bearer(&token(&old, 1)).await.problem, None);
    for number in 0..20 {
        let made_up = TestKey { id: format!("k{number}"), ..TestKey::new("", Algorithm::EdDSA) };
        assert_eq!(house.problem(&token(&made_up, 1)).await, unknown(&made_up.id));
    }
    assert_eq!(server.requests(), 1);
    house.advance_s(5);
    server.then(Step::Answer(200, key_set(&[&old, &new])));
    let (rotated, same_moment) = tokio::join!(house.problem_of(&new, 2), house.problem_of(&new, 3));
    assert_eq!((rotated, same_moment), (None, None));
    assert_eq!(server.requests(), 2, "one refresh for all who wait");
}

#[tokio::test]
async fn every_fault_of_the_server_fails_closed() {
    let key = TestKey::new("k", Algorithm::EdDSA);
    let server = KeyServer::start().await;
    let good = key_set(&[&key]);
    let source = format!("jwks_url: '{}', http: {{timeout_ms: 150}}", server.url);
    let house = house(Scratch::new(), &source);
    for fault in [
        Step::Answer(500, good.clone()),
        Step::Answer(204, String::new()),
        Step::Answer(200, "<html>".into()),
        Step::Answer(200, r#"{"keys":[]}"#.into()),
        Step::Answer(200, r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"k"}]}"#.into()),
        Step::Answer(200, format!("{}{good}", " ".repeat(128 << 10))),
        Step::Redirect(server.url.clone()),
        Step::Disconnect,
        Step::Hang,
    ] {
        server.then(fault.clone());
        assert_eq!(house.problem(&token(&key, 1)).await, UNAVAILABLE, "{fault:?}");
        house.advance_s(5);
    }
    assert_eq!(server.requests(), 9, "a redirect is not followed");
    server.then(Step::Answer(200, good));
    assert_eq!(house.bearer(&token(&key, 1)).await.problem, None);
}

#[tokio::test]
async fn keys_survive_an_outage_for_the_allowed_time() {
    let key = TestKey::new("k", Algorithm::EdDSA);
    let server = KeyServer::start().await;
    let limits = "jwks_refresh_s: 300, jwks_stale_s_max: 900";
    let house = house(Scratch::new(), &format!("jwks_url: '{}', {limits}", server.url));
    server.then(Step::Answer(200, key_set(&[&key])));
    assert_eq!(house.bearer(&token(&key, 1)).await.problem, None);
    for number in 2..4 {
        house.advance_s(300);
        server.then(Step::Disconnect);
        assert_eq!(house.bearer(&token(&key, number)).await.problem, None);
        house.authenticator.settled().await;
    }
    house.advance_s(300);
    server.then(Step::Disconnect);
    assert_eq!(house.problem(&token(&key, 4)).await, UNAVAILABLE);
    assert_eq!(server.requests(), 4);
}

impl House {
    async fn problem_of(&self, key: &TestKey, number: u64) -> Option<std::sync::Arc<str>> {
        self.bearer(&token(key, number)).await.problem
    }
}
