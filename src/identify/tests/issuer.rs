//! An issuer of tokens with keys of its own, and a loopback server that hands them out as a script says.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::KeyPair;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::NOW_S;

/// A signing key and its public half.
pub(super) struct TestKey {
    pub(super) id: String,
    pub(super) algorithm: Algorithm,
    pub(super) private: EncodingKey,
    pub(super) public: Vec<u8>,
}

impl TestKey {
    pub(super) fn new(id: &str, algorithm: Algorithm) -> Self {
        let pair = KeyPair::generate_for(match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        })
        .unwrap();
        let private = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_der(&pair.serialize_der()),
            Algorithm::EdDSA => EncodingKey::from_ed_der(&pair.serialize_der()),
            _ => EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(),
        };
        Self { id: id.into(), algorithm, private, public: pair.public_key_raw().to_vec() }
    }

    /// The public half as a JSON Web Key.
    pub(super) fn jwk(&self) -> serde_json::Value {
        let mut jwk = match self.algorithm {
            Algorithm::EdDSA => {
                serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(&self.public)})
            }
            algorithm => serde_json::to_value(Jwk::from_encoding_key(&self.private, algorithm).unwrap()).unwrap(),
        };
        jwk["kid"] = self.id.clone().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token over these claims, with the header that belongs to the key.
    pub(super) fn sign(&self, claims: &serde_json::Value) -> String {
        let algorithm = format!("{:?}", self.algorithm);
        self.sign_with(&serde_json::json!({"alg": algorithm, "kid": self.id, "typ": "at+jwt"}), claims)
    }

    pub(super) fn sign_with(&self, header: &serde_json::Value, claims: &serde_json::Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub(super) fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = encode(header, claims);
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

pub(super) fn encode(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

pub(super) fn key_set(keys: &[&TestKey]) -> String {
    serde_json::json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}

/// The claims of a good token: issued now, for five minutes.
pub(super) fn claims() -> serde_json::Value {
    serde_json::json!({
        "iss": "https://issuer.example", "aud": "https://proxy.example", "sub": "alice", "client_id": "desk",
        "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 300, "jti": "t1", "scope": "read",
        "act": {"sub": "builder"},
    })
}

pub(super) fn claims_with(changes: &serde_json::Value) -> serde_json::Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Answer(u16, String),
    Disconnect,
    Hang,
    Redirect(String),
}

/// A server of key sets on loopback.
pub(super) struct KeyServer {
    pub(super) url: String,
    requests: Arc<AtomicUsize>,
    script: Arc<Mutex<VecDeque<Step>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl KeyServer {
    /// Serves the steps one after another; a request beyond the last is a fault of the test.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (requests, script) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(VecDeque::new())));
        let (counted, steps) = (Arc::clone(&requests), Arc::clone(&script));
        let serving = tokio::spawn(async move {
            let mut hanging = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let step: Option<Step> = steps.lock().unwrap().pop_front();
                let answer = match step.unwrap_or(Step::Answer(599, "beyond the script".into())) {
                    Step::Answer(status, body) => {
                        format!(
                            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        )
                    }
                    Step::Redirect(to) => {
                        format!("HTTP/1.1 302 X\r\nconnection: close\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
                    }
                    Step::Disconnect => continue,
                    Step::Hang => {
                        hanging.push(stream);
                        continue;
                    }
                };
                // A client that stopped at its limit has hung up; that is its right.
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        Self { url, requests, script, serving }
    }

    pub(super) fn then(&self, step: Step) {
        self.script.lock().unwrap().push_back(step);
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
