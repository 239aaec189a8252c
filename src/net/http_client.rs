//! The one way to an HTTP client: for key sets of issuers, resolvers, notifiers and destinations.
//!
//! Every client has time limits, follows no redirect (a redirect could send a credential elsewhere), heeds no proxy
//! variables of the environment, and checks certificates. Bodies are read through [`read_body`], which stops at a limit.

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::{ClientTls, Secret, SecretError, SecretSource, TlsError};

/// What every request says about its sender.
pub const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// Idle connections kept a host: enough for a burst, few enough for a server that counts them.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Settings of a client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpClient {
    /// Milliseconds until a connection must stand.
    pub connect_timeout_ms: u64,
    /// Milliseconds until the whole answer must be there.
    pub timeout_ms: u64,
    /// Authorities and client certificate.
    pub tls: ClientTls,
    /// The forward proxy to go through. Without it, none.
    pub proxy: Option<HttpProxy>,
}

impl Default for HttpClient {
    /// 5 s to connect, 30 s for the answer.
    fn default() -> Self {
        Self { connect_timeout_ms: 5_000, timeout_ms: 30_000, tls: ClientTls::default(), proxy: None }
    }
}

/// A forward proxy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProxy {
    /// Where it is, without credentials.
    pub url: String,
    /// The value of `Proxy-Authorization`, if it wants one.
    #[serde(default)]
    pub authorization: Option<SecretSource>,
}

impl HttpClient {
    /// Makes the client.
    ///
    /// # Errors
    /// [`HttpClientError`]: a file or secret cannot be read, or the proxy's address is none.
    pub fn build(&self) -> Result<reqwest::Client, HttpClientError> {
        let builder = reqwest::Client::builder().tls_backend_preconfigured(self.tls.build()?);
        self.finish(builder)
    }

    /// As [`Self::build`], for receivers that speak HTTP/2 from the first byte, as gRPC does.
    ///
    /// # Errors
    /// As [`Self::build`].
    #[cfg(feature = "otlp-grpc")]
    pub fn build_http2(&self) -> Result<reqwest::Client, HttpClientError> {
        let mut tls = self.tls.build()?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        self.finish(reqwest::Client::builder().tls_backend_preconfigured(tls).http2_prior_knowledge())
    }

    fn finish(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpClientError> {
        let mut builder = builder
            .connect_timeout(Duration::from_millis(self.connect_timeout_ms))
            .timeout(Duration::from_millis(self.timeout_ms))
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(USER_AGENT)
            .no_proxy();
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.build()?);
        }
        builder.build().map_err(HttpClientError::Build)
    }
}

impl HttpProxy {
    fn build(&self) -> Result<reqwest::Proxy, HttpClientError> {
        let url = reqwest::Url::parse(&self.url).map_err(|_| HttpClientError::ProxyAddress)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HttpClientError::ProxyCredentials);
        }
        let proxy = reqwest::Proxy::all(url).map_err(|_| HttpClientError::ProxyAddress)?;
        match &self.authorization {
            None => Ok(proxy),
            Some(source) => Ok(proxy.custom_http_auth(header(&source.load()?)?)),
        }
    }
}

fn header(secret: &Secret) -> Result<HeaderValue, HttpClientError> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| HttpClientError::ProxyAuthorization)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a body of at most `bytes_max` bytes, counted after decompression.
///
/// # Errors
/// [`BodyReadError`] when it is longer or breaks off.
pub async fn read_body(mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, BodyReadError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > bytes_max {
            return Err(BodyReadError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The HTTP library refused the settings.
    #[error("set up the HTTP client")]
    Build(#[source] reqwest::Error),
    /// Not an address.
    #[error("the proxy's `url` is not a valid address")]
    ProxyAddress,
    /// The secret cannot stand in a header.
    #[error("the proxy's `authorization` cannot be sent as a header")]
    ProxyAuthorization,
    /// A secret in the configuration.
    #[error("the proxy's `url` holds credentials; name them under `authorization`")]
    ProxyCredentials,
    /// A secret could not be read.
    #[error("load a secret of the HTTP client")]
    Secret(#[from] SecretError),
    /// TLS cannot be set up.
    #[error("set up TLS of the HTTP client")]
    Tls(#[from] TlsError),
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyReadError {
    /// The connection broke off or took too long.
    #[error("read the body")]
    Receive(#[from] reqwest::Error),
    /// Longer than the limit, bytes.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_proxy(url: &str) -> Result<reqwest::Client, HttpClientError> {
        HttpClient { proxy: Some(HttpProxy { url: url.into(), authorization: None }), ..HttpClient::default() }.build()
    }

    #[test]
    fn a_proxy_holds_no_credentials() {
        assert!(with_proxy("http://127.0.0.1:3128").is_ok());
        let refused = with_proxy("http://user:s3cret@127.0.0.1:3128").unwrap_err();
        assert!(matches!(refused, HttpClientError::ProxyCredentials) && !refused.to_string().contains("s3cret"));
        assert!(matches!(with_proxy("not an address"), Err(HttpClientError::ProxyAddress)));
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_saphyr::from_str::<HttpClient>("{timeout_ms: 1, verify: false}").is_err());
        assert_eq!(serde_saphyr::from_str::<HttpClient>("{timeout_ms: 1}").unwrap().connect_timeout_ms, 5_000);
    }
}
