//! A disk in memory for tests: it forgets what was not synced, fails when told to, and can lose its power anywhere.
//!
//! It keeps two images: the *live* one, which a running process sees, and the *durable* one, which a power cut leaves.
//! Between them lie 512-byte sectors of files and changes of directories that were not synced; a crash keeps all, none
//! or a random part of them ([`Survivors`]), sectors each for itself, changes of one directory in their order. A sync
//! that fails drops what it should have flushed, as Linux does (Rebello et al., ATC 2020): the live image still shows
//! it, and later syncs say success without writing it. For tests only; it never touches a real file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::image::{Change, Dice, Inode, Node, Survivors};
use super::{Disk, DiskFile, Operation, Stat};

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// A disk in memory that fails on demand. Clones share one disk.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    live: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    pending: Vec<(PathBuf, Change)>,
    locked: BTreeSet<PathBuf>,
    rules: Vec<Rule>,
    changes: u64,
    power_off_at: Option<u64>,
    off: bool,
    read_only: bool,
    space_bytes: Option<u64>,
}

#[derive(Debug)]
struct Rule {
    operation: Operation,
    path_part: String,
    skip: u64,
    errno: i32,
}

impl FaultyDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `operation` on a path that contains `path_part` fail with `errno`, once, after `skip` that succeed.
    pub fn fail(&self, operation: Operation, path_part: &str, skip: u64, errno: i32) {
        self.state().rules.push(Rule { operation, path_part: path_part.to_owned(), skip, errno });
    }

    /// Takes the power away at the `n`-th operation from now that changes or syncs something (the first is 1). That one
    /// has not returned success; every later one fails.
    pub fn power_off_at(&self, n: u64) {
        let mut state = self.state();
        state.power_off_at = Some(state.changes.saturating_add(n));
    }

    /// How many operations changed or synced something so far.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Limits the bytes of all files together; `None` lifts the limit. A write that would pass it fails with ENOSPC.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.state().space_bytes = bytes;
    }

    /// Makes the disk read-only, as a kernel does that has seen errors, or writable again.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// Inverts the bits of one byte in both images. Returns whether there was such a byte.
    #[must_use]
    pub fn corrupt(&self, path: &Path, offset: usize) -> bool {
        let mut state = self.state();
        let Some(Node::File(id)) = state.live.get(path).copied() else { return false };
        let Some(inode) = state.inodes.get_mut(&id) else { return false };
        let flip = |image: &mut Vec<u8>| image.get_mut(offset).map(|byte| *byte = !*byte).is_some();
        let live = flip(&mut inode.live);
        flip(&mut inode.durable) && live
    }

    /// The disk after a power cut: what was synced, and the `survivors` of the rest. This disk is dead from now on.
    #[must_use]
    pub fn crash(&self, survivors: Survivors) -> Self {
        let mut state = self.state();
        state.off = true;
        let mut dice = Dice::new(survivors);
        let mut tree = state.durable.clone();
        let directories: BTreeSet<&PathBuf> = state.pending.iter().map(|(directory, _)| directory).collect();
        for directory in directories {
            let changes = state.pending.iter().filter(|(of, _)| of == directory).map(|(_, change)| change);
            changes.take_while(|_| dice.keeps()).for_each(|change| change.apply(&mut tree));
        }
        let mut after = State::default();
        for (path, node) in &tree {
            // A file whose directory was lost is lost with it. Parents sort before what they hold.
            let parent = path.parent().filter(|parent| parent.parent().is_some());
            if parent.is_some_and(|parent| after.live.get(parent) != Some(&Node::Directory)) {
                continue;
            }
            if let Node::File(id) = node {
                let content = state.inodes.get(id).map(|inode| inode.after_crash(&mut dice)).unwrap_or_default();
                let mode = state.inodes.get(id).map_or(0, |inode| inode.mode);
                let inode = Inode { live: content.clone(), durable: content, mode, ..Inode::default() };
                after.inodes.insert(*id, inode);
            }
            after.live.insert(path.clone(), *node);
        }
        after.durable = after.live.clone();
        Self(Arc::new(Mutex::new(after)))
    }

    /// The disk as a new process finds it when the old one was killed: the live image, without locks and faults. Sectors
    /// that a failed sync dropped stay dropped. This disk is dead from now on.
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut state = self.state();
        state.off = true;
        let after = State {
            inodes: state.inodes.clone(),
            live: state.live.clone(),
            durable: state.durable.clone(),
            pending: state.pending.clone(),
            ..State::default()
        };
        Self(Arc::new(Mutex::new(after)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether an operation may go on, and fails it when a fault was ordered.
    fn admit(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        if self.off {
            return Err(power_is_off());
        }
        if operation.changes() {
            self.changes += 1;
            if self.power_off_at.is_some_and(|at| self.changes >= at) {
                self.off = true;
                return Err(power_is_off());
            }
            if self.read_only {
                return Err(io::Error::from_raw_os_error(EROFS));
            }
        }
        let path = path.to_string_lossy();
        let hit = |rule: &Rule| rule.operation == operation && path.contains(rule.path_part.as_str());
        let Some(position) = self.rules.iter().position(hit) else { return Ok(()) };
        if let Some(rule) = self.rules.get_mut(position).filter(|rule| rule.skip > 0) {
            rule.skip -= 1;
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(self.rules.remove(position).errno))
    }

    fn change(&mut self, path: &Path, change: Change) {
        change.apply(&mut self.live);
        let directory = path.parent().unwrap_or_else(|| Path::new("/"));
        self.pending.push((directory.to_owned(), change));
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.live.get(path) {
            Some(Node::File(id)) => Ok(*id),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Under which name a file that was opened as `path` is found now: rules speak of names.
    fn name(&self, inode: u64, path: &Path) -> PathBuf {
        if self.rules.is_empty() || self.live.get(path) == Some(&Node::File(inode)) {
            return path.to_owned();
        }
        let now = self.live.iter().find(|(_, node)| **node == Node::File(inode));
        now.map_or(path, |(path, _)| path).to_owned()
    }

    fn used_bytes(&self) -> usize {
        let files = self.live.values().filter_map(|node| if let Node::File(id) = node { Some(id) } else { None });
        files.filter_map(|id| self.inodes.get(id)).map(|inode| inode.live.len()).sum()
    }
}

impl Operation {
    const fn changes(self) -> bool {
        use Operation::{Create, CreateDir, Remove, Rename, Sync, SyncDir, Write};
        matches!(self, Create | CreateDir | Remove | Rename | Sync | SyncDir | Write)
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    inode: u64,
    lock: bool,
}

impl FaultyFile {
    fn with<T>(&self, operation: Operation, act: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        let name = state.name(self.inode, &self.path);
        state.admit(operation, &name)?;
        state.inodes.get_mut(&self.inode).map(act).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.with(Operation::Stat, |inode| inode.live.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.with(Operation::Read, |inode| {
            let there = inode.live.get(offset..).unwrap_or_default();
            let count = there.len().min(buffer.len());
            if let (Some(place), Some(there)) = (buffer.get_mut(..count), there.get(..count)) {
                place.copy_from_slice(there);
            }
            count
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut state = self.disk.state();
        let was_off = state.off;
        let name = state.name(self.inode, &self.path);
        let admitted = state.admit(Operation::Write, &name);
        // A write that is under way when the power goes may have reached the device in part.
        let torn = !was_off && state.off;
        let free = state.space_bytes.map(|space| space.saturating_sub(state.used_bytes() as u64));
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let growth = offset.saturating_add(bytes.len()).saturating_sub(inode.live.len());
        if free.is_some_and(|free| growth as u64 > free) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        if admitted.is_ok() || torn {
            inode.write(bytes, offset);
        }
        admitted
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let name = state.name(self.inode, &self.path);
        let admitted = state.admit(Operation::Sync, &name);
        let off = state.off;
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        match &admitted {
            Ok(()) => inode.flush(),
            Err(_) if off => {}
            Err(_) => inode.dirty.clear(),
        }
        admitted
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        if self.lock {
            self.disk.state().locked.remove(&self.path);
        }
    }
}

impl FaultyDisk {
    fn handle(&self, path: &Path, inode: u64, lock: bool) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { disk: self.clone(), path: path.to_owned(), inode, lock })
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.live.get(path) == Some(&Node::Directory) {
            return Ok(());
        }
        state.admit(Operation::CreateDir, path)?;
        state.change(path, Change::Set(path.to_owned(), Node::Directory));
        Ok(())
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.admit(Operation::Create, path)?;
        if state.live.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.inodes.last_key_value().map_or(0, |(last, _)| last + 1);
        state.inodes.insert(id, Inode { mode, ..Inode::default() });
        state.change(path, Change::Set(path.to_owned(), Node::File(id)));
        drop(state);
        Ok(self.handle(path, id, false))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.admit(Operation::Open, path)?;
        let id = state.file(path)?;
        drop(state);
        Ok(self.handle(path, id, false))
    }

    fn open_writable(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.admit(Operation::List, path)?;
        if state.live.get(path) != Some(&Node::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.live.keys().filter(|held| held.parent() == Some(path));
        Ok(inside.filter_map(|held| held.file_name()).map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.admit(Operation::Rename, to)?;
        let id = state.file(from)?;
        state.change(from, Change::Rename(from.to_owned(), to.to_owned(), Node::File(id)));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.admit(Operation::Remove, path)?;
        state.file(path)?;
        state.change(path, Change::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.admit(Operation::Remove, path)?;
        if state.live.get(path) != Some(&Node::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(path, Change::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.admit(Operation::SyncDir, path)?;
        let (flushed, kept) = std::mem::take(&mut state.pending).into_iter().partition(|(of, _)| of == path);
        state.pending = kept;
        let flushed: Vec<(PathBuf, Change)> = flushed;
        flushed.iter().for_each(|(_, change)| change.apply(&mut state.durable));
        Ok(())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let mut state = self.state();
        state.admit(Operation::Stat, path)?;
        match state.live.get(path) {
            Some(Node::Directory) => Ok(Stat { bytes: 0, mode: 0o700, owner_trusted: true }),
            Some(Node::File(id)) => {
                let inode = state.inodes.get(id).ok_or(io::ErrorKind::NotFound)?;
                Ok(Stat { bytes: inode.live.len() as u64, mode: inode.mode, owner_trusted: true })
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        if self.state().file(path).is_err() {
            drop(self.create(path, 0o600)?);
        }
        let mut state = self.state();
        state.admit(Operation::Lock, path)?;
        let id = state.file(path)?;
        if !state.locked.insert(path.to_owned()) {
            return Ok(None);
        }
        drop(state);
        Ok(Some(self.handle(path, id, true)))
    }
}
