//! What lookups found, as events say it.

use std::sync::Arc;

use crate::model::Timestamp;
use crate::model::json::write_string;
use crate::record::redact;

/// Bytes of one value, and values of one answer: a directory can hold photographs.
const VALUE_BYTES_MAX: usize = 512;
const FIELDS_MAX: usize = 32;

/// What a source said about one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Name and value of each field, in order.
    pub fields: Vec<(String, String)>,
    /// Which state of the source it is: the digest of an inventory, or of the answer of a directory.
    pub version: String,
    /// When the source was in that state, as far as is known.
    pub as_of: Timestamp,
}

impl Answer {
    /// An answer within bounds. Secrets are removed here as from entries: nothing else looks at these texts.
    #[must_use]
    pub fn new(fields: impl IntoIterator<Item = (String, String)>, version: String, as_of: Timestamp) -> Self {
        let clean = |(name, value): (String, String)| {
            let mut value = redact::text(&value).text.into_owned();
            let end = value.floor_char_boundary(VALUE_BYTES_MAX);
            value.truncate(end);
            (name, value)
        };
        Self { fields: fields.into_iter().take(FIELDS_MAX).map(clean).collect(), version, as_of }
    }
}

/// What became of one lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The source knows it.
    Found,
    /// The source has not answered yet. Its answer completes later events.
    Late,
    /// The source has nothing of that name, or several of it.
    NotFound,
    /// The source knew it when it was last asked, which is longer ago than it should be.
    Stale,
    /// The source cannot be asked.
    Unavailable,
}

impl Outcome {
    /// The word in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Late => "timeout",
            Self::NotFound => "not_found",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
        }
    }
}

/// One lookup of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The member of the event.
    pub field: Arc<str>,
    /// The word under `lookup`.
    pub lookup: &'static str,
    /// What was looked up.
    pub value: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What the source said.
    pub answer: Option<Arc<Answer>>,
}

/// All lookups of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added(Vec<Finding>);

impl Added {
    /// `None` when nothing was looked up.
    pub(in crate::export) fn of(findings: Vec<Finding>) -> Option<Self> {
        (!findings.is_empty()).then_some(Self(findings))
    }

    /// `complete`: every source answered; `partial`: some did; `failed`: none.
    pub(in crate::export) fn status(&self) -> &'static str {
        let missing = |finding: &&Finding| matches!(finding.outcome, Outcome::Late | Outcome::Unavailable);
        match self.0.iter().filter(missing).count() {
            0 => "complete",
            some if some < self.0.len() => "partial",
            _ => "failed",
        }
    }

    /// By the name of the member: `{"identity_human":{"department":...,"lookup":{...}}}`.
    pub(in crate::export) fn by_field(&self) -> String {
        let mut out = String::from("{");
        for (place, finding) in self.0.iter().enumerate() {
            let mut name = finding.field.replace('.', "_");
            if self.0.iter().take(place).any(|other| other.field == finding.field) {
                name = format!("{name}_{}", finding.lookup);
            }
            comma(&mut out);
            write_string(&mut out, &name);
            out.push_str(":{");
            write_fields(&mut out, finding);
            comma(&mut out);
            out.push_str("\"lookup\":{");
            write_lookup(&mut out, finding);
            out.push_str("}}");
        }
        out.push('}');
        out
    }

    /// As a list of `member.field=value`, for schemas without objects.
    pub(in crate::export) fn as_list(&self) -> Option<String> {
        let mut out = String::from("[");
        for finding in &self.0 {
            for (name, value) in finding.answer.iter().flat_map(|answer| &answer.fields) {
                comma(&mut out);
                write_string(&mut out, &format!("{}.{name}={value}", finding.field));
            }
        }
        out.push(']');
        (out.len() > 2).then_some(out)
    }

    /// As OCSF's `enrichments`: what was found.
    pub(in crate::export) fn as_ocsf(&self) -> Option<String> {
        let mut out = String::from("[");
        for finding in self.0.iter().filter(|finding| finding.answer.is_some()) {
            comma(&mut out);
            for (name, value) in [("name", &*finding.field), ("value", &finding.value), ("type", finding.lookup)] {
                out.push_str(if name == "name" { "{\"" } else { ",\"" });
                out.push_str(name);
                out.push_str("\":");
                write_string(&mut out, value);
            }
            out.push_str(",\"data\":{");
            write_fields(&mut out, finding);
            out.push_str("}}");
        }
        out.push(']');
        (out.len() > 2).then_some(out)
    }
}

/// A comma, unless something begins here.
fn comma(out: &mut String) {
    if !out.ends_with(['{', '[']) {
        out.push(',');
    }
}

fn write_fields(out: &mut String, finding: &Finding) {
    for (name, value) in finding.answer.iter().flat_map(|answer| &answer.fields) {
        comma(out);
        write_string(out, name);
        out.push(':');
        write_string(out, value);
    }
}

fn write_lookup(out: &mut String, finding: &Finding) {
    let answer = finding.answer.as_ref();
    let as_of = answer.map(|answer| answer.as_of.to_rfc3339_millis());
    let members = [
        ("source", Some(finding.lookup)),
        ("status", Some(finding.outcome.as_str())),
        ("version", answer.map(|answer| &*answer.version)),
        ("as_of", as_of.as_deref()),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            comma(out);
            write_string(out, name);
            out.push(':');
            write_string(out, value);
        }
    }
}
