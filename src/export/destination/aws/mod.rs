//! What the destinations at AWS share: who we are ([`credentials`]), where we are, and signed requests ([`sigv4`]).

mod credentials;
mod instance;
mod profile;
mod records;
mod sigv4;
mod source;
mod web_identity;

use std::sync::Arc;

use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Url};
use sha2::{Digest as _, Sha256};

use super::SendError;
use super::environment::variable;
use super::http::{ANSWER_BYTES_MAX, Answer, address, client, exchange_within};
use crate::export::ExportError;
use crate::model::Clock;
use crate::net::{HttpClient, SystemClock};
use credentials::Credentials;
pub(super) use records::{RecordAnswer, sort};
use sigv4::Signer;
use source::Variables;
pub use source::{AwsCredentials, AwsWebIdentity};

/// The region when nothing names one.
const REGION: &str = "us-east-1";

/// One service in one region, as far as all of its callers are the same.
pub(super) struct Service {
    endpoint: Url,
    region: String,
    service: &'static str,
    credentials: Credentials,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// What a service is opened with, from the keys of its destination.
pub(super) struct ServiceConfig<'a> {
    /// Its name in signatures, and in its host's name.
    pub(super) service: &'static str,
    pub(super) region: Option<&'a str>,
    pub(super) endpoint: Option<&'a str>,
    pub(super) credentials: &'a AwsCredentials,
    pub(super) http: &'a HttpClient,
}

/// The region that is configured, else that of the variables of AWS.
fn region(configured: Option<&str>, variables: Variables<'_>) -> String {
    let given = configured.map(str::to_owned);
    let named = || variables("AWS_REGION").or_else(|| variables("AWS_DEFAULT_REGION"));
    given.or_else(named).unwrap_or_else(|| REGION.into())
}

impl Service {
    /// # Errors
    /// [`ExportError`]: an address is none, or what says who we are cannot be used.
    pub(super) fn open(name: &str, config: &ServiceConfig<'_>) -> Result<Self, ExportError> {
        let (service, region) = (config.service, region(config.region, &variable));
        let partition = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let usual = || format!("https://{service}.{region}.{partition}");
        let endpoint = config.endpoint.map_or_else(usual, str::to_owned);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Ok(Self {
            endpoint: address(name, &endpoint)?,
            credentials: Credentials::open(name, config, &region, Arc::clone(&clock))?,
            client: client(name, config.http)?,
            region,
            service,
            clock,
        })
    }

    pub(super) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Signs a request whose body has this SHA-256, sends it, and reads the answer.
    ///
    /// # Errors
    /// [`SendError`]: there are no keys now, or no answer.
    pub(super) async fn send(&self, request: RequestBuilder, body_hash: &[u8; 32]) -> Result<Answer, SendError> {
        self.send_within(request, body_hash, ANSWER_BYTES_MAX).await
    }

    /// As [`Self::send`], with an answer of at most this many bytes.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(super) async fn send_within(
        &self,
        request: RequestBuilder,
        body_hash: &[u8; 32],
        bytes_max: usize,
    ) -> Result<Answer, SendError> {
        let mut request = request.build().map_err(|error| SendError::Refused(error.without_url().to_string()))?;
        let keys = self.credentials.load().await?;
        let signer = Signer { keys: &keys, region: &self.region, service: self.service, now: self.clock.now() };
        signer.sign(&mut request, body_hash).map_err(SendError::Refused)?;
        let answer = exchange_within(RequestBuilder::from_parts(self.client.clone(), request), bytes_max).await?;
        if matches!(answer.status.as_u16(), 400 | 401 | 403) {
            self.credentials.forget().await;
        }
        Ok(answer)
    }

    /// Calls an operation of a service that speaks JSON 1.1. `target`: `Kinesis_20131202.PutRecords`.
    ///
    /// # Errors
    /// [`SendError`]: no answer, or one of failure, in its class.
    pub(super) async fn call(&self, target: &'static str, body: Vec<u8>) -> Result<Answer, SendError> {
        let hash = Sha256::digest(&body).into();
        let request = self.client.post(self.endpoint.clone()).header("x-amz-target", target);
        let answer = self.send(request.header(CONTENT_TYPE, "application/x-amz-json-1.1").body(body), &hash).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(failure(&answer)) }
    }
}

/// Services at AWS never find fault with events: what they refuse is the request, the clock, or who asks.
pub(super) fn failure(answer: &Answer) -> SendError {
    const PASSING: [&str; 8] = [
        "ExpiredToken",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "OperationAborted",
        "Throttl",
        "ProvisionedThroughputExceeded",
        "LimitExceeded",
        "ServiceUnavailable",
    ];
    let problem = answer.problem();
    match answer.status.as_u16() {
        400 | 403 if PASSING.iter().any(|code| problem.contains(code)) => {
            SendError::Later { problem, retry_after: answer.retry_after() }
        }
        400 => SendError::Refused(problem),
        _ => answer.failure(),
    }
}
