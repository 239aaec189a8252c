//! The least that durable entries cost: one buffer, one thread, one fdatasync for all that came in meanwhile.
//!
//! It appends and never overwrites, as a log must; so it pays for writing the zeros that make fdatasync quick, in
//! segments, ahead of use, on a thread beside it. It never rotates keys, recovers, or reads: this is a yardstick.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Fallible;

/// Small, so that the first start is quick.
const FIRST_SEGMENT_BYTES: u64 = 2 << 20;
/// Each segment is twice as long as the one before it, up to this. At 40 MB/s a new one is needed every 1.6 seconds.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Zeros are made durable in steps this large, with a pause behind each, so that an entry never waits behind many of
/// them. This is still twice as fast as entries come.
const ZEROS_BYTES: usize = 256 << 10;
const ZEROS_PAUSE: Duration = Duration::from_millis(1);

/// Appends entries and tells when they are durable.
#[derive(Clone)]
pub(crate) struct Journal {
    queue: Arc<Mutex<Queue>>,
    committer: Thread,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Journal {
    /// Starts a journal in `directory`.
    ///
    /// # Errors
    /// The first segment cannot be written.
    pub(crate) fn start(directory: &Path) -> Fallible<Self> {
        let first = segment(&directory.join("segment-0"), segment_bytes(0), Duration::ZERO)?;
        let (send, receive) = sync_channel(1);
        let place = directory.to_path_buf();
        std::thread::spawn(move || fill(&place, &send));
        let queue = Arc::new(Mutex::new(Queue::default()));
        let theirs = queue.clone();
        let thread = std::thread::spawn(move || {
            if let Err(error) = commit(&theirs, first, &receive) {
                // Without a journal there is nothing left to measure, and waiting calls must not hang.
                eprintln!("minimal: the journal failed: {error}");
                std::process::exit(1);
            }
        });
        Ok(Self { queue, committer: thread.thread().clone() })
    }

    /// Appends `entry`. The receiver hears when it is durable.
    pub(crate) fn append(&self, entry: &[u8]) -> oneshot::Receiver<()> {
        let (done, heard) = oneshot::channel();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = queue.waiting.is_empty();
        queue.bytes.extend_from_slice(entry);
        queue.waiting.push(done);
        drop(queue);
        if idle {
            self.committer.unpark();
        }
        heard
    }
}

fn commit(queue: &Mutex<Queue>, first: File, segments: &Receiver<File>) -> Fallible<()> {
    let (mut file, mut number, mut at) = (first, 0, 0);
    let mut batch = Queue::default();
    loop {
        std::mem::swap(&mut batch, &mut queue.lock().unwrap_or_else(PoisonError::into_inner));
        if batch.waiting.is_empty() {
            std::thread::park();
            continue;
        }
        let length = batch.bytes.len() as u64;
        if at + length > segment_bytes(number) {
            (file, number, at) = (segments.recv()?, number + 1, 0);
        }
        file.write_all_at(&batch.bytes, at)?;
        file.sync_data()?;
        at += length;
        batch.bytes.clear();
        for done in batch.waiting.drain(..) {
            // Whoever does not wait for its entry has dropped the other end.
            done.send(()).ok();
        }
    }
}

/// Keeps one segment ready and removes the ones that are two behind.
fn fill(directory: &Path, ready: &SyncSender<File>) {
    let path = |number: u32| -> PathBuf { directory.join(format!("segment-{number}")) };
    for number in 1.. {
        match segment(&path(number), segment_bytes(number), ZEROS_PAUSE).map(|file| ready.send(file)) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(error) => return eprintln!("minimal: no new segment: {error}"),
        }
        if let Some(old) = u32::checked_sub(number, 3) {
            drop(std::fs::remove_file(path(old)));
        }
    }
}

fn segment_bytes(number: u32) -> u64 {
    (FIRST_SEGMENT_BYTES << number.min(16)).min(SEGMENT_BYTES_MAX)
}

fn segment(path: &Path, size: u64, pause: Duration) -> Fallible<File> {
    let mut file = File::create(path)?;
    let zeros = vec![0; ZEROS_BYTES];
    for _ in 0..size / ZEROS_BYTES as u64 {
        file.write_all(&zeros)?;
        file.sync_data()?;
        std::thread::sleep(pause);
    }
    file.sync_all()?;
    Ok(file)
}
