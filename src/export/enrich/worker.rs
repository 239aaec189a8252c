//! The thread that asks. Lookups run beside each other on it, each within a time limit.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::Source;
use super::cache::{Cache, Key};

/// Lookups that may wait to be asked: those of one read of the log, twice over.
const QUEUE_MAX: usize = 1_024;

/// Lookups under way at once: a directory serves everybody else too.
const CONCURRENCY_MAX: usize = 16;

/// Longest time of one lookup. By then nobody waits for it.
const LOOKUP_MAX: Duration = Duration::from_secs(10);

/// Ends when it is dropped, with what is under way.
pub(super) struct Worker {
    asked: mpsc::Sender<Key>,
}

impl Worker {
    pub(super) fn start(sources: Vec<Arc<dyn Source>>, cache: Arc<Cache>) -> io::Result<Self> {
        let (asked, asking) = mpsc::channel(QUEUE_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("enrichment".into())
            .spawn(move || runtime.block_on(answer(asking, sources, cache)))?;
        Ok(Self { asked })
    }

    /// Whether there was room for the question.
    pub(super) fn ask(&self, source: usize, value: &str) -> bool {
        self.asked.try_send((source, value.to_owned())).is_ok()
    }
}

async fn answer(mut asking: mpsc::Receiver<Key>, sources: Vec<Arc<dyn Source>>, cache: Arc<Cache>) {
    let room = Arc::new(Semaphore::new(CONCURRENCY_MAX));
    while let Some((number, value)) = asking.recv().await {
        let Some(source) = sources.get(number).map(Arc::clone) else { continue };
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let cache = Arc::clone(&cache);
        tokio::spawn(async move {
            let said = tokio::time::timeout(LOOKUP_MAX, source.look_up(&value)).await;
            let said = said.unwrap_or_else(|_| Err(format!("no answer within {} s", LOOKUP_MAX.as_secs())));
            cache.keep(number, &value, said);
            drop(permit);
        });
    }
}
