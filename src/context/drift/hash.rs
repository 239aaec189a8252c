//! Keyed hashes: what a session remembers of values without keeping them.
//!
//! SipHash-1-3 (Aumasson and Bernstein, 2012) under a key of the instance: without the key a stored hash cannot be
//! compared with guesses, and an attacker who writes a result cannot make two values collide.

/// The key of an instance. A restart must load the same one, or nothing that was remembered is recognised.
#[derive(Clone)]
pub struct HashKey([u64; 2]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(hidden)")
    }
}

impl HashKey {
    /// From 32 bytes, of which half is used.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = bytes;
        let whole = u128::from_le_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]);
        let mask = u64::MAX as u128;
        Self([narrow(whole & mask), narrow(whole >> 64)])
    }

    /// The hash of a text.
    pub(super) fn hash(&self, text: &[u8]) -> u64 {
        let mut state = State::new(self.0);
        let mut chunks = text.chunks_exact(8);
        for chunk in &mut chunks {
            state.absorb(word(chunk));
        }
        let tail = word(chunks.remainder()) | (text.len() as u64) << 56;
        state.absorb(tail);
        state.finish()
    }

    /// The hash of a sequence of hashes.
    pub(super) fn sequence(&self, parts: impl Iterator<Item = u32>) -> u32 {
        let mut state = State::new(self.0);
        for part in parts {
            state.absorb(u64::from(part) | 1 << 40);
        }
        low(state.finish())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the value was masked to 64 bits")]
const fn narrow(value: u128) -> u64 {
    value as u64
}

/// 32 of the 64 bits: a few thousand values of a session collide by chance once in a million sessions.
#[expect(clippy::cast_possible_truncation, reason = "half of the hash is meant to be dropped")]
pub(super) const fn low(hash: u64) -> u32 {
    hash as u32
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

struct State([u64; 4]);

impl State {
    const fn new([k0, k1]: [u64; 2]) -> Self {
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
    }

    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        for _ in 0..3 {
            self.round();
        }
        self.0.iter().fold(0, |all, part| all ^ part)
    }

    const fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_siphash_1_3() {
        // The standard library's hasher is SipHash-1-3 under a key of zeros.
        let key = HashKey::new([0; 32]);
        for length in 0..40u8 {
            let message: Vec<u8> = (0..length).collect();
            let mut other = std::hash::DefaultHasher::new();
            std::hash::Hasher::write(&mut other, &message);
            assert_eq!(key.hash(&message), std::hash::Hasher::finish(&other), "{length}");
        }
    }
}
