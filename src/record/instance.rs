//! Who this log is: its origin, made once, and the run, made at every start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checkpoint::verifier_key;
use super::disk::Disk;
use super::keys::{KeyFile, SigningKey, SigningKeys, epochs, stage_public};
use super::layout::Layout;
use super::publish::{Publisher, list_dir, read_file};
use super::{Config, RecordError};
use crate::model::{Clock, InstanceId, RunId, Timestamp};
use crate::net::random_bytes;

/// The name in the origin when none is configured.
const DEFAULT_NAME: &str = "localhost";

/// The longest configured name, in bytes: it is repeated in every checkpoint.
const NAME_BYTES_MAX: usize = 200;

/// What `boot_id` says where the kernel tells none.
const BOOT_ID_UNKNOWN: &str = "unknown";

/// The identity of a log and of the run that writes it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The name of the log and of its key (C2SP tlog-checkpoint): `<configured name or localhost>/<instance id>`.
    pub origin: Arc<str>,
    /// The id, made with the data directory.
    pub instance_id: InstanceId,
    /// This run of the process.
    pub run_id: RunId,
    /// This boot of the machine, as Linux names it.
    pub boot_id: Arc<str>,
    /// When the data directory was made.
    pub created: Timestamp,
}

/// `instance.json`, in the order of RFC 8785.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    created: Timestamp,
    instance_id: InstanceId,
    log_vkey: String,
    origin: String,
    root_vkey: String,
}

impl Instance {
    /// Loads the instance and its keys, or makes both in a data directory without one.
    pub(crate) fn open(
        config: &Config,
        layout: &Layout,
        disk: &Arc<dyn Disk>,
        clock: &dyn Clock,
    ) -> Result<(Self, SigningKeys), RecordError> {
        let path = layout.instance();
        let stored = read_file(&**disk, &path)?;
        let make = stored.is_none();
        if make {
            refuse_orphans(layout, &**disk)?;
        }
        let private =
            |named: &Option<PathBuf>, name: &str| named.clone().unwrap_or_else(|| layout.private().join(name));
        let key = |path| KeyFile { path, layout, make }.load(disk);
        let root = key(private(&config.root_key_file, "root.pem"))?;
        let log = key(private(&config.log_key_file, "log.pem"))?;
        let stored = match stored {
            Some(text) => parse(&text, &path)?,
            None => Self::make(config, layout, disk, clock, (&root, &log))?,
        };
        stored.check(config, &path, &root, &log)?;
        let random = random_bytes().map_err(|error| RecordError::Random(Arc::new(error)))?;
        let instance = Self {
            origin: stored.origin.into(),
            instance_id: stored.instance_id,
            run_id: RunId::mint(clock.now(), random),
            boot_id: boot_id(),
            created: stored.created,
        };
        let keys = instance.start_epoch(layout, disk, root, log)?;
        Ok((instance, keys))
    }

    fn make(
        config: &Config,
        layout: &Layout,
        disk: &Arc<dyn Disk>,
        clock: &dyn Clock,
        (root, log): (&SigningKey, &SigningKey),
    ) -> Result<Stored, RecordError> {
        let random = random_bytes().map_err(|error| RecordError::Random(Arc::new(error)))?;
        let instance_id = InstanceId::mint(clock.now(), random);
        let name = config.name.as_deref().unwrap_or(DEFAULT_NAME);
        let origin = format!("{name}/{instance_id}");
        let stored = Stored {
            created: clock.now(),
            log_vkey: verifier_key(&origin, &log.public()),
            root_vkey: verifier_key(&root_name(&origin), &root.public()),
            instance_id,
            origin,
        };
        let mut publisher = Publisher::new(Arc::clone(disk), layout.root());
        stage_public(&mut publisher, &layout.keys(), "root", &root_name(&stored.origin), &root.public())?;
        stage_public(&mut publisher, &layout.keys(), "log", &stored.origin, &log.public())?;
        publisher.commit()?;
        let text = serde_json::to_string(&stored).unwrap_or_default() + "\n";
        publisher.publish(&layout.instance(), text.as_bytes(), 0o444)?;
        // COMMIT POINT: the log has its name and its keys, for as long as it lives.
        Ok(stored)
    }

    /// Makes the receipt key of this run and publishes its public half.
    fn start_epoch(
        &self,
        layout: &Layout,
        disk: &Arc<dyn Disk>,
        root: SigningKey,
        log: SigningKey,
    ) -> Result<SigningKeys, RecordError> {
        let epoch = epochs(&**disk, layout)?.last().map_or(1, |last| last.saturating_add(1));
        let receipt = SigningKey::generate()?;
        let mut publisher = Publisher::new(Arc::clone(disk), layout.root());
        let name = format!("{}/receipt/{epoch}", self.origin);
        stage_public(&mut publisher, &layout.keys(), &epoch.to_string(), &name, &receipt.public())?;
        publisher.commit()?;
        Ok(SigningKeys { root, log, receipt, epoch })
    }
}

impl Stored {
    /// The directory must be the one that the configuration means, and the keys the ones it was made with.
    fn check(&self, config: &Config, path: &Path, root: &SigningKey, log: &SigningKey) -> Result<(), RecordError> {
        let other = |wanted: &str| RecordError::Instance { found: self.origin.clone(), wanted: wanted.to_owned() };
        let name = self.origin.strip_suffix(self.instance_id.as_str()).and_then(|name| name.strip_suffix('/'));
        let name = name.ok_or_else(|| corrupt(path, "the origin does not end with the instance id"))?;
        if let Some(wanted) = config.name.as_deref().filter(|wanted| *wanted != name) {
            return Err(other(wanted));
        }
        if let Some(wanted) = config.instance_id.as_ref().filter(|wanted| **wanted != self.instance_id) {
            return Err(other(wanted.as_str()));
        }
        let root_fits = self.root_vkey == verifier_key(&root_name(&self.origin), &root.public());
        if !root_fits || self.log_vkey != verifier_key(&self.origin, &log.public()) {
            let reason = "holds another key than the one this log was made with".to_owned();
            let which = if root_fits { &config.log_key_file } else { &config.root_key_file };
            let default = if root_fits { "log.pem" } else { "root.pem" };
            return Err(RecordError::Key { path: which.clone().unwrap_or_else(|| default.into()), reason });
        }
        Ok(())
    }
}

/// Whether a name can stand in an origin: a schema-less URL without spaces and plus signs (C2SP tlog-checkpoint).
pub(crate) fn is_origin_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+');
    let slashes = name.starts_with('/') || name.ends_with('/') || name.contains("//");
    plain && !slashes && (1..=NAME_BYTES_MAX).contains(&name.len())
}

/// The name of the root key in its verifier key.
pub(super) fn root_name(origin: &str) -> String {
    format!("{origin}/root")
}

/// Entries without an instance are not a fresh directory: something was taken away.
fn refuse_orphans(layout: &Layout, disk: &dyn Disk) -> Result<(), RecordError> {
    let mut left = list_dir(disk, &layout.wal())?;
    left.extend(list_dir(disk, &layout.log())?);
    if left.is_empty() {
        return Ok(());
    }
    Err(corrupt(&layout.instance(), "is missing, while entries are there"))
}

fn parse(text: &[u8], path: &Path) -> Result<Stored, RecordError> {
    serde_json::from_slice(text).map_err(|_| corrupt(path, "not the description of an instance"))
}

fn corrupt(path: &Path, reason: &'static str) -> RecordError {
    RecordError::Corrupt { path: path.to_owned(), offset: 0, reason }
}

fn boot_id() -> Arc<str> {
    // Of the machine, not of the data directory, so not through `Disk`.
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { BOOT_ID_UNKNOWN.into() } else { text.into() }
}
