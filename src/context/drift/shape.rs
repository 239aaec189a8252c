//! What a value looks like, and what its argument is for.

use super::passage::place;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Shape {
    /// An account, a card, a wallet: one word of letters and many digits.
    Account,
    /// A date or a time.
    Date,
    /// An e-mail address.
    Mail,
    /// A number.
    Number,
    /// A web address, with or without a scheme.
    Link,
    /// A path in a file system, or `owner/name`.
    Path,
    /// Anything else.
    Words,
}

impl Shape {
    /// Addresses something by itself, whatever its argument is called.
    pub(super) const fn is_address(self) -> bool {
        matches!(self, Self::Account | Self::Link | Self::Mail)
    }

    /// A quick look at one word that never says no wrongly: most words of a text are plain.
    pub(super) fn may_be_address(word: &str) -> bool {
        let marked = word.bytes().any(|byte| matches!(byte, b'@' | b'.' | b':'));
        marked || word.bytes().filter(u8::is_ascii_digit).count() >= ACCOUNT_DIGITS_MIN
    }

    pub(super) fn of(text: &str) -> Self {
        let text = text.trim();
        if text.contains(char::is_whitespace) {
            return if is_date(text) { Self::Date } else { Self::Words };
        }
        if text.parse::<f64>().is_ok() && text.len() < 9 {
            return Self::Number;
        }
        if is_date(text) {
            return Self::Date;
        }
        if is_mail(text) {
            return Self::Mail;
        }
        if is_link(text) {
            return Self::Link;
        }
        if text.contains('/') || text.contains('\\') {
            return Self::Path;
        }
        if is_account(text) {
            return Self::Account;
        }
        Self::Words
    }
}

fn is_date(text: &str) -> bool {
    let marks = text.bytes().filter(|b| b"-:/.".contains(b)).count();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let other = text.bytes().filter(|b| !b"-:/.+ TZ".contains(b) && !b.is_ascii_digit()).count();
    text.len() <= 35
        && marks >= 1
        && digits >= 3
        && other == 0
        && !text.starts_with('+')
        && text.parse::<f64>().is_err()
}

fn is_mail(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty() && host.contains('.') && !host.contains('@') && !host.ends_with('.')
    })
}

/// Endings of names of files, which are not places on the web.
const FILES: &[&str] = &[
    "txt", "pdf", "doc", "docx", "xls", "xlsx", "csv", "md", "json", "yaml", "yml", "xml", "html", "htm", "png", "jpg",
    "jpeg", "gif", "zip", "tar", "gz", "py", "rs", "js", "ts", "java", "cpp", "sh", "log", "ppt", "pptx", "toml",
    "ini", "bin", "exe", "mp3", "mp4",
];

fn is_link(text: &str) -> bool {
    if let Some((scheme, rest)) = text.split_once("://") {
        return !scheme.is_empty()
            && scheme.len() <= 10
            && scheme.bytes().all(|b| b.is_ascii_alphabetic())
            && !rest.is_empty();
    }
    if text.starts_with("www.") {
        return true;
    }
    let host = host(text);
    let labels: Vec<&str> = host.split('.').collect();
    let Some(last) = labels.last() else { return false };
    labels.len() >= 2
        && !text.starts_with(['/', '.', '~'])
        && labels.iter().all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
        && (2..=10).contains(&last.len())
        && last.bytes().all(|b| b.is_ascii_lowercase())
        && (!FILES.contains(last) || text.contains('/') && labels.len() > 2)
        && (text.contains('/') || !FILES.contains(last))
}

/// The host of a link, without port and `www`.
pub(super) fn host(link: &str) -> &str {
    let bare = place(link);
    let end = bare.find(['/', '?', '#', ':']).unwrap_or(bare.len());
    bare.get(..end).unwrap_or(bare)
}

/// Fewer digits are no account.
const ACCOUNT_DIGITS_MIN: usize = 6;

fn is_account(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    plain && (8..=64).contains(&text.len()) && digits >= ACCOUNT_DIGITS_MIN && (letters > 0 || digits >= 9)
}

/// What an argument is for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A quantity, an option, a time: says how, not where.
    Manner,
    /// What is written, sent or asked.
    Content,
    /// A secret that is handed over.
    Secret,
    /// Whom or what the action is about.
    Target,
}

const CONTENT: &str = " body content contents text message msg description comment comments note notes title subject summary caption html markdown prompt query q search keyword keywords question reason reasons instruction instructions label bio about thought thoughts feedback review answer reply data values input inputs expression code sql script command ";
const MANNER: &str = " date time day month year timestamp deadline due duration when timezone start end begin from until since before after amount price quantity qty count limit n num size rating stars min max page offset budget total sum percentage percent rate number_of passengers guests people nights type kind mode format status language lang currency category class recurring sort order unit method level priority all cabin verbose recursive force flag option options enabled flight_type insurance payment_methods adults children ";
const SECRET: &str = " password passwd passphrase otp pin passcode secret token mfa ";

impl Purpose {
    /// By the words of the argument's name: `start_time`, `recipientEmail`.
    pub(super) fn of(name: &str) -> Self {
        let mut words = Vec::new();
        split_name(name, &mut words);
        let has = |list: &str| words.iter().any(|word| list.contains(&format!(" {word} ")));
        let last_in = |list: &str| words.last().is_some_and(|word| list.contains(&format!(" {word} ")));
        if has(SECRET) {
            Self::Secret
        } else if last_in(CONTENT) {
            Self::Content
        } else if last_in(MANNER) || (has(" time date amount price ") && !has(" id to ")) {
            Self::Manner
        } else {
            Self::Target
        }
    }
}

/// `sendEmail`, `send_email`, `send-email2` to `send`, `email`.
pub(super) fn split_name(name: &str, words: &mut Vec<String>) {
    let mut word = String::new();
    let mut lower = false;
    for c in name.chars() {
        let boundary = !c.is_alphabetic() || (c.is_uppercase() && lower);
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
        } else if c.is_ascii_digit() && words.last().is_some_and(|last| last == "n") {
            word.push(c);
        }
        lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
}
