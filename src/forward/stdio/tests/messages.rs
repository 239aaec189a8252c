//! Which message reaches whom, and as what.

use super::*;

#[tokio::test]
async fn bytes_pass_as_they_are_but_for_line_ends() {
    let upstream = start(settings());
    let text =
        "{\"jsonrpc\":\"2.0\",\r\n \"id\":1e0, \"method\":\"tools/call\",\n\"params\":{\"name\":\"echo\",\"n\":1.50}}";
    let answer = modern().post(text.replace("1e0", "1")).ask(&upstream).await;
    let seen = answer.message["result"]["line"].as_str().unwrap();
    assert_eq!(seen, format!("{}\n", text.replace("1e0", "1").replace(['\r', '\n'], " ")));
    let raw = modern().tool("é", "raw").ask(&upstream).await;
    assert_eq!(raw.kind(), "application/json");
    let wanted = "{ \"jsonrpc\":\"2.0\",\r\"id\" : \"\\u00e9\", \"result\": {\"n\": 1e2, \"u\": \"\\u00e9\"} }";
    assert_eq!(raw.body, wanted, "found by its value, passed on as written");
}

#[tokio::test]
async fn progress_makes_a_stream_that_ends_with_the_answer() {
    let upstream = start(settings());
    let (session, _) = open(&upstream, "alice").await;
    let answer = legacy(&session).tool(5, "progress").ask(&upstream).await;
    let events = answer.events();
    assert!(answer.body.starts_with(b"event: message\ndata: {"));
    let steps: Vec<&Value> = events.iter().map(|event| &event["params"]["progress"]).collect();
    assert_eq!(steps, [&json!(0), &json!(1), &Value::Null]);
    assert_eq!(events[2]["result"]["done"], 5);
    // What the server says right behind an answer belongs to no call any more.
    let mut stream = legacy(&session).with(Method::GET).send(&upstream).await.unwrap().into_body();
    assert_eq!(next_events(&mut stream).await[0]["params"]["data"], "hello", "kept since the handshake");
    assert_eq!(next_events(&mut stream).await[0]["params"]["behind"], 5);

    let plain = Message { accepts_stream: false, ..legacy(&session) }.tool(6, "progress").ask(&upstream).await;
    assert_eq!((plain.kind(), &plain.message["result"]["done"]), ("application/json", &json!(6)));
}

#[tokio::test]
async fn calls_with_one_id_wait_for_each_other_and_others_do_not() {
    let upstream = start(settings());
    let (session, _) = open(&upstream, "alice").await;
    let mut first = Box::pin(legacy(&session).tool(1, "hold").ask(&upstream));
    let mut same = Box::pin(legacy(&session).tool(1, "echo").ask(&upstream));
    let other = tokio::select! {
        biased;
        _ = &mut first => panic!("held"),
        _ = &mut same => panic!("its id is in use"),
        other = legacy(&session).tool(2, "echo").ask(&upstream) => other,
    };
    assert_eq!(other.message["id"], 2);
    let released = legacy(&session).tool(3, "release");
    let (first, same, released) = tokio::join!(first, same, released.ask(&upstream));
    assert_eq!(first.message["result"]["held"], 1);
    assert!(same.message["result"]["line"].is_string());
    assert_eq!(released.message["result"]["released"], true);
}

#[tokio::test]
async fn a_late_answer_reaches_nobody_else() {
    let upstream = start(StdioSettings { timeout: Duration::from_secs(2), ..settings() });
    let (session, _) = open(&upstream, "alice").await;
    let late = legacy(&session).tool(1, "hold").send(&upstream).await.unwrap_err();
    assert!(matches!(late, ForwardError::Timeout { .. }), "{late}");
    let again = legacy(&session).tool(1, "echo").send(&upstream).await.unwrap_err();
    assert!(matches!(again, ForwardError::Exchange { .. }), "its answer is still out: {again}");
    legacy(&session).tool(2, "release").ask(&upstream).await;
    let answer = legacy(&session).tool(1, "echo").ask(&upstream).await;
    assert!(answer.message["result"]["line"].is_string(), "the id is free again: {}", answer.message);
}

#[tokio::test]
async fn stateless_callers_do_not_wait_behind_what_may_never_end() {
    let upstream = start(settings());
    let listen = json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {} });
    let mut stream = modern().post(&listen).send(&upstream).await.unwrap().into_body();
    assert_eq!(next_events(&mut stream).await[0]["method"], "notifications/subscriptions/acknowledged");
    let beside = modern().tool(2, "pid").ask(&upstream).await.pid();
    let another = modern().tool(1, "pid").ask(&upstream).await.pid();
    assert_ne!(beside, another, "the id of the subscription is in use on its process");
    assert_eq!(modern().tool(2, "pid").ask(&upstream).await.pid(), another, "the new process serves from here on");
    assert!(exists(beside), "the subscription goes on");
    drop(stream);
    upstream.close().await;
    assert!(!exists(beside) && !exists(another));
}

#[tokio::test]
async fn a_servers_question_goes_to_the_call_and_comes_back() {
    let upstream = start(settings());
    let (session, _) = open(&upstream, "alice").await;
    let mut stream = legacy(&session).tool(1, "ask").send(&upstream).await.unwrap().into_body();
    let question = next_events(&mut stream).await;
    assert_eq!((&question[0]["method"], &question[0]["id"]), (&json!("roots/list"), &json!("question")));
    let reply = legacy(&session).post(json!({ "jsonrpc": "2.0", "id": "question", "result": "mine" }));
    assert_eq!(reply.ask(&upstream).await.status, StatusCode::ACCEPTED);
    assert_eq!(next_events(&mut stream).await[0]["result"]["roots"], "mine");
    assert!(stream.frame().await.is_none(), "the stream ends with the answer");
}

#[tokio::test]
async fn a_question_that_reaches_nobody_is_answered() {
    let upstream = start(settings());
    // In the newer era a server may not ask at all.
    let answer = modern().tool(1, "ask").ask(&upstream).await;
    assert_eq!(answer.message["result"]["error"]["code"], -32603);
    // Without a stream on the call it goes to the session's.
    let (session, _) = open(&upstream, "alice").await;
    let mut stream = legacy(&session).with(Method::GET).send(&upstream).await.unwrap().into_body();
    assert_eq!(next_events(&mut stream).await[0]["method"], "notifications/message");
    let asking = Message { accepts_stream: false, ..legacy(&session) }.tool(1, "ask");
    let answering = async {
        assert_eq!(next_events(&mut stream).await[0]["id"], "question");
        let reply = json!({ "jsonrpc": "2.0", "id": "question", "error": { "code": 1, "message": "no" } });
        legacy(&session).post(reply).ask(&upstream).await
    };
    let (asked, _) = tokio::join!(asking.ask(&upstream), answering);
    assert_eq!(asked.message["result"]["error"]["code"], 1);
}

#[tokio::test]
async fn closing_the_answer_cancels_in_the_newer_era_only() {
    let upstream = start(settings());
    let (session, _) = open(&upstream, "alice").await;
    for (client, cancelled) in [(modern(), json!(["a"])), (legacy(&session), json!([]))] {
        let mut body = client.clone().tool("a", "hold_aloud").send(&upstream).await.unwrap().into_body();
        assert_eq!(next_events(&mut body).await.len(), 1);
        drop(body);
        // The closed body is noticed by the task that feeds it; asking again until then.
        let mut seen = Value::Null;
        for id in 0..1_000 {
            seen = client.clone().tool(id, "cancelled").ask(&upstream).await.message["result"]["cancelled"].take();
            if seen == cancelled && client.era == Era::Modern {
                break;
            }
            if client.era == Era::Legacy && id == 20 {
                break;
            }
        }
        assert_eq!(seen, cancelled, "{:?}", client.era);
    }
}

#[tokio::test]
async fn a_call_that_is_taken_back_ends_whether_it_was_sent_or_not() {
    let upstream = start(settings());
    let (session, _) = open(&upstream, "alice").await;
    let cancel = |id: i32| {
        let params = json!({ "requestId": id });
        legacy(&session).post(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }))
    };
    // Overtaken by its cancellation while it was being decided.
    assert_eq!(cancel(8).ask(&upstream).await.status, StatusCode::ACCEPTED);
    let early = legacy(&session).tool(8, "echo").send(&upstream).await.unwrap_err();
    assert!(matches!(early, ForwardError::Cancelled { .. }), "{early}");
    // In flight, and the server does not answer any more.
    let held = Box::pin(legacy(&session).tool(9, "hold").send(&upstream));
    let cancelling = async {
        // The server has seen the call when it answers the next one.
        legacy(&session).tool(10, "echo").ask(&upstream).await;
        cancel(9).ask(&upstream).await
    };
    let (held, _) = tokio::join!(held, cancelling);
    assert!(matches!(held, Err(ForwardError::Cancelled { .. })));
}
