//! Where the demo keeps what it writes: policies, configuration, log, events, and the files of the openssl check.
//!
//! Without `--data-dir` it is a new directory of its own under the system's temporary directory, and all but the
//! openssl check is removed at the end. It must never write into a directory that already holds something.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// What outlives a demo that keeps nothing else.
const CHECK: &str = "check";

/// The directory of one demo.
#[derive(Debug)]
pub(super) struct Workplace {
    root: PathBuf,
    keep: bool,
}

impl Workplace {
    /// Makes the directory. `kept` is the one that the user named.
    ///
    /// # Errors
    /// It cannot be made, or the one named is not empty.
    pub(super) fn new(kept: Option<&Path>) -> Result<Self, Failure> {
        let root = match kept {
            Some(path) => std::path::absolute(path).map_err(|source| Failure::file("find", path, source))?,
            None => {
                let name = u64::from_be_bytes(crate::net::random_bytes::<8>()?);
                std::env::temp_dir().join(format!("countersign-demo-{name:016x}"))
            }
        };
        let made = fs::DirBuilder::new().recursive(kept.is_some()).mode(0o700).create(&root);
        made.map_err(|source| Failure::file("make", &root, source))?;
        let mut inside = fs::read_dir(&root).map_err(|source| Failure::file("list", &root, source))?;
        if inside.next().is_some() {
            return Err(Failure::NotEmpty(root));
        }
        let place = Self { root, keep: kept.is_some() };
        for directory in [place.path(CHECK), place.path("policies")] {
            let made = fs::DirBuilder::new().mode(0o700).create(&directory);
            made.map_err(|source| Failure::file("make", &directory, source))?;
        }
        Ok(place)
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A path in the part that stays.
    pub(super) fn check_path(&self, name: &str) -> PathBuf {
        self.root.join(CHECK).join(name)
    }

    /// The directory itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether everything stays.
    pub(super) const fn is_kept(&self) -> bool {
        self.keep
    }

    /// Writes a new file that only the user can read.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub(super) fn write(&self, path: &Path, content: impl AsRef<[u8]>) -> Result<(), Failure> {
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = opened.and_then(|mut file| file.write_all(content.as_ref()));
        written.map_err(|source| Failure::file("write", path, source))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name() != CHECK) {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // What cannot be removed stays in the temporary directory, which is the operating system's to clean.
            let _removed = if is_directory { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
        // Succeeds only when there is no check in it: the demo stopped before.
        let _removed = fs::remove_dir(self.root.join(CHECK)).and_then(|()| fs::remove_dir(&self.root));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_check_stays() {
        let place = Workplace::new(None).unwrap();
        let root = place.root().to_owned();
        place.write(&place.path("events.jsonl"), "x").unwrap();
        place.write(&place.path("policies").join("a.yaml"), "x").unwrap();
        place.write(&place.check_path("entry.sig"), "x").unwrap();
        assert!(place.write(&place.check_path("entry.sig"), "y").is_err(), "nothing is overwritten");
        drop(place);
        let left: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [CHECK]);
        assert!(matches!(Workplace::new(Some(&root)), Err(Failure::NotEmpty(_))));
        fs::remove_dir_all(&root).unwrap();

        let place = Workplace::new(Some(&root)).unwrap();
        drop(place);
        assert!(root.join(CHECK).is_dir());
        fs::remove_dir_all(&root).unwrap();
        let place = Workplace::new(None).unwrap();
        let root = place.root().to_owned();
        drop(place);
        assert!(!root.exists(), "an unfinished demo leaves nothing");
    }
}
