//! Redirects of plain HTTP tools: never followed, and none leads the agent around the proxy.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::harness::{ALLOW_ALL, Folder, Received, Server, Stand, ordinary, outcomes, respond};

/// Answers with the status and the place that the query names.
fn sends_on(request: &Received) -> Response<countersign::net::Body> {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = respond(header("x-status").parse().unwrap_or(StatusCode::OK), "{}");
    response.headers_mut().insert("location", header("x-location").parse().unwrap());
    response.headers_mut().insert("alt-svc", "h2=\"evil.example:443\"".parse().unwrap());
    response
}

#[tokio::test]
async fn redirects_lead_through_the_door_or_nowhere() {
    let api = Server::start(sends_on).await;
    let base = format!("http://{}/v1", api.address);
    let servers = format!(", api: {{ http: '{base}' }}");
    let stand = Stand::with_servers(ALLOW_ALL, &servers, "", Server::start(ordinary).await, Folder::new()).await;
    let ask = |status: &'static str, location: String| {
        let (name, value) = stand.authorization().split_once(": ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let request = Request::builder().method(Method::GET).uri("/http/api/users");
        let request = request.header("host", "localhost").header(name, value);
        let request = request.header("x-status", status).header("x-location", location);
        stand.send(request.body(Full::new(Bytes::new())).unwrap())
    };
    let (status, headers, _) = ask("302", format!("{base}/users/7?a=b")).await;
    assert_eq!((status, &headers["location"]), (StatusCode::FOUND, &"/http/api/users/7?a=b".parse().unwrap()));
    assert!(!headers.contains_key("alt-svc"));
    let (status, headers, _) = ask("201", format!("{base}/users/8")).await;
    assert_eq!((status, &headers["location"]), (StatusCode::CREATED, &"/http/api/users/8".parse().unwrap()));
    // What was done is told; where it is now is not.
    let (status, headers, _) = ask("201", "https://evil.example/users/8".into()).await;
    assert!(status == StatusCode::CREATED && !headers.contains_key("location"));
    for location in ["https://evil.example/", "//evil.example/", "/admin"] {
        let (status, headers, body) = ask("307", location.into()).await;
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert!(status == StatusCode::BAD_GATEWAY && !headers.contains_key("location"), "{location}: {status}");
        assert_eq!(problem["countersign/decision"]["reason_code"], "upstream_unavailable");
    }
    let seen = api.received().len();
    let (entries, _folder) = stand.stop().await;
    assert_eq!(seen, 6, "nothing was followed");
    let ends = outcomes(&entries);
    let refused: Vec<_> = ends.iter().filter(|end| end["outcome"]["status"] == "protocol_error").collect();
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|end| end["outcome"]["http_status"] == 307 && end["outcome"]["error"].is_string()));
}
