//! AWS Signature Version 4 of a request with all its headers ("Authenticating Requests (AWS Signature Version 4)").

use aws_lc_rs::hmac;
use reqwest::header::{AUTHORIZATION, HOST, HeaderValue};
use reqwest::{Request, Url};
use sha2::{Digest as _, Sha256};

use super::source::Keys;
use crate::model::Timestamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs requests to one service.
pub(in super::super) struct Signer<'a> {
    pub(in super::super) keys: &'a Keys,
    pub(in super::super) region: &'a str,
    pub(in super::super) service: &'a str,
    pub(in super::super) now: Timestamp,
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}

/// A path as it is signed: everything but unreserved characters and slashes is encoded, once.
fn path(url: &Url) -> String {
    // What the URL type leaves as it is, and signatures want encoded.
    let mut out = String::new();
    for byte in url.path().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'%' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Signer<'_> {
    /// Adds time, content hash and signature. `body_hash`: SHA-256 of the body.
    ///
    /// # Errors
    /// A sentence: a header cannot be written.
    pub(in super::super) fn sign(&self, request: &mut Request, body_hash: &[u8; 32]) -> Result<(), String> {
        // 2026-11-20T10:00:00.000Z without its punctuation and fraction.
        let time = self.now.to_rfc3339_millis();
        let time: String = time.split('.').next().unwrap_or_default().replace(['-', ':'], "") + "Z";
        let body_hash = hexadecimal(body_hash);
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "a credential cannot be sent as a header");
        let url = request.url().clone();
        let host = url.host_str().ok_or("the address has no host")?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let headers = request.headers_mut();
        headers.insert(HOST, value(&host)?);
        headers.insert("x-amz-date", value(&time)?);
        headers.insert("x-amz-content-sha256", value(&body_hash)?);
        if let Some(token) = &self.keys.session_token {
            let mut token = value(token.expose())?;
            token.set_sensitive(true);
            headers.insert("x-amz-security-token", token);
        }
        let mut signed: Vec<(&str, &str)> = Vec::new();
        for (name, value) in &*headers {
            signed.push((name.as_str(), value.to_str().map_err(|_| "a header is not text")?.trim()));
        }
        signed.sort_unstable();
        let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{body_hash}",
            request.method(),
            path(&url),
            url.query().unwrap_or_default()
        );
        let (day, _) = time.split_once('T').ok_or("no time")?;
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let hashed = hexadecimal(&Sha256::digest(canonical.as_bytes()));
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{hashed}");
        let mut key = hmac(format!("AWS4{}", self.keys.secret_access_key.expose()).as_bytes(), day);
        for part in [self.region, self.service, "aws4_request"] {
            key = hmac(key.as_ref(), part);
        }
        let signature = hexadecimal(hmac(key.as_ref(), &text).as_ref());
        let id = &self.keys.access_key_id;
        let authorization =
            value(&format!("{ALGORITHM} Credential={id}/{scope},SignedHeaders={names},Signature={signature}"))?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Secret;

    fn signature(mut request: Request, body: &[u8]) -> String {
        let keys = Keys {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            expires: None,
        };
        let now = Timestamp::parse("2013-05-24T00:00:00Z").unwrap();
        let signer = Signer { keys: &keys, region: "us-east-1", service: "s3", now };
        signer.sign(&mut request, &Sha256::digest(body).into()).unwrap();
        let header = request.headers()[AUTHORIZATION].to_str().unwrap().to_owned();
        header.split("Signature=").nth(1).unwrap().to_owned()
    }

    /// The examples of the S3 documentation.
    #[test]
    fn signs_as_the_documentation_does() {
        let client = reqwest::Client::new();
        let get = client.get("https://examplebucket.s3.amazonaws.com/test.txt").header("range", "bytes=0-9");
        let wanted = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert_eq!(signature(get.build().unwrap(), b""), wanted);
        let put = client
            .put("https://examplebucket.s3.amazonaws.com/test$file.text")
            .header("date", "Fri, 24 May 2013 00:00:00 GMT")
            .header("x-amz-storage-class", "REDUCED_REDUNDANCY");
        let wanted = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        assert_eq!(signature(put.build().unwrap(), b"Welcome to Amazon S3."), wanted);
    }
}
