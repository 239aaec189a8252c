//! Sumo Logic: a hosted collector's HTTP source ("Upload Logs to an HTTP Source").
//!
//! The address of a source is its secret: it comes from a variable or a file, is read again for every batch, and stands
//! in no error. The service drops no repeats: the id is in each event.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::environment::secret;
use super::http::{BodyCompression, Outgoing, RotatingSecret, address, client, offload};
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::ExportError;
use crate::net::{HttpClient, SecretSource};

/// Bytes of a message that the service keeps together: longer ones are cut in pieces, which are no JSON any more.
const MESSAGE_BYTES_MAX: usize = 64_000;

/// A source of Sumo Logic.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumologicConfig {
    /// The variable that holds the address of the source; `SUMO_HTTP_SOURCE_URL` by default.
    pub url_env: Option<String>,
    /// Where the address of the source is; a file is read again for every batch.
    pub url: Option<SecretSource>,
    /// Source category (`X-Sumo-Category`); that of the source by default.
    pub category: Option<String>,
    /// Source host (`X-Sumo-Host`); the log's origin by default.
    pub host: Option<String>,
    /// Source name (`X-Sumo-Name`); that of the source by default.
    pub source_name: Option<String>,
    /// Fields of every event (`X-Sumo-Fields`). Those that the service does not know are dropped by it.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// How bodies are compressed.
    #[serde(default)]
    pub compression: BodyCompression,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

impl Settings for SumologicConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        let url = secret(name, "url", self.url.as_ref(), self.url_env.as_ref(), "SUMO_HTTP_SOURCE_URL")?;
        let url = RotatingSecret::open(name, &url)?;
        address(name, url.load().expose())?;
        if self.fields.iter().any(|(key, value)| format!("{key}{value}").contains([',', '='])) {
            return Err(ExportError::setting(name, "`fields` hold neither `,` nor `=`"));
        }
        Ok(Box::new(Sumologic {
            name: name.into(),
            url: Arc::new(url),
            headers: self.headers().map_err(|problem| ExportError::setting(name, problem))?,
            host_is_origin: self.host.is_none(),
            compression: self.compression,
            client: client(name, &self.http)?,
        }))
    }
}

impl SumologicConfig {
    /// What is said of every event.
    fn headers(&self) -> Result<HeaderMap, String> {
        let fields = self.fields.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        let given = [
            ("x-sumo-category", self.category.as_deref()),
            ("x-sumo-host", self.host.as_deref()),
            ("x-sumo-name", self.source_name.as_deref()),
            ("x-sumo-fields", Some(fields.as_str()).filter(|fields| !fields.is_empty())),
        ];
        let headers = given.into_iter().filter_map(|(name, value)| {
            let value = HeaderValue::from_str(value?).map_err(|_| format!("`{name}` cannot be sent as a header"));
            Some(value.map(|value| (HeaderName::from_static(name), value)))
        });
        headers.collect()
    }
}

struct Sumologic {
    name: String,
    url: Arc<RotatingSecret>,
    headers: HeaderMap,
    host_is_origin: bool,
    compression: BodyCompression,
    client: reqwest::Client,
}

impl Sumologic {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (url, compression) = (Arc::clone(&self.url), self.compression);
        let origin = batch.items.first().map(|item| Arc::clone(&item.origin)).filter(|_| self.host_is_origin);
        let encode = move || {
            let url = Url::parse(url.load().expose())
                .map_err(|_| SendError::Refused("the address of the source is none now".into()))?;
            Ok((url, Outgoing::new("application/json", batch.lines().into_bytes(), compression)?))
        };
        let (url, mut outgoing) = offload(encode).await?;
        outgoing.headers.extend(self.headers.clone());
        if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(&origin).ok()) {
            outgoing.headers.insert("x-sumo-host", origin);
        }
        let answer = outgoing.post(&self.client, url).await?;
        if answer.status.is_success() { Ok(Delivery::default()) } else { Err(answer.failure()) }
    }
}

impl Destination for Sumologic {
    fn name(&self) -> &str {
        &self.name
    }

    /// The service asks for requests of 100 KB to 1 MB before compression.
    fn limits(&self) -> Limits {
        Limits { bytes_max: 950_000, event_bytes_max: MESSAGE_BYTES_MAX, overhead: 1, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
