//! Events that a receiver will never take: one JSON line each, on the disk before they count as settled.
//!
//! A line holds the event as it was sent, which is as redacted as the log, and the receiver's reason, redacted here.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ExportError;
use super::cursor::file_name;
use super::item::Item;
use crate::model::{Digest, Timestamp};
use crate::record::redact;

/// Largest dead-letter file, bytes. A full one parks its destination: nothing is dropped for want of room to say so.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Longest reason kept, bytes: receivers answer with whole pages.
const REASON_BYTES_MAX: usize = 1_024;

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was given up.
    pub time: Timestamp,
    /// Who refused it.
    pub destination: String,
    /// Why, in the receiver's words.
    pub error: String,
    /// The event's id.
    pub event_id: String,
    /// Its kind.
    pub event_type: crate::model::EventType,
    /// Its entry's place in the log.
    pub index: u64,
    /// SHA-256 of the text.
    pub body_hash: Digest,
    /// The text that was refused.
    pub event: String,
}

/// The file of one destination.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
    destination: String,
    bytes_max: u64,
}

impl DeadLetters {
    pub(super) fn new(folder: &Path, destination: &str) -> Self {
        let path = folder.join(file_name(destination, "dead.jsonl"));
        Self { path, destination: destination.into(), bytes_max: FILE_BYTES_MAX }
    }

    /// Adds events, durably: all of them or, with an error, possibly some (repeated later, by the same ids).
    ///
    /// # Errors
    /// A sentence: the file is full or cannot be written.
    pub(super) fn add<'a>(
        &self,
        now: Timestamp,
        letters: impl Iterator<Item = (&'a Item, &'a str)>,
    ) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("write the dead letters `{}`: {error}", self.path.display());
        let mut file: File =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() >= self.bytes_max {
            return Err(format!(
                "the dead letters `{}` are full: look at them and move them away",
                self.path.display()
            ));
        }
        // Behind a line that a crash cut short a new one begins.
        let mut text = if ends_in_a_line(&self.path).map_err(failed)? { String::new() } else { "\n".to_owned() };
        for (item, reason) in letters {
            let letter = DeadLetter {
                time: now,
                destination: self.destination.clone(),
                error: clip(&redact::text(reason).text),
                event_id: item.id.clone(),
                event_type: item.event_type,
                index: item.index,
                body_hash: Digest::of(item.rendered.as_bytes()),
                event: item.rendered.clone(),
            };
            text.push_str(&serde_json::to_string(&letter).map_err(|error| failed(error.into()))?);
            text.push('\n');
        }
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

fn ends_in_a_line(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn clip(text: &str) -> String {
    let end = (0..=REASON_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or_default().to_owned()
}

/// The dead letters of a destination, oldest first. A last line that a crash cut short is left out: its event was not
/// settled, so it comes again.
///
/// # Errors
/// [`ExportError::Open`]: the file cannot be read.
pub fn dead_letters(folder: &Path, destination: &str) -> Result<Vec<DeadLetter>, ExportError> {
    let path = folder.join(file_name(destination, "dead.jsonl"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ExportError::Open { path, source }),
    };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
