//! Hot reload of policies (AARM ): validate, run the tests inside, record, swap.
//!
//! Files are looked at by size and time of change, and read when these differ. A set that does not load changes
//! nothing: the last good one stays, and an entry, a log line and a metric say so. Every change is an entry before it is in force. Calls in flight keep the set that they began with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::ConfigError;
use super::policies::{PolicyFiles, keep};
use crate::console::PolicyReload;
use crate::decide::{PolicySet, PolicySource};
use crate::mediate::Mediator;
use crate::metrics::{Counter, Gauge, count, set};
use crate::model::{Digest, with_causes};
use crate::record::ControlFact;
use crate::record::entry::{LoadedPolicy, PolicyChanges};

/// Looks after the policy files of a running process.
pub struct Reloader {
    handle: ReloadHandle,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What came of a look: whether another set is in force, or why the last good one stays.
type Looked = Result<bool, String>;

/// People who ask for a look at once; more are told to ask again.
const ASKED_MAX: usize = 16;

/// Asks for a reload.
#[derive(Clone)]
pub struct ReloadHandle(mpsc::Sender<Option<oneshot::Sender<Looked>>>);

impl ReloadHandle {
    /// Looks at the policy files now. What comes of it is in the log.
    pub fn ask(&self) {
        // When the queue is full a look is due anyway.
        let _queued = self.0.try_send(None).is_ok();
    }
}

impl PolicyReload for ReloadHandle {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Looked> + Send>> {
        let (tell, told) = oneshot::channel();
        let asked = self.0.try_send(Some(tell));
        Box::pin(async move {
            asked.map_err(|_| "too many ask at once, or the process ends; ask again".to_owned())?;
            told.await.unwrap_or_else(|_| Err("the process ends".into()))
        })
    }
}

/// Size and time of change of every file.
type Stamps = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

struct Watching {
    files: PolicyFiles,
    mediator: Arc<Mediator>,
    data_dir: PathBuf,
    stamps: Stamps,
    /// Digest of the texts that were looked at last, good or bad.
    seen: Digest,
    /// What is wrong with them.
    problem: Option<String>,
}

impl Reloader {
    /// Looks every `interval`, or only when asked if that is zero.
    pub(super) fn start(
        files: PolicyFiles,
        sources: &[PolicySource],
        mediator: Arc<Mediator>,
        data_dir: PathBuf,
        interval: Duration,
    ) -> Self {
        let (handle, asked) = mpsc::channel(ASKED_MAX);
        let (stop, stopped) = watch::channel(false);
        let stamps = stamps(&files);
        let watching = Watching { files, mediator, data_dir, stamps, seen: digest(sources), problem: None };
        let task = tokio::spawn(watching.run(asked, stopped, interval));
        Self { handle: ReloadHandle(handle), stop, task }
    }

    /// What asks for a look at the files now, whatever their times say.
    #[must_use]
    pub fn handle(&self) -> ReloadHandle {
        self.handle.clone()
    }

    pub(super) async fn stop(self) {
        let _gone = self.stop.send(true);
        // A task that panicked has nothing more to do.
        let _ended = self.task.await;
    }
}

impl Watching {
    async fn run(
        mut self,
        mut asked: mpsc::Receiver<Option<oneshot::Sender<Looked>>>,
        mut stopped: watch::Receiver<bool>,
        interval: Duration,
    ) {
        loop {
            let tick = async {
                if interval.is_zero() { std::future::pending().await } else { tokio::time::sleep(interval).await }
            };
            let asked_for = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                Some(who) = asked.recv() => Some(who),
                () = tick => None,
            };
            let files = self.files.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || stamps(&files)).await else { continue };
            if asked_for.is_some() || now != self.stamps {
                self.stamps = now;
                let looked = self.look().await;
                if let Some(Some(who)) = asked_for {
                    // Whoever asked may have gone.
                    let _told = who.send(looked).is_ok();
                }
            }
        }
    }

    /// Reads the files, and acts on what is new in them.
    async fn look(&mut self) -> Looked {
        let looked = self.looked().await;
        set(Gauge::PoliciesRefused, u64::from(looked.is_err()));
        looked
    }

    async fn looked(&mut self) -> Looked {
        let (files, seen, data_dir) = (self.files.clone(), self.seen, self.data_dir.clone());
        let read = tokio::task::spawn_blocking(move || load(&files, seen, &data_dir)).await;
        match read.unwrap_or_else(|error| Err((Digest([0; 32]), error.to_string()))) {
            Ok(None) => match &self.problem {
                Some(problem) => Err(problem.clone()),
                None => Ok(false),
            },
            Ok(Some((digest, set))) => {
                (self.seen, self.problem) = (digest, None);
                self.replace(set).await
            }
            Err((digest, problem)) => {
                if digest != self.seen {
                    self.seen = digest;
                    self.refuse(&problem).await;
                }
                self.problem = Some(problem.clone());
                Err(problem)
            }
        }
    }

    /// COMMIT POINT: the entry is durable before the set is in force.
    async fn replace(&self, set: PolicySet) -> Looked {
        let before = self.mediator.policies.load_full();
        if before.hash() == set.hash() {
            return Ok(false);
        }
        let loaded =
            set.policies().map(|policy| LoadedPolicy::of(&policy.reference, policy.rules, policy.shadow_rules));
        let fact = ControlFact::policies_replaced(set.hash(), loaded, before.hash(), changes(&before, &set));
        if let Err(error) = self.mediator.recorder.control(fact).await {
            tracing::error!(
                error = with_causes(&error),
                "policies changed, and that cannot be recorded: the old ones stay"
            );
            return Err("the change cannot be recorded".into());
        }
        tracing::warn!(policy_set = %set.hash().to_hex(), "policies changed");
        self.mediator.policies.store(Arc::new(set));
        Ok(true)
    }

    async fn refuse(&self, problem: &str) {
        tracing::error!(problem, "policies changed and do not load: the last good ones stay in force");
        count(Counter::ReloadFailures);
        let kept = self.mediator.policies.load_full().hash();
        if let Err(error) = self.mediator.recorder.control(ControlFact::policies_refused(kept, problem)).await {
            tracing::error!(error = with_causes(&error), "record a refused reload");
        }
    }
}

/// The new set; `None` when the texts are the ones that were seen last.
type Loaded = Result<Option<(Digest, PolicySet)>, (Digest, String)>;

fn load(files: &PolicyFiles, seen: Digest, data_dir: &std::path::Path) -> Loaded {
    let unreadable = |error: ConfigError| (Digest::of(with_causes(&error).as_bytes()), with_causes(&error));
    let sources = files.sources().map_err(unreadable)?;
    let digest = digest(&sources);
    if digest == seen {
        return Ok(None);
    }
    if sources.is_empty() {
        return Err((digest, "no policy file is left; an empty set is never meant".into()));
    }
    let set = files.compile(&sources).map_err(|error| (digest, with_causes(&error)))?;
    keep(data_dir, &sources).map_err(|error| (digest, format!("keep the texts in the data directory: {error}")))?;
    files.accept(&sources).map_err(|error| (digest, with_causes(&error)))?;
    Ok(Some((digest, set)))
}

fn digest(sources: &[PolicySource]) -> Digest {
    let parts: Vec<Digest> = sources
        .iter()
        .flat_map(|source| [Digest::of(source.name.as_bytes()), Digest::of(source.text.as_bytes())])
        .collect();
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.0.as_slice()).collect();
    Digest::of_parts(&parts)
}

fn stamps(files: &PolicyFiles) -> Stamps {
    let stamp = |path: PathBuf| {
        let found = std::fs::metadata(&path).ok();
        (path, (found.as_ref().map_or(0, std::fs::Metadata::len), found.and_then(|found| found.modified().ok())))
    };
    let inside = |path: &PathBuf| {
        let entries = std::fs::read_dir(path).ok().into_iter().flatten();
        entries.filter_map(Result::ok).map(|entry| entry.path()).collect::<Vec<_>>()
    };
    files.paths.iter().flat_map(|path| std::iter::once(path.clone()).chain(inside(path))).map(stamp).collect()
}

/// The ids of policies that differ.
fn changes<'a>(before: &'a PolicySet, after: &'a PolicySet) -> PolicyChanges<'a> {
    let by_id = |set: &'a PolicySet| -> BTreeMap<&'a str, Digest> {
        set.policies().map(|policy| (&*policy.reference.policy_id, policy.reference.hash)).collect()
    };
    let (old, new) = (by_id(before), by_id(after));
    PolicyChanges {
        added: new.keys().filter(|id| !old.contains_key(*id)).map(|id| (*id).into()).collect(),
        changed: new
            .iter()
            .filter(|(id, hash)| old.get(*id).is_some_and(|old| old != *hash))
            .map(|(id, _)| (*id).into())
            .collect(),
        removed: old.keys().filter(|id| !new.contains_key(*id)).map(|id| (*id).into()).collect(),
    }
}
