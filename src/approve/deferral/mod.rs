//! Suspended actions: kept with their identity and context until resolvers or people know more (AARM A-4.4 to A-4.13).
//!
//! ```text
//! DEFER ─► deferral entry ─► resolvers ─► facts ─► decided again ─► resolution entry
//!                                └─► nobody knows ─► people, as an escalation ─► as a STEP_UP
//! ```
//!
//! What a resolver finds out is a fact that rules look at; it never permits anything itself. Time, attempts and the
//! depth of waiting on one another are bounded, and the end of every bound is a refusal.

mod calendar;
mod resolve;
mod restored;
mod service;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::net::HttpClient;

pub use resolve::ResolverError;
pub(super) use resolve::Resolvers;
pub(super) use restored::{Suspensions, Unfinished};
pub use service::DeferralStats;
pub(super) use table::{Deferrals, Hold};

/// The `approve.deferral:` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeferralConfig {
    /// Milliseconds that resolvers have together; then people are asked.
    pub resolve_ms: u64,
    /// How often each resolver is asked.
    pub attempts_max: u32,
    /// How deep deferred actions may wait on one another (resolution G-18).
    pub depth_max: u32,
    /// Deferred actions of one session at once.
    pub pending_per_session_max: usize,
    /// Whether people are asked when no resolver knows. Without, it is refused.
    pub escalate: bool,
    /// Whether the person on whose behalf the agent acts may settle what was deferred: a confirmation.
    pub requester_may_confirm: bool,
    /// Who is asked, in this order.
    pub resolvers: Vec<ResolverConfig>,
}

impl Default for DeferralConfig {
    fn default() -> Self {
        Self {
            resolve_ms: 2_500,
            attempts_max: 2,
            depth_max: 5,
            pending_per_session_max: 16,
            escalate: true,
            requester_may_confirm: false,
            resolvers: Vec::new(),
        }
    }
}

/// Somebody who can be asked for a fact: rules name it `facts.NAME`. `ttl_s` is how long an answer stays known, seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ResolverConfig {
    /// Whether it is one of these times now, in UTC.
    Calendar {
        /// The fact.
        fact: String,
        /// How long an answer stays known.
        #[serde(default = "ttl_s")]
        ttl_s: u64,
        /// The times.
        windows: Vec<Window>,
    },
    /// A GET that answers JSON.
    Http {
        /// The fact.
        fact: String,
        /// How long an answer stays known.
        #[serde(default = "ttl_s")]
        ttl_s: u64,
        /// The address. `{/pointer}` stands for an argument, and only behind the host.
        url: String,
        /// Where the fact stands in the answer, as a JSON pointer; the whole answer without.
        #[serde(default)]
        pointer: Option<String>,
        /// The client.
        #[serde(default)]
        client: HttpClient,
    },
    /// A file of names and values.
    Inventory {
        /// The fact.
        fact: String,
        /// How long an answer stays known.
        #[serde(default = "ttl_s")]
        ttl_s: u64,
        /// The argument that is looked up, as a JSON pointer.
        key: String,
        /// A JSON or YAML mapping; relative to the data directory.
        #[serde(default)]
        file: Option<PathBuf>,
        /// The mapping itself.
        #[serde(default)]
        values: BTreeMap<String, serde_json::Value>,
    },
}

const fn ttl_s() -> u64 {
    60
}

impl ResolverConfig {
    /// The fact, and how long an answer stays known, seconds.
    #[must_use]
    pub fn fact(&self) -> (&str, u64) {
        match self {
            Self::Calendar { fact, ttl_s, .. }
            | Self::Http { fact, ttl_s, .. }
            | Self::Inventory { fact, ttl_s, .. } => (fact, *ttl_s),
        }
    }
}

/// A time of the week, in UTC.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// `mon` to `sun`; every day without.
    #[serde(default)]
    pub days: Vec<Day>,
    /// `HH:MM`, included.
    pub from: String,
    /// `HH:MM`, excluded; earlier than `from` it is the next day's.
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}
