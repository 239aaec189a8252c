//! The key of this stage: binds requests to what was asked, and seals what clients carry while they wait.
//!
//! Both uses have a key of their own, derived from one secret that lies in the data directory, so that a request and its
//! sealed state survive a restart. What a client carries is attacker-controlled: it is opened or it is nothing.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::Digest;
use crate::net::{RandomError, random_bytes};

/// What a sealed state of ours starts with. A server's own state never does, or it is wrapped like any other.
pub(super) const STATE_PREFIX: &str = "csw1.";

/// The longest sealed state that is looked at, bytes: what a client may carry for a server is bounded too.
pub(super) const STATE_BYTES_MAX: usize = 64 << 10;

/// What the state is bound to besides its content: a state of another product or version is none.
const PURPOSE: &[u8] = b"countersign/waiting/v1";

/// The keys of an instance.
pub struct Seal {
    binding: hmac::Key,
    state: RandomizedNonceKey,
}

/// Keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file.
    #[error("keep the key of approvals in `{path}`")]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The library refused the key.
    #[error("set up the key of approvals")]
    Key,
    /// No random bytes.
    #[error("make the key of approvals")]
    Random(#[from] RandomError),
}

impl Seal {
    /// The keys of the instance whose state lies in `data_dir`; made at the first start.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(data_dir: &Path) -> Result<Self, SealError> {
        let path = data_dir.join("approve.key");
        let failed = |source| SealError::Keep { path: path.clone(), source };
        let secret: [u8; 32] = match std::fs::read(&path) {
            Ok(bytes) => {
                let wrong = || std::io::Error::other("it does not hold 32 bytes; removing it drops what waits");
                bytes.try_into().map_err(|_| wrong()).map_err(failed)?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secret = random_bytes::<32>()?;
                keep(&path, &secret).map_err(failed)?;
                secret
            }
            Err(error) => return Err(failed(error)),
        };
        Self::of(&secret)
    }

    /// The keys derived from `secret`.
    ///
    /// # Errors
    /// [`SealError::Key`].
    pub fn of(secret: &[u8; 32]) -> Result<Self, SealError> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derive = |label: &[u8]| hmac::sign(&root, label);
        let binding = hmac::Key::new(hmac::HMAC_SHA256, derive(b"binding").as_ref());
        let state = RandomizedNonceKey::new(&AES_256_GCM, derive(b"state").as_ref()).map_err(|_| SealError::Key)?;
        Ok(Self { binding, state })
    }

    /// A keyed digest: says nothing to whoever does not hold the key, however easily the parts are guessed.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.binding);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        Digest(tag.as_ref().first_chunk::<32>().copied().unwrap_or_default())
    }

    /// Seals a state for a client to carry. `None` when it is too large.
    #[must_use]
    pub fn seal(&self, state: &impl Serialize) -> Option<String> {
        let mut bytes = serde_json::to_vec(state).ok()?;
        let nonce = self.state.seal_in_place_append_tag(Aad::from(PURPOSE), &mut bytes).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        let text = format!("{STATE_PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed));
        (text.len() <= STATE_BYTES_MAX).then_some(text)
    }

    /// Opens a state that this instance sealed. `None` for anything else.
    #[must_use]
    pub fn open_state<T: DeserializeOwned>(&self, text: &str) -> Option<T> {
        let encoded = text.strip_prefix(STATE_PREFIX).filter(|_| text.len() <= STATE_BYTES_MAX)?;
        let sealed = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.state.open_in_place(nonce, Aad::from(PURPOSE), &mut bytes).ok()?;
        serde_json::from_slice(opened).ok()
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal (hidden)")
    }
}

fn keep(path: &Path, secret: &[u8; 32]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let seal = Seal::of(&[7; 32]).unwrap();
        let sealed = seal.seal(&("id", 3)).unwrap();
        assert_eq!(seal.open_state::<(String, u8)>(&sealed), Some(("id".into(), 3)));
        assert_ne!(sealed, seal.seal(&("id", 3)).unwrap());
        assert_eq!(Seal::of(&[8; 32]).unwrap().open_state::<(String, u8)>(&sealed), None);
        for at in STATE_PREFIX.len()..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open_state::<(String, u8)>(&String::from_utf8(changed).unwrap()), None, "{at}");
        }
        for text in ["", STATE_PREFIX, "csw1.AAAA", "x"] {
            assert_eq!(seal.open_state::<(String, u8)>(text), None);
        }
    }

    #[test]
    fn digests_are_keyed_and_tell_parts_apart() {
        let seal = Seal::of(&[7; 32]).unwrap();
        assert_eq!(seal.digest(&[b"a", b"b"]), seal.digest(&[b"a", b"b"]));
        assert_ne!(seal.digest(&[b"a", b"b"]), seal.digest(&[b"ab", b""]));
        assert_ne!(seal.digest(&[b"a"]), Seal::of(&[8; 32]).unwrap().digest(&[b"a"]));
    }
}
