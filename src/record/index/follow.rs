//! Keeps the index behind a running log, on a thread of its own: never on the path of an action.

use std::path::PathBuf;
use std::thread::{Builder, JoinHandle};

use super::Index;
use crate::record::{Archive, Log, RecordError};

/// Brings the index up to date after every checkpoint until the log is gone. A problem is told and tried again with the
/// next checkpoint: whoever asks the index brings it up to date first.
///
/// # Errors
/// [`RecordError::Thread`] when no thread can be started.
pub fn follow(log: &Log, data_dir: PathBuf) -> Result<JoinHandle<()>, RecordError> {
    // The receiver does not keep the log open.
    let mut checkpoints = log.watch_checkpoint();
    let work = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
            tracing::warn!("the index of the log is not kept up to date: no runtime for its thread");
            return;
        };
        checkpoints.mark_changed();
        while runtime.block_on(checkpoints.changed()).is_ok() {
            if checkpoints.borrow_and_update().is_none() {
                continue;
            }
            let updated = Archive::open_committed(&data_dir)
                .and_then(|mut archive| Index::open_committed(&mut archive, &|_, _| {}));
            if let Err(error) = updated {
                tracing::warn!(error = %crate::model::with_causes(&error), "the index of the log is behind");
            }
        }
    };
    let thread = Builder::new().name("index".to_owned()).spawn(work);
    thread.map_err(|error| RecordError::Thread("index", Some(std::sync::Arc::new(error))))
}
