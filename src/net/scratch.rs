//! A folder of its own for a test, gone when the test ends.

use std::path::PathBuf;

/// The folder.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let name = u64::from_ne_bytes(super::random_bytes().unwrap());
        let path = std::env::temp_dir().join(format!("countersign-test-{name:016x}"));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes and gives the file a modification time of its own, whatever the file system's resolution.
    pub(crate) fn write_at(&self, name: &str, content: impl AsRef<[u8]>, modified_s: u64) -> PathBuf {
        let path = self.write(name, content);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(modified_s);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
