//! Signatures of requests, by Standard Webhooks.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::net::Secret;

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Ed25519,
    Hmac,
}

pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// One signature in the form of the header `webhook-signature`.
///
/// # Errors
/// A sentence without the key: it is not one.
pub(super) fn sign(scheme: Scheme, secret: &Secret, message: &[u8]) -> Result<String, String> {
    let text = secret.expose();
    match scheme {
        Scheme::Hmac => {
            let key = match text.strip_prefix("whsec_") {
                None => text.as_bytes().to_vec(),
                Some(encoded) => {
                    BASE64_STANDARD.decode(encoded).map_err(|_| "the key behind `whsec_` is not base64")?
                }
            };
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), message);
            Ok(format!("v1,{}", base64(tag.as_ref())))
        }
        Scheme::Ed25519 => {
            let encoded = text.strip_prefix("whsk_").unwrap_or(text);
            let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| "the Ed25519 key is not base64")?;
            // 32 bytes are the seed; 64 the seed and the public key.
            let seed = bytes.first_chunk::<32>().filter(|_| matches!(bytes.len(), 32 | 64));
            let key = SigningKey::from_bytes(seed.ok_or("the Ed25519 key has neither 32 nor 64 bytes")?);
            Ok(format!("v1a,{}", base64(&key.sign(message).to_bytes())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signs_as_the_specification_does() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let message = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        let signature = sign(Scheme::Hmac, &secret, message).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_ed25519_signature_verifies() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let secret = Secret::new(&format!("whsk_{}", base64(&[7; 32])));
        let signature = sign(Scheme::Ed25519, &secret, b"id.1.body").unwrap();
        let bytes = BASE64_STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&bytes).unwrap();
        assert!(key.verifying_key().verify_strict(b"id.1.body", &signature).is_ok());
        let refused = sign(Scheme::Ed25519, &Secret::new("c2hvcnQ="), b"").unwrap_err();
        assert!(!refused.contains("c2hvcnQ"), "{refused}");
    }
}
