//! Events to destinations: the log is the only queue.
//!
//! An event is a pure function of durable entries. A destination is a cursor over the log: it reads, formats, delivers,
//! and only then moves its cursor. A destination that is down costs disk that is already budgeted and nothing else; one
//! destination never slows another, nor a decision. Must never invent a fact that no entry holds, and never drop one
//! silently.

pub mod archive;
mod attempt;
mod boundary;
mod checkpoint;
mod compliance;
mod cursor;
mod dead_letter;
pub mod destination;
mod enrich;
mod entry;
mod error;
mod estimate;
mod event;
mod feed;
pub mod files;
mod filter;
mod gap;
mod health;
mod item;
mod listing;
mod monitor;
mod pipeline;
mod prepare;
mod push;
mod reader;
mod retention;
#[cfg(test)]
mod samples;
mod schema;
mod seed;
mod settings;
mod store;
mod window;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::model::{Clock, Digest};
use crate::net::HttpClient;
use crate::record::Recorder;

pub use compliance::{Compliance, ComplianceConfig, Framework};
pub use cursor::{Counts, Cursor, Place};
pub use dead_letter::{DeadLetter, dead_letters};
pub use destination::{
    Batch, Checking, Confirmation, Confirming, Delivery, Destination, DestinationConfig, EventFailure, FailedEvent,
    Limits, LookingUp, Opening, SendError, Sending,
};
pub use enrich::{Added, Answer, Finding, InventoryConfig, LdapConfig, LookupsConfig, Outcome};
pub use entry::DecodedEntry;
pub use error::ExportError;
pub use estimate::Estimate;
pub use event::{Event, events_of};
pub use filter::{Conditions, Filter, Filters};
pub use item::Item;
pub use listing::DestinationStatus;
pub use monitor::{Monitor, State};
pub use push::{Pushed, Pusher};
pub use schema::{
    Dialect, Formatter, MAPPING_VERSION, Mapping, Mappings, RenderError, Schema, SchemaError, SchemaSettings,
    sourcetype,
};
pub use seed::{
    BatchExportConfig, BufferConfig, EnrichmentConfig, ExporterConfig, LookupKind, RetryBackoff, RetryConfig, Span,
};
pub use settings::DeliveryConfig;

/// Seconds from one signed statement of how far destinations have come to the next, while events move.
const CHECKPOINT_INTERVAL_S: u64 = 60;

/// The `telemetry:` section: the seed's keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether anything is exported.
    pub enabled: bool,
    /// The schema of destinations that name none.
    pub schema: Schema,
    /// The version of `schema`; of `cef` the device version in the header.
    pub version: Option<String>,
    /// A variant of `schema`.
    pub dialect: Option<Dialect>,
    /// OCSF: the class of each kind of event.
    pub mappings: Mappings,
    /// The vendor in headers and metadata.
    pub vendor: Option<String>,
    /// The product in headers and metadata.
    pub product: Option<String>,
    /// `custom`: the JSON Schema, `https://...` or a file.
    pub schema_url: Option<String>,
    /// `custom`: SHA-256 of the JSON Schema; without it, the first that is fetched counts from then on.
    pub schema_digest: Option<String>,
    /// `custom`: the connection that the JSON Schema comes over.
    pub schema_http: HttpClient,
    /// Where events go.
    pub exporters: Vec<ExporterConfig>,
    /// Which events destinations get that have no filters of their own.
    pub filters: Filters,
    /// What events are completed with.
    pub enrichment: Vec<EnrichmentConfig>,
    /// Where that comes from.
    pub lookups: LookupsConfig,
    /// Which frameworks events are tagged by.
    pub compliance: ComplianceConfig,
    /// How many events gather, and for how long, where a destination does not say otherwise.
    pub buffer: BufferConfig,
    /// What happens when a delivery fails, where a destination does not say otherwise.
    pub retry: RetryConfig,
    /// Files for later analysis.
    pub batch_export: Option<BatchExportConfig>,
    /// Seconds between signed statements of how far destinations have come; 0: none.
    pub checkpoint_interval_s: u64,
    /// Whether metrics appear under the names of the AARM telemetry page too.
    pub seed_metric_names: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            schema: Schema::default(),
            version: None,
            dialect: None,
            mappings: Mappings::default(),
            vendor: None,
            product: None,
            schema_url: None,
            schema_digest: None,
            schema_http: HttpClient::default(),
            exporters: Vec::new(),
            filters: Filters::default(),
            enrichment: Vec::new(),
            lookups: LookupsConfig::default(),
            compliance: ComplianceConfig::default(),
            buffer: BufferConfig::default(),
            retry: RetryConfig::default(),
            batch_export: None,
            checkpoint_interval_s: CHECKPOINT_INTERVAL_S,
            seed_metric_names: false,
        }
    }
}

impl Config {
    /// The schema of destinations that name none, and of those that name the same one without settings of their own.
    #[must_use]
    pub fn schema_settings(&self) -> SchemaSettings {
        SchemaSettings {
            schema: self.schema,
            version: self.version.clone(),
            dialect: self.dialect,
            mappings: self.mappings,
            vendor: self.vendor.clone(),
            product: self.product.clone(),
            schema_url: self.schema_url.clone(),
            schema_digest: self.schema_digest.clone(),
            schema_http: self.schema_http.clone(),
        }
    }

    /// The schema of a destination: a lake takes OCSF, whatever the others take.
    #[must_use]
    pub fn schema_of(&self, exporter: &ExporterConfig) -> SchemaSettings {
        match &exporter.schema {
            Some(wanted) if *wanted != SchemaSettings::of(self.schema) => wanted.clone(),
            None if exporter.destination.is_lake() => SchemaSettings::of(Schema::Ocsf),
            _ => self.schema_settings(),
        }
    }

    /// The mapping that events are tagged by.
    fn tagging(&self) -> Result<Arc<Compliance>, ExportError> {
        Compliance::open(&self.compliance).map_err(ExportError::Compliance)
    }

    /// What can be checked before there is a log.
    ///
    /// # Errors
    /// [`ExportError::Feature`]: what this program was built without; [`ExportError::Duplicate`]: two destinations would
    /// share a cursor; [`ExportError::Schema`]: a schema without that version or dialect.
    pub fn check(&self) -> Result<(), ExportError> {
        self.exporters.iter().try_for_each(|exporter| exporter.destination.available())?;
        enrich::check(self)?;
        self.tagging()?;
        let mut names = HashSet::new();
        if let Some(name) = self.exporters.iter().map(ExporterConfig::name).find(|name| !names.insert(*name)) {
            return Err(ExportError::Duplicate(name.to_owned()));
        }
        for exporter in &self.exporters {
            let failed = |source| ExportError::Schema { name: exporter.name().to_owned(), source };
            self.schema_of(exporter).check().map_err(failed)?;
        }
        files::check(self)
    }
}

/// All destinations, each on a task of its own.
pub struct Exporter {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    monitor: Monitor,
}

impl Exporter {
    /// Starts a task for each destination, from where its cursor stands.
    ///
    /// # Errors
    /// [`ExportError`] names the destination that cannot start.
    pub fn start(
        config: &Config,
        recorder: &Recorder,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExportError> {
        config.check()?;
        let mut opened = Vec::new();
        for exporter in config.exporters.iter().filter(|_| config.enabled) {
            if !exporter.destination.takes_events() {
                continue;
            }
            opened.push((exporter, exporter.open(config, data_dir)?));
        }
        Self::deliver(config, opened, recorder, data_dir, clock)
    }

    /// As [`Self::start`], to destinations that are there already: tests bring their own.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn deliver(
        config: &Config,
        destinations: Vec<(&ExporterConfig, Box<dyn Destination>)>,
        recorder: &Recorder,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExportError> {
        let (stop, stopped) = watch::channel(false);
        let (folder, log) = (data_dir.join("export"), recorder.log());
        let feed = Arc::new(feed::Feed::new(log.clone(), destinations.len()));
        let defaults = seed::delivery_defaults(&config.buffer, &config.retry);
        let (enricher, tagging) = (enrich::Enricher::new(config, &clock)?, config.tagging()?);
        let (mut tasks, mut meters) = (Vec::new(), Vec::new());
        let mut pipelines = Vec::new();
        for (exporter, destination) in destinations {
            let name = destination.name().to_owned();
            let configuration = Digest::of(format!("{exporter:?}").as_bytes());
            let schema = config.schema_of(exporter);
            let formatter = Formatter::new(&schema, data_dir)
                .map_err(|source| ExportError::Schema { name: name.clone(), source })?
                .tagging(Arc::clone(&tagging));
            let limits = destination.limits();
            let cursor = Cursor::open(&folder, &name, log, configuration)?;
            let settings = exporter.delivery.or(&defaults).settle(limits);
            let meter = Arc::new(monitor::Meter::new(&name, settings.required, cursor.place.next));
            meters.push(Arc::clone(&meter));
            pipelines.push(pipeline::Pipeline::new(pipeline::Parts {
                settings,
                route: prepare::Route {
                    filter: Filter::new(exporter.filters.as_ref().unwrap_or(&config.filters)),
                    formatter,
                    enricher: enricher.clone(),
                    event_bytes_max: limits.event_bytes_max,
                    origin: log.instance().origin.to_string().into(),
                },
                feed: Arc::clone(&feed),
                dead: dead_letter::DeadLetters::new(&folder, &name),
                recorder: recorder.clone(),
                clock: Arc::clone(&clock),
                meter,
                cursor,
                destination: destination.into(),
            }));
        }
        let archives = archive::open_all(config, recorder, data_dir, &mut meters)?;
        let jobs = files::open_all(config, recorder, data_dir, &clock, &mut meters)?;
        let monitor = Monitor { meters, enricher, log: log.clone(), clock, seed_names: config.seed_metric_names };
        tasks.extend(checkpoint::start(config.checkpoint_interval_s, &monitor, recorder, &stopped));
        tasks.extend(retention::start(&monitor, recorder, &stopped));
        tasks.extend(pipelines.into_iter().map(|pipeline| tokio::spawn(pipeline.run(stopped.clone()))));
        tasks.extend(jobs.into_iter().map(|job| tokio::spawn(job.run(stopped.clone()))));
        tasks.extend(archives.into_iter().map(|copier| tokio::spawn(copier.run(stopped.clone()))));
        Ok(Self { stop, tasks, monitor })
    }

    /// How the destinations are.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// Delivers what is durable by now, within a bound, and stops.
    pub async fn stop(self) {
        let _nobody_left = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a destination's task ended badly");
            }
        }
    }
}
