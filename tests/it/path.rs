//! On ALLOW, bytes in are bytes out.

use sha2::{Digest, Sha256};

use crate::harness::{ALLOW_ALL, Stand, outcomes};

/// Messages that re-serialising proxies change.
const CORPUS: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":1e2,"b":1.0,"c":0.1000,"d":12345678901234567890123}}}"#,
    r#"{"params":{"arguments":{"z":1,"a":{"y":2,"b":3}},"name":"echo","future":[1,2]},"method":"tools/call","id":"x\u00e9","jsonrpc":"2.0"}"#,
    "{ \"jsonrpc\" : \"2.0\" , \"id\" : 2 ,\r\n\t\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{ \"s\":\"\\u0041\\ud83d\\ude00\\/\" } } }",
    r#"{"jsonrpc":"2.0","id":-7,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"progressToken":7,"vendor/x":null}}}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo"}}"#,
    "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"e\":\"é中\u{1f600}\"}}}",
];

#[tokio::test]
async fn allowed_bytes_arrive_untouched() {
    let stand = Stand::start(ALLOW_ALL).await;
    for message in CORPUS {
        let (status, _, _) = stand.post(message.as_bytes()).await;
        assert_eq!(status, 200, "{message}");
        let arrived = stand.server.calls().pop().expect("the call arrived").body;
        assert_eq!(Sha256::digest(&arrived), Sha256::digest(message.as_bytes()), "{message}");
    }
    let (entries, _folder) = stand.stop().await;
    assert_eq!(outcomes(&entries).len(), CORPUS.len());
}

#[tokio::test]
async fn only_the_action_header_is_added() {
    let stand = Stand::start(ALLOW_ALL).await;
    let message = CORPUS[0];
    stand.post_with(&[("x-custom", "1"), ("cookie", "a=b")], message).await;
    let arrived = stand.server.calls().pop().expect("the call arrived");
    let mut names: Vec<&str> = arrived.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-length", "content-type", "countersign-action", "host", "x-custom"]);
    let (entries, _folder) = stand.stop().await;
    let action = arrived.headers["countersign-action"].to_str().unwrap();
    assert!(outcomes(&entries).iter().any(|outcome| outcome["action"]["action_id"] == action));
}
