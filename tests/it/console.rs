//! The console from outside: what another site, a stranger and a person with too small a role must not get.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::aarm_r4::{People, QUICK, STEP_UP};
use crate::harness::outcomes;

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
