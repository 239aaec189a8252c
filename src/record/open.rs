//! Start of the store. It refuses rather than guesses: every refusal names what does not fit.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use tokio::sync::watch;

use super::checkpoint::Checkpoint;
use super::disk::{Disk, DiskFile, Operation};
use super::instance::{Instance, is_origin_name};
use super::integrate::{Ending, Integrator, Pace, Signal};
use super::layout::Layout;
use super::merkle::leaf_hash;
use super::publish::{Publisher, list_dir, read_file};
use super::queue::Queue;
use super::read::Bundles;
use super::recover::{Recovered, Recovery};
use super::retention::{RETENTION_MIN_S, read_kept};
use super::shared::{Health, Shared};
use super::tiles::{Edge, TILE_WIDTH, TileReader};
use super::vault::Keys;
use super::wal::frame::FRAME_BYTES_MAX;
use super::wal::segment::Header;
use super::wal::spare::{Room, SlotCount};
use super::writer::Writer;
use super::{Config, Opened, RecordError};
use crate::model::Clock;

/// The smallest segment: two of the longest entries and the header.
const SEGMENT_BYTES_MIN: u64 = 256 << 10;

/// What the lock file says about its holder is padded to this, so that a shorter text leaves nothing of a longer one.
const HOLDER_BYTES: usize = 256;

/// An open store: what its handles hold.
pub(crate) struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) ending: Arc<Mutex<Ending>>,
    pub(crate) lock: Box<dyn DiskFile>,
    pub(crate) opened: Opened,
}

/// What the checkpoint of the data directory says.
struct Head {
    checkpoint: Option<Arc<Checkpoint>>,
    /// Sizes of the kept checkpoints, ascending.
    kept: VecDeque<u64>,
    /// The largest size that the log has signed, as far as this directory shows.
    promised: u64,
    edge: Edge,
}

impl Head {
    /// Keeps the checkpoint, when the last process ended between publishing and keeping it.
    fn keep(&mut self, publisher: &mut Publisher, layout: &Layout) -> Result<(), RecordError> {
        let Some(latest) = self.checkpoint.as_ref().filter(|latest| !self.kept.contains(&latest.size)) else {
            return Ok(());
        };
        publisher.publish(
            &layout.previous_checkpoints().join(latest.size.to_string()),
            latest.note.as_bytes(),
            0o644,
        )?;
        let behind = self.kept.partition_point(|size| *size < latest.size);
        self.kept.insert(behind, latest.size);
        Ok(())
    }
}

pub(crate) fn open(config: &Config, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Result<Store, RecordError> {
    config.check()?;
    let data_dir = std::path::absolute(&config.data_dir);
    let layout = Layout::new(&data_dir.map_err(RecordError::on(Operation::Stat, &config.data_dir))?);
    let mut publisher = Publisher::new(Arc::clone(&disk), layout.root());
    for directory in [layout.root(), &layout.wal(), &layout.log(), &layout.previous_checkpoints()] {
        publisher.ensure_dir(directory)?;
    }
    publisher.commit()?;
    let lock = lock(&layout, &*disk)?;
    let (instance, keys) = Instance::open(config, &layout, &disk, &*clock)?;
    hold(&layout, &*lock, &instance)?;
    let tiles = TileReader::new(Arc::clone(&disk), &layout.log());
    let mut head = read_head(&layout, &*disk, &tiles, &instance.origin, &keys.log.public())?;
    head.keep(&mut publisher, &layout)?;
    let closed_with = read_clean(&layout, &*disk)?;
    let checkpointed = head.edge.size();
    let recovered = Recovery {
        disk: &disk,
        layout: &layout,
        log_id: Header::log_id(&instance.origin),
        now_unix_ns: clock.now().as_micros().saturating_mul(1_000),
        settled: checkpointed / TILE_WIDTH * TILE_WIDTH,
        checkpointed,
        promised: head.promised,
        closed_with,
        segment_bytes: config.segment_bytes,
        first_segment_bytes: config.first_segment_bytes,
        tail_bytes_max: config.tail_bytes_max,
    }
    .run()?;
    check_partial(&recovered, &head.edge)?;
    remove_clean(&layout, &disk, closed_with.is_some())?;
    let opened = Opened {
        size: recovered.size,
        fresh: recovered.size == 0,
        clean: closed_with == Some(recovered.size) && recovered.size == checkpointed,
        recovered_from_wal: recovered.size - checkpointed,
    };
    let bundles = Bundles::new(tiles, checkpointed / TILE_WIDTH * TILE_WIDTH, read_kept(&layout, &*disk)?);
    let Recovered { active, offset, size, tail, partial, spare } = recovered;
    let shared = Arc::new(Shared {
        room: Room::new(slots(config), active.bytes.saturating_sub(offset), spare),
        disk,
        clock,
        layout,
        keys,
        instance,
        queue: Queue::default(),
        signal: Signal::default(),
        health: Health::default(),
        durable: AtomicU64::new(size),
        size: watch::Sender::new(size),
        tail: Mutex::new(tail),
        segments: Mutex::new(vec![Arc::clone(&active)]),
        bundles,
        checkpoint: watch::Sender::new(head.checkpoint),
        finished: watch::Sender::new(None),
        vault_keys: Arc::new(Keys::new(config.data_dir.join("vault"))),
        retention_s: Some(config.retention_s).filter(|seconds| *seconds > 0),
    });
    let ending = Arc::new(Mutex::new(Ending::Abandoned));
    let writer = Writer::new(Arc::clone(&shared), active, offset, size);
    let pace =
        Pace { checkpoint_interval_ms: config.checkpoint_interval_ms, checkpoints_kept: config.checkpoints_kept };
    let integrator = Integrator::new(Arc::clone(&shared), pace, head.edge, partial, head.kept);
    let threads = start_threads(&shared, writer, integrator, &ending, config.segment_bytes)?;
    Ok(Store { shared, threads, ending, lock, opened })
}

/// How many entries may wait for the writer.
fn slots(config: &Config) -> SlotCount {
    SlotCount {
        ordinary: config.queue_entries_max,
        reserved: usize::try_from(config.reserved_bytes / FRAME_BYTES_MAX as u64).unwrap_or(usize::MAX),
    }
}

impl Config {
    /// What can be checked before anything is opened.
    ///
    /// # Errors
    /// [`RecordError::Config`] names the setting and what it must be.
    pub fn check(&self) -> Result<(), RecordError> {
        let wrong = |what: &str| Err(RecordError::Config(what.to_owned()));
        if self.data_dir.as_os_str().is_empty() {
            return wrong("`data_dir` is not set");
        }
        if self.name.as_deref().is_some_and(|name| !is_origin_name(name)) {
            return wrong("`name` must be a host name, or a host name and a path, without spaces and `+`");
        }
        if self.segment_bytes < SEGMENT_BYTES_MIN || self.first_segment_bytes < SEGMENT_BYTES_MIN {
            return wrong("`segment_bytes` and `first_segment_bytes` must be at least 262144");
        }
        if self.segment_bytes < self.reserved_bytes.saturating_mul(2) {
            return wrong("`segment_bytes` must be at least twice `reserved_bytes`");
        }
        if self.queue_entries_max == 0 || self.checkpoint_interval_ms == 0 || self.checkpoints_kept == 0 {
            return wrong("`queue_entries_max`, `checkpoint_interval_ms` and `checkpoints_kept` must not be 0");
        }
        if (1..RETENTION_MIN_S).contains(&self.retention_s) {
            return wrong("`retention_s` must be 0, to keep entries for ever, or at least 86400, a day");
        }
        Ok(())
    }
}

/// One process a data directory: two would sign two trees under one name.
fn lock(layout: &Layout, disk: &dyn Disk) -> Result<Box<dyn DiskFile>, RecordError> {
    let path = layout.lock();
    let locked = disk.lock(&path).map_err(RecordError::on(Operation::Lock, &path))?;
    if let Some(file) = locked {
        return Ok(file);
    }
    let holder = read_file(disk, &path).ok().flatten().unwrap_or_default();
    let holder = String::from_utf8_lossy(&holder).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(RecordError::Locked { path, holder })
}

/// Says in the lock file who has it: for people, not for us.
fn hold(layout: &Layout, lock: &dyn DiskFile, instance: &Instance) -> Result<(), RecordError> {
    let (id, boot) = (&instance.instance_id, &instance.boot_id);
    let mut text = format!("instance_id={id} pid={} boot_id={boot}", std::process::id());
    text.truncate(HOLDER_BYTES);
    let text = format!("{text:<HOLDER_BYTES$}\n");
    lock.write_at(text.as_bytes(), 0).map_err(RecordError::on(Operation::Write, &layout.lock()))
}

/// The checkpoint, and the tree that it must be of.
fn read_head(
    layout: &Layout,
    disk: &dyn Disk,
    tiles: &TileReader,
    origin: &str,
    key: &super::keys::PublicKey,
) -> Result<Head, RecordError> {
    let path = layout.checkpoint();
    let checkpoint = match read_file(disk, &path)? {
        Some(note) => Some(Checkpoint::open(&note, origin, key).map_err(|source| RecordError::Note { path, source })?),
        None => None,
    };
    let names = list_dir(disk, &layout.previous_checkpoints())?;
    let mut kept: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    kept.sort_unstable();
    let mut promised = 0;
    for size in kept.iter().rev() {
        let note = read_file(disk, &layout.previous_checkpoints().join(size.to_string()))?.unwrap_or_default();
        // What the log did not sign obliges it to nothing.
        if Checkpoint::open(&note, origin, key).is_ok_and(|kept| kept.size == *size) {
            promised = *size;
            break;
        }
    }
    let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let edge = Edge::read(tiles, size)?;
    if checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.root != edge.root()) {
        return Err(RecordError::Root { size });
    }
    Ok(Head { checkpoint: checkpoint.map(Arc::new), kept: kept.into(), promised: promised.max(size), edge })
}

/// The entries that lie in both the write-ahead log and the tree must be the same.
fn check_partial(recovered: &Recovered, edge: &Edge) -> Result<(), RecordError> {
    let same = recovered.partial.iter().map(|entry| leaf_hash(entry)).eq(edge.leaves().iter().copied());
    if same { Ok(()) } else { Err(RecordError::Root { size: edge.size() }) }
}

fn read_clean(layout: &Layout, disk: &dyn Disk) -> Result<Option<u64>, RecordError> {
    let text = read_file(disk, &layout.clean())?.and_then(|text| String::from_utf8(text).ok());
    Ok(text.and_then(|text| text.trim_end().parse().ok()))
}

fn remove_clean(layout: &Layout, disk: &Arc<dyn Disk>, there: bool) -> Result<(), RecordError> {
    if !there {
        return Ok(());
    }
    let path = layout.clean();
    disk.remove_file(&path).map_err(RecordError::on(Operation::Remove, &path))?;
    Publisher::new(Arc::clone(disk), layout.root()).sync_dir_of(&path)
}

fn start_threads(
    shared: &Arc<Shared>,
    writer: Writer,
    integrator: Integrator,
    ending: &Arc<Mutex<Ending>>,
    segment_bytes: u64,
) -> Result<Vec<JoinHandle<()>>, RecordError> {
    let (after_writing, how) = (Arc::clone(shared), Arc::clone(ending));
    let writing = move || {
        let write = || {
            writer.run();
            Ok(())
        };
        drop(guarded("writer", &after_writing, write));
        // Whatever ended the writer, nothing is taken that it would not write.
        after_writing.stop();
        let how = how.lock().map_or(Ending::Abandoned, |how| *how);
        after_writing.signal.end(how);
    };
    let integrating = {
        let shared = Arc::clone(shared);
        move || {
            let result = guarded("integrator", &shared, || integrator.run());
            shared.finished.send_replace(Some(result));
        }
    };
    // Zeros are written from here on, behind the start.
    let preparing = {
        let shared = Arc::clone(shared);
        move || {
            let keep = || shared.room.keep(&shared.disk, &shared.layout, segment_bytes);
            drop(guarded("spare", &shared, keep));
        }
    };
    let writer = start("writer", shared, writing)?;
    let integrator = start("integrator", shared, integrating)?;
    Ok(vec![writer, integrator, start("spare", shared, preparing)?])
}

fn start(
    name: &'static str,
    shared: &Arc<Shared>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, RecordError> {
    Builder::new().name(format!("log-{name}")).spawn(body).map_err(|error| {
        shared.stop();
        RecordError::Thread(name, Some(Arc::new(error)))
    })
}

/// An error or a panic of a thread ends the log, never silently.
fn guarded(
    name: &'static str,
    shared: &Arc<Shared>,
    body: impl FnOnce() -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    let result = result.unwrap_or(Err(RecordError::Thread(name, None)));
    if let Err(error) = &result
        && shared.health.poisoned().is_none()
        && !error.is_out_of_space()
    {
        shared.poison(error.clone());
    }
    result
}
