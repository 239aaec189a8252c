//! Server-sent events, cut at their ends and otherwise left alone.
//!
//! An event is passed on as the bytes that came; its data is read beside them (WHATWG HTML §9.2.6). Line ends may be
//! `\n`, `\r\n` or `\r`. An event larger than the limit is an error, never a truncation.

use bytes::{Bytes, BytesMut};

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Exactly what came, with the blank line that ends it.
    pub(crate) raw: Bytes,
    /// The joined `data` lines; `None` when there were none.
    pub(crate) data: Option<Bytes>,
}

/// An event is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {0} bytes")]
pub(crate) struct TooLarge(usize);

/// Cuts a stream into events.
#[derive(Debug)]
pub(crate) struct Events {
    waiting: BytesMut,
    /// Bytes of `waiting` that were searched for an end already.
    searched: usize,
    bytes_max: usize,
}

impl Events {
    /// A stream whose events hold at most `bytes_max` bytes.
    #[must_use]
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { waiting: BytesMut::new(), searched: 0, bytes_max }
    }

    /// Adds what came and returns the events that are complete.
    ///
    /// # Errors
    /// [`TooLarge`]: what waits for its end is larger than the limit.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Vec<Event>, TooLarge> {
        self.waiting.extend_from_slice(&chunk);
        let mut events = Vec::new();
        while let Some(end) = self.end() {
            let raw = self.waiting.split_to(end).freeze();
            self.searched = 0;
            events.push(Event { data: data(&raw), raw });
        }
        if self.waiting.len() > self.bytes_max { Err(TooLarge(self.bytes_max)) } else { Ok(events) }
    }

    /// What is left when the stream ends: an event without its end, which clients ignore.
    #[must_use]
    pub(crate) fn finish(self) -> Option<Bytes> {
        (!self.waiting.is_empty()).then(|| self.waiting.freeze())
    }

    /// Where the first event ends: behind the first blank line.
    fn end(&mut self) -> Option<usize> {
        let bytes = &self.waiting;
        // A blank line may have begun in what was searched: at most three bytes of it.
        let mut at = self.searched.saturating_sub(3);
        while let Some(found) = bytes.get(at..)?.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let first = line_end(bytes, at + found)?;
            match bytes.get(first) {
                Some(b'\n' | b'\r') => return line_end(bytes, first).or_else(|| Some(first + 1)),
                Some(_) => at = first,
                None => break,
            }
        }
        self.searched = bytes.len();
        None
    }
}

/// The place behind the line end at `at`; `None` when a `\r` is last and its `\n` may still come.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Some(at + 2),
        (Some(b'\r'), None) => None,
        _ => Some(at + 1),
    }
}

fn data(raw: &Bytes) -> Option<Bytes> {
    let mut found: Vec<Bytes> = Vec::new();
    let lines = raw.split(|byte| matches!(byte, b'\n' | b'\r'));
    for line in lines {
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[][..],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            _ => continue,
        };
        found.push(raw.slice_ref(value));
    }
    match found.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(many.join(&b'\n').into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(stream: &[u8], step: usize) -> Vec<Event> {
        let mut events = Events::new(1_000);
        let mut found = Vec::new();
        for chunk in stream.chunks(step) {
            found.extend(events.push(Bytes::copy_from_slice(chunk)).unwrap());
        }
        if let Some(rest) = events.finish() {
            assert_eq!(found.iter().map(|event| event.raw.len()).sum::<usize>() + rest.len(), stream.len());
        }
        found
    }

    #[test]
    fn cuts_at_blank_lines_however_it_arrives() {
        let stream = b": hi\n\nid: 1\nevent: message\ndata: {\"a\":\ndata:1}\n\ndata\r\n\r\ndata: x\r\rdata: y\n\nrest";
        for step in 1..stream.len() {
            let events = all(stream, step);
            let data: Vec<Option<&[u8]>> = events.iter().map(|event| event.data.as_deref()).collect();
            assert_eq!(data, [None, Some(&b"{\"a\":\n1}"[..]), Some(b""), Some(b"x"), Some(b"y")], "step {step}");
            let raw: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
            assert_eq!(raw, stream[..stream.len() - 4]);
        }
    }

    #[test]
    fn refuses_an_event_past_the_limit() {
        let mut events = Events::new(8);
        assert!(events.push(Bytes::from_static(b"data: 123456789")).is_err());
    }
}
