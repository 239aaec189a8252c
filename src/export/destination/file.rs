//! A file of JSON lines, or standard output.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Batch, Destination, SendError};
use crate::export::ExportError;

/// Appends events to a file, or writes them to standard output.
pub(crate) struct File {
    name: String,
    path: PathBuf,
    /// `None` is standard output.
    file: Option<Arc<Mutex<std::fs::File>>>,
}

impl File {
    /// Opens `path` for appending, readable by its owner alone.
    ///
    /// # Errors
    /// [`ExportError::Open`].
    pub(crate) fn open(name: &str, path: &Path) -> Result<Self, ExportError> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = file.map_err(|source| ExportError::Open { path: path.to_owned(), source })?;
        Ok(Self { name: name.into(), path: path.to_owned(), file: Some(Arc::new(Mutex::new(file))) })
    }

    /// Standard output.
    #[must_use]
    pub(crate) fn stdout(name: &str) -> Self {
        Self { name: name.into(), path: "standard output".into(), file: None }
    }
}

/// Writes whole lines; `None` is standard output.
fn write(file: Option<&Mutex<std::fs::File>>, text: &str) -> std::io::Result<()> {
    match file {
        Some(file) => {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
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

impl Destination for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>> {
        let file = self.file.clone();
        let mut text = String::with_capacity(batch.rendered.iter().map(|line| line.len() + 1).sum());
        for line in &batch.rendered {
            text.push_str(line);
            text.push('\n');
        }
        Box::pin(async move {
            // A disk write can take long: not on the threads that move bytes.
            let written = tokio::task::spawn_blocking(move || write(file.as_deref(), &text)).await;
            let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
            written.map_err(|source| SendError::Write { path: self.path.clone(), source })
        })
    }
}
