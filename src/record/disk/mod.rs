//! The file operations that the log needs, behind a trait, so that tests can take the power away between any two.
//!
//! Nothing here decides anything: no retry, no ordering, no recovery. A caller that wants a file to survive a power cut
//! says so with [`DiskFile::sync`] and [`Disk::sync_dir`], in that order.

mod faulty;
mod image;
mod real;

use std::fmt;
use std::io;
use std::path::Path;

pub use faulty::FaultyDisk;
pub use image::Survivors;
pub use real::RealDisk;

/// What was done to a file or a directory, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Make a new file.
    Create,
    /// Make a directory.
    CreateDir,
    /// List a directory.
    List,
    /// Take an exclusive lock.
    Lock,
    /// Open a file.
    Open,
    /// Read from a file.
    Read,
    /// Remove a file or a directory.
    Remove,
    /// Rename a file within its directory.
    Rename,
    /// Ask for size, mode and owner of a file.
    Stat,
    /// Flush the content of a file to the device.
    Sync,
    /// Flush the entries of a directory to the device.
    SyncDir,
    /// Write to a file.
    Write,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::CreateDir => "create directory",
            Self::List => "list",
            Self::Lock => "lock",
            Self::Open => "open",
            Self::Read => "read",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Stat => "examine",
            Self::Sync => "sync",
            Self::SyncDir => "sync directory",
            Self::Write => "write",
        })
    }
}

/// Size, mode and ownership of a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Size in bytes.
    pub bytes: u64,
    /// The permission bits, as in `chmod`.
    pub mode: u32,
    /// Whether the owner is the user of this process or the superuser.
    pub owner_trusted: bool,
}

/// An open file. Reads and writes name their place, so one handle serves several threads.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait DiskFile: Send + Sync {
    /// The size in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Reads into `buffer` from `offset`; returns how many bytes there were, less than asked only at the end.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. On return they are in memory, not on the device.
    ///
    /// # Errors
    /// What the operating system says; part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Flushes the content, and the size when it changed (`fdatasync`). On return they survive a power cut.
    ///
    /// # Errors
    /// What the operating system says. After an error nobody can know what is on the device, and asking again would
    /// say success without writing anything: the caller must not retry.
    fn sync(&self) -> io::Result<()>;
}

/// A file system. Safe to use from several threads.
pub trait Disk: Send + Sync {
    /// Makes one directory, open to its owner alone; one that exists is fine.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a new file for reading and writing with these permission bits.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the operating system says.
    fn create(&self, path: &Path, mode: u32) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// What the operating system says.
    fn open_writable(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Moves a file within its directory, over one that may be there.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and the files in it.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Flushes the entries of a directory: what was created, renamed and removed in it survives a power cut.
    ///
    /// # Errors
    /// What the operating system says; see [`DiskFile::sync`] about retrying.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Size, mode and owner.
    ///
    /// # Errors
    /// What the operating system says.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// Takes an exclusive lock that ends with the handle or the process; `None` when somebody else has it.
    ///
    /// # Errors
    /// What the operating system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>>;
}
