//! The one form of a stored entry.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::model::Digest;
use crate::record::envelope::pre_authentication_encoding;
use crate::record::{EnvelopeError, PAYLOAD_TYPE, SigningKey, open_envelope, seal};

const PAYLOAD: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v1","n":1}"#;

fn key(seed: u8) -> SigningKey {
    SigningKey::from(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
}

#[test]
fn round_trips_and_verifies() {
    let (root, receipt, other) = (key(1), key(2), key(3));
    let sealed = seal(PAYLOAD, &[&receipt, &root]);
    assert_eq!(sealed.leaf_hash, Digest::of_parts(&[&[0], &sealed.bytes]));
    let envelope = open_envelope(&sealed.bytes).unwrap();
    assert_eq!(envelope.payload, PAYLOAD);
    let ids: Vec<_> = envelope.signatures.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [receipt.public().id(), root.public().id()]);
    envelope.verify(&root.public()).unwrap();
    envelope.verify(&receipt.public()).unwrap();
    assert_eq!(envelope.verify(&other.public()), Err(EnvelopeError::Signature(other.public().id())));
}

/// Made once and checked with openssl; the format of stored entries never changes.
#[test]
fn the_form_is_frozen() {
    let sealed = seal(br#"{"n":1}"#, &[&key(7)]);
    assert_eq!(std::str::from_utf8(&sealed.bytes).unwrap(), GOLDEN);
    assert_eq!(
        pre_authentication_encoding(PAYLOAD_TYPE, br#"{"n":1}"#),
        b"DSSEv1 28 application/vnd.in-toto+json 7 {\"n\":1}"
    );
}

#[test]
fn no_altered_byte_goes_unnoticed() {
    let key = key(5);
    let sealed = seal(PAYLOAD, &[&key]);
    for at in 0..sealed.bytes.len() {
        for bit in [1, 4, 0x20] {
            let mut altered = sealed.bytes.to_vec();
            altered[at] ^= bit;
            let accepted = open_envelope(&altered).is_ok_and(|envelope| envelope.verify(&key.public()).is_ok());
            assert!(!accepted, "byte {at}");
        }
    }
}

#[test]
fn one_document_has_one_text() {
    let key = key(5);
    let sealed = seal(PAYLOAD, &[&key]);
    let good = std::str::from_utf8(&sealed.bytes).unwrap();
    let signature = good.split("signatures").nth(1).unwrap().trim_start_matches("\":[").trim_end_matches("]}");
    for (what, bad) in [
        ("white space", good.replace(":[", ": [")),
        ("a newline at the end", format!("{good}\n")),
        ("an unknown member", good.replacen('{', r#"{"a":1,"#, 1)),
        ("a duplicate member", good.replacen('{', r#"{"payload":"","#, 1)),
        ("another type", good.replace("in-toto", "other")),
        ("an escape", good.replace("application/vnd", r"application\/vnd")),
        ("no signature", good.replace(signature, "")),
        ("too many signatures", good.replace(signature, &[signature; 5].join(","))),
        ("no padding", good.replacen("=\"", "\"", 1)),
        ("an upper-case key id", good.replace("sha256:", "SHA256:")),
        ("a key id without its algorithm", good.replace("sha256:", "")),
        ("a short signature", good.replacen(r#""sig":""#, r#""sig":"AA=="#, 1)),
    ] {
        assert_ne!(bad, good, "{what}");
        assert!(open_envelope(bad.as_bytes()).is_err(), "{what}");
    }
    // The last character before the padding has bits that stand for nothing: they must be 0.
    let end = good.find("\",\"payloadType").unwrap();
    assert_eq!(good.as_bytes()[end - 1], b'=');
    let mut loose = good.to_owned().into_bytes();
    let last =
        end - good.bytes().take(end).collect::<Vec<_>>().iter().rev().take_while(|byte| **byte == b'=').count() - 1;
    loose[last] += 1;
    assert_eq!(open_envelope(&loose), Err(EnvelopeError::Base64("payload")));
}

#[test]
fn payloads_must_be_canonical_and_entries_not_too_long() {
    for payload in [&br#"{"b":1,"a":2}"#[..], br#"{"a": 1}"#, br#"{"a":1,"a":1}"#, br#"{"a":1.0}"#, b"\xff", b""] {
        assert_eq!(open_envelope(&seal(payload, &[&key(5)]).bytes), Err(EnvelopeError::Payload));
    }
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(50_000));
    let sealed = seal(long.as_bytes(), &[&key(5)]);
    assert_eq!(open_envelope(&sealed.bytes), Err(EnvelopeError::Size(sealed.bytes.len())));
    assert_eq!(open_envelope(b""), Err(EnvelopeError::Size(0)));
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        proptest::prop_assert!(open_envelope(&bytes).is_err());
    }

    #[test]
    fn whatever_is_accepted_is_what_seal_would_write(cut in 0_usize..400, with in "[a-z\"{}:,=A]{0,6}") {
        let sealed = seal(PAYLOAD, &[&key(5)]);
        let mut text = String::from_utf8(sealed.bytes.to_vec()).unwrap();
        let at = cut.min(text.len());
        text.replace_range(at..(at + with.len()).min(text.len()), &with);
        if let Ok(envelope) = open_envelope(text.as_bytes()) {
            let signatures = envelope.signatures.iter().map(|(id, signature)| {
                format!(r#"{{"keyid":"{id}","sig":"{}"}}"#, BASE64_STANDARD.encode(signature))
            });
            let again = format!(
                r#"{{"payload":"{}","payloadType":"{PAYLOAD_TYPE}","signatures":[{}]}}"#,
                BASE64_STANDARD.encode(&envelope.payload),
                signatures.collect::<Vec<_>>().join(",")
            );
            proptest::prop_assert_eq!(again, text);
        }
    }
}

const GOLDEN: &str = concat!(
    r#"{"payload":"eyJuIjoxfQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"#,
    r#""keyid":"sha256:fe812c12f3ab4ce6ac5db69ac352f906cb1b11ef43fb33e252ef7ff552263889","#,
    r#""sig":"Ybef6r/Xy310/2XRp83dgr+ug9y1e4H0pXNr868W5jlqOdWbVQyrDG2d4B+PmvluvV5cjgLXebERz4kgFsqFAg=="}]}"#,
);
