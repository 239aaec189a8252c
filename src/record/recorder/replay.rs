//! Reads the log back for whoever keeps nothing else: what is open after a restart stands in the entries.

use std::sync::Arc;

use super::Recorder;
use super::unsettled::{READ_BYTES_MAX, Unreadable};
use crate::record::entry::{Predicate, read_payload};
use crate::record::{RecordError, open_envelope};

/// Entries read at once.
const READ_ENTRIES_MAX: usize = 4_096;

impl Recorder {
    /// Reads the durable entries from `from` on. `wanted` is asked with the text of each payload, so that most need not
    /// be parsed; `each` is told the place and the statement of those that are wanted, in order. Blocks on the disk.
    ///
    /// # Errors
    /// [`RecordError`] when an entry cannot be read.
    pub fn replay(
        &self,
        from: u64,
        wanted: impl Fn(&str) -> bool,
        mut each: impl FnMut(u64, Predicate<'static>),
    ) -> Result<(), RecordError> {
        let end = self.size();
        let mut next = from;
        while next < end {
            let entries = self.log().read(next, READ_ENTRIES_MAX, READ_BYTES_MAX)?;
            let Some(last) = entries.last().map(|entry| entry.index) else { return Ok(()) };
            for stored in entries.iter().filter(|stored| stored.index < end) {
                let index = stored.index;
                let unreadable = |reason| RecordError::Unreadable { index, reason: Arc::new(reason) };
                let envelope = open_envelope(&stored.bytes).map_err(|error| unreadable(Unreadable::Envelope(error)))?;
                if std::str::from_utf8(&envelope.payload).is_ok_and(&wanted) {
                    let read = read_payload(&envelope.payload).map_err(|e| unreadable(Unreadable::Payload(e)))?;
                    each(index, read.statement.predicate);
                }
            }
            next = last + 1;
        }
        Ok(())
    }
}
