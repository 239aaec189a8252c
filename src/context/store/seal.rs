//! Sealed bytes: AES-256-GCM; before the text stand the place it belongs to, which is bound in, and a random nonce.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::net::random_bytes;

/// The form of sealed files.
const VERSION: u8 = 1;

/// Bytes of a place.
const PLACE_LEN: usize = 32;

/// Seals a text for a place. `None`: the operating system has no random bytes.
pub(super) fn seal(key: &[u8; 32], place: &[u8; PLACE_LEN], mut text: Vec<u8>) -> Option<Vec<u8>> {
    let nonce = random_bytes::<NONCE_LEN>().ok()?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut text).ok()?;
    let mut sealed = Vec::with_capacity(1 + PLACE_LEN + NONCE_LEN + text.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(place);
    sealed.extend_from_slice(&nonce);
    sealed.append(&mut text);
    Some(sealed)
}

/// The place that sealed bytes say they belong to: worth nothing before they were opened for it.
pub(super) fn place(sealed: &[u8]) -> Option<[u8; PLACE_LEN]> {
    let (&version, rest) = sealed.split_first()?;
    (version == VERSION).then(|| rest.first_chunk::<PLACE_LEN>().copied())?
}

/// Opens what was sealed for a place. `None`: it was not, or not with this key.
pub(super) fn open(key: &[u8; 32], place: &[u8; PLACE_LEN], sealed: Vec<u8>) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.get(1 + PLACE_LEN..)?.split_first_chunk::<NONCE_LEN>()?;
    if self::place(&sealed)? != *place {
        return None;
    }
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let mut text = text.to_vec();
    let length = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_and_the_place_open_it() {
        let sealed = seal(&[1; 32], &[3; 32], b"text".to_vec()).unwrap();
        assert_eq!(open(&[1; 32], &[3; 32], sealed.clone()), Some(b"text".to_vec()));
        assert_eq!(open(&[2; 32], &[3; 32], sealed.clone()), None);
        assert_eq!(open(&[1; 32], &[4; 32], sealed.clone()), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&[1; 32], &[3; 32], changed), None, "byte {at}");
        }
        assert_eq!(open(&[1; 32], &[3; 32], Vec::new()), None);
        assert_eq!(place(&sealed), Some([3; 32]));
    }
}
