//! Keys: who signs, and where the private halves lie.
//!
//! | key | signs | lives |
//! |---|---|---|
//! | root | `genesis` and `key` entries | a file, made at the first start; may lie elsewhere |
//! | log | checkpoints | a file, as long as the origin |
//! | receipt | every other entry | in memory, for one run; its number is the epoch |
//!
//! A receipt key that is gone cannot sign the past again: that is the forward security which Ed25519 alone has not.
//! Private bytes never leave this module and are wiped when dropped. `keys/` in the data directory holds public keys.
//!
//! Two libraries: aws-lc-rs signs, because it takes half the time and every action is signed twice; ed25519-dalek reads
//! keys and verifies, strictly. A signature of Ed25519 is one value, whoever computes it, and a test holds the two to
//! that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _};

use super::RecordError;
use super::checkpoint::verifier_key;
use super::disk::{Disk, Operation};
use super::layout::Layout;
use super::publish::{Publisher, list_dir, read_file};
use crate::model::Digest;
use crate::net::random_bytes;

/// Permission bits that let others than the owner at a file.
const OTHERS: u32 = 0o077;

/// A private key that signs, with its public half.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    /// The same key, for the library that signs quicker; `None` when it does not take it.
    quick: Option<Ed25519KeyPair>,
    id_text: Box<str>,
}

/// A public Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

/// The keys of one run.
pub struct SigningKeys {
    /// Certifies receipt keys.
    pub root: SigningKey,
    /// Signs checkpoints.
    pub log: SigningKey,
    /// Signs the entries of this run.
    pub receipt: SigningKey,
    /// The number of the receipt key, from 1, one more in every run.
    pub epoch: u64,
}

/// The public receipt key of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochKey {
    /// The number of the run's key.
    pub epoch: u64,
    /// The key.
    pub key: PublicKey,
}

impl SigningKey {
    /// A new key from the operating system's random bytes.
    ///
    /// # Errors
    /// [`RecordError::Random`] when there are none.
    pub fn generate() -> Result<Self, RecordError> {
        let secret = random_bytes::<32>().map_err(|error| RecordError::Random(Arc::new(error)))?;
        Ok(Self::from(ed25519_dalek::SigningKey::from_bytes(&secret)))
    }

    /// Reads the PEM form that openssl writes (PKCS#8); `None` when it is not an Ed25519 private key.
    #[must_use]
    pub fn from_pem(text: &str) -> Option<Self> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(text).ok().map(Self::from)
    }

    /// Signs a message (RFC 8032, pure Ed25519).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let quick = self.quick.as_ref().and_then(|quick| quick.try_sign(message).ok());
        let signature = quick.and_then(|signature| signature.as_ref().try_into().ok());
        signature.unwrap_or_else(|| self.key.sign(message).to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// The id of the public half, as envelopes write it: `sha256:` and the digest of its 32 bytes.
    #[must_use]
    pub const fn id_text(&self) -> &str {
        &self.id_text
    }
}

impl From<ed25519_dalek::SigningKey> for SigningKey {
    fn from(key: ed25519_dalek::SigningKey) -> Self {
        let public = key.verifying_key();
        let id_text = PublicKey(public).id().to_string().into();
        let quick = Ed25519KeyPair::from_seed_and_public_key(key.as_bytes(), public.as_bytes()).ok();
        Self { key, quick, id_text }
    }
}

impl PublicKey {
    /// Reads 32 bytes; `None` when they are not a point of the curve, or one of small order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        ed25519_dalek::VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(Self)
    }

    /// Reads the PEM form that openssl writes; `None` when it is not an Ed25519 key.
    #[must_use]
    pub fn from_pem(text: &str) -> Option<Self> {
        let key = ed25519_dalek::VerifyingKey::from_public_key_pem(text).ok()?;
        Self::from_bytes(key.as_bytes())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The PEM form (`openssl pkeyutl -pubin -inkey`).
    #[must_use]
    pub fn to_pem(&self) -> String {
        // Encoding 32 bytes of a key cannot fail.
        self.0.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// The digest of the 32 bytes, by which envelopes name the key.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// Whether `signature` is this key's over `message`, in the strict sense: canonical, and no key of small order.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

/// Reads a public key as entries write it: base64 of its 32 bytes.
pub(crate) fn parse_key(text: &str) -> Option<PublicKey> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    PublicKey::from_bytes(&bytes.try_into().ok()?)
}

/// Where a private key is looked for, and whether a missing one is made.
pub(crate) struct KeyFile<'a> {
    pub(crate) path: PathBuf,
    pub(crate) layout: &'a Layout,
    pub(crate) make: bool,
}

impl KeyFile<'_> {
    /// Reads the key. Others than the owner must not be able to.
    pub(crate) fn load(&self, disk: &Arc<dyn Disk>) -> Result<SigningKey, RecordError> {
        let refuse = |reason: &str| RecordError::Key { path: self.path.clone(), reason: reason.to_owned() };
        let Some(pem) = read_file(&**disk, &self.path)? else {
            return if self.make {
                self.generate(disk)
            } else {
                Err(refuse("is missing; the log cannot go on without it"))
            };
        };
        let stat = disk.stat(&self.path).map_err(RecordError::on(Operation::Stat, &self.path))?;
        if stat.mode & OTHERS != 0 {
            return Err(refuse(&format!("has mode {:04o}; others must not read it, use 0600", stat.mode)));
        }
        if !stat.owner_trusted {
            return Err(refuse("belongs to another user"));
        }
        let pem = String::from_utf8(pem).map_err(|_| refuse("is not PEM"))?;
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(&pem);
        Ok(SigningKey::from(key.map_err(|_| refuse("is not an Ed25519 private key in PKCS#8 PEM"))?))
    }

    fn generate(&self, disk: &Arc<dyn Disk>) -> Result<SigningKey, RecordError> {
        let key = SigningKey::generate()?;
        // Without the public half: the form that every openssl reads.
        let bytes = ed25519_dalek::pkcs8::KeypairBytes { secret_key: key.key.to_bytes(), public_key: None };
        let pem = bytes
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| RecordError::Key { path: self.path.clone(), reason: "cannot be encoded".to_owned() })?;
        Publisher::new(Arc::clone(disk), self.layout.root()).publish(&self.path, pem.as_bytes(), 0o600)?;
        Ok(key)
    }
}

/// Stages the public files of a key: `<name>.pem` for openssl and `<name>.vkey` for C2SP tools.
pub(crate) fn stage_public(
    to: &mut Publisher,
    keys: &Path,
    name: &str,
    vkey_name: &str,
    key: &PublicKey,
) -> Result<(), RecordError> {
    to.stage(&keys.join(format!("{name}.pem")), key.to_pem().as_bytes(), 0o444)?;
    let vkey = verifier_key(vkey_name, key) + "\n";
    to.stage(&keys.join(format!("{name}.vkey")), vkey.as_bytes(), 0o444)
}

/// The numbers of the receipt keys that there are, ascending.
pub(crate) fn epochs(disk: &dyn Disk, layout: &Layout) -> Result<Vec<u64>, RecordError> {
    let names = list_dir(disk, &layout.keys())?;
    let mut epochs: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(".pem")?.parse().ok()).collect();
    epochs.sort_unstable();
    Ok(epochs)
}

/// The receipt keys of all runs, oldest first.
pub(crate) fn receipt_keys(disk: &dyn Disk, layout: &Layout) -> Result<Vec<EpochKey>, RecordError> {
    let mut found = Vec::new();
    for epoch in epochs(disk, layout)? {
        let path = layout.keys().join(format!("{epoch}.pem"));
        let pem = read_file(disk, &path)?.and_then(|pem| String::from_utf8(pem).ok());
        let key = pem.as_deref().and_then(PublicKey::from_pem);
        let key = key.ok_or_else(|| RecordError::Key { path, reason: "is not a public Ed25519 key".to_owned() })?;
        found.push(EpochKey { epoch, key });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn pem_files_are_those_that_openssl_writes() {
        // `openssl genpkey -algorithm ed25519`, RFC 8410 §10.3 and §10.1.
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let key = SigningKey::from(ed25519_dalek::SigningKey::from_pkcs8_pem(private).unwrap());
        assert_eq!(key.public().to_pem(), public);
        assert_eq!(PublicKey::from_pem(public), Some(key.public()));
        assert!(key.public().verify(b"message", &key.sign(b"message")));
        assert!(!key.public().verify(b"another", &key.sign(b"message")));
    }

    #[test]
    fn both_libraries_sign_alike_and_verify_one_another() {
        for length in [0, 1, 64, 1_024, 48_000] {
            let message = vec![0x5a; length];
            let key = SigningKey::generate().unwrap();
            let quick = key.quick.as_ref().unwrap().try_sign(&message).unwrap();
            assert_eq!(quick.as_ref(), key.key.sign(&message).to_bytes(), "{length}");
            assert!(key.public().verify(&message, &key.sign(&message)));
            let other = UnparsedPublicKey::new(&ED25519, key.public().to_bytes());
            assert!(other.verify(&message, &key.key.sign(&message).to_bytes()).is_ok());
            assert!(other.verify(b"another", quick.as_ref()).is_err());
        }
    }

    #[test]
    fn weak_keys_and_loose_signatures_are_refused() {
        // The identity point: every message has a signature under it.
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(&identity), None);
        let key = SigningKey::generate().unwrap();
        let mut loose = key.sign(b"message");
        // S + L is the same scalar in another form.
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0_u16;
        for (byte, add) in loose[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = u8::try_from(carry & 0xff).unwrap();
            carry >>= 8;
        }
        assert!(!key.public().verify(b"message", &loose));
    }
}
