//! Which files are configured: `batch_export`, and destinations of the type `security_lake`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::columns;
use super::lake_streams;
use super::layout::{Layout, Partition};
use super::parquet::Table;
use super::range::Cut;
use crate::export::destination::bucket::S3Options;
use crate::export::destination::firehose::FirehoseOptions;
use crate::export::destination::{Destination, Opening, Settings};
use crate::export::store::Store;
use crate::export::{BatchExportConfig, Config, ExportError, ExporterConfig, Formatter, Schema, SchemaSettings, Span};

/// The name of the cursor of `batch_export`.
pub(in crate::export) const BATCH: &str = "batch_export";

/// How much time one file holds, unless configured.
const INTERVAL: Duration = Duration::from_hours(1);

/// The same for Security Lake, which wants an object of a source not more often.
const LAKE_INTERVAL: Duration = Duration::from_mins(5);

/// The longest name of a custom source.
const SOURCE_BYTES_MAX: usize = 20;

/// The classes that events become, with their columns.
const CLASSES: [(&str, &str); 5] = [
    ("6003", include_str!("schemas/ocsf_6003.message")),
    ("2004", include_str!("schemas/ocsf_2004.message")),
    ("3003", include_str!("schemas/ocsf_3003.message")),
    ("3004", include_str!("schemas/ocsf_3004.message")),
    ("6002", include_str!("schemas/ocsf_6002.message")),
];

/// Amazon Security Lake, as custom sources: one for each class of OCSF, `<source>-<class>`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityLakeConfig {
    /// The bucket of the lake; that of the variable `SECURITY_LAKE_BUCKET`.
    pub bucket: Option<String>,
    /// The account that events belong to; that of the variable `AWS_ACCOUNT_ID`.
    pub account_id: Option<String>,
    /// What the names of the sources begin with.
    #[serde(default = "source")]
    pub source: String,
    /// How events get there: `s3`, in files that are written here, or `firehose`, as a stream that Firehose makes files of.
    /// That of the variable `SECURITY_LAKE_APPROACH`, else `s3`.
    pub approach: Option<String>,
    /// `firehose`: what the names of the delivery streams begin with, one for each class, `<stream>-<class>`; that of the
    /// variable `SECURITY_LAKE_FIREHOSE`.
    pub stream: Option<String>,
    /// How Firehose is reached.
    #[serde(default)]
    pub firehose: Box<FirehoseOptions>,
    /// How much time one object holds: `5m`, not less in production.
    pub interval: Option<Span>,
    /// How the bucket is reached. Its region is the one in object names.
    #[serde(default)]
    pub s3: S3Options,
}

fn source() -> String {
    "AARM".into()
}

impl Settings for SecurityLakeConfig {
    /// In files it takes no single events.
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        if self.streams() {
            return lake_streams::open(self, opening);
        }
        let problem = "files hold whole ranges of the log: `countersign export backfill` writes them again";
        Err(ExportError::setting(opening.name, problem))
    }
}

/// One kind of files that is configured.
pub(super) enum Wanted<'a> {
    Batch(&'a BatchExportConfig),
    Lake(&'a ExporterConfig, &'a SecurityLakeConfig),
}

/// All of them.
pub(super) fn all(config: &Config) -> Vec<Wanted<'_>> {
    let batch = config.batch_export.iter().filter(|batch| batch.enabled).map(Wanted::Batch);
    let lakes = config
        .exporters
        .iter()
        .filter_map(|exporter| exporter.destination.security_lake().map(|lake| Wanted::Lake(exporter, lake)));
    batch.chain(lakes).collect()
}

/// Looks at what can be wrong with `batch_export` before there is a log.
///
/// # Errors
/// [`ExportError::Setting`].
pub(in crate::export) fn check(config: &Config) -> Result<(), ExportError> {
    for wanted in all(config) {
        wanted.layout(config, Path::new("."))?;
        wanted.cut()?;
    }
    let batch = config.batch_export.as_ref().filter(|batch| batch.enabled);
    if batch.is_some() && config.exporters.iter().any(|exporter| exporter.name() == BATCH) {
        return Err(ExportError::Duplicate(BATCH.to_owned()));
    }
    Ok(())
}

impl Wanted<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Batch(_) => BATCH,
            Self::Lake(exporter, _) => exporter.name(),
        }
    }

    /// What the cursor belongs to: other files begin with the first entry.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Batch(batch) => format!("{}\n{:?}", batch.destination, batch.s3.endpoint),
            Self::Lake(_, lake) => format!("{:?}\n{:?}", lake.bucket(), lake.s3.endpoint),
        }
    }

    /// # Errors
    /// [`ExportError`]: something cannot be used.
    pub(super) fn open(&self, config: &Config, data_dir: &Path) -> Result<(Store, Layout, Cut), ExportError> {
        let store = match self {
            Self::Batch(batch) => Store::open(BATCH, &batch.destination, data_dir, &batch.s3)?,
            Self::Lake(exporter, lake) => {
                let place = format!("s3://{}/", lake.bucket().unwrap_or_default());
                Store::open(exporter.name(), &place, data_dir, &lake.s3)?
            }
        };
        Ok((store, self.layout(config, data_dir)?, self.cut()?))
    }

    fn cut(&self) -> Result<Cut, ExportError> {
        let interval = match self {
            Self::Batch(batch) => batch.interval.map_or(INTERVAL, |interval| interval.0),
            Self::Lake(_, lake) => lake.interval.map_or(LAKE_INTERVAL, |interval| interval.0),
        };
        if interval.is_zero() {
            return Err(ExportError::setting(self.name(), "`interval: 0` is no time; write `1h`"));
        }
        Ok(Cut::every(interval))
    }

    fn layout(&self, config: &Config, data_dir: &Path) -> Result<Layout, ExportError> {
        let name = self.name();
        let tagging = config.tagging()?;
        let formatter = |settings: &SchemaSettings| {
            let made = Formatter::new(settings, data_dir).map(|made| made.tagging(Arc::clone(&tagging)));
            made.map_err(|source| ExportError::Schema { name: name.to_owned(), source })
        };
        match self {
            Self::Batch(batch) => {
                if !matches!(batch.format.as_str(), "" | "parquet") {
                    let problem =
                        format!("`format: {}`: only `parquet` is written; `type: s3` writes JSON", batch.format);
                    return Err(ExportError::setting(name, problem));
                }
                let telemetry = config.schema_settings();
                let ocsf =
                    if config.schema == Schema::Ocsf { telemetry.clone() } else { SchemaSettings::of(Schema::Ocsf) };
                let other = !matches!(config.schema, Schema::Aarm | Schema::Ocsf);
                Ok(Layout::Batch {
                    table: table(name, &columns::message())?,
                    aarm: formatter(&SchemaSettings::of(Schema::Aarm))?,
                    ocsf: formatter(&ocsf)?,
                    raw: if other { Some(formatter(&telemetry)?) } else { None },
                    raw_is_aarm: config.schema == Schema::Aarm,
                    partitioning: partitions(name, &batch.partitioning)?,
                })
            }
            Self::Lake(exporter, lake) => {
                let wanted = exporter.schema.clone().unwrap_or_else(|| SchemaSettings::of(Schema::Ocsf));
                check_schema(name, &wanted)?;
                let (region, account) = lake.check(name)?;
                Ok(Layout::Lake {
                    tables: tables(name)?,
                    ocsf: formatter(&wanted)?,
                    source: lake.source.clone(),
                    region,
                    account,
                })
            }
        }
    }
}

fn table(name: &str, message: &str) -> Result<Table, ExportError> {
    Table::new(message).map_err(|problem| ExportError::setting(name, problem))
}

/// # Errors
/// [`ExportError::Setting`]: it is not what the lake takes.
pub(super) fn check_schema(name: &str, schema: &SchemaSettings) -> Result<(), ExportError> {
    if schema.schema == Schema::Ocsf && schema.dialect.is_none() {
        return Ok(());
    }
    Err(ExportError::setting(name, "the lake takes `schema: ocsf` without a dialect"))
}

fn partitions(name: &str, words: &[String]) -> Result<Vec<Partition>, ExportError> {
    let partition = |word: &String| match word.as_str() {
        "date" => Ok(Partition::Date),
        "event_type" => Ok(Partition::EventType),
        _ => Err(ExportError::setting(name, format!("`partitioning: {word}` is neither `date` nor `event_type`"))),
    };
    words.iter().map(partition).collect()
}

/// The table of each class, by its number.
///
/// # Errors
/// [`ExportError::Setting`]: a schema that is written here is none.
pub(super) fn tables(name: &str) -> Result<Vec<(&'static str, Table)>, ExportError> {
    CLASSES.iter().map(|(class, message)| Ok((*class, table(name, message)?))).collect()
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl SecurityLakeConfig {
    fn approach(&self) -> Option<String> {
        self.approach.clone().or_else(|| variable("SECURITY_LAKE_APPROACH"))
    }

    /// Whether it is sent events, to delivery streams.
    pub(in crate::export) fn streams(&self) -> bool {
        self.approach().as_deref() == Some("firehose")
    }

    fn bucket(&self) -> Option<String> {
        self.bucket.clone().or_else(|| variable("SECURITY_LAKE_BUCKET"))
    }

    /// Region and account, as object names have them.
    fn check(&self, name: &str) -> Result<(String, String), ExportError> {
        let missing = |key: &str, variable: &str| {
            ExportError::setting(name, format!("name `{key}`, or set the variable {variable}"))
        };
        self.bucket().ok_or_else(|| missing("bucket", "SECURITY_LAKE_BUCKET"))?;
        let account = self.account_id.clone().or_else(|| variable("AWS_ACCOUNT_ID"));
        let account = account.ok_or_else(|| missing("account_id", "AWS_ACCOUNT_ID"))?;
        let region = self.s3.region.clone().or_else(|| variable("AWS_REGION"));
        let region = region.ok_or_else(|| missing("s3.region", "AWS_REGION"))?;
        if self.approach().is_some_and(|approach| approach != "s3") {
            return Err(ExportError::setting(name, "`approach` is `s3` or `firehose`"));
        }
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(&b));
        if !plain(&self.source) || self.source.len() + "-6003".len() > SOURCE_BYTES_MAX {
            let problem = "`source` has letters, digits and `-_:.`, at most 15 of them: each class adds its number";
            return Err(ExportError::setting(name, problem));
        }
        if !plain(&account) || !plain(&region) {
            return Err(ExportError::setting(name, "`account_id` or `region` is none"));
        }
        Ok((region, account))
    }
}
