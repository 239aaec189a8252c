//! Names that say their value is a secret.

/// Letters and digits of a name that are looked at; longer names are judged by their last ones.
const NAME_BYTES_MAX: usize = 64;

/// Parts of a name, without separators, that make its value a secret wherever they stand.
const PARTS: [(&[u8], &str); 13] = [
    (b"password", "password"),
    (b"passwd", "password"),
    (b"passphrase", "password"),
    (b"passcode", "password"),
    (b"secret", "secret"),
    (b"apikey", "api_key"),
    (b"privatekey", "private_key"),
    (b"accesskey", "access_key"),
    (b"signingkey", "private_key"),
    (b"encryptionkey", "private_key"),
    (b"credential", "credential"),
    (b"authorization", "authorization"),
    (b"cookie", "cookie"),
];

/// Endings that do.
const ENDINGS: [(&[u8], &str); 5] =
    [(b"token", "token"), (b"tokens", "token"), (b"pwd", "password"), (b"bearer", "token"), (b"jwt", "token")];

/// Whole names that do, though as parts of others they do not.
const WHOLE: [(&[u8], &str); 6] = [
    (b"auth", "authorization"),
    (b"cvc", "pin"),
    (b"cvv", "pin"),
    (b"otp", "pin"),
    (b"pass", "password"),
    (b"pin", "pin"),
];

/// Endings of names that speak about a secret and do not hold it: `secret_name`, `password_length`, `next_page_token`.
const HARMLESS: [&[u8]; 14] = [
    b"arn",
    b"continuationtoken",
    b"count",
    b"expiresat",
    b"expiresin",
    b"length",
    b"maxtokens",
    b"name",
    b"nexttoken",
    b"pagetoken",
    b"policy",
    b"progresstoken",
    b"secretary",
    b"type",
];

/// Whether a member, header, flag or variable of this name holds a secret, and of which kind. Case and separators do
/// not matter.
#[must_use]
pub fn secret_name(name: &str) -> Option<&'static str> {
    let mut buffer = [0_u8; NAME_BYTES_MAX];
    let mut length = 0;
    let letters = name.bytes().rev().filter(u8::is_ascii_alphanumeric);
    // Filled from the end, so that the buffer reads forwards.
    for (to, from) in buffer.iter_mut().rev().zip(letters) {
        *to = from.to_ascii_lowercase();
        length += 1;
    }
    let plain = buffer.get(NAME_BYTES_MAX - length..).unwrap_or_default();
    if plain.len() < 3 || HARMLESS.iter().any(|ending| plain.ends_with(ending)) {
        return None;
    }
    let whole = WHOLE.iter().find(|(word, _)| *word == plain);
    let ending = || ENDINGS.iter().find(|(word, _)| plain.ends_with(word));
    let part = || PARTS.iter().find(|(word, _)| contains(plain, word));
    whole.or_else(ending).or_else(part).map(|(_, kind)| *kind)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    let Some((first, rest)) = word.split_first() else { return true };
    let starts = text.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.map(|(at, _)| text.get(at + 1..).unwrap_or_default()).any(|tail| tail.starts_with(rest))
}

#[cfg(test)]
mod tests {
    use super::secret_name;

    #[test]
    fn knows_the_names_of_secrets() {
        for (name, kind) in [
            ("password", "password"),
            ("DB_PASSWORD", "password"),
            ("userPassword2", "password"),
            ("X-Api-Key", "api_key"),
            ("apikey", "api_key"),
            ("client.secret", "secret"),
            ("aws_secret_access_key", "secret"),
            ("Set-Cookie", "cookie"),
            ("Proxy-Authorization", "authorization"),
            ("refreshToken", "token"),
            ("--token", "token"),
            ("ssh private key", "private_key"),
            ("pin", "pin"),
        ] {
            assert_eq!(secret_name(name), Some(kind), "{name}");
        }
    }

    #[test]
    fn leaves_other_names() {
        for name in [
            "",
            "id",
            "query",
            "path",
            "key",
            "author",
            "spinner",
            "max_tokens",
            "next_page_token",
            "secretary",
            "secret_name",
            "token_type",
            "compass",
            "tokenizer",
        ] {
            assert_eq!(secret_name(name), None, "{name}");
        }
    }
}
