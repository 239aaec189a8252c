//! The console from outside: what another site, a stranger and a person with too small a role must not get.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::aarm_r4::{People, QUICK, STEP_UP};
use crate::harness::{Folder, PATIENCE, Server, Stand, ordinary, outcomes};

/// A browser: a cookie, and headers that browsers add by themselves.
struct Browser<'a> {
    people: &'a People,
    cookie: String,
}

impl<'a> Browser<'a> {
    async fn log_in(people: &'a People, who: &str) -> Self {
        let body = json!({ "token": people.token(who) });
        let own = [("countersign-console", "1"), ("origin", "http://localhost")];
        let (status, headers, _) = send(people, Method::POST, "/login", &own, Some(body)).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let cookie = headers["set-cookie"].to_str().unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        Self { people, cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let headers: Vec<_> = headers.iter().copied().chain([("cookie", self.cookie.as_str())]).collect();
        let (status, _, body) = send(self.people, method, path, &headers, body).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

async fn send(
    people: &People,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> (StatusCode, HeaderMap, Bytes) {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    people.stand.send_to(people.stand.admin, request.body(Full::new(Bytes::from(body))).unwrap()).await
}

const OWN: [(&str, &str); 2] = [("countersign-console", "1"), ("origin", "http://localhost")];

/// A payment that waits for a person.
async fn waiting(people: &People) -> String {
    people.stand.call("pay", json!({ "amount": 5 })).await;
    people.first_waiting().await
}

#[tokio::test]
async fn csrf_a_cookie_alone_changes_nothing() {
    let people = People::start(STEP_UP, QUICK).await;
    let id = waiting(&people).await;
    let browser = Browser::log_in(&people, "ann").await;
    assert_eq!(browser.send(Method::GET, "/v1/me", &[], None).await.1["name"], "ann");
    let path = format!("/v1/approvals/{id}/approve");
    let others: [&[(&str, &str)]; 6] = [
        &[],
        &[("countersign-console", "1")],
        &[("origin", "http://localhost")],
        &[("countersign-console", "1"), ("origin", "http://evil.example")],
        &[("countersign-console", "1"), ("origin", "null")],
        &[("countersign-console", "1"), ("origin", "http://localhost"), ("sec-fetch-site", "cross-site")],
    ];
    for headers in others {
        let (status, _) = browser.send(Method::POST, &path, headers, Some(json!({}))).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    // What a form of another site can send: no JSON.
    let form = [("content-type", "text/plain"), ("cookie", browser.cookie.as_str())];
    let (status, _, _) = send(&people, Method::POST, &path, &form, None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // Nor can another site log somebody in as somebody else.
    let body = Some(json!({ "token": people.token("bob") }));
    assert_eq!(send(&people, Method::POST, "/login", &[], body).await.0, StatusCode::FORBIDDEN);
    assert_eq!((people.waiting().await.len(), people.paid()), (1, 0));
    assert_eq!(browser.send(Method::POST, &path, &OWN, Some(json!({}))).await.0, StatusCode::OK);
    let (entries, _folder) = people.stand.stop().await;
    let answered = entries.iter().rfind(|entry| entry["predicate"]["kind"] == "approval").unwrap();
    assert_eq!(answered["predicate"]["approval"]["channel"], "console");
    assert_eq!(answered["predicate"]["approval"]["approver"], "ann");
}

#[tokio::test]
async fn xss_what_agents_send_is_data_in_json_and_in_no_page() {
    const MARKUP: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>";
    let people = People::start(STEP_UP, QUICK).await;
    people.stand.call("pay", json!({ "note": MARKUP, MARKUP: 1 })).await;
    people.stand.call(MARKUP, json!({ "note": MARKUP })).await;
    let id = people.first_waiting().await;
    let reason = Some(json!({ "reason": MARKUP }));
    assert_eq!(people.ask("ann", &format!("/v1/approvals/{id}/deny"), reason).await.0, StatusCode::OK);
    let token = format!("Bearer {}", people.token("vera"));
    let api = ["/v1/approvals", "/v1/actions", "/v1/receipts", "/v1/sessions", &format!("/v1/approvals/{id}")];
    for path in api {
        let (status, headers, body) = send(&people, Method::GET, path, &[("authorization", &token)], None).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers["content-type"], "application/json", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        serde_json::from_slice::<Value>(&body).unwrap();
    }
    // Pages hold nothing that anybody sent, whatever their address says.
    for path in [format!("/approvals/{id}"), "/receipts/%3Cscript%3Ealert(1)%3C%2Fscript%3E".into(), "/live".into()] {
        let (status, headers, body) = send(&people, Method::GET, &path, &[], None).await;
        let page = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!((status, page.contains("alert")), (StatusCode::OK, false), "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && policy.contains("require-trusted-types-for 'script'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("onclick"), "{path}");
    }
    // An error that repeats an address is no page either.
    let (_, headers, _) = send(&people, Method::GET, "/%3Cscript%3Ealert(1)", &[], None).await;
    assert_eq!(headers["content-type"], "application/problem+json");
    people.stand.stop().await;
}

#[test]
fn xss_no_script_of_the_console_makes_markup_of_text() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/web");
    let mut scripts = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"]
        {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
        assert!(!text.contains("https://") && !text.contains("//cdn"), "{}: somebody else's", file.display());
        scripts += usize::from(file.extension().is_some_and(|extension| extension == "js"));
    }
    assert!(scripts > 10);
}

#[tokio::test]
async fn clickjacking_nothing_is_shown_in_a_frame() {
    let people = People::start(STEP_UP, QUICK).await;
    let paths =
        ["/", "/approvals", "/manual", "/manual/policies", "/static/console.js", "/v1/me", "/readyz", "/nothing"];
    for path in paths {
        let (_, headers, _) = send(&people, Method::GET, path, &[], None).await;
        assert!(headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
    }
    people.stand.stop().await;
}

#[tokio::test]
async fn a_token_in_a_url_is_refused_wherever_it_stands() {
    let people = People::start(STEP_UP, QUICK).await;
    let token = people.token("root").to_owned();
    for path in [
        format!("/v1/me?token={token}"),
        format!("/v1/me?access_token={token}"),
        format!("/login?token={token}"),
        format!("/live?{token}"),
        format!("/{token}"),
    ] {
        let (status, _, body) = send(&people, Method::GET, &path, &[], None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(!String::from_utf8_lossy(&body).contains(&token));
        let bearer = format!("Bearer {token}");
        let good = [("authorization", bearer.as_str())];
        assert_eq!(send(&people, Method::GET, &path, &good, None).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    people.stand.stop().await;
}

#[tokio::test]
async fn approving_by_get_is_no_approval() {
    let people = People::start(STEP_UP, QUICK).await;
    let id = waiting(&people).await;
    let browser = Browser::log_in(&people, "ann").await;
    for path in [
        format!("/v1/approvals/{id}/approve"),
        format!("/v1/approvals/{id}/approve?reason=x"),
        format!("/v1/approvals/{id}/deny?reason=x"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let (status, _) = browser.send(method, &path, &OWN, None).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
    }
    let page = browser.send(Method::GET, &format!("/approvals/{id}/approve"), &OWN, None).await;
    assert_eq!(page.0, StatusCode::NOT_FOUND);
    assert_eq!((people.waiting().await.len(), people.paid()), (1, 0));
    people.stand.stop().await;
}

#[tokio::test]
async fn a_receipt_holds_the_answer_that_was_given_a_moment_ago() {
    let people = People::start(STEP_UP, QUICK).await;
    let id = waiting(&people).await;
    let (_, asked) = people.ask("ann", &format!("/v1/approvals/{id}"), None).await;
    let receipt = format!("/v1/receipts/{}", asked["receipt_id"].as_str().unwrap());
    // The decision is under a checkpoint now, the answer is not.
    assert_eq!(people.ask("ann", &receipt, None).await.0, StatusCode::OK);
    assert_eq!(people.deny("ann", &id, "not this week").await.0, StatusCode::OK);
    let (status, shown) = people.ask("ann", &receipt, None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(shown.to_string().contains("not this week"), "{shown}");
    people.stand.stop().await;
}

#[tokio::test]
async fn a_role_is_what_the_token_says_and_nothing_else() {
    let people = People::start(STEP_UP, QUICK).await;
    let id = waiting(&people).await;
    let viewer = Browser::log_in(&people, "vera").await;
    let approver = Browser::log_in(&people, "ann").await;
    let approve = format!("/v1/approvals/{id}/approve");
    for body in [json!({}), json!({ "role": "admin" }), json!({ "approver": "ann" })] {
        let (status, _) = viewer.send(Method::POST, &approve, &OWN, Some(body.clone())).await;
        assert!(matches!(status, StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY), "{body}");
    }
    let forged = [OWN[0], OWN[1], ("x-role", "admin"), ("x-forwarded-user", "root")];
    assert_eq!(viewer.send(Method::POST, &approve, &forged, Some(json!({}))).await.0, StatusCode::FORBIDDEN);
    let suspend = json!({ "scope": { "kind": "agent", "value": "tester" }, "reason": "x" });
    for (path, body) in [
        ("/v1/controls/suspend", suspend),
        ("/v1/sessions", json!({ "agent": "tester", "intent": "x", "expires_in_s": 60 })),
        ("/v1/tools/test/accept", json!({})),
    ] {
        for who in [&viewer, &approver] {
            let (status, answer) = who.send(Method::POST, path, &OWN, Some(body.clone())).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {answer}");
        }
    }
    // A log-in says nothing of a role, and a cookie that nobody was given is nobody's.
    let body = Some(json!({ "token": people.token("vera"), "role": "admin" }));
    assert_eq!(send(&people, Method::POST, "/login", &OWN, body).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    for cookie in ["countersign=", "countersign=admin", "countersign=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let (status, _, _) = send(&people, Method::GET, "/v1/me", &[("cookie", cookie)], None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{cookie}");
    }
    assert_eq!((people.waiting().await.len(), people.paid()), (1, 0));
    let (entries, _folder) = people.stand.stop().await;
    assert!(outcomes(&entries).is_empty());
}

/// Two tenants behind one proxy.
const TENANTS: &str = "
agents:
  - { id: tester, owner: olga, tenant: emea }
  - { id: other, owner: olga, tenant: apac }
approve: { legacy_hold_ms: 50 }";

#[tokio::test]
async fn a_tenant_sees_its_own_and_nothing_else() {
    let tokens = ["emea", "apac"].map(|tenant| (tenant, countersign::console::mint().unwrap()));
    let people: String = tokens
        .iter()
        .map(|(tenant, (_, hash))| format!(", {{ name: {tenant}, role: admin, tenant: {tenant}, hash: '{hash}' }}"))
        .collect();
    let server = Server::start(ordinary).await;
    let stand = Stand::with_people(STEP_UP, "", &people, TENANTS, server, Folder::new()).await;
    stand.call("echo", json!({ "of": "emea" })).await;
    stand.call("pay", json!({ "of": "emea" })).await;
    let call = |tool: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": { "of": "apac" } } });
    let other = format!("Bearer {}", stand.other_key);
    stand.post_with(&[("authorization", &other)], call("echo").to_string()).await;
    let ask = async |token: &str, path: &str| {
        let request = Request::get(path).header("host", "localhost").header("authorization", format!("Bearer {token}"));
        let (status, _, body) = stand.send_to(stand.admin, request.body(Full::default()).unwrap()).await;
        (status, serde_json::from_slice::<Value>(&body).unwrap_or(Value::Null))
    };
    // Lists show what a checkpoint covers: all but the last second.
    let covered = async {
        loop {
            let all = stand.admin("GET", "/v1/receipts?kind=decision", None).await.1;
            if all["total"] == 3 {
                return all;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let all = tokio::time::timeout(PATIENCE, covered).await.unwrap();
    let mine = |tenant: &str| {
        let items = all["items"].as_array().unwrap().iter().filter(|item| item["tenant"] == tenant);
        items.map(|item| (item["receipt_id"].as_str().unwrap(), item["session"].as_str().unwrap())).collect::<Vec<_>>()
    };
    for (tenant, token, of_others) in [("emea", &tokens[0].1.0, mine("apac")), ("apac", &tokens[1].1.0, mine("emea"))] {
        let token = token.expose();
        for path in ["/v1/receipts", "/v1/sessions", "/v1/actions", "/v1/approvals"] {
            let (status, listed) = ask(token, path).await;
            let items = listed["items"].as_array().unwrap();
            assert!(status == StatusCode::OK && items.iter().all(|item| item["tenant"] == tenant), "{path} {listed}");
            assert!(path == "/v1/approvals" || !items.is_empty(), "{path} {tenant}");
        }
        for (receipt, session) in of_others {
            assert_eq!(ask(token, &format!("/v1/receipts/{receipt}")).await.0, StatusCode::NOT_FOUND);
            assert_eq!(ask(token, &format!("/v1/sessions/{session}")).await.0, StatusCode::NOT_FOUND);
        }
        // The first entries are about the instance, and so about everybody.
        assert_eq!(ask(token, "/v1/receipts/0").await.0, StatusCode::NOT_FOUND);
        assert_eq!(ask(token, "/v1/destinations").await.0, StatusCode::FORBIDDEN);
        assert_eq!(ask(token, "/v1/controls").await.0, StatusCode::FORBIDDEN);
        let counted = ask(token, "/v1/policies").await.1;
        assert_eq!(counted["window"]["decisions"], mine(tenant).len(), "{tenant}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn a_rejected_event_shows_and_entries_are_sent_again_by_an_administrator_alone() {
    let telemetry = "telemetry: { exporters: [{ type: file, path: events.jsonl }] }\napprove: { legacy_hold_ms: 50 }";
    let people = People::start(STEP_UP, telemetry).await;
    people.stand.call("echo", json!({})).await;
    let (_, listed) = people.ask("vera", "/v1/destinations", None).await;
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["state"]), (&json!("file"), &json!("healthy")));
    let path = "/v1/destinations/file/replay";
    let range = || Some(json!({ "from": 0 }));
    for who in ["vera", "ann"] {
        assert_eq!(people.ask(who, path, range()).await.0, StatusCode::FORBIDDEN, "{who}");
    }
    let (status, done) = people.ask("root", path, range()).await;
    assert_eq!((status, &done["next"], &done["rejected"]), (StatusCode::OK, &Value::Null, &json!([])), "{done}");
    assert!(done["arrived"].as_u64().unwrap() > 0);
    let nowhere = people.ask("root", "/v1/destinations/nothing/replay", range()).await;
    assert_eq!(nowhere.0, StatusCode::NOT_FOUND);
    assert_eq!(people.ask("root", path, Some(json!({ "from": 1_000_000 }))).await.0, StatusCode::BAD_REQUEST);
    let (_, letters) = people.ask("vera", "/v1/destinations/file/dead-letters", None).await;
    assert_eq!(letters["total"], 0);
    people.stand.stop().await;
}
