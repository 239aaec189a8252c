//! What counts, for how long, and what is said about those who cannot be verified.

use std::sync::Arc;

use super::super::mint;
use super::{House, Identity, agents_of, bearer, config_of, name, peer};
use crate::identify::{Authenticator as _, IdentifyError};
use crate::model::{Credentials, Digest, Peer, ProxyHeaders, Timestamp, Verification};

fn key_config(hash: Digest, more: &str) -> String {
    format!("api_keys: [{{name: ci, hash: '{hash}', human: alice, agent: builder}}]\n{more}")
}

fn is_nobody(identity: &Identity, problem: &str) {
    assert_eq!(identity.problem.as_deref(), Some(problem));
    assert_eq!(identity.verification, Verification::None);
    assert_eq!((&identity.human, &identity.service, &identity.agent), (&None, &None, &None));
}

#[tokio::test]
async fn a_key_is_shown_as_a_bearer_credential() {
    let (secret, hash) = mint().unwrap();
    let house = House::new(&key_config(hash, ""));
    for scheme in ["Bearer", "bearer", "BEARER "] {
        let authorization = Some(format!("{scheme} {}", secret.expose()).into());
        let identity = house.identify(&Credentials { authorization, ..Credentials::default() }).await;
        assert_eq!(identity.verification, Verification::ApiKey, "{scheme}");
        assert_eq!((name(identity.human.as_ref()), identity.credential), (Some("alice"), Some(hash)));
    }
    is_nobody(&house.bearer(mint().unwrap().0.expose()).await, "unknown API key");
    is_nobody(
        &house.bearer(secret.expose().strip_prefix("csk_").unwrap()).await,
        "neither an API key nor a signed token",
    );
    is_nobody(&house.bearer(&"x".repeat(16_385)).await, "the credential is longer than 16384 bytes");
    let basic = Credentials { authorization: Some("Basic YTpi".into()), ..Credentials::default() };
    is_nobody(&house.identify(&basic).await, "the `Authorization` scheme is not Bearer");
    is_nobody(&house.identify(&Credentials::default()).await, "no credential was shown");
    let twice = Credentials { ambiguous: true, ..bearer(secret.expose()) };
    is_nobody(&house.identify(&twice).await, "more than one `Authorization` header");
}

#[tokio::test]
async fn only_what_cannot_be_guessed_leaves_its_digest() {
    let house = House::new(&key_config(Digest::of(b"x"), ""));
    let unknown = mint().unwrap();
    assert_eq!(house.bearer(unknown.0.expose()).await.credential, Some(unknown.1));
    assert_eq!(house.bearer("hunter2").await.credential, None);
}

#[tokio::test]
async fn a_key_ends_at_its_time_even_if_it_was_just_verified() {
    let (secret, hash) = mint().unwrap();
    let config = format!("api_keys: [{{name: ci, hash: '{hash}', human: a, expires: '2027-01-15T08:00:20Z'}}]");
    let house = House::new(&config);
    assert_eq!(house.bearer(secret.expose()).await.problem, None);
    house.advance_s(19);
    assert_eq!(house.bearer(secret.expose()).await.problem, None);
    house.advance_s(1);
    is_nobody(&house.bearer(secret.expose()).await, "expired at 2027-01-15T08:00:20.000000Z");
}

#[tokio::test]
async fn a_verified_credential_is_verified_again_after_its_age() {
    let (secret, hash) = mint().unwrap();
    let house = House::new(&key_config(hash, "cache_s: 10"));
    let verified_at = async |house: &House| house.bearer(secret.expose()).await.verified_at.unwrap().as_secs();
    let first = verified_at(&house).await;
    house.advance_s(9);
    assert_eq!(verified_at(&house).await, first);
    house.advance_s(1);
    assert_eq!(verified_at(&house).await, first + 10);
    house.advance_s(1);
    house.authenticator.forget();
    assert_eq!(verified_at(&house).await, first + 11);
}

#[tokio::test]
async fn a_reload_takes_a_key_away_at_once_and_a_bad_one_changes_nothing() {
    let (secret, hash) = mint().unwrap();
    let house = House::new(&key_config(hash, ""));
    assert_eq!(house.bearer(secret.expose()).await.problem, None);
    let twice = format!("api_keys: [{{name: a, hash: '{hash}', human: h}}, {{name: a, hash: '{hash}', human: h}}]");
    let refused = house.authenticator.reload(&config_of(&twice), None);
    assert!(matches!(refused, Err(IdentifyError::Duplicate(..))));
    assert_eq!(house.bearer(secret.expose()).await.problem, None);
    let revoked = format!("revoked_credentials: ['{hash}']\nunverified: flag");
    house.authenticator.reload(&config_of(&key_config(hash, &revoked)), None).unwrap();
    let identity = house.bearer(secret.expose()).await;
    is_nobody(&identity, "revoked");
    assert!(!identity.flagged, "what was revoked is never flagged through");
    house.authenticator.reload(&config_of(&key_config(Digest::of(b"other"), "")), None).unwrap();
    is_nobody(&house.bearer(secret.expose()).await, "unknown API key");
}

#[tokio::test]
async fn nobody_is_flagged_only_where_the_configuration_says_so() {
    let hash = Digest::of(b"x");
    let flagged = async |config: &str, address: &str| {
        let identity = House::new(config).authenticator.identify(&bearer("nothing"), &peer(address)).await;
        assert_eq!(identity.verification, Verification::None);
        identity.flagged
    };
    assert!(flagged("{}", "127.0.0.1").await && flagged("{}", "::1").await && flagged("{}", "::ffff:127.0.0.1").await);
    assert!(!flagged("{}", "192.0.2.1").await);
    assert!(!flagged("unverified: deny", "127.0.0.1").await);
    assert!(!flagged(&key_config(hash, ""), "127.0.0.1").await);
    assert!(flagged(&key_config(hash, "unverified: flag"), "192.0.2.1").await);
    is_nobody(&House::new("{}").identify(&Credentials::default()).await, "no credentials configured");
    assert!(!config_of("{}").authenticates() && config_of(&key_config(hash, "")).authenticates());
}

#[tokio::test]
async fn the_inventory_completes_and_confines() {
    let (secret, hash) = mint().unwrap();
    let agents = "[{id: builder, owner: olga, team: ci, tenant: acme, servers: [git]}]";
    let house = House::with(crate::net::scratch::Scratch::new(), &key_config(hash, ""), Some(agents));
    let identity = house.bearer(secret.expose()).await;
    assert_eq!(identity.agent.as_ref().and_then(|agent| agent.listed), Some(true));
    assert_eq!((identity.owner.as_deref(), identity.tenant.as_deref()), (Some("olga"), Some("acme")));
    assert_eq!(identity.servers.as_deref(), Some(&[Arc::from("git")][..]));
    assert_eq!(house.identify(&Credentials::default()).await.servers.as_deref(), Some(&[][..]));
    let other = agents_of("[{id: other, owner: olga}]");
    house.authenticator.reload(&config_of(&key_config(hash, "")), Some(&other)).unwrap();
    let identity = house.bearer(secret.expose()).await;
    assert_eq!(identity.agent.as_ref().and_then(|agent| agent.listed), Some(false));
    house.authenticator.reload(&config_of(&key_config(hash, "")), None).unwrap();
    let identity = house.bearer(secret.expose()).await;
    assert_eq!((identity.agent.and_then(|agent| agent.listed), identity.servers), (None, None));
}

#[tokio::test]
async fn identity_headers_count_from_trusted_proxies_only() {
    let (secret, hash) = mint().unwrap();
    let config = format!(
        "trusted_proxies: [10.0.0.0/8]\napi_keys: [{{name: gate, hash: '{hash}', service: gate, human: alice}}]"
    );
    let house = House::new(&config);
    let headers = ProxyHeaders {
        human: Some("bob".into()),
        agent: Some("builder".into()),
        session: Some("s1".into()),
        role: Some("dev".into()),
        delegation: Some("bob->builder".into()),
        ..ProxyHeaders::default()
    };
    let shown = Credentials { proxy_headers: headers.clone(), ..Credentials::default() };
    let from = async |address: &str, shown: &Credentials| house.authenticator.identify(shown, &peer(address)).await;

    let identity = from("10.1.2.3", &shown).await;
    assert_eq!(identity.verification, Verification::TrustedProxy);
    let human = identity.human.unwrap();
    assert_eq!((&*human.value, human.verification), ("bob", Verification::TrustedProxy));
    assert_eq!((name(identity.session.as_ref()), name(identity.role.as_ref())), (Some("s1"), Some("dev")));
    assert_eq!(&*identity.delegation[0].delegatee, "builder");
    is_nobody(&from("192.0.2.1", &shown).await, "no credential was shown");

    // Beside a credential the headers fill what it leaves open, and replace nothing.
    let both = Credentials { proxy_headers: headers.clone(), ..bearer(secret.expose()) };
    let identity = from("10.1.2.3", &both).await;
    assert_eq!((name(identity.human.as_ref()), identity.verification), (Some("alice"), Verification::ApiKey));
    assert_eq!(identity.agent.map(|agent| agent.id.verification), Some(Verification::TrustedProxy));
    assert_eq!(from("192.0.2.1", &both).await.agent, None);

    // A bad credential is not made good by a header.
    let bad = Credentials { proxy_headers: headers.clone(), ..bearer(mint().unwrap().0.expose()) };
    is_nobody(&from("10.1.2.3", &bad).await, "unknown API key");
    let twice = ProxyHeaders { ambiguous: true, ..headers };
    let twice = Credentials { proxy_headers: twice, ..Credentials::default() };
    let problem = "the identity headers of the trusted proxy are not readable: one of them stands more than once";
    is_nobody(&from("10.1.2.3", &twice).await, problem);
}

#[tokio::test]
async fn a_stdio_client_is_the_user_of_the_operating_system() {
    let house = House::new("{}");
    let shown = Credentials { operating_system_user: Some("alice".into()), ..Credentials::default() };
    let identity = house.authenticator.identify(&shown, &Peer::Process(7)).await;
    assert_eq!(identity.verification, Verification::OperatingSystem);
    assert_eq!((name(identity.human.as_ref()), identity.flagged), (Some("alice"), false));
    let unnamed = house.authenticator.identify(&Credentials::default(), &Peer::Process(7)).await;
    is_nobody(&unnamed, "the operating system did not say whose process it is");
    assert!(!unnamed.flagged);
    // Nobody gets a user over a socket.
    is_nobody(&house.identify(&shown).await, "no credentials configured");
}

#[tokio::test]
async fn settings_have_bounds_and_unknown_ones_are_refused() {
    let clock = Arc::new(crate::model::ManualClock::at(Timestamp::from_secs(1)));
    let long = crate::identify::build(&config_of("cache_s: 601"), None, clock);
    assert!(matches!(long.map(drop), Err(IdentifyError::Value { key: "cache_s", .. })));
    for yaml in ["api_key: []", "trusted_proxies: [10.0.0.1/8]", "unverified: allow", "revoked_credentials: [abc]"] {
        assert!(serde_saphyr::from_str::<crate::identify::Config>(yaml).is_err(), "{yaml}");
    }
}
