//! Why a credential does not count. The text is for operators and the record; callers never see it.

use crate::model::Timestamp;

/// Most characters of a caller's own text that are repeated.
const SHOWN_CHARS_MAX: usize = 64;

/// The longest name that is taken from a credential, bytes: it stands in every entry.
const NAME_BYTES_MAX: usize = 256;

/// One reason, never more than one: the first that was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("the algorithm `{0}` is not allowed for this issuer")]
    Algorithm(String),
    #[error("more than one `Authorization` header")]
    Ambiguous,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token is bound to something the caller did not show")]
    Bound,
    #[error("the claim `{0}` is not what it must be")]
    Claim(String),
    #[error("the token needs extensions that are not known")]
    Critical,
    #[error("the delegation chain is not readable or too deep")]
    Delegation,
    #[error("expired at {0}")]
    Expired(Timestamp),
    #[error("the keys of `{0}` are not available")]
    KeysUnavailable(String),
    #[error("malformed token: {0}")]
    Malformed(&'static str),
    #[error("no credential was shown")]
    Missing,
    #[error("the claim `{0}` is missing")]
    MissingClaim(String),
    #[error("the token names no human, no service and no agent")]
    NamesNobody,
    #[error("no credentials configured")]
    NotConfigured,
    #[error("not valid before {0}")]
    NotYetValid(Timestamp),
    #[error("the operating system did not say whose process it is")]
    OperatingSystem,
    #[error("the identity headers of the trusted proxy are not readable: {0}")]
    ProxyHeaders(&'static str),
    #[error("revoked")]
    Revoked,
    #[error("the `Authorization` scheme is not Bearer")]
    Scheme,
    #[error("the signature does not verify")]
    Signature,
    #[error("the credential is longer than {0} bytes")]
    TooLong(usize),
    #[error("a token of type `{0}` is not an access token")]
    TokenType(String),
    #[error("unknown API key")]
    UnknownApiKey,
    #[error("unknown issuer `{0}`")]
    UnknownIssuer(String),
    #[error("the issuer has no key `{0}` for this algorithm")]
    UnknownKey(String),
    #[error("neither an API key nor a signed token")]
    UnknownKind,
}

impl Rejection {
    /// Whether the same credential may count a moment later through no change of its own.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::KeysUnavailable(_) | Self::UnknownKey(_))
    }
}

/// A caller's own text, shortened and made safe for a log line.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// Whether a text can stand for someone in entries, events and pages: 1 to 256 bytes, no control characters.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}
