//! A bucket, as everything that stores objects uses it: objects are created once, read, and listed.

mod listing;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::SendError;
use super::aws::{AwsCredentials, Service, ServiceConfig, failure};
use super::environment::variable;
use super::http::Answer;
use super::s3::S3LockMode;
use crate::export::ExportError;
use crate::net::HttpClient;
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
    pub credentials: AwsCredentials,
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
    service: Service,
    lock: Option<(S3LockMode, u32)>,
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
        // Path style works everywhere, and with names that no certificate covers.
        let named = || variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
        let endpoint = options.endpoint.clone().or_else(named);
        let service = ServiceConfig {
            service: "s3",
            region: options.region.as_deref(),
            endpoint: endpoint.as_deref(),
            credentials: &options.credentials,
            http: &options.http,
        };
        let service = Service::open(name, &service)?;
        let mut url = service.endpoint().clone();
        match url.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().push(bucket),
            Err(()) => return Err(ExportError::setting(name, "`endpoint` cannot have a path")),
        };
        Ok(Self { url, service, lock: options.lock_days.map(|days| (options.lock_mode, days)) })
    }

    /// Creates an object, unless there is one of that name.
    ///
    /// # Errors
    /// [`SendError`].
    pub(in crate::export) async fn create(&self, key: &str, body: Body) -> Result<Created, SendError> {
        let mut request = self.service.client().put(self.object(key)?).body(body.bytes);
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
            let until = self.service.clock().now().plus_micros(u64::from(days) * 86_400_000_000).to_rfc3339_millis();
            // Whole seconds: some stores that speak S3 read nothing else.
            let until = format!("{}Z", until.split('.').next().unwrap_or_default());
            request =
                request.header("x-amz-object-lock-mode", mode).header("x-amz-object-lock-retain-until-date", until);
        }
        let answer = self.service.send(request, &body.hash).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Created::New),
            412 => Ok(Created::Before),
            _ => Err(failure(&answer)),
        }
    }

    /// An object; `None` when there is none.
    ///
    /// # Errors
    /// [`SendError`].
    pub(in crate::export) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SendError> {
        let answer = self.read(self.object(key)?).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Some(answer.body)),
            // Without the right to list, what is not there is forbidden: that one is an error.
            404 if !answer.problem().contains("NoSuchBucket") => Ok(None),
            _ => Err(failure(&answer)),
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
            let answer = self.read(url).await?;
            if !answer.status.is_success() {
                return Err(failure(&answer));
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

    async fn read(&self, url: Url) -> Result<Answer, SendError> {
        let request = self.service.client().get(url);
        self.service.send_within(request, &Sha256::digest([]).into(), OBJECT_BYTES_MAX).await
    }
}
