//! Pinned tools: what each tool was when it was first seen, and whether it still is.
//!
//! A tool's definition is what a model reads and what arguments are checked against. Whoever can change it after it was
//! looked at can change what agents do (the rug pull). So name, title, description, schemas and annotations are pinned
//! at first sight, kept over a restart, and a tool that differs is refused and not shown until an operator accepts it.
//! Every first sight, change and acceptance is an entry of the log. A pin that cannot be kept or recorded is no pin: the
//! tools of that server stay unknown.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::listing::Listed;
use crate::model::{Digest, Timestamp};
use crate::record::entry::PinnedTool;
use crate::record::{ControlFact, RecordError, Recorder};

/// Most tools of one server that are pinned; more stay unknown.
const TOOLS_MAX: usize = 4_096;

/// Why tools cannot be pinned, or a change cannot be accepted.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file.
    #[error("use the pins in `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nothing of that name has changed.
    #[error("no change of `{0}` waits to be accepted")]
    Nothing(String),
    /// The log.
    #[error("record what was pinned")]
    Record(#[from] RecordError),
    /// A signed file says what they are.
    #[error("the tools of `{0}` are pinned by a signed file: sign a new one")]
    Stated(String),
    /// More tools than are pinned.
    #[error("the server lists more than {TOOLS_MAX} tools")]
    TooMany,
}

/// The pinned tools of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerPins {
    /// Tools by name.
    pub tools: BTreeMap<String, ToolPin>,
}

/// One pinned tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolPin {
    /// Digest of `definition`.
    pub digest: Digest,
    /// What is pinned of the definition: JSON, members in alphabetical order.
    pub definition: String,
    /// When it was pinned or accepted.
    pub since: Timestamp,
    /// What it became, when that has not been accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Change>,
    /// The server no longer lists it.
    #[serde(default)]
    pub gone: bool,
}

/// What a tool became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Digest of `definition`.
    pub digest: Digest,
    /// The definition as it is listed now.
    pub definition: String,
    /// When it was first seen so.
    pub since: Timestamp,
}

/// What the tools of servers have to be, as a signed file says.
#[derive(Clone, Debug, Default)]
pub struct StatedPins(BTreeMap<String, BTreeMap<String, String>>);

impl StatedPins {
    /// Server, tool, definition: JSON as a pin keeps it.
    #[must_use]
    pub const fn new(servers: BTreeMap<String, BTreeMap<String, String>>) -> Self {
        Self(servers)
    }

    fn of(&self, server: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(server)
    }
}

/// The pins of all servers.
pub struct Pins {
    folder: PathBuf,
    stated: StatedPins,
    recorder: OnceLock<Recorder>,
    servers: Mutex<HashMap<Arc<str>, ServerPins>>,
    /// Held while pins change: what is kept and what is recorded have one order.
    changing: tokio::sync::Mutex<()>,
}

impl Pins {
    /// The pins of a data directory. Touches nothing: before [`Self::begin`] nothing can be pinned.
    #[must_use]
    pub fn new(data_dir: &Path, stated: StatedPins) -> Self {
        let folder = folder(data_dir);
        Self {
            folder,
            stated,
            recorder: OnceLock::new(),
            servers: Mutex::default(),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// Says where pins are recorded. The first time counts.
    pub fn begin(&self, recorder: Recorder) {
        let _already_begun = self.recorder.set(recorder);
    }

    /// Compares what a server lists with what is pinned, pins what is new, and records both. `whole`: this is the whole
    /// list, so that what is missing from it is gone. On return it is durable.
    ///
    /// # Errors
    /// [`PinError`]: it could not be kept or recorded. Nothing of the list may be relied on.
    pub async fn compare(
        &self,
        server: &Arc<str>,
        listed: &[Listed],
        whole: bool,
        now: Timestamp,
    ) -> Result<(), PinError> {
        let _one_at_a_time = self.changing.lock().await;
        let mut pins = self.of(server)?;
        if let Some(stated) = self.stated.of(server) {
            pins.state(stated, listed, now);
        }
        let changes = pins.compare(listed, whole, now);
        if pins.tools.len() > TOOLS_MAX {
            return Err(PinError::TooMany);
        }
        if !changes.is_empty() {
            for change in changes.iter().filter(|change| change.change == "changed") {
                tracing::warn!(%server, tool = %change.name, "a tool changed since it was pinned: it is refused until the change is accepted");
            }
            self.keep(server, &pins)?;
            self.record(server, &changes, None).await?;
        }
        self.lock().insert(Arc::clone(server), pins);
        Ok(())
    }

    /// Whether a tool is what was pinned.
    #[must_use]
    pub fn holds(&self, server: &str, name: &str, digest: Digest) -> bool {
        self.lock().get(server).and_then(|pins| pins.tools.get(name)).is_some_and(|pin| pin.digest == digest)
    }

    /// Accepts what a tool became, or all tools of a server; returns their names.
    ///
    /// # Errors
    /// [`PinError`]: there is nothing to accept, or it could not be kept or recorded.
    pub async fn accept(
        &self,
        server: &Arc<str>,
        tool: Option<&str>,
        actor: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, PinError> {
        let _one_at_a_time = self.changing.lock().await;
        if self.stated.of(server).is_some() {
            return Err(PinError::Stated(server.to_string()));
        }
        let mut pins = self.of(server)?;
        let changes = pins.accept(tool, now);
        if changes.is_empty() {
            return Err(PinError::Nothing(tool.unwrap_or(server).to_owned()));
        }
        // First the record: a change that is accepted and not recorded would be nobody's.
        self.record(server, &changes, Some(actor)).await?;
        self.keep(server, &pins)?;
        self.lock().insert(Arc::clone(server), pins);
        Ok(changes.into_iter().map(|change| change.name.into_owned()).collect())
    }

    pub(super) fn of(&self, server: &Arc<str>) -> Result<ServerPins, PinError> {
        let known = self.lock().get(server).cloned();
        known.map_or_else(|| read_file(&file(&self.folder, server)), Ok)
    }

    async fn record(&self, server: &str, changes: &[PinnedTool<'static>], actor: Option<&str>) -> Result<(), PinError> {
        let recorder = self.recorder.get().ok_or(RecordError::Closed)?;
        for fact in ControlFact::tools_pinned(server, None, changes, actor) {
            recorder.control(fact).await?;
        }
        Ok(())
    }

    fn keep(&self, server: &str, pins: &ServerPins) -> Result<(), PinError> {
        use std::io::Write;
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let path = file(&self.folder, server);
        let failed = |source| PinError::File { path: path.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let text = serde_json::to_vec_pretty(pins).map_err(|error| failed(error.into()))?;
        let new = path.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
        written.write_all(&text).and_then(|()| written.sync_all()).map_err(failed)?;
        std::fs::rename(&new, &path).map_err(failed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, ServerPins>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerPins {
    /// Reads what is pinned of a server, without an instance that runs.
    ///
    /// # Errors
    /// [`PinError::File`].
    pub fn read(data_dir: &Path, server: &str) -> Result<Self, PinError> {
        read_file(&file(&folder(data_dir), server))
    }

    /// Pins what a signed file states. A listed tool that it does not name has to be none: it differs from nothing.
    fn state(&mut self, stated: &BTreeMap<String, String>, listed: &[Listed], now: Timestamp) {
        let names = stated.keys().map(String::as_str).chain(listed.iter().map(|tool| &*tool.definition.name));
        for name in names {
            let definition = stated.get(name).cloned().unwrap_or_default();
            let digest = Digest::of(definition.as_bytes());
            if self.tools.get(name).is_none_or(|pin| pin.digest != digest) {
                let changed = self.tools.get(name).and_then(|pin| pin.changed.clone());
                self.tools.insert(name.to_owned(), ToolPin { digest, definition, since: now, changed, gone: false });
            }
        }
    }

    fn compare(&mut self, listed: &[Listed], whole: bool, now: Timestamp) -> Vec<PinnedTool<'static>> {
        let mut changes = Vec::new();
        let mut tell = |change: &'static str, name: &str, digest: Option<Digest>, previous: Option<Digest>| {
            changes.push(PinnedTool { change: change.into(), digest, name: name.to_owned().into(), previous });
        };
        for tool in listed {
            let (name, digest) = (&*tool.definition.name, tool.definition.digest);
            let Some(pin) = self.tools.get_mut(name) else {
                tell("first_seen", name, Some(digest), None);
                let definition = tool.pinned.clone();
                self.tools
                    .insert(name.to_owned(), ToolPin { digest, definition, since: now, changed: None, gone: false });
                continue;
            };
            pin.gone = false;
            if pin.digest == digest {
                if pin.changed.take().is_some() {
                    tell("restored", name, Some(digest), None);
                }
            } else if pin.changed.as_ref().is_none_or(|changed| changed.digest != digest) {
                tell("changed", name, Some(digest), Some(pin.digest));
                pin.changed = Some(Change { digest, definition: tool.pinned.clone(), since: now });
            }
        }
        if whole {
            for (name, pin) in self.tools.iter_mut().filter(|(_, pin)| !pin.gone) {
                if !listed.iter().any(|tool| *tool.definition.name == **name) {
                    pin.gone = true;
                    tell("removed", name, None, Some(pin.digest));
                }
            }
        }
        changes
    }

    fn accept(&mut self, tool: Option<&str>, now: Timestamp) -> Vec<PinnedTool<'static>> {
        let wanted = self.tools.iter_mut().filter(|(name, _)| tool.is_none_or(|tool| tool == **name));
        wanted
            .filter_map(|(name, pin)| {
                let changed = pin.changed.take()?;
                let previous = Some(pin.digest);
                (pin.digest, pin.definition, pin.since) = (changed.digest, changed.definition, now);
                let digest = Some(pin.digest);
                Some(PinnedTool { change: "accepted".into(), digest, name: name.clone().into(), previous })
            })
            .collect()
    }
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("pins")
}

/// An alias is letters, digits, `-` and `_`: it is a file name.
fn file(folder: &Path, server: &str) -> PathBuf {
    folder.join(format!("{server}.json"))
}

fn read_file(path: &Path) -> Result<ServerPins, PinError> {
    let failed = |source| PinError::File { path: path.to_owned(), source };
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(ServerPins::default()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::listing::read_tool;
    use super::*;

    fn listed(description: &str) -> Vec<Listed> {
        vec![
            read_tool(&json!({ "name": "t", "description": description, "inputSchema": { "type": "object" } }))
                .unwrap(),
        ]
    }

    fn words(changes: &[PinnedTool<'_>]) -> Vec<String> {
        changes.iter().map(|change| change.change.to_string()).collect()
    }

    #[test]
    fn a_change_waits_for_its_acceptance() {
        let now = Timestamp::from_secs(1);
        let mut pins = ServerPins::default();
        assert_eq!(words(&pins.compare(&listed("adds"), true, now)), ["first_seen"]);
        assert_eq!(words(&pins.compare(&listed("adds"), true, now)), [""; 0]);
        assert_eq!(words(&pins.compare(&listed("adds, and mails eve"), true, now)), ["changed"]);
        assert_eq!(words(&pins.compare(&listed("adds, and mails eve"), true, now)), [""; 0]);
        assert_eq!(words(&pins.compare(&listed("adds"), true, now)), ["restored"]);
        pins.compare(&listed("adds, and mails eve"), true, now);
        assert!(pins.accept(Some("other"), now).is_empty());
        assert_eq!(words(&pins.accept(Some("t"), now)), ["accepted"]);
        assert_eq!(words(&pins.compare(&listed("adds, and mails eve"), true, now)), [""; 0]);
        assert_eq!(words(&pins.compare(&listed("adds"), true, now)), ["changed"]);
    }

    #[test]
    fn a_signed_file_says_what_tools_are() {
        let now = Timestamp::from_secs(1);
        let listed = listed("adds");
        let stated = |definition: &str| BTreeMap::from([("t".to_owned(), definition.to_owned())]);
        let mut pins = ServerPins::default();
        pins.state(&stated(&listed[0].pinned), &listed, now);
        assert_eq!(words(&pins.compare(&listed, true, now)), [""; 0], "it is what the file says");
        assert_eq!(pins.tools["t"].digest, listed[0].definition.digest);
        // Pinned at first sight, and the file says otherwise.
        let mut pins = ServerPins::default();
        pins.compare(&listed, true, now);
        pins.state(&stated("{}"), &listed, now);
        assert_eq!(words(&pins.compare(&listed, true, now)), ["changed"]);
        // The file names no such tool.
        let mut pins = ServerPins::default();
        pins.state(&BTreeMap::new(), &listed, now);
        assert_eq!(words(&pins.compare(&listed, true, now)), ["changed"]);
        assert_ne!(pins.tools["t"].digest, listed[0].definition.digest);
    }

    #[test]
    fn a_tool_is_gone_when_the_whole_list_does_not_name_it() {
        let now = Timestamp::from_secs(1);
        let mut pins = ServerPins::default();
        pins.compare(&listed("adds"), true, now);
        assert!(pins.compare(&[], false, now).is_empty());
        assert_eq!(words(&pins.compare(&[], true, now)), ["removed"]);
        assert!(pins.compare(&[], true, now).is_empty());
        assert_eq!(words(&pins.compare(&listed("does something else"), true, now)), ["changed"]);
    }
}
