//! Detectors: one pass over a result as running text.
//!
//! A number counts only where a checksum or a fixed form confirms it, a word only where it names a value, so that
//! ordinary business text stays what it is. They find what is written plainly. Who wants to hide data from them can:
//! that is what operator labels are for.

use std::sync::Arc;

use super::numbers::{self, Number};
use super::tools::check_label;
use super::{ClassificationError, Config, Label, Labels, names};
use crate::model::DataLevel;
use crate::record::redact;

/// The detectors of a configuration.
#[derive(Debug)]
pub struct Detectors {
    levels: [DataLevel; Label::ALL.len()],
    custom: Vec<Custom>,
}

#[derive(Debug)]
struct Custom {
    label: Arc<str>,
    level: DataLevel,
    pattern: regex::Regex,
}

/// Bytes of one compiled pattern: enough for lists of a few hundred words.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Words about health that must stand together before running text counts as PHI.
const HEALTH_WORDS_MIN: u32 = 2;

impl Detectors {
    /// Compiles the detectors.
    ///
    /// # Errors
    /// [`ClassificationError`]: a pattern or a label that cannot be used.
    pub fn new(config: &Config) -> Result<Self, ClassificationError> {
        config
            .levels
            .keys()
            .chain(config.custom.iter().map(|custom| &custom.label))
            .try_for_each(|label| check_label(label))?;
        let level = |label: Label| config.levels.get(label.as_str()).copied().unwrap_or(label.level());
        let custom = config.custom.iter().map(|custom| {
            let compiled = regex::RegexBuilder::new(&custom.pattern).size_limit(PATTERN_BYTES_MAX).build();
            let pattern = compiled.map_err(|source| ClassificationError::Pattern {
                label: custom.label.clone(),
                source: Box::new(source),
            })?;
            let level = config.levels.get(&custom.label).copied().unwrap_or(custom.level);
            Ok(Custom { label: custom.label.as_str().into(), level, pattern })
        });
        Ok(Self { levels: Label::ALL.map(level), custom: custom.collect::<Result<_, _>>()? })
    }

    /// Labels of everything that is found in `text`.
    #[must_use]
    pub fn find(&self, text: &str) -> Labels {
        let mut labels = Labels::default();
        Scan { text, bytes: text.as_bytes(), labels: &mut labels, health: 0 }.run();
        for kind in redact::kinds(text) {
            labels.add(if kind == "high_entropy" { Label::Secret } else { Label::Credential });
        }
        labels.custom =
            (0..).zip(&self.custom).filter(|(_, one)| one.pattern.is_match(text)).map(|(at, _)| at).collect();
        labels
    }

    /// The highest level that comes with `labels`; `None` without any.
    #[must_use]
    pub fn level(&self, labels: &Labels) -> Option<DataLevel> {
        let known =
            Label::ALL.into_iter().zip(self.levels).filter(|(label, _)| labels.has(*label)).map(|(_, level)| level);
        let custom = labels.custom.iter().filter_map(|at| self.custom.get(*at)).map(|custom| custom.level);
        known.chain(custom).max()
    }

    pub(super) fn custom_label(&self, at: usize) -> Option<Arc<str>> {
        self.custom.get(at).map(|custom| Arc::clone(&custom.label))
    }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    labels: &'a mut Labels,
    /// Different words about health so far, one bit each.
    health: u32,
}

impl Scan<'_> {
    fn run(mut self) {
        let mut at = 0;
        let mut before = b' ';
        while let Some(&byte) = self.bytes.get(at) {
            let begins = !before.is_ascii_alphanumeric();
            let end = match byte {
                b'0'..=b'9' | b'+' | b'(' if begins => self.number(at),
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(at),
                b'@' => self.mail(at),
                _ => at + 1,
            };
            before = self.bytes.get(end.wrapping_sub(1)).copied().unwrap_or(b' ');
            at = end;
        }
        if self.health.count_ones() >= HEALTH_WORDS_MIN {
            self.labels.add(Label::Phi);
        }
    }

    /// Reads what may be a number of something; returns where reading goes on.
    fn number(&mut self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let (number, length) = numbers::read(rest);
        match number {
            Some(Number::Card) => self.labels.add(Label::Pci),
            Some(Number::Phone | Number::SocialSecurity) => self.labels.add(Label::Pii),
            None => {}
        }
        at + length.max(1)
    }

    /// Reads a word: a name with a value behind it, a word about health, the start of an IBAN.
    fn word(&mut self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count();
        let word = rest.get(..length).unwrap_or_default();
        if let Some(bit) = names::health_word(word) {
            self.health |= 1 << bit;
        }
        if numbers::is_iban(rest) {
            self.labels.add(Label::Financial);
        }
        // Most words name nothing: whether a value follows is told by the next bytes, what the name means is looked up.
        if has_value(rest.get(length..).unwrap_or_default())
            && let Some(label) = names::label(word)
        {
            self.labels.add(label);
        }
        at + length.max(1)
    }

    /// Whether an address stands around the `@` at `at`.
    fn mail(&mut self, at: usize) -> usize {
        let local = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-' | b'%');
        let has_local = at.checked_sub(1).and_then(|before| self.bytes.get(before)).is_some_and(local);
        let rest = self.text.get(at + 1..).unwrap_or_default();
        let length =
            rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')).count();
        let domain = rest.get(..length).unwrap_or_default().trim_end_matches(['.', '-']);
        let has_domain = domain.rsplit_once('.').is_some_and(|(host, top)| {
            !host.is_empty() && top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic())
        });
        if has_local && has_domain {
            self.labels.add(Label::Pii);
        }
        at + 1
    }
}

/// Whether a value follows a name: behind quotes and their escapes, `:` or `=`, and then something that is a value.
fn has_value(rest: &[u8]) -> bool {
    let quotes = rest.iter().take_while(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b' ')).count();
    let Some((b':' | b'=', behind)) = rest.get(quotes..).and_then(<[u8]>::split_first) else { return false };
    let value = behind.trim_ascii_start();
    let quotes = value.iter().take_while(|byte| matches!(byte, b'"' | b'\'' | b'\\')).count();
    let value = value.get(quotes..).unwrap_or_default();
    let empty = value.first().is_none_or(|byte| matches!(byte, b',' | b'}' | b']' | b'\n'));
    !empty && !value.starts_with(b"null") && !value.starts_with(b"None")
}
