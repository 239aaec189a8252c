//! Who may call: API keys, tokens, TLS, the inventory; and whose credentials reach a server.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::record::disk::RealDisk;
use ed25519_dalek::{Signer as _, SigningKey};
use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::harness::{ALLOW_ALL, Folder, Server, is_refused, ordinary};
use crate::instance::{Door, Key, Local, PATIENCE, SMALL_LOG, call_message, predicates};

struct Scene {
    folder: Folder,
    server: Server,
    app: Local,
}

impl Scene {
    /// With this configuration beside the usual.
    async fn start(folder: Folder, key: &Key, more: &str) -> Self {
        let server = Server::start(ordinary).await;
        std::fs::write(folder.0.join("policy.yaml"), ALLOW_ALL).unwrap();
        std::fs::write(folder.0.join("upstream.secret"), "upstream-secret-77\n").unwrap();
        let config = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: data\npolicies: [policy.yaml]\n{more}\n\
             record: {SMALL_LOG}\nservers:\n  test:\n    url: 'http://{0}/mcp'\n    credentials: [ {{ header: Authorization, prefix: 'Bearer ', \
             secret: {{ file: '{1}/upstream.secret' }} }} ]\n  other: {{ url: 'http://{0}/mcp' }}\n",
            server.address,
            folder.0.display(),
        );
        let app = Local::start(&folder.0, &config, key, Arc::new(RealDisk)).await.unwrap();
        Self { folder, server, app }
    }

    fn door(&self) -> &Door {
        &self.app.door
    }

    /// Calls with these headers. Returns the status and the answer.
    async fn call(&self, server: &str, headers: &[(&str, &str)]) -> (StatusCode, Value) {
        let message = call_message(1, "echo", &json!({ "a": 1 }));
        let answer = self.door().post(&format!("/mcp/{server}"), headers, &message).await.expect("an answer");
        (answer.status, answer.json())
    }

    /// With this credential a call is done.
    async fn assert_accepted(&self, credential: &str) {
        let before = self.server.calls().len();
        let (status, answer) = self.call("test", &[("authorization", &format!("Bearer {credential}"))]).await;
        assert_eq!((status, &answer["result"]["isError"]), (StatusCode::OK, &json!(false)), "{answer}");
        assert_eq!(self.server.calls().len(), before + 1);
    }

    /// With this header a call is a 401 and reaches nobody.
    async fn assert_turned_away(&self, authorization: &str) {
        let before = self.server.received().len();
        let (status, answer) = self.call("test", &[("authorization", authorization)]).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{authorization}: {answer}");
        assert_eq!(self.server.received().len(), before, "{authorization}");
    }

    async fn stop(self) -> Vec<Value> {
        self.app.stop().await.expect("it ends in order");
        predicates(&self.folder.0.join("data")).await
    }
}

fn only<'a>(entries: &'a [Value], kind: &str) -> Vec<&'a Value> {
    entries.iter().filter(|entry| entry["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_count_while_they_are_valid() {
    let (good, expired) = (Key::new(), Key::new());
    let identity = format!(
        "identity:\n  api_keys:\n    - {{ name: good, hash: '{}', human: alice@example.com, agent: tester }}\n    \
         - {{ name: old, hash: '{}', human: bob@example.com, expires: '2001-01-01T00:00:00Z' }}",
        good.hash, expired.hash,
    );
    let scene = Scene::start(Folder::new(), &good, &identity).await;
    scene.assert_accepted(&good.secret).await;
    let wrong = Key::new().secret;
    for authorization in
        ["", &format!("Bearer {wrong}"), &format!("Bearer {}", expired.secret), "Bearer x", "Basic YTpi"]
    {
        scene.assert_turned_away(authorization).await;
    }
    let forwarded = scene.server.calls();
    let entries = scene.stop().await;
    let decisions = only(&entries, "decision");
    let allowed: Vec<_> = decisions.iter().filter(|entry| entry["decision"]["result"] == "ALLOW").collect();
    assert_eq!(allowed.len(), 1);
    assert_eq!(allowed[0]["identity"]["human"]["value"], "alice@example.com");
    assert_eq!(allowed[0]["identity"]["issuer"], "good");
    // Refusals of strangers may be folded, but there is evidence of them.
    let denied: Vec<_> = decisions.iter().filter(|entry| entry["decision"]["result"] == "DENY").collect();
    assert!(!denied.is_empty());
    assert!(denied.iter().all(|entry| entry["identity"]["human"].is_null()), "a stranger got a name");
    assert_eq!(forwarded.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_of_a_refused_credential_are_counted() {
    let key = Key::new();
    let scene = Scene::start(Folder::new(), &key, &key.identity()).await;
    scene.assert_accepted(&key.secret).await;
    let one = format!("Bearer {}", Key::new().secret);
    for _ in 0..5 {
        scene.assert_turned_away(&one).await;
    }
    // What counts goes on counting, and guesses cannot fill the log.
    scene.assert_accepted(&key.secret).await;
    for _ in 0..40 {
        scene.assert_turned_away(&format!("Bearer {}", Key::new().secret)).await;
    }
    let entries = scene.stop().await;
    let denied: Vec<_> = only(&entries, "decision").into_iter().filter(|e| e["decision"]["result"] == "DENY").collect();
    assert_eq!(denied.len(), 16, "one entry each, for the first of a peer");
    let mut folded: Vec<_> = only(&entries, "control")
        .into_iter()
        .map(|entry| &entry["control"])
        .filter(|control| control["event"] == "credentials_refused")
        .collect();
    folded.sort_by_key(|control| control["count"].as_u64());
    let told: Vec<_> = folded.iter().map(|c| (&c["count"], c["peer"].as_str(), c["reason"].as_str())).collect();
    let peer = Some("127.0.0.1");
    assert_eq!(told, [(&json!(4), peer, Some("unknown API key")), (&json!(25), peer, Some("several credentials"))]);
    assert!(folded.iter().all(|control| control["since"].as_str() <= control["until"].as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_agents_never_reach_a_server() {
    let key = Key::new();
    let scene = Scene::start(Folder::new(), &key, &key.identity()).await;
    let proxy = [("proxy-authorization", "Basic c2VjcmV0"), ("cookie", "session=secret")];
    for server in ["test", "other"] {
        let (status, answer) = scene.call(server, &proxy).await;
        assert_eq!((status, &answer["result"]["isError"]), (StatusCode::OK, &json!(false)), "{answer}");
    }
    // Frames of the protocol go the same way.
    scene.door().post("/mcp/other", &proxy, r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#).await.expect("an answer");
    let received = scene.server.received();
    assert!(received.iter().any(|request| request.json()["method"] == "ping"));
    for request in &received {
        for (name, value) in &request.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(!value.contains(&key.secret) && !value.contains("c2VjcmV0"), "{name}: {value}");
        }
        assert!(!request.headers.contains_key("cookie") && !request.headers.contains_key("proxy-authorization"));
    }
    let shown: Vec<_> = scene.server.calls().iter().map(|call| call.headers.get("authorization").cloned()).collect();
    assert_eq!(shown, [Some("Bearer upstream-secret-77".parse().unwrap()), None]);
    scene.stop().await;
}

/// A token of the issuer that the tests configure, with these claims changed, signed by the key of this byte.
fn token(changes: &Value, key: u8) -> String {
    let now = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "iss": "https://issuer.example", "aud": "https://proxy.example", "sub": "carol", "client_id": "desk",
        "iat": now, "nbf": now, "exp": now + 300, "jti": "t1",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let header = json!({ "alg": "EdDSA", "kid": "k1", "typ": "at+jwt" });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = SigningKey::from_bytes(&[key; 32]).sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_count_when_their_issuer_signed_them_for_us() {
    let folder = Folder::new();
    let public = SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "use": "sig", "x": URL_SAFE_NO_PAD.encode(public) });
    std::fs::write(folder.0.join("keys.json"), json!({ "keys": [jwk] }).to_string()).unwrap();
    let identity = format!(
        "identity: {{ jwt: [ {{ issuer: 'https://issuer.example', audience: 'https://proxy.example', algorithms: [EdDSA], \
         jwks_file: '{}/keys.json' }} ] }}",
        folder.0.display(),
    );
    let scene = Scene::start(folder, &Key::new(), &identity).await;
    scene.assert_accepted(&token(&json!({}), 1)).await;
    let mut tampered = token(&json!({}), 1);
    tampered.replace_range(60..61, if tampered.as_bytes()[60] == b'A' { "B" } else { "A" });
    let unsigned = {
        let good = token(&json!({}), 1);
        let claims = good.split('.').nth(1).unwrap().to_owned();
        format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#))
    };
    for bad in [
        token(&json!({}), 2),
        token(&json!({ "aud": "https://elsewhere.example" }), 1),
        token(&json!({ "iss": "https://other.example" }), 1),
        token(&json!({ "exp": 1_000_000_000, "iat": 999_999_000, "nbf": 999_999_000 }), 1),
        token(&json!({ "nbf": 9_000_000_000_u64 }), 1),
        tampered,
        unsigned,
    ] {
        scene.assert_turned_away(&format!("Bearer {bad}")).await;
    }
    let entries = scene.stop().await;
    let outcomes = only(&entries, "outcome");
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0]["identity"]["human"]["value"], "carol");
    assert_eq!(outcomes[0]["identity"]["verification"], "jwt");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_says_which_servers_an_agent_may_reach() {
    let (listed, stranger) = (Key::new(), Key::new());
    let more = format!(
        "identity:\n  api_keys:\n    - {{ name: a, hash: '{}', agent: tester }}\n    - {{ name: b, hash: '{}', agent: ghost }}\n\
         agents: [ {{ id: tester, owner: ann@example.com, team: qa, tenant: emea, servers: [test] }} ]",
        listed.hash, stranger.hash,
    );
    let scene = Scene::start(Folder::new(), &listed, &more).await;
    scene.assert_accepted(&listed.secret).await;
    let (status, answer) = scene.call("other", &[]).await;
    assert!(status == StatusCode::OK && is_refused(&answer), "{answer}");
    let (status, answer) = scene.call("test", &[("authorization", &format!("Bearer {}", stranger.secret))]).await;
    assert!(status == StatusCode::OK && is_refused(&answer), "{answer}");
    assert_eq!(scene.server.calls().len(), 1);
    let entries = scene.stop().await;
    let allowed = &only(&entries, "outcome")[0]["identity"];
    assert_eq!(
        (&allowed["owner"], &allowed["team"], &allowed["tenant"]),
        (&json!("ann@example.com"), &json!("qa"), &json!("emea"))
    );
    assert_eq!(allowed["agent"]["listed"], true);
    assert_eq!(only(&entries, "decision").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn flagged_strangers_go_on_and_are_marked() {
    let key = Key::new();
    let mut more = key.identity();
    more = more.replace("identity: {", "identity: { unverified: flag,");
    let scene = Scene::start(Folder::new(), &key, &more).await;
    let (status, answer) = scene.call("test", &[("authorization", "")]).await;
    assert_eq!((status, &answer["result"]["isError"]), (StatusCode::OK, &json!(false)), "{answer}");
    let entries = scene.stop().await;
    let identity = &only(&entries, "outcome")[0]["identity"];
    assert_eq!((&identity["verification"], &identity["human"]), (&json!("none"), &Value::Null));
    assert!(identity["problem"].is_string(), "nothing says that nobody was verified: {identity}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_connect_by_tls_to_a_private_authority() {
    let (folder, key) = (Folder::new(), Key::new());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let pair = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&pair, &authority).unwrap();
    std::fs::write(folder.0.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.0.join("server.key"), pair.serialize_pem()).unwrap();
    std::fs::write(folder.0.join("ca.pem"), authority.pem()).unwrap();
    let at = folder.0.display();
    let more = format!("{}tls: {{ certificate: '{at}/server.pem', key: '{at}/server.key' }}", key.identity());
    let ca = std::fs::read(folder.0.join("ca.pem")).unwrap();
    let scene = Scene::start(folder, &key, &more).await;
    // Plain text gets no answer.
    assert!(scene.door().call("test", "echo", json!({})).await.is_none());
    let url = format!("https://localhost:{}/mcp/test", scene.door().address.port());
    let client = |trusting: bool| {
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let roots = if trusting { vec![reqwest::Certificate::from_pem(&ca).unwrap()] } else { Vec::new() };
        builder.tls_certs_only(roots).build().unwrap()
    };
    let send = |client: reqwest::Client| {
        client
            .post(&url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {}", key.secret))
            .body(call_message(1, "echo", &json!({})))
            .send()
    };
    assert!(send(client(false)).await.is_err(), "a certificate of nobody was believed");
    let answer: Value = serde_json::from_slice(&send(client(true)).await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    assert_eq!(scene.server.calls().len(), 1);
    scene.stop().await;
}
