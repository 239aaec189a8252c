//! Secrets that pass through appear in no file, no log line and no event.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Folder, Received, Server, ordinary, respond};
use crate::instance::{Door, Instance, Key, SMALL_LOG, call_message, predicates};
use crate::sinks;

/// Refuses `delete`, so that secrets in refused calls are looked for too.
const POLICY: &str = "
policy: { id: canaries, version: '1' }
rules:
  - { id: never, match: { operation: [delete] }, action: DENY }
  - { id: else, match: {}, action: ALLOW }
";

/// Secrets of many shapes, none real: what stands in a text, and the part of it that must be found nowhere.
const CANARIES: &[(&str, &str)] = &[
    ("AKIAQ7CANARYX2WVUT5R", "AKIAQ7CANARYX2WVUT5R"),
    ("ghp_cAnArY7e42F292c6912E7710c838347Ae178", "cAnArY7e42F292c6912E7710c838347Ae178"),
    ("sk_live_4eCanary9HqLyjWDarjtT1zdp7", "4eCanary9HqLyjWDarjtT1zdp7"),
    ("sk-proj-CaNaRy7EFGH1234ijklMNOP5678", "CaNaRy7EFGH1234ijklMNOP5678"),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnktNzc4OCJ9.cAnArYgryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8",
        "cAnArYgryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8",
    ),
    (
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICANARYcanary0123456789ABCDEF\n-----END PRIVATE KEY-----",
        "MC4CAQAwBQYDK2VwBCIEICANARYcanary0123456789ABCDEF",
    ),
    ("https://canary:correct-horse-canary@internal.example/path", "correct-horse-canary"),
    ("Authorization: Bearer canary-bearer-90210-abcdef", "canary-bearer-90210-abcdef"),
    ("password=canary-assigned-42", "canary-assigned-42"),
];

/// Secrets that only the name of their member gives away.
const NAMED: &[(&str, &str)] = &[
    ("password", "canary horse battery"),
    ("client_secret", "canary-plain-words"),
    ("api_key", "canary-short"),
    ("X-Auth-Token", "canary-token-name"),
];

/// Secrets in headers of agents.
const HEADERS: &[(&str, &str)] = &[
    ("x-api-key", "canary-header-1"),
    ("cookie", "session=canary-header-2"),
    ("proxy-authorization", "Basic Y2FuYXJ5LWhlYWRlci0z"),
    ("x-custom", "ghp_cAnArYheader292c6912E7710c838347Ae17"),
    ("mcp-param-token", "canary-header-5"),
];

fn needles() -> Vec<String> {
    let mut needles: Vec<String> = CANARIES.iter().chain(NAMED).map(|(_, secret)| (*secret).to_owned()).collect();
    needles
        .extend(["canary-header-1", "canary-header-2", "Y2FuYXJ5LWhlYWRlci0z", "canary-header-5"].map(str::to_owned));
    needles.extend(
        ["cAnArYheader292c6912E7710c838347Ae17", "canary-bad-key-31337", "canary-upstream-cred"].map(str::to_owned),
    );
    needles
}

/// Puts the secrets that the arguments ask for into results, errors and texts of errors.
fn leaky(request: &Received) -> http::Response<countersign::net::Body> {
    let message = request.json();
    let all: String = CANARIES.iter().map(|(text, _)| format!("here is {text} \n")).collect();
    let named: String = NAMED.iter().map(|(name, secret)| format!("{name}=\"{secret}\"; ")).collect();
    let text = format!("{all}{named}");
    let answer = match message["params"]["name"].as_str() {
        Some("read") => json!({ "result": { "content": [{ "type": "text", "text": text }], "isError": false } }),
        Some("send") => json!({ "result": { "content": [{ "type": "text", "text": text }], "isError": true } }),
        Some("pay") => json!({ "error": { "code": -32_000, "message": text } }),
        _ => return ordinary(request),
    };
    let mut answer = answer;
    answer["jsonrpc"] = "2.0".into();
    answer["id"] = message["id"].clone();
    respond(StatusCode::OK, &answer.to_string())
}

async fn send_secrets(door: &Door) {
    let mut arguments = json!({ "list": [], "n": 1 });
    for (position, (text, _)) in CANARIES.iter().enumerate() {
        arguments["list"].as_array_mut().unwrap().push(format!("use {text} now").into());
        arguments[format!("field{position}")] = (*text).into();
    }
    for (name, secret) in NAMED {
        arguments[*name] = (*secret).into();
        arguments["inner"][*name] = json!([{ "deep": secret }]);
    }
    arguments["json"] = arguments.to_string().into();
    for (position, (text, _)) in CANARIES.iter().enumerate().take(4) {
        let hexadecimal: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        arguments[format!("disguised{position}")] = json!([BASE64_STANDARD.encode(text), hexadecimal, percent]);
    }
    for tool in ["echo", "delete", "read", "send", "pay", "unlisted"] {
        let answer = door.post("/mcp/test", HEADERS, &call_message(7, tool, &arguments)).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK, "{tool}");
    }
    // In places where an error message might repeat them.
    let (secret, named) = (CANARIES[1].0, NAMED[0].1);
    for body in [
        call_message(8, secret, &json!({})),
        format!(r#"{{"jsonrpc":"2.0","id":"{secret}","method":"{secret}","params":{{}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","{secret}":1}}"#),
        format!(r#"{{"password":"{named}","password":"{named}"}}"#),
        format!(r#"{{"password":"{named}""#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{{"uri":"{}"}}}}"#, CANARIES[6].0),
    ] {
        door.post("/mcp/test", &[], &body).await.expect("an answer");
    }
    for bad in ["Bearer canary-bad-key-31337", &format!("Bearer {}", CANARIES[4].0), &format!("Basic {secret}")] {
        let answer = door.post("/mcp/test", &[("authorization", bad)], &call_message(9, "echo", &json!({}))).await;
        assert_eq!(answer.expect("an answer").status, StatusCode::UNAUTHORIZED);
    }
}

/// Whether bytes hold one of the needles: as they are, or inside base64 or hexadecimal at any place.
fn leak(bytes: &[u8], needles: &[String]) -> Option<String> {
    let holds = |bytes: &[u8], needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    if let Some(found) = needles.iter().find(|needle| holds(bytes, needle)) {
        return Some(found.clone());
    }
    let in_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    for run in bytes.split(|byte| !in_base64(byte)).filter(|run| run.len() >= 24) {
        // A run need not begin where the encoding did.
        for shift in 0..4 {
            let part = &run[shift..];
            let part = &part[..part.len() / 4 * 4];
            let decoded = BASE64_STANDARD.decode(part).unwrap_or_default();
            let found = needles.iter().find(|needle| holds(&decoded, needle));
            if let Some(found) = found {
                return Some(format!("{found}, in base64"));
            }
        }
    }
    let plain = percent_decoded(bytes);
    if plain.len() < bytes.len()
        && let Some(found) = needles.iter().find(|needle| holds(&plain, needle))
    {
        return Some(format!("{found}, behind percent signs"));
    }
    let hex: Vec<String> = needles.iter().map(|n| n.bytes().map(|byte| format!("{byte:02x}")).collect()).collect();
    hex.into_iter().find(|needle| holds(bytes, needle)).map(|needle| format!("{needle}, hexadecimal"))
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let (mut read, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let value = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        read.push(value.unwrap_or(bytes[at]));
        at += if value.is_some() { 3 } else { 1 };
    }
    read
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn the_search_finds_what_is_hidden() {
    let needles = needles();
    for needle in &needles {
        for before in ["", "a", "ab", "abc"] {
            let encoded = BASE64_STANDARD.encode(format!("{before}{needle} and more"));
            assert!(leak(format!("x\"{encoded}\"").as_bytes(), &needles).is_some(), "{needle}");
        }
        assert!(leak(format!("..{needle}..").as_bytes(), &needles).is_some());
        let percent: String = needle.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert!(leak(format!("?q={percent}&").as_bytes(), &needles).is_some());
    }
    assert_eq!(leak(b"an innocent text, however long it may become, without any of them", &needles), None);
}

/// A file for each of the other schemas.
const EVERY_SCHEMA: &str = ", { type: file, name: ocsf, schema: ocsf, path: ocsf.jsonl }, \
    { type: file, name: aos, schema: { name: ocsf, version: '1.8', dialect: aos }, path: aos.jsonl }, \
    { type: file, name: cef, schema: cef, path: events.cef }, { type: file, name: ecs, schema: ecs, path: ecs.jsonl }, \
    { type: file, name: cim, schema: cim, path: cim.jsonl }, { type: file, name: otel, schema: otel, path: otel.jsonl }";

/// Takes whatever any destination that speaks HTTP sends, or does not: what counts is that the bytes came.
fn sink(_request: &Received) -> http::Response<countersign::net::Body> {
    const ANSWER: &str = r#"{"code":0,"text":"Success","access_token":"t","expires_in":"3600","items":[]}"#;
    respond(StatusCode::OK, ANSWER)
}

/// Every destination that speaks HTTP, in the clear.
fn every_destination(folder: &Folder, sink: &Server) -> String {
    let (at, folder) = (sink.address, folder.0.display());
    let plain = "compression: none, delivery: { linger_ms: 20, retry_base_ms: 5, retry_cap_ms: 50 }";
    format!(
        ", {{ type: webhook, url: 'http://{at}/webhook', {plain} }}, \
         {{ type: splunk_hec, url: 'http://{at}/splunk', token: {{ file: '{folder}/own' }}, {plain} }}, \
         {{ type: elasticsearch, url: 'http://{at}/elastic', {plain} }}, \
         {{ type: logstash, url: 'http://{at}/logstash', {plain} }}, \
         {{ type: otlp, url: 'http://{at}/otlp', {plain} }}, \
         {{ type: otlp, name: json, protocol: http/json, url: 'http://{at}/json', {plain} }}, \
         {{ type: s3, bucket: s3, endpoint: 'http://{at}', credentials: {{ access_key_id: {{ file: '{folder}/own' }}, \
         secret_access_key: {{ file: '{folder}/own' }} }}, {plain} }}, \
         {{ type: sentinel, endpoint: 'http://{at}', rule_id: dcr-1, stream: Custom-A_CL, \
         auth: {{ type: managed_identity, authority: 'http://{at}/token' }}, {plain} }}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_written_nowhere() {
    let (folder, key, server) = (Folder::new(), Key::new(), Server::start(leaky).await);
    let (collector, sinks) = (Server::start(sink).await, sinks::all().await);
    std::fs::write(folder.0.join("own"), "our-own-word").unwrap();
    let mut destinations = every_destination(&folder, &collector);
    sinks.iter().for_each(|sink| destinations.push_str(&format!(", {}", sink.exporter)));
    std::fs::write(folder.0.join("policy.yaml"), POLICY).unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: data\npolicies: [policy.yaml]\n{}\
         record: {SMALL_LOG}\ntelemetry: {{ exporters: [ {{ type: stdout }}, {{ type: file, path: events.jsonl }}{EVERY_SCHEMA}{destinations} ] }}\n\
         servers: {{ test: {{ url: 'http://{}/mcp', credentials: [ {{ header: X-Upstream, secret: {{ env: CANARY }} }} ] }} }}\n",
        key.identity(),
        server.address,
    );
    std::fs::write(folder.0.join("countersign.yaml"), config).unwrap();
    let variables = [("RUST_LOG", "debug"), ("CANARY", "canary-upstream-cred")];
    let mut instance = Instance::spawn(&folder.0, &["run", "-c", "countersign.yaml"], &variables);
    let door = instance.door(&key.secret).await.expect("it starts");
    door.until_ready_is(StatusCode::OK).await;
    send_secrets(&door).await;
    assert_eq!(server.calls().len(), 4, "echo, read, send and pay are forwarded");
    assert!(server.calls()[0].body.windows(9).any(|window| window == b"AKIAQ7CAN"), "servers get what agents send");
    let (status, mut output) = instance.terminate().await;
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.contains("DEBUG"), "nothing was logged: {output}");
    assert!(output.contains("aarm.decision") || output.contains("aarm.action"), "no event: {output}");
    let mut needles = needles();
    needles.push(key.secret.clone());
    let entries: Vec<Value> = predicates(&folder.0.join("data")).await;
    assert!(entries.iter().filter(|entry| entry["kind"] == "decision").count() >= 8);
    let mut searched = 0;
    for path in files(&folder.0.join("data")) {
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(leak(&bytes, &needles), None, "{}", path.display());
        searched += bytes.len();
    }
    assert!(searched > 100_000, "only {searched} bytes were searched");
    // What left over the network: every destination sent something, and none of it in any disguise.
    let sent: Vec<(String, bytes::Bytes)> = collector
        .received()
        .into_iter()
        .map(|call| {
            let told = call.headers.iter().map(|(name, value)| format!("{name}: {value:?} ")).collect();
            (told, call.body)
        })
        .collect();
    let all =
        |word: &[u8]| sent.iter().filter(|(_, body)| body.windows(word.len()).any(|window| window == word)).count();
    assert!(all(b"aarm.decision") >= 8, "only {} requests with events", all(b"aarm.decision"));
    for (head, body) in &sent {
        assert_eq!(leak(body, &needles), None, "{head}");
        assert_eq!(leak(head.as_bytes(), &needles), None, "{head}");
    }
    for sink in sinks {
        let taken = sink.taken();
        let denials = taken.windows(13).filter(|window| window == b"aarm.decision").count();
        assert!(denials >= 4, "{} got {} bytes with {denials} denials", sink.name, taken.len());
        assert_eq!(leak(&taken, &needles), None, "{}", sink.name);
    }
    output.retain(|character| character != '\r');
    for line in output.lines() {
        assert_eq!(leak(line.as_bytes(), &needles), None, "{line}");
    }
}
