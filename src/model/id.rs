//! Identifiers. Each is a type of its own, so that one cannot stand where another is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A text that is not an identifier of the wanted kind.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a valid {1}")]
pub struct InvalidId(pub String, pub &'static str);

/// The longest identifier accepted from outside, in bytes: they are repeated in every entry of a session.
const ID_BYTES_MAX: usize = 128;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// A new identifier: UUID version 7 (RFC 9562) from the time and 10 random bytes, behind the prefix.
            #[must_use]
            pub fn mint(now: Timestamp, random: [u8; 10]) -> Self {
                Self(format!("{}{}", $prefix, uuid_v7(now, random)).into())
            }

            /// Takes an identifier from outside: visible ASCII, 1 to 128 bytes.
            ///
            /// # Errors
            /// [`InvalidId`] when it is anything else.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let visible = text.bytes().all(|b| b.is_ascii_graphic());
                if text.is_empty() || text.len() > ID_BYTES_MAX || !visible {
                    let shown = text.chars().take(40).flat_map(char::escape_default).collect();
                    return Err(InvalidId(shown, stringify!($name)));
                }
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// One intercepted action, minted by the interceptor: JSON-RPC ids are unique only among a sender's calls in flight.
    ActionId, "act_"
);
identifier!(
    /// One entry of the log, as people quote it.
    ReceiptId, "rct_"
);
identifier!(
    /// The session an action belongs to.
    SessionId, "sess_"
);
identifier!(
    /// One request to an approver.
    ApprovalId, "apr_"
);
identifier!(
    /// One use of a control: a suspension, a break-glass.
    ControlId, "ctl_"
);
identifier!(
    /// One standing permission.
    GrantId, "grt_"
);
identifier!(
    /// One suspended action.
    DeferralId, "dfr_"
);
identifier!(
    /// One instance of the product: one log.
    InstanceId, ""
);
identifier!(
    /// One run of the process.
    RunId, "run_"
);

fn uuid_v7(now: Timestamp, random: [u8; 10]) -> String {
    let [a, b, c, rest @ ..] = random;
    let variant = u64::from(c & 0x3f | 0x80);
    let tail = rest.iter().fold(variant, |acc, byte| acc << 8 | u64::from(*byte));
    let stamp = now.as_millis() & 0xffff_ffff_ffff;
    let version = 0x7000 | u64::from(a & 0x0f) << 8 | u64::from(b);
    format!(
        "{:08x}-{:04x}-{version:04x}-{:04x}-{:012x}",
        stamp >> 16,
        stamp & 0xffff,
        tail >> 48,
        tail & 0xffff_ffff_ffff
    )
}

/// A SHA-256 digest. Written as `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of the parts, one after another.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The 64 hexadecimal digits, without the prefix.
    #[must_use]
    pub fn to_hex(self) -> String {
        String::from_utf8_lossy(&self.hex_digits()).into_owned()
    }

    /// The same without a string on the heap: every entry of the log holds several.
    #[must_use]
    pub fn hex_digits(self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        let mut hex = [b'0'; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            if let [high, low] = pair {
                (*high, *low) = (digit(byte >> 4), digit(byte & 15));
            }
        }
        hex
    }

    /// Reads `sha256:` and 64 lower-case hexadecimal digits, or the digits alone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
        let mut out = [0_u8; 32];
        if hex.len() != 64 {
            return None;
        }
        for (pair, byte) in hex.chunks_exact(2).zip(out.iter_mut()) {
            let &[high, low] = pair else { return None };
            *byte = nibble(high)? << 4 | nibble(low)?;
        }
        Some(Self(out))
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        f.write_str(std::str::from_utf8(&self.hex_digits()).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = *b"sha256:0000000000000000000000000000000000000000000000000000000000000000";
        let (_, digits) = text.split_at_mut(7);
        digits.copy_from_slice(&self.hex_digits());
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.starts_with("sha256:")
            .then(|| Self::parse(&text))
            .flatten()
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not sha256: and 64 hexadecimal digits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mints_uuid_version_7() {
        let id = ActionId::mint(Timestamp::from_micros(1_645_557_742_000_000), [0xff; 10]);
        assert_eq!(id.as_str(), "act_017f22e2-79b0-7fff-bfff-ffffffffffff");
        let zero = ReceiptId::mint(Timestamp::from_micros(0), [0; 10]);
        assert_eq!(zero.as_str(), "rct_00000000-0000-7000-8000-000000000000");
    }

    #[test]
    fn refuses_ids_that_could_break_a_log_line() {
        for text in ["", "a b", "a\nb", "é", &"x".repeat(129)] {
            assert!(SessionId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn digests_round_trip() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("sha256:BA"), None);
        assert_eq!(Digest::of_parts(&[b"a", b"bc"]), digest);
    }
}
