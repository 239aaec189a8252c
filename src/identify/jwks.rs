//! The public keys of an issuer (RFC 7517), and the algorithms they may be used with.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Largest key set, bytes: a hundred RSA keys of 4,096 bits.
pub(super) const KEY_SET_BYTES_MAX: usize = 128 << 10;

/// Most keys of one set.
const KEYS_MAX: usize = 100;

/// A signature algorithm (RFC 7518, RFC 8037). All are asymmetric: a shared secret would let everybody who checks
/// tokens also make them, and `none` is no algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// ECDSA with P-384 and SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
    ];

    /// The registered name, as it stands in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    pub(super) const fn implementation(self) -> Algorithm {
        match self {
            Self::ES256 => Algorithm::ES256,
            Self::ES384 => Algorithm::ES384,
            Self::EdDSA => Algorithm::EdDSA,
            Self::PS256 => Algorithm::PS256,
            Self::PS384 => Algorithm::PS384,
            Self::PS512 => Algorithm::PS512,
            Self::RS256 => Algorithm::RS256,
            Self::RS384 => Algorithm::RS384,
            Self::RS512 => Algorithm::RS512,
        }
    }

    /// The algorithms that a key of this type can be used with: the type of the key decides, not the token.
    const fn of(parameters: &AlgorithmParameters) -> &'static [Self] {
        match parameters {
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Self::ES256],
                EllipticCurve::P384 => &[Self::ES384],
                _ => &[],
            },
            AlgorithmParameters::OctetKeyPair(key) => match key.curve {
                EllipticCurve::Ed25519 => &[Self::EdDSA],
                _ => &[],
            },
            AlgorithmParameters::RSA(_) => {
                &[Self::PS256, Self::PS384, Self::PS512, Self::RS256, Self::RS384, Self::RS512]
            }
            // `oct` above all: a symmetric key has no place in a public set.
            _ => &[],
        }
    }
}

/// The keys of one issuer that can verify something. Keys of other kinds or for other uses are left out.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<SigningAlgorithm>,
    key: DecodingKey,
}

impl KeySet {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        let set: JwkSet = serde_json::from_slice(bytes).map_err(KeySetError::Json)?;
        if set.keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany(KEYS_MAX));
        }
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::new).collect();
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(keys)) }
    }

    /// The keys that a token with this header may have been signed with. A token that names no key is taken only where
    /// there is no choice.
    pub(super) fn find(&self, id: Option<&str>, algorithm: SigningAlgorithm) -> Vec<&DecodingKey> {
        let fitting = self.0.iter().filter(|key| key.algorithms.contains(&algorithm));
        match id {
            Some(id) => fitting.filter(|key| key.id.as_deref() == Some(id)).map(|key| &key.key).collect(),
            None => {
                let keys: Vec<_> = fitting.map(|key| &key.key).collect();
                if keys.len() == 1 { keys } else { Vec::new() }
            }
        }
    }
}

impl Key {
    fn new(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let to_verify = common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let stated = |algorithm: &SigningAlgorithm| {
            common.key_algorithm.is_none_or(|stated| stated == KeyAlgorithm::from(algorithm.implementation()))
        };
        let algorithms: Vec<_> = SigningAlgorithm::of(&jwk.algorithm).iter().copied().filter(stated).collect();
        if !to_verify || algorithms.is_empty() {
            return None;
        }
        Some(Self { id: common.key_id.clone(), algorithms, key: DecodingKey::from_jwk(jwk).ok()? })
    }
}

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It holds no key that could verify a signature.
    #[error("no usable signing key in the set")]
    Empty,
    /// The server did not answer as it should.
    #[error("fetch the set")]
    Fetch(#[source] reqwest::Error),
    /// The body broke off or is too long.
    #[error("receive the set")]
    Body(#[source] crate::net::BodyReadError),
    /// Not a key set.
    #[error("read the set as JSON")]
    Json(#[source] serde_json::Error),
    /// The file could not be read.
    #[error("read the file")]
    Read(#[source] std::io::Error),
    /// Not a success.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// Longer than the limit, bytes.
    #[error("the set is longer than {0} bytes")]
    TooLarge(usize),
    /// More keys than the limit.
    #[error("more than {0} keys in the set")]
    TooMany(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    fn set(keys: &[String]) -> Result<KeySet, KeySetError> {
        KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    #[test]
    fn the_type_of_a_key_decides_what_it_verifies() {
        let keys = set(&[format!(r#"{{"kid":"a",{ED25519}}}"#)]).unwrap();
        assert_eq!(keys.find(Some("a"), SigningAlgorithm::EdDSA).len(), 1);
        assert!(keys.find(Some("a"), SigningAlgorithm::ES256).is_empty());
        assert!(keys.find(Some("b"), SigningAlgorithm::EdDSA).is_empty());
        assert_eq!(keys.find(None, SigningAlgorithm::EdDSA).len(), 1);
        let two = set(&[format!(r#"{{"kid":"a",{ED25519}}}"#), format!(r#"{{"kid":"b",{ED25519}}}"#)]).unwrap();
        assert!(two.find(None, SigningAlgorithm::EdDSA).is_empty(), "which of the two is not for us to guess");
    }

    #[test]
    fn keys_for_anything_else_are_left_out() {
        for key in [
            r#"{"kty":"oct","k":"c2VjcmV0","kid":"a"}"#.to_owned(),
            format!(r#"{{"use":"enc",{ED25519}}}"#),
            format!(r#"{{"key_ops":["sign"],{ED25519}}}"#),
            format!(r#"{{"alg":"ES256",{ED25519}}}"#),
            r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#.to_owned(),
            r#"{"kty":"new"}"#.to_owned(),
        ] {
            assert!(matches!(set(std::slice::from_ref(&key)), Err(KeySetError::Empty)), "{key}");
            assert!(set(&[key, format!(r#"{{"use":"sig","alg":"EdDSA",{ED25519}}}"#)]).is_ok());
        }
        assert!(matches!(KeySet::parse(b"[]"), Err(KeySetError::Json(_))));
        assert!(matches!(set(&vec![format!("{{{ED25519}}}"); 101]), Err(KeySetError::TooMany(100))));
    }

    #[test]
    fn symmetric_algorithms_and_none_cannot_be_configured() {
        for name in ["HS256", "none", "None", "RS1", "es256"] {
            assert!(serde_saphyr::from_str::<SigningAlgorithm>(name).is_err(), "{name}");
            assert_eq!(SigningAlgorithm::parse(name), None);
        }
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(serde_saphyr::from_str::<SigningAlgorithm>(algorithm.as_str()).unwrap(), algorithm);
        }
    }
}
