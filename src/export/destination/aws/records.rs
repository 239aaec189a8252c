//! Calls that take many records at once and answer for each of them.

use serde::Deserialize;

use super::super::{Delivery, EventFailure, FailedEvent, SendError};

/// What became of one record: an id when it was taken, a code when it was not.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RecordAnswer {
    error_code: Option<String>,
    error_message: Option<String>,
}

/// What became of a batch. A record that was not taken is one that a shard or stream had no room for, or that met a
/// failure inside: it is sent again, alone. Records are never found faulty here.
///
/// # Errors
/// [`SendError::Later`]: the answer is not one for this batch.
pub(crate) fn sort(answers: Vec<RecordAnswer>, events: usize) -> Result<Delivery, SendError> {
    if answers.len() != events {
        return Err(SendError::later(format!("{} answers for {events} records", answers.len())));
    }
    let mut failed = Vec::new();
    for (position, answer) in answers.into_iter().enumerate() {
        if let Some(code) = answer.error_code {
            let failure = EventFailure::Later(format!("{code}: {}", answer.error_message.unwrap_or_default()));
            failed.push(FailedEvent { position, failure });
        }
    }
    Ok(Delivery { failed, ..Delivery::default() })
}
