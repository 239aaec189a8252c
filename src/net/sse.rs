//! Server-sent events, cut at their ends and otherwise left alone.
//!
//! An event is passed on as the bytes that came; its fields are read beside them (WHATWG HTML §9.2.6). Line ends may be
//! `\n`, `\r\n` or `\r`. An event larger than the limit is an error, never a truncation.

use bytes::{Bytes, BytesMut};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Exactly what came, with the blank line that ends it.
    pub raw: Bytes,
    /// The joined `data` lines; `None` when there were none.
    pub data: Option<Bytes>,
    /// The last `event` field; absent means `message`.
    pub name: Option<Bytes>,
    /// The last `id` field.
    pub id: Option<Bytes>,
}

/// An event is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {0} bytes")]
pub struct EventTooLarge(usize);

/// Cuts a stream into events.
#[derive(Debug)]
pub struct Events {
    waiting: BytesMut,
    /// Bytes of `waiting` that were searched for an end already.
    searched: usize,
    /// Whether an event was cut off already: only what begins the stream may begin with a byte order mark.
    begun: bool,
    bytes_max: usize,
}

impl Events {
    /// A stream whose events hold at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { waiting: BytesMut::new(), searched: 0, begun: false, bytes_max }
    }

    /// Adds what came and returns the events that are complete.
    ///
    /// # Errors
    /// [`EventTooLarge`]: what waits for its end is larger than the limit.
    pub fn push(&mut self, chunk: Bytes) -> Result<Vec<Event>, EventTooLarge> {
        self.waiting.extend_from_slice(&chunk);
        let mut events = Vec::new();
        while let Some(end) = self.end() {
            let raw = self.waiting.split_to(end).freeze();
            self.searched = 0;
            events.push(Event::read(raw, !std::mem::replace(&mut self.begun, true)));
        }
        if self.waiting.len() > self.bytes_max { Err(EventTooLarge(self.bytes_max)) } else { Ok(events) }
    }

    /// What is left when the stream ends: an event without its end, which clients ignore.
    #[must_use]
    pub fn finish(self) -> Option<Bytes> {
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

impl Event {
    /// Reads the fields of one event. Readers skip a byte order mark that begins the stream: what hides behind one must
    /// be seen here too.
    fn read(raw: Bytes, first: bool) -> Self {
        let mut found: Vec<Bytes> = Vec::new();
        let (mut name, mut id) = (None, None);
        let text = raw.strip_prefix(BYTE_ORDER_MARK).filter(|_| first).unwrap_or(&raw);
        for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
            if let Some(value) = field(line, b"data") {
                found.push(raw.slice_ref(value));
            } else if let Some(value) = field(line, b"event") {
                name = Some(raw.slice_ref(value));
            } else if let Some(value) = field(line, b"id") {
                id = Some(raw.slice_ref(value));
            }
        }
        let data = match found.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(many.join(&b'\n').into()),
        };
        Self { data, name, id, raw }
    }

    /// The same event with other data.
    #[must_use]
    pub fn carrying(&self, data: Bytes) -> Self {
        Self { raw: self.with_data(&data), data: Some(data), name: self.name.clone(), id: self.id.clone() }
    }

    /// The text of the same event with other data: its other lines stay, in their order.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.raw.len() + data.len());
        let mut line = |parts: [&[u8]; 2]| {
            parts.iter().for_each(|part| out.extend_from_slice(part));
            out.push(b'\n');
        };
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let text = self.raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.raw);
        for kept in text.split(is_end).filter(|line| !line.is_empty() && field(line, b"data").is_none()) {
            line([kept, b""]);
        }
        for part in data.split(is_end) {
            line([b"data: ", part]);
        }
        line([b"", b""]);
        out.into()
    }
}

/// The value of a line, when it is the field `name`: behind the colon and one space, or nothing.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
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
    fn data_can_be_changed() {
        let events = all(b": c\r\nid: 1\r\ndata: old\r\nevent: message\r\ndata: er\r\n\r\n", 64);
        let changed = events[0].with_data(b"{\n1}");
        assert_eq!(changed, &b": c\nid: 1\nevent: message\ndata: {\ndata: 1}\n\n"[..]);
        let again = &all(&changed, 64)[0];
        assert_eq!((again.data.as_deref(), again.id.as_deref()), (Some(&b"{\n1}"[..]), Some(&b"1"[..])));
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
    fn reads_the_fields_of_an_event() {
        let stream = b"\xef\xbb\xbfdata: a\nid: 1\nid:2\nevent:  x\nretry: 5\n\n\xef\xbb\xbfdata: b\ndatax: c\n\n";
        let events = all(stream, 5);
        let [first, second] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(first.data.as_deref(), Some(&b"a"[..]), "readers skip a mark that begins the stream");
        assert_eq!((first.id.as_deref(), first.name.as_deref()), (Some(&b"2"[..]), Some(&b" x"[..])));
        assert_eq!(second.data, None, "a mark inside the stream belongs to the field's name");
    }

    #[test]
    fn refuses_an_event_past_the_limit() {
        let mut events = Events::new(8);
        assert!(events.push(Bytes::from_static(b"data: 123456789")).is_err());
    }
}
