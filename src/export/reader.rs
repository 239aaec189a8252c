//! Reads what entries say. Most say what one of the last few did, but for some values: those are compared instead of read
//! anew, and only what differs is searched for secrets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::boundary::{self, Searched};
use super::schema::members::Members;
use crate::model::json::{Document, Limits, View, scan, scan_alike};

/// Entries that others are compared with, for each reader: outcomes, decisions and what is about neither, with and without
/// the members that some have. About 10 KiB each.
const RECENT_MAX: usize = 4;

/// What an entry says, without secrets.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) text: String,
    pub(super) document: Document,
    /// Where the members that mapping tables name stand, by [`super::schema::members::Member`]; 0 where there is none.
    pub(super) places: Arc<[u32]>,
}

/// One for each thread that reads entries just now.
static IDLE: Mutex<Vec<Reader>> = Mutex::new(Vec::new());

/// Reads the payload of an entry.
///
/// # Errors
/// A sentence, when it is not JSON.
pub(super) fn read(payload: String) -> Result<Arc<Content>, String> {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut reader = idle.unwrap_or_default();
    let content = reader.read(payload);
    IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
    content
}

#[derive(Default)]
struct Reader {
    searched: Searched,
    /// What was read last, and held no secret. The newest first.
    recent: VecDeque<Arc<Content>>,
}

impl Reader {
    fn read(&mut self, text: String) -> Result<Arc<Content>, String> {
        match self.read_alike(text) {
            Ok(content) => Ok(content),
            Err(text) => self.read_anew(text),
        }
    }

    /// Reads a text that is much like one of the last. Gives it back when it is like none, or holds a secret.
    fn read_alike(&mut self, text: String) -> Result<Arc<Content>, String> {
        let compare = |(at, known): (usize, &Arc<Content>)| {
            let alike = scan_alike(&text, (&known.text, &known.document))?;
            Some((at, Arc::clone(&known.places), alike))
        };
        let Some((at, places, alike)) = self.recent.iter().enumerate().find_map(compare) else { return Err(text) };
        let changed = alike.changed.iter().map(|place| alike.document.at(&text, *place));
        if boundary::redact(&text, &alike.document, changed, &mut self.searched).is_some() {
            return Err(text);
        }
        let content = Arc::new(Content { document: alike.document, places, text });
        self.recent.remove(at);
        self.recent.push_front(Arc::clone(&content));
        Ok(content)
    }

    fn read_anew(&mut self, text: String) -> Result<Arc<Content>, String> {
        let read = |text: &str| {
            let read = scan(text.as_bytes(), Limits::default()).map(|(_, document)| document);
            read.map_err(|error| error.to_string())
        };
        let document = read(&text)?;
        let every = document.root(&text).descendants();
        if let Some(clean) = boundary::redact(&text, &document, every, &mut self.searched) {
            let document = read(&clean)?;
            return Ok(Arc::new(Content::new(clean, document)));
        }
        let content = Arc::new(Content::new(text, document));
        self.recent.truncate(RECENT_MAX - 1);
        self.recent.push_front(Arc::clone(&content));
        Ok(content)
    }
}

impl Content {
    fn new(text: String, document: Document) -> Self {
        let places = document.root(&text).get("predicate").map(|predicate| Members::all().places(predicate));
        Self { places: places.unwrap_or_default().into(), text, document }
    }

    /// What the entry states; `None` when it has no predicate.
    pub(super) fn predicate(&self) -> Option<View<'_>> {
        self.document.root(&self.text).get("predicate")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;

    #[test]
    fn what_is_read_does_not_depend_on_what_was_read_before() {
        let mut reader = Reader::default();
        let mut alike = 0;
        for payload in samples::payloads() {
            for round in 0..3 {
                // Values of another length, in some of them.
                let payload = payload.replace("allowed", &"x".repeat(round * 5));
                let newest = reader.recent.front().cloned();
                let (read, anew) = (reader.read(payload.clone()).unwrap(), Reader::default().read(payload).unwrap());
                assert_eq!((&read.text, &read.places), (&anew.text, &anew.places));
                let spans = |content: &Content| {
                    let root = content.document.root(&content.text);
                    root.descendants().map(|view| (view.kind(), view.span(), view.key_span())).collect::<Vec<_>>()
                };
                assert_eq!(spans(&read), spans(&anew));
                alike += usize::from(newest.is_some_and(|newest| Arc::ptr_eq(&newest.places, &read.places)));
            }
        }
        assert!(alike > 0 && reader.recent.len() == RECENT_MAX);
    }

    #[test]
    fn a_secret_in_the_place_of_a_calm_value_is_found() {
        let mut reader = Reader::default();
        let payload =
            |reason: &str| format!(r#"{{"predicate":{{"decision":{{"reason":"{reason}"}},"kind":"outcome"}}}}"#);
        for number in 0..20 {
            for (reason, is_secret) in [("policy allowed it", false), ("password: hunter2hunter2", true)] {
                let read = reader.read(payload(&format!("{reason} {number}"))).unwrap();
                assert_eq!(!read.text.contains(reason), is_secret, "{}", read.text);
                assert!(reader.recent.iter().all(|recent| !recent.text.contains("hunter2")));
            }
        }
    }
}
