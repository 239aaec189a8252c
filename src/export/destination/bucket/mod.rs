//! A bucket, as everything that stores objects uses it: objects are created once, read, and listed.

mod listing;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::SendError;
use super::http::{Answer, address, client, exchange, exchange_within};
use super::s3::credentials::Credentials;
use super::s3::sigv4::Signer;
use super::s3::{S3Credentials, S3LockMode};
use crate::export::ExportError;
use crate::model::Clock;
use crate::net::{HttpClient, SystemClock};
use listing::Page;

/// The largest object that is read back, in bytes: a bundle of the log has at most 16 MiB.
const OBJECT_BYTES_MAX: usize = 32 << 20;

/// Names that one listing may have: ten million entries of a log are in 80,000 files.
const NAMES_MAX: usize = 1_000_000;

/// How a bucket is reached, and how long what is in it stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Options {
    /// Its region; that of the variable `AWS_REGION`, else `us-east-1`.
    pub region: Option<String>,
    /// Another store that speaks S3, `https://HOST[:PORT]`.
    pub endpoint: Option<String>,
    /// Who we are; from the usual variables by default.
    pub credentials: S3Credentials,
    /// Days that an object must not be deleted (Object Lock); the bucket's own default by default.
    pub lock_days: Option<u32>,
    /// Whether not even the account's owner may shorten that: `compliance`, else `governance`.
    pub lock_mode: S3LockMode,
    /// The connection.
    pub http: HttpClient,
}

/// What an object holds.
#[derive(Clone, Debug)]
pub(in crate::export) struct Body {
    bytes: Vec<u8>,
    content_type: &'static str,
    encoding: Option<HeaderValue>,
    hash: [u8; 32],
}

impl Body {
    pub(in crate::export) fn new(bytes: Vec<u8>, content_type: &'static str, encoding: Option<HeaderValue>) -> Self {
        let hash = Sha256::digest(&bytes).into();
        Self { bytes, content_type, encoding, hash }
    }
}

/// What became of an object that was to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::export) enum Created {
    /// It was not there.
    New,
    /// One of that name was there, and stays as it was.
    Before,
}

/// One bucket of one store.
pub(in crate::export) struct Bucket {
    url: Url,
    credentials: Credentials,
    region: String,
    lock: Option<(S3LockMode, u32)>,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Bucket {
    /// Nothing is sent.
    ///
    /// # Errors
    /// [`ExportError`]: a name, an address or a secret cannot be used.
    pub(in crate::export) fn open(name: &str, bucket: &str, options: &S3Options) -> Result<Self, ExportError> {
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty() || !bucket.chars().all(named) {
            return Err(ExportError::setting(name, format!("`{bucket}` is not the name of a bucket")));
        }
        let region = options.region.clone().or_else(|| std::env::var("AWS_REGION").ok());
        let region = region.unwrap_or_else(|| "us-east-1".into());
        // Path style works everywhere, and with names that no certificate covers.
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = || variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
        let endpoint =
            options.endpoint.clone().or_else(named).unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let client = client(name, &options.http)?;
        let mut url = address(name, &endpoint)?;
        match url.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().push(bucket),
            Err(()) => return Err(ExportError::setting(name, "`endpoint` cannot have a path")),
        };
        Ok(Self {
            url,
            credentials: Credentials::open(name, &options.credentials, client.clone())?,
            region,
            lock: options.lock_days.map(|days| (options.lock_mode, days)),
            client,
            clock: Arc::new(SystemClock::new()),
        })
    }

    /// Creates an object, unless there is one of that name.
    ///
    /// # Errors
    /// [`SendError`].
    pub(in crate::export) async fn create(&self, key: &str, body: Body) -> Result<Created, SendError> {
        let mut request = self.client.put(self.object(key)?).body(body.bytes);
        request = request.header(CONTENT_TYPE, body.content_type).header(IF_NONE_MATCH, "*");
        // Both required with Object Lock; and it finds bytes that were changed on the way.
        request = request.header("x-amz-sdk-checksum-algorithm", "SHA256");
        request = request.header("x-amz-checksum-sha256", BASE64_STANDARD.encode(body.hash));
        if let Some(encoding) = body.encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        if let Some((mode, days)) = self.lock {
            let mode = match mode {
                S3LockMode::Compliance => "COMPLIANCE",
                S3LockMode::Governance => "GOVERNANCE",
            };
            let until = self.clock.now().plus_micros(u64::from(days) * 86_400_000_000).to_rfc3339_millis();
            // Whole seconds: some stores that speak S3 read nothing else.
            let until = format!("{}Z", until.split('.').next().unwrap_or_default());
            request =
                request.header("x-amz-object-lock-mode", mode).header("x-amz-object-lock-retain-until-date", until);
        }
        let answer = exchange(self.signed(request, &body.hash).await?).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Created::New),
            412 => Ok(Created::Before),
            _ => Err(self.failed(&answer).await),
        }
    }

    /// An object; `None` when there is none.
    ///
    /// # Errors
    /// [`SendError`].
    pub(in crate::export) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SendError> {
        let request = self.signed(self.client.get(self.object(key)?), &Sha256::digest([]).into()).await?;
        let answer = exchange_within(request, OBJECT_BYTES_MAX).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Some(answer.body)),
            // Without the right to list, what is not there is forbidden: that one is an error.
            404 if !answer.problem().contains("NoSuchBucket") => Ok(None),
            _ => Err(self.failed(&answer).await),
        }
    }

    /// The names that begin with `prefix`; with `folders`, each up to its next slash and once.
    ///
    /// # Errors
    /// [`SendError`].
    pub(in crate::export) async fn list(&self, prefix: &str, folders: bool) -> Result<Vec<String>, SendError> {
        let (mut names, mut token) = (Vec::new(), None);
        loop {
            let mut url = self.url.clone();
            url.set_query(Some(&Page::query(prefix, folders, token.as_deref())));
            let request = self.signed(self.client.get(url), &Sha256::digest([]).into()).await?;
            let answer = exchange_within(request, OBJECT_BYTES_MAX).await?;
            if !answer.status.is_success() {
                return Err(self.failed(&answer).await);
            }
            let page = Page::read(&String::from_utf8_lossy(&answer.body), folders);
            names.extend(page.names);
            token = page.next;
            if token.is_none() {
                return Ok(names);
            }
            if names.len() > NAMES_MAX {
                return Err(SendError::Refused(format!("more than {NAMES_MAX} objects begin with `{prefix}`")));
            }
        }
    }

    fn object(&self, key: &str) -> Result<Url, SendError> {
        let mut url = self.url.clone();
        match url.path_segments_mut() {
            Ok(mut path) => path.extend(key.split('/')),
            Err(()) => return Err(SendError::Refused("the endpoint cannot have a path".into())),
        };
        Ok(url)
    }

    async fn signed(&self, request: RequestBuilder, hash: &[u8; 32]) -> Result<RequestBuilder, SendError> {
        let mut request = request.build().map_err(|error| SendError::Refused(error.without_url().to_string()))?;
        let keys = self.credentials.load().await?;
        let signer = Signer { keys: &keys, region: &self.region, service: "s3", now: self.clock.now() };
        signer.sign(&mut request, hash).map_err(SendError::Refused)?;
        Ok(RequestBuilder::from_parts(self.client.clone(), request))
    }

    async fn failed(&self, answer: &Answer) -> SendError {
        self.credentials.forget().await;
        failure(answer)
    }
}

/// S3 never finds fault with events: what it refuses is the request, the clock, or who asks.
fn failure(answer: &Answer) -> SendError {
    const PASSING: [&str; 4] = ["ExpiredToken", "RequestTimeTooSkewed", "RequestTimeout", "OperationAborted"];
    let problem = answer.problem();
    match answer.status.as_u16() {
        400 | 403 if PASSING.iter().any(|code| problem.contains(code)) => SendError::later(problem),
        400 => SendError::Refused(problem),
        _ => answer.failure(),
    }
}
