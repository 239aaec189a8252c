//! Secrets: where they come from, and a wrapper that keeps them out of logs.
//!
//! A configuration names a secret (a variable or a file) and never holds one. Must never print, serialise or put into
//! an error the value itself.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Largest secret, bytes: a PEM key with its chain fits, a file named by mistake does not fill the memory.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A secret text. It has no `Serialize`, and `Debug` prints its type only.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself: for the wire, never for a log, an entry or an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where a secret is: `{env: NAME}` or `{file: PATH}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Env(String),
    File(PathBuf),
}

/// Whoever writes the secret itself gets an error that does not repeat it.
struct PlaceVisitor;

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = SecretSource;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the place of a secret, `{env: NAME}` or `{file: PATH}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
        Place::deserialize(MapAccessDeserializer::new(map)).map(|place| match place {
            Place::Env(name) => SecretSource::Env(name),
            Place::File(path) => SecretSource::File(path),
        })
    }

    fn visit_str<E: Error>(self, _secret: &str) -> Result<SecretSource, E> {
        Err(E::custom("secrets are not written here: say where it is, `{env: NAME}` or `{file: PATH}`"))
    }

    fn visit_u64<E: Error>(self, _secret: u64) -> Result<SecretSource, E> {
        self.visit_str("")
    }

    fn visit_i64<E: Error>(self, _secret: i64) -> Result<SecretSource, E> {
        self.visit_str("")
    }

    fn visit_f64<E: Error>(self, _secret: f64) -> Result<SecretSource, E> {
        self.visit_str("")
    }
}

impl SecretSource {
    /// Reads the secret. One newline at the end is not part of it (editors and `echo` add one).
    ///
    /// # Errors
    /// [`SecretError`] names the variable or the file.
    pub fn load(&self) -> Result<Secret, SecretError> {
        let text = match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => text,
                // The other variant of the cause carries the value: it is not kept.
                Err(std::env::VarError::NotPresent) => return Err(SecretError::Missing(self.to_string())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError::NotText(self.to_string())),
            },
            Self::File(path) => self.read(path)?,
        };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(Secret::new(text))
    }

    fn read(&self, path: &Path) -> Result<String, SecretError> {
        let failed = |source| SecretError::Read { name: self.to_string(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(failed)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SECRET_BYTES_MAX {
            return Err(SecretError::TooLarge(self.to_string()));
        }
        String::from_utf8(bytes).map_err(|_| SecretError::NotText(self.to_string()))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
        }
    }
}

/// Why a secret could not be read. Holds the name of its place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nothing in it.
    #[error("{0} is empty")]
    Empty(String),
    /// The variable is not set.
    #[error("{0} is not set")]
    Missing(String),
    /// Not UTF-8.
    #[error("{0} does not hold text")]
    NotText(String),
    /// The file could not be read.
    #[error("read {name}")]
    Read {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Larger than any secret.
    #[error("{0} is larger than 64 KiB")]
    TooLarge(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::scratch::Scratch;

    #[test]
    fn reads_a_file_without_its_last_newline() {
        let scratch = Scratch::new();
        for (written, read) in [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), ("s3cret\n\n", "s3cret\n")] {
            let path = scratch.write("secret", written);
            assert_eq!(SecretSource::File(path).load().unwrap().expose(), read);
        }
    }

    #[test]
    fn errors_and_debug_name_the_place_and_never_the_value() {
        let scratch = Scratch::new();
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "Secret");
        let missing = SecretSource::Env("COUNTERSIGN_NO_SUCH_VARIABLE".into()).load().unwrap_err();
        assert_eq!(missing.to_string(), "environment variable `COUNTERSIGN_NO_SUCH_VARIABLE` is not set");
        let path = scratch.write("binary", [b's', b'3', 0xff]);
        let binary = SecretSource::File(path).load().unwrap_err();
        assert!(matches!(binary, SecretError::NotText(_)) && !format!("{binary:?}").contains("s3"));
        let path = scratch.write("empty", "\n");
        assert!(matches!(SecretSource::File(path).load(), Err(SecretError::Empty(_))));
        let path = scratch.write("large", vec![b'x'; 65_537]);
        assert!(matches!(SecretSource::File(path).load(), Err(SecretError::TooLarge(_))));
        assert!(matches!(SecretSource::File("/nonexistent/secret".into()).load(), Err(SecretError::Read { .. })));
    }

    #[test]
    fn is_written_as_one_key() {
        let read = |text: &str| serde_saphyr::from_str::<SecretSource>(text);
        assert_eq!(read("env: TOKEN").unwrap(), SecretSource::Env("TOKEN".into()));
        assert_eq!(read("{file: /run/secrets/token}").unwrap(), SecretSource::File("/run/secrets/token".into()));
        assert!(read("value: s3cret").is_err());
        assert!(read("{env: A, file: B}").is_err());
    }
}
