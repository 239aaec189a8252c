//! What a destination would get of the recorded log: how many events, and how many bytes. Nothing is sent.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Config, DecodedEntry, ExportError, ExporterConfig, Filter, Filters, Formatter, SchemaSettings, events_of};

/// What a schema and a filter make of the entries that it is shown.
pub struct Estimate {
    filter: Filter,
    formatter: Formatter,
    origin: String,
    zipped: GzEncoder<Counting>,
    /// Events that pass the filter and fit the schema.
    pub events: u64,
    /// Bytes of their texts with a line end each.
    pub bytes: u64,
    /// Events that the filter leaves out.
    pub filtered: u64,
    /// Events that do not fit the schema: dead letters.
    pub unfit: u64,
}

/// Counts what is written and keeps nothing of it.
#[derive(Default)]
struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Estimate {
    /// For a destination as it is configured. `origin` is the name of the log.
    ///
    /// # Errors
    /// [`ExportError`]: its schema cannot be used.
    pub fn of_exporter(
        config: &Config,
        exporter: &ExporterConfig,
        data_dir: &Path,
        origin: &str,
    ) -> Result<Self, ExportError> {
        let schema = config.schema_of(exporter);
        let filters = exporter.filters.as_ref().unwrap_or(&config.filters);
        Self::of(config, &schema, filters, data_dir, origin)
    }

    /// For any schema and filters.
    ///
    /// # Errors
    /// As [`Self::of_exporter`].
    pub fn of(
        config: &Config,
        schema: &SchemaSettings,
        filters: &Filters,
        data_dir: &Path,
        origin: &str,
    ) -> Result<Self, ExportError> {
        let failed = |source| ExportError::Schema { name: schema.schema.as_str().to_owned(), source };
        Ok(Self {
            filter: Filter::new(filters),
            formatter: Formatter::new(schema, data_dir).map_err(failed)?.tagging(config.tagging()?),
            origin: origin.to_owned(),
            zipped: GzEncoder::new(Counting::default(), Compression::fast()),
            events: 0,
            bytes: 0,
            filtered: 0,
            unfit: 0,
        })
    }

    /// Looks at one entry. What lookups would add is not in it.
    pub fn add(&mut self, entry: &Arc<DecodedEntry>) {
        for event in events_of(entry) {
            if !self.filter.passes(&event) {
                self.filtered += 1;
            } else if let Ok(mut text) = self.formatter.render(&event, &self.origin) {
                text.push('\n');
                self.events += 1;
                self.bytes += text.len() as u64;
                // Counting cannot fail.
                let _counted = self.zipped.write_all(text.as_bytes());
            } else {
                self.unfit += 1;
            }
        }
    }

    /// Bytes behind gzip at its fastest level, all events in one stream.
    #[must_use]
    pub fn gzipped(self) -> u64 {
        self.zipped.finish().map_or(0, |counting| counting.0)
    }
}
