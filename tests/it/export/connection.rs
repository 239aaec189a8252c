//! What all destinations that speak HTTP do the same: a private authority, a client certificate, a forward proxy with a
//! credential of its own. And a JSON Schema of the operator's over such a connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use countersign::export::{Formatter, SendError};
use http::{Response, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::aws_streams::{self, Kind, Stream};
use super::compliance::{CANARY, batch, build};
use super::stub::{Protocol, Stub};
use super::{chronicle, datadog, elasticsearch, otlp, s3, sentinel, splunk_hec, webhook};
use crate::harness::{Folder, Received, respond};

/// An authority, what it gave to the server, and what it gave to us.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Certificate and key, PEM.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes `ca.pem`, `client.pem` and `client.key`.
    fn write(&self, folder: &Folder) {
        let (certificate, key) = self.issue();
        for (name, text) in [("ca.pem", self.issuer.pem()), ("client.pem", certificate), ("client.key", key)] {
            std::fs::write(folder.0.join(name), text).unwrap();
        }
    }

    /// TLS in front of a receiver; with `strict` nobody gets in without a certificate of this authority.
    async fn front(&self, behind: SocketAddr, strict: bool) -> SocketAddr {
        let (certificate, key) = self.issue();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.issuer.pem().as_bytes()).unwrap()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = match strict {
            true => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.unwrap().with_client_cert_verifier(verifier)
            }
            false => builder.unwrap().with_no_client_auth(),
        };
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let mut inside = TcpStream::connect(behind).await.unwrap();
                    copy_bidirectional(&mut outside, &mut inside).await.ok();
                });
            }
        });
        address
    }
}

/// A forward proxy that tunnels for whoever shows the canary. Returns its address and what it was asked for.
async fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
                if !head.to_lowercase().contains(&format!("proxy-authorization: {CANARY}\r\n")) {
                    stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
                    return;
                }
                heard.lock().unwrap().push(target.clone());
                let mut onward = TcpStream::connect(target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                copy_bidirectional(&mut stream, &mut onward).await.ok();
            });
        }
    });
    (address, asked)
}

/// The destination of each protocol as its own test configures it. Of so many calls to streams of AWS one takes half.
pub(super) async fn everywhere(folder: &Folder, shaky: u64) -> Vec<(&'static str, Stub, String)> {
    let mut all = Vec::new();
    let stub = Stub::start(webhook::Endpoint).await;
    let exporter = webhook::exporter(&stub, "");
    all.push(("webhook", stub, exporter));
    let stub = Stub::start(splunk_hec::Hec::default()).await;
    let exporter = splunk_hec::exporter(&stub, folder, "");
    all.push(("splunk_hec", stub, exporter));
    let stub = Stub::start(elasticsearch::Cluster::default()).await;
    let exporter = elasticsearch::exporter(&stub, folder, "");
    all.push(("elasticsearch", stub, exporter));
    let stub = Stub::start(otlp::Collector).await;
    let exporter = otlp::exporter(&stub, folder, "http/json");
    all.push(("otlp", stub, exporter));
    let stub = Stub::start(s3::Store::default()).await;
    let exporter = s3::exporter(&stub, folder);
    all.push(("s3", stub, exporter));
    let stub = Stub::start(sentinel::Sentinel::default()).await;
    let exporter = sentinel::application(&stub, folder);
    all.push(("sentinel", stub, exporter));
    let stub = Stub::start(datadog::Intake).await;
    let exporter = datadog::exporter(&stub, folder, "");
    all.push(("datadog", stub, exporter));
    let stub = Stub::start(chronicle::SecOps::default()).await;
    let exporter = chronicle::exporter(&stub, &chronicle::metadata(&stub), ", forwarder: f1, log_type: AARM_CUSTOM");
    all.push(("chronicle", stub, exporter));
    for (name, kind) in [("aws_kinesis", Kind::Kinesis), ("aws_firehose", Kind::Firehose)] {
        let stub = Stub::start(Stream::new(kind, shaky)).await;
        let exporter = aws_streams::exporter(kind, &stub, &aws_streams::keys(folder, CANARY));
        all.push((name, stub, exporter));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_certificates_and_proxies_are_the_same_for_all_http_destinations() {
    let (folder, authority, (proxy, asked)) = (Folder::new(), Authority::new(), proxy().await);
    authority.write(&folder);
    let file = |name: &str| folder.0.join(name).display().to_string();
    let ours =
        format!("ca: '{}', certificate: '{}', key: '{}'", file("ca.pem"), file("client.pem"), file("client.key"));
    let through = |token: &str| format!("url: 'http://{proxy}', authorization: {{ file: '{token}' }}");
    std::fs::write(folder.0.join("proxy"), CANARY).unwrap();
    std::fs::write(folder.0.join("wrong"), "another-word").unwrap();
    for (name, stub, exporter) in everywhere(&folder, 0).await {
        let front = authority.front(stub.address, true).await;
        let secure =
            exporter.replace(&format!("http://{}", stub.address), &format!("https://localhost:{}", front.port()));
        let with = |tls: &str, proxy: &str| {
            let http = format!("http: {{ timeout_ms: 4000, tls: {{ {tls} }}{proxy} }}");
            if secure.contains("http: { timeout_ms: 400 }") {
                build(&folder, &secure.replace("http: { timeout_ms: 400 }", &http)).unwrap()
            } else {
                panic!("{name}: {secure}")
            }
        };
        let proxied = |secret: &str| format!(", proxy: {{ {} }}", through(&file(secret)));
        let sent = with(&ours, &proxied("proxy")).send(&batch(0..2)).await;
        sent.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stub.taken().len(), 2, "{name}");
        let target = format!("localhost:{}", front.port());
        assert!(asked.lock().unwrap().contains(&target), "{name} went past the proxy");
        for (what, destination) in [
            ("an authority that nobody named", with("", &proxied("proxy"))),
            ("no certificate of ours", with(&format!("ca: '{}'", file("ca.pem")), &proxied("proxy"))),
            ("another word to the proxy", with(&ours, &proxied("wrong"))),
        ] {
            let error = destination.send(&batch(2..4)).await.err().unwrap_or_else(|| panic!("{name}: {what}: taken"));
            assert!(matches!(error, SendError::Later { .. }), "{name}: {what}: {error}");
            assert!(!error.to_string().contains(CANARY), "{name}: {what}: {error}");
        }
        assert_eq!(stub.taken().len(), 2, "{name}");
    }
}

/// A page with a JSON Schema.
struct Page;

impl Protocol for Page {
    fn answer(&self, _request: &Received) -> (Response<countersign::net::Body>, Vec<String>) {
        (respond(StatusCode::OK, r#"{"type":"object","required":["event_id"]}"#), Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_7_a_schema_comes_over_tls_once_and_is_pinned() {
    let (folder, authority, stub) = (Folder::new(), Authority::new(), Stub::start(Page).await);
    authority.write(&folder);
    let front = authority.front(stub.address, false).await;
    let settings = |http: &str| {
        let text = format!(
            "telemetry: {{ schema: custom, schema_url: 'https://localhost:{}/events.json'{http}, exporters: [ {{ type: stdout }} ] }}",
            front.port()
        );
        countersign::config::parse(&text, &folder.0.join("countersign.yaml")).unwrap().telemetry.schema_settings()
    };
    let trusted = settings(&format!(", schema_http: {{ tls: {{ ca: '{}' }} }}", folder.0.join("ca.pem").display()));
    assert!(Formatter::new(&settings(""), &folder.0).is_err(), "an authority that nobody named");
    Formatter::new(&trusted, &folder.0).unwrap();
    Formatter::new(&trusted, &folder.0).unwrap();
    assert_eq!(stub.requests().len(), 1, "fetched once");
}
