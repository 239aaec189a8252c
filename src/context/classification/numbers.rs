//! Numbers of people and accounts, each confirmed by its checksum or its fixed form.

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// A payment card (ISO/IEC 7812, Luhn).
    Card,
    /// A telephone number: international with `+`, or in the North American form.
    Phone,
    /// A social security number of the United States.
    SocialSecurity,
}

/// Longest run of digits and separators that is looked at.
const RUN_MAX: usize = 32;

/// IBAN length by country (ISO 13616 registry).
const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18\
    FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19\
    MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";

/// Reads the run of digits and separators that `text` begins with: what it is, and how long it is.
pub(super) fn read(text: &[u8]) -> (Option<Number>, usize) {
    let mut digits = [0_u8; RUN_MAX];
    let (mut count, mut length) = (0, 0);
    // Lengths of the groups between separators, as `groups` of four bits.
    let (mut groups, mut group) = (0_u64, 0_u64);
    let mut opened = false;
    for (at, byte) in text.iter().enumerate().take(RUN_MAX + 12) {
        match byte {
            b'0'..=b'9' => {
                let Some(place) = digits.get_mut(count) else { return (None, at) };
                *place = byte - b'0';
                count += 1;
                group += 1;
                length = at + 1;
            }
            b'+' if at == 0 => {}
            b'(' if at == 0 || at == 1 => opened = true,
            b')' if opened && group > 0 => {}
            b' ' | b'-' | b'.' if count > 0 && separates(text, at) => {
                groups = groups << 4 | group.min(15);
                group = 0;
            }
            _ => break,
        }
    }
    groups = groups << 4 | group.min(15);
    let digits = digits.get(..count).unwrap_or_default();
    if text.get(length).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_') {
        return (None, length);
    }
    let separators = text.get(..length).unwrap_or_default();
    let plus = text.first() == Some(&b'+');
    let number = if !plus && !opened && is_card(digits, groups) {
        Some(Number::Card)
    } else if groups == 0x324
        && separators.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
        && is_social(digits)
    {
        Some(Number::SocialSecurity)
    } else if is_phone(digits, groups, plus, opened) {
        Some(Number::Phone)
    } else {
        None
    };
    (number, length)
}

/// Whether the byte at `at` stands between two groups of digits.
fn separates(text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| text.get(before));
    before.is_some_and(|byte| byte.is_ascii_digit() || *byte == b')')
        && text.get(at + 1).is_some_and(u8::is_ascii_digit)
}

/// 13 to 19 digits with the first digits of a card scheme and a right checksum, together or in the groups cards have.
fn is_card(digits: &[u8], groups: u64) -> bool {
    let grouped = matches!(groups, 0xd | 0xe | 0xf | 0x4444 | 0x465 | 0x4_4443 | 0x4_4441);
    if !grouped || !(13..=19).contains(&digits.len()) {
        return false;
    }
    let prefix = digits.iter().take(4).fold(0_u32, |value, digit| value * 10 + u32::from(*digit));
    let scheme = matches!(prefix, 2221..=2720 | 3400..=3499 | 3528..=3589 | 3700..=3799 | 3000..=3059 | 3600..=3699 | 3800..=3999)
        || matches!(prefix, 4000..=5999 | 6011 | 6200..=6299 | 6440..=6599 | 6759 | 6761..=6763);
    let varied = digits.iter().any(|digit| Some(digit) != digits.first());
    scheme && varied && luhn(digits)
}

/// The checksum of ISO/IEC 7812-1.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, double)| match (u32::from(*digit), double) {
            (digit, false) => digit,
            (digit, true) if digit > 4 => digit * 2 - 9,
            (digit, true) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Area, group and serial numbers that were never given out are none.
fn is_social(digits: &[u8]) -> bool {
    let part =
        |from: usize, to: usize| digits.iter().take(to).skip(from).fold(0_u32, |v, digit| v * 10 + u32::from(*digit));
    let (area, group, serial) = (part(0, 3), part(3, 5), part(5, 9));
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

fn is_phone(digits: &[u8], groups: u64, plus: bool, opened: bool) -> bool {
    match (plus, opened) {
        (true, _) => (8..=15).contains(&digits.len()),
        (false, true) => digits.len() == 10,
        (false, false) => digits.len() == 10 && groups == 0x334 && digits.first().is_some_and(|digit| *digit > 1),
    }
}

/// Whether `text` begins with an IBAN: country, length and checksum (ISO 13616, ISO 7064 mod 97).
pub(super) fn is_iban(text: &[u8]) -> bool {
    let [a, b, c, d, ..] = text else { return false };
    if !(a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit()) {
        return false;
    }
    let Some(wanted) = iban_length([*a, *b]) else { return false };
    let mut characters = [0_u8; 34];
    let mut count = 0;
    let mut length = 0;
    for (at, byte) in text.iter().enumerate() {
        if byte.is_ascii_alphanumeric() && count < wanted {
            let Some(place) = characters.get_mut(count) else { return false };
            *place = byte.to_ascii_uppercase();
            count += 1;
            length = at + 1;
        } else if *byte != b' ' || count == wanted || text.get(at.wrapping_sub(1)) == Some(&b' ') {
            break;
        }
    }
    let ends = text.get(length).is_none_or(|next| !next.is_ascii_alphanumeric());
    let characters = characters.get(..count).unwrap_or_default();
    let (head, tail) = characters.split_at(count.min(4));
    ends && count == wanted && mod_97(tail.iter().chain(head)) == 1
}

fn iban_length(country: [u8; 2]) -> Option<usize> {
    let entry = IBAN_LENGTHS.as_bytes().chunks_exact(4).find(|entry| entry.starts_with(&country))?;
    std::str::from_utf8(entry.get(2..)?).ok()?.parse().ok()
}

/// Letters count as two digits, `A` as 10.
fn mod_97<'a>(characters: impl Iterator<Item = &'a u8>) -> u32 {
    characters.fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase().wrapping_sub(b'A')) + 10) % 97,
    })
}
