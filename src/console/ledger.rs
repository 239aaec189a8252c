//! The log, for people who look: read from its files as anybody could, each entry with its proof, beside the path of
//! actions and never on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Problem;
use crate::model::with_causes;
use crate::record::index::Index;
use crate::record::{Archive, Log, RecordError};

/// People who look at once; more wait their turn. Reading must not take the processor from actions.
const READERS_MAX: usize = 2;
/// How long to wait for the checkpoint that covers what was just written. One comes every second.
const CHECKPOINT_MAX: Duration = Duration::from_secs(3);

/// The log of this instance.
#[derive(Clone)]
pub struct Ledger {
    data_dir: Arc<PathBuf>,
    log: Log,
    readers: Arc<Semaphore>,
}

impl Ledger {
    /// The log that lies in `data_dir`.
    #[must_use]
    pub fn new(data_dir: PathBuf, log: Log) -> Self {
        Self { data_dir: Arc::new(data_dir), log, readers: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Reads what a checkpoint covers: all but the last second. What is looked up in the index may lie further behind;
    /// [`Index::behind`] says how far.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Archive, &mut Index) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = self.readers.acquire().await.map_err(|_| Problem::unavailable("the log is closing"))?;
        let data_dir = Arc::clone(&self.data_dir);
        let read = tokio::task::spawn_blocking(move || {
            let mut archive = Archive::open_committed(&data_dir)?;
            let mut index = Index::open_as_it_is(&mut archive)?;
            work(&mut archive, &mut index)
        });
        read.await.map_err(|_| Problem::unavailable("the log could not be read"))?.map_err(Problem::from)
    }

    /// Reads from the log as the running instance holds it, to its very end.
    pub(super) async fn read_newest<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Log) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = self.readers.acquire().await.map_err(|_| Problem::unavailable("the log is closing"))?;
        let log = self.log.clone();
        let read = tokio::task::spawn_blocking(move || work(&log));
        read.await.map_err(|_| Problem::unavailable("the log could not be read"))?.map_err(Problem::from)
    }

    /// Waits until a checkpoint covers everything that is durable now. False when there was nothing to wait for.
    pub(super) async fn settled(&self) -> bool {
        let (size, mut checkpoints) = (self.log.durable_size(), self.log.watch_checkpoint());
        let covered = |checkpoint: &Option<Arc<crate::record::Checkpoint>>| {
            checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.size >= size)
        };
        if covered(&checkpoints.borrow_and_update()) {
            return false;
        }
        tokio::time::timeout(CHECKPOINT_MAX, checkpoints.wait_for(covered)).await.is_ok()
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        tracing::error!(error = with_causes(&error), "read the log for the console");
        Self::unavailable("the log could not be read; the program's own log says why")
    }
}
