//! Checkpoints: C2SP tlog-checkpoint inside a C2SP signed-note.
//!
//! ```text
//! <origin>\n<size>\n<base64 root>\n          the text, which is what is signed
//! \n
//! — <key name> <base64( key id[4] ‖ signature[64] )>\n
//! ```
//!
//! The key id is `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[:4]`. Pure: it reads and writes bytes, never files. A log
//! must never sign two checkpoints of which one is not a prefix of the other; that is the integrator's business.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::keys::{PublicKey, SigningKey};
use crate::model::Digest;

/// The type byte of Ed25519 in key ids and verifier keys.
const ED25519: u8 = 1;

/// The largest note that is read, in bytes: a checkpoint with dozens of cosignatures is far below.
const NOTE_BYTES_MAX: usize = 64 << 10;

/// Signature lines that are read; C2SP demands at least 16.
const SIGNATURES_MAX: usize = 64;

/// Why a note was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text is not a checkpoint of the wanted origin: three lines, decimal size, base64 root.
    #[error("the text is not a checkpoint of `{0}`")]
    Checkpoint(String),
    /// It is not a signed note at all.
    #[error("not a signed note: {0}")]
    Format(&'static str),
    /// The wanted key has signed something else.
    #[error("the signature of `{0}` is wrong")]
    Signature(String),
    /// The wanted key has not signed.
    #[error("no signature of `{0}`")]
    Unsigned(String),
}

/// A signed statement: the log of this origin has this many entries, and this is their root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root of the tree over them (RFC 6962).
    pub root: Digest,
    /// The whole note, as it is published.
    pub note: String,
}

impl Checkpoint {
    /// Signs a checkpoint with the key of the log, whose name is the origin.
    #[must_use]
    pub fn sign(origin: &str, size: u64, root: Digest, key: &SigningKey) -> Self {
        let text = format!("{origin}\n{size}\n{}\n", BASE64_STANDARD.encode(root.0));
        let mut blob = key_id(origin, &key.public()).to_vec();
        blob.extend_from_slice(&key.sign(text.as_bytes()));
        let note = format!("{text}\n— {origin} {}\n", BASE64_STANDARD.encode(blob));
        Self { origin: origin.to_owned(), size, root, note }
    }

    /// Reads a checkpoint of `origin` that `key` has signed. Lines of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError`] says what is wrong.
    pub fn open(note: &[u8], origin: &str, key: &PublicKey) -> Result<Self, NoteError> {
        let (note, text) = open_note(note, origin, key)?;
        let malformed = || NoteError::Checkpoint(origin.to_owned());
        let mut lines = text.lines();
        let (named, size, root) = (lines.next(), lines.next(), lines.next());
        let size = size.and_then(decimal).ok_or_else(malformed)?;
        let root = root.and_then(|line| BASE64_STANDARD.decode(line).ok()).and_then(|root| root.try_into().ok());
        let root = Digest(root.ok_or_else(malformed)?);
        if named != Some(origin) || lines.next().is_some() {
            return Err(malformed());
        }
        Ok(Self { origin: origin.to_owned(), size, root, note: note.to_owned() })
    }
}

/// The four bytes by which a note names a key.
#[must_use]
pub fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let Digest([a, b, c, d, ..]) = Digest::of_parts(&[name.as_bytes(), &[b'\n', ED25519], &key.to_bytes()]);
    [a, b, c, d]
}

/// The verifier key of C2SP signed-note: `<name>+<key id in hexadecimal>+<base64(0x01 ‖ key)>`.
#[must_use]
pub fn verifier_key(name: &str, key: &PublicKey) -> String {
    let id = u32::from_be_bytes(key_id(name, key));
    let mut blob = vec![ED25519];
    blob.extend_from_slice(&key.to_bytes());
    format!("{name}+{id:08x}+{}", BASE64_STANDARD.encode(blob))
}

/// Reads a verifier key: the name and the key.
///
/// # Errors
/// [`NoteError::Format`] when it is not one of Ed25519, or its key id is not that of its key.
pub fn parse_verifier_key(text: &str) -> Result<(String, PublicKey), NoteError> {
    let malformed = NoteError::Format("not an Ed25519 verifier key");
    let mut parts = text.trim_end().splitn(3, '+');
    let (Some(name), Some(_), Some(blob)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed);
    };
    let blob = BASE64_STANDARD.decode(blob).ok();
    let key = blob.as_deref().and_then(|blob| blob.split_first_chunk()).filter(|(kind, _)| **kind == [ED25519]);
    let key = key.and_then(|(_, key)| PublicKey::from_bytes(key.try_into().ok()?)).ok_or_else(|| malformed.clone())?;
    if verifier_key(name, &key) == text.trim_end() { Ok((name.to_owned(), key)) } else { Err(malformed) }
}

fn open_note<'a>(note: &'a [u8], name: &str, key: &PublicKey) -> Result<(&'a str, &'a str), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::Format("too large"));
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Format("not UTF-8"))?;
    if note.chars().any(|character| character.is_control() && character != '\n') {
        return Err(NoteError::Format("a control character"));
    }
    let (before, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Format("no empty line"))?;
    let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Format("no newline at the end"))?;
    // The text includes its last newline.
    let text = note.get(..before.len() + 1).unwrap_or_default();
    if signatures.split('\n').count() > SIGNATURES_MAX {
        return Err(NoteError::Format("too many signatures"));
    }
    let mut signed = false;
    for line in signatures.split('\n') {
        let malformed = NoteError::Format("a signature line is malformed");
        let line = line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or(malformed.clone())?;
        let blob = BASE64_STANDARD.decode(line.1).map_err(|_| malformed.clone())?;
        let (id, signature) = blob.split_first_chunk::<4>().ok_or(malformed)?;
        if line.0 != name || *id != key_id(name, key) {
            continue;
        }
        let signature = <&[u8; 64]>::try_from(signature).map_err(|_| NoteError::Signature(name.to_owned()))?;
        if signed || !key.verify(text.as_bytes(), signature) {
            return Err(NoteError::Signature(name.to_owned()));
        }
        signed = true;
    }
    if signed { Ok((note, text)) } else { Err(NoteError::Unsigned(name.to_owned())) }
}

/// A decimal number as C2SP writes it: no sign, no leading zero.
fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    /// The verifier key and note of the documentation of Go's `sumdb/note`, made by an implementation that is not ours.
    #[test]
    fn reads_the_note_that_the_go_documentation_shows() {
        let (name, key) =
            parse_verifier_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        assert_eq!(name, "PeterNeumann");
        let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
            — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert!(open_note(note.as_bytes(), &name, &key).is_ok());
        let wrong = note.replace("answer", "question");
        assert_eq!(open_note(wrong.as_bytes(), &name, &key), Err(NoteError::Signature(name.clone())));
        assert_eq!(open_note(note.as_bytes(), "Somebody", &key), Err(NoteError::Unsigned("Somebody".to_owned())));
    }

    #[test]
    fn round_trips_beside_lines_of_other_keys() {
        let checkpoint = Checkpoint::sign("localhost/a", 70_000, Digest::of(b"root"), &key(1));
        let public = key(1).public();
        assert_eq!(Checkpoint::open(checkpoint.note.as_bytes(), "localhost/a", &public).unwrap(), checkpoint);
        let witness = Checkpoint::sign("witness.example", 1, Digest::of(b""), &key(2)).note;
        let line = witness.lines().last().unwrap();
        let witnessed = format!("{}{line}\n", checkpoint.note);
        assert_eq!(Checkpoint::open(witnessed.as_bytes(), "localhost/a", &public).unwrap().size, 70_000);
        // A second signature under the same key id, and another origin than the wanted one.
        let twice = format!("{}{}\n", checkpoint.note, checkpoint.note.lines().last().unwrap());
        assert!(Checkpoint::open(twice.as_bytes(), "localhost/a", &public).is_err());
        assert!(Checkpoint::open(checkpoint.note.as_bytes(), "localhost/b", &public).is_err());
        assert!(Checkpoint::open(checkpoint.note.as_bytes(), "localhost/a", &key(2).public()).is_err());
    }

    #[test]
    fn refuses_texts_that_are_no_checkpoint_though_they_are_signed() {
        let origin = "localhost/a";
        let root = BASE64_STANDARD.encode([7; 32]);
        for text in [
            format!("{origin}\n1\n{root}\nextension\n"),
            format!("{origin}\n01\n{root}\n"),
            format!("{origin}\n+1\n{root}\n"),
            format!("{origin}\n18446744073709551616\n{root}\n"),
            format!("{origin}\n1\n{}\n", BASE64_STANDARD.encode([7; 31])),
            format!("{origin}\n1\n"),
            format!("localhost/b\n1\n{root}\n"),
        ] {
            let mut blob = key_id(origin, &key(1).public()).to_vec();
            blob.extend_from_slice(&key(1).sign(text.as_bytes()));
            let note = format!("{text}\n— {origin} {}\n", BASE64_STANDARD.encode(blob));
            let result = Checkpoint::open(note.as_bytes(), origin, &key(1).public());
            assert_eq!(result, Err(NoteError::Checkpoint(origin.to_owned())), "{text}");
        }
    }

    #[test]
    fn verifier_keys_round_trip_and_bind_name_and_key() {
        let text = verifier_key("localhost/a", &key(1).public());
        assert_eq!(parse_verifier_key(&text).unwrap(), ("localhost/a".to_owned(), key(1).public()));
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] ^= 1;
            let altered = String::from_utf8(altered).unwrap();
            assert!(parse_verifier_key(&altered).is_err(), "{altered}");
        }
    }
}
