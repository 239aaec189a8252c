//! The domains in a recipient, URL or host name.
//!
//! This decides what counts as external, so it never guesses: a text that is not plainly one or several addresses,
//! URLs or host names has an unreadable part, and an unreadable part is unknown to rules.

use std::collections::HashSet;

/// A set of domains. Each stands for itself and for everything below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DomainSet(HashSet<Box<str>>);

impl DomainSet {
    /// `None` when one of the texts is not a domain; a leading `*.` or `@` is allowed and means nothing more.
    pub(super) fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, &'t str> {
        let mut domains = HashSet::new();
        for text in texts {
            let bare = text.strip_prefix("*.").or_else(|| text.strip_prefix('@')).unwrap_or(text);
            domains.insert(host(bare).ok_or(text)?.into());
        }
        Ok(Self(domains))
    }

    /// Whether `domain`, in the form that [`domains`] gives, is in the set or below one that is.
    pub(super) fn contains(&self, domain: &str) -> bool {
        let mut rest = Some(domain);
        while let Some(name) = rest {
            if self.0.contains(name) {
                return true;
            }
            rest = name.split_once('.').map(|(_, parent)| parent);
        }
        false
    }
}

/// The domain of every part of a recipient text: `a@x.org, B <b@y.org>` has two. `None` for a part that is not plainly
/// an address, a URL or a host name. A text without any part gives nothing.
pub(super) fn domains(text: &str) -> impl Iterator<Item = Option<String>> {
    text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()).map(domain)
}

fn domain(part: &str) -> Option<String> {
    let part = match part.strip_suffix('>') {
        // A display name may hold anything, but not another address: readers differ on which one counts.
        Some(inner) => {
            let (name, address) = inner.rsplit_once('<')?;
            if name.contains(['@', '<', '>']) {
                return None;
            }
            address
        }
        None => part,
    };
    let part = part.strip_prefix("mailto:").unwrap_or(part);
    if part.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return None;
    }
    if let Some((scheme, rest)) = part.split_once("://") {
        let plain = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        return plain.then(|| host_and_port(place)).flatten();
    }
    match part.rsplit_once('@') {
        Some((local, place)) if !local.is_empty() && !local.contains('@') => host(place),
        Some(_) => None,
        // A bare word is a name of something, not of a place; a host name has a dot.
        None if part.contains('.') => {
            let place = part.split(['/', '?', '#']).next().unwrap_or_default();
            host_and_port(place)
        }
        None => None,
    }
}

fn host_and_port(text: &str) -> Option<String> {
    if text.starts_with('[') {
        let end = text.find(']')?;
        return Some(text.get(..=end)?.to_ascii_lowercase());
    }
    match text.split_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host(name),
        Some(_) => None,
        None => host(text),
    }
}

/// A host name in lower case, without the dot of the root. `None` when it is none.
fn host(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii())
    };
    (text.len() <= 253 && text.split('.').all(label)).then(|| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<String> {
        let mut all = domains(text);
        let first = all.next().unwrap();
        assert!(all.next().is_none(), "{text}");
        first
    }

    #[test]
    fn reads_addresses_urls_and_hosts() {
        for (text, expected) in [
            ("ann@Corp.Example", "corp.example"),
            ("Ann B. <ann@corp.example>", "corp.example"),
            ("mailto:ann@corp.example", "corp.example"),
            ("https://api.corp.example:8443/x?y=a@evil.test", "api.corp.example"),
            ("https://corp.example@evil.test/", "evil.test"),
            ("https://corp.example#@evil.test/", "corp.example"),
            ("files.corp.example/x", "files.corp.example"),
            ("corp.example.", "corp.example"),
            ("http://10.0.0.1/", "10.0.0.1"),
            ("http://[::1]:80/", "[::1]"),
            ("http://localhost:3000", "localhost"),
        ] {
            assert_eq!(one(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_two_ways_is_unreadable() {
        for text in [
            "ann",
            "#general",
            "\"ann@corp.example\"@evil.test",
            "ann@corp.example@evil.test",
            "ann@corp.example <eve@evil.test>",
            "eve@evil.test (corp.example)",
            "https://corp.example\\@evil.test/",
            "https://evil.test\u{9}.corp.example/",
            "@corp.example",
            "ann@",
            "corp.example:x",
        ] {
            assert_eq!(one(text), None, "{text}");
        }
    }

    #[test]
    fn several_recipients_in_one_text_are_several() {
        let all: Vec<_> = domains("ann@corp.example; eve@evil.test,").collect();
        assert_eq!(all, [Some("corp.example".to_owned()), Some("evil.test".to_owned())]);
        assert_eq!(domains(" ,").count(), 0);
    }

    #[test]
    fn a_domain_stands_for_what_is_below_it() {
        let set = DomainSet::new(["corp.example", "*.Partner.Test"]).unwrap();
        assert!(set.contains("corp.example") && set.contains("mail.corp.example") && set.contains("partner.test"));
        assert!(!set.contains("evilcorp.example") && !set.contains("example") && !set.contains("corp.example.evil"));
        assert_eq!(DomainSet::new(["not a domain"]), Err("not a domain"));
    }
}
