//! The text of a signed token (RFC 7515 compact serialization), read before anything in it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::rejection::Rejection;
use crate::model::Timestamp;
use crate::model::json::{Document, Kind, Limits, View, scan};

/// Header and claims are small and flat; `act` may nest.
const LIMITS: Limits = Limits { depth_max: 16, values_max: 2_048 };

/// The three parts of a token, read strictly: two readers cannot disagree about it.
pub(super) struct Token<'a> {
    /// What the signature covers.
    pub(super) signed: &'a str,
    /// The signature, base64url.
    pub(super) signature: &'a str,
    header_text: String,
    header: Document,
    claims_text: String,
    claims: Document,
}

impl<'a> Token<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, Rejection> {
        let three = || Rejection::Malformed("not three parts");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(three)?;
        let (header, claims) = signed.split_once('.').ok_or_else(three)?;
        if claims.contains('.') || signature.is_empty() {
            return Err(three());
        }
        let (header_text, header) = object(header, Rejection::Malformed("the header is not a JSON object"))?;
        let (claims_text, claims) = object(claims, Rejection::Malformed("the claims are not a JSON object"))?;
        Ok(Self { signed, signature, header_text, header, claims_text, claims })
    }

    pub(super) fn header(&self) -> View<'_> {
        self.header.root(&self.header_text)
    }

    pub(super) fn claims(&self) -> View<'_> {
        self.claims.root(&self.claims_text)
    }
}

fn object(encoded: &str, refused: Rejection) -> Result<(String, Document), Rejection> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| refused.clone())?;
    let (text, document) = scan(&bytes, LIMITS).map_err(|_| refused.clone())?;
    let is_object = document.root(text).kind() == Kind::Object;
    if is_object { Ok((text.to_owned(), document)) } else { Err(refused) }
}

/// A text, if the member is there.
pub(super) fn text(object: View<'_>, name: &str) -> Result<Option<String>, Rejection> {
    match object.get(name) {
        None => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(Rejection::Claim(name.into())),
        },
    }
}

/// A point in time (RFC 7519 NumericDate), if the member is there; fractions of a second are dropped.
pub(super) fn time(claims: View<'_>, name: &str) -> Result<Option<Timestamp>, Rejection> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let wrong = || Rejection::Claim(name.into());
    if value.kind() != Kind::Number {
        return Err(wrong());
    }
    let (seconds, fraction) = value.text().split_once('.').unwrap_or((value.text(), "0"));
    let plain = fraction.bytes().all(|b| b.is_ascii_digit());
    let seconds = seconds.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    Ok(Some(Timestamp::from_secs(seconds)))
}
