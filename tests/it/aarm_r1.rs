//! AARM v1.0 R1, pre-execution interception: one test for each requirement, named after it. What waits is listed in
//! `countersign::manual::conformance`.

use std::collections::HashMap;
use std::sync::Arc;

use countersign::context::{Classifier, Secrets, Sessions, ToolTable};
use countersign::decide::{PolicySet, PolicySource, Settings};
use countersign::forward::{AnswerLimits, HttpSettings, HttpUpstream, Server as Known, Upstreams};
use countersign::intercept::{Arrival, Head, Mediate, Reply, read_mcp};
use countersign::mediate::{Mediator, Observer, RefusedCredentials};
use countersign::model::json::Limits;
use countersign::model::{ActionId, Call, Clock, Decision, Enforcement, Identity, RefusalKind};
use countersign::net::SystemClock;
use countersign::record::disk::{FaultyDisk, Operation};
use countersign::record::{Config as RecordConfig, Log, ParametersMode, Recorder};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::attacks::{ECHO, GUARDED};
use crate::harness::{ALLOW_ALL, Folder, Server, Stand, decisions, is_refused, ordinary, outcomes, respond};

/// Every path through the proxy: what arrives was decided, once. The last line is `Stand::stop`, which compares.
#[tokio::test]
async fn a_1_1_every_action_is_intercepted_before_it_runs() {
    let http_tool = Server::start(|_| respond(StatusCode::OK, "{}")).await;
    let servers = format!(", office: {{ http: 'http://{}' }}", http_tool.address);
    let server = Server::start(ordinary).await;
    let stand = Stand::with_servers(ALLOW_ALL, &servers, "", server, Folder::new()).await;
    let messages = [
        ECHO,
        ECHO,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tasks/update","params":{"taskId":"t"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"vendor/do","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/vendor"}"#,
    ];
    for message in messages {
        stand.post(message).await;
    }
    // These three are nothing that could be decided.
    stand.post_with(&[("mcp-protocol-version", "2025-06-18")], format!("[{ECHO}]")).await;
    stand.post(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}"#).await;
    stand.post(r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"echo"}}"#).await;
    let request = Request::get("/http/office/a").header("host", "localhost");
    let request = request.header("authorization", stand.authorization().trim_start_matches("Authorization: "));
    assert_eq!(stand.send(request.body(Full::default()).unwrap()).await.0, StatusCode::OK);
    let marked = |server: &Server| {
        server.received().iter().filter(|request| request.headers.contains_key("countersign-action")).count()
    };
    assert_eq!((marked(&stand.server), marked(&http_tool)), (messages.len(), 1));
    assert_eq!(stand.server.calls().len(), 2);
    let (entries, _folder) = stand.stop().await;
    assert_eq!(decisions(&entries).len(), messages.len() + 1);
}

#[tokio::test]
async fn a_1_2_a_denied_action_does_not_run_and_has_a_receipt() {
    let stand = Stand::start(GUARDED).await;
    let answer = stand.call("delete", json!({ "path": "/" })).await;
    assert!(is_refused(&answer));
    assert!(stand.server.calls().is_empty());
    let (entries, _folder) = stand.stop().await;
    let decision = decisions(&entries)[0];
    assert_eq!(decision["decision"]["result"], "DENY");
    assert_eq!(decision["decision"]["policy"]["policy_id"], "guarded");
    assert_eq!(decision["decision"]["reason"], "Nothing is deleted");
    assert_eq!(answer["result"]["_meta"]["countersign/decision"]["receipt_id"], decision["receipt_id"]);
    assert!(outcomes(&entries).is_empty());
}

const DEFERRING: &str = "
policy: { id: wait, version: '1' }
rules:
  - { id: later, match: { operation: pay }, action: DEFER, reason: 'Payments wait for the invoice' }
";

#[tokio::test]
async fn a_1_3_a_deferred_action_has_no_effect_and_a_receipt() {
    let stand = Stand::start(DEFERRING).await;
    assert!(is_refused(&stand.call("pay", json!({ "amount": 1 })).await));
    assert!(stand.server.calls().is_empty());
    let (entries, _folder) = stand.stop().await;
    assert_eq!(decisions(&entries)[0]["decision"]["result"], "DEFER");
    assert!(outcomes(&entries).is_empty());
}

struct Nobody;

impl Observer for Nobody {
    fn decided(&self, _call: &Call, _identity: &Identity, _decision: &Decision) {}
}

/// The path of an action over a disk that can be broken, with the shipped authenticator and one server.
async fn mediator(server: &Server, disk: &FaultyDisk, folder: &Folder, policy: &str) -> Arc<Mediator> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sources = [PolicySource { name: "p".into(), text: policy.into() }];
    let settings = Settings { identity: countersign::decide::UnverifiedIdentity::Flag, ..Settings::default() };
    let record = RecordConfig { data_dir: folder.0.clone(), ..RecordConfig::default() };
    let (log, opened) = Log::open(&record, Arc::new(disk.clone()), Arc::clone(&clock)).unwrap();
    let (recorder, _) = Recorder::start(log, &opened, Arc::clone(&clock)).unwrap();
    let upstream = HttpUpstream::new(HttpSettings {
        server: "test".into(),
        url: format!("http://{}/mcp", server.address).parse().unwrap(),
        timeout: std::time::Duration::from_secs(5),
        concurrency_max: 8,
        credentials: Vec::new(),
        tls: None,
    });
    let known = Known {
        upstream: Arc::new(upstream.unwrap()),
        tools: Arc::new(countersign::forward::Catalogue::new("test".into(), None)),
        pending: Arc::default(),
        enforcement: Enforcement::Enforce,
        speaks_mcp: true,
    };
    let servers = HashMap::from([("test".into(), known)]);
    let identity = countersign::identify::Config::default();
    let (people, folder) = (countersign::approve::Config::default(), crate::harness::Folder::new());
    let approvals =
        countersign::approve::Approvals::open(people, recorder.clone(), Arc::clone(&clock), &folder.0, (false, None));
    Arc::new(Mediator {
        approvals: approvals.unwrap(),
        authenticator: countersign::identify::build(&identity, None, Arc::clone(&clock)).unwrap(),
        sessions: Sessions::new(countersign::context::Config::default(), unlabelled(), &Secrets::new(&[1; 32])),
        meters: countersign::context::Meters::default(),
        policies: arc_swap::ArcSwap::from_pointee(PolicySet::compile(&sources, &settings).unwrap()),
        recorder,
        upstreams: Upstreams::new(servers, Arc::clone(&clock), AnswerLimits::default()),
        clock,
        parameters_mode: ParametersMode::Redacted,
        observer: Arc::new(Nobody),
        refused_credentials: RefusedCredentials::default(),
    })
}

fn unlabelled() -> Classifier {
    Classifier::new(&countersign::context::classification::Config::default(), ToolTable::default()).unwrap()
}

fn read(body: &str) -> Call {
    let clock = SystemClock::new();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    let peer = "127.0.0.1:1".parse().unwrap();
    let head = Head { method: Method::POST, headers, peer, certificate: None };
    let action = ActionId::mint(clock.now(), countersign::net::random_bytes().unwrap());
    let arrival = Arrival { server: "test".into(), action, received: clock.now(), limits: Limits::default() };
    read_mcp(&head, body.to_owned().into(), arrival).unwrap()
}

/// The log, the policies: broken one at a time. (The context store is this process's own memory: there is no way in
/// which it alone is unreachable.)
#[tokio::test]
async fn a_1_4_what_cannot_be_decided_or_recorded_does_not_run() {
    let server = Server::start(ordinary).await;
    let disk = FaultyDisk::new();
    let folder = Folder::new();
    let path = mediator(&server, &disk, &folder, ALLOW_ALL).await;
    assert!(matches!(path.mediate(read(ECHO)).await, Reply::Upstream(_)));
    assert_eq!(server.calls().len(), 1);
    // EIO from the next sync of entries. The tree's own syncs are on another thread: what is durable by then counts.
    disk.fail(Operation::Sync, "00.seg", 0, 5);
    for _ in 0..3 {
        let Reply::Refused(refusal) = path.mediate(read(ECHO)).await else { panic!("answered without a record") };
        assert!(matches!(refusal.kind, RefusalKind::LogUnavailable), "{refusal:?}");
    }
    assert_eq!(server.calls().len(), 1, "nothing arrived after the log broke");

    // A rule that cannot be evaluated within its bounds refuses.
    let many: String = (0..60)
        .map(|at| {
            format!("  - {{ id: r{at}, match: {{ parameters: {{ '**.*': {{ eq: {at} }} }} }}, action: ALLOW }}\n")
        })
        .collect();
    let policy =
        format!("policy: {{ id: p, version: '1' }}\nrules:\n  - {{ id: all, match: {{}}, action: ALLOW }}\n{many}");
    let path = mediator(&server, &FaultyDisk::new(), &folder, &policy).await;
    let values = vec!["1"; 40_000].join(",");
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"a":[{values}]}}}}}}"#
    );
    let Reply::Refused(refusal) = path.mediate(read(&large)).await else { panic!("allowed beyond the budget") };
    let RefusalKind::Decided { reason_code, .. } = &refusal.kind else { panic!("{refusal:?}") };
    assert_eq!(reason_code.as_str(), "evaluation_error");
    assert_eq!(server.calls().len(), 1);

    // A policy that does not load starts nothing.
    let broken = PolicySource { name: "p".into(), text: "rules: [ { id: x, match: {}, action: PERHAPS } ]".into() };
    assert!(PolicySet::compile(&[broken], &Settings::default()).is_err());
}

#[tokio::test]
async fn a_1_5_denials_and_deferrals_name_policy_and_reason() {
    let policy =
        format!("{DEFERRING}  - {{ id: no, match: {{ operation: delete }}, action: DENY, reason: 'Never' }}\n");
    let stand = Stand::start(&policy).await;
    for tool in ["delete", "pay", "read"] {
        assert!(is_refused(&stand.call(tool, json!({})).await));
    }
    let (entries, _folder) = stand.stop().await;
    let told: Vec<_> = decisions(&entries)
        .iter()
        .map(|entry| {
            let decision = &entry["decision"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&decision["result"]), text(&decision["policy"]["policy_id"]), text(&decision["policy"]["rule_id"]))
        })
        .collect();
    let row = |result: &str, policy: &str, rule: &str| (result.to_owned(), policy.to_owned(), rule.to_owned());
    assert_eq!(told, [row("DENY", "wait", "no"), row("DEFER", "wait", "later"), row("DENY", "default", "")]);
    assert!(decisions(&entries).iter().all(|entry| {
        let decision = &entry["decision"];
        !decision["reason"].as_str().unwrap().is_empty() && decision["reason_code"].is_string()
    }));
}

#[tokio::test]
async fn a_1_7_the_same_request_is_the_same_action() {
    let (one, other) = (read(ECHO).action, read(ECHO).action);
    assert_ne!(one.id, other.id);
    assert_eq!(
        (&one.tool, &one.operation, &one.native, &one.method),
        (&other.tool, &other.operation, &other.native, &other.method)
    );
    assert_eq!((&one.arguments.text, &one.arguments.value), (&other.arguments.text, &other.arguments.value));
    // And in the entries, all but ids, times and what is salted with an id.
    let stand = Stand::start(ALLOW_ALL).await;
    stand.call("echo", json!({ "a": [1, { "b": null }] })).await;
    stand.call("echo", json!({ "a": [1, { "b": null }] })).await;
    let (entries, _folder) = stand.stop().await;
    let plain: Vec<Value> = decisions(&entries)
        .iter()
        .map(|entry| {
            let mut action = entry["action"].clone();
            for member in ["action_id", "received"] {
                action.as_object_mut().unwrap().remove(member);
            }
            action["parameters"]["hash"] = Value::Null;
            action["client"]["peer"] = Value::Null;
            action
        })
        .collect();
    assert_eq!(plain[0], plain[1]);
}

#[tokio::test]
async fn a_1_8_every_action_has_the_canonical_form_and_an_identity() {
    let text = json!({ "type": "string", "minLength": 1 });
    let claim = json!({ "type": "object", "required": ["value", "verification"] });
    let schema = json!({
        "type": "object",
        "required": ["action", "identity", "session", "time"],
        "properties": {
            "action": {
                "type": "object",
                "required": ["action_id", "tool", "operation", "parameters", "received", "method", "native", "client"],
                "properties": {
                    "action_id": { "type": "string", "pattern": "^act_" }, "tool": text, "operation": text, "method": text,
                    "received": { "type": "string", "pattern": "^[0-9-]{10}T[0-9:]{8}\\.[0-9]{6}Z$" },
                    "parameters": { "type": "object", "required": ["hash", "mode", "bytes"] },
                },
            },
            "identity": {
                "type": "object",
                "required": ["human", "service", "agent", "role", "scope", "session", "verification"],
                "properties": {
                    "human": claim, "service": claim, "role": claim,
                    "agent": { "type": "object", "required": ["id"], "properties": { "id": claim } },
                    "scope": { "type": "array", "minItems": 1 },
                },
            },
            "session": { "type": "object", "required": ["id", "seq"] },
        },
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let stand = Stand::start(GUARDED).await;
    stand.call("echo", json!({ "a": 1 })).await;
    stand.call("delete", json!({})).await;
    stand.post(r#"{"jsonrpc":"2.0","id":"x","method":"resources/read","params":{"uri":"file:///x"}}"#).await;
    stand.post(r#"{"jsonrpc":"2.0","method":"notifications/vendor"}"#).await;
    let (entries, _folder) = stand.stop().await;
    assert_eq!(decisions(&entries).len(), 4);
    for entry in decisions(&entries).into_iter().chain(outcomes(&entries)) {
        let problems: Vec<String> = validator.iter_errors(entry).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?} in {entry}");
    }
}

#[tokio::test]
async fn a_1_6_wrapper_tools_are_resolved_before_any_rule() {
    let policy = "
policy: { id: inner, version: '1' }
rules:
  - { id: everything, match: {}, action: ALLOW }
  - { id: no-outside, match: { tool: mail, operation: send, parameters: { to: { contains: evil } } }, action: DENY, reason: 'Not to them' }
  - { id: no-deploy, match: { operation: deploy }, action: DENY, reason: 'Never' }
  - { id: cap, match: { operation: pay, parameters: { amount: { gt: 10 } } }, action: MODIFY, modifications: { cap: { amount: 10 } } }
";
    let more = "
policy: { unknown_schema: allow }
intercept:
  wrappers:
    - { name: mcp_tool, operation: mcp_tool_name, tool: mcp_server_name, arguments: input }
    - { name: Skill, operation: skill }
";
    let stand = Stand::with(policy, more, Server::start(ordinary).await).await;
    let wrapped =
        |tool: &str, input: Value| json!({ "mcp_server_name": "mail", "mcp_tool_name": tool, "input": input });
    let nested = wrapped("mcp_tool", wrapped("send", json!({ "to": "x@evil.example" })));
    for (tool, arguments) in [
        ("mcp_tool", wrapped("send", json!({ "to": "x@evil.example" }))),
        ("mcp_tool", nested),
        ("mcp_tool", wrapped("Skill", json!({ "skill": "deploy" }))),
        ("Skill", json!({ "skill": "deploy", "how": "now" })),
    ] {
        assert!(is_refused(&stand.call(tool, arguments).await), "{tool}");
    }
    // What cannot be told is not forwarded: no name, a name of another type, arguments that no rule would see.
    let mut beside = wrapped("send", json!({ "to": "a@example.com" }));
    beside["bcc"] = json!("x@evil.example");
    for arguments in [json!({}), json!({ "mcp_tool_name": 7 }), wrapped("send", json!([])), beside] {
        assert_eq!(stand.call("mcp_tool", arguments).await["error"]["code"], -32_602);
    }
    assert!(stand.server.calls().is_empty());
    // What is allowed travels as it came, and a change is made inside the wrapper.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mcp_tool","arguments":{"mcp_tool_name":"send","mcp_server_name" : "mail","input":{"to":"a@example.com","n":1e2}}}}"#;
    stand.post(body).await;
    stand.call("mcp_tool", wrapped("pay", json!({ "amount": 99 }))).await;
    let arrived = stand.server.calls();
    assert_eq!(&*arrived[0].body, body.as_bytes());
    assert_eq!(arrived[1].json()["params"]["arguments"], wrapped("pay", json!({ "amount": 10 })));
    let (entries, _folder) = stand.stop().await;
    let action = &decisions(&entries)[4]["action"];
    assert_eq!((&action["tool"], &action["operation"]), (&json!("mail"), &json!("send")));
    assert_eq!(action["native"], json!({ "operation": "send", "server": "test", "wrapper": "mcp_tool" }));
}
