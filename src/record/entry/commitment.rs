//! Salted digests: what binds an entry to bytes it does not hold, and how salts are made.
//!
//! A digest of a short value can be guessed, so each has a salt of 128 bits; without the salt it says nothing. Salts
//! are derived from a random key of the session and the day, which lies in the vault: destroying the key closes every
//! digest of that session and day for good. This module never stores a key.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::model::{ActionId, Digest};

/// Bytes of a salt: nobody tries 2^128 of them.
pub const SALT_BYTES: usize = 16;

/// What a digest speaks about. The first bytes that are hashed, so that no digest can stand for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// One top-level argument, in `commit` mode.
    Field,
    /// The arguments as they were forwarded, when they were changed.
    Forwarded,
    /// The redacted words of the intent.
    Intent,
    /// The log's origin: the subject of entries that belong to no action. Not salted.
    Origin,
    /// The arguments as they came; also the subject of every entry of the action.
    Parameters,
    /// The session id of the older MCP era. Not salted: the ids are random.
    ProtocolSession,
    /// The SHA-256 of the answer's body as it was passed on.
    Result,
}

impl Domain {
    /// The text that is hashed first. Fixed with the format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Field => "countersign/field/v1",
            Self::Forwarded => "countersign/forwarded/v1",
            Self::Intent => "countersign/intent/v1",
            Self::Origin => "countersign/origin/v1",
            Self::Parameters => "countersign/parameters/v1",
            Self::ProtocolSession => "countersign/protocol-session/v1",
            Self::Result => "countersign/result/v1",
        }
    }

    /// `SHA-256(domain || 0x00 || salt || value)` (design §14.3).
    #[must_use]
    pub fn commit(self, salt: Salt, value: &[u8]) -> Digest {
        Digest::of_parts(&[self.as_str().as_bytes(), &[0], &salt.0, value])
    }

    /// `SHA-256(domain || 0x00 || value)`, for values that are public or random.
    #[must_use]
    pub fn name(self, value: &[u8]) -> Digest {
        Digest::of_parts(&[self.as_str().as_bytes(), &[0], value])
    }
}

/// `SHA-256(domain || 0x00 || salt || u32be(len pointer) || pointer || u32be(len value) || value)`: one argument. The
/// lengths keep a pointer from being read as part of a value.
#[must_use]
pub fn commit_field(salt: Salt, pointer: &str, value: &str) -> Digest {
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    Digest::of_parts(&[
        Domain::Field.as_str().as_bytes(),
        &[0],
        &salt.0,
        &length(pointer),
        pointer.as_bytes(),
        &length(value),
        value.as_bytes(),
    ])
}

/// 16 bytes that make a digest impossible to guess. Whoever has it and the value can check the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub [u8; SALT_BYTES]);

/// The key that salts of one session and one day are made from.
#[derive(Clone)]
pub struct SaltKey {
    inner: Sha256,
    outer: Sha256,
}

impl SaltKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let keyed = |pad: u8| {
            let mut block = [pad; 64];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            Sha256::new_with_prefix(block)
        };
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    /// The first 16 bytes of `HMAC-SHA-256(key, action id || 0x00 || label)` (RFC 2104).
    #[must_use]
    pub fn salt(&self, action: &ActionId, label: &str) -> Salt {
        let mut inner = self.inner.clone();
        inner.update(action.as_str());
        inner.update([0]);
        inner.update(label);
        let mut outer = self.outer.clone();
        outer.update(inner.finalize());
        let digest: [u8; 32] = outer.finalize().into();
        let mut salt = [0; SALT_BYTES];
        for (to, from) in salt.iter_mut().zip(digest) {
            *to = from;
        }
        Salt(salt)
    }
}

impl fmt::Debug for SaltKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltKey (hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_are_hmac_sha_256() {
        // openssl dgst -sha256 -mac HMAC -macopt hexkey:0b..0b, over "act_1", a zero byte and "parameters".
        let key = SaltKey::new(&[0x0b; 32]);
        let salt = key.salt(&ActionId::parse("act_1").unwrap(), "parameters");
        let expected = Digest::parse("8b91f55ae6307aa066eea9d5ef7f61958bee1076537d60191085e738b0312585").unwrap();
        assert_eq!(salt.0[..], expected.0[..16]);
    }

    #[test]
    fn domains_and_lengths_keep_digests_apart() {
        let salt = Salt([1; 16]);
        assert_ne!(Domain::Parameters.commit(salt, b"{}"), Domain::Forwarded.commit(salt, b"{}"));
        assert_ne!(commit_field(salt, "/a", "b\"c\""), commit_field(salt, "/ab", "\"c\""));
        assert_ne!(Domain::Parameters.commit(salt, b"{}"), Domain::Parameters.commit(Salt([2; 16]), b"{}"));
        let plain = Digest::of(b"countersign/origin/v1\0localhost/1");
        assert_eq!(Domain::Origin.name(b"localhost/1"), plain);
    }
}
