//! Log-in at an identity provider: a provider of our own on loopback, and what must not get in through it.

use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use axum::extract::State;
use axum::http::StatusCode as Status;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use countersign::model::Digest;
use ed25519_dalek::{Signer as _, SigningKey};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use reqwest::Url;
use serde_json::{Value, json};

use crate::aarm_r4::STEP_UP;
use crate::harness::{Folder, Server, Stand, ordinary};

/// What the provider knows of the one log-in on its way, and how it answers.
#[derive(Default)]
struct Login {
    challenge: String,
    /// Where the browser is to come back to.
    redirect: String,
    /// How often somebody asked where the provider is.
    discovered: usize,
    nonce: String,
    claims: Value,
    /// Forms that were exchanged for tokens.
    exchanged: usize,
}

#[derive(Clone)]
struct Provider {
    login: Arc<Mutex<Login>>,
    key: Arc<SigningKey>,
    url: String,
}

impl Provider {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self { login: Arc::default(), key: Arc::new(SigningKey::from_bytes(&[7; 32])), url };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    /// The section, with the provider's addresses or without.
    fn config(&self, folder: &Folder, addresses: bool) -> String {
        let addresses = match addresses {
            true => {
                format!("authorization_url: '{0}/authorize', token_url: '{0}/token', jwks_url: '{0}/jwks', ", self.url)
            }
            false => String::new(),
        };
        format!(
            ", oidc: {{ issuer: '{}', {addresses}client_id: countersign, \
             client_secret: {{ file: '{}/client.secret' }}, algorithms: [EdDSA], \
             roles: {{ approver: [finance], admin: [operators] }} }}",
            self.url,
            folder.0.display(),
        )
    }

    fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "EdDSA", "typ": "JWT", "kid": "one" })), part(claims));
        let signature = self.key.sign(signed.as_bytes()).to_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// OpenID Connect Discovery 1.0, §4.2.
async fn metadata(State(provider): State<Provider>) -> Json<Value> {
    provider.login.lock().unwrap().discovered += 1;
    let url = &provider.url;
    Json(json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"), "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["plain", "S256"],
    }))
}

async fn jwks(State(provider): State<Provider>) -> Json<Value> {
    let x = URL_SAFE_NO_PAD.encode(provider.key.verifying_key().to_bytes());
    Json(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "sig", "alg": "EdDSA", "x": x }] }))
}

/// RFC 6749 §4.1.3 and RFC 7636 §4.6: the client, its address, and who began.
async fn token(State(provider): State<Provider>, headers: HeaderMap, body: String) -> (Status, Json<Value>) {
    let form: std::collections::HashMap<String, String> =
        Url::parse(&format!("http://x/?{body}")).unwrap().query_pairs().into_owned().collect();
    let mut login = provider.login.lock().unwrap();
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(form["code_verifier"].as_bytes()).0);
    let basic = format!("Basic {}", STANDARD.encode("countersign:s3cret"));
    let good = challenge == login.challenge
        && headers["authorization"] == basic.as_str()
        && form["grant_type"] == "authorization_code"
        && form["code"] == "the-code"
        && form["redirect_uri"] == login.redirect;
    if !good {
        return (Status::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    }
    login.exchanged += 1;
    let mut claims = login.claims.clone();
    if claims["nonce"].is_null() {
        claims["nonce"] = json!(login.nonce);
    }
    (Status::OK, Json(json!({ "access_token": "x", "token_type": "Bearer", "id_token": provider.sign(&claims) })))
}

async fn get_page(stand: &Stand, path: &str, cookie: &str) -> (StatusCode, HeaderMap, Bytes) {
    get_page_at(stand, "localhost", path, cookie).await
}

async fn get_page_at(stand: &Stand, host: &str, path: &str, cookie: &str) -> (StatusCode, HeaderMap, Bytes) {
    let request = Request::get(path)
        .header("host", host)
        .header("cookie", cookie)
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document");
    stand.send_to(stand.admin, request.body(Full::default()).unwrap()).await
}

/// Leaves for the provider: the cookie, and the state that it gets.
async fn leave(stand: &Stand, provider: &Provider) -> (String, String) {
    leave_from(stand, provider, "localhost").await
}

async fn leave_from(stand: &Stand, provider: &Provider, host: &str) -> (String, String) {
    let (status, headers, body) = get_page_at(stand, host, "/login/oidc", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&body));
    let url = Url::parse(headers["location"].to_str().unwrap()).unwrap();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert!(url.as_str().starts_with(&format!("{}/authorize", provider.url)));
    assert_eq!((&*query["response_type"], &*query["code_challenge_method"]), ("code", "S256"));
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let mut login = provider.login.lock().unwrap();
    (login.challenge, login.nonce) = (query["code_challenge"].clone(), query["nonce"].clone());
    login.redirect.clone_from(&query["redirect_uri"]);
    (cookie.split(';').next().unwrap().to_owned(), query["state"].clone())
}

fn claims(provider: &Provider) -> Value {
    let now = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
    let now = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": provider.url, "aud": "countersign", "sub": "1", "iat": now, "exp": now + 300,
        "email": "ann@example.com", "email_verified": true, "groups": ["finance", "everybody"],
    })
}

async fn stand(provider: &Provider) -> Stand {
    stand_at(provider, "http://localhost", true).await
}

async fn stand_at(provider: &Provider, public_url: &str, addresses: bool) -> Stand {
    let folder = Folder::new();
    std::fs::write(folder.0.join("client.secret"), "s3cret\n").unwrap();
    // The section of the flow mapping is closed before, so that `public_url` and `oidc` stand beside the tokens.
    let section = provider.config(&folder, addresses);
    let config = format!("], public_url: '{public_url}'{section}, hosts: [console.example.com");
    let approve = "approve: { legacy_hold_ms: 50 }";
    Stand::with_people(STEP_UP, "", &config, approve, Server::start(ordinary).await, folder).await
}

#[tokio::test]
async fn a_person_of_the_provider_answers_as_itself() {
    let provider = Provider::start().await;
    let stand = stand(&provider).await;
    provider.login.lock().unwrap().claims = claims(&provider);
    let (cookie, state) = leave(&stand, &provider).await;
    let back = format!("/login/oidc/callback?code=the-code&state={state}");
    let (status, headers, body) = get_page(&stand, &back, &cookie).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&body));
    assert_eq!(headers["location"], "/live");
    let session = headers["set-cookie"].to_str().unwrap();
    assert!(session.contains("SameSite=Strict") && session.contains("HttpOnly"), "{session}");
    let session = session.split(';').next().unwrap().to_owned();
    // The same answer a second time leads nowhere.
    assert_eq!(get_page(&stand, &back, &cookie).await.0, StatusCode::FORBIDDEN);
    assert_eq!(provider.login.lock().unwrap().exchanged, 1);

    let send = async |method: &str, path: &str, body: Value| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("origin", "http://localhost")
            .header("countersign-console", "1")
            .header("content-type", "application/json")
            .header("cookie", &session);
        let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
        let (status, _, body) = stand.send_to(stand.admin, request).await;
        (status, serde_json::from_slice::<Value>(&body).unwrap_or(Value::Null))
    };
    let (_, me) = send("GET", "/v1/me", json!({})).await;
    assert_eq!((&me["name"], &me["role"]), (&json!("ann@example.com"), &json!("approver")));
    stand.call("pay", json!({ "amount": 5 })).await;
    let (_, waiting) = send("GET", "/v1/approvals?status=pending", json!({})).await;
    let path = format!("/v1/approvals/{}/approve", waiting["items"][0]["id"].as_str().unwrap());
    assert_eq!(send("POST", &path, json!({})).await.0, StatusCode::OK);
    let (entries, _folder) = stand.stop().await;
    let answer = entries.iter().rfind(|entry| entry["predicate"]["kind"] == "approval").unwrap();
    let approval = &answer["predicate"]["approval"];
    assert_eq!(approval["approver"], "ann@example.com");
    assert_eq!(approval["approver_verification"], "jwt");
}

#[tokio::test]
async fn nobody_gets_in_with_anything_else() {
    let provider = Provider::start().await;
    let stand = stand(&provider).await;
    let wrong: [(&str, Value); 9] = [
        ("nonce", json!("another")),
        ("aud", json!("somebody-else")),
        ("iss", json!("http://evil.example")),
        ("exp", json!(1)),
        ("azp", json!("somebody-else")),
        ("email", Value::Null),
        ("email", json!("a\nb")),
        ("email_verified", json!(false)),
        ("groups", json!(["everybody"])),
    ];
    for (claim, value) in wrong {
        let mut changed = claims(&provider);
        changed[claim] = value;
        provider.login.lock().unwrap().claims = changed;
        let (cookie, state) = leave(&stand, &provider).await;
        let back = format!("/login/oidc/callback?code=the-code&state={state}");
        let (status, headers, _) = get_page(&stand, &back, &cookie).await;
        assert_eq!((status, headers.get("set-cookie")), (StatusCode::FORBIDDEN, None), "{claim}");
    }
    provider.login.lock().unwrap().claims = claims(&provider);
    let exchanged = provider.login.lock().unwrap().exchanged;
    // Another browser, another state, another issuer, no code, a code of somebody else.
    let (cookie, state) = leave(&stand, &provider).await;
    let others = [
        (format!("code=the-code&state={state}"), String::new()),
        (format!("code=the-code&state={state}"), "countersign-login=AAAA".to_owned()),
        (format!("code=the-code&state={state}"), format!("{cookie}; {cookie}")),
        ("code=the-code&state=AAAA".to_owned(), cookie.clone()),
        ("code=the-code".to_owned(), cookie.clone()),
        (format!("code=the-code&state={state}&iss=http://evil.example"), cookie.clone()),
        (format!("error=access_denied&state={state}"), cookie.clone()),
    ];
    for (query, cookie) in others {
        let (status, headers, _) = get_page(&stand, &format!("/login/oidc/callback?{query}"), &cookie).await;
        assert_eq!((status, headers.get("set-cookie")), (StatusCode::FORBIDDEN, None), "{query}");
    }
    assert_eq!(provider.login.lock().unwrap().exchanged, exchanged, "no code was exchanged");
    // A stolen code does not go with another browser's verifier.
    let (cookie, state) = leave(&stand, &provider).await;
    leave(&stand, &provider).await;
    let (status, ..) = get_page(&stand, &format!("/login/oidc/callback?code=the-code&state={state}"), &cookie).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    stand.stop().await;
}

#[tokio::test]
async fn where_the_provider_is_can_be_discovered_and_behind_tls_cookies_are_of_this_host_alone() {
    const HOST: &str = "console.example.com";
    let provider = Provider::start().await;
    let stand = stand_at(&provider, "https://console.example.com", false).await;
    assert_eq!(provider.login.lock().unwrap().discovered, 0, "the provider may be down when we start");
    provider.login.lock().unwrap().claims = claims(&provider);
    for _ in 0..2 {
        let (cookie, state) = leave_from(&stand, &provider, HOST).await;
        assert!(cookie.starts_with("__Host-countersign-login="), "{cookie}");
        assert_eq!(provider.login.lock().unwrap().redirect, "https://console.example.com/login/oidc/callback");
        let back = format!("/login/oidc/callback?code=the-code&state={state}");
        // The name without the prefix is one that any host beside ours could have set.
        let planted = cookie.trim_start_matches("__Host-");
        assert_eq!(get_page_at(&stand, HOST, &back, planted).await.0, StatusCode::FORBIDDEN);
        let (status, headers, _) = get_page_at(&stand, HOST, &back, &cookie).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let cookies: Vec<&str> = headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        for (cookie, name) in cookies.iter().zip(["__Host-countersign=", "__Host-countersign-login="]) {
            let fits = cookie.starts_with(name) && cookie.contains("; Path=/;") && cookie.ends_with("; Secure");
            assert!(fits && cookie.contains("HttpOnly") && !cookie.contains("Domain"), "{cookie}");
        }
        assert_eq!(cookies.len(), 2);
    }
    assert_eq!(provider.login.lock().unwrap().discovered, 1, "what was discovered holds for a while");
    stand.stop().await;
}

#[tokio::test]
async fn a_provider_that_speaks_for_another_issuer_logs_nobody_in() {
    let mut provider = Provider::start().await;
    // Another name of the same address: its metadata names the first.
    provider.url = provider.url.replace("127.0.0.1", "localhost");
    let stand = stand_at(&provider, "http://localhost", false).await;
    let (status, headers, _) = get_page(&stand, "/login/oidc", "").await;
    assert_eq!((status, headers.get("location")), (StatusCode::SERVICE_UNAVAILABLE, None));
    stand.stop().await;
}
