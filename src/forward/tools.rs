//! What a server says about its tools, listed by us at first contact and whenever it says that the list changed, and
//! learned from the lists that pass by.
//!
//! A schema that was never seen is unknown, not valid: whoever decides is told so. A tool that is not what was pinned is
//! known, and refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Mutex;

use super::Upstream;
use super::list::list;
use super::listing::{Listed, read_page, without};
use super::pins::{PinError, Pins, ServerPins};
use crate::decide::CompiledTool;
use crate::model::{Client, Clock, Digest, Timestamp};

/// Time for one listing, all pages together. A first call waits for it.
const LISTING_MAX: Duration = Duration::from_secs(5);

/// Time between two attempts at a server that could not be listed.
const RETRY_AFTER_US: u64 = 5_000_000;

/// Tools of one server by name.
pub type Tools = HashMap<Arc<str>, Arc<CompiledTool>>;

/// The tools of one server.
pub struct Catalogue {
    server: Arc<str>,
    pins: Option<Arc<Pins>>,
    tools: ArcSwapOption<Tools>,
    /// When listing was last tried; held while it is tried, so that a hundred first calls list once.
    tried: Mutex<Option<Timestamp>>,
}

/// Whose call it is that needs to know the tools: a server process belongs to one caller and session.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The client.
    pub client: &'a Client,
    /// Tells callers apart.
    pub caller: Digest,
}

impl Catalogue {
    /// Nothing is known yet. Without `pins`, tools are whatever they are listed as.
    #[must_use]
    pub fn new(server: Arc<str>, pins: Option<Arc<Pins>>) -> Self {
        Self { server, pins, tools: ArcSwapOption::empty(), tried: Mutex::default() }
    }

    /// One tool; `None` when the server did not list it or could not be listed.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<Arc<CompiledTool>> {
        self.tools.load().as_ref()?.get(name).cloned()
    }

    /// Whether the server was listed.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.tools.load().is_some()
    }

    /// What is pinned.
    ///
    /// # Errors
    /// [`PinError`]: it cannot be read.
    pub fn pins(&self) -> Result<ServerPins, PinError> {
        self.pins.as_ref().map_or_else(|| Ok(ServerPins::default()), |pins| pins.of(&self.server))
    }

    /// Accepts what one tool became, or all.
    ///
    /// # Errors
    /// [`PinError`]: nothing waits for it, or it could not be kept or recorded.
    pub async fn accept(&self, tool: Option<&str>, actor: &str, now: Timestamp) -> Result<Vec<String>, PinError> {
        let nothing = || PinError::Nothing(tool.unwrap_or(&self.server).to_owned());
        let accepted = self.pins.as_ref().ok_or_else(nothing)?.accept(&self.server, tool, actor, now).await?;
        self.forget();
        Ok(accepted)
    }

    /// Forgets the list, so that the next call lists again.
    pub fn forget(&self) {
        self.tools.store(None);
    }

    /// Lists the server's tools unless they are known, or an attempt has just failed.
    pub async fn ensure(&self, upstream: &dyn Upstream, clock: &dyn Clock, asker: Asker<'_>) {
        if !self.is_known() {
            self.attempt(upstream, clock, asker).await;
        }
    }

    /// A list that a client asked for passes by: what is new in it is pinned, and what is not what was pinned is taken
    /// out. Returns what the client gets instead, when that is something else.
    pub async fn passes(&self, answer: &Bytes, now: Timestamp) -> Option<Bytes> {
        let pins = self.pins.as_ref()?;
        let message: Value = serde_json::from_slice(answer).ok()?;
        let listed = read_page(message.get("result")?);
        let hidden: Vec<Arc<str>> = match pins.compare(&self.server, &listed, false, now).await {
            Ok(()) => {
                let held = |tool: &&Listed| !pins.holds(&self.server, &tool.definition.name, tool.definition.digest);
                listed.iter().filter(held).map(|tool| Arc::clone(&tool.definition.name)).collect()
            }
            Err(error) => {
                tracing::error!(server = %self.server, %error, "a list of tools cannot be compared with what was pinned: none is shown");
                listed.iter().map(|tool| Arc::clone(&tool.definition.name)).collect()
            }
        };
        // A tool that changed is refused from now on, whatever was known before.
        let stale = |name: &Arc<str>| self.tool(name).is_some_and(|tool| !tool.is_quarantined());
        if hidden.iter().any(stale) {
            self.forget();
        }
        without(answer, |name| hidden.iter().any(|hidden| **hidden == *name))
    }

    async fn attempt(&self, upstream: &dyn Upstream, clock: &dyn Clock, asker: Asker<'_>) {
        let server = &self.server;
        let mut tried = self.tried.lock().await;
        let now = clock.now();
        let recently = tried.is_some_and(|last| now.micros_since(last) < RETRY_AFTER_US);
        if self.is_known() || recently {
            return;
        }
        *tried = Some(now);
        let listed = match tokio::time::timeout(LISTING_MAX, list(server, upstream, asker)).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => {
                tracing::warn!(%server, %error, "could not list the tools: schemas are unknown");
                return;
            }
            Err(_) => {
                tracing::warn!(%server, "listing the tools took too long: schemas are unknown");
                return;
            }
        };
        if let Some(pins) = &self.pins
            && let Err(error) = pins.compare(server, &listed, true, now).await
        {
            tracing::error!(%server, %error, "the tools cannot be pinned: schemas are unknown");
            return;
        }
        tracing::debug!(%server, tools = listed.len(), "listed");
        let tools = listed.into_iter().map(|tool| {
            let holds = |pins: &Arc<Pins>| pins.holds(server, &tool.definition.name, tool.definition.digest);
            let held = self.pins.as_ref().is_none_or(holds);
            let name = Arc::clone(&tool.definition.name);
            let compiled = CompiledTool::new(tool.definition);
            (name, Arc::new(if held { compiled } else { compiled.quarantined() }))
        });
        self.tools.store(Some(Arc::new(tools.collect())));
        // Known again: the next change is looked for at once.
        *tried = None;
    }
}
