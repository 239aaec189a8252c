//! `ListObjectsV2`: what is asked, and the few elements of the answer that are needed.

/// One page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) names: Vec<String>,
    /// What the next page is asked for with; `None`: this was the last.
    pub(super) next: Option<String>,
}

impl Page {
    /// The query of a page, in the order and encoding in which it is signed.
    pub(super) fn query(prefix: &str, folders: bool, token: Option<&str>) -> String {
        let token = token.map(|token| format!("continuation-token={}&", encoded(token))).unwrap_or_default();
        let delimiter = if folders { "delimiter=%2F&" } else { "" };
        format!("{token}{delimiter}list-type=2&prefix={}", encoded(prefix))
    }

    /// Reads an answer: the names of objects, or of folders.
    pub(super) fn read(text: &str, folders: bool) -> Self {
        let (outer, inner) = if folders { ("CommonPrefixes", "Prefix") } else { ("Contents", "Key") };
        let names = elements(text, outer).filter_map(|found| elements(found, inner).next()).map(plain).collect();
        let truncated = elements(text, "IsTruncated").next() == Some("true");
        let next = elements(text, "NextContinuationToken").next().filter(|_| truncated).map(plain);
        Self { names, next }
    }
}

/// The contents of all elements of a name. Nothing in this answer is nested in itself, and none has attributes.
fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let (content, after) = after.split_once(&end)?;
        rest = after;
        Some(content)
    })
}

fn plain(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

/// Everything but unreserved characters behind percent signs, as signatures want it.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of the answers in the S3 reference.
    #[test]
    fn reads_pages_of_objects_and_of_folders() {
        let text = "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><Prefix>a/</Prefix>\
            <NextContinuationToken>1+/=</NextContinuationToken><IsTruncated>true</IsTruncated>\
            <Contents><Key>a/x&amp;y</Key><Size>1</Size></Contents><Contents><Key>a/z</Key></Contents>\
            <CommonPrefixes><Prefix>a/one/</Prefix></CommonPrefixes></ListBucketResult>";
        let page = Page::read(text, false);
        assert_eq!((page.names, page.next.as_deref()), (vec!["a/x&y".to_owned(), "a/z".to_owned()], Some("1+/=")));
        assert_eq!(Page::read(text, true).names, ["a/one/"]);
        let last = text.replace(">true<", ">false<");
        assert_eq!(Page::read(&last, false).next, None);
        let query = Page::query("a b/", true, Some("1+/="));
        assert_eq!(query, "continuation-token=1%2B%2F%3D&delimiter=%2F&list-type=2&prefix=a%20b%2F");
    }
}
