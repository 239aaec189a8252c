//! Documents that people sign: policy bundles and files of pinned tools. A DSSE v1.0.2 envelope, so that openssl and every
//! DSSE tool can check it; who must have signed is for the reader to know.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};

use super::envelope::pre_authentication_encoding;
use super::keys::{PublicKey, SigningKey};
use crate::model::Digest;

/// Largest document, bytes: all policies of an organisation in one file.
pub const SIGNED_BYTES_MAX: usize = 16 << 20;

/// Signatures that are looked at.
const SIGNATURES_MAX: usize = 16;

/// Why something is no signed document.
#[derive(Debug, thiserror::Error)]
pub enum SignedError {
    /// A value is not standard base64 of the right length.
    #[error("member `{0}` is not base64 of the right length")]
    Base64(&'static str),
    /// It is signed as something else.
    #[error("it is a `{0}`")]
    Kind(String),
    /// Not an envelope.
    #[error("it is no DSSE envelope")]
    Shape(#[source] serde_json::Error),
    /// Too large, or too many signatures.
    #[error("it has more than {SIGNED_BYTES_MAX} bytes or {SIGNATURES_MAX} signatures")]
    Size,
}

/// A document with its signatures, which are not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDocument {
    /// What it is: the media type of the payload.
    kind: String,
    /// What was signed.
    pub payload: Vec<u8>,
    signatures: Vec<(Digest, [u8; 64])>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    payload: String,
    payload_type: String,
    signatures: Vec<WrittenSignature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenSignature {
    keyid: String,
    sig: String,
}

impl SignedDocument {
    /// A document that nobody has signed.
    #[must_use]
    pub fn new(kind: &str, payload: Vec<u8>) -> Self {
        Self { kind: kind.to_owned(), payload, signatures: Vec::new() }
    }

    /// Reads one that must be of this kind.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn read(kind: &str, text: &[u8]) -> Result<Self, SignedError> {
        if text.len() > SIGNED_BYTES_MAX {
            return Err(SignedError::Size);
        }
        let written: Written = serde_json::from_slice(text).map_err(SignedError::Shape)?;
        if written.payload_type != kind {
            return Err(SignedError::Kind(written.payload_type));
        }
        if written.signatures.len() > SIGNATURES_MAX {
            return Err(SignedError::Size);
        }
        let payload = BASE64_STANDARD.decode(&written.payload).map_err(|_| SignedError::Base64("payload"))?;
        let signature = |written: &WrittenSignature| {
            let key = written.keyid.strip_prefix("sha256:").and_then(|_| Digest::parse(&written.keyid));
            let bytes = BASE64_STANDARD.decode(&written.sig).ok().and_then(|bytes| bytes.try_into().ok());
            Ok((key.ok_or(SignedError::Base64("keyid"))?, bytes.ok_or(SignedError::Base64("sig"))?))
        };
        let signatures = written.signatures.iter().map(signature).collect::<Result<_, SignedError>>()?;
        Ok(Self { kind: kind.to_owned(), payload, signatures })
    }

    /// Adds a signature.
    pub fn sign(&mut self, key: &SigningKey) {
        let message = pre_authentication_encoding(&self.kind, &self.payload);
        let id = key.public().id();
        self.signatures.retain(|(other, _)| *other != id);
        self.signatures.push((id, key.sign(&message)));
    }

    /// Whether this key has signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let message = pre_authentication_encoding(&self.kind, &self.payload);
        let mut own = self.signatures.iter().filter(|(id, _)| *id == key.id());
        own.any(|(_, signature)| key.verify(&message, signature))
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let signature = |(key, bytes): &(Digest, [u8; 64])| WrittenSignature {
            keyid: key.to_string(),
            sig: BASE64_STANDARD.encode(bytes),
        };
        let written = Written {
            payload: BASE64_STANDARD.encode(&self.payload),
            payload_type: self.kind.clone(),
            signatures: self.signatures.iter().map(signature).collect(),
        };
        // Texts alone: writing them cannot fail.
        serde_json::to_string_pretty(&written).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_is_what_is_read() {
        let (one, two) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let mut document = SignedDocument::new("application/x", b"{\"a\":1}".to_vec());
        document.sign(&one);
        document.sign(&one);
        let text = document.to_text();
        let read = SignedDocument::read("application/x", text.as_bytes()).unwrap();
        assert_eq!(read, document, "signing twice is signing once");
        assert!(read.is_signed_by(&one.public()) && !read.is_signed_by(&two.public()));
        let mut changed = read;
        changed.payload = b"{\"a\":2}".to_vec();
        assert!(!changed.is_signed_by(&one.public()));
        assert!(matches!(SignedDocument::read("application/y", text.as_bytes()), Err(SignedError::Kind(_))));
        for text in ["", "{}", "[]", &text.replace("payloadType", "payloadtype")] {
            assert!(SignedDocument::read("application/x", text.as_bytes()).is_err(), "{text}");
        }
    }
}
