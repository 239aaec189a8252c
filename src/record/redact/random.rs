//! Tells random strings from names, by length, classes of characters and entropy.
//!
//! A run of letters, digits and `+ / _ -` is taken for a secret when it has at least 32 characters, letters and digits,
//! something other than hexadecimal digits, a change of class (upper case, lower case, digit, sign; not from upper to
//! lower case, as words begin) at 30 % or more of its places, and a Shannon entropy of at least 4.2 bits a character. Digests, UUIDs, paths and long identifiers stay:
//! who investigates needs them. Random strings shorter than 32 characters stay too unless their name gives them away.

/// Characters a run must have.
pub(super) const LENGTH_MIN: usize = 32;
/// Changes of class, per 100 places.
const CHANGES_PERCENT_MIN: usize = 30;
/// Bits a character.
const ENTROPY_MIN: f64 = 4.2;

/// Whether `run`, of letters, digits and `+ / _ -`, looks like a random string.
pub(super) fn looks_random(run: &[u8]) -> bool {
    if run.len() < LENGTH_MIN {
        return false;
    }
    let letters = run.iter().any(u8::is_ascii_alphabetic);
    let digits = run.iter().any(u8::is_ascii_digit);
    let hexadecimal = run.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_'));
    if !letters || !digits || hexadecimal {
        return false;
    }
    let changes = run.windows(2).filter(|pair| matches!(pair, [a, b] if changes_class(*a, *b))).count();
    changes * 100 >= run.len() * CHANGES_PERCENT_MIN && entropy(run) >= ENTROPY_MIN
}

const fn changes_class(before: u8, after: u8) -> bool {
    let word_begins = before.is_ascii_uppercase() && after.is_ascii_lowercase();
    class(before) != class(after) && !word_begins
}

const fn class(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    }
}

/// Shannon entropy in bits a byte.
fn entropy(run: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in run {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = f64::from(u32::try_from(run.len()).unwrap_or(u32::MAX));
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum()
}
