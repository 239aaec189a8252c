//! TLS on the listener and towards servers: one implementation (rustls), one provider (aws-lc-rs), handed over
//! explicitly, so that no process-wide default decides.
//!
//! Certificates are always checked; there is no switch to turn that off. TLS 1.2 and 1.3 only.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Deserialize;

use super::tls_reload::ReloadingCertificate;
use crate::model::Clock;

/// Largest PEM file, bytes: the certificate bundles of operating systems are about 250 KiB.
const PEM_BYTES_MAX: u64 = 2 << 20;

/// The application protocol both sides speak: the data plane is HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// The one provider of cryptography.
#[must_use]
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// PEM file: the certificate, then its chain. Read again when it changes.
    pub certificate: PathBuf,
    /// PEM file: the private key. Read again when it changes.
    pub key: PathBuf,
    /// PEM file: the authorities whose client certificates are accepted. Without it none is asked for. Read once.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether a client must show a certificate, when `client_ca` is set.
    #[serde(default)]
    pub client_certificate: ClientCertificate,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// A client without one may still connect; a bad one is refused.
    Optional,
    /// No connection without one.
    #[default]
    Required,
}

impl ServerTls {
    /// Reads the files and makes the listener's configuration. `clock` decides when the files are looked at again.
    ///
    /// # Errors
    /// [`TlsError`] names the file that cannot be used.
    pub fn build(&self, clock: Arc<dyn Clock>) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = crypto_provider();
        let certificate = ReloadingCertificate::load(&self.certificate, &self.key, clock)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(self.verifier(path, provider)?),
        };
        let mut config = builder.with_cert_resolver(Arc::new(certificate));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }

    fn verifier(&self, path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let roots = Arc::new(read_authorities(path)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = match self.client_certificate {
            ClientCertificate::Optional => builder.allow_unauthenticated(),
            ClientCertificate::Required => builder,
        };
        builder.build().map_err(|source| TlsError::Authorities { path: path.into(), source: Box::new(source) })
    }
}

/// TLS towards a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// PEM file: the only authorities that count for this server. Without it, those of the operating system.
    pub ca: Option<PathBuf>,
    /// PEM file: the certificate to show, then its chain. Needs `key`. Read once.
    pub certificate: Option<PathBuf>,
    /// PEM file: the private key of `certificate`.
    pub key: Option<PathBuf>,
}

impl ClientTls {
    /// Reads the files and makes the configuration for connections to a server.
    ///
    /// # Errors
    /// [`TlsError`] names the file that cannot be used, or says that the operating system offers no authorities.
    pub fn build(&self) -> Result<ClientConfig, TlsError> {
        let provider = crypto_provider();
        let roots = Arc::new(match &self.ca {
            Some(path) => read_authorities(path)?,
            None => native_authorities()?,
        });
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().map_err(|source| {
                TlsError::Authorities { path: self.ca.clone().unwrap_or_default(), source: Box::new(source) }
            })?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?
            .with_webpki_verifier(verifier);
        let mut config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(read_certificates(certificate)?, read_key(key)?)
                .map_err(|source| TlsError::Pair { certificate: certificate.clone(), key: key.clone(), source })?,
            (Some(path), None) | (None, Some(path)) => return Err(TlsError::Half(path.clone())),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

/// Reads a certificate with its chain and the key that belongs to it.
pub(super) fn read_pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    CertifiedKey::from_der(read_certificates(certificate)?, read_key(key)?, &PROVIDER)
        .map_err(|source| TlsError::Pair { certificate: certificate.into(), key: key.into(), source })
}

fn read_authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Authorities { path: path.into(), source: Box::new(source) })?;
    }
    Ok(roots)
}

fn native_authorities() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // The operating system's bundle may hold an authority that rustls cannot read; the others still count.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(|| "none is installed".to_owned(), ToString::to_string);
        return Err(TlsError::NoNativeAuthorities(why));
    }
    Ok(roots)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read_file(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::NoCertificate(path.into())),
        Ok(certificates) => Ok(certificates),
        Err(source) => Err(TlsError::Pem { path: path.into(), source: Box::new(source) }),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read_file(path)?;
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|source| TlsError::Pem { path: path.into(), source: Box::new(source) })
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > PEM_BYTES_MAX {
        return Err(TlsError::TooLarge(path.into()));
    }
    Ok(bytes)
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authorities cannot be used.
    #[error("use the authorities in `{path}`")]
    Authorities {
        /// The file; empty for those of the operating system.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate without a key, or a key without a certificate.
    #[error("`{0}` needs both `certificate` and `key`")]
    Half(PathBuf),
    /// The operating system offers no authorities.
    #[error("load the authorities of the operating system: {0}")]
    NoNativeAuthorities(String),
    /// The file holds no certificate.
    #[error("no certificate in `{0}`")]
    NoCertificate(PathBuf),
    /// The certificate and the key cannot be used together.
    #[error("use the certificate `{certificate}` with the key `{key}`")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Not PEM, or not of the wanted kind.
    #[error("read PEM in `{path}`")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<rustls::pki_types::pem::Error>,
    },
    /// The provider does not offer TLS 1.2 and 1.3.
    #[error("select the versions of TLS")]
    Provider(#[source] rustls::Error),
    /// The file could not be read.
    #[error("read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Larger than any PEM file should be.
    #[error("`{0}` is larger than 2 MiB")]
    TooLarge(PathBuf),
}
