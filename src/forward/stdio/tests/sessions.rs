//! Which process serves whom.

use super::*;

#[tokio::test]
async fn a_session_has_a_process_of_its_own_until_it_ends() {
    let upstream = start(settings());
    let (first, first_pid) = open(&upstream, "alice").await;
    let (second, second_pid) = open(&upstream, "alice").await;
    assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert!(first != second && first_pid != second_pid);
    assert_eq!(legacy(&first).tool(1, "pid").ask(&upstream).await.pid(), first_pid);
    assert_eq!(legacy(&second).tool(1, "pid").ask(&upstream).await.pid(), second_pid);

    let unknown = legacy("0123").tool(7, "pid").ask(&upstream).await;
    assert_eq!((unknown.status, &unknown.message["id"]), (StatusCode::NOT_FOUND, &json!(7)));
    let stolen = legacy(&first).by("mallory").tool(1, "pid").ask(&upstream).await;
    assert_eq!(stolen.status, StatusCode::NOT_FOUND, "a session is its caller's alone");
    let missing = Message { session: None, ..legacy("") }.tool(1, "pid").ask(&upstream).await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST);

    assert_eq!(legacy(&first).with(Method::DELETE).ask(&upstream).await.status, StatusCode::OK);
    assert_eq!(legacy(&first).with(Method::DELETE).ask(&upstream).await.status, StatusCode::NOT_FOUND);
    assert_eq!(legacy(&first).tool(1, "pid").ask(&upstream).await.status, StatusCode::NOT_FOUND);
    assert_eq!(legacy(&first).with(Method::GET).ask(&upstream).await.status, StatusCode::NOT_FOUND);
    assert_eq!(legacy(&second).tool(2, "pid").ask(&upstream).await.pid(), second_pid);
    upstream.close().await;
    assert!(!exists(first_pid) && !exists(second_pid));
}

#[tokio::test]
async fn stateless_calls_of_one_caller_share_a_process() {
    let upstream = start(settings());
    let alice = modern().tool(1, "pid").ask(&upstream).await.pid();
    assert_eq!(modern().tool(1, "pid").ask(&upstream).await.pid(), alice);
    let mut named = modern().tool(2, "pid");
    named.session = Some("ignored in this era".into());
    assert_eq!(named.ask(&upstream).await.pid(), alice);
    assert_ne!(modern().by("bob").tool(1, "pid").ask(&upstream).await.pid(), alice);
    for method in [Method::GET, Method::DELETE] {
        let answer = modern().with(method).ask(&upstream).await;
        assert_eq!(
            (answer.status, &answer.headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
        );
    }
    assert_eq!(modern().tool(3, "pid").ask(&upstream).await.pid(), alice, "DELETE ended nothing");
}

#[tokio::test]
async fn an_era_that_the_server_does_not_know_is_said_so() {
    let upstream = start(settings());
    let probe = json!({ "jsonrpc": "2.0", "id": "probe", "method": "server/discover", "params": {} });
    let answer = modern().post(&probe).ask(&upstream).await;
    assert_eq!((answer.status, &answer.message["error"]["code"]), (StatusCode::NOT_FOUND, &json!(-32601)));
    let answer = Message { session: None, ..legacy("") }.post(&probe).ask(&upstream).await;
    assert_eq!((answer.status, &answer.message["error"]["code"]), (StatusCode::OK, &json!(-32601)));
}

#[tokio::test]
async fn a_refused_handshake_opens_no_session() {
    let upstream = start(settings());
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "refuse": true } });
    let answer = Message { session: None, ..legacy("") }.post(&hello).ask(&upstream).await;
    assert!(!answer.headers.contains_key("mcp-session-id"));
    let pid = answer.message["error"]["data"].as_i64().unwrap();
    // Nobody knows the process any more; it ends by itself.
    while exists(pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_client_on_standard_input_begins_with_a_handshake() {
    let upstream = start(settings());
    let early = wrapped().tool(1, "pid").ask(&upstream).await;
    assert_eq!((early.status, &early.message["id"]), (StatusCode::NOT_FOUND, &json!(1)));
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} });
    let answer = Message { accepts_stream: false, ..wrapped() }.post(&hello).ask(&upstream).await;
    assert!(!answer.headers.contains_key("mcp-session-id"), "there is one client and no session to name");
    assert_eq!(wrapped().tool(2, "pid").ask(&upstream).await.pid(), answer.pid());
    let died = wrapped().tool(3, "die").send(&upstream).await.unwrap_err();
    assert!(matches!(died, ForwardError::Exchange { .. }), "{died}");
    let late = wrapped().tool(4, "pid").ask(&upstream).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND, "a new process would know nothing of the handshake");
}

#[tokio::test]
async fn there_are_so_many_processes_and_no_more() {
    let upstream = start(StdioSettings { processes_max: 2, ..settings() });
    let (first, first_pid) = open(&upstream, "alice").await;
    let (second, _) = open(&upstream, "alice").await;
    let busy = modern().by("bob").tool(1, "pid").send(&upstream).await.unwrap_err();
    assert!(
        matches!(busy, ForwardError::Processes { limit: 2, .. }),
        "nobody's session is taken for another's: {busy}"
    );
    // The caller's own that has been idle longest gives way.
    legacy(&second).tool(1, "pid").ask(&upstream).await;
    let (third, _) = open(&upstream, "alice").await;
    assert!(!exists(first_pid));
    assert_eq!(legacy(&first).tool(1, "pid").ask(&upstream).await.status, StatusCode::NOT_FOUND);
    assert_eq!(legacy(&second).tool(2, "pid").ask(&upstream).await.status, StatusCode::OK);
    // One whose client listens does not.
    let _listening = legacy(&second).with(Method::GET).send(&upstream).await.unwrap();
    let _listening_too = legacy(&third).with(Method::GET).send(&upstream).await.unwrap();
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} });
    let full = Message { session: None, ..legacy("") }.post(&hello).send(&upstream).await.unwrap_err();
    assert!(matches!(full, ForwardError::Processes { .. }), "{full}");
}
