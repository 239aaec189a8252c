//! Secrets that pass through appear in no file, no log line and no event.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use countersign::config::parse;
use countersign::export::DestinationConfig;
use http::StatusCode;
use serde_json::{Value, json};

use crate::export::sinks::{self, BATCH_EXPORT, OWN_CREDENTIAL, Sink};
use crate::harness::{Folder, Received, Server, ordinary, respond};
use crate::instance::{Door, Instance, Key, PATIENCE, SMALL_LOG, call_message, predicates};
use crate::search::Search;

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

/// Words that nothing keeps back, as the names of resources and of a tool: they leave by the ways on which a secret would,
/// and the search must find them wherever events arrive.
const OPEN: [&str; 3] = ["open-word-first-7781", "open-word-refused-7782", "open-word-last-7783"];

/// Between two looks at what came.
const EVERY: Duration = Duration::from_millis(200);

async fn read_open(door: &Door, word: &str) {
    let message =
        json!({ "jsonrpc": "2.0", "id": 3, "method": "resources/read", "params": { "uri": format!("note://{word}") } });
    let answer = door.post("/mcp/test", &[], &message.to_string()).await.expect("an answer");
    assert!(answer.json()["result"].is_object(), "{:?}", answer.json());
}

/// Says open words before and after the secrets: where the last one has come, everything has.
async fn send_all(door: &Door) {
    read_open(door, OPEN[0]).await;
    send_secrets(door).await;
    let answer = door.post("/mcp/test", &[], &call_message(4, OPEN[1], &json!({}))).await.expect("an answer");
    assert_eq!(answer.json()["result"]["isError"], true);
    read_open(door, OPEN[2]).await;
}

/// The configuration: every destination there is, and the two files of it.
fn configure(folder: &Folder, key: &Key, server: &Server, sinks: &[Sink]) {
    std::fs::write(folder.0.join("policy.yaml"), POLICY).unwrap();
    let of = |wanted: bool| {
        let sinks = sinks.iter().filter(|sink| (sink.name == BATCH_EXPORT) == wanted);
        sinks.map(|sink| sink.exporter.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (exporters, batch) = (of(false), of(true));
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: data\npolicies: [policy.yaml]\n{}\
         record: {SMALL_LOG}\n\
         telemetry: {{ {BATCH_EXPORT}: {batch}, exporters: [ {{ type: stdout }}, {exporters} ] }}\n\
         servers: {{ test: {{ url: 'http://{}/mcp', credentials: [ {{ header: X-Upstream, secret: {{ env: CANARY }} }} ] }} }}\n",
        key.identity(),
        server.address,
    );
    let path = folder.0.join("countersign.yaml");
    let read = parse(&config, &path).unwrap().telemetry;
    std::fs::write(path, config).unwrap();
    // Whoever adds a type of destination adds it to the search; whoever configures one has its bytes searched.
    let configured: HashSet<&str> = read.exporters.iter().map(|exporter| exporter.destination.kind()).collect();
    let left_out = DestinationConfig::KINDS.iter().filter(|kind| !configured.contains(**kind));
    let not_built: &[&str] = if cfg!(feature = "kafka") { &[] } else { &["kafka"] };
    assert_eq!(left_out.copied().collect::<Vec<_>>(), not_built, "types of destinations that nobody searches");
    let names: HashSet<&str> = read.exporters.iter().map(|exporter| exporter.name()).collect();
    let searched = sinks.iter().map(|sink| sink.name.as_str()).filter(|name| *name != BATCH_EXPORT);
    assert_eq!(names, searched.chain(["stdout"]).collect());
}

/// Waits until everything is everywhere. Files hold ranges of the log: each begins when something new is there.
async fn until_open_words_arrive(door: &Door, sinks: &[Sink]) {
    let mut missing: Vec<(&Sink, &str)> = sinks.iter().flat_map(|sink| OPEN.map(|word| (sink, word))).collect();
    for _ in 0..PATIENCE.as_millis() / EVERY.as_millis() {
        door.call("test", "echo", json!({})).await.expect("an answer");
        tokio::time::sleep(EVERY).await;
        missing.retain(|(sink, word)| !holds(sink, &Search::of([word])));
        if missing.is_empty() {
            return;
        }
    }
    let names: Vec<_> = missing.iter().map(|(sink, word)| format!("{}: {word}", sink.name)).collect();
    panic!("never came: {names:?}");
}

fn holds(sink: &Sink, search: &Search) -> bool {
    sink.taken().iter().any(|piece| search.find(piece).is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_written_nowhere() {
    let (folder, key, server) = (Folder::new(), Key::new(), Server::start(leaky).await);
    let data = folder.0.join("data");
    let sinks = sinks::all(&folder, data.clone()).await;
    configure(&folder, &key, &server, &sinks);
    let variables = [("RUST_LOG", "debug"), ("CANARY", "canary-upstream-cred")];
    let mut instance = Instance::spawn(&folder.0, &["run", "-c", "countersign.yaml"], &variables);
    let door = instance.door(&key.secret).await.expect("it starts");
    door.until_ready_is(StatusCode::OK).await;
    send_all(&door).await;
    assert_eq!(server.calls().len(), 4, "echo, read, send and pay are forwarded");
    assert!(server.calls()[0].body.windows(9).any(|window| window == b"AKIAQ7CAN"), "servers get what agents send");
    until_open_words_arrive(&door, &sinks).await;
    let (status, output) = instance.terminate().await;
    assert_eq!(status.code(), Some(0), "{output}");
    let entries: Vec<Value> = predicates(&data).await;
    assert!(entries.iter().filter(|entry| entry["kind"] == "decision").count() >= 8);
    search_all(&data, &output, &sinks, &key);
}

/// What left over the network, what lies on the disk, what was printed: nothing of it in any disguise.
fn search_all(data: &Path, output: &str, sinks: &[Sink], key: &Key) {
    let mut needles = needles();
    needles.push(key.secret.clone());
    let sent = Search::of(&needles);
    needles.push(OWN_CREDENTIAL.to_owned());
    let kept = Search::of(&needles);
    for sink in sinks {
        for piece in sink.taken() {
            assert_eq!(sent.find(&piece), None, "{}: {}", sink.name, String::from_utf8_lossy(&piece));
        }
    }
    let mut searched = 0;
    for path in sinks::below(data) {
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(kept.find(&bytes), None, "{}", path.display());
        searched += bytes.len();
    }
    assert!(searched > 100_000, "only {searched} bytes were searched");
    assert!(output.contains("DEBUG"), "nothing was logged: {output}");
    for word in OPEN {
        assert!(output.lines().any(|line| line.starts_with('{') && line.contains(word)), "no event on standard output");
    }
    for line in output.lines() {
        assert_eq!(kept.find(line.as_bytes()), None, "{line}");
    }
}
