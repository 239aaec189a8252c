//! The admin API from outside: what lets nobody in.

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt as _;

use super::*;
use crate::model::{ManualClock, Timestamp};

struct Fine;

impl Health for Fine {
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        Vec::new()
    }

    fn metrics(&self) -> String {
        String::new()
    }
}

fn api() -> (Router, String) {
    let (secret, hash) = mint().unwrap();
    let text = format!("{{name: ann, role: viewer, hash: '{hash}'}}");
    let tokens = Tokens::new(&[serde_saphyr::from_str(&text).unwrap()]).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
    let guard = Arc::new(Guard::new(tokens, &["admin.example".into()], None, clock));
    (guarded(guard, Arc::new(Fine), Router::new(), (Router::new(), None)), secret.expose().to_owned())
}

async fn get_with(api: &Router, path: &str, headers: &[(&str, &str)]) -> axum::response::Response {
    let mut request = Request::get(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "127.0.0.1:4181");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
    api.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn only_a_token_in_the_header_lets_anybody_in() {
    let (api, token) = api();
    let bearer = format!("Bearer {token}");
    assert_eq!(get_with(&api, "/v1/me", &[("authorization", &bearer)]).await.status(), StatusCode::OK);
    let in_url = get_with(&api, &format!("/v1/me?token={token}&access_token={token}"), &[]).await;
    assert_eq!(in_url.status(), StatusCode::BAD_REQUEST);
    let without = get_with(&api, "/v1/me", &[]).await;
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(without.headers()[header::WWW_AUTHENTICATE], "Bearer");
    assert_eq!(without.headers()[header::CONTENT_TYPE], "application/problem+json");
    for wrong in ["Bearer csa_x", &format!("Basic {token}"), &token] {
        assert_eq!(get_with(&api, "/v1/me", &[("authorization", wrong)]).await.status(), StatusCode::UNAUTHORIZED);
    }
    let twice = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
    assert_eq!(get_with(&api, "/v1/me", &twice).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(get_with(&api, "/v1/nothing", &[]).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(get_with(&api, "/readyz", &[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn pages_of_other_sites_are_turned_away() {
    let (api, token) = api();
    let bearer = format!("Bearer {token}");
    let status = async |headers: &[(&str, &str)]| {
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        get_with(&api, "/v1/me", &all).await.status()
    };
    assert_eq!(status(&[("host", "admin.example")]).await, StatusCode::OK);
    assert_eq!(status(&[("origin", "http://127.0.0.1:4181")]).await, StatusCode::OK);
    for headers in [
        &[("host", "evil.example")][..],
        &[("host", "127.0.0.1.evil.example")],
        &[("origin", "http://evil.example")],
        &[("origin", "http://127.0.0.1:3000")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(status(headers).await, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let answer = get_with(&api, "/v1/me", &[("origin", "http://evil.example")]).await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn guessing_is_slow_and_locks_nobody_out() {
    let (api, token) = api();
    let mut last = StatusCode::OK;
    for _ in 0..12 {
        last = get_with(&api, "/v1/me", &[("authorization", "Bearer csa_guess")]).await.status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let bearer = format!("Bearer {token}");
    assert_eq!(get_with(&api, "/v1/me", &[("authorization", &bearer)]).await.status(), StatusCode::OK);
}
