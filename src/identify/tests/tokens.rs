//! Every refusal of AARM A-6.3 for signed tokens, and what a good one says.

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use super::issuer::{TestKey, claims, claims_with, encode, key_set};
use super::{House, NOW_S, name, refused};
use crate::model::{Credentials, Digest, Timestamp, Verification};
use crate::net::scratch::Scratch;

const ALL: &str = "[ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512]";

/// A house that trusts these keys.
fn house(keys: &[&TestKey], algorithms: &str, more: &str) -> House {
    let scratch = Scratch::new();
    let path = scratch.write("keys.json", key_set(keys));
    let config = format!(
        "jwt: [{{issuer: 'https://issuer.example', audience: 'https://proxy.example', algorithms: {algorithms}, \
         jwks_file: '{}' {more}}}]",
        path.display()
    );
    House::with(scratch, &config, None)
}

#[tokio::test]
async fn a_good_token_names_everybody_in_every_algorithm() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS512] {
        let key = TestKey::new("k1", algorithm);
        let token = key.sign(&claims());
        let identity = house(&[&key], ALL, "").bearer(&token).await;
        assert_eq!(identity.problem, None, "{algorithm:?}");
        assert_eq!(identity.verification, Verification::Jwt);
        assert_eq!(name(identity.human.as_ref()), Some("alice"));
        assert_eq!(name(identity.service.as_ref()), Some("desk"));
        assert_eq!(name(identity.agent.as_ref().map(|agent| &agent.id)), Some("builder"));
        assert_eq!(identity.issuer.as_deref(), Some("https://issuer.example"));
        assert_eq!(identity.credential, Some(Digest::of(token.as_bytes())));
        assert_eq!(identity.expires, Some(Timestamp::from_secs(NOW_S + 300)));
        assert_eq!(identity.verified_at, Some(Timestamp::from_secs(NOW_S)));
        assert_eq!(&*identity.delegation[0].delegatee, "builder");
        assert!(!identity.flagged);
    }
}

#[tokio::test]
async fn claims_that_must_hold() {
    let key = TestKey::new("k1", Algorithm::EdDSA);
    let house = house(&[&key], "[EdDSA]", ", revoked_token_ids: [t9], required_claims: [client_id]");
    for (changes, problem) in [
        (json!({"exp": NOW_S - 30}), "expired at 2027-01-15T07:59:30.000000Z"),
        (json!({"exp": null}), "the claim `exp` is missing"),
        (json!({"exp": "soon"}), "the claim `exp` is not what it must be"),
        (json!({"exp": -1}), "the claim `exp` is not what it must be"),
        (json!({"nbf": NOW_S + 31}), "not valid before 2027-01-15T08:00:31.000000Z"),
        (json!({"nbf": null, "iat": NOW_S + 31}), "not valid before 2027-01-15T08:00:31.000000Z"),
        (json!({"nbf": null, "iat": null}), "the claim `nbf` is missing"),
        (json!({"aud": "https://other.example"}), "the token is for another audience"),
        (json!({"aud": ["https://other.example", 7]}), "the token is for another audience"),
        (json!({"aud": null}), "the claim `aud` is missing"),
        (json!({"iss": "https://evil.example"}), "unknown issuer `https://evil.example`"),
        (json!({"iss": null}), "the claim `iss` is missing"),
        (json!({"client_id": null}), "the claim `client_id` is missing"),
        (json!({"jti": "t9"}), "revoked"),
        (json!({"cnf": {"jkt": "x"}}), "the token is bound to something the caller did not show"),
        (json!({"act": {"iss": "x"}}), "the delegation chain is not readable or too deep"),
    ] {
        assert_eq!(house.problem(&key.sign(&claims_with(&changes))).await, problem, "{changes}");
    }
    for changes in [
        json!({"exp": NOW_S - 29}),
        json!({"nbf": NOW_S + 30}),
        json!({"nbf": null}),
        json!({"exp": f64::from(u32::try_from(NOW_S).unwrap()) + 0.5}),
        json!({"aud": ["https://other.example", "https://proxy.example"]}),
    ] {
        assert_eq!(house.bearer(&key.sign(&claims_with(&changes))).await.problem, None, "{changes}");
    }
}

#[tokio::test]
async fn a_token_does_not_choose_how_it_is_checked() {
    let (ec, rsa) = (TestKey::new("ec", Algorithm::ES256), TestKey::new("rsa", Algorithm::RS256));
    let house = house(&[&ec, &rsa], "[ES256, RS256]", "");
    let claims = claims();
    let header = |algorithm: &str, kid: &str| json!({"alg": algorithm, "kid": kid});

    // The public key as a shared secret, the classic confusion.
    for secret in [&ec.public, &rsa.public] {
        let signed = encode(&header("HS256", "ec").to_string(), &claims.to_string());
        let key = EncodingKey::from_secret(secret);
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
        let problem = house.problem(&format!("{signed}.{signature}")).await;
        assert_eq!(problem, "the algorithm `HS256` is not allowed for this issuer");
    }
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let signed = encode(&header(none, "ec").to_string(), &claims.to_string());
        assert_eq!(house.problem(&format!("{signed}.")).await, "malformed token: not three parts");
        let problem = house.problem(&format!("{signed}.AA")).await;
        assert_eq!(problem, format!("the algorithm `{none}` is not allowed for this issuer"));
    }
    // A good signature under an algorithm that the issuer does not use.
    let pss = TestKey { algorithm: Algorithm::PS256, id: "rsa".into(), private: rsa.private.clone(), public: vec![] };
    assert_eq!(house.problem(&pss.sign(&claims)).await, "the algorithm `PS256` is not allowed for this issuer");
    // The key of another type under the name of this one.
    assert_eq!(
        house.problem(&ec.sign_with(&header("RS256", "ec"), &claims)).await,
        "the issuer has no key `ec` for this algorithm"
    );
    assert_eq!(house.problem(&ec.sign_with(&header("RS256", "rsa"), &claims)).await, "the signature does not verify");
    let missing = ec.sign_with(&json!({"kid": "ec"}), &claims);
    assert_eq!(house.problem(&missing).await, "malformed token: no `alg`");
}

#[tokio::test]
async fn keys_that_a_token_brings_are_not_looked_at() {
    let (ours, theirs) = (TestKey::new("k1", Algorithm::EdDSA), TestKey::new("k1", Algorithm::EdDSA));
    let house = house(&[&ours], "[EdDSA]", "");
    let header = json!({"alg": "EdDSA", "kid": "k1", "jwk": theirs.jwk(), "jku": "http://127.0.0.1:9/", "x5c": ["AA"]});
    assert_eq!(house.problem(&theirs.sign_with(&header, &claims())).await, "the signature does not verify");
    let unknown = TestKey::new("k2\n", Algorithm::EdDSA).sign(&claims());
    assert_eq!(house.problem(&unknown).await, "the issuer has no key `k2\\n` for this algorithm");
    let unnamed = json!({"alg": "EdDSA"});
    assert_eq!(house.bearer(&ours.sign_with(&unnamed, &claims())).await.problem, None, "there is only one key");
}

#[tokio::test]
async fn a_changed_token_does_not_verify() {
    let key = TestKey::new("k1", Algorithm::ES256);
    let house = house(&[&key], "[ES256]", "");
    let token = key.sign(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let other = key.sign(&claims_with(&json!({"sub": "mallory"})));
    let others: Vec<&str> = other.split('.').collect();
    let swapped = format!("{}.{}.{}", parts[0], others[1], parts[2]);
    assert_eq!(house.problem(&swapped).await, "the signature does not verify");
    let first = if parts[2].starts_with('A') { 'B' } else { 'A' };
    let flipped = format!("{}.{}.{first}{}", parts[0], parts[1], parts[2].get(1..).unwrap());
    assert_eq!(house.problem(&flipped).await, "the signature does not verify");
    let cut = format!("{}.{}.{}", parts[0], parts[1], parts[2].get(..40).unwrap());
    assert_eq!(house.problem(&cut).await, "the signature does not verify");
    assert_eq!(house.problem(&format!("{token}.x")).await, "neither an API key nor a signed token");
    assert_eq!(
        house.problem(&format!("{}..{}", parts[0], parts[2])).await,
        "malformed token: the claims are not a JSON object"
    );
    assert_eq!(house.problem(&format!("{token}=")).await, "the signature does not verify");
}

#[tokio::test]
async fn a_token_that_two_readers_could_read_differently_is_refused() {
    let key = TestKey::new("k1", Algorithm::EdDSA);
    let house = house(&[&key], "[EdDSA]", "");
    let (header, good) = (r#"{"alg":"EdDSA","kid":"k1"}"#, claims().to_string());
    let twice = good.replace(r#""sub":"alice""#, r#""sub":"alice","s\u0075b":"mallory""#);
    assert_ne!(twice, good);
    assert_eq!(
        house.problem(&key.sign_text(header, &twice)).await,
        "malformed token: the claims are not a JSON object"
    );
    let header_twice = r#"{"alg":"EdDSA","alg":"none","kid":"k1"}"#;
    assert_eq!(
        house.problem(&key.sign_text(header_twice, &good)).await,
        "malformed token: the header is not a JSON object"
    );
    assert_eq!(house.problem(&key.sign_text("[]", &good)).await, "malformed token: the header is not a JSON object");
    assert_eq!(house.bearer(&key.sign_text(header, &good)).await.problem, None);
}

#[tokio::test]
async fn headers_that_change_the_meaning_are_refused() {
    let key = TestKey::new("k1", Algorithm::EdDSA);
    let house = house(&[&key], "[EdDSA]", "");
    let with = |more: serde_json::Value| {
        let mut header = json!({"alg": "EdDSA", "kid": "k1"});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key.sign_with(&header, &claims())
    };
    let critical = with(json!({"crit": ["b64"], "b64": false}));
    assert_eq!(house.problem(&critical).await, "the token needs extensions that are not known");
    for other in ["dpop+jwt", "oauth-id-jag+jwt", "logout+jwt"] {
        let problem = house.problem(&with(json!({"typ": other}))).await;
        assert_eq!(problem, format!("a token of type `{other}` is not an access token"));
    }
    for accepted in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        assert_eq!(house.bearer(&with(json!({"typ": accepted}))).await.problem, None, "{accepted}");
    }
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_needs_that_certificate() {
    use base64::Engine as _;
    let key = TestKey::new("k1", Algorithm::EdDSA);
    let house = house(&[&key], "[EdDSA]", "");
    let certificate: &[u8] = b"a certificate in DER";
    let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Digest::of(certificate).0);
    let token = key.sign(&claims_with(&json!({"cnf": {"x5t#S256": digest}})));
    let shown = |certificate: Option<&[u8]>| Credentials {
        authorization: Some(format!("Bearer {token}").into()),
        certificate: certificate.map(Into::into),
        ..Credentials::default()
    };
    assert_eq!(house.identify(&shown(Some(certificate))).await.problem, None);
    // The good answer is in the cache now, and must not serve anybody else.
    for other in [None, Some(&b"another certificate"[..])] {
        let identity = house.identify(&shown(other)).await;
        assert_eq!(identity.verification, Verification::None, "{other:?}");
    }
}

#[test]
fn settings_that_would_weaken_the_check_do_not_load() {
    let issuer = |more: &str| format!("jwt: [{{issuer: i, audience: a, algorithms: [EdDSA] {more}}}]");
    let problem = |yaml: &str| refused(yaml).to_string();
    assert_eq!(problem(&issuer("")), "`i` needs exactly one of `jwks_file` and `jwks_url`");
    assert_eq!(
        problem(&issuer(", jwks_file: x, jwks_url: 'https://y'")),
        "`i` needs exactly one of `jwks_file` and `jwks_url`"
    );
    for url in ["http://issuer.example/keys", "file:///etc/keys", "http://127.0.0.1.evil.example/", "https://u:p@i/"] {
        let problem = problem(&issuer(&format!(", jwks_url: '{url}'")));
        assert_eq!(problem, "`jwks_url` of `i` is neither https nor http on loopback", "{url}");
    }
    assert_eq!(
        problem(&issuer(", jwks_file: x, leeway_s: 61")),
        "`leeway_s` of `i` is not valid: more than 60 seconds"
    );
    let empty = "jwt: [{issuer: i, audience: a, algorithms: [], jwks_file: x}]";
    assert_eq!(problem(empty), "`algorithms` of `i` is not valid: at least one is needed");
    let nobody = "jwt: [{issuer: i, audience: [], algorithms: [EdDSA], jwks_file: x}]";
    assert_eq!(problem(nobody), "`audience` of `i` is not valid: at least one is needed");
    assert!(problem(&issuer(", jwks_file: /nonexistent/keys.json")).contains("/nonexistent/keys.json"));
    for yaml in [issuer(", verify: false"), issuer("").replace("EdDSA", "HS256"), issuer("").replace("EdDSA", "none")] {
        assert!(serde_saphyr::from_str::<crate::identify::Config>(&yaml).is_err(), "{yaml}");
    }
}
