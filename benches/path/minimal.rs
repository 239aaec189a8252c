//! The least that mediation with evidence can be: read the call, apply one rule, keep a signed entry before forwarding
//! and another before replying. No credentials, no sessions, no schemas, no context, no exporter, no configuration.
//!
//! It shows what is physically there on a machine. Nothing here is a model for the product.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::Signer;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::Fallible;
use super::child::end_with_parent;
use super::journal::Journal;

/// How much of the minimal path is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Both entries are durable before the agent has its reply.
    Both,
    /// The same, signed with aws-lc-rs instead of ed25519-dalek.
    BothAwsLc,
    /// The decision is durable before forwarding; the outcome is written and not waited for.
    Decision,
    /// Bytes in, bytes out: no parsing, no rule, no entries.
    Hop,
}

impl Depth {
    /// The word for it on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::BothAwsLc => "both-aws-lc",
            Self::Decision => "decision",
            Self::Hop => "hop",
        }
    }

    fn read(word: &str) -> Fallible<Self> {
        let known = [Self::Both, Self::BothAwsLc, Self::Decision, Self::Hop];
        known.into_iter().find(|depth| depth.word() == word).ok_or_else(|| format!("`{word}` is no depth").into())
    }
}

struct Minimal {
    upstream: SocketAddr,
    depth: Depth,
    key: Key,
    journal: Journal,
}

enum Key {
    AwsLc(Box<dyn Signer>),
    Dalek(Box<SigningKey>),
}

impl Key {
    fn new(depth: Depth) -> Fallible<Self> {
        let key = SigningKey::from_bytes(&countersign::net::random_bytes()?);
        if depth == Depth::BothAwsLc { Ok(Self::AwsLc(aws_lc_signer(&key)?)) } else { Ok(Self::Dalek(Box::new(key))) }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::AwsLc(signer) => signer.sign(message).unwrap_or_default(),
            Self::Dalek(key) => key.sign(message).to_bytes().to_vec(),
        }
    }
}

/// aws-lc-rs with `key`, reached through the TLS library, which has it already.
///
/// # Errors
/// It does not take the key, or ed25519-dalek does not accept its signature.
pub(crate) fn aws_lc_signer(key: &SigningKey) -> Fallible<Box<dyn Signer>> {
    let document = key.to_pkcs8_der()?;
    let loaded = any_eddsa_type(&PrivatePkcs8KeyDer::from(document.as_bytes()))?;
    let signer = loaded.choose_scheme(&[SignatureScheme::ED25519]).ok_or("aws-lc-rs does not sign with ed25519")?;
    let signature = Signature::from_slice(&signer.sign(b"one key, two libraries")?)?;
    key.verifying_key().verify_strict(b"one key, two libraries", &signature)?;
    Ok(signer)
}

/// What one connection holds: its connection to the tool, and the hash of its last entry.
#[derive(Default)]
struct Chain {
    upstream: Option<SendRequest<Full<Bytes>>>,
    previous: [u8; 32],
    sequence: u64,
}

/// Runs the path until the bench ends. `words` are upstream address, depth and directory. Prints the address it listens on.
///
/// # Errors
/// A word is missing, or it cannot listen or write.
pub(crate) fn serve(words: &[String]) -> Fallible<()> {
    let [upstream, depth, directory] = words else { return Err("minimal: three words are needed".into()) };
    end_with_parent();
    let depth = Depth::read(depth)?;
    let path = Arc::new(Minimal {
        upstream: upstream.parse()?,
        depth,
        key: Key::new(depth)?,
        journal: Journal::start(Path::new(directory))?,
    });
    tokio::runtime::Builder::new_multi_thread().enable_io().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("listening {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let path = path.clone();
            tokio::spawn(async move {
                let chain = Arc::new(Mutex::new(Chain::default()));
                let service = hyper::service::service_fn(move |request| {
                    let (path, chain) = (path.clone(), chain.clone());
                    async move { Ok::<_, Infallible>(path.answer(request, &mut *chain.lock().await).await) }
                });
                // A client that goes away ends its connection, and nothing else.
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    name: &'a str,
    #[serde(borrow)]
    arguments: &'a RawValue,
}

impl Minimal {
    async fn answer(&self, request: Request<Incoming>, chain: &mut Chain) -> Response<Full<Bytes>> {
        match self.mediate(request, chain).await {
            Ok(response) => response,
            Err(error) => {
                let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
        }
    }

    async fn mediate(&self, request: Request<Incoming>, chain: &mut Chain) -> Fallible<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let decided = if self.depth == Depth::Hop { None } else { self.decide(&body, chain)? };
        if let Some(entry) = &decided {
            self.journal.append(entry).await?;
        }
        let (head, reply) = forward(self.upstream, Request::from_parts(head, Full::new(body)), chain).await?;
        if decided.is_some() {
            let entry = self.entry(chain, "outcome", "echo", &reply);
            let durable = self.journal.append(&entry);
            if self.depth != Depth::Decision {
                durable.await?;
            }
        }
        Ok(Response::from_parts(head, Full::new(reply)))
    }

    /// The entry of the decision when `body` is a call; `None` for frames of the protocol.
    fn decide(&self, body: &[u8], chain: &mut Chain) -> Fallible<Option<Vec<u8>>> {
        let message: Message<'_> = serde_json::from_slice(body)?;
        let (Some(_), Some(params), "tools/call") = (message.id, message.params, message.method) else {
            return Ok(None);
        };
        let params: Params<'_> = serde_json::from_str(params.get())?;
        if params.name != "echo" || params.arguments.get().len() > 4_096 {
            return Err("the rule does not allow this call".into());
        }
        Ok(Some(self.entry(chain, "decision", params.name, params.arguments.get().as_bytes())))
    }

    /// One line: what was done, the digest of the text, the hash of the entry before it, a signature.
    fn entry(&self, chain: &mut Chain, kind: &str, operation: &str, text: &[u8]) -> Vec<u8> {
        chain.sequence += 1;
        let payload = format!(
            r#"{{"kind":"{kind}","seq":{},"tool":"bench","operation":"{operation}","human":"bench@example.com","service":"bench","agent":"bench-agent","verdict":"ALLOW","policy":"one-rule","digest":"{}","previous":"{}""#,
            chain.sequence,
            hex(&Sha256::digest(text)),
            hex(&chain.previous),
        );
        chain.previous = Sha256::digest(&payload).into();
        let signature = self.key.sign(&chain.previous);
        let mut line = payload.into_bytes();
        line.extend_from_slice(
            format!(r#","hash":"{}","signature":"{}"}}"#, hex(&chain.previous), hex(&signature)).as_bytes(),
        );
        line.push(b'\n');
        line
    }
}

async fn forward(
    upstream: SocketAddr,
    request: Request<Full<Bytes>>,
    chain: &mut Chain,
) -> Fallible<(hyper::http::response::Parts, Bytes)> {
    if chain.upstream.as_ref().is_none_or(SendRequest::is_closed) {
        let stream = TcpStream::connect(upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        chain.upstream = Some(sender);
    }
    let sender = chain.upstream.as_mut().ok_or("no connection to the tool")?;
    sender.ready().await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok((head, body.collect().await?.to_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().map_or('0', char::from);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
