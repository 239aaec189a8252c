//! Messages that two readers could understand differently, and ways around a mediator: refused, or seen for what they
//! are. After each case the server has received nothing that was not decided.

mod answers;
mod bodies;
mod heads;
mod random;

use http::StatusCode;
use serde_json::Value;

use crate::harness::{Stand, decisions};

/// Denies what attacks try to reach, allows the rest.
pub(crate) const GUARDED: &str = "
policy: { id: guarded, version: '1' }
rules:
  - { id: no-delete, match: { operation: delete }, action: DENY, classification: forbidden, reason: 'Nothing is deleted' }
  - { id: rest, match: { method: tools/call, operation: [echo, send, read, pay] }, action: ALLOW }
";

/// A call of a harmless tool.
pub(crate) const ECHO: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;

/// One hostile message: its name, headers, body, and the status and JSON-RPC code of the refusal.
struct Case {
    name: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    refused: (u16, i64),
}

fn case(
    name: &'static str,
    headers: &[(&'static str, &'static str)],
    body: impl Into<Vec<u8>>,
    refused: (u16, i64),
) -> Case {
    Case { name, headers: headers.to_vec(), body: body.into(), refused }
}

/// Sends every case and sees that it is refused as it should be, that nothing arrives, and that the next honest call
/// still works. Then counts arrivals against decisions.
async fn all_are_refused(stand: Stand, cases: Vec<Case>) {
    stand.post(ECHO).await;
    let mut honest = 1;
    for Case { name, headers, body, refused } in cases {
        let before = stand.server.received().len();
        let (status, _, answer) = stand.post_with(&headers, body).await;
        let message: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let code = message["error"]["code"].as_i64().unwrap_or_default();
        assert_eq!((status.as_u16(), code), refused, "{name}: {message}");
        assert_eq!(stand.server.received().len(), before, "{name}: something arrived");
        let (status, _, _) = stand.post(ECHO).await;
        honest += 1;
        assert_eq!((status, stand.server.calls().len()), (StatusCode::OK, honest), "{name}: the next call");
    }
    let (entries, _folder) = stand.stop().await;
    assert_eq!(decisions(&entries).len(), honest);
}
