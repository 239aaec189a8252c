//! Somebody whom a message is for, and who may answer by it: with a button in Slack, or by the link in a mail.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::approve::Person;
use crate::model::Verification;

/// People of one notifier who may answer, at most.
const PEOPLE_MAX: usize = 1_000;

/// Somebody whom a message is for, and who may answer by it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifiedPerson {
    /// The person's id, as in `admin.tokens`.
    pub name: String,
    /// The person's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The tenant the person is confined to.
    #[serde(default)]
    pub tenant: Option<String>,
}

/// What has to be so of people, whichever key they stand under.
///
/// # Errors
/// A sentence.
pub(super) fn check(people: &BTreeMap<String, NotifiedPerson>, key: &str) -> Result<(), String> {
    if people.len() > PEOPLE_MAX {
        return Err(format!("`{key}` names at most {PEOPLE_MAX} people"));
    }
    if people.values().any(|person| person.name.trim().is_empty()) {
        return Err(format!("everybody under `{key}` has a name"));
    }
    Ok(())
}

impl NotifiedPerson {
    /// The person, answering by this channel: its service says who it was, and the operator who that is.
    pub(super) fn person(&self, channel: &'static str) -> Person {
        Person {
            name: self.name.as_str().into(),
            groups: self.groups.iter().map(|group| Arc::from(group.as_str())).collect(),
            tenant: self.tenant.as_deref().map(Arc::from),
            channel,
            verification: Verification::TrustedProxy,
        }
    }
}
