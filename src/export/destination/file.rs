//! A file of JSON lines, or standard output.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::ExportError;

/// A file is near: lines need not gather for long. A busy log still costs only twenty writes a second.
const LINGER: Duration = Duration::from_millis(50);

/// A file of JSON lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file, relative to the data directory. Made 0600 when it is not there; appended to.
    pub path: PathBuf,
}

/// Standard output.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdoutConfig {}

impl Settings for FileConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let path = opening.data_dir.join(&self.path);
        // Readable by its owner alone.
        let file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&path);
        let file = file.map_err(|source| ExportError::Open { path: path.clone(), source })?;
        Ok(Box::new(File { name: opening.name.into(), path, file: Some(Arc::new(Mutex::new(file))) }))
    }
}

impl Settings for StdoutConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        Ok(Box::new(File { name: opening.name.into(), path: "standard output".into(), file: None }))
    }
}

/// Appends events to a file, or writes them to standard output.
struct File {
    name: String,
    path: PathBuf,
    /// `None` is standard output.
    file: Option<Arc<Mutex<std::fs::File>>>,
}

/// Writes whole lines; `None` is standard output.
fn write(file: Option<&Mutex<std::fs::File>>, text: &str) -> std::io::Result<()> {
    match file {
        Some(file) => {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A write that was cut short, by a full disk or a crash, must not take the next line with it.
            if !ends_in_a_line(&file)? {
                file.write_all(b"\n")?;
            }
            file.write_all(text.as_bytes())?;
            // Arrived means on the disk: only then does the cursor move.
            file.sync_data()
        }
        None => {
            let mut output = std::io::stdout().lock();
            output.write_all(text.as_bytes()).and_then(|()| output.flush())
        }
    }
}

fn ends_in_a_line(file: &std::fs::File) -> std::io::Result<bool> {
    let about = file.metadata()?;
    let Some(last) = about.len().checked_sub(1).filter(|_| about.is_file()) else { return Ok(true) };
    let mut byte = [0];
    Ok(file.read_at(&mut byte, last)? == 0 || byte == *b"\n")
}

impl Destination for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        Limits { events_max: 2_000, bytes_max: 8 << 20, event_bytes_max: 4 << 20, overhead: 1, linger: LINGER }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        let (file, batch) = (self.file.clone(), batch.clone());
        Box::pin(async move {
            // A disk write can take long: not on the threads that move bytes.
            let written = tokio::task::spawn_blocking(move || write(file.as_deref(), &batch.lines())).await;
            let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
            let failed = |source| SendError::later(format!("write to `{}`: {source}", self.path.display()));
            written.map(|()| Delivery::default()).map_err(failed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::scratch::Scratch;

    #[test]
    fn a_torn_line_does_not_take_the_next_one_with_it() {
        let scratch = Scratch::new();
        let path = scratch.write("events.jsonl", "{\"whole\":1}\n{\"tor");
        let file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
        write(Some(&Mutex::new(file)), "{\"next\":2}\n").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"whole\":1}\n{\"tor\n{\"next\":2}\n");
    }
}
