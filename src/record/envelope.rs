//! The stored form of an entry: a DSSE v1.0.2 envelope around an in-toto statement.
//!
//! ```text
//! {"payload":"<base64>","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"sha256:<hex>","sig":"<base64>"}]}
//! signed bytes:  DSSEv1 28 application/vnd.in-toto+json <length of payload> <payload>
//! ```
//!
//! The bytes that were signed are stored, so that no verifier has to make them again; one document has one text, and
//! every other text is refused. Pure. It does not read what a payload means, nor know whose keys are good.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;

use super::entry::Kind;
use super::keys::{PublicKey, SigningKey};
use super::merkle;
use super::tiles::ENTRY_BYTES_MAX;
use crate::model::json;
use crate::model::{Digest, Severity, Verdict};

/// The payload type of every entry (in-toto attestation framework).
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Signatures that are read: control entries carry those of the root and of a receipt key; one more for a migration.
const SIGNATURES_MAX: usize = 4;

const BEFORE_PAYLOAD: &str = r#"{"payload":""#;
const BEFORE_SIGNATURES: &str = r#"","payloadType":"application/vnd.in-toto+json","signatures":["#;
const BEFORE_KEY_ID: &str = r#"{"keyid":""#;
const BEFORE_SIGNATURE: &str = r#"","sig":""#;
const AFTER_SIGNATURE: &str = r#""}"#;
const END: &str = "]}";

/// Why an entry was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A value is not in the one form of standard base64.
    #[error("member `{0}` is not canonical base64 of the right length")]
    Base64(&'static str),
    /// The payload is not the RFC 8785 form of a JSON document without duplicate members.
    #[error("the payload is not canonical JSON")]
    Payload,
    /// The bytes are not an envelope in its one form: unknown, missing, duplicate or reordered members, or white space.
    #[error("not an envelope at byte {0}")]
    Shape(usize),
    /// A signature is wrong, or of another key.
    #[error("no valid signature of key `{0}`")]
    Signature(Digest),
    /// Empty, or longer than 65,535 bytes.
    #[error("an entry has 1 to 65535 bytes, this one has {0}")]
    Size(usize),
    /// More signatures than any entry has.
    #[error("more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
}

/// An entry and its leaf hash. Computed once, where the entry is made or read from the disk: the tree and whoever
/// exports need it again.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The entry.
    pub bytes: Bytes,
    /// Its leaf hash, which the next entry of the session names.
    pub leaf_hash: Digest,
    /// What it is, where this process made it.
    pub gist: Option<Gist>,
}

/// What an entry is, as its maker says: enough to know whether anybody has to open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gist {
    /// Its kind.
    pub kind: Kind,
    /// The verdict, in decisions and outcomes.
    pub verdict: Option<Verdict>,
    /// How much the decision matters, in decisions and outcomes.
    pub severity: Option<Severity>,
}

/// An entry, taken apart. Its signatures are not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The signed statement.
    pub payload: Vec<u8>,
    /// The id of each key and its signature. The id is a hint that nothing protects: whether the key is good is for the
    /// reader to know.
    pub signatures: Vec<(Digest, [u8; 64])>,
}

/// Signs a payload with every one of `keys`, in their order.
///
/// The result may be longer than an entry can be: [`super::Log::append`] refuses it then.
#[must_use]
pub fn seal(payload: &[u8], keys: &[&SigningKey]) -> Sealed {
    let message = pre_authentication_encoding(PAYLOAD_TYPE, payload);
    let mut entry = String::with_capacity(payload.len() / 3 * 4 + 96 + keys.len() * 196);
    entry.push_str(BEFORE_PAYLOAD);
    base64_simd::STANDARD.encode_append(payload, &mut entry);
    entry.push_str(BEFORE_SIGNATURES);
    for (position, key) in keys.iter().enumerate() {
        if position > 0 {
            entry.push(',');
        }
        entry.push_str(BEFORE_KEY_ID);
        entry.push_str(key.id_text());
        entry.push_str(BEFORE_SIGNATURE);
        BASE64_STANDARD.encode_string(key.sign(&message), &mut entry);
        entry.push_str(AFTER_SIGNATURE);
    }
    entry.push_str(END);
    Bytes::from(entry).into()
}

/// Takes an entry apart. It must be the one text that [`seal`] makes of its payload and signatures.
///
/// # Errors
/// [`EnvelopeError`] says what is wrong; signatures are not looked at, see [`Envelope::verify`].
pub fn open_envelope(entry: &[u8]) -> Result<Envelope, EnvelopeError> {
    if entry.is_empty() || entry.len() > ENTRY_BYTES_MAX {
        return Err(EnvelopeError::Size(entry.len()));
    }
    let mut reader = Reader { entry, at: 0 };
    reader.expect(BEFORE_PAYLOAD)?;
    let payload = decode(reader.until_quote()?, "payload")?;
    reader.expect(BEFORE_SIGNATURES)?;
    let mut signatures = Vec::with_capacity(1);
    loop {
        if signatures.len() == SIGNATURES_MAX {
            return Err(EnvelopeError::TooManySignatures);
        }
        reader.expect(BEFORE_KEY_ID)?;
        let at = reader.at;
        let key_id = std::str::from_utf8(reader.until_quote()?).ok().filter(|id| id.starts_with("sha256:"));
        let key_id = key_id.and_then(Digest::parse).ok_or(EnvelopeError::Shape(at))?;
        reader.expect(BEFORE_SIGNATURE)?;
        let signature = decode(reader.until_quote()?, "sig")?;
        let signature = signature.try_into().map_err(|_| EnvelopeError::Base64("sig"))?;
        signatures.push((key_id, signature));
        reader.expect(AFTER_SIGNATURE)?;
        if reader.expect(",").is_err() {
            break;
        }
    }
    reader.expect(END)?;
    if reader.at != entry.len() {
        return Err(EnvelopeError::Shape(reader.at));
    }
    let canonical = json::scan(&payload, json::Limits::default())
        .is_ok_and(|(text, document)| json::is_canonical(document.root(text)));
    if canonical { Ok(Envelope { payload, signatures }) } else { Err(EnvelopeError::Payload) }
}

impl From<Bytes> for Sealed {
    fn from(bytes: Bytes) -> Self {
        Self { leaf_hash: leaf_hash(&bytes), bytes, gist: None }
    }
}

impl Envelope {
    /// Whether `key` has signed the payload. Signatures with non-canonical points or scalars, and keys of small order,
    /// are refused (`verify_strict`).
    ///
    /// # Errors
    /// [`EnvelopeError::Signature`] when there is none of it, or a wrong one.
    pub fn verify(&self, key: &PublicKey) -> Result<(), EnvelopeError> {
        let message = pre_authentication_encoding(PAYLOAD_TYPE, &self.payload);
        let mut own = self.signatures.iter().filter(|(id, _)| *id == key.id()).peekable();
        if own.peek().is_some() && own.all(|(_, signature)| key.verify(&message, signature)) {
            return Ok(());
        }
        Err(EnvelopeError::Signature(key.id()))
    }
}

/// What a DSSE signature signs: type and payload, each with its length, so that no two pairs give the same bytes.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    let mut out = Vec::with_capacity(head.len() + payload.len());
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(payload);
    out
}

/// The hash of an entry as a leaf of the tree.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Digest {
    merkle::leaf_hash(entry)
}

fn decode(text: &[u8], member: &'static str) -> Result<Vec<u8>, EnvelopeError> {
    // The engine refuses missing padding, other alphabets and trailing bits that are not zero.
    BASE64_STANDARD.decode(text).map_err(|_| EnvelopeError::Base64(member))
}

struct Reader<'a> {
    entry: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn expect(&mut self, text: &str) -> Result<(), EnvelopeError> {
        let rest = self.entry.get(self.at..).unwrap_or_default();
        if !rest.starts_with(text.as_bytes()) {
            return Err(EnvelopeError::Shape(self.at));
        }
        self.at += text.len();
        Ok(())
    }

    fn until_quote(&mut self) -> Result<&'a [u8], EnvelopeError> {
        let rest = self.entry.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'"').ok_or(EnvelopeError::Shape(self.entry.len()))?;
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default())
    }
}
