//! A receiver's side of AWS Signature Version 4, written from its documentation and not from the signer.

use aws_lc_rs::hmac;
use sha2::{Digest, Sha256};

use crate::harness::Received;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// A path as it is signed: all but unreserved characters, slashes and what is encoded already.
fn encoded(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
    path.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Whether a request is signed with this key for this service, all of its `x-amz-` headers and its body included.
pub(super) fn is_signed(request: &Received, id: &str, secret: &str, service: &str) -> bool {
    let header = |name: &str| request.headers[name].to_str().unwrap();
    let fields = header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
    let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)).unwrap();
    let (credential, names, signature) = (field("Credential="), field("SignedHeaders="), field("Signature="));
    let scope: Vec<&str> = credential.split('/').collect();
    let [key_id, day, region, for_service, "aws4_request"] = scope[..] else { return false };
    let signed: Vec<&str> = names.split(';').collect();
    let is_covered = |name: &str| !name.starts_with("x-amz-") || signed.contains(&name);
    let whole = request.headers.keys().all(|name| is_covered(name.as_str())) && signed.contains(&"host");
    if !whole || key_id != id || for_service != service || !header("x-amz-date").starts_with(day) {
        return false;
    }
    let body = hex(Sha256::digest(&request.body));
    let (path, query) = header("x-path").split_once('?').unwrap_or((header("x-path"), ""));
    let lines: String = signed.iter().map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let canonical = format!("{}\n{}\n{query}\n{lines}\n{names}\n{body}", request.method, encoded(path));
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{day}/{region}/{service}/aws4_request\n{}",
        header("x-amz-date"),
        hex(Sha256::digest(canonical))
    );
    let key = [region, service, "aws4_request"]
        .iter()
        .fold(mac(format!("AWS4{secret}").as_bytes(), day), |key, part| mac(&key, part));
    hex(mac(&key, &text)) == signature
}
