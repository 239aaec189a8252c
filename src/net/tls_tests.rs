//! TLS over loopback with a private authority made here.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::scratch::Scratch;
use super::*;
use crate::model::{Clock, ManualClock, Timestamp};

struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, usage: ExtendedKeyUsagePurpose) -> Pair {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)))
}

fn server_tls(scratch: &Scratch, client_ca: Option<PathBuf>) -> ServerTls {
    ServerTls {
        certificate: scratch.path("certificate.pem"),
        key: scratch.path("key.pem"),
        client_ca,
        client_certificate: ClientCertificate::Required,
    }
}

fn install(scratch: &Scratch, pair: &Pair, modified_s: u64) {
    scratch.write_at("certificate.pem", &pair.certificate, modified_s);
    scratch.write_at("key.pem", &pair.key, modified_s);
}

/// One connection: the certificate that the client saw and the one that the server saw.
async fn connect(
    server: &Arc<ServerConfig>,
    client: &ClientTls,
) -> std::io::Result<(CertificateDer<'static>, Option<CertificateDer<'static>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (connector, address) = (TlsConnector::from(Arc::new(client.build().unwrap())), listener.local_addr()?);
    let acceptor = TlsAcceptor::from(Arc::clone(server));
    let accepted = async {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        stream.write_all(b"x").await?;
        stream.flush().await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        std::io::Result::Ok(stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned()))
    };
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
        stream.read_u8().await?;
        std::io::Result::Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
    };
    let (seen_by_server, seen_by_client) = tokio::join!(accepted, connected);
    Ok((seen_by_client?, seen_by_server?))
}

#[tokio::test]
async fn only_the_private_authority_counts() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    install(&scratch, &authority.issue(ExtendedKeyUsagePurpose::ServerAuth), 1);
    let server = server_tls(&scratch, None).build(clock()).unwrap();
    let trusting = ClientTls { ca: Some(scratch.write("ca.pem", authority.0.pem())), ..ClientTls::default() };
    assert!(connect(&server, &trusting).await.is_ok());
    let other = ClientTls { ca: Some(scratch.write("other.pem", Authority::new().0.pem())), ..ClientTls::default() };
    assert!(connect(&server, &other).await.is_err());
}

#[tokio::test]
async fn a_changed_certificate_is_served_and_a_bad_one_is_not() {
    let (scratch, authority, clock) = (Scratch::new(), Authority::new(), clock());
    let client = ClientTls { ca: Some(scratch.write("ca.pem", authority.0.pem())), ..ClientTls::default() };
    install(&scratch, &authority.issue(ExtendedKeyUsagePurpose::ServerAuth), 1);
    let server = server_tls(&scratch, None).build(Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let (first, _) = connect(&server, &client).await.unwrap();

    let second_pair = authority.issue(ExtendedKeyUsagePurpose::ServerAuth);
    install(&scratch, &second_pair, 2);
    let (still_first, _) = connect(&server, &client).await.unwrap();
    assert_eq!(still_first, first, "not looked at before the interval is over");
    clock.advance_micros(2_000_000);
    let (second, _) = connect(&server, &client).await.unwrap();
    assert_ne!(second, first);

    // Half of a rotation: the new certificate is there, its key is not yet.
    let third_pair = authority.issue(ExtendedKeyUsagePurpose::ServerAuth);
    scratch.write_at("certificate.pem", &third_pair.certificate, 3);
    clock.advance_micros(2_000_000);
    assert_eq!(connect(&server, &client).await.unwrap().0, second);
    scratch.write_at("certificate.pem", "no certificate", 4);
    clock.advance_micros(2_000_000);
    assert_eq!(connect(&server, &client).await.unwrap().0, second);
    std::fs::remove_file(scratch.path("certificate.pem")).unwrap();
    clock.advance_micros(2_000_000);
    assert_eq!(connect(&server, &client).await.unwrap().0, second);

    install(&scratch, &third_pair, 5);
    clock.advance_micros(2_000_000);
    let (third, _) = connect(&server, &client).await.unwrap();
    assert!(third != second && third != first);
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_and_seen() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    install(&scratch, &authority.issue(ExtendedKeyUsagePurpose::ServerAuth), 1);
    let ca = scratch.write("ca.pem", authority.0.pem());
    let server = server_tls(&scratch, Some(ca.clone())).build(clock()).unwrap();
    let with = |pair: Pair| ClientTls {
        ca: Some(ca.clone()),
        certificate: Some(scratch.write("client.pem", pair.certificate)),
        key: Some(scratch.write("client-key.pem", pair.key)),
    };
    let good = with(authority.issue(ExtendedKeyUsagePurpose::ClientAuth));
    assert!(connect(&server, &good).await.unwrap().1.is_some());
    let none = ClientTls { ca: Some(ca.clone()), ..ClientTls::default() };
    assert!(connect(&server, &none).await.is_err());
    let foreign = with(Authority::new().issue(ExtendedKeyUsagePurpose::ClientAuth));
    assert!(connect(&server, &foreign).await.is_err());
    let mut optional = server_tls(&scratch, Some(ca.clone()));
    optional.client_certificate = ClientCertificate::Optional;
    let server = optional.build(clock()).unwrap();
    assert_eq!(connect(&server, &none).await.unwrap().1, None);
    assert!(connect(&server, &foreign).await.is_err());
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    let refused = |tls: &ServerTls| tls.build(clock()).unwrap_err();
    assert!(
        matches!(refused(&server_tls(&scratch, None)), TlsError::Read { path, .. } if path.ends_with("certificate.pem"))
    );
    let pair = authority.issue(ExtendedKeyUsagePurpose::ServerAuth);
    install(
        &scratch,
        &Pair { certificate: pair.certificate.clone(), key: Authority::new().0.key().serialize_pem() },
        1,
    );
    assert!(matches!(refused(&server_tls(&scratch, None)), TlsError::Pair { .. }));
    install(&scratch, &Pair { certificate: String::new(), key: pair.key.clone() }, 1);
    assert!(matches!(refused(&server_tls(&scratch, None)), TlsError::NoCertificate(_)));
    install(&scratch, &pair, 1);
    let certificate = Some(scratch.path("certificate.pem"));
    let half = ClientTls { ca: certificate.clone(), certificate, key: None };
    assert!(matches!(half.build(), Err(TlsError::Half(_))));
}

#[tokio::test]
async fn the_http_client_speaks_tls_and_stops_at_the_limit() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    install(&scratch, &authority.issue(ExtendedKeyUsagePurpose::ServerAuth), 1);
    let server = TlsAcceptor::from(server_tls(&scratch, None).build(clock()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let serving = tokio::spawn(async move {
        let mut heads = Vec::new();
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        ] {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = server.accept(stream).await.unwrap();
            let mut head = vec![0; 4_096];
            let length = stream.read(&mut head).await.unwrap();
            heads.push(String::from_utf8_lossy(&head[..length]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        heads
    });
    let tls = ClientTls { ca: Some(scratch.write("ca.pem", authority.0.pem())), ..ClientTls::default() };
    let client = HttpClient { tls, ..HttpClient::default() }.build().unwrap();
    let answer = client.get(&url).header("connection", "close").send().await.unwrap();
    assert!(matches!(read_body(answer, 4).await, Err(BodyReadError::TooLarge(4))));
    let redirect = client.get(&url).send().await.unwrap();
    assert_eq!(redirect.status(), 302, "redirects are answers, not orders");
    let heads = serving.await.unwrap();
    assert!(heads[0].contains(&format!("user-agent: {USER_AGENT}")), "{}", heads[0]);
}
