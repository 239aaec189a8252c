//! Whatever the bytes are, the interceptor answers with a call or a reason, and what it hands on are the bytes that
//! came.

use std::net::SocketAddr;

use bytes::Bytes;
use countersign::intercept::{Arrival, Head, read_mcp};
use countersign::model::json::Limits;
use countersign::model::{ActionId, Timestamp};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// Names that mean something, and others.
fn name() -> impl Strategy<Value = String> {
    let known: &[&str] =
        &["name", "arguments", "_meta", "uri", "taskId", "progressToken", "io.modelcontextprotocol/protocolVersion"];
    prop_oneof![prop::sample::select(known).prop_map(str::to_owned), ".{0,8}"]
}

fn method() -> impl Strategy<Value = String> {
    let known: &[&str] =
        &["tools/call", "prompts/get", "resources/read", "initialize", "ping", "notifications/x", "tasks/get", ""];
    prop_oneof![4 => prop::sample::select(known).prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn message() -> impl Strategy<Value = Value> {
    let id = prop_oneof![3 => any::<i64>().prop_map(Value::from), 1 => ".{0,9}".prop_map(Value::from), 1 => value()];
    let params = prop::option::weighted(
        0.8,
        prop::collection::vec((name(), value()), 0..5).prop_map(|members| Value::Object(Map::from_iter(members))),
    );
    (prop::option::weighted(0.8, id), method(), params, prop::option::weighted(0.2, value())).prop_map(
        |(id, method, params, extra)| {
            let mut message = json!({ "jsonrpc": "2.0" });
            for (member, value) in [("id", id), ("method", Some(method.into())), ("params", params), ("result", extra)]
            {
                if let Some(value) = value {
                    message[member] = value;
                }
            }
            message
        },
    )
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let name =
        prop::sample::select(&["mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id", "accept"][..]);
    let value = prop_oneof![
        prop::sample::select(&["tools/call", "2026-07-28", "2025-11-25", "=?base64?eA==?=", "=?base64??="][..])
            .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(0x20_u8..0xff, 0..12),
    ];
    prop::collection::vec((name, value), 0..5).prop_map(|pairs| {
        let valid = pairs.into_iter().filter_map(|(name, value)| {
            Some((http::HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?))
        });
        HeaderMap::from_iter(valid)
    })
}

fn read(headers: HeaderMap, body: Vec<u8>) -> Result<(), TestCaseError> {
    let head = Head { method: Method::POST, headers, peer: SocketAddr::from(([127, 0, 0, 1], 1)), certificate: None };
    let received = Timestamp::from_micros(1_800_000_000_000_000);
    let arrival = Arrival {
        server: "test".into(),
        action: ActionId::mint(received, [7; 10]),
        received,
        limits: Limits::default(),
    };
    let body = Bytes::from(body);
    match read_mcp(&head, body.clone(), arrival) {
        Ok(call) => {
            prop_assert_eq!(&call.outbound.body, &body);
            if let Some(offset) = call.action.arguments.offset {
                let end = offset + call.action.arguments.text.len();
                prop_assert_eq!(&call.action.arguments.text[..], &body[offset..end]);
            }
        }
        Err((problem, _)) => prop_assert!(!problem.to_string().is_empty()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strict_messages_never_panic_the_interceptor(message in message(), headers in headers()) {
        read(headers, message.to_string().into_bytes())?;
    }

    #[test]
    fn broken_messages_never_panic_the_interceptor(
        message in message(),
        headers in headers(),
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut bytes = message.to_string().into_bytes();
        let at = at.index(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        read(headers, bytes)?;
    }
}
