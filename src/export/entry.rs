//! An entry of the log, opened once for all destinations.

use std::sync::{Arc, LazyLock};

use regex::bytes::Regex;

use super::event::is_silent;
use super::reader::{self, Content};
use super::schema::members::{Member, Members};
use crate::model::json::{Kind, View};
use crate::model::{Digest, Severity, Timestamp};
use crate::record::{Gist, StoredEntry};

/// An entry of the log, opened once for all destinations, without secrets.
#[derive(Debug)]
pub struct DecodedEntry {
    /// Its place in the log.
    pub index: u64,
    /// Its leaf hash: with it, a SIEM is a witness of the log.
    pub leaf_hash: Digest,
    content: Arc<Content>,
}

impl DecodedEntry {
    /// Opens an entry of our own log. One that no event comes of is not read: of the entries of an action in a busy log,
    /// that is the decision that allows it, and what its result brought into the session. Its signature was made here; whoever doubts the log asks the verifier, not the
    /// exporter.
    ///
    /// # Errors
    /// A sentence, when it is not an entry.
    pub fn open(entry: &StoredEntry) -> Result<Self, String> {
        if entry.gist.is_some_and(is_silent) {
            let (index, leaf_hash) = (entry.index, entry.leaf_hash);
            return Ok(Self { index, leaf_hash, content: Arc::default() });
        }
        Self::of(payload(entry)?, entry.index, entry.leaf_hash)
    }

    /// Whether an entry could yield an event of HIGH or above: a cheap look that never says no wrongly. Actions state their
    /// severity as a word; what is not about an action is rare enough to be opened.
    #[must_use]
    pub fn may_be_urgent(entry: &StoredEntry) -> bool {
        if let Some(Gist { severity: Some(severity), .. }) = entry.gist {
            return severity >= Severity::High;
        }
        if entry.gist.is_some_and(is_silent) {
            return false;
        }
        decoded(entry).is_ok_and(|payload| matches(&URGENT, &payload) || !matches(&ORDINARY, &payload))
    }

    pub(super) fn of(payload: String, index: u64, leaf_hash: Digest) -> Result<Self, String> {
        Ok(Self { index, leaf_hash, content: reader::read(payload)? })
    }

    /// What the entry states; `None` for an entry without a predicate, and for one that was not read.
    #[must_use]
    pub fn predicate(&self) -> Option<View<'_>> {
        self.content.predicate()
    }

    /// A member that mapping tables name. `None` when the entry has none, or null.
    #[must_use]
    pub(crate) fn member(&self, member: Member) -> Option<View<'_>> {
        let Content { text, document, places } = &*self.content;
        let place = places.get(member.number()).copied().filter(|place| *place > 0)?;
        let view = document.at(text, usize::try_from(place).ok()?);
        (view.kind() != Kind::Null).then_some(view)
    }

    /// The member at a dotted path of the predicate. `None` when the entry has none, or null.
    #[must_use]
    pub(crate) fn at(&self, path: &str) -> Option<View<'_>> {
        if let Some(member) = Members::all().find(path) {
            return self.member(member);
        }
        let view = path.split('.').try_fold(self.predicate()?, |view, name| view.get(name))?;
        (view.kind() != Kind::Null).then_some(view)
    }

    /// The text at a dotted path of the predicate; empty when there is none.
    #[must_use]
    pub(crate) fn text(&self, path: &str) -> std::borrow::Cow<'_, str> {
        self.at(path).and_then(|view| view.as_str()).unwrap_or_default()
    }

    /// When it happened: when the outcome was complete, else when the entry was made.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let time = |path| Timestamp::parse(&self.text(path));
        time("outcome.completed").or_else(|| time("time.wall")).unwrap_or_else(|| Timestamp::from_micros(0))
    }
}

/// Words without which nothing about an action is urgent, in one pass.
static URGENT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#""(?:HIGH|CRITICAL)""#).ok());

/// What is about an action.
static ORDINARY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#""kind":"(?:outcome|decision|context)""#).ok());

/// Whether there is a match; true also for a pattern that does not compile, which a test excludes.
fn matches(pattern: &LazyLock<Option<Regex>>, payload: &[u8]) -> bool {
    pattern.as_ref().is_none_or(|pattern| pattern.is_match(payload))
}

fn payload(entry: &StoredEntry) -> Result<String, String> {
    String::from_utf8(decoded(entry)?).map_err(|error| error.to_string())
}

fn decoded(entry: &StoredEntry) -> Result<Vec<u8>, String> {
    let encoded = entry.bytes.strip_prefix(b"{\"payload\":\"").ok_or("not an envelope")?;
    let text = std::str::from_utf8(encoded).map_err(|_| "not an envelope")?;
    let (encoded, _) = text.split_once('"').ok_or("not an envelope")?;
    base64_simd::STANDARD.decode_to_vec(encoded).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::seal;

    #[test]
    fn only_what_is_about_an_action_and_calm_is_not_opened() {
        let urgent = |kind: &str, severity: &str| {
            let payload = format!(r#"{{"predicate":{{"decision":{{"severity":"{severity}"}},"kind":"{kind}"}}}}"#);
            DecodedEntry::may_be_urgent(&StoredEntry::new(7, seal(payload.as_bytes(), &[])))
        };
        for kind in ["outcome", "decision", "context"] {
            assert!(urgent(kind, "HIGH") && urgent(kind, "CRITICAL") && !urgent(kind, "MEDIUM"), "{kind}");
        }
        assert!(urgent("control", "INFO") && urgent("approval", "INFO"));
    }
}
