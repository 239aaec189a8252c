//! Completes events with what directories and inventories know: whose department, which system's owner.
//!
//! An answer comes from memory, or a lookup is waited for once, for a fraction of a second; what is late completes later
//! events. Must never hold up a delivery for longer, never change an event's id, and never say that it knows what it
//! does not: every event says what became of its lookups, where the answers come from and how old they are.

mod added;
mod cache;
mod config;
mod inventory;
#[cfg(feature = "ldap")]
mod ldap;
mod worker;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::schema::member_of;
use super::{Config, DecodedEntry, ExportError};
use crate::model::Clock;

pub use added::{Added, Answer, Finding, Outcome};
use cache::{Cache, Known, Need};
pub use config::{InventoryConfig, LdapConfig, LookupsConfig};
use worker::Worker;

/// Longest value that is looked up, bytes: longer ones are no names.
const VALUE_BYTES_MAX: usize = 256;

/// A lookup on its way: the answer, or `None` when the source has nothing of that name. Errors are sentences.
type LookingUp<'a> = Pin<Box<dyn Future<Output = Result<Option<Answer>, String>> + Send + 'a>>;

/// Where answers come from.
trait Source: Send + Sync {
    /// Looks a value up. Has a time limit around it.
    fn look_up<'a>(&'a self, value: &'a str) -> LookingUp<'a>;
}

/// One line under `enrichment`, ready to be used.
struct Step {
    /// The member of events, as configured: `identity.human`.
    field: Arc<str>,
    /// Where it stands in entries.
    member: &'static str,
    /// The word under `lookup`.
    lookup: &'static str,
    /// Where its answers are kept.
    source: usize,
}

/// Looks up what events name. Calls block for a bounded time: not for threads that move bytes.
pub(super) struct Enricher {
    steps: Vec<Step>,
    cache: Arc<Cache>,
    worker: Worker,
    wait_max: Duration,
}

impl Enricher {
    /// Prepares what `enrichment` names; `None` when it names nothing. No source is asked yet: one that is down must not
    /// keep the process from starting.
    ///
    /// # Errors
    /// [`ExportError::Enrichment`]: a lookup without a source, or one that cannot be used.
    pub(super) fn new(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Self>>, ExportError> {
        if config.enrichment.is_empty() {
            return Ok(None);
        }
        check(config)?;
        let (mut steps, mut names, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for wanted in &config.enrichment {
            let lookup = wanted.lookup.as_str();
            let failed = |problem| ExportError::Enrichment { lookup, problem };
            // Two lines that ask the same source for different fields are two sources: each keeps what it was asked for.
            let source = config.lookups.open(wanted, clock).map_err(failed)?;
            names.push(Arc::from(lookup));
            sources.push(source);
            let member = member_of(&wanted.field).ok_or_else(|| failed(unknown(&wanted.field)))?;
            steps.push(Step { field: wanted.field.as_str().into(), member, lookup, source: sources.len() - 1 });
        }
        let cache = Arc::new(Cache::new(&config.lookups, names));
        let worker = Worker::start(sources, Arc::clone(&cache))
            .map_err(|error| ExportError::Enrichment { lookup: "worker", problem: error.to_string() })?;
        let wait_max = Duration::from_millis(config.lookups.timeout_ms);
        Ok(Some(Arc::new(Self { steps, cache, worker, wait_max })))
    }

    #[cfg(test)]
    fn with(lookups: &LookupsConfig, field: &str, source: Arc<dyn Source>) -> Self {
        let cache = Arc::new(Cache::new(lookups, vec![Arc::from("ldap")]));
        Self {
            steps: vec![Step { field: field.into(), member: member_of(field).unwrap(), lookup: "ldap", source: 0 }],
            worker: Worker::start(vec![source], Arc::clone(&cache)).unwrap(),
            cache,
            wait_max: Duration::from_millis(lookups.timeout_ms),
        }
    }

    /// Asks for everything that these entries name and memory does not know, and waits for it, at most for the
    /// configured time. A source that has kept somebody waiting in vain is asked, and not waited for, for a while.
    pub(super) fn gather<'a>(&self, entries: impl Iterator<Item = &'a DecodedEntry>) {
        let mut waited_for = Vec::new();
        for entry in entries {
            for (step, value) in self.values(entry) {
                let asked = match self.cache.need(step.source, &value) {
                    Need::Ask => self.worker.ask(step.source, &value),
                    Need::Nothing => continue,
                    Need::Wait => true,
                };
                if !asked {
                    self.cache.cannot_ask(step.source, &value);
                } else if self.cache.is_prompt(step.source) {
                    waited_for.push((step.source, value));
                }
            }
        }
        if !waited_for.is_empty() {
            self.cache.wait(&waited_for, Instant::now() + self.wait_max);
        }
    }

    /// What memory knows about an entry; `None` when it names nothing that is looked up.
    pub(super) fn added(&self, entry: &DecodedEntry) -> Option<Arc<Added>> {
        let findings = self.values(entry).map(|(step, value)| {
            let (outcome, answer) = match self.cache.known(step.source, &value) {
                Known::Answer(answer) => (Outcome::Found, Some(answer)),
                Known::Stale(answer) => (Outcome::Stale, Some(answer)),
                Known::Nothing => (Outcome::NotFound, None),
                Known::Late => (Outcome::Late, None),
                Known::Unavailable => (Outcome::Unavailable, None),
            };
            Finding { field: Arc::clone(&step.field), lookup: step.lookup, value, outcome, answer }
        });
        Added::of(findings.collect()).map(Arc::new)
    }

    fn values<'a>(&'a self, entry: &'a DecodedEntry) -> impl Iterator<Item = (&'a Step, String)> + 'a {
        self.steps.iter().filter_map(move |step| {
            let value = entry.text(step.member);
            (!value.is_empty() && value.len() <= VALUE_BYTES_MAX).then(|| (step, value.into_owned()))
        })
    }

    /// How lookups went, in the text format of Prometheus.
    pub(super) fn render(&self, out: &mut String) {
        self.cache.render(out);
    }
}

/// What can be checked of `enrichment` without touching a source.
///
/// # Errors
/// [`ExportError::Enrichment`]: a member that no event has, or a lookup that this program was built without.
pub(super) fn check(config: &Config) -> Result<(), ExportError> {
    for (place, wanted) in config.enrichment.iter().enumerate() {
        let lookup = wanted.lookup.as_str();
        let problem = if member_of(&wanted.field).is_none() {
            unknown(&wanted.field)
        } else if !wanted.lookup.is_available() {
            "needs a program that was built with `--features ldap`, as the container image is".into()
        } else if wanted.add_fields.iter().any(|field| field == "lookup") {
            "`lookup` cannot be a field: the event says there where the others come from".into()
        } else if config.enrichment.iter().take(place).any(|e| e.field == wanted.field && e.lookup == wanted.lookup) {
            format!("`{}` is looked up there twice; list all fields in one `add_fields`", wanted.field)
        } else {
            continue;
        };
        return Err(ExportError::Enrichment { lookup, problem });
    }
    Ok(())
}

fn unknown(field: &str) -> String {
    format!(
        "`field: {field}` is no member of events; write `identity.human`, `identity.agent`, `action.tool` or another of the schema `aarm`"
    )
}

#[cfg(test)]
mod tests;
