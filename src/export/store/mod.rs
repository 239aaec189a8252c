//! A place for files that are written once: a directory, or a bucket that speaks S3.
//!
//! A name is used once. Whoever stores the same content again finds it there; other content under the same name is an
//! error, and nothing is replaced.

mod directory;

use std::path::{Path, PathBuf};

use super::ExportError;
use super::destination::SendError;
use super::destination::bucket::{Body, Bucket, Created, S3Options};
use directory::Directory;

/// The place, and what all names begin with.
pub(super) enum Store {
    Directory(Directory),
    Bucket { bucket: Box<Bucket>, prefix: String },
}

impl Store {
    /// Opens `s3://bucket/prefix/` or a directory, a relative one below `base`. Nothing is sent and nothing is made.
    ///
    /// # Errors
    /// [`ExportError`]: an address, a name or a secret cannot be used.
    pub(super) fn open(name: &str, place: &str, base: &Path, options: &S3Options) -> Result<Self, ExportError> {
        let Some(address) = place.strip_prefix("s3://") else {
            if place.is_empty() || place.contains("://") {
                let problem = format!("`destination: {place}` is neither `s3://bucket/prefix/` nor a directory");
                return Err(ExportError::setting(name, problem));
            }
            return Ok(Self::Directory(Directory::new(base.join(place))));
        };
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        let mut prefix = prefix.trim_matches('/').to_owned();
        if !prefix.is_empty() {
            prefix.push('/');
        }
        Ok(Self::Bucket { bucket: Box::new(Bucket::open(name, bucket, options)?), prefix })
    }

    /// The same place, one folder further down.
    pub(super) fn below(self, folder: &str) -> Self {
        match self {
            Self::Directory(directory) => Self::Directory(Directory::new(directory.path().join(folder))),
            Self::Bucket { bucket, prefix } => Self::Bucket { bucket, prefix: format!("{prefix}{folder}/") },
        }
    }

    /// The directory; `None` for a bucket.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        match self {
            Self::Directory(directory) => Some(directory.path().to_owned()),
            Self::Bucket { .. } => None,
        }
    }

    /// Stores a file for ever. On return it survives a power cut, as far as the place can promise.
    ///
    /// # Errors
    /// [`SendError::Refused`] when other content has this name, else as the place answers.
    pub(super) async fn create(&self, name: &str, bytes: Vec<u8>, content_type: &'static str) -> Result<(), SendError> {
        let created = match self {
            Self::Directory(directory) => directory.create(name, bytes.clone()).await?,
            Self::Bucket { bucket, prefix } => {
                bucket.create(&format!("{prefix}{name}"), Body::new(bytes.clone(), content_type, None)).await?
            }
        };
        if created == Created::New || self.get(name).await?.is_some_and(|found| found == bytes) {
            return Ok(());
        }
        Err(SendError::Refused(format!("`{name}` is there with other content: of another log, or it was changed")))
    }

    /// A file; `None` when there is none.
    ///
    /// # Errors
    /// As the place answers.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SendError> {
        match self {
            Self::Directory(directory) => directory.get(name).await,
            Self::Bucket { bucket, prefix } => bucket.get(&format!("{prefix}{name}")).await,
        }
    }

    /// The names of the files in a folder, without its name; with `folders`, those of the folders in it.
    ///
    /// # Errors
    /// As the place answers.
    pub(super) async fn list(&self, folder: &str, folders: bool) -> Result<Vec<String>, SendError> {
        match self {
            Self::Directory(directory) => directory.list(folder, folders).await,
            Self::Bucket { bucket, prefix } => {
                let slash = if folder.is_empty() { "" } else { "/" };
                let begin = format!("{prefix}{folder}{slash}");
                let names = bucket.list(&begin, folders).await?;
                let short = names.iter().filter_map(|name| name.strip_prefix(&begin));
                Ok(short.map(|name| name.trim_end_matches('/').to_owned()).collect())
            }
        }
    }

    /// In a directory: puts the newest version of a file where readers of a log look for it. In a bucket names are used
    /// once, and readers look for the newest themselves.
    ///
    /// # Errors
    /// As the place answers.
    pub(super) async fn show(&self, name: &str, bytes: Vec<u8>) -> Result<(), SendError> {
        match self {
            Self::Directory(directory) => directory.replace(name, bytes).await,
            Self::Bucket { .. } => Ok(()),
        }
    }
}
