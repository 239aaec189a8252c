//! The secret of this instance's context: everything that is keyed or sealed here is derived from it.
//!
//! One file under `private/`, made at the first start, mode 0600. Without it, session tokens do not verify, what was
//! sealed cannot be opened, and the digests of values match nothing.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;

use crate::net::random_bytes;

/// The file under the data directory.
const FILE: &str = "private/context.key";

/// Bytes of the secret.
const SECRET_BYTES: usize = 32;

/// Why the secret is not there.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// It cannot be read or written.
    #[error("use the context key `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no key, or others can read it.
    #[error("the context key `{}` {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
}

/// The secret of this instance's context.
#[derive(Clone)]
pub struct Secrets(hmac::Key);

impl Secrets {
    /// Reads the secret of a data directory; makes it when there is none.
    ///
    /// # Errors
    /// [`SecretsError`]: it cannot be used. It is never made anew over one that is there.
    pub fn open(data_dir: &Path) -> Result<Self, SecretsError> {
        let path = data_dir.join(FILE);
        match Self::read(data_dir) {
            Err(SecretsError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Self::make(&path)
            }
            other => other,
        }
    }

    /// Reads the secret of a data directory.
    ///
    /// # Errors
    /// [`SecretsError`]: there is none, or it cannot be used.
    pub fn read(data_dir: &Path) -> Result<Self, SecretsError> {
        let path = data_dir.join(FILE);
        let failed = |source| SecretsError::File { path: path.clone(), source };
        let wrong = |problem| SecretsError::Key { path: path.clone(), problem };
        let file = std::fs::File::open(&path).map_err(failed)?;
        let mode = std::os::unix::fs::MetadataExt::mode(&file.metadata().map_err(failed)?);
        if mode & 0o077 != 0 {
            return Err(wrong("can be read by others; use mode 0600"));
        }
        let mut bytes = Vec::new();
        (&file).take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        let bytes: [u8; SECRET_BYTES] = bytes.try_into().map_err(|_| wrong("does not have 32 bytes"))?;
        Ok(Self::new(&bytes))
    }

    /// From 32 random bytes: for stores that live no longer than the process.
    #[must_use]
    pub fn new(bytes: &[u8; SECRET_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A key of its own for one purpose: HMAC-SHA-256(secret, purpose).
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(hmac::sign(&self.0, purpose.as_bytes()).as_ref()) {
            *to = *from;
        }
        key
    }

    fn make(path: &Path) -> Result<Self, SecretsError> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let failed = |source| SecretsError::File { path: path.to_owned(), source };
        let bytes = random_bytes::<SECRET_BYTES>().map_err(|error| failed(std::io::Error::other(error)))?;
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        // A name of its own first: a crash leaves no half key under the real one.
        let new = path.with_extension("key.new");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&new, path).map_err(failed)?;
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(Self::new(&bytes))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets (hidden)")
    }
}
