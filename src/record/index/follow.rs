//! Keeps the index behind a running log, on a thread of its own: never on the path of an action.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::Index;
use super::schema::Gaps;
use crate::model::with_causes;
use crate::record::{Archive, Checkpoint, Log, RecordError};

/// Between two updates. A busy log has better use for the processor.
const PAUSE: Duration = Duration::from_secs(5);
/// The same while there is much to take in: whoever looks is told how far behind the index is, and should not be for
/// long.
const PAUSE_BEHIND: Duration = Duration::from_millis(250);
/// Entries in one update that are much.
const MUCH: u64 = 2_048;

/// The thread that keeps the index up to date. Dropped, it ends by itself.
#[derive(Debug)]
pub struct Follower {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Follower {
    /// Follows the checkpoints of a log. A problem is told, and tried again later: nothing depends on the index.
    ///
    /// # Errors
    /// [`RecordError::Thread`] when no thread can be started.
    pub fn start(log: &Log, data_dir: &Path) -> Result<Self, RecordError> {
        let failed = |error| RecordError::Thread("index", Some(Arc::new(error)));
        // The receiver does not keep the log open.
        let (checkpoints, data_dir) = (log.watch_checkpoint(), data_dir.to_owned());
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let work = move || {
            yield_to_others();
            match tokio::runtime::Builder::new_current_thread().enable_time().build() {
                Ok(runtime) => runtime.block_on(follow(checkpoints, stopped, data_dir)),
                Err(error) => tracing::warn!(%error, "the index of the log is not kept up to date"),
            }
            drop(end);
        };
        Builder::new().name("index".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { stop, ended })
    }

    /// Ends it, with what there is up to now in the index. For after the log was closed.
    pub async fn stop(self) {
        drop(self.stop);
        // It says nothing, it only ends.
        let _ended = self.ended.await;
    }
}

/// A low priority for this thread: whoever waits for an answer goes first. Not the lowest, because who asks the index
/// waits for the step that is under way. Where it cannot be set, the thread works as others do.
fn yield_to_others() {
    const NICE: i32 = 10;
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "the index keeps the priority of the process");
    }
}

async fn follow(
    mut checkpoints: watch::Receiver<Option<Arc<Checkpoint>>>,
    mut stopped: oneshot::Receiver<()>,
    data_dir: PathBuf,
) {
    // What was there before counts too.
    checkpoints.mark_changed();
    let (mut gaps, mut pause) = (Gaps::LookedFor, PAUSE);
    loop {
        let more = tokio::select! {
            changed = checkpoints.changed() => changed.is_ok(),
            _ = &mut stopped => false,
        };
        if checkpoints.borrow_and_update().is_some() {
            let taken = update(&data_dir, &mut gaps);
            pause = if taken >= MUCH { PAUSE_BEHIND } else { PAUSE };
        }
        if !more {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = &mut stopped => {
                update(&data_dir, &mut gaps);
                return;
            }
        }
    }
}

/// Brings it up to date. Returns how many entries there were to take in.
fn update(data_dir: &Path, gaps: &mut Gaps) -> u64 {
    let open = || {
        let mut archive = Archive::open_committed(data_dir)?;
        let mut index = Index::opened(&mut archive, *gaps)?;
        index.update(&mut archive, &|_, _| {})?;
        Ok(index.behind)
    };
    match open() as Result<u64, RecordError> {
        Ok(taken) => {
            *gaps = Gaps::Excluded;
            taken
        }
        Err(error) => {
            *gaps = Gaps::LookedFor;
            tracing::warn!(error = %with_causes(&error), "the index of the log is behind");
            0
        }
    }
}
