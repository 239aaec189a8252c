//! The producer: made anew when the password changes or librdkafka gives up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::super::http::{RotatingSecret, either, offload};
use super::super::{Batch, Checking, Delivery, Destination, Limits, SendError, Sending};
use super::answer::{Trouble, is_refusal, sort};
use super::{KafkaCompression, KafkaConfig, SaslMechanism};
use crate::export::{ExportError, Item};
use crate::net::{ClientTls, Secret};

/// Time in which brokers must have confirmed an event.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same for Event Hubs, whose requests alone may take a minute.
const TIMEOUT_EVENT_HUBS: Duration = Duration::from_mins(2);

/// Longest wait for a look at the brokers.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of one request: brokers take 1 MiB unless told otherwise, Event Hubs 1,046,528.
const REQUEST_BYTES_MAX: usize = 1_000_000;

/// The user name that Event Hubs knows connection strings by.
const EVENT_HUBS_USER: &str = "$ConnectionString";

/// Opens the destination.
///
/// # Errors
/// [`ExportError`]: a setting or a secret cannot be used.
pub(super) fn open(config: &KafkaConfig, name: &str) -> Result<Box<dyn Destination>, ExportError> {
    let access = access(config, name)?;
    let settings = settings(config, &access, name);
    let secret = access.secret;
    let current = secret.as_ref().map(RotatingSecret::load);
    let ear = Ear::default();
    let producer = make(&settings, current.as_ref(), &ear);
    let producer = producer.map_err(|problem| ExportError::setting(name, problem))?;
    let live = Arc::new(Live { settings, secret, ear, producer: Mutex::new((current, producer)) });
    Ok(Box::new(Kafka { name: name.into(), topic: config.topic.clone(), live }))
}

/// Where the brokers are and how they know us.
struct Access {
    brokers: String,
    /// Mechanism and user.
    sasl: Option<(&'static str, String)>,
    secret: Option<RotatingSecret>,
    tls: Option<ClientTls>,
}

fn access(config: &KafkaConfig, name: &str) -> Result<Access, ExportError> {
    if let Some(hubs) = &config.event_hubs {
        if !config.brokers.is_empty() || config.sasl.is_some() {
            return Err(ExportError::setting(name, "`event_hubs` stands for `brokers` and `sasl`: take those out"));
        }
        let source =
            either(name, "connection_string", hubs.connection_string.as_ref(), hubs.connection_string_env.as_ref())?;
        let dotted = hubs.namespace.contains('.');
        let host = if dotted { hubs.namespace.clone() } else { format!("{}.servicebus.windows.net", hubs.namespace) };
        return Ok(Access {
            brokers: format!("{host}:9093"),
            sasl: Some(("PLAIN", EVENT_HUBS_USER.into())),
            secret: Some(RotatingSecret::open(name, &source)?),
            tls: Some(config.tls.clone().unwrap_or_default()),
        });
    }
    let is_address = |broker: &String| {
        broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if config.brokers.is_empty() || !config.brokers.iter().all(is_address) {
        return Err(ExportError::setting(name, "`brokers` is a list of HOST:PORT"));
    }
    let mut access = Access { brokers: config.brokers.join(","), sasl: None, secret: None, tls: config.tls.clone() };
    if let Some(sasl) = &config.sasl {
        if sasl.mechanism == SaslMechanism::Plain && config.tls.is_none() {
            return Err(ExportError::setting(name, "`mechanism: plain` shows the password to the network: add `tls`"));
        }
        let source = either(name, "password", sasl.password.as_ref(), sasl.password_env.as_ref())?;
        access.sasl = Some((mechanism(sasl.mechanism), sasl.username.clone()));
        access.secret = Some(RotatingSecret::open(name, &source)?);
    }
    Ok(access)
}

const fn mechanism(mechanism: SaslMechanism) -> &'static str {
    match mechanism {
        SaslMechanism::Plain => "PLAIN",
        SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
        SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
    }
}

/// All settings but the password.
fn settings(config: &KafkaConfig, access: &Access, name: &str) -> ClientConfig {
    let hubs = config.event_hubs.is_some();
    let timeout = if hubs { TIMEOUT_EVENT_HUBS } else { TIMEOUT };
    let timeout_ms = config.timeout_ms.map_or(timeout.as_millis(), u128::from);
    let compression = match config.compression {
        KafkaCompression::None => "none",
        _ if hubs => "none",
        KafkaCompression::Gzip => "gzip",
        KafkaCompression::Lz4 => "lz4",
        KafkaCompression::Snappy => "snappy",
    };
    let protocol = match (&access.sasl, &access.tls) {
        (None, None) => "plaintext",
        (None, Some(_)) => "ssl",
        (Some(_), None) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &access.brokers)
        .set("client.id", format!("countersign-{name}"))
        .set("security.protocol", protocol)
        // No repeats and no holes within a partition, whatever happens between us and the brokers (KIP-98).
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", timeout_ms.to_string())
        .set("message.max.bytes", REQUEST_BYTES_MAX.to_string())
        .set("compression.type", compression)
        // A batch is handed over as a whole, and then waited for: there is nothing else to gather.
        .set("linger.ms", "1")
        // The same partition for a key as Java producers choose.
        .set("partitioner", "murmur2_random")
        // A topic that is not there is a mistake, not a wish.
        .set("allow.auto.create.topics", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    if hubs {
        // What Event Hubs asks its clients for.
        settings.set("request.timeout.ms", "60000").set("metadata.max.age.ms", "180000");
        settings.set("connections.max.idle.ms", "180000").set("socket.keepalive.enable", "true");
    }
    if let Some((mechanism, user)) = &access.sasl {
        settings.set("sasl.mechanism", *mechanism).set("sasl.username", user);
    }
    if let Some(tls) = &access.tls {
        let path = |path: &std::path::Path| path.display().to_string();
        settings.set("ssl.ca.location", tls.ca.as_deref().map_or_else(|| "probe".into(), path));
        if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
            settings.set("ssl.certificate.location", path(certificate)).set("ssl.key.location", path(key));
        }
    }
    settings
}

type Client = FutureProducer<Ear>;

fn make(settings: &ClientConfig, secret: Option<&Secret>, ear: &Ear) -> Result<Client, String> {
    let mut settings = settings.clone();
    if let Some(secret) = secret {
        settings.set("sasl.password", secret.expose());
    }
    // The error names the setting, never its value.
    settings.create_with_context(ear.clone()).map_err(|error| match error {
        KafkaError::ClientConfig(_, problem, key, _) => format!("{key}: {problem}"),
        error => error.to_string(),
    })
}

/// Hears what librdkafka complains of between batches.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Option<Trouble>>>);

impl Ear {
    fn trouble(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ClientContext for Ear {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // That all brokers are gone follows from what was told before.
        if code == Some(Code::AllBrokersDown) {
            return;
        }
        let trouble = Trouble { problem: reason.to_owned(), is_refusal: code.is_some_and(is_refusal) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }
}

struct Kafka {
    name: String,
    topic: String,
    live: Arc<Live>,
}

/// The producer of this moment.
struct Live {
    settings: ClientConfig,
    secret: Option<RotatingSecret>,
    ear: Ear,
    producer: Mutex<(Option<Secret>, Client)>,
}

impl Live {
    /// The producer, made anew if the password has changed or librdkafka gave up. Reads the disk.
    fn producer(&self) -> Result<Client, SendError> {
        let secret = self.secret.as_ref().map(RotatingSecret::load);
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        let same = current.0.as_ref().map(Secret::expose) == secret.as_ref().map(Secret::expose);
        if !same || current.1.client().fatal_error().is_some() {
            let producer = make(&self.settings, secret.as_ref(), &self.ear).map_err(SendError::Refused)?;
            *current = (secret, producer);
        }
        Ok(current.1.clone())
    }
}

fn key(item: &Item) -> &str {
    item.session.as_deref().unwrap_or(&item.origin)
}

/// Hands a batch over and returns what reports on each event.
fn hand_over(
    producer: &Client,
    topic: &str,
    batch: &Batch,
) -> Vec<Result<rdkafka::producer::DeliveryFuture, KafkaError>> {
    let record = |item: &Arc<Item>| {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "event_id", value: Some(&item.id) })
            .insert(Header { key: "event_type", value: Some(item.event_type.as_str()) });
        let time = i64::try_from(item.time.as_micros() / 1_000).unwrap_or_default();
        let record = FutureRecord::to(topic).key(key(item)).payload(&item.rendered).headers(headers).timestamp(time);
        producer.send_result(record).map_err(|(error, _)| error)
    };
    batch.items.iter().map(record).collect()
}

impl Kafka {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (live, topic) = (Arc::clone(&self.live), self.topic.clone());
        let work = move || {
            let producer = live.producer()?;
            let reports = hand_over(&producer, &topic, &batch);
            Ok(reports)
        };
        let handed = offload(work).await?;
        let mut reports = Vec::with_capacity(handed.len());
        for report in handed {
            reports.push(match report {
                Err(error) => Err(error),
                Ok(report) => match report.await {
                    Ok(report) => report.map(drop).map_err(|(error, _)| error),
                    Err(_) => Err(KafkaError::Canceled),
                },
            });
        }
        if reports.iter().any(Result::is_ok) {
            self.live.ear.forget();
        }
        sort(&reports, self.live.ear.trouble().as_ref())
    }

    async fn look(&self) -> Result<Option<String>, SendError> {
        let (live, topic) = (Arc::clone(&self.live), self.topic.clone());
        let work = move || {
            let metadata = live.producer()?.client().fetch_metadata(Some(&topic), CHECK_TIMEOUT);
            let metadata = metadata.map_err(|error| SendError::later(error.to_string()))?;
            let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
            match partitions {
                0 => Err(SendError::Refused(format!("there is no topic `{topic}`"))),
                _ => Ok(Some(format!("{} brokers, {partitions} partitions", metadata.brokers().len()))),
            }
        };
        offload(work).await
    }
}

impl Destination for Kafka {
    fn name(&self) -> &str {
        &self.name
    }

    /// librdkafka makes requests of its own size out of a batch. A third of the window that is usual, so that the next
    /// events are read while brokers confirm these.
    fn limits(&self) -> Limits {
        Limits { events_max: 2_500, bytes_max: 2_500_000, event_bytes_max: 900_000, overhead: 0, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(self.look())
    }
}
